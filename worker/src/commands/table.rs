//! Tables for people, and dates and ages as people say them.

use std::io::{self, Write};

use chrono::{DateTime, Utc};
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};

use crate::deploy::message::printable_lines;

/// An empty table. On a terminal it is as wide as that, elsewhere as wide as its content.
#[must_use]
pub fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic).set_header(head);
    table
}

/// Adds a row. What comes from outside steers no terminal.
pub fn row<const N: usize>(table: &mut Table, cells: [String; N]) {
    table.add_row(cells.map(|cell| printable_lines(&cell)));
}

/// Writes a table, without spaces at the ends of its lines.
///
/// # Errors
/// What writing fails with.
pub fn print(out: &mut impl Write, table: &Table) -> io::Result<()> {
    writeln!(out, "{}", table.trim_fmt())
}

/// How long ago, in the largest unit and the next: `3d 4h`, `2h`, `40s`.
#[must_use]
pub fn age(seconds: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let seconds = seconds.max(0);
    let place = UNITS.iter().position(|(size, _)| seconds >= *size).unwrap_or(UNITS.len() - 1);
    let (size, unit) = UNITS[place];
    let whole = format!("{}{unit}", seconds / size);
    match UNITS.get(place + 1).map(|(next, unit)| (seconds % size / next, unit)) {
        Some((rest, unit)) if rest > 0 => format!("{whole} {rest}{unit}"),
        _ => whole,
    }
}

/// A date in epoch seconds, to the second, in UTC.
#[must_use]
pub fn date(seconds: i64) -> String {
    let date: Option<DateTime<Utc>> = DateTime::from_timestamp(seconds, 0);
    date.map(|date| date.format("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default()
}

/// The beginning of a release's id, as far as people read it.
#[must_use]
pub fn short(release: &str) -> &str {
    match release.char_indices().nth(8) {
        Some((end, _)) if release.len() > 12 => &release[..end],
        _ => release,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_dates_are_said_as_people_do() {
        for (seconds, said) in [
            (-5, "0s"),
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3_599, "59m 59s"),
            (7_260, "2h 1m"),
            (86_400, "1d"),
            (90_000 + 86_400, "2d 1h"),
        ] {
            assert_eq!(age(seconds), said);
        }
        assert_eq!(date(1_796_000_000), "2026-11-30 00:53:20");
        assert_eq!((short("0b2f1c3d-1111-2222"), short("e-1")), ("0b2f1c3d", "e-1"));
    }
}
