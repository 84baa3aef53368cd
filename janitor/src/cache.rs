//! What earlier runs have read and never changes, so that a run costs what has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use coalmine_door::AwsError;
use coalmine_door::clock::Time;
use coalmine_pipeline::{Digest, Home};
use serde::{Deserialize, Serialize};

use crate::aws::Place;
use crate::aws::ecs::{Service, Task};
use crate::aws::ecs_deployments::{Revision, Successful};
use crate::in_use::{Arn, Content};
use crate::inventory::{Manifest, Manifests};
use crate::memory::Memory;
use crate::sources::Records;
use crate::state;

/// The cache of a run.
#[derive(Debug, Default)]
pub struct Cache {
    kept: Mutex<Kept>,
    run: Mutex<Run>,
}

/// What is kept from run to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Task definitions, daemons' too.
    pub definitions: BTreeMap<Arn, Content>,
    /// Manifests of indexes.
    pub manifests: BTreeMap<Digest, Manifest>,
    /// Service revisions whose digests are known.
    pub revisions: BTreeMap<String, Revision>,
    /// The last successful deployments by service, as of a generation of its deployments.
    pub deployments: BTreeMap<String, (String, Vec<Successful>)>,
    /// Repositories in which something was condemned once: when it was asked whether ECR deletes from them by itself, and
    /// whether it does.
    #[serde(default)]
    pub lifecycles: BTreeMap<String, (Time, bool)>,
    /// Records of the worker's ledger, which the ledger itself keeps within a run.
    #[serde(default, skip_serializing_if = "Records::is_empty")]
    pub ledger: Records,
}

/// Whether a repository has a lifecycle policy is a notice, not a decision: it is read once, and then, of those that lose
/// something, of the seventh that was asked longest ago in each run. So a change is noticed within a week of daily runs
/// where something is lost daily, and a few losses later elsewhere.
const LIFECYCLES_PER_RUN: usize = 7;

/// What belongs to one run.
#[derive(Debug, Default)]
struct Run {
    services: BTreeMap<Home, Vec<Service>>,
    /// Tasks whose digests are known: nothing of them changes any more.
    tasks: BTreeMap<Box<str>, Task>,
    /// Task definitions as their tasks show them, without a date.
    shown: BTreeMap<Arn, Content>,
    revisions: BTreeSet<String>,
    deployments: BTreeSet<String>,
}

