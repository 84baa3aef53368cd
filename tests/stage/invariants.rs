//! What must hold at every moment of every story, looked at after every event and every call.
//!
//! A watcher runs inside of whatever call happens to be answered, often in a task of the worker, where a panic would be
//! lost. So it writes down what broke first; the story fails with it at its next step, at the latest at its end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_codepipeline::types::{ActionExecutionStatus, JobStatus, PipelineExecutionStatus};
use chrono::{DateTime, Utc};
use serde_json::Value;
use simulator::codepipeline::{ActionRun, Execution, JobResult};
use simulator::ecs::TaskStatus;
use simulator::{Simulator, World};

use super::application::{Application, CLUSTER};

/// What broke first, if anything did.
#[derive(Clone, Debug)]
pub(crate) struct Invariants {
    broken: Arc<Mutex<Option<String>>>,
    /// Full services whose present state a person made: it counts as untouched.
    by_hand: Arc<Mutex<BTreeSet<String>>>,
    /// Whether workers die: then a second result may come, as long as CodePipeline refuses it.
    deadly: Arc<AtomicBool>,
    seed: u64,
}

impl Invariants {
    /// Watches a world for as long as it is there.
    pub(crate) fn watch(simulator: &Simulator, applications: &[&Application]) -> Self {
        let (broken, by_hand) = (Arc::default(), Arc::default());
        let invariants = Self { broken, by_hand, deadly: Arc::default(), seed: simulator.settings().seed };
        let mut watchers: Vec<Watcher> = applications.iter().map(|application| Watcher::of(application)).collect();
        let told = invariants.clone();
        simulator.with_world(|world| {
            world.watch(move |world| {
                let mut expected = told.by_hand.lock().unwrap_or_else(PoisonError::into_inner);
                for watcher in &mut watchers {
                    if let Err(broken) = watcher.look(world, &mut expected) {
                        told.tell(world, &broken);
                    }
                }
                if let Err(broken) = results_are_single(world, told.deadly.load(Ordering::Relaxed)) {
                    told.tell(world, &broken);
                }
            });
        });
        invariants
    }

    /// A person is about to change a full service: what its next change makes of it is what a release must not change.
    pub(crate) fn expect_change(&self, full: &str) {
        self.by_hand.lock().unwrap_or_else(PoisonError::into_inner).insert(full.to_owned());
    }

    /// Workers die from now on: what two of them say of one job may come twice, but not be taken twice.
    pub(crate) fn expect_deaths(&self) {
        self.deadly.store(true, Ordering::Relaxed);
    }

    /// Fails with what broke.
    pub(crate) fn assert_held(&self) {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner).take();
        assert!(broken.is_none(), "{}", broken.unwrap_or_default());
    }

    /// Fails where an execution has ended without exactly one result for each of its jobs, or its actions.
    pub(crate) fn assert_all_answered(&self, world: &World) {
        if let Err(broken) = results_are_complete(world) {
            self.tell(world, &broken);
        }
        self.assert_held();
    }

    fn tell(&self, world: &World, what: &str) {
        let date = DateTime::<Utc>::from(world.now).format("%F %T%.3f");
        let text = format!("an invariant broke at {date} with seed {}: {what}", self.seed);
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
    }
}

/// What a release must not change before its second approval: task definition, deployment, percents.
type Shape = (String, String, (i32, i32));

/// Container → the digests that are the release: its index's and the index's children's.
type Release = BTreeMap<String, BTreeSet<String>>;

/// Watches the full service of one application.
#[derive(Debug)]
struct Watcher {
    full: String,
    rebalancing: bool,
    untouched: Option<Shape>,
    /// What each execution's canary was started with, by execution.
    releases: BTreeMap<String, Release>,
    /// Full actions that ended well and were looked at.
    proven: BTreeSet<String>,
}

impl Watcher {
    fn of(application: &Application) -> Self {
        Self {
            full: application.name.clone(),
            rebalancing: application.rebalancing,
            untouched: None,
            releases: BTreeMap::new(),
            proven: BTreeSet::new(),
        }
    }

