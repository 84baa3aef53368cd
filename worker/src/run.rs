//! The worker's life: polls for jobs, takes a turn at each, and hands everything back when it is told to stop.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_types::SdkConfig;
use coalmine_pipeline::{ActionType, action_type};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{Instrument, debug, error, info, info_span, warn};

use crate::adopt::{self, Peers};
use crate::aws::codepipeline::Job;
use crate::deploy::progress::Progress;
use crate::health;
use crate::health::judge::Part;
use crate::health::pulse::PartPulse;
use crate::in_hand::{Grip, InHand};
use crate::ledger::canaries;
use crate::ledger::held::HeldError;
use crate::ledger::lease::Lease;
use crate::ledger::orphans::RENEWAL;
use crate::tell::{Errands, Telling};
use crate::tools::Tools;
use crate::turn;
use coalmine_door::AwsError;
use coalmine_door::clock::{fresh_name, jittered};
use coalmine_door::store::Location;

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
const DRAIN: Duration = Duration::from_secs(8);
/// How long a stopping worker takes to clear its object in the ledger away, and then to tell others what it has not yet.
const LAST_WORD: Duration = Duration::from_millis(900);
/// The pause before an acknowledgement is sent again whose reply was lost.
const ACKNOWLEDGE_AGAIN: Duration = Duration::from_secs(1);
/// How often that is tried.
const ACKNOWLEDGEMENTS: usize = 3;
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
    /// Where the ledger is.
    pub ledger: Location,
    /// Who is told what happens to releases.
    pub telling: Telling,
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
    work(door, settings, None, stop).await
}

/// As [`run`], and answers health checks on `listener` meanwhile.
pub async fn run_listening(
    door: &SdkConfig,
    settings: &Settings,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Stopped {
    work(door, settings, Some(listener), stop).await
}

async fn work(
    door: &SdkConfig,
    settings: &Settings,
    listener: Option<TcpListener>,
    stop: impl Future<Output = ()>,
) -> Stopped {
    let tools = Tools::new(door, settings.linger, &settings.ledger);
    let (tools, errands) = tools.telling(&settings.telling);
    let tools = Arc::new(tools);
    let mut errands: JoinSet<()> = errands.into_iter().map(Errands::run).collect();
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
            in_hand: InHand::default(),
            stopping: told.clone(),
            pulse: tools.pulse.of(Part::Poll(action_type.provider, action_type.version)),
        };
        pollers.spawn(poller.run().instrument(info_span!("poll", provider = action_type.provider)));
    }
    let lease = Lease::new(tools.held.store().clone(), tools.clock.clone(), canaries::LEASE, &fresh_name());
    let pulse = tools.pulse.of(Part::Watch);
    pollers.spawn(crate::watch::run(Arc::clone(&tools), Arc::new(lease), pulse, told.clone()));
    let observer = tools.observer.clone();
    let mut beside = JoinSet::new();
    let pulse = tools.pulse.of(Part::Observer);
    beside.spawn(async move { observer.run(pulse).await });
    beside.spawn(renew(Arc::clone(&tools), tools.pulse.of(Part::Renewal)));
    beside.spawn(look_after_peers(Arc::clone(&tools), Peers::new(tools.pulse.of(Part::Peers))));
    if let Some(listener) = listener {
        beside.spawn(health::serve(listener, Arc::clone(&tools), settings.ledger.clone()));
    }
    info!(pool = settings.pool, slots = settings.slots, ledger = %settings.ledger, "the worker takes jobs");
    stop.await;
    info!("the worker stops: handing its jobs back");
    tools.pulse.stops();
    let _ = stopping.send(true);
    let drained = tools
        .clock
        .limit(DRAIN, async {
            while pollers.join_next().await.is_some() {}
            let mut turns = turns.lock().await;
            while turns.join_next().await.is_some() {}
        })
        .await;
    beside.abort_all();
    // What was handed back needs no peer to look after it.
    let _ = tools.clock.limit(LAST_WORD, tools.held.renew()).await;
    tools.teller.end();
    let _ = tools.clock.limit(LAST_WORD, errands.join_next()).await;
    // Also jobs of a dead worker that could not be given back yet: a peer has to look after them.
    let still_held = tools.held.jobs().len();
    if drained.is_some() {
        return if still_held == 0 { Stopped::Drained } else { Stopped::Left(still_held) };
    }
    // A poll that was not answered may have kept the turns from being counted: those that have ended left nothing.
    pollers.abort_all();
    let mut turns = turns.lock().await;
    while turns.try_join_next().is_some() {}
    match turns.len().max(tools.held.jobs().len()) {
        0 => Stopped::Drained,
        left => Stopped::Left(left),
    }
}

/// Polls one action type.
struct Poller {
    tools: Arc<Tools>,
    action_type: &'static ActionType,
    pool: String,
    slots: Arc<Semaphore>,
    turns: Arc<tokio::sync::Mutex<JoinSet<()>>>,
    in_hand: InHand,
    stopping: watch::Receiver<bool>,
    pulse: PartPulse,
}

impl Poller {
    async fn run(mut self) {
        let mut pause = POLL_MIN;
        let mut refused = String::new();
        let continuations = self.tools.handed_back.of(self.action_type);
        while !*self.stopping.borrow() {
            let polled = self.poll().await;
            self.pulse.went_round(polled.as_ref().err().map(AwsError::brief));
            pause = match polled {
                Ok(0) if !continuations.within(CONTINUATION, self.tools.clock.now()) => (pause * 2).min(POLL_MAX),
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
                () = continuations.next() => pause = POLL_MIN,
                () = self.tools.clock.wait(jittered(pause)) => {}
            }
        }
    }

