//! The worker's ledger: the releases that a rollback may return to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coalmine_door::clock::Time;
use coalmine_door::store::{Listed, Store};
use coalmine_pipeline::Home;
use coalmine_pipeline::ledger::{ENTRY_SCHEMA, Entry, RELEASE_SCHEMA, RELEASES, SERVICES, release_key, release_of};
use futures_util::{StreamExt, stream};
use serde::Deserialize;

use crate::in_use::{
    Reach, Source, SourceReport, Step, Use, Used, family_and_revision, recent_entries, recent_releases,
};
use crate::policy::Policy;
use crate::scan::words_of_store;

/// Records that are read at the same time.
const AT_ONCE: usize = 8;

/// The worker's ledger, and what was read of it: one run looks more than once, and the next one at little that is new.
#[derive(Debug)]
pub struct Ledger {
    store: Store,
    known: Mutex<Known>,
}

type Texts = Arc<[String]>;

/// What was read of a ledger, by key: the version, and the images of a release or the one task definition of an entry.
pub type Records = BTreeMap<String, (String, Texts)>;

#[derive(Debug, Default)]
struct Known {
    records: Records,
    /// What was asked for in this run.
    asked: BTreeSet<String>,
}

/// What a service ran once.
#[derive(Debug)]
pub struct Ran {
    /// Which service it was, and which release brought it.
    pub entry: Entry,
    /// Its task definition, `family:revision`.
    pub revision: String,
}

/// What the ledger says.
#[derive(Debug, Default)]
pub struct Found {
    /// The images of releases that count.
    pub uses: Vec<Use>,
    /// What services ran that a rollback may return to: with the containers that no release named.
    pub ran: Vec<Ran>,
}

/// A release, as far as it matters here: whatever else stands there is the worker's.
#[derive(Debug, Deserialize)]
struct Release {
    schema: u32,
    images: Vec<String>,
}

/// What ended well on a service, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Ended {
    schema: u32,
    revision: String,
}

/// Reads the releases that count, and what ran with them; `None` where the policy names no ledger.
pub async fn read(
    ledger: Option<&Ledger>,
    policy: &Policy,
    registry: &Home,
    now: Time,
) -> Option<(SourceReport, Found)> {
    let report = |reach| SourceReport { source: Source::Ledger, home: None, reach };
    let ledger = ledger?;
    if !policy.reads(Source::Ledger) {
        return Some((report(Reach::Off), Found::default()));
    }
    match ledger.releases(policy, now).await {
        Ok((releases, ran)) => {
            let uses = releases.iter().flat_map(|(release, images)| uses(release, images, registry));
            Some((report(Reach::Releases(releases.len())), Found { uses: uses.collect(), ran }))
        }
        Err(why) => Some((report(Reach::Incomplete { why }), Found::default())),
    }
}

fn uses(release: &str, images: &[String], registry: &Home) -> Vec<Use> {
    let by = vec![Step::Release(release.into())];
    let both = images.iter().flat_map(|image| {
        // A name without a host may be one of this registry's, or of another: both are kept.
        let here = Used::of_registry(image, registry).ok();
        here.into_iter().chain([Used::Image { text: image.as_str().into(), digest: None }])
    });
    both.map(|of| Use { by: by.clone(), of }).collect()
}

