//! A fleet as a table.

use std::io::{self, Write};

use comfy_table::CellAlignment;

use super::fleet::{Held, Pair, Row};
use crate::commands::table::{age, print, row, short, table};
use crate::deploy::message::counted;

/// Writes the fleet for people.
///
/// # Errors
/// What writing fails with.
pub fn fleet(out: &mut impl Write, rows: &[Row], now: i64) -> io::Result<()> {
    let several = rows.iter().any(|row| rows.first().is_some_and(|first| first.cluster != row.cluster));
    let mut shown = table(&["Service", "Release", "Age", "Tasks", "Runs", "Canary", "Health"]);
    if let Some(tasks) = shown.column_mut(3) {
        tasks.set_cell_alignment(CellAlignment::Right);
    }
    for service in rows {
        let name = if several { format!("{}/{}", service.cluster, service.service) } else { service.service.clone() };
        row(
            &mut shown,
            [
                name,
                service.release.as_deref().map_or("—", short).to_owned(),
                service.since.map_or_else(String::new, |since| age(now - since)),
                format!("{}/{}", service.running, service.desired),
                service.revision.clone(),
                service.pair.as_ref().map_or_else(String::new, pair),
                health(service, now),
            ],
        );
    }
    print(out, &shown)?;
    let ill = u32::try_from(rows.iter().filter(|row| !row.well).count()).unwrap_or(u32::MAX);
    let (back, held): (Vec<&Held>, Vec<&Held>) =
        rows.iter().filter_map(|row| row.held.as_ref()).partition(|held| held.restoring.is_some());
    let all = counted(u32::try_from(rows.len()).unwrap_or(u32::MAX), "service");
    let ill = if ill == 0 { "all well".to_owned() } else { format!("{ill} not well") };
    let some = |held: &[&Held], what| if held.is_empty() { String::new() } else { format!(", {} {what}", held.len()) };
    writeln!(out, "{all}: {ill}{}{}.", some(&held, "held for people"), some(&back, "going back"))
}

fn pair(pair: &Pair) -> String {
    match pair {
        Pair::Full { canary, same: Some(true) } => format!("{canary}: the same"),
        Pair::Full { canary, same: Some(false) } => format!("{canary}: another release"),
        Pair::Full { canary, same: None } => canary.clone(),
        Pair::Canary { full, .. } => format!("is that of {full}"),
    }
}

fn health(row: &Row, now: i64) -> String {
    let mut lines = row.health.clone();
    lines.extend(row.held.as_ref().map(|held| hold(held, now)));
    if lines.is_empty() { "well".to_owned() } else { lines.join("\n") }
}

fn hold(held: &Held, now: i64) -> String {
    let (release, since) = (short(&held.release), age(now - held.since));
    match (&held.restoring, held.asks.as_str()) {
        (Some(why), _) => format!("goes back from {release}: {why}"),
        (None, "") => format!("holds {release} for {since}, and nobody is asked any more"),
        (None, asks) => format!("holds {release} for {since}; waits for {asks}"),
    }
}
