//! How a container behaves that runs an image. It belongs to the image in the simulated registry.

use std::time::Duration;

/// What happens when a task runs the image.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// Starts, becomes healthy, keeps running.
    #[default]
    Good,
    /// Needs this much longer than others until it is healthy; then as good.
    SlowStart(Duration),
    /// Runs for a while, writes these lines to its log, and exits.
    CrashesAfter {
        /// Time from RUNNING to the exit.
        after: Duration,
        /// The essential container's exit code.
        exit_code: i32,
        /// The last lines it writes.
        lines: Vec<String>,
    },
    /// Runs, but its health check (container or target group) never passes.
    NeverHealthy,
    /// `CannotPullContainerError`, although the manifest is there: broken layers, denied, …
    CannotBePulled,
    /// The kernel kills it after a while: exit code 137, `OutOfMemoryError`.
    OutOfMemory {
        /// Time from RUNNING to the kill.
        after: Duration,
    },
    /// `exec format error` at the first instruction: exit code 1 at once.
    WrongArchitecture,
    /// Runs and is healthy, but answers with 5xx: alarms that watch its service go to ALARM after a while.
    Raises5xx,
}
