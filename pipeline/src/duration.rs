//! Durations as people write them: `90s`, `10m`, `2h`, `1h30m`, `0`; where they may be long, `30d`.

use std::time::Duration;

use crate::limits::CUSTOM_ACTION_TIMEOUT;
use crate::mismatch::Mismatch;

const EXPECTED: &str = "a duration such as 90s, 10m, 2h or 1h30m";

/// The units in the order in which they may appear, with their length in seconds.
const UNITS: [(char, u64); 3] = [('h', 3_600), ('m', 60), ('s', 1)];

/// The units of what may last for days.
const LONG_UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Reads a duration: hours, minutes and seconds in this order, each at most once, whole numbers, no spaces. `0` needs no
/// unit.
///
/// # Errors
///
/// Anything else, a number without a unit, and more than 24 hours: by then CodePipeline has timed the action out.
pub fn parse(text: &str) -> Result<Duration, Mismatch> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let seconds = seconds(text, &UNITS, EXPECTED)?;
    let longest = CUSTOM_ACTION_TIMEOUT.as_secs();
    match seconds {
        Some(seconds) if seconds <= longest => Ok(Duration::from_secs(seconds)),
        _ => Err(Mismatch::value(text, "at most 24h, after which CodePipeline times a custom action out")),
    }
}

/// Reads a duration that may last for days, `30d` or `1d12h`, and is none of an action's: from `shortest` to `longest`.
///
/// # Errors
///
/// Anything else, a number without a unit, and what is shorter or longer.
pub fn parse_long(text: &str, shortest: Duration, longest: Duration) -> Result<Duration, Mismatch> {
    let expected = "a duration such as 30d, 36h or 1d12h";
    let seconds = if text == "0" { Some(0) } else { seconds(text, &LONG_UNITS, expected)? };
    seconds.map(Duration::from_secs).filter(|duration| (shortest..=longest).contains(duration)).ok_or_else(|| {
        Mismatch::value(text, format!("a duration from {} to {}", show_long(shortest), show_long(longest)))
    })
}

/// Writes a duration in the form that [`parse_long`] reads: `30d`, `1d12h`, `0s`. Parts of a second are left out.
pub fn show_long(duration: Duration) -> String {
    show_in(duration, &LONG_UNITS)
}

/// The seconds in `text`, or `None` where they are too many to count.
fn seconds(text: &str, units: &[(char, u64)], expected: &str) -> Result<Option<u64>, Mismatch> {
    let wrong = || Mismatch::value(text, expected);
    let mut rest = text;
    let mut units = units.iter();
    let mut total = Some(0_u64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let Some(unit) = tail.chars().next() else {
            return Err(Mismatch::value(text, format!("{expected}: {number} has no unit")));
        };
        let Some((_, length)) = units.find(|(name, _)| *name == unit).filter(|_| digits > 0) else {
            return Err(wrong());
        };
        // Only digits: the one way this fails is a number beyond u64.
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*length));
        total = total.zip(part).and_then(|(total, part)| total.checked_add(part));
        rest = &tail[unit.len_utf8()..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

/// Writes a duration in the form that [`parse`] reads, with the largest units first: `1h30m`, `1m30s`, `0s`.
///
/// Parts of a second are left out.
pub fn show(duration: Duration) -> String {
    show_in(duration, &UNITS)
}

fn show_in(duration: Duration, units: &[(char, u64)]) -> String {
    let mut rest = duration.as_secs();
    let mut text = String::new();
    for (unit, length) in units {
        let number = rest / length;
        rest %= length;
        if number > 0 {
            text.push_str(&format!("{number}{unit}"));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        for (text, seconds) in [
            ("0", 0),
            ("0s", 0),
            ("90s", 90),
            ("10m", 600),
            ("2h", 7_200),
            ("1h30m", 5_400),
            ("1h30m15s", 5_415),
            ("90m", 5_400),
            ("24h", 86_400),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "5",
            "m",
            "-5m",
            "+5m",
            "5 m",
            "1.5h",
            "5min",
            "30m1h",
            "5m5m",
            "1d",
            "5M",
            "１m",
            "25h",
            "24h1s",
            "1é",
            "99999999999999999999h",
            "18446744073709551615s1s",
            "999999999999999999h9s",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let found = |text| parse(text).unwrap_err().to_string();
        assert_eq!(found("90"), r#"found "90", expected a duration such as 90s, 10m, 2h or 1h30m: 90 has no unit"#);
        assert_eq!(
            found("25h"),
            r#"found "25h", expected at most 24h, after which CodePipeline times a custom action out"#
        );
    }

    #[test]
    fn long_durations_have_days_and_bounds() {
        let (day, year) = (Duration::from_secs(86_400), Duration::from_secs(365 * 86_400));
        for (text, hours) in [("30d", 720), ("1d12h", 36), ("24h", 24), ("365d", 8_760)] {
            let duration = Duration::from_secs(hours * 3_600);
            assert_eq!(parse_long(text, day, year), Ok(duration), "{text}");
        }
        for text in ["", "23h", "0", "-1d", "366d", "12h1d", "1w", "30", "999999999999999999999d"] {
            assert!(parse_long(text, day, year).is_err(), "{text}");
        }
        assert_eq!(show_long(Duration::from_secs(129_600)), "1d12h");
        let found = parse_long("5m", day, year).unwrap_err().to_string();
        assert_eq!(found, r#"found "5m", expected a duration from 1d to 365d"#);
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(seconds in 0_u64..=86_400) {
            let duration = Duration::from_secs(seconds);
            prop_assert_eq!(parse(&show(duration)), Ok(duration));
        }

        #[test]
        fn never_panics(text in "[0-9hms .é-]{0,30}|.*") {
            if let Ok(duration) = parse(&text) {
                prop_assert!(duration <= CUSTOM_ACTION_TIMEOUT);
            }
        }
    }
}
