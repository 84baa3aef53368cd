//! A job's configuration: from CodePipeline's map of texts to typed values, with every problem in one answer.
//!
//! ```text
//! BTreeMap<String, String> ─► Reader (driven by the ActionType) ─► CanaryConfig | FullConfig | RollbackConfig
//!                                  └───────────────────────────► Problems, each with its property
//! ```
//!
//! CodePipeline resolves all `#{namespace.variable}` before a worker sees a job. Values are trimmed; an empty one is a
//! problem, not an absent one, because it is what a forgotten variable leaves.

mod canary;
mod full;
mod problem;
mod reader;
mod rollback;
mod services;
#[cfg(test)]
mod tests;

pub use self::canary::CanaryConfig;
pub use self::full::FullConfig;
pub use self::problem::{Problem, Problems};
pub use self::rollback::{Back, RollbackConfig};

use std::time::Duration;

use crate::duration;
use crate::limits::LONGEST_DEADLINE;
use crate::mismatch::Mismatch;

/// The deadline that holds: the one that was set, or `default`, which never exceeds 23 h.
fn deadline(set: Option<Duration>, default: Duration) -> Duration {
    set.unwrap_or_else(|| default.min(LONGEST_DEADLINE))
}

/// An action whose bake is as long as its deadline could never succeed.
fn check_bake(bake: Duration, deadline: Duration) -> Result<(), Mismatch> {
    if bake < deadline {
        return Ok(());
    }
    let expected = format!("less than the action's deadline of {0}; set Options deadline=", duration::show(deadline));
    Err(Mismatch::new(duration::show(bake), expected))
}
