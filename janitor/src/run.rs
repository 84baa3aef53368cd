//! A run: observe, decide, act, report, by command.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use aws_types::SdkConfig;
use coalmine_door::AwsError;
use coalmine_door::store::{Location, StoreError};
use coalmine_pipeline::Digest;
use tracing::{info, warn};

use crate::aws::Place;
use crate::cache::Cache;
use crate::cli::{EXIT_GUARDED, EXIT_INCOMPLETE, EXIT_OK, EXIT_PLANNED, EXIT_REFUSED};
use crate::ground::{Ground, GroundError};
use crate::in_use::{Arn, Source};
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::plan::{Outcome, Plan, PlanFile, PlanFileError, Refusal, plan};
use crate::policy::{Policy, Problems};
use crate::progress::Progress;
use crate::report::Report;
use crate::scan::{Scan, Seen, words, words_of_store};
use crate::state::{self, Loaded};
use crate::sweep::Swept;

/// Why something of the plan stays that two janitors have made at the same time.
const ACQUITTED: &str = "another janitor has found it in use, or too young, while this one looked";

/// Why a run ended before it deleted anything.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The policy cannot be read.
    #[error("cannot read the policy {}: {}; `coalmine-janitor init` prints one", .0.display(), .1)]
    PolicyFile(PathBuf, io::Error),
    /// The policy is wrong.
    #[error("the policy {} is wrong:\n{}", .0.display(), .1)]
    Policy(PathBuf, Problems),
    /// The surroundings are.
    #[error(transparent)]
    Ground(#[from] GroundError),
    /// The registry cannot be read.
    #[error("cannot read the registry: {}", words(.0))]
    Registry(AwsError),
    /// The memory cannot be read or written.
    #[error("cannot use the janitor's memory: {}", words_of_store(.0))]
    Memory(#[from] StoreError),
    /// The plan file cannot be read.
    #[error("cannot read the plan {}: {}", .0.display(), .1)]
    PlanFile(PathBuf, io::Error),
    /// The plan file is none, or was changed.
    #[error("{}: {}", .0.display(), .1)]
    Plan(PathBuf, PlanFileError),
    /// The plan does not belong here.
    #[error("the plan is not carried out: {}; make a new one", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Refusal>),
    /// The image is none.
    #[error("no image {0} in the repositories that a rule names")]
    NoImage(String),
    /// Output has nowhere to go.
    #[error("cannot write: {0}")]
    Output(io::Error),
}

/// A run.
#[derive(Debug)]
pub struct Run<'p> {
    ground: Ground,
    policy: &'p Policy,
    loaded: tokio::sync::Mutex<Loaded>,
    /// What is known of earlier scans that looked at the same.
    memory: Memory,
    cache: Cache,
    progress: Progress,
    metrics: Mutex<Option<Metrics>>,
}

impl<'p> Run<'p> {
    /// Begins: finds out where it is, and remembers.
    ///
    /// # Errors
    /// When there is no Region, no account, or no memory.
    pub async fn begin(
        door: &SdkConfig,
        policy: &'p Policy,
        state: &Location,
        budget: Duration,
        progress: Progress,
    ) -> Result<Self, RunError> {
        let ground = Ground::open(door, policy, state, budget).await?;
        let (loaded, before, mut kept) = state::load(&ground.store, &ground.registry.home).await?;
        if let Some(ledger) = &ground.ledger {
            ledger.know(std::mem::take(&mut kept.ledger));
        }
        let cache = Cache::new(kept);
        let before = before.unwrap_or_default();
        let had_condemned = !before.condemned.is_empty();
        let memory = before.looking_at(&policy.looks(&ground.registry.home));
        if had_condemned && memory.condemned.is_empty() {
            warn!(
                "earlier scans looked for references elsewhere than this policy says: every image begins to wait anew"
            );
        }
        let loaded = tokio::sync::Mutex::new(loaded);
        Ok(Self { ground, policy, loaded, memory, cache, progress, metrics: Mutex::default() })
    }

