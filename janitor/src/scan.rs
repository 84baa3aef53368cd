//! Observing: one scan of a registry and of everything that may refer to its images.
//!
//! ```text
//!   1  ECR: replication, repositories, images                what could go, before what keeps it
//!   2  manifests, repository policies                        of repositories with candidates
//!   3  the ledger, keep-lists
//!   4  each place: what starts tasks → definitions → services → tasks      a reference can only move ahead of the scan
//!   5  task definitions that something refers to             until nothing is missing
//! ```
//!
//! A source that cannot be read to its end is noted with the reason, and the others are read on, so that all that is
//! missing is told at once. With any of them missing, nothing is deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use coalmine_door::clock::{Clock, Time};
use coalmine_door::store::{Store, StoreError};
use coalmine_door::{AwsError, Kind};
use coalmine_pipeline::{Digest, Home};
use futures_util::StreamExt;
use futures_util::stream;

use crate::aws::Place;
use crate::cache::Cache;
use crate::in_use::{Arn, Content, Definition, InUse, Reach, Source, SourceReport};
use crate::inventory::{Image, Inventory, Manifests, Names, Repository};
use crate::memory::Memory;
use crate::plan::{Snapshot, candidates};
use crate::policy::Policy;
use crate::progress::Progress;
use crate::sources::{self, From, IN_PLACES, KeepListAt};

/// Calls that are under way at the same time, per place. The rate is the buckets' matter; this hides latency.
const AT_ONCE: usize = 8;

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
    pub ledger: Option<&'a Store>,
    /// The policy's keep-lists.
    pub keep_lists: &'a [KeepListAt],
    /// The date and how to wait.
    pub clock: &'a Clock,
    /// How far the scan is, for people.
    pub progress: &'a Progress,
}

/// What a scan has seen.
#[derive(Debug)]
pub struct Seen {
    /// Everything.
    pub snapshot: Snapshot,
    /// Repositories in which something could go if nothing referred to it.
    pub candidates: Vec<String>,
    /// When the scan began: the date by which it is judged.
    pub began: Time,
}

