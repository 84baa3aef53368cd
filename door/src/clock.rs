//! Time and chance, as the one door to the world gives them.
//!
//! The `SdkConfig`'s time source and sleep implementation rule everything that waits here, so that a simulated account
//! also simulates time. This is the only file that may ask for the date, sleep, or roll dice.

use std::future::Future;
use std::time::Duration;

use aws_smithy_async::rt::sleep::{AsyncSleep, SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_types::SdkConfig;

/// A date.
pub type Time = chrono::DateTime<chrono::Utc>;

/// The clock of one program.
#[derive(Clone, Debug)]
pub struct Clock {
    source: SharedTimeSource,
    sleep: SharedAsyncSleep,
}

impl Clock {
    /// The clock that the door carries; the system's where it carries none.
    #[must_use]
    pub fn of(door: &SdkConfig) -> Self {
        Self {
            source: door.time_source().unwrap_or_else(|| SharedTimeSource::new(SystemTimeSource::new())),
            sleep: door.sleep_impl().unwrap_or_else(|| SharedAsyncSleep::new(TokioSleep::new())),
        }
    }

    /// The date.
    #[must_use]
    pub fn now(&self) -> Time {
        self.source.now().into()
    }

    /// Waits.
    pub async fn wait(&self, duration: Duration) {
        self.sleep.sleep(duration).await;
    }

    /// Waits for `work`, at most for `duration`; `None` when the time ran out.
    pub async fn limit<T>(&self, duration: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.wait(duration) => None,
        }
    }
}

/// A name that nobody else has: 16 hex digits.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this file owns chance")]
pub fn fresh_name() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// A duration up to a quarter shorter or longer, so that workers do not march in step.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this file owns chance")]
pub fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(0.75 + fastrand::f64() / 2.0)
}
