//! What earlier runs have read and never changes, so that a run costs what has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use coalmine_door::AwsError;
use coalmine_pipeline::{Digest, Home};
use serde::{Deserialize, Serialize};

use crate::aws::Place;
use crate::aws::ecs::Service;
use crate::aws::ecs_deployments::{Revision, Successful};
use crate::in_use::{Arn, Content};
use crate::inventory::{Manifest, Manifests};

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
}

/// What belongs to one run.
#[derive(Debug, Default)]
struct Run {
    services: BTreeMap<Home, Vec<Service>>,
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

    /// A task definition that was read before.
    #[must_use]
    pub fn definition(&self, arn: &Arn) -> Option<Content> {
        self.kept().definitions.get(arn).cloned()
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

    /// Hands the services of a place on to the source of their deployments.
    pub fn set_services(&self, home: &Home, services: Vec<Service>) {
        self.run().services.insert(home.clone(), services);
    }

    /// The services of a place, if they were read.
    #[must_use]
    pub fn services(&self, home: &Home) -> Vec<Service> {
        self.run().services.get(home).cloned().unwrap_or_default()
    }

    /// What to keep for the next run after a complete scan: what this one has used.
    #[must_use]
    pub fn used(&self, definitions: &BTreeSet<Arn>, images: &BTreeSet<Digest>, with_deployments: bool) -> Kept {
        let (mut kept, run) = (self.kept().clone(), self.run());
        kept.definitions.retain(|arn, _| definitions.contains(arn));
        kept.manifests.retain(|digest, _| images.contains(digest));
        if with_deployments {
            kept.revisions.retain(|arn, _| run.revisions.contains(arn));
            kept.deployments.retain(|service, _| run.deployments.contains(service));
        }
        kept
    }

    /// What to keep after a scan that was not complete: everything.
    #[must_use]
    pub fn all(&self) -> Kept {
        self.kept().clone()
    }
}
