//! What must hold at every moment of every story, looked at after every event and every call.
//!
//! A watcher runs inside of whatever call happens to be answered, often in a task of the worker, where a panic would be
//! lost. So it writes down what broke; the story fails with it at its next step, at the latest at its end.
//!
//! ```text
//!   changes.rs    which services changed, and whether a person did it      what the others are told
//!   turnover.rs   the full service changes only when the canary is well and people approved; no more than a batch is
//!                 missing because of the turnover
//!   steps.rs      a step makes at most one deployment; nothing is deployed but by an action in progress
//!   results.rs    each job has one result, each action one end
//!   ends.rs       every action ends in time, no job is held for ever, the percents come back
//!   success.rs    after a success all tasks run the release
//!   rollbacks.rs  after the success of a rollback all tasks run what it decided, under the service's own percents
//!   targets.rs    what a rollback would go back to can still be deployed
//! ```

mod changes;
mod ends;
mod results;
mod rollbacks;
mod steps;
mod success;
mod targets;
mod turnover;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_codepipeline::types::{ActionExecutionStatus, ExecutionType};
use chrono::{DateTime, Utc};
use simulator::codepipeline::{ActionRun, Execution};
use simulator::{Simulator, World};

use super::application::Application;
use changes::Changes;
use ends::Ends;
use results::Results;
use rollbacks::Rollbacks;
use steps::Steps;
use success::Successes;
use targets::Targets;
use turnover::Turnover;

/// How long after an action was abandoned a call of its worker may still arrive: the worker asks right before each act
/// whether it is wanted, and no mutating call takes longer than 25 s.
const UNDER_WAY: Duration = Duration::from_secs(26);

/// What broke, if anything did.
#[derive(Clone, Debug)]
pub(crate) struct Invariants {
    broken: Arc<Mutex<Vec<Broken>>>,
    /// Services whose next change is a person's.
    by_hand: Arc<Mutex<BTreeSet<String>>>,
    /// Services that an operator may roll back from now on.
    rolling: Arc<Mutex<BTreeSet<String>>>,
    /// Services that a worker which wakes may still change, and has to put right.
    late: Arc<Mutex<BTreeSet<String>>>,
    /// Whether workers die: then a second result may come, as long as CodePipeline refuses it.
    deadly: Arc<AtomicBool>,
    seed: u64,
}

/// Something that must hold, and does not.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    /// When.
    pub(crate) at: SystemTime,
    /// The service that it is about, where it is about what was done to one.
    pub(crate) service: Option<String>,
    what: String,
    seed: u64,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = DateTime::<Utc>::from(self.at).format("%F %T%.3f");
        write!(f, "an invariant broke at {date} with seed {}: {}", self.seed, self.what)?;
        self.service.iter().try_for_each(|service| write!(f, "; look at {service}"))
    }
}

/// What a watcher finds broken: about a service, or about an action.
#[derive(Debug)]
struct Finding {
    service: Option<String>,
    what: String,
}

impl Finding {
    fn of(service: &str, what: impl Into<String>) -> Self {
        Self { service: Some(service.to_owned()), what: what.into() }
    }

    fn new(what: impl Into<String>) -> Self {
        Self { service: None, what: what.into() }
    }
}

