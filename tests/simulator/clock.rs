//! What time it is in the simulated world. The only place that asks tokio.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_smithy_async::rt::sleep::{AsyncSleep, Sleep};
use aws_smithy_async::time::TimeSource;
use tokio::time::Instant;

/// A clock that starts at a given date and runs at `speed` times tokio's.
///
/// With tokio's time paused (`start_paused`), it is virtual: it jumps to the next timer when all tasks wait. It is
/// both the time source and the sleep implementation of the `SdkConfig` that the mounts hand out, so a program under
/// test waits in simulated time, too.
#[derive(Clone, Debug)]
pub struct Clock {
    epoch: SystemTime,
    start: Instant,
    speed: u32,
    /// How far it was moved on, in seconds, beside the time that has passed.
    moved: Arc<AtomicU64>,
}

impl Clock {
    /// A clock that shows `epoch` now. `speed` is at least 1.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads tokio's time")]
    pub fn starting_at(epoch: SystemTime, speed: u32) -> Self {
        Self { epoch, start: Instant::now(), speed: speed.max(1), moved: Arc::default() }
    }

    /// The simulated date.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.epoch + self.start.elapsed() * self.speed + Duration::from_secs(self.moved.load(Ordering::Relaxed))
    }

    /// Moves the date on, in whole seconds, for all who have this clock. Whoever waits is not woken earlier: where time
    /// is virtual, waiting does the same and wakes everybody in time.
    pub fn move_on(&self, by: Duration) {
        self.moved.fetch_add(by.as_secs(), Ordering::Relaxed);
    }

    /// Waits for a simulated duration.
    #[expect(clippy::disallowed_methods, reason = "the one place that waits on tokio's time")]
    pub async fn wait(&self, duration: Duration) {
        tokio::time::sleep(duration / self.speed).await;
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        Self::now(self)
    }
}

impl AsyncSleep for Clock {
    fn sleep(&self, duration: Duration) -> Sleep {
        let clock = self.clone();
        Sleep::new(async move { clock.wait(duration).await })
    }
}