    /// Takes as many jobs as there are free slots, acknowledges each and starts its turn; says how many came.
    async fn poll(&self) -> Result<usize, AwsError> {
        let free = self.slots.available_permits().min(BATCH_MAX);
        if self.tools.held.is_in_trouble() {
            return Ok(0);
        }
        if free == 0 {
            // Nothing can be taken, but a slot may be free in a moment.
            return Ok(1);
        }
        let most = i32::try_from(free).unwrap_or(1);
        let jobs = self.tools.codepipeline.poll(self.action_type, &self.pool, most).await?;
        let jobs: Vec<(Grip, Job)> = jobs.into_iter().filter_map(|job| Some((self.grip(&job)?, job))).collect();
        let count = jobs.len();
        let now = self.tools.clock.now().timestamp();
        let intents = jobs.iter().map(|(_, job)| (job.id.clone(), first_token(job, now), place(job))).collect();
        if count > 0
            && let Err(problem) = self.tools.held.intend(intents).await
        {
            // Jobs that are not acknowledged are offered again, to any worker.
            warn!(error = %problem, "the ledger cannot be written: no job is taken");
            return Ok(0);
        }
        for (grip, job) in jobs {
            self.start(grip, job).await;
        }
        Ok(count)
    }

    /// Takes a job in hand. One that this worker is at already is left: what becomes of it is its turn's to say.
    fn grip(&self, job: &Job) -> Option<Grip> {
        let grip = self.in_hand.take(&job.id);
        if grip.is_none() {
            debug!(job = job.id, "a job was offered once more that this worker is at already");
        }
        grip
    }

    async fn start(&self, grip: Grip, job: Job) {
        let span = info_span!(
            "job",
            job = job.id,
            pipeline = job.context.pipeline,
            execution = job.context.execution,
            action = job.context.action
        );
        // A job that finds no slot is not acknowledged: CodePipeline offers it again.
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else { return self.tools.held.release(&job.id) };
        let (tools, stopping) = (Arc::clone(&self.tools), self.stopping.clone());
        let mut turns = self.turns.lock().await;
        while turns.try_join_next().is_some() {}
        turns.spawn(
            async move {
                if acknowledge(&tools, &job).await {
                    tools.held.hold(&job.id);
                    visit(&tools, job, stopping).await;
                } else {
                    tools.held.release(&job.id);
                }
                drop((grip, slot));
            }
            .instrument(span),
        );
    }
}

/// Acknowledges a job; whether it is ours. A lost reply is asked for again with the same nonce; where that does not
/// tell, the job is given back, unless another worker names it as its own.
async fn acknowledge(tools: &Tools, job: &Job) -> bool {
    let mut unsure = false;
    for _ in 0..ACKNOWLEDGEMENTS {
        match tools.codepipeline.acknowledge(job).await {
            Ok(true) => return true,
            Ok(false) if !unsure => {
                debug!("another worker has the job");
                return false;
            }
            Ok(false) => break,
            Err(problem) if problem.is_passing() => {
                warn!(error = %problem, "the job may or may not have been acknowledged; asking again");
                unsure = true;
                tools.clock.wait(ACKNOWLEDGE_AGAIN).await;
            }
            Err(problem) if unsure => {
                warn!(error = %problem, "the job may have been acknowledged, but cannot be asked for");
                break;
            }
            Err(problem) => {
                warn!(error = %problem, "the job could not be acknowledged");
                return false;
            }
        }
    }
    adopt::give_back_unsure(tools, job, &first_token(job, tools.clock.now().timestamp())).await;
    false
}

/// One visit, whose panic is the job's failure and not the worker's.
async fn visit(tools: &Arc<Tools>, job: Job, stopping: watch::Receiver<bool>) {
    // A set of one: it ends with this future, where a task alone would go on without its worker.
    let mut turn = JoinSet::new();
    turn.spawn(turn::take(Arc::clone(tools), job.clone(), stopping).in_current_span());
    if let Some(Err(problem)) = turn.join_next().await
        && problem.is_panic()
    {
        error!("a turn panicked: the job fails, the worker goes on");
        turn::panicked(tools, &job).await;
    }
}

/// Keeps this worker's object in the ledger fresh.
async fn renew(tools: Arc<Tools>, pulse: PartPulse) {
    loop {
        let renewed = tools.held.renew().await;
        if let Err(problem) = &renewed {
            warn!(error = %problem, "this worker's jobs could not be noted in the ledger");
        }
        pulse.went_round(renewed.err().map(|problem| match problem {
            HeldError::Store(problem) => problem.brief(),
            other => other.to_string(),
        }));
        tools.clock.wait(RENEWAL).await;
    }
}

/// Gives the jobs of dead workers back.
async fn look_after_peers(tools: Arc<Tools>, mut peers: Peers) {
    loop {
        tools.clock.wait(jittered(RENEWAL)).await;
        peers.look(&tools).await;
    }
}

/// What gives a job back that has made no progress yet.
fn first_token(job: &Job, now: i64) -> String {
    job.token.clone().unwrap_or_else(|| Progress::begin(now).to_token())
}

fn place(job: &Job) -> String {
    format!("{}/{}/{} of {}", job.context.pipeline, job.context.stage, job.context.action, job.context.execution)
}