impl Invariants {
    /// Watches a world for as long as it is there.
    pub(crate) fn watch(simulator: &Simulator, applications: &[&Application]) -> Self {
        let seed = simulator.settings().seed;
        let (broken, by_hand, late, deadly) = (Arc::default(), Arc::default(), Arc::default(), Arc::default());
        let rolling = Arc::default();
        let invariants = Self { broken, by_hand, rolling, late, deadly, seed };
        let mut watchers: Vec<Watcher> = applications.iter().map(|application| Watcher::of(application)).collect();
        let (mut results, told) = (Results::default(), invariants.clone());
        simulator.with_world(|world| {
            world.watch(move |world| {
                let mut expected = told.by_hand.lock().unwrap_or_else(PoisonError::into_inner);
                expected.extend(told.late.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
                let deadly = told.deadly.load(Ordering::Relaxed);
                let mut rolling = told.rolling.lock().unwrap_or_else(PoisonError::into_inner).clone();
                rolling.extend(rolled_back_by_actions(world));
                let mut found: Vec<Finding> = watchers
                    .iter_mut()
                    .flat_map(|watcher| watcher.look(world, &mut expected, &rolling, deadly))
                    .collect();
                found.extend(results.look(world, deadly));
                for finding in found {
                    told.tell(world, finding);
                }
            });
        });
        invariants
    }

    /// A person is about to change a service: its next change is not the worker's.
    pub(crate) fn expect_change(&self, service: &str) {
        self.by_hand.lock().unwrap_or_else(PoisonError::into_inner).insert(service.to_owned());
    }

    /// An operator may roll a service back from now on.
    pub(crate) fn expect_rollback(&self, service: &str) {
        self.rolling.lock().unwrap_or_else(PoisonError::into_inner).insert(service.to_owned());
    }

    /// A worker that wakes may change a service any number of times from now on.
    pub(crate) fn expect_late_calls(&self, service: &str) {
        self.late.lock().unwrap_or_else(PoisonError::into_inner).insert(service.to_owned());
    }

    /// Workers die from now on: what two of them say of one job may come twice, but not be taken twice.
    pub(crate) fn expect_deaths(&self) {
        self.deadly.store(true, Ordering::Relaxed);
    }

    /// What broke since this was asked last.
    pub(crate) fn taken(&self) -> Vec<Broken> {
        std::mem::take(&mut *self.broken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Fails with what broke first.
    pub(crate) fn assert_held(&self) {
        let broken = self.taken().into_iter().next();
        assert!(broken.is_none(), "{}", broken.map(|broken| broken.to_string()).unwrap_or_default());
    }

    /// Fails where an execution has ended without exactly one result for each of its jobs, or its actions.
    pub(crate) fn assert_all_answered(&self, world: &World) {
        self.look_at_results(world);
        self.assert_held();
    }

    /// Looks whether every job of an execution that is over has its one result, and every custom action its one end.
    pub(crate) fn look_at_results(&self, world: &World) {
        if let Err(finding) = results::are_complete(world) {
            self.tell(world, finding);
        }
    }

    fn tell(&self, world: &World, Finding { service, what }: Finding) {
        let broken = Broken { at: world.now, service, what, seed: self.seed };
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).push(broken);
    }
}

/// Watches one application.
#[derive(Debug)]
struct Watcher {
    names: Names,
    changes: Changes,
    turnover: Turnover,
    steps: Steps,
    ends: Ends,
    successes: Successes,
    rollbacks: Rollbacks,
    targets: Targets,
}

/// The two services of an application.
#[derive(Clone, Debug)]
struct Names {
    full: String,
    canary: String,
}

impl Watcher {
    fn of(application: &Application) -> Self {
        Self {
            names: Names { full: application.name.clone(), canary: application.canary_name() },
            changes: Changes::default(),
            turnover: Turnover::of(application),
            steps: Steps::default(),
            ends: Ends::default(),
            successes: Successes::default(),
            rollbacks: Rollbacks::default(),
            targets: Targets,
        }
    }

    fn look(
        &mut self,
        world: &World,
        expected: &mut BTreeSet<String>,
        rolling: &BTreeSet<String>,
        deadly: bool,
    ) -> Vec<Finding> {
        let Self { names, changes, .. } = self;
        let changes = changes.look(world, names, expected, rolling);
        let mut found = Vec::new();
        found.extend(self.turnover.look(world, &self.names, &changes).err());
        found.extend(self.steps.look(world, &self.names, &changes));
        found.extend(self.ends.look(world, &self.names, &changes));
        found.extend(self.successes.look(world, &self.names, &changes, deadly));
        found.extend(self.rollbacks.look(world, &self.names, &changes, deadly));
        found.extend(self.targets.look(world, &self.names, &changes));
        found
    }
}

/// The services that actions in progress may roll back: those that they name, and their canaries.
fn rolled_back_by_actions(world: &World) -> BTreeSet<String> {
    let executions = world.codepipeline.pipelines().flat_map(|pipeline| &pipeline.executions);
    let runs = executions.flat_map(|execution| &execution.actions);
    let acting = runs.filter(|run| run.action_type.provider == "Coalmine-Rollback" && may_act(world, run));
    let named = acting.filter_map(|run| run.resolved.get("Services")).flat_map(|names| names.split(','));
    named.map(str::trim).flat_map(|name| [name.to_owned(), format!("{name}-canary")]).collect()
}

/// All runs of the two actions on an application's services, with their executions.
fn runs<'a>(world: &'a World, names: &'a Names) -> impl Iterator<Item = (&'a Execution, &'a ActionRun)> {
    let executions = world.codepipeline.pipelines().flat_map(|pipeline| &pipeline.executions);
    executions.flat_map(|execution| execution.actions.iter().map(move |run| (execution, run))).filter(
        move |(_, run)| {
            let own = match run.action_type.provider.as_str() {
                "Coalmine-Full" => &names.full,
                "Coalmine-Canary" => &names.canary,
                _ => return false,
            };
            !only_plans(run) && run.resolved.get("Service").and_then(|name| name.rsplit('/').next()) == Some(own)
        },
    )
}

/// Whether a run only says what would be done: it may touch nothing, and is no canary.
fn only_plans(run: &ActionRun) -> bool {
    run.resolved.get("Options").is_some_and(|options| options.contains("mode=plan"))
}

/// Whether a run may act on its services: it is in progress, or was abandoned so lately that a call is under way.
fn may_act(world: &World, run: &ActionRun) -> bool {
    let lately = || world.now.duration_since(run.updated).is_ok_and(|passed| passed <= UNDER_WAY);
    run.status == ActionExecutionStatus::InProgress || (run.status == ActionExecutionStatus::Abandoned && lately())
}

/// Whether somebody approved in the stage of this run, and the canary succeeded; what a retry repeats does not count.
///
/// The canary may have a stage of its own. Where the stage of the turnover alone is rolled back, the execution has none.
fn is_approved(execution: &Execution, run: &ActionRun) -> bool {
    let of = |provider: &str, stage: Option<&str>| {
        let actions =
            execution.actions.iter().filter(|other| other.action_type.provider == provider && !only_plans(other));
        actions.filter(|other| stage.is_none_or(|stage| other.stage == stage)).collect::<Vec<_>>()
    };
    let succeeded = |runs: Vec<&ActionRun>| {
        runs.iter().any(|other| other.status == ActionExecutionStatus::Succeeded && !other.retried)
    };
    let canaries = of("Coalmine-Canary", None);
    let rolled_back_alone = canaries.is_empty() && execution.execution_type() == ExecutionType::Rollback;
    succeeded(of("Manual", Some(&run.stage))) && (rolled_back_alone || succeeded(canaries))
}
