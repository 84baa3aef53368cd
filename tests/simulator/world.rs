//! The world: every service's state, the date, the seed, and what is going to happen.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, SystemTime};

use crate::{cloudwatch, codebuild, codepipeline, ecr, ecs, eventbridge, lambda, logs, s3, scheduler, sts};

/// Something that happens by itself at a date.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A task changes state, the scheduler looks at a service, …
    Ecs(ecs::Event),
    /// A stage moves on, an approval times out, …
    CodePipeline(codepipeline::Event),
    /// An alarm is evaluated.
    CloudWatch(cloudwatch::Event),
    /// An image comes back from the archive.
    Ecr(ecr::Event),
}

type Watcher = Box<dyn FnMut(&World) + Send>;

/// Every service's state at one moment. Handlers change it; [`World::advance`] carries out what is due.
pub struct World {
    /// The date up to which events have been carried out.
    pub now: SystemTime,
    /// The only source of chance.
    pub rng: fastrand::Rng,
    /// The account, twelve digits.
    pub account: String,
    /// The region, `eu-central-1`.
    pub region: String,
    /// Pipelines, executions, jobs, approvals.
    pub codepipeline: codepipeline::State,
    /// Clusters, task definitions, services, tasks.
    pub ecs: ecs::State,
    /// Repositories, images and how they behave when they run.
    pub ecr: ecr::State,
    /// Buckets and objects.
    pub s3: s3::State,
    /// Log groups, streams and lines.
    pub logs: logs::State,
    /// Alarms.
    pub cloudwatch: cloudwatch::State,
    /// Functions.
    pub lambda: lambda::State,
    /// Build projects.
    pub codebuild: codebuild::State,
    /// Event buses, rules and their targets.
    pub eventbridge: eventbridge::State,
    /// Schedules.
    pub scheduler: scheduler::State,
    /// Roles that may be assumed, and that are.
    pub sts: sts::State,
    /// Hosts beside AWS, by name.
    pub hooks: crate::hooks::Hooks,
    queue: BinaryHeap<Reverse<(SystemTime, u64, Event)>>,
    sequence: u64,
    watchers: Vec<Watcher>,
}

impl World {
    pub(crate) fn new(now: SystemTime, seed: u64, account: &str, region: &str) -> Self {
        Self {
            now,
            rng: fastrand::Rng::with_seed(seed),
            account: account.to_owned(),
            region: region.to_owned(),
            codepipeline: Default::default(),
            ecs: Default::default(),
            ecr: ecr::State::new(account, region, now),
            s3: Default::default(),
            logs: Default::default(),
            cloudwatch: Default::default(),
            lambda: Default::default(),
            codebuild: Default::default(),
            eventbridge: Default::default(),
            scheduler: Default::default(),
            sts: Default::default(),
            hooks: Default::default(),
            queue: BinaryHeap::new(),
            sequence: 0,
            watchers: Vec::new(),
        }
    }

    /// The same world without its watchers, to look at what it was like or would become.
    pub(crate) fn copy(&self) -> Self {
        Self {
            now: self.now,
            rng: self.rng.clone(),
            account: self.account.clone(),
            region: self.region.clone(),
            codepipeline: self.codepipeline.clone(),
            ecs: self.ecs.clone(),
            ecr: self.ecr.clone(),
            s3: self.s3.clone(),
            logs: self.logs.clone(),
            cloudwatch: self.cloudwatch.clone(),
            lambda: self.lambda.clone(),
            codebuild: self.codebuild.clone(),
            eventbridge: self.eventbridge.clone(),
            scheduler: self.scheduler.clone(),
            sts: self.sts.clone(),
            hooks: self.hooks.clone(),
            queue: self.queue.clone(),
            sequence: self.sequence,
            watchers: Vec::new(),
        }
    }

    /// Puts an event into the queue, `after` from now. Events of one date happen in the order they were scheduled.
    pub fn schedule(&mut self, after: Duration, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse((self.now + after, self.sequence, event)));
    }

    /// Carries out all that is due up to `date`, calling the watchers after each event.
    pub fn advance(&mut self, date: SystemTime) {
        while self.queue.peek().is_some_and(|Reverse((at, ..))| *at <= date) {
            let Some(Reverse((at, _, event))) = self.queue.pop() else { break };
            self.now = self.now.max(at);
            match event {
                Event::Ecs(event) => ecs::happen(self, event),
                Event::CodePipeline(event) => codepipeline::happen(self, event),
                Event::CloudWatch(event) => cloudwatch::happen(self, event),
                Event::Ecr(event) => ecr::happen(self, event),
            }
            self.changed();
        }
        self.now = self.now.max(date);
    }

    /// When the next event is due, if any.
    #[must_use]
    pub fn next_event(&self) -> Option<SystemTime> {
        self.queue.peek().map(|Reverse((at, ..))| *at)
    }

    /// Adds a watcher: it sees the world after every event and every call, and panics where an invariant broke.
    pub fn watch(&mut self, watcher: impl FnMut(&World) + Send + 'static) {
        self.watchers.push(Box::new(watcher));
    }

    pub(crate) fn changed(&mut self) {
        let mut watchers = std::mem::take(&mut self.watchers);
        for watcher in &mut watchers {
            watcher(self);
        }
        watchers.append(&mut self.watchers);
        self.watchers = watchers;
    }

    /// A duration between two bounds, by chance.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least).as_millis().try_into().unwrap_or(u64::MAX);
        least + Duration::from_millis(self.rng.u64(0..=span))
    }

    /// A random (version 4) UUID from the seed.
    pub fn uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.rng.u128(..).to_be_bytes()).into_uuid().to_string()
    }

    /// Random hex digits from the seed, as ECS uses for task ids.
    pub fn hex(&mut self, digits: usize) -> String {
        std::iter::repeat_with(|| self.rng.digit(16)).take(digits).collect()
    }

    /// `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE`.
    #[must_use]
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account)
    }
}