impl Ledger {
    /// The ledger in a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, known: Mutex::default() }
    }

    /// Begins with what earlier runs have read. A record that was changed since is read again.
    pub fn know(&self, records: Records) {
        self.known().records = records;
    }

    /// What to keep for the next run: after a complete scan what this one has asked for.
    #[must_use]
    pub fn kept(&self, is_complete: bool) -> Records {
        let known = self.known();
        let mut records = known.records.clone();
        records.retain(|key, _| !is_complete || known.asked.contains(key));
        records
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The releases that count, with their images, and what services ran.
    async fn releases(&self, policy: &Policy, now: Time) -> Result<(Vec<(String, Texts)>, Vec<Ran>), String> {
        if !self.store.is_there() {
            return Err(String::from("its folder is not there: correct `ledger` in the policy, or mount the folder"));
        }
        let list = async |prefix| self.store.list_dated(prefix).await.map_err(|problem| words_of_store(&problem));
        // A release is on record before a service's history has it.
        let services = list(SERVICES).await?;
        let records = list(RELEASES).await?;
        let entries: Vec<Entry> = services.iter().filter_map(|listed| Entry::of(&listed.key)).collect();
        let by_release: BTreeMap<&str, &Listed> =
            records.iter().filter_map(|listed| Some((release_of(&listed.key)?, listed))).collect();
        let dates = by_release.iter().map(|(release, listed)| (*release, listed.written)).collect();
        let wanted = recent_releases(&dates, &entries, &policy.recent, now);
        let ended = recent_entries(&entries, &wanted, &policy.recent, now);
        let mut reading = stream::iter(wanted)
            .map(|release| {
                let version = by_release.get(release).and_then(|listed| listed.version.clone());
                async move { Ok::<_, String>((release, self.read(release_key(release), version, images).await?)) }
            })
            .buffered(AT_ONCE);
        let mut releases = Vec::new();
        while let Some(read) = reading.next().await {
            let (release, images) = read?;
            // Gone since it was listed.
            releases.extend(images.map(|images| (release.to_owned(), images)));
        }
        let versions: BTreeMap<&str, Option<&String>> =
            services.iter().map(|listed| (listed.key.as_str(), listed.version.as_ref())).collect();
        let mut reading = stream::iter(ended)
            .map(|entry| {
                let key = entry.key();
                let version = versions.get(key.as_str()).copied().flatten().cloned();
                async move { Ok::<_, String>((entry, self.read(key, version, revision).await?)) }
            })
            .buffered(AT_ONCE);
        let mut ran = Vec::new();
        while let Some(read) = reading.next().await {
            let (entry, revision) = read?;
            // The worker lets the oldest go.
            let revision = revision.and_then(|revision| revision.first().cloned());
            ran.extend(revision.map(|revision| Ran { entry: entry.clone(), revision }));
        }
        Ok((releases, ran))
    }

    /// What a record says, read unless this version of it was; `None` if it is gone.
    async fn read(
        &self,
        key: String,
        version: Option<String>,
        parse: fn(&str, &[u8]) -> Result<Vec<String>, String>,
    ) -> Result<Option<Texts>, String> {
        self.known().asked.insert(key.clone());
        // A folder's list tells no versions.
        let known = self.known().records.get(&key).filter(|(known, _)| version.as_ref() == Some(known)).cloned();
        if let Some((_, texts)) = known {
            return Ok(Some(texts));
        }
        let stored = self.store.get(&key).await.map_err(|problem| words_of_store(&problem))?;
        let Some(stored) = stored else { return Ok(None) };
        let texts: Texts = parse(&key, &stored.body)?.into();
        self.known().records.insert(key, (stored.version, Arc::clone(&texts)));
        Ok(Some(texts))
    }
}

/// The images of a release.
fn images(key: &str, body: &[u8]) -> Result<Vec<String>, String> {
    let release: Release = parsed(key, body)?;
    is_known(key, release.schema, RELEASE_SCHEMA)?;
    Ok(release.images)
}

/// The task definition of what a service ran.
fn revision(key: &str, body: &[u8]) -> Result<Vec<String>, String> {
    let ended: Ended = parsed(key, body)?;
    is_known(key, ended.schema, ENTRY_SCHEMA)?;
    if family_and_revision(&format!("/{}", ended.revision)).is_none() {
        return Err(format!("{key} cannot be understood: {:?} is no revision of a task definition", ended.revision));
    }
    Ok(vec![ended.revision])
}

fn parsed<'b, T: Deserialize<'b>>(key: &str, body: &'b [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|problem| format!("{key} cannot be understood: {problem}"))
}

fn is_known(key: &str, found: u32, known: u32) -> Result<(), String> {
    if found == known {
        return Ok(());
    }
    Err(format!("{key} has schema {found}, this program knows {known}: raise the janitor"))
}