    /// `expected`: the full services that a person is about to change.
    fn look(&mut self, world: &World, expected: &mut BTreeSet<String>) -> Result<(), String> {
        let Some(service) = world.ecs.outline(CLUSTER, &self.full) else { return Ok(()) };
        self.learn_releases(world);
        let approved = runs(world, "Coalmine-Full", &self.full)
            .find(|(execution, run)| run.status == ActionExecutionStatus::InProgress && is_approved(execution, run));
        let shape = (service.task_definition, service.primary, service.percents);
        match (approved, &self.untouched) {
            (Some((_, run)), _) => {
                self.untouched = Some(shape);
                let missing = service.shortfall.turnover;
                let batch = self.batch(run, service.desired);
                if missing > batch {
                    let (full, desired) = (&self.full, service.desired);
                    return Err(format!(
                        "{missing} of {desired} tasks of {full} are missing because of the turnover, at most {batch} may be"
                    ));
                }
            }
            (None, None) => self.untouched = Some(shape),
            (None, Some(before)) if *before != shape && expected.remove(&self.full) => self.untouched = Some(shape),
            (None, Some(before)) if *before != shape => {
                return Err(format!(
                    "full service {} was changed without an approval: from {before:?} to {shape:?}",
                    self.full
                ));
            }
            (None, Some(_)) => {}
        }
        self.full_runs_the_release(world)
    }

    /// How many tasks may be missing: `max(1, floor(N × batch))`, and none where new tasks come first.
    fn batch(&self, full: &ActionRun, desired: u32) -> u32 {
        let options = full.resolved.get("Options").map(String::as_str).unwrap_or_default();
        if desired <= 1 || self.rebalancing || options.replace(' ', "").contains("surge=true") {
            return 0;
        }
        let percent = full
            .resolved
            .get("Batch")
            .map_or(10, |batch| batch.trim_end_matches('%').parse().expect("the stories' batches are whole percents"));
        (desired * percent / 100).max(1)
    }

    /// The tag may move while people think: what counts is what it named when the canary was started.
    fn learn_releases(&mut self, world: &World) {
        let canary = format!("{}-canary", self.full);
        for (execution, run) in runs(world, "Coalmine-Canary", &canary) {
            if !self.releases.contains_key(&execution.id)
                && let Some(release) = release(world, run)
            {
                self.releases.insert(execution.id.clone(), release);
            }
        }
    }

    fn full_runs_the_release(&mut self, world: &World) -> Result<(), String> {
        for (execution, run) in runs(world, "Coalmine-Full", &self.full) {
            if run.status != ActionExecutionStatus::Succeeded || !self.proven.insert(run.id.clone()) {
                continue;
            }
            let release =
                self.releases.get(&execution.id).ok_or("a release went to the full service without a canary")?;
            let service = world.ecs.view(CLUSTER, &self.full).ok_or("the full service is gone")?;
            let mut running = 0;
            for task in service.tasks.iter().filter(|task| task.stopped.is_none()) {
                running += u32::from(task.status == TaskStatus::Running);
                let foreign = task.digests.iter().find(|(container, digest)| {
                    let (expected, digest) = (release.get(container), digest.as_ref());
                    expected.zip(digest).is_some_and(|(expected, digest)| !expected.contains(digest))
                });
                if task.revision != service.primary || foreign.is_some() {
                    let (full, id, foreign) = (&self.full, &task.id, foreign.unwrap_or(&task.digests[0]));
                    return Err(format!("Full of {full} succeeded, but its task {id} runs {foreign:?}"));
                }
            }
            if running == 0 && service.desired > 0 {
                return Err(format!("Full of {} succeeded, but none of its tasks runs", self.full));
            }
        }
        Ok(())
    }
}

