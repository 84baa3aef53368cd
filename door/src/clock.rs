//! Time and chance, as the one door to the world gives them.
//!
//! The `SdkConfig`'s time source and sleep implementation rule everything that waits here, so that a simulated account
//! also simulates time. This is the only file that may ask for the date, sleep, or roll dice.
//!
//! A machine's clock may be off, and may be set while a program runs. What it shows here goes by AWS's date as soon as it
//! is heard, and does not go back; and who has to know for how long something holds at most keeps a [`Moment`].

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_smithy_async::rt::sleep::{AsyncSleep, SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource, TimeSource};
use aws_types::SdkConfig;
use chrono::TimeDelta;
use tokio::time::Instant;

/// A date.
pub type Time = chrono::DateTime<chrono::Utc>;

/// How far a clock that was set back is ahead at most, until it has caught up. Beyond it the date that it was set to is
/// taken at once: whoever came from so far ahead has no use for what it thought before.
const AHEAD_MOST: TimeDelta = TimeDelta::minutes(10);

/// The clock of one program; clones are the same one.
#[derive(Clone, Debug)]
pub struct Clock {
    source: SharedTimeSource,
    sleep: SharedAsyncSleep,
    reading: Arc<Mutex<Reading>>,
}

/// What requests are dated by: the machine's clock, as far as it is known to be right.
#[derive(Debug)]
struct Dating(Clock);

impl TimeSource for Dating {
    fn now(&self) -> SystemTime {
        self.0.of_aws(&self.0.reading()).into()
    }
}

/// How the clock was read so far.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    /// How far the machine's clock is behind AWS's, as far as that is known.
    behind: TimeDelta,
    last: Option<Shown>,
}

/// What was shown last, and what the machine's clock said then, as far as it is known to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shown {
    date: Time,
    source: Time,
}

impl Shown {
    /// What is shown next. After the machine's clock was set back it goes on at half the speed until that has caught up:
    /// of two dates the later one was always read later.
    fn next(last: Option<Self>, source: Time) -> Self {
        let Some(last) = last else { return Self { date: source, source } };
        let passed = (source - last.source).max(TimeDelta::zero());
        let slow = last.date + passed / 2;
        let date = if slow - source > AHEAD_MOST { source } else { slow.max(source) };
        Self { date, source }
    }
}

/// How far a machine's clock is behind AWS's, where it was taken to be `behind` and AWS dated a reply between two dates of
/// the machine's. What may be so stays as it is: of a clock that is right nothing changes.
fn heard(behind: TimeDelta, aws: Time, (sent, received): (Time, Time)) -> TimeDelta {
    // AWS dates by whole seconds.
    let (least, most) = (aws - received, aws + TimeDelta::seconds(1) - sent);
    // Set back while the call was under way, it tells nothing.
    if least > most { behind } else { behind.clamp(least, most) }
}

/// When something was, by the date and by the program's own time.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    date: Time,
    instant: Instant,
}

impl Clock {
    /// The clock that the door carries; the system's where it carries none.
    #[must_use]
    pub fn of(door: &SdkConfig) -> Self {
        Self {
            source: door.time_source().unwrap_or_else(|| SharedTimeSource::new(SystemTimeSource::new())),
            sleep: door.sleep_impl().unwrap_or_else(|| SharedAsyncSleep::new(TokioSleep::new())),
            reading: Arc::default(),
        }
    }

    /// The date.
    #[must_use]
    pub fn now(&self) -> Time {
        let mut reading = self.reading();
        let next = Shown::next(reading.last, self.of_aws(&reading));
        reading.last = Some(next);
        next.date
    }

    /// The door, whose requests are dated by this clock from now on: AWS refuses what is more than five minutes off.
    #[must_use]
    pub fn dating(&self, door: &SdkConfig) -> SdkConfig {
        door.to_builder().time_source(SharedTimeSource::new(Dating(self.clone()))).build()
    }

    fn of_aws(&self, reading: &Reading) -> Time {
        self.of_machine() + reading.behind
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The date of the machine's own clock, for [`Clock::hear`].
    #[must_use]
    pub fn of_machine(&self) -> Time {
        self.source.now().into()
    }

    /// Goes by AWS's date, which the reply bears to a call that was sent at `sent` by the machine's clock.
    pub fn hear(&self, aws: Time, sent: Time) {
        let received = self.of_machine();
        let mut reading = self.reading();
        reading.behind = heard(reading.behind, aws, (sent, received));
    }

    /// This moment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this file owns time")]
    pub fn moment(&self) -> Moment {
        Moment { date: self.now(), instant: Instant::now() }
    }

    /// How long ago a moment was, or longer, where the clock was set ahead since: a machine that slept tells it by the
    /// date, one whose clock was set back by the program's own time.
    #[must_use]
    pub fn age(&self, moment: Moment) -> Duration {
        let by_date = (self.now() - moment.date).to_std().unwrap_or_default();
        by_date.max(moment.instant.elapsed())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_timestamp(1_800_000_000 + seconds, 0).expect("a date")
    }

    /// What is shown while the machine's clock shows one date after the other.
    fn shown(dates: &[i64]) -> Vec<i64> {
        let mut last = None;
        let mut next = |date: &i64| {
            let shown = Shown::next(last, at(*date));
            last = Some(shown);
            (shown.date - at(0)).num_seconds()
        };
        dates.iter().map(&mut next).collect()
    }

    #[test]
    fn a_clock_that_nobody_sets_is_shown_as_it_is() {
        assert_eq!(shown(&[0, 0, 1, 60, 60, 86_400]), [0, 0, 1, 60, 60, 86_400]);
    }

    #[test]
    fn a_clock_that_is_set_ahead_is_believed_and_one_that_is_set_back_never_goes_back() {
        assert_eq!(shown(&[0, 300, 301]), [0, 300, 301]);
        // Set back by 100 s: at half the speed for 200 s.
        assert_eq!(shown(&[100, 0, 0, 10, 50, 199, 200, 201, 300]), [100, 100, 100, 105, 125, 199, 200, 201, 300]);
        assert_eq!(shown(&[100, 0, 10, 0, 10]), [100, 100, 105, 105, 110], "set back twice");
    }

    #[test]
    fn a_clock_goes_by_the_date_of_aws_where_it_cannot_be_right() {
        let seconds = TimeDelta::seconds;
        // AWS stamps the reply with 100 in between; `behind` is what was known before.
        for (behind, sent, received, expected) in [
            (0, 100, 100, 0),
            (0, 99, 101, 0),
            (0, 101, 101, 0),
            (0, 80, 105, 0),
            (0, 340, 340, -239),
            (-239, 340, 340, -239),
            (0, -140, -139, 239),
            (300, 99, 101, 2),
            (0, 400, 90, 0),
        ] {
            let found = heard(seconds(behind), at(100), (at(sent), at(received)));
            assert_eq!(found, seconds(expected), "{behind} {sent} {received}");
        }
    }

    #[test]
    fn a_clock_that_came_from_far_ahead_is_believed_at_once() {
        assert_eq!(shown(&[86_400, 0, 1]), [86_400, 0, 1]);
        assert_eq!(shown(&[600, 0, 10]), [600, 600, 605]);
        assert_eq!(shown(&[601, 0, 10]), [601, 0, 10]);
    }
}