    /// Shows what is there.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub async fn scan(&self, out: &mut impl Write, json: bool) -> Result<u8, RunError> {
        let seen = self.look().await?;
        let plan = plan(&seen.snapshot, self.policy, &self.memory, seen.began);
        Report::of(&plan, self.ground.counts.get()).scan(out, json).map_err(RunError::Output)?;
        self.measure(&plan, None);
        Ok(if plan.is_complete() { EXIT_OK } else { EXIT_INCOMPLETE })
    }

    /// Decides, and writes the plan.
    ///
    /// # Errors
    /// When the registry cannot be read, or the memory or plan cannot be written.
    pub async fn plan(&self, out: &mut impl Write, json: bool, file: Option<&Path>) -> Result<u8, RunError> {
        let seen = self.look().await?;
        let plan = plan(&seen.snapshot, self.policy, &self.memory, seen.began);
        let lifecycles = self.lifecycles(&plan).await;
        self.remember(&plan, &seen).await?;
        if let Some(path) = file {
            let file = fs::File::create(path).map_err(|problem| RunError::PlanFile(path.to_owned(), problem))?;
            plan.write(file).map_err(|problem| RunError::PlanFile(path.to_owned(), problem))?;
        }
        let report = Report::of(&plan, self.ground.counts.get()).with_lifecycles(lifecycles);
        report.plan(out, json).map_err(RunError::Output)?;
        self.measure(&plan, None);
        Ok(code(&plan))
    }

    /// Deletes what is condemned, and, with a plan file, what that names.
    ///
    /// # Errors
    /// When the registry cannot be read, the memory cannot be written, or the plan does not belong here.
    pub async fn sweep(
        &self,
        out: &mut impl Write,
        json: bool,
        file: Option<&Path>,
        is_dry: bool,
        ask: &dyn Fn(&str) -> bool,
    ) -> Result<u8, RunError> {
        let agreed = file.map(read_plan).transpose()?;
        if let Some(agreed) = &agreed {
            // What can be told without looking is told before: a look takes minutes.
            let own = agreed.repositories.iter().map(|repository| repository.name.as_str()).collect();
            self.check(agreed, &own)?;
        }
        let seen = self.look().await?;
        let plan = plan(&seen.snapshot, self.policy, &self.memory, seen.began);
        let lifecycles = self.lifecycles(&plan).await;
        let remembered = self.remember(&plan, &seen).await?;
        let mut report = Report::of(&plan, self.ground.counts.get()).with_lifecycles(lifecycles);
        let mut todo = plan.file();
        let acquitted = todo.acquit(&remembered, self.policy.guards.quarantine, plan.now);
        for (repository, digest) in &acquitted {
            info!(repository, %digest, why = ACQUITTED, "an image stays");
        }
        if let Some(agreed) = &agreed {
            let ruled = plan.repositories.iter().filter(|judged| judged.rule.is_some());
            let names: BTreeSet<&str> = ruled.map(|judged| judged.repository.name.as_str()).collect();
            self.check(agreed, &names)?;
            keep_agreed(&mut todo, agreed);
        }
        let count: usize = todo.repositories.iter().map(|repository| repository.deletions.len()).sum();
        if agreed.is_some() {
            report = report.with_agreed(count);
        }
        if (count == 0 && acquitted.is_empty()) || is_dry {
            report.plan(out, json).map_err(RunError::Output)?;
            self.measure(&plan, None);
            // What is condemned and not agreed to is still to be deleted.
            return Ok(if is_dry || agreed.is_some() { code(&plan) } else { finished(&plan, None) });
        }
        if !json {
            report.plan(out, false).map_err(RunError::Output)?;
        }
        let asked = self.ground.clock.now();
        if count > 0 && !ask(&format!("delete {count} {}", if count == 1 { "image" } else { "images" })) {
            self.measure(&plan, None);
            return Ok(EXIT_PLANNED);
        }
        // Whoever answers takes his time, which is none of the janitor's for reading.
        let waited = (self.ground.clock.now() - asked).to_std().unwrap_or_default();
        let places: Vec<Place> = self.ground.places.iter().map(|place| place.later(waited)).collect();
        let registry = self.ground.registry.later(waited);
        let scanner = Scan { registry: &registry, places: &places, ..self.scanner() };
        let mut swept = scanner.sweep(&todo, &self.memory).await;
        for (repository, digest) in acquitted {
            let kept = Outcome::Kept { why: ACQUITTED.to_owned() };
            swept.outcomes.entry(repository).or_default().push((digest, kept));
        }
        self.progress.end();
        report.swept(out, json, &swept).map_err(RunError::Output)?;
        self.measure(&plan, Some(&swept));
        Ok(finished(&plan, Some(&swept)))
    }

    /// Tells what keeps an image, or condemns it.
    ///
    /// # Errors
    /// When the registry cannot be read, or there is no such image.
    pub async fn why(&self, out: &mut impl Write, json: bool, image: &str) -> Result<u8, RunError> {
        let seen = self.look().await?;
        let plan = plan(&seen.snapshot, self.policy, &self.memory, seen.began);
        let is_told = Report::of(&plan, self.ground.counts.get()).why(out, json, image).map_err(RunError::Output)?;
        if is_told { Ok(EXIT_OK) } else { Err(RunError::NoImage(image.to_owned())) }
    }

    /// One line of metrics about what was done; `None` where nothing was counted.
    #[must_use]
    pub fn metrics(&self) -> Option<String> {
        let metrics = self.metrics.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        metrics.as_ref().map(|metrics| metrics.line(&self.ground.registry.home, self.ground.clock.now()))
    }

    /// Whether a plan of somebody's belongs here.
    fn check(&self, agreed: &PlanFile, repositories: &BTreeSet<&str>) -> Result<(), RunError> {
        let registry = &self.ground.registry.home;
        let now = self.ground.clock.now();
        agreed.check(registry, self.policy.hash(), repositories, now).map_err(RunError::Refused)
    }

    fn scanner(&self) -> Scan<'_> {
        Scan {
            registry: &self.ground.registry,
            places: &self.ground.places,
            policy: self.policy,
            memory: &self.memory,
            cache: &self.cache,
            ledger: self.ground.ledger.as_ref(),
            keep_lists: &self.ground.keep_lists,
            clock: &self.ground.clock,
            is_dated: self.ground.is_dated,
            progress: &self.progress,
        }
    }

    async fn look(&self) -> Result<Seen, RunError> {
        let seen = self.scanner().all().await;
        self.progress.end();
        seen.map_err(RunError::Registry)
    }

    /// Writes what the next run has to know, before anything is deleted, and tells what is known now: another janitor may
    /// have found more. By a clock that nobody has checked nothing is remembered: its dates would be believed later.
    async fn remember(&self, plan: &Plan<'_>, seen: &Seen) -> Result<Memory, RunError> {
        if !self.ground.is_dated {
            return Ok(plan.memory());
        }
        if plan.is_complete() {
            self.forget_unused(seen);
        }
        let ledger = self.ground.ledger.as_ref().map(|ledger| ledger.kept(plan.is_complete()));
        self.cache.set_ledger(ledger.unwrap_or_default());
        let (store, registry) = (&self.ground.store, &self.ground.registry.home);
        let mut loaded = self.loaded.lock().await;
        Ok(loaded.save(store, registry, plan.memory(), |memory| self.cache.written(memory)).await?)
    }

    /// Repositories that lose images and from which ECR deletes by itself, too. It is a notice: what cannot be read is left
    /// out.
    async fn lifecycles(&self, plan: &Plan<'_>) -> Vec<String> {
        let existing: BTreeSet<&str> = plan.repositories.iter().map(|judged| judged.repository.name.as_str()).collect();
        let losing = plan.repositories.iter().filter(|judged| judged.has_condemned());
        let losing: BTreeSet<&str> = losing.map(|judged| judged.repository.name.as_str()).collect();
        let due = if plan.is_complete() { self.cache.lifecycles_due(&existing, &losing) } else { Vec::new() };
        for name in due {
            match self.ground.registry.has_lifecycle_policy(&name).await {
                Ok(has) => self.cache.keep_lifecycle(name, self.ground.clock.now(), has),
                Err(problem) => {
                    warn!(repository = name, error = %problem, "cannot tell whether there is a lifecycle policy");
                }
            }
        }
        self.cache.lifecycles(&losing)
    }

    fn forget_unused(&self, seen: &Seen) {
        let definitions: BTreeSet<Arn> = seen.snapshot.in_use.definitions.keys().cloned().collect();
        let repositories = seen.snapshot.inventory.repositories.iter();
        let images = repositories.filter_map(|repository| repository.images.as_ref()).flat_map(|images| images.iter());
        let images: BTreeSet<Digest> = images.map(|image| image.digest).collect();
        let with_deployments = !seen.candidates.is_empty() && self.policy.reads(Source::ServiceDeployments);
        self.cache.forget_unused(&definitions, &images, with_deployments);
    }

    fn measure(&self, plan: &Plan<'_>, swept: Option<&Swept>) {
        let metrics = Metrics::of(plan, swept);
        *self.metrics.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(metrics);
    }
}

