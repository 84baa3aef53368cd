//! Observing: one scan of a registry and of everything that may refer to its images.
//!
//! ```text
//!   1  ECR: replication, repositories, images                what could go, before what keeps it
//!   2  manifests                                             of repositories with candidates
//!   3  the ledger, keep-lists
//!   4  each place: what starts tasks → definitions → services → tasks      a reference can only move ahead of the scan
//!   5  task definitions that something refers to             which revision is meant, then until nothing is missing
//!   6  the registry's policy, repository policies            where something is condemned by all of this
//! ```
//!
//! A source that cannot be read to its end is noted with the reason, and the others are read on, so that all that is
//! missing is told at once. With any of them missing, nothing is deleted.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use coalmine_door::clock::{Clock, Time};
use coalmine_door::store::StoreError;
use coalmine_door::{AwsError, Kind};
use coalmine_pipeline::{Digest, Home};
use futures_util::{StreamExt, future, stream};

use crate::aws::Place;
use crate::cache::Cache;
use crate::in_use::{Arn, InUse, Reach, Source, SourceReport, Use};
use crate::inventory::{Image, Inventory, Manifests, Names, Repository};
use crate::memory::Memory;
use crate::plan::{Snapshot, candidates, plan};
use crate::policy::Policy;
use crate::progress::Progress;
use crate::sources::{self, From, KeepListAt, Ledger};

/// Calls that are under way at the same time, per place. The rate is the buckets' matter; this hides latency.
pub(crate) const AT_ONCE: usize = 8;

/// Everything that a scan needs.
#[derive(Debug)]
pub struct Scan<'a> {
    /// The registry.
    pub registry: &'a Place,
    /// Every place in which references are read, the registry's own first.
    pub places: &'a [Place],
    /// The policy.
    pub policy: &'a Policy,
    /// What earlier scans have found.
    pub memory: &'a Memory,
    /// What earlier runs have read.
    pub cache: &'a Cache,
    /// The worker's ledger, if the policy names one.
    pub ledger: Option<&'a Ledger>,
    /// The policy's keep-lists.
    pub keep_lists: &'a [KeepListAt],
    /// The date and how to wait.
    pub clock: &'a Clock,
    /// Whether AWS has told its date, and the clock agrees with it.
    pub is_dated: bool,
    /// How far the scan is, for people.
    pub progress: &'a Progress,
}

/// What a scan has seen.
#[derive(Debug)]
pub struct Seen {
    /// Everything.
    pub snapshot: Snapshot,
    /// Repositories in which something could go if nothing referred to it.
    pub candidates: BTreeSet<String>,
    /// When the scan began: the date by which it is judged.
    pub began: Time,
}

/// What the sources of a place have told.
#[derive(Debug, Default)]
struct Found {
    active: Vec<Arn>,
    uses: Vec<Use>,
    reports: Vec<SourceReport>,
}

