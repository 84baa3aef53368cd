//! The worker's ledger: the releases that a rollback may return to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use coalmine_door::clock::Time;
use coalmine_door::store::{Listed, Store};
use coalmine_pipeline::Home;
use coalmine_pipeline::ledger::{Entry, RELEASE_SCHEMA, RELEASES, SERVICES, release_key, release_of};
use futures_util::{StreamExt, stream};
use serde::Deserialize;

use crate::in_use::{Reach, Source, SourceReport, Step, Use, Used, recent_releases};
use crate::policy::Policy;
use crate::scan::words_of_store;

/// Records that are read at the same time.
const AT_ONCE: usize = 8;

/// The worker's ledger, and what was read of it: one run looks more than once.
#[derive(Debug)]
pub struct Ledger {
    store: Store,
    /// By key and version.
    read: Mutex<BTreeMap<(String, String), Images>>,
}

type Images = Arc<[String]>;

/// A release, as far as it matters here: whatever else stands there is the worker's.
#[derive(Debug, Deserialize)]
struct Release {
    schema: u32,
    images: Vec<String>,
}

/// Reads the releases that count; `None` where the policy names no ledger.
pub async fn read(
    ledger: Option<&Ledger>,
    policy: &Policy,
    registry: &Home,
    now: Time,
) -> Option<(SourceReport, Vec<Use>)> {
    let report = |reach| SourceReport { source: Source::Ledger, home: None, reach };
    let ledger = ledger?;
    if !policy.reads(Source::Ledger) {
        return Some((report(Reach::Off), Vec::new()));
    }
    match ledger.releases(policy, now).await {
        Ok(releases) => {
            let uses = releases.iter().flat_map(|(release, images)| uses(release, images, registry));
            Some((report(Reach::Releases(releases.len())), uses.collect()))
        }
        Err(why) => Some((report(Reach::Incomplete { why }), Vec::new())),
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
        Self { store, read: Mutex::default() }
    }

    /// The releases that count, with their images.
    async fn releases(&self, policy: &Policy, now: Time) -> Result<Vec<(String, Images)>, String> {
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
        let mut reading = stream::iter(wanted)
            .map(|release| {
                let version = by_release.get(release).and_then(|listed| listed.version.clone());
                async move { Ok::<_, String>((release, self.images(release, version).await?)) }
            })
            .buffered(AT_ONCE);
        let mut releases = Vec::new();
        while let Some(read) = reading.next().await {
            let (release, images) = read?;
            // Gone since it was listed.
            releases.extend(images.map(|images| (release.to_owned(), images)));
        }
        Ok(releases)
    }

    /// The images of a release, read unless this version of its record was; `None` if it is gone.
    async fn images(&self, release: &str, version: Option<String>) -> Result<Option<Images>, String> {
        let key = release_key(release);
        let known = version.and_then(|version| {
            let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            read.get(&(key.clone(), version)).cloned()
        });
        if known.is_some() {
            return Ok(known);
        }
        let stored = self.store.get(&key).await.map_err(|problem| words_of_store(&problem))?;
        let Some(stored) = stored else { return Ok(None) };
        let release: Release =
            serde_json::from_slice(&stored.body).map_err(|problem| format!("{key} cannot be understood: {problem}"))?;
        if release.schema != RELEASE_SCHEMA {
            let found = release.schema;
            return Err(format!("{key} has schema {found}, this program knows {RELEASE_SCHEMA}: raise the janitor"));
        }
        let images: Images = release.images.into();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.insert((key, stored.version), Arc::clone(&images));
        Ok(Some(images))
    }
}
