//! How long things take.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The bounds of each phase of a task's life. Fargate-like by default: 10 to 25 s to RUNNING.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From a change to the scheduler's reaction.
    pub scheduler: RangeInclusive<Duration>,
    /// PROVISIONING.
    pub provisioning: RangeInclusive<Duration>,
    /// PENDING, most of it the pull.
    pub pending: RangeInclusive<Duration>,
    /// ACTIVATING.
    pub activating: RangeInclusive<Duration>,
    /// From RUNNING until container and target health checks pass.
    pub checks: RangeInclusive<Duration>,
    /// From RUNNING until a task without any health check counts as healthy; AWS documents 40 s.
    pub unchecked: Duration,
    /// How long a target group's checks may fail before a task is replaced (beside the grace period).
    pub target_patience: Duration,
    /// The target groups' deregistration delay. (AWS's default is 300 s; teams set it down.)
    pub deregistration: Duration,
    /// From SIGTERM to the last container's exit, capped by `stopTimeout`.
    pub stopping: RangeInclusive<Duration>,
    /// DEPROVISIONING.
    pub deprovisioning: RangeInclusive<Duration>,
    /// From asking for a service deployment's next state to that state.
    pub deployment: RangeInclusive<Duration>,
    /// How long alarms are watched after all tasks are up.
    pub bake: Duration,
    /// How often alarms are read while a deployment watches them.
    pub alarms: Duration,
    /// How long STOPPED tasks can be described.
    pub remembered: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        const fn s(least: u64, most: u64) -> RangeInclusive<Duration> {
            Duration::from_secs(least)..=Duration::from_secs(most)
        }
        Self {
            scheduler: Duration::from_millis(500)..=Duration::from_millis(2000),
            provisioning: s(4, 9),
            pending: s(5, 12),
            activating: s(1, 4),
            checks: s(4, 9),
            unchecked: Duration::from_secs(40),
            target_patience: Duration::from_secs(60),
            deregistration: Duration::from_secs(30),
            stopping: s(1, 30),
            deprovisioning: s(2, 6),
            deployment: s(1, 3),
            bake: Duration::from_secs(120),
            alarms: Duration::from_secs(15),
            remembered: Duration::from_secs(3600),
        }
    }
}
