//! How many tasks: a [`Share`] of a service, or a canary's [`Capacity`], which is a count or a share.

use std::fmt;

use crate::limits::SERVICE_TASKS;
use crate::mismatch::Mismatch;

const EXPECTED_SHARE: &str = "a share from 0.1% to 100% with at most one decimal, such as 10% or 2.5%";

/// A percentage from 0.1 % to 100 % in steps of 0.1 %, kept exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share {
    /// Tenths of a percent, 1–1,000.
    tenths: u16,
}

impl Share {
    /// Reads `10%` or `2.5%`; a space before the sign does no harm.
    ///
    /// # Errors
    ///
    /// Anything else: no sign, more than one decimal, 0, or more than 100.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let wrong = || Mismatch::value(text, EXPECTED_SHARE);
        let number = text.strip_suffix('%').ok_or_else(wrong)?.trim_end();
        let (whole, decimal) = number.split_once('.').unwrap_or((number, "0"));
        let digits =
            |part: &str, longest| (1..=longest).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole, 3) || !digits(decimal, 1) {
            return Err(wrong());
        }
        let tenths: u16 = format!("{whole}{decimal}").parse().map_err(|_| wrong())?;
        Self::from_tenths(tenths).ok_or_else(wrong)
    }

    /// A share from tenths of a percent (1–1,000): `100` is 10 %. `None` outside of that.
    pub const fn from_tenths(tenths: u16) -> Option<Self> {
        if tenths >= 1 && tenths <= 1_000 { Some(Self { tenths }) } else { None }
    }

    /// The share in tenths of a percent, 1–1,000.
    pub const fn tenths(self) -> u16 {
        self.tenths
    }

    /// The share of `total` tasks, to the nearest whole task; a half goes up: 10 % of 15 is 2. May be 0.
    pub fn of(self, total: u32) -> u32 {
        self.divided(total, 500)
    }

    /// The share of `total` tasks, rounded down: 10 % of 19 is 1. May be 0. This is how a batch is cut, because a batch
    /// promises how many tasks may be missing at most.
    pub fn of_rounded_down(self, total: u32) -> u32 {
        self.divided(total, 0)
    }

    fn divided(self, total: u32, half: u64) -> u32 {
        let tasks = (u64::from(total) * u64::from(self.tenths) + half) / 1_000;
        // A share is at most the whole, so this always fits.
        u32::try_from(tasks).unwrap_or(total)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.tenths / 10, self.tenths % 10) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, decimal) => write!(f, "{whole}.{decimal}%"),
        }
    }
}

/// How large a canary is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Capacity {
    /// So many tasks, 1–5,000 (ECS: tasks per service).
    Count(u32),
    /// This share of all tasks of the application, canary and full service together.
    Share(Share),
}

impl Capacity {
    /// Reads `1` or `10%`.
    ///
    /// # Errors
    ///
    /// Anything else: 0, more than 5,000 tasks, a share that [`Share::parse`] refuses.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        if text.ends_with('%') {
            return Share::parse(text).map(Self::Share);
        }
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(count @ 1..=SERVICE_TASKS) if digits => Ok(Self::Count(count)),
            _ => Err(Mismatch::value(
                text,
                format!("a number of tasks from 1 to {SERVICE_TASKS} or a share such as 10%"),
            )),
        }
    }

    /// The number of tasks that the canary should have, where the canary and the full service now have `canary` and
    /// `full`: the count, or max(1, round(share × (canary + full))). Never 0.
    pub fn tasks(self, canary: u32, full: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Share(share) => share.of(canary.saturating_add(full)).max(1),
        }
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Share(share) => share.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn share(tenths: u16) -> Share {
        Share::from_tenths(tenths).unwrap()
    }

    #[test]
    fn reads_shares() {
        for (text, tenths) in
            [("10%", 100), ("2.5%", 25), ("0.1%", 1), ("100%", 1_000), ("100.0%", 1_000), ("5 %", 50), ("05%", 50)]
        {
            assert_eq!(Share::parse(text), Ok(share(tenths)), "{text}");
        }
        for text in [
            "", "%", "10", "0%", "0.0%", "100.1%", "101%", "-1%", "+1%", ".5%", "5.%", "0.05%", "1e1%", "10%%", "1,5%",
            "٣%",
        ] {
            assert!(Share::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_capacities() {
        assert_eq!(Capacity::parse("1"), Ok(Capacity::Count(1)));
        assert_eq!(Capacity::parse("5000"), Ok(Capacity::Count(5_000)));
        assert_eq!(Capacity::parse("10%"), Ok(Capacity::Share(share(100))));
        for text in ["", "0", "-1", "+1", "1.5", "5001", "99999999999", "one", " 1"] {
            assert!(Capacity::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_canary_has_at_least_one_task() {
        for (tenths, canary, full, expected) in [
            (100, 2, 18, 2),
            (100, 0, 3, 1),
            (100, 0, 0, 1),
            (100, 1, 14, 2),
            (100, 1, 13, 1),
            (1, 5, 495, 1),
            (1_000, 1, 9, 10),
        ] {
            let tasks = Capacity::Share(share(tenths)).tasks(canary, full);
            assert_eq!(tasks, expected, "{} of {canary} + {full}", share(tenths));
        }
        assert_eq!(Capacity::Count(3).tasks(1, 100), 3);
        assert_eq!(Capacity::Share(share(1_000)).tasks(u32::MAX, u32::MAX), u32::MAX);
    }

    #[test]
    fn a_batch_is_rounded_down() {
        for (total, expected) in [(0, 0), (9, 0), (10, 1), (19, 1), (20, 2), (100, 10)] {
            assert_eq!(share(100).of_rounded_down(total), expected, "10% of {total}");
        }
    }

    proptest! {
        #[test]
        fn shares_read_back(tenths in 1_u16..=1_000) {
            prop_assert_eq!(Share::parse(&share(tenths).to_string()), Ok(share(tenths)));
        }

        #[test]
        fn a_share_is_never_more_than_the_whole(tenths in 1_u16..=1_000, total: u32) {
            let share = share(tenths);
            prop_assert!(share.of_rounded_down(total) <= share.of(total));
            prop_assert!(share.of(total) <= total);
        }

        #[test]
        fn never_panics(text in "[0-9.% +-]{0,12}|.*") {
            if let Ok(capacity) = Capacity::parse(&text) {
                prop_assert_eq!(Capacity::parse(&capacity.to_string()), Ok(capacity));
            }
        }
    }
}
