//! A caller's door: its name, its clock, and the life that ends with it.

use std::time::{Duration, SystemTime};

use aws_smithy_async::rt::sleep::{AsyncSleep, Sleep};
use aws_smithy_async::time::TimeSource;

use crate::clock::Clock;
use crate::faults::Who;
use crate::simulator::Simulator;

/// How far timers go off after the end of a freeze: what was being sent goes out first.
const AFTER_THAW: Duration = Duration::from_millis(1);

/// How far a caller's clock is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Skew {
    /// It is right.
    #[default]
    None,
    /// It shows later dates.
    Ahead(Duration),
    /// It shows earlier dates.
    Behind(Duration),
}

/// A caller's clock: the account's but for its skew, until it is set. Its timers stop while the caller is frozen, and for good when it is
/// dead.
#[derive(Clone, Debug)]
pub(crate) struct DoorClock {
    pub(crate) simulator: Simulator,
    pub(crate) who: Who,
    pub(crate) skew: Skew,
}

impl TimeSource for DoorClock {
    fn now(&self) -> SystemTime {
        let now = Clock::now(&self.simulator.clock());
        let set = self.simulator.faults().clock_of(&self.who.caller);
        match set.unwrap_or(self.skew) {
            Skew::None => now,
            Skew::Ahead(by) => now + by,
            Skew::Behind(by) => now - by,
        }
    }
}

impl AsyncSleep for DoorClock {
    fn sleep(&self, duration: Duration) -> Sleep {
        let Self { simulator, who, .. } = self.clone();
        Sleep::new(async move {
            simulator.clock().wait(duration).await;
            simulator.may_go_on(&who, AFTER_THAW).await;
        })
    }
}
