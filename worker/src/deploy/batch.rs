//! The batch arithmetic: which percents let exactly one batch of tasks be replaced at a time.
//!
//! ECS keeps at least `ceil(N × minimum / 100)` healthy and runs at most `floor(N × maximum / 100)` tasks
//! (`DeploymentConfiguration`, Amazon ECS API reference). A literal 90/100 or 100/110 deadlocks every service with fewer
//! than ten tasks; the percents here always make progress and never allow more than the batch.

use std::fmt;

/// Minimum healthy percent and maximum percent of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Percents {
    /// `minimumHealthyPercent`.
    pub minimum: u32,
    /// `maximumPercent`.
    pub maximum: u32,
}

impl fmt::Display for Percents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.minimum, self.maximum)
    }
}

/// The canary rolls at once: all new tasks start beside the old ones.
pub const CANARY_PERCENTS: Percents = Percents { minimum: 100, maximum: 200 };

/// How a turnover makes room for new tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Old tasks stop first; never more than N run.
    InPlace,
    /// New tasks start first; never fewer than N are healthy.
    Surge,
}

impl Room {
    /// The mode of a turnover. In place with one task would be an outage, and ECS refuses a maximum of 100 where
    /// availability-zone rebalancing is on: both surge. `wished` is the `surge` option.
    #[must_use]
    pub fn choose(desired: u32, rebalancing: bool, wished: Option<bool>) -> Self {
        match wished {
            Some(true) => Self::Surge,
            _ if desired <= 1 || rebalancing => Self::Surge,
            _ => Self::InPlace,
        }
    }
}

/// The percents that let exactly `batch` of `desired` tasks be replaced at a time.
///
/// `batch` is clamped to `1..=desired`. For a desired count of 0 any percents make progress; 100/200 is given.
#[must_use]
pub fn percents(desired: u32, batch: u32, room: Room) -> Percents {
    if desired == 0 {
        return CANARY_PERCENTS;
    }
    let batch = u64::from(batch.clamp(1, desired));
    let desired = u64::from(desired);
    let percent = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    match room {
        Room::InPlace => Percents { minimum: percent(100 * (desired - batch) / desired), maximum: 100 },
        Room::Surge => Percents { minimum: 100, maximum: percent((100 * (desired + batch)).div_ceil(desired)) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What ECS makes of percents: tasks that may be missing, tasks that may be extra.
    fn allowed(desired: u32, percents: Percents) -> (u32, u32) {
        let lower = (desired * percents.minimum).div_ceil(100);
        let upper = desired * percents.maximum / 100;
        (desired - lower.min(desired), upper.saturating_sub(desired))
    }

    #[test]
    fn ten_percent_of_one_to_five_thousand_tasks_is_exactly_one_batch() {
        for desired in 1..=5_000 {
            let batch = (desired / 10).max(1);
            if desired > 1 {
                assert_eq!(allowed(desired, percents(desired, batch, Room::InPlace)), (batch, 0), "{desired} in place");
            }
            assert_eq!(allowed(desired, percents(desired, batch, Room::Surge)), (0, batch), "{desired} surge");
        }
    }

    proptest! {
        #[test]
        fn any_batch_makes_progress_and_is_never_exceeded_by_a_whole_percent(desired in 1u32..5_000, batch in 1u32..5_000) {
            let wanted = batch.min(desired);
            let (missing, _) = allowed(desired, percents(desired, batch, Room::InPlace));
            let (_, extra) = allowed(desired, percents(desired, batch, Room::Surge));
            prop_assert!(missing >= wanted.min(desired) && missing < wanted + 1 + desired / 100);
            prop_assert!(extra >= wanted && extra < wanted + 1 + desired / 100);
        }
    }

    #[test]
    fn one_task_and_rebalancing_surge() {
        assert_eq!(Room::choose(1, false, None), Room::Surge);
        assert_eq!(Room::choose(1, false, Some(false)), Room::Surge);
        assert_eq!(Room::choose(10, true, None), Room::Surge);
        assert_eq!(Room::choose(10, false, None), Room::InPlace);
        assert_eq!(Room::choose(10, false, Some(true)), Room::Surge);
        assert_eq!(percents(1, 1, Room::Surge), Percents { minimum: 100, maximum: 200 });
    }
}
