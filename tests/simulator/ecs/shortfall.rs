//! Whose doing it is that tasks are missing.

use super::model::StopCause;

/// How many tasks a service is short of, and whose doing that is. `desired − healthy = turnover + other − surplus`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shortfall {
    /// Healthy tasks that a rollout stopped and that are not yet made up for.
    pub turnover: u32,
    /// Missing for any other reason: crashes, Spot, people, health, not yet started, a raised desired count.
    pub other: u32,
    /// Healthy tasks above the desired count.
    pub surplus: u32,
}

impl Shortfall {
    /// A healthy task is gone.
    pub(super) fn lose(&mut self, cause: StopCause) {
        if self.surplus > 0 {
            self.surplus -= 1;
        } else if cause == StopCause::Rollout {
            self.turnover += 1;
        } else {
            self.other += 1;
        }
    }

    /// A task became healthy. What others took is made up for first, so that `turnover` never looks too small.
    pub(super) fn gain(&mut self) {
        if self.other > 0 {
            self.other -= 1;
        } else if self.turnover > 0 {
            self.turnover -= 1;
        } else {
            self.surplus += 1;
        }
    }

    /// The desired count changed.
    pub(super) fn desire(&mut self, from: i32, to: i32) {
        for _ in from..to {
            self.lose(StopCause::ScaleIn);
        }
        for _ in to..from {
            self.gain();
        }
    }
}