impl Cache {
    /// A cache that begins with what earlier runs kept.
    #[must_use]
    pub fn new(kept: Kept) -> Self {
        Self { kept: Mutex::new(kept), run: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task definition that was read before, or that a task of it shows.
    #[must_use]
    pub fn definition(&self, arn: &Arn) -> Option<Content> {
        let kept = self.kept().definitions.get(arn).cloned();
        kept.or_else(|| self.run().shown.get(arn).cloned())
    }

    /// Keeps a task definition. That one does not exist is not for ever: it is asked for again.
    pub fn keep_definition(&self, arn: &Arn, content: &Content) {
        if matches!(content, Content::Read { .. }) {
            self.kept().definitions.insert(arn.clone(), content.clone());
        }
    }

    /// Those of some manifests that were read before, and the digests of the others.
    #[must_use]
    pub fn manifests(&self, digests: &[Digest]) -> (Manifests, Vec<Digest>) {
        let kept = self.kept();
        let known = digests.iter().filter_map(|digest| Some((*digest, kept.manifests.get(digest)?.clone())));
        let known: Manifests = known.collect();
        let unknown = digests.iter().filter(|digest| !known.contains_key(digest)).copied().collect();
        (known, unknown)
    }

    /// Keeps a manifest that could be read.
    pub fn keep_manifest(&self, digest: Digest, manifest: &Manifest) {
        if matches!(manifest, Manifest::Read(_)) {
            self.kept().manifests.insert(digest, manifest.clone());
        }
    }

    /// Service revisions by ARN, read where they are not known yet. One that is gone is left out.
    ///
    /// # Errors
    /// When ECS cannot be asked.
    pub async fn revisions(&self, place: &Place, arns: &[String]) -> Result<BTreeMap<String, Revision>, AwsError> {
        let mut found = BTreeMap::new();
        let mut unknown = BTreeSet::new();
        for arn in arns {
            self.run().revisions.insert(arn.clone());
            match self.kept().revisions.get(arn) {
                Some(known) => drop(found.insert(arn.clone(), known.clone())),
                None => drop(unknown.insert(arn.clone())),
            }
        }
        let unknown: Vec<String> = unknown.into_iter().collect();
        for revision in place.service_revisions(&unknown).await? {
            let resolved = revision.images.iter().all(|image| image.digest.is_some());
            if resolved && !revision.images.is_empty() {
                self.kept().revisions.insert(revision.arn.clone(), revision.clone());
            }
            found.insert(revision.arn.clone(), revision);
        }
        Ok(found)
    }

    /// Tasks of a cluster by ARN, described where they were not seen in this run with all of their digests. One that is
    /// gone is left out.
    ///
    /// # Errors
    /// When ECS cannot be asked.
    pub async fn tasks(&self, place: &Place, cluster: &str, arns: &[String]) -> Result<Vec<Task>, AwsError> {
        let mut found = Vec::new();
        let mut unknown = Vec::new();
        for arn in arns {
            match self.run().tasks.get(arn.as_str()) {
                Some(known) => found.push(known.clone()),
                None => unknown.push(arn.clone()),
            }
        }
        for task in place.tasks(cluster, &unknown).await? {
            let mut run = self.run();
            if let Some((definition, content)) = shown_by(&task) {
                run.shown.insert(definition, content);
            }
            if task.containers.iter().all(|container| container.digest.is_some()) {
                run.tasks.insert(task.arn.clone(), task.clone());
            }
            drop(run);
            found.push(task);
        }
        Ok(found)
    }

    /// The last successful deployments of a service, read again when its deployments have changed.
    ///
    /// # Errors
    /// When ECS cannot be asked.
    pub async fn deployments(
        &self,
        place: &Place,
        service: &Service,
        most: usize,
    ) -> Result<Vec<Successful>, AwsError> {
        // `most` belongs to what was asked.
        let asked = format!("{} {most}", service.generation);
        self.run().deployments.insert(service.arn.clone());
        if let Some((generation, known)) = self.kept().deployments.get(&service.arn)
            && *generation == asked
        {
            return Ok(known.clone());
        }
        let found = place.successful_deployments(&service.arn, most).await?;
        self.kept().deployments.insert(service.arn.clone(), (asked, found.clone()));
        Ok(found)
    }

    /// Forgets the deployments of a service, so that they are read again.
    pub fn forget_deployments(&self, service: &Service) {
        self.kept().deployments.remove(&service.arn);
    }

    /// Which of the repositories that lose something are to be asked for their lifecycle policies in this run. Of all
    /// others that exist, which lose something another day, what is known stays known.
    #[must_use]
    pub fn lifecycles_due(&self, existing: &BTreeSet<&str>, losing: &BTreeSet<&str>) -> Vec<String> {
        let mut kept = self.kept();
        kept.lifecycles.retain(|name, _| existing.contains(name.as_str()));
        let known = kept.lifecycles.iter().filter(|(name, _)| losing.contains(name.as_str()));
        let mut known: Vec<(Time, &String)> = known.map(|(name, (at, _))| (*at, name)).collect();
        known.sort_unstable();
        let oldest = known.iter().take(known.len().div_ceil(LIFECYCLES_PER_RUN)).map(|(_, name)| (*name).clone());
        let unknown = losing.iter().filter(|name| !kept.lifecycles.contains_key(**name));
        unknown.map(|name| (*name).to_owned()).chain(oldest).collect()
    }

    /// Keeps whether a repository has a lifecycle policy.
    pub fn keep_lifecycle(&self, repository: String, now: Time, has: bool) {
        self.kept().lifecycles.insert(repository, (now, has));
    }

    /// Those of some repositories that have a lifecycle policy.
    #[must_use]
    pub fn lifecycles(&self, of: &BTreeSet<&str>) -> Vec<String> {
        let kept = self.kept();
        let having = kept.lifecycles.iter().filter(|(name, (_, has))| *has && of.contains(name.as_str()));
        having.map(|(name, _)| name.clone()).collect()
    }

    /// Hands the services of a place on to the source of their deployments.
    pub fn set_services(&self, home: &Home, services: Vec<Service>) {
        self.run().services.insert(home.clone(), services);
    }

    /// The services of a place, if they were read.
    #[must_use]
    pub fn services(&self, home: &Home) -> Vec<Service> {
        self.run().services.get(home).cloned().unwrap_or_default()
    }

    /// Forgets what a complete scan has not used.
    pub fn forget_unused(&self, definitions: &BTreeSet<Arn>, images: &BTreeSet<Digest>, with_deployments: bool) {
        let (mut kept, run) = (self.kept(), self.run());
        kept.definitions.retain(|arn, _| definitions.contains(arn));
        kept.manifests.retain(|digest, _| images.contains(digest));
        if with_deployments {
            kept.revisions.retain(|arn, _| run.revisions.contains(arn));
            kept.deployments.retain(|service, _| run.deployments.contains(service));
        }
    }

    /// Keeps the ledger's records, which it has by itself within a run.
    pub fn set_ledger(&self, records: Records) {
        self.kept().ledger = records;
    }

    /// The state with this memory, as it is written. It is written from here, because a copy of all that is kept would take
    /// about as much memory as the plan of a large registry.
    #[must_use]
    pub fn written(&self, memory: &Memory) -> Vec<u8> {
        state::written(memory, &self.kept())
    }
}

/// A task has all containers of its task definition, with their images as they are written there, and maybe more that
/// ECS adds: its task definition need not be read for these.
fn shown_by(task: &Task) -> Option<(Arn, Content)> {
    let containers = task.containers.iter();
    let containers: Option<Vec<_>> =
        containers.map(|one| (!one.image.is_empty()).then(|| (one.container.clone(), one.image.clone()))).collect();
    let containers = containers.filter(|containers| !containers.is_empty())?;
    Some((task.definition.clone()?, Content::Read { registered: None, containers: containers.into() }))
}
