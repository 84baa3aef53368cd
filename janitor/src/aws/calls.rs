//! Every call goes through here: its token, its repetition while AWS is in trouble, its place in the run's time, its count.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coalmine_door::clock::{Clock, Time};
use coalmine_door::{AwsError, Kind};

use super::buckets::{Bucket, Buckets};

/// How often a call is made that AWS does not answer, each time with the SDK's own retries.
const ATTEMPTS: u32 = 5;
/// The pause before a call is repeated that was not throttled.
const PAUSE: Duration = Duration::from_secs(2);
/// More pages than any list of AWS's has: 1,000,000 images in one repository are 1,000.
const PAGES_MAX: usize = 100_000;

/// How calls are made in one account and Region.
#[derive(Clone, Debug)]
pub struct Calls {
    clock: Clock,
    buckets: Arc<Buckets>,
    /// No call begins after it.
    until: Option<Time>,
    counts: Counts,
}

/// How many calls were made, by operation, over all places of a run.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Counts {
    fn add(&self, operation: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(operation).or_default() += 1;
    }

    /// The counts so far.
    #[must_use]
    pub fn get(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Calls {
    /// Calls at `percent` of AWS's rates; reads that begin before `until`.
    #[must_use]
    pub fn new(clock: &Clock, percent: u32, until: Option<Time>, counts: &Counts) -> Self {
        let buckets = Arc::new(Buckets::new(clock, percent));
        Self { clock: clock.clone(), buckets, until, counts: counts.clone() }
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether the time for such calls is over.
    #[must_use]
    pub fn is_out_of_time(&self) -> bool {
        self.until.is_some_and(|until| self.clock.now() >= until)
    }

    /// How long a call may take that must not go on once the time is over: `most`, and no longer than that.
    #[must_use]
    pub fn time_left(&self, most: Duration) -> Duration {
        let left = self.until.map(|until| (until - self.clock.now()).to_std().unwrap_or_default());
        left.map_or(most, |left| left.min(most))
    }

    fn in_time(&self, operation: &'static str) -> Result<(), AwsError> {
        if self.is_out_of_time() {
            return Err(AwsError::unusable(operation, "its time is over; the next run goes on"));
        }
        Ok(())
    }

    /// The same calls with another end of time, or without.
    #[must_use]
    pub fn with_end(&self, until: Option<Time>) -> Self {
        Self { until, ..self.clone() }
    }

    /// The same calls with so much more time.
    #[must_use]
    pub fn later(&self, by: Duration) -> Self {
        self.with_end(self.until.map(|until| until + by))
    }

    /// Makes a call that may be repeated.
    ///
    /// # Errors
    /// AWS's refusal, or its trouble if that lasts, or that the time for such calls is over.
    pub async fn one<T, F>(
        &self,
        bucket: Bucket,
        operation: &'static str,
        mut send: impl FnMut() -> F,
    ) -> Result<T, AwsError>
    where
        F: Future<Output = Result<T, AwsError>>,
    {
        let mut attempt = 0;
        loop {
            attempt += 1;
            // Before it waits for a token, and after.
            self.in_time(operation)?;
            self.buckets.take(bucket).await;
            self.in_time(operation)?;
            self.counts.add(operation);
            let problem = match send().await {
                Ok(answer) => {
                    self.buckets.answered(bucket);
                    return Ok(answer);
                }
                Err(problem) => problem,
            };
            if !problem.is_passing() || attempt == ATTEMPTS {
                return Err(problem);
            }
            match problem.kind {
                Kind::Throttled => self.buckets.throttled(bucket),
                _ => self.clock.wait(PAUSE).await,
            }
        }
    }

    /// Reads every page of a list. `page` gets the token of the page to read, and gives its items and the next token.
    ///
    /// A short or even empty page ends nothing: only a page without a token does.
    ///
    /// # Errors
    /// As [`Calls::one`], and when the pages go in a circle.
    pub async fn pages<T, F>(
        &self,
        bucket: Bucket,
        operation: &'static str,
        mut page: impl FnMut(Option<String>) -> F,
    ) -> Result<Vec<T>, AwsError>
    where
        F: Future<Output = Result<(Vec<T>, Option<String>), AwsError>>,
    {
        let mut items = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let (found, next) = self.one(bucket, operation, || page(token.clone())).await?;
            items.extend(found);
            match next.filter(|next| !next.is_empty()) {
                None => return Ok(items),
                Some(next) if token.as_ref() == Some(&next) => {
                    return Err(AwsError::unusable(operation, "a page named itself as the next one"));
                }
                Some(next) => token = Some(next),
            }
        }
        Err(AwsError::unusable(operation, format!("the list did not end after {PAGES_MAX} pages")))
    }
}