impl Scan<'_> {
    /// Scans everything.
    ///
    /// # Errors
    /// When the registry itself cannot be read: then there is nothing to judge.
    pub async fn all(&self) -> Result<Seen, AwsError> {
        let began = self.clock.now();
        let mut inventory = self.inventory().await?;
        let candidates = candidates(&inventory, self.policy, began);
        let mut reports = vec![self.report(Source::Registry, Some(&self.registry.home), Ok(()))];
        let manifests = match self.details(&mut inventory, &candidates).await {
            Ok(manifests) => {
                reports.push(self.report(Source::Manifests, Some(&self.registry.home), Ok(())));
                manifests
            }
            Err(problem) => {
                reports.push(self.report(Source::Manifests, Some(&self.registry.home), Err(words(&problem))));
                Manifests::default()
            }
        };
        let mut in_use = self.in_use(!candidates.is_empty()).await;
        reports.append(&mut in_use.sources);
        in_use.sources = reports;
        Ok(Seen { snapshot: Snapshot { inventory, manifests, in_use }, candidates, began })
    }

    /// What may refer to images; `with_deployments` also the last successful deployments of each service, which take a
    /// call for each service that has changed.
    pub async fn in_use(&self, with_deployments: bool) -> InUse {
        let mut in_use = InUse::default();
        let now = self.clock.now();
        if let Some((report, uses)) = sources::ledger(self.ledger, self.policy, &self.registry.home).await {
            in_use.sources.push(report);
            in_use.uses.extend(uses);
        }
        if let Some((report, uses)) = sources::keep_lists(self.keep_lists, self.policy, &self.registry.home, now).await
        {
            in_use.sources.push(report);
            in_use.uses.extend(uses);
        }
        let places = self.places.iter().map(|place| self.place(place, with_deployments));
        for (active, uses, reports) in futures_util::future::join_all(places).await {
            for arn in active {
                let definition = self.definition(&arn, true);
                in_use.definitions.extend(definition.map(|definition| (arn, definition)));
            }
            in_use.uses.extend(uses);
            in_use.sources.extend(reports);
        }
        self.complete(&mut in_use, now).await;
        in_use
    }

    async fn inventory(&self) -> Result<Inventory, AwsError> {
        self.progress.begin("images");
        let replication = self.registry.replication().await?;
        let mut repositories = self.registry.repositories().await?;
        let names = Mutex::new(Names::default());
        let ruled: Vec<&mut Repository> =
            repositories.iter_mut().filter(|repository| self.policy.rule(&repository.name).is_some()).collect();
        self.progress.expect(ruled.len());
        let mut reading = stream::iter(ruled)
            .map(|repository| async {
                repository.images = self.registry.images(&repository.name, &names).await?;
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

    /// Manifests and policies of the repositories with candidates.
    async fn details(&self, inventory: &mut Inventory, candidates: &[String]) -> Result<Manifests, AwsError> {
        self.progress.begin("manifests");
        self.progress.expect(candidates.len());
        let names = Mutex::new(Names::default());
        let wanted = inventory.repositories.iter_mut().filter(|repository| candidates.contains(&repository.name));
        let mut reading = stream::iter(wanted)
            .map(|repository| async {
                repository.access = self.registry.access(&repository.name).await?;
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

    /// All sources of one place, in their order.
    async fn place(
        &self,
        place: &Place,
        with_deployments: bool,
    ) -> (Vec<Arn>, Vec<crate::in_use::Use>, Vec<SourceReport>) {
        let from = From { place, cache: self.cache, deployments: self.policy.recent.deployments as usize };
        let (mut active, mut uses, mut reports) = (Vec::new(), Vec::new(), Vec::new());
        for source in IN_PLACES {
            if !self.policy.reads(source) {
                reports.push(SourceReport { source, home: Some(place.home.clone()), reach: Reach::Off });
                continue;
            }
            if source == Source::ServiceDeployments && !with_deployments {
                continue;
            }
            self.progress.begin(source.name());
            let read = sources::read(source, from).await;
            let outcome = read.as_ref().map(|_| ()).map_err(words);
            reports.push(self.report(source, Some(&place.home), outcome));
            if let Ok(found) = read {
                active.extend(found.active);
                uses.extend(found.uses);
            }
        }
        (active, uses, reports)
    }

    /// Reads the task definitions that something refers to, until nothing is missing.
    async fn complete(&self, in_use: &mut InUse, now: Time) {
        self.progress.begin("task definitions");
        let remembered = self.memory.active.keys().cloned();
        let referred = in_use.uses.iter().filter_map(|one| match &one.of {
            crate::in_use::Used::Definition(arn) => Some(arn.clone()),
            _ => None,
        });
        for arn in referred.chain(remembered).collect::<BTreeSet<Arn>>() {
            if !in_use.definitions.contains_key(&arn)
                && let Some(definition) = self.definition(&arn, false)
            {
                in_use.definitions.insert(arn, definition);
            }
        }
        let mut failed: BTreeMap<Home, String> = BTreeMap::new();
        loop {
            let unread = in_use.unread(&self.policy.recent, self.memory, now);
            let unread: Vec<(Arn, &Place)> = unread
                .into_iter()
                .filter_map(|arn| self.place_of(&arn).map(|place| (arn, place)))
                .filter(|(_, place)| !failed.contains_key(&place.home))
                .collect();
            if unread.is_empty() {
                break;
            }
            self.progress.expect(unread.len());
            let mut reading = stream::iter(unread)
                .map(|(arn, place)| async move {
                    let read = if is_daemons(&arn) {
                        place.daemon_definition(&arn).await
                    } else {
                        place.definition(&arn).await
                    };
                    self.progress.step();
                    (arn, place, read)
                })
                .buffer_unordered(AT_ONCE);
            while let Some((arn, place, read)) = reading.next().await {
                match read {
                    Ok(content) => {
                        self.cache.keep_definition(&arn, &content);
                        if let Some(definition) = in_use.definitions.get_mut(&arn) {
                            definition.content = content;
                        }
                    }
                    Err(problem) => drop(failed.insert(place.home.clone(), words(&problem))),
                }
            }
        }
        for (home, why) in failed {
            in_use.sources.push(self.report(Source::TaskDefinitions, Some(&home), Err(why)));
        }
    }

    fn place_of(&self, arn: &str) -> Option<&Place> {
        let home = home(arn)?;
        self.places.iter().find(|place| place.home == home)
    }

    /// A task definition that is not described yet, or was in an earlier run.
    fn definition(&self, arn: &Arn, is_active: bool) -> Option<Definition> {
        let (_, name) = arn.rsplit_once('/')?;
        let (family, revision) = name.rsplit_once(':')?;
        let content = self.cache.definition(arn).unwrap_or(Content::NotRead);
        Some(Definition { family: Arc::from(family), revision: revision.parse().ok()?, is_active, content })
    }

    fn report(&self, source: Source, home: Option<&Home>, read: Result<(), String>) -> SourceReport {
        let reach = match read {
            Ok(()) => Reach::Complete,
            Err(why) => Reach::Incomplete { why },
        };
        SourceReport { source, home: home.cloned(), reach }
    }
}

/// Images whose manifests may list others.
fn may_be_parents(repository: &Repository) -> Vec<Digest> {
    let images = repository.images.iter().flat_map(|images| images.iter());
    images.filter(|image: &&Image| image.media_type.may_have_children()).map(|image| image.digest).collect()
}

fn is_daemons(arn: &str) -> bool {
    arn.contains(":daemon-task-definition/")
}

/// Account and Region of an ARN.
fn home(arn: &str) -> Option<Home> {
    let mut parts = arn.split(':').skip(3);
    Some(Home { region: parts.next()?.to_owned(), account: parts.next()?.to_owned() })
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
