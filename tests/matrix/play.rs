//! A tale, told in a world of its own.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use simulator::faults::{Fault, FaultPlan, Rule, SentCall};
use simulator::{Settings, Simulator, Skew};
use tokio::runtime::Builder;

use crate::end::{End, ServiceEnd, end, messages, untouched};
use crate::stage::story::prepare;
use crate::stage::{Story, WORKER_KEY, Worker, settings};
use crate::tales::Tale;

/// The access key of the second worker.
pub(crate) const PEER_KEY: &str = "AKIAPEER";

/// How far reads may lag behind writes.
pub(crate) const LAG: Duration = Duration::from_secs(30);

/// How soon a worker that died is started again.
const RESTART: Duration = Duration::from_secs(5);

/// How long the services may take to come to rest after the pipeline has ended.
const REST: Duration = Duration::from_secs(30 * 60);

/// How long what comes late may take after that: longer than the longest freeze.
const AFTERWARDS: Duration = Duration::from_secs(120);

/// Who works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cast {
    /// One worker; dead, it is started again after a few seconds, with nothing but the ledger.
    One,
    /// Two workers from the start.
    Two,
    /// One worker, whose lists come in pages of one item.
    OneOnShortPages,
}

/// What disturbs a tale.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disturbance {
    /// What goes wrong.
    pub(crate) plan: Option<FaultPlan>,
    /// How far the workers' clocks are off.
    pub(crate) skew: Skew,
}

impl Disturbance {
    /// One plan of faults.
    pub(crate) fn of(plan: FaultPlan) -> Self {
        Self { plan: Some(plan), skew: Skew::None }
    }
}

/// The calls that each worker made which made any: of two workers either may have done most of the work.
pub(crate) type Calls = BTreeMap<&'static str, Vec<SentCall>>;

/// What the workers have called until now.
pub(crate) fn calls_of(simulator: &Simulator, workers: &[&'static str]) -> Calls {
    let calls = workers.iter().map(|worker| (*worker, simulator.calls_of(worker)));
    calls.filter(|(_, calls)| !calls.is_empty()).collect()
}

/// A tale that was told to its end.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    /// How it ended.
    pub(crate) end: End,
    /// What its actions failed with.
    pub(crate) messages: Vec<String>,
    /// The services before anything happened.
    pub(crate) before: BTreeMap<String, ServiceEnd>,
    /// The workers' calls until the last execution ended.
    pub(crate) calls: Calls,
    /// The date of its begin.
    pub(crate) begin: SystemTime,
}

impl Played {
    /// The calls of the first worker, where it works alone.
    pub(crate) fn calls_of_one(&self) -> &[SentCall] {
        self.calls.get(WORKER_KEY).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Tells a tale.
///
/// # Errors
/// What it failed with, where it did not come to an end or broke what must always hold.
pub(crate) fn play(tale: Tale, cast: Cast, disturbance: &Disturbance) -> Result<Played, String> {
    // A runtime of its own: whatever a dead worker has left behind ends with it.
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    catch_unwind(AssertUnwindSafe(|| runtime.block_on(tell(tale, cast, disturbance)))).map_err(said)
}

/// A tale without any disturbance, told once per process.
pub(crate) fn undisturbed(tale: Tale, cast: Cast) -> Arc<Played> {
    type Told = BTreeMap<(Tale, Cast), Arc<OnceLock<Arc<Played>>>>;
    static TOLD: Mutex<Told> = Mutex::new(BTreeMap::new());
    let cell = TOLD.lock().unwrap_or_else(PoisonError::into_inner).entry((tale, cast)).or_default().clone();
    let played = cell.get_or_init(|| {
        let played = play(tale, cast, &Disturbance::default()).expect("the undisturbed tale comes to its end");
        let said = &played.messages;
        assert_eq!(played.end.to_string(), tale.moral(), "the undisturbed end of {tale:?}, {cast:?}: {said:#?}");
        Arc::new(played)
    });
    Arc::clone(played)
}

async fn tell(tale: Tale, cast: Cast, disturbance: &Disturbance) -> Played {
    let app = tale.application();
    let simulator = Simulator::new(Settings::seeded(31));
    tale.prepare(&simulator);
    // What comes first goes first: the fault that is tried, then what is so all the time.
    if let Some(plan) = &disturbance.plan {
        simulator.inject(plan.clone());
    }
    if cast == Cast::OneOnShortPages {
        simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::ShortPage(1)).caller(WORKER_KEY)));
    }
    let built = [app.clone()];
    let story = Story::without_worker(simulator.clone(), &[&app], |world| prepare(world, &built, true));
    story.expect_deaths();
    let before = untouched(&story, &app).await;
    let execution = tale.begin(&story, &app).await;
    // What was pushed just now may not be seen yet.
    story.pass(LAG).await;
    let begin = story.now();
    let start = |key: &str| Worker::start_skewed(&simulator, key, settings("default", 20), disturbance.skew);
    // Kept to the end: who lets go of a worker stops it.
    let _worker = start(WORKER_KEY);
    let _peer = (cast == Cast::Two).then(|| start(PEER_KEY));
    let (again, skew) = (simulator.clone(), disturbance.skew);
    let _restarted = tokio::spawn(async move {
        if cast == Cast::Two {
            return None;
        }
        again.until_death(WORKER_KEY).await;
        again.clock().wait(RESTART).await;
        Some(Worker::start_skewed(&again, PEER_KEY, settings("default", 20), skew))
    });
    tale.tell(&story, &app, execution).await;
    let calls = calls_of(&simulator, &[WORKER_KEY, PEER_KEY]);
    come_to_rest(&story, &[&app.name, &app.canary_name()]).await;
    story.pass(AFTERWARDS).await;
    let messages = story.world(|world| messages(world, &app));
    Played { end: end(&story, &app).await, messages, before, calls, begin }
}

/// Waits until the services run what they are told to run, or for long enough.
async fn come_to_rest(story: &Story, services: &[&str]) {
    let begin = story.now();
    let rests = |name: &str| {
        let view = story.view(name);
        !view.deployment_status.ends_with("IN_PROGRESS") && view.new_and_old() == (view.desired as usize, 0)
    };
    while !services.iter().all(|name| rests(name)) && story.now() < begin + REST {
        story.pass(Duration::from_secs(1)).await;
    }
}

/// What a panic said.
pub(crate) fn said(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().map_or_else(|| "a panic".to_owned(), |text| (*text).to_owned()),
    }
}
