//! The worker's life: polls for jobs, takes a turn at each, and hands everything back when it is told to stop.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_types::SdkConfig;
use coalmine_pipeline::{ActionType, action_type};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{Instrument, info, info_span, warn};

use crate::aws::codepipeline::Job;
use crate::aws::error::AwsError;
use crate::clock::jittered;
use crate::tools::Tools;
use crate::turn;

/// The pause between polls while there is work. CodePipeline publishes no rate for its calls: one a second and action
/// type stays well within what is known to be admitted.
const POLL_MIN: Duration = Duration::from_secs(1);
/// The pause between polls when nothing has come for a while.
const POLL_MAX: Duration = Duration::from_secs(10);
/// How long the continuation of a job that was handed back is polled for without growing pauses.
const CONTINUATION: Duration = Duration::from_secs(30);
/// The pause after a poll that was refused: the action type is not provisioned yet, or a permission is missing.
const POLL_REFUSED: Duration = Duration::from_secs(30);
/// How long a stopping worker waits for its turns to hand their jobs back. ECS kills a task 30 seconds after SIGTERM.
const DRAIN: Duration = Duration::from_secs(9);
/// At most this many jobs are polled at once, so that each can be acknowledged at once.
const BATCH_MAX: usize = 10;

/// How a worker works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The pool whose jobs it takes: the value of the pipelines' `Pool` property.
    pub pool: String,
    /// How many jobs it holds at a time.
    pub slots: usize,
    /// How long a turn holds a job before it hands it back.
    pub linger: Duration,
}

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Every job was handed back.
    Drained,
    /// Some jobs could not be handed back in time.
    Left(usize),
}

/// Works until `stop` is done.
///
/// `door` is the one way to the outside: HTTP client, credentials, retries, time source and sleep.
pub async fn run(door: &SdkConfig, settings: &Settings, stop: impl Future<Output = ()>) -> Stopped {
    let tools = Arc::new(Tools::new(door, settings.linger));
    let (stopping, told) = watch::channel(false);
    let slots = Arc::new(Semaphore::new(settings.slots.max(1)));
    let mut pollers = JoinSet::new();
    let turns = Arc::new(tokio::sync::Mutex::new(JoinSet::new()));
    for action_type in action_type::implemented() {
        let poller = Poller {
            tools: Arc::clone(&tools),
            action_type,
            pool: settings.pool.clone(),
            slots: Arc::clone(&slots),
            turns: Arc::clone(&turns),
            stopping: told.clone(),
        };
        pollers.spawn(poller.run().instrument(info_span!("poll", provider = action_type.provider)));
    }
    let observer = tools.observer.clone();
    let observing = tokio::spawn(async move { observer.run().await });
    info!(pool = settings.pool, slots = settings.slots, "the worker takes jobs");
    stop.await;
    info!("the worker stops: handing its jobs back");
    let _ = stopping.send(true);
    let drained = tools
        .clock
        .limit(DRAIN, async {
            while pollers.join_next().await.is_some() {}
            let mut turns = turns.lock().await;
            while turns.join_next().await.is_some() {}
        })
        .await;
    observing.abort();
    match drained {
        Some(()) => Stopped::Drained,
        None => Stopped::Left(turns.try_lock().map_or(1, |turns| turns.len())),
    }
}

/// Polls one action type.
struct Poller {
    tools: Arc<Tools>,
    action_type: &'static ActionType,
    pool: String,
    slots: Arc<Semaphore>,
    turns: Arc<tokio::sync::Mutex<JoinSet<()>>>,
    stopping: watch::Receiver<bool>,
}

impl Poller {
    async fn run(mut self) {
        let mut pause = POLL_MIN;
        let mut refused = String::new();
        while !*self.stopping.borrow() {
            pause = match self.poll().await {
                Ok(0) if !self.tools.handed_back.within(CONTINUATION, self.tools.clock.now()) => {
                    (pause * 2).min(POLL_MAX)
                }
                Ok(_) => POLL_MIN,
                Err(problem) if problem.is_passing() => {
                    warn!(error = %problem, "polling for jobs failed; trying again");
                    POLL_MAX
                }
                Err(problem) => {
                    // Told once, not at every poll.
                    if refused != problem.code {
                        warn!(error = %problem, "polling for jobs was refused: is the action type provisioned, and may this role poll it?");
                        refused.clone_from(&problem.code);
                    }
                    POLL_REFUSED
                }
            };
            tokio::select! {
                biased;
                _ = self.stopping.changed() => {}
                () = self.tools.handed_back.next() => pause = POLL_MIN,
                () = self.tools.clock.wait(jittered(pause)) => {}
            }
        }
    }

    /// Takes as many jobs as there are free slots, acknowledges each and starts its turn; says how many came.
    async fn poll(&self) -> Result<usize, AwsError> {
        let free = self.slots.available_permits().min(BATCH_MAX);
        if free == 0 {
            // Nothing can be taken, but a slot may be free in a moment.
            return Ok(1);
        }
        let most = i32::try_from(free).unwrap_or(1);
        let jobs = self.tools.codepipeline.poll(self.action_type, &self.pool, most).await?;
        let count = jobs.len();
        for job in jobs {
            self.start(job).await;
        }
        Ok(count)
    }

    async fn start(&self, job: Job) {
        // A job that finds no slot is not acknowledged: CodePipeline offers it again.
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else { return };
        let span = info_span!(
            "job",
            job = job.id,
            pipeline = job.context.pipeline,
            execution = job.context.execution,
            action = job.context.action
        );
        match self.tools.codepipeline.acknowledge(&job).instrument(span.clone()).await {
            Ok(true) => {}
            Ok(false) => return tracing::debug!(parent: &span, "another worker has the job"),
            Err(problem) => return warn!(parent: &span, error = %problem, "the job could not be acknowledged"),
        }
        let (tools, stopping) = (Arc::clone(&self.tools), self.stopping.clone());
        let mut turns = self.turns.lock().await;
        while turns.try_join_next().is_some() {}
        turns.spawn(
            async move {
                turn::take(tools, job, stopping).await;
                drop(slot);
            }
            .instrument(span),
        );
    }
}
