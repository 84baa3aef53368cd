//! After a success all tasks run the release: counted in the world at that moment.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::time::{Duration, SystemTime};

use aws_sdk_codepipeline::types::ActionExecutionStatus;
use serde_json::Value;
use simulator::World;
use simulator::codepipeline::ActionRun;
use simulator::ecs::{TaskStatus, TaskView};

use super::changes::Seen;
use super::{Finding, Names, runs};
use crate::stage::application::CLUSTER;

/// How long after its last count a worker's word may come: where calls fail, it is sent again for as long as they do.
pub(super) const WORD: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10 * 60));

/// Container → the digests that are the release: its index's and the index's children's.
type Release = BTreeMap<String, BTreeSet<String>>;

/// What each execution releases, and which successes were looked at.
#[derive(Debug, Default)]
pub(super) struct Successes {
    /// What each execution's canary was started with, by execution.
    releases: BTreeMap<String, Release>,
    proven: BTreeSet<String>,
    /// How many tasks each service wanted lately, and since when.
    wanted: BTreeMap<String, Vec<(SystemTime, u32)>>,
}

impl Successes {
    pub(super) fn look(
        &mut self,
        world: &World,
        names: &Names,
        changes: &BTreeMap<String, Seen>,
        deadly: bool,
    ) -> Option<Finding> {
        for service in [&names.full, &names.canary] {
            self.note_wanted(world, service);
        }
        for (execution, run) in runs(world, names) {
            // The tag may move while people think: what counts is what it named when the canary was started.
            if !self.releases.contains_key(&execution.id)
                && let Some(release) = release(world, run)
            {
                self.releases.insert(execution.id.clone(), release);
            }
            if run.status != ActionExecutionStatus::Succeeded || !self.proven.insert(run.id.clone()) {
                continue;
            }
            let service = if run.action_type.provider == "Coalmine-Full" { &names.full } else { &names.canary };
            let (Some(release), Some(seen)) = (self.releases.get(&execution.id), changes.get(service)) else {
                return Some(Finding::of(service, format!("a release went to {service} without a canary")));
            };
            let word = if deadly { WORD.1 } else { WORD.0 };
            let lately = world.now.duration_since(seen.since).is_ok_and(|passed| passed <= word);
            let desired = self.least_wanted(world, service, word);
            let foreign = foreign_task(world, service, release, (word, desired));
            if let Some(foreign) = foreign.filter(|_| !(lately && is_elses(world, names, run, seen))) {
                let name = &run.name;
                return Some(Finding::of(service, format!("{name} of {service} succeeded, but {foreign}")));
            }
        }
        None
    }

    fn note_wanted(&mut self, world: &World, service: &str) {
        let Some(view) = world.ecs.view(CLUSTER, service) else { return };
        let desired = view.desired;
        let wanted = self.wanted.entry(service.to_owned()).or_default();
        if wanted.last().is_none_or(|(_, last)| *last != desired) {
            wanted.push((world.now, desired));
        }
    }

    /// The least that a service wanted within the last `word`: autoscaling may have asked for more since the count.
    fn least_wanted(&self, world: &World, service: &str, word: Duration) -> u32 {
        let wanted = self.wanted.get(service).map(Vec::as_slice).unwrap_or_default();
        let recent = |since: SystemTime| world.now.duration_since(since).is_ok_and(|passed| passed <= word);
        let mut least = u32::MAX;
        for (since, desired) in wanted.iter().rev() {
            least = least.min(*desired);
            if !recent(*since) {
                break;
            }
        }
        if least == u32::MAX { 0 } else { least }
    }
}

/// Whether what the service is told to run is somebody else's: a person's, or another pipeline's. Where that began
/// between the last count and the worker's word, the count was right when it was made.
fn is_elses(world: &World, names: &Names, run: &ActionRun, seen: &Seen) -> bool {
    let others = runs(world, names).filter(|(_, other)| other.id != run.id && other.updated >= run.started);
    seen.by_hand || seen.taken_back || others.count() > 0
}

/// What speaks against all tasks of a service running the release. That its tasks, which were healthy, have begun to stop
/// since they were counted, at most `word` ago, does not; it wanted `desired` tasks then.
fn foreign_task(world: &World, service: &str, release: &Release, (word, desired): (Duration, u32)) -> Option<String> {
    let view = world.ecs.view(CLUSTER, service)?;
    let mut running = 0;
    for task in view.tasks.iter().filter(|task| task.stopped.is_none()) {
        running += u32::from(task.status == TaskStatus::Running);
        let foreign = task.digests.iter().find(|(container, digest)| {
            let (expected, digest) = (release.get(container), digest.as_ref());
            expected.zip(digest).is_some_and(|(expected, digest)| !expected.contains(digest))
        });
        if task.revision != view.primary || foreign.is_some() {
            let foreign = foreign.or_else(|| task.digests.first());
            return Some(format!("its task {} runs {foreign:?}", task.id));
        }
    }
    let was_healthy = |task: &&TaskView| task.stopped.is_some_and(|(_, healthy)| healthy);
    let of_release = view.tasks.iter().filter(|task| task.revision == view.primary);
    let stopping = of_release.filter(was_healthy).filter_map(|task| task.stopping);
    let just_now = stopping.max().is_some_and(|at| world.now.duration_since(at).is_ok_and(|passed| passed <= word));
    (running < desired && !just_now).then(|| format!("{running} of its {desired} tasks run"))
}

/// The digests that an action's artifact names, as the registry has them now.
fn release(world: &World, run: &ActionRun) -> Option<Release> {
    let artifact = run.input_artifacts.first()?;
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