impl Scan<'_> {
    /// Scans everything.
    ///
    /// # Errors
    /// When the registry itself cannot be read: then there is nothing to judge.
    pub async fn all(&self) -> Result<Seen, AwsError> {
        let began = self.clock.now();
        let inventory = self.inventory().await?;
        let candidates = candidates(&inventory, self.policy, began);
        let home = Some(&self.registry.home);
        let mut reports = vec![self.report(Source::Registry, home, self.dated())];
        let manifests = self.manifests_of(&inventory, &candidates).await;
        reports.push(self.report(Source::Manifests, home, manifests.as_ref().map(|_| ()).map_err(words)));
        let mut in_use = self.in_use(!candidates.is_empty()).await;
        reports.append(&mut in_use.sources);
        in_use.sources = reports;
        let mut snapshot = Snapshot { inventory, manifests: manifests.unwrap_or_default(), in_use };
        if !candidates.is_empty() {
            let wanted = plan(&snapshot, self.policy, self.memory, began).without_access();
            if let Err(problem) = self.access(&mut snapshot.inventory, &wanted).await {
                snapshot.in_use.sources[0] = self.report(Source::Registry, home, Err(words(&problem)));
            }
        }
        Ok(Seen { snapshot, candidates, began })
    }

    /// What may refer to images; `with_deployments` also the last successful deployments of each service, which take a
    /// call for each service that has changed.
    pub async fn in_use(&self, with_deployments: bool) -> InUse {
        let mut in_use = InUse::default();
        let now = self.clock.now();
        let mut ran = Vec::new();
        if let Some((report, found)) = sources::ledger(self.ledger, self.policy, &self.registry.home, now).await {
            in_use.sources.push(report);
            in_use.uses.extend(found.uses);
            ran = found.ran;
        }
        if let Some((report, uses)) = sources::keep_lists(self.keep_lists, self.policy, &self.registry.home, now).await
        {
            in_use.sources.push(report);
            in_use.uses.extend(uses);
        }
        let places = self.places.iter().map(|place| self.place(place, with_deployments));
        for found in future::join_all(places).await {
            for arn in found.active {
                let definition = self.definition(&arn, true);
                in_use.definitions.extend(definition.map(|definition| (arn, definition)));
            }
            in_use.uses.extend(found.uses);
            in_use.sources.extend(found.reports);
        }
        in_use.uses.extend(self.returned_to(&ran));
        self.settle_families(&mut in_use).await;
        self.complete(&mut in_use).await;
        in_use
    }

    /// Ages are judged by this machine's clock. One that is ahead would condemn what is young, and nothing else would show
    /// it: so where AWS does not say what time it is, nothing may go.
    fn dated(&self) -> Result<(), String> {
        let why = "AWS's answer bears no date, so that this machine's clock cannot be checked: let the header Date through \
                   whatever stands between";
        if self.is_dated { Ok(()) } else { Err(why.to_owned()) }
    }

    async fn inventory(&self) -> Result<Inventory, AwsError> {
        self.progress.begin("images");
        let replication = self.registry.replication().await?;
        let mut repositories = self.registry.repositories().await?;
        let ruled: Vec<&mut Repository> =
            repositories.iter_mut().filter(|repository| self.policy.rule(&repository.name).is_some()).collect();
        self.progress.expect(ruled.len());
        let mut reading = stream::iter(ruled)
            .map(|repository| async {
                repository.images = self.registry.images(&repository.name).await?;
                self.progress.step();
                Ok::<(), AwsError>(())
            })
            .buffer_unordered(AT_ONCE);
        while let Some(read) = reading.next().await {
            read?;
        }
        drop(reading);
        // What was deleted while it was listed is not there.
        repositories.retain(|one| one.images.is_some() || self.policy.rule(&one.name).is_none());
        Ok(Inventory { home: self.registry.home.clone(), repositories, replication })
    }

    /// Policies of some repositories, and the registry's, which may let pull from any of them.
    async fn access(&self, inventory: &mut Inventory, wanted: &BTreeSet<String>) -> Result<(), AwsError> {
        if wanted.is_empty() {
            return Ok(());
        }
        self.progress.begin("repository policies");
        self.progress.expect(wanted.len());
        let registry = self.registry.registry_access().await?;
        let wanted = inventory.repositories.iter_mut().filter(|repository| wanted.contains(&repository.name));
        let mut reading = stream::iter(wanted)
            .map(|repository| async {
                let own = self.registry.access(&repository.name).await?;
                repository.access = registry.added_to(own, &repository.name);
                self.progress.step();
                Ok::<(), AwsError>(())
            })
            .buffer_unordered(AT_ONCE);
        while let Some(read) = reading.next().await {
            read?;
        }
        Ok(())
    }

    /// Manifests of the repositories with candidates.
    async fn manifests_of(&self, inventory: &Inventory, candidates: &BTreeSet<String>) -> Result<Manifests, AwsError> {
        self.progress.begin("manifests");
        self.progress.expect(candidates.len());
        let names = Mutex::new(Names::default());
        let wanted = inventory.repositories.iter().filter(|repository| candidates.contains(&repository.name));
        let mut reading = stream::iter(wanted)
            .map(|repository| async {
                let parents = may_be_parents(repository);
                let (mut manifests, unknown) = self.cache.manifests(&parents);
                for (digest, manifest) in self.registry.manifests(&repository.name, &unknown, &names).await? {
                    self.cache.keep_manifest(digest, &manifest);
                    manifests.insert(digest, manifest);
                }
                self.progress.step();
                Ok::<Manifests, AwsError>(manifests)
            })
            .buffer_unordered(AT_ONCE);
        let mut all = Manifests::default();
        while let Some(read) = reading.next().await {
            all.extend(read?);
        }
        Ok(all)
    }

    /// All sources of one place, in their order. While those behind the task definitions are read, these are described:
    /// they take the most calls, from a bucket that the others do not need.
    async fn place(&self, place: &Place, with_deployments: bool) -> Found {
        let mut found = Found::default();
        let (tell, told) = tokio::sync::oneshot::channel();
        let mut tell = Some(tell);
        let reading = async {
            for source in Source::IN_PLACES {
                if source == Source::ServiceDeployments && !with_deployments && self.policy.reads(source) {
                    let home = Some(place.home.clone());
                    found.reports.push(SourceReport { source, home, reach: Reach::NotNeeded });
                    continue;
                }
                self.source(place, source, &mut found).await;
                if let Some(tell) = tell.take_if(|_| source == Source::TaskDefinitions) {
                    let _ = tell.send(found.active.clone());
                }
            }
        };
        let ahead = async {
            if let Ok(listed) = told.await {
                self.describe_ahead(place, &listed).await;
            }
        };
        future::join(reading, ahead).await;
        found
    }

    async fn source(&self, place: &Place, source: Source, found: &mut Found) {
        let home = Some(&place.home);
        if !self.policy.reads(source) {
            found.reports.push(SourceReport { source, home: home.cloned(), reach: Reach::Off });
            return;
        }
        self.progress.begin(source.name());
        let from = From { place, cache: self.cache, deployments: self.policy.recent.deployments as usize };
        let read = sources::read(source, from).await;
        found.reports.push(self.report(source, home, read.as_ref().map(|_| ()).map_err(words)));
        if let Ok(read) = read {
            found.active.extend(read.active);
            found.uses.extend(read.uses);
        }
    }

    pub(crate) fn report(&self, source: Source, home: Option<&Home>, read: Result<(), String>) -> SourceReport {
        let reach = match read {
            Ok(()) => Reach::Complete,
            Err(why) => Reach::Incomplete { why },
        };
        SourceReport { source, home: home.cloned(), reach }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Images whose manifests may list others.
fn may_be_parents(repository: &Repository) -> Vec<Digest> {
    let images = repository.images.iter().flat_map(|images| images.iter());
    images.filter(|image: &&Image| image.media_type.may_have_children()).map(|image| image.digest).collect()
}

/// What went wrong with a call, and what to do about it.
#[must_use]
pub fn words(problem: &AwsError) -> String {
    match problem.kind {
        Kind::Denied => {
            let action = match problem.operation {
                "s3 ListObjectsV2" => "s3:ListBucket".to_owned(),
                operation => operation.replacen(' ', ":", 1),
            };
            format!("{problem}: allow {action} to the janitor's role")
        }
        Kind::Throttled => format!("{problem}: AWS wants fewer calls; the next run tries again"),
        Kind::Unavailable | Kind::Refused => problem.to_string(),
    }
}

/// What went wrong with a store, and what to do about it.
#[must_use]
pub fn words_of_store(problem: &StoreError) -> String {
    match problem {
        StoreError::Aws(problem) => words(problem),
        other => other.to_string(),
    }
}
