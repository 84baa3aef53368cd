//! How fast the janitor calls: a token bucket for each of AWS's, at a part of its rate, because deployments share them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use coalmine_door::clock::{Clock, Time};
use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// A category of calls that AWS limits together, per account and Region.
///
/// ECS: "Request throttling for the Amazon ECS API". What is not published there is assumed to be as slow as the slowest
/// read that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// `ListTaskDefinitions`, `DescribeTaskDefinition`: 20 a second.
    TaskDefinitionRead,
    /// `ListServices`, `DescribeServices`: 20 a second.
    ServiceRead,
    /// `ListServiceDeployments`, `DescribeServiceDeployments`: 20 a second.
    ServiceDeployment,
    /// `DescribeServiceRevisions`: 20 a second.
    ServiceRevision,
    /// `ListTasks`, `DescribeTasks`: 20 a second.
    ClusterResourceRead,
    /// `ListClusters`: 20 a second.
    ClusterRead,
    /// ECS daemons: not published; assumed 10 a second.
    Daemon,
    /// `DescribeImages`, `DescribeRepositories` and the like: not published; assumed 20 a second.
    RegistryRead,
    /// `BatchGetImage`: 2,000 a second, shared with every pull. 20 are enough.
    ImageRead,
    /// `BatchDeleteImage`: not published; assumed 10 a second, as `PutImage`.
    ImageDelete,
    /// Lambda's control plane: "Lambda quotas", 15 a second for all but `GetFunction` and Invoke.
    Lambda,
    /// Lambda's `GetFunction`: 100 a second.
    LambdaFunction,
    /// CodeBuild: not published; assumed 10 a second.
    Build,
    /// EventBridge rules and schedules: 50 a second and more; 20 are enough.
    Events,
}

impl Bucket {
    /// AWS's refill per second, and its burst.
    const fn rate(self) -> (u32, u32) {
        match self {
            Self::TaskDefinitionRead | Self::ServiceDeployment | Self::ServiceRevision | Self::ClusterRead => (20, 50),
            Self::ServiceRead | Self::ClusterResourceRead => (20, 100),
            Self::RegistryRead | Self::Events => (20, 50),
            Self::ImageRead => (20, 20),
            Self::ImageDelete => (10, 20),
            Self::Daemon | Self::Build => (10, 10),
            Self::Lambda => (15, 15),
            Self::LambdaFunction => (100, 100),
        }
    }
}

/// After a throttled call the bucket rests at first this long, then twice as long, up to [`REST_MAX`].
const REST_MIN: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(30);

type Limiter = RateLimiter<NotKeyed, InMemoryState, SinceStart, NoOpMiddleware<Duration>>;

/// The buckets of one account and Region.
#[derive(Debug)]
pub struct Buckets {
    clock: Clock,
    start: Time,
    /// The part of AWS's rates that is used, in percent.
    percent: u32,
    limiters: Mutex<BTreeMap<Bucket, Kept>>,
}

#[derive(Debug)]
struct Kept {
    limiter: Limiter,
    /// Nothing is sent before.
    resting_until: Option<Time>,
    rest: Duration,
}

/// The door's clock as governor wants it.
#[derive(Clone, Debug)]
struct SinceStart(Clock, Time);

impl GovernorClock for SinceStart {
    type Instant = Duration;

    fn now(&self) -> Duration {
        (self.0.now() - self.1).to_std().unwrap_or_default()
    }
}

impl Buckets {
    /// Full buckets, of `percent` of AWS's rates.
    #[must_use]
    pub fn new(clock: &Clock, percent: u32) -> Self {
        Self { clock: clock.clone(), start: clock.now(), percent, limiters: Mutex::default() }
    }

    /// Waits for a token.
    pub async fn take(&self, bucket: Bucket) {
        while let Some(pause) = self.pause(bucket) {
            self.clock.wait(pause).await;
        }
    }

    /// Takes a token, or says how long to wait before asking again.
    fn pause(&self, bucket: Bucket) -> Option<Duration> {
        let now = self.clock.now();
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = limiters.entry(bucket).or_insert_with(|| self.full(bucket));
        if let Some(until) = kept.resting_until
            && until > now
        {
            return (until - now).to_std().ok();
        }
        let since_start = (now - self.start).to_std().unwrap_or_default();
        // governor counts in nanoseconds, sleeping in milliseconds.
        kept.limiter.check().err().map(|not_yet| not_yet.wait_time_from(since_start) + Duration::from_millis(1))
    }

    fn full(&self, bucket: Bucket) -> Kept {
        let (rate, burst) = bucket.rate();
        let part = |of: u32| NonZeroU32::new(of * self.percent / 100).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(part(rate)).allow_burst(part(burst));
        let limiter = RateLimiter::direct_with_clock(quota, SinceStart(self.clock.clone(), self.start));
        Kept { limiter, resting_until: None, rest: REST_MIN }
    }

    /// AWS wants fewer calls: the bucket rests, each time for longer.
    pub fn throttled(&self, bucket: Bucket) {
        let until = self.clock.now();
        if let Some(kept) = self.limiters.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&bucket) {
            kept.resting_until = Some(until + kept.rest);
            kept.rest = (kept.rest * 2).min(REST_MAX);
        }
    }

    /// AWS answered: the next rest is a short one again.
    pub fn answered(&self, bucket: Bucket) {
        if let Some(kept) = self.limiters.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&bucket) {
            kept.rest = REST_MIN;
        }
    }
}