fn read_plan(path: &Path) -> Result<PlanFile, RunError> {
    let bytes = fs::read(path).map_err(|problem| RunError::PlanFile(path.to_owned(), problem))?;
    PlanFile::read(&bytes).map_err(|problem| RunError::Plan(path.to_owned(), problem))
}

/// Leaves in `todo` what a person has agreed to: the same image with the same tags.
fn keep_agreed(todo: &mut PlanFile, agreed: &PlanFile) {
    for repository in &mut todo.repositories {
        let other = agreed.repositories.iter().find(|other| other.name == repository.name);
        repository.deletions.retain(|deletion| {
            other.is_some_and(|other| {
                other.deletions.iter().any(|one| (one.digest, &one.tags) == (deletion.digest, &deletion.tags))
            })
        });
    }
}

fn is_guarded(plan: &Plan<'_>) -> bool {
    plan.repositories.iter().any(|judged| judged.guard.is_some())
}

fn code(plan: &Plan<'_>) -> u8 {
    let planned = plan.file().repositories.iter().any(|repository| !repository.deletions.is_empty());
    match () {
        () if !plan.is_complete() => EXIT_INCOMPLETE,
        () if is_guarded(plan) => EXIT_GUARDED,
        () if planned => EXIT_PLANNED,
        () => EXIT_OK,
    }
}

fn finished(plan: &Plan<'_>, swept: Option<&Swept>) -> u8 {
    let outcomes = || swept.into_iter().flat_map(|swept| swept.outcomes.values().flatten());
    let refused = outcomes().any(|(_, outcome)| matches!(outcome, Outcome::Later { .. }));
    match () {
        () if !plan.is_complete() || swept.is_some_and(|swept| swept.stopped.is_some()) => EXIT_INCOMPLETE,
        () if refused => EXIT_REFUSED,
        () if is_guarded(plan) => EXIT_GUARDED,
        () => EXIT_OK,
    }
}