/// All runs of an action of one provider on one service.
fn runs<'a>(
    world: &'a World,
    provider: &'a str,
    service: &'a str,
) -> impl Iterator<Item = (&'a Execution, &'a ActionRun)> {
    let executions = world.codepipeline.pipelines().flat_map(|pipeline| &pipeline.executions);
    executions.flat_map(|execution| execution.actions.iter().map(move |run| (execution, run))).filter(
        move |(_, run)| {
            run.action_type.provider == provider
                && run.resolved.get("Service").and_then(|name| name.rsplit('/').next()) == Some(service)
        },
    )
}

/// Whether somebody approved, in the stage of this run and before it.
fn is_approved(execution: &Execution, run: &ActionRun) -> bool {
    execution.actions.iter().any(|approval| {
        approval.stage == run.stage
            && approval.action_type.provider == "Manual"
            && approval.status == ActionExecutionStatus::Succeeded
    })
}

/// The digests that a canary's artifact names, as the registry has them now.
fn release(world: &World, canary: &ActionRun) -> Option<Release> {
    let artifact = canary.input_artifacts.first()?;
    let object = world.s3.get(&artifact.bucket, &artifact.key)?;
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(object.body.clone())).ok()?;
    let mut text = String::new();
    zip.by_name("imagedefinitions.json").ok()?.read_to_string(&mut text).ok()?;
    let images: Value = serde_json::from_str(&text).ok()?;
    let digests = |uri: &str| {
        let (_, name) = uri.split_once('/')?;
        let (repository, image) = name.split_once('@').or_else(|| name.split_once(':'))?;
        let index = world.ecr.digest(repository, image).ok()?;
        let children = world.ecr.children(repository, image).unwrap_or_default();
        Some(children.into_iter().map(|(_, child)| child).chain([index]).collect())
    };
    images
        .as_array()?
        .iter()
        .map(|image| Some((image["name"].as_str()?.to_owned(), digests(image["imageUri"].as_str()?)?)))
        .collect()
}

/// No job gets a second result, and no action a second end.
fn results_are_single(world: &World, deadly: bool) -> Result<(), String> {
    let mut ended = BTreeSet::new();
    for job in world.codepipeline.jobs() {
        let late = u32::from(job.status == JobStatus::TimedOut);
        let refused = if deadly { 0 } else { job.refused_results.saturating_sub(late) };
        if job.results.len() + usize::try_from(refused).unwrap_or_default() > 1 {
            return Err(format!("job {} of {}/{} was given a second result", job.id, job.pipeline, job.action));
        }
        let last = job.results.iter().any(|result| *result != JobResult::Continued);
        if last && !ended.insert(&job.action_execution) {
            return Err(format!("action {}/{} was ended twice", job.pipeline, job.action));
        }
    }
    Ok(())
}

/// Every job of an execution that is over has its one result, and every custom action its one end.
fn results_are_complete(world: &World) -> Result<(), String> {
    let jobs = world.codepipeline.jobs();
    let executions = world.codepipeline.pipelines().flat_map(|pipeline| &pipeline.executions);
    for execution in executions.filter(|execution| execution.status != PipelineExecutionStatus::InProgress) {
        for run in execution.actions.iter().filter(|run| run.action_type.owner == "Custom") {
            let results: Vec<&[JobResult]> = jobs
                .iter()
                .filter(|job| job.action_execution == run.id && job.status != JobStatus::TimedOut)
                .map(|job| job.results.as_slice())
                .collect();
            let last: &[JobResult] = match run.status {
                ActionExecutionStatus::Succeeded => &[JobResult::Succeeded],
                // Nobody wanted the result of the job that was open then.
                ActionExecutionStatus::Abandoned => &[],
                _ => &[JobResult::Failed],
            };
            let (end, before) = results.split_last().ok_or("an action without a job")?;
            if *end != last || before.iter().any(|results| *results != [JobResult::Continued]) {
                return Err(format!(
                    "{}/{} is {}, but its jobs ended with {results:?}",
                    execution.pipeline, run.name, run.status
                ));
            }
        }
    }
    Ok(())
}
