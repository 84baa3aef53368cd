//! What a service ran, and when: `services/<cluster>/<service>/<begin>-<release>.json`, one object for each release that
//! ended well on it. The keys alone tell which release a service had when, so that one list shows a whole fleet.

use std::collections::BTreeMap;

use coalmine_door::store::{Condition, Store, StoreError};
pub use coalmine_pipeline::ledger::{Entry, SERVICES as PREFIX};
use serde::{Deserialize, Serialize};

use crate::deploy::revision::Revision;

/// The version of these records that this program writes and reads.
const SCHEMA: u32 = 1;
/// How many entries of a service are kept.
pub const KEPT: usize = 50;

/// A release that ended well on a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    schema: u32,
    /// The release: the id of its pipeline execution.
    pub release: String,
    /// The pipeline that brought it; empty where an operator's command did.
    pub pipeline: String,
    /// When the action began that brought it, in epoch seconds.
    pub began: i64,
    /// When it had ended well, in epoch seconds.
    pub at: i64,
    /// What the service runs since.
    pub revision: Revision,
    /// The id of the service deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// Container → digest.
    pub digests: BTreeMap<String, String>,
    /// Whether this was the way back from another release.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rollback: bool,
    /// Whether that way back is not over for all the services that take it: who begins it again means the same release,
    /// not the one before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
    /// When it was over for all of them, in epoch seconds; `None` where nobody noted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<i64>,
    /// The canary service beside it, of a full service: a rollback takes both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
}

impl Ran {
    /// An entry; everything but the schema is the caller's.
    #[must_use]
    pub fn new(release: &str, pipeline: &str, (began, at): (i64, i64), revision: Revision) -> Self {
        Self {
            schema: SCHEMA,
            release: release.to_owned(),
            pipeline: pipeline.to_owned(),
            began,
            at,
            revision,
            deployment: None,
            digests: BTreeMap::new(),
            rollback: false,
            unfinished: false,
            over: None,
            canary: None,
        }
    }

    /// Reads an entry; `None` where it is another version's, or none of ours.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(body).ok().filter(|entry| entry.schema == SCHEMA)
    }
}

/// Notes that a release ended well on a service, once, and lets the oldest entries go.
///
/// # Errors
/// When the ledger cannot be written.
pub async fn note(store: &Store, (cluster, service): (&str, &str), ran: &Ran) -> Result<(), StoreError> {
    let entry = entry((cluster, service), ran.began, &ran.release);
    // A struct of strings and numbers always serializes.
    match store.put(&entry.key(), serde_json::to_vec(ran).unwrap_or_default(), &Condition::New).await {
        Ok(_) => {}
        // A repeated turn.
        Err(StoreError::Changed { .. }) => return Ok(()),
        Err(problem) => return Err(problem),
    }
    let entries = of_service(store, cluster, service).await?;
    for old in entries.iter().skip(KEPT) {
        if let Some(stored) = store.get(&old.key()).await? {
            match store.delete(&old.key(), &stored.version).await {
                Ok(()) | Err(StoreError::Changed { .. }) => {}
                Err(problem) => return Err(problem),
            }
        }
    }
    Ok(())
}

/// Strikes the entry of a release that did not end well on a service after all.
///
/// # Errors
/// When the ledger cannot be read or written.
pub async fn strike(store: &Store, service: (&str, &str), began: i64, release: &str) -> Result<(), StoreError> {
    let key = entry(service, began, release).key();
    let Some(stored) = store.get(&key).await? else { return Ok(()) };
    match store.delete(&key, &stored.version).await {
        Ok(()) | Err(StoreError::Changed { .. }) => Ok(()),
        Err(problem) => Err(problem),
    }
}

fn entry((cluster, service): (&str, &str), began: i64, release: &str) -> Entry {
    Entry { cluster: cluster.to_owned(), service: service.to_owned(), began: began.max(0), release: release.to_owned() }
}

/// Notes that the rollback which brought the newest entry of a service is over, for all services that it took back.
///
/// # Errors
/// When the ledger cannot be read or written.
pub async fn finish(
    store: &Store,
    (cluster, service): (&str, &str),
    revision: &Revision,
    now: i64,
) -> Result<(), StoreError> {
    let Some(newest) = of_service(store, cluster, service).await?.into_iter().next() else { return Ok(()) };
    let Some(stored) = store.get(&newest.key()).await? else { return Ok(()) };
    let unfinished = |ran: &Ran| ran.unfinished && ran.revision == *revision;
    let Some(ran) = Ran::parse(&stored.body).filter(unfinished) else { return Ok(()) };
    // A struct of strings and numbers always serializes.
    let body = serde_json::to_vec(&Ran { unfinished: false, over: Some(now), ..ran }).unwrap_or_default();
    match store.put(&newest.key(), body, &Condition::Unchanged(stored.version)).await {
        // Who rolled back beside it noted the same.
        Ok(_) | Err(StoreError::Changed { .. }) => Ok(()),
        Err(problem) => Err(problem),
    }
}

/// The entries of a service, newest first, as their keys tell them.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn of_service(store: &Store, cluster: &str, service: &str) -> Result<Vec<Entry>, StoreError> {
    let keys = store.list(&format!("{PREFIX}{cluster}/{service}/")).await?;
    let mut entries: Vec<Entry> = keys.iter().filter_map(|key| Entry::of(key)).collect();
    entries.sort();
    entries.reverse();
    Ok(entries)
}

/// The newest entry of a service, if it can be read.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn newest(store: &Store, (cluster, service): (&str, &str)) -> Result<Option<Ran>, StoreError> {
    match of_service(store, cluster, service).await?.first() {
        Some(entry) => read(store, entry).await,
        None => Ok(None),
    }
}

/// The entries of all services, newest first for each.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn all(store: &Store) -> Result<Vec<Entry>, StoreError> {
    Ok(of_keys(&store.list(PREFIX).await?))
}

/// The entries among keys, newest first for each service.
#[must_use]
pub fn of_keys(keys: &[String]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = keys.iter().filter_map(|key| Entry::of(key)).collect();
    entries.sort_by(|a, b| (&a.cluster, &a.service, b.began).cmp(&(&b.cluster, &b.service, a.began)));
    entries
}

/// Reads an entry; `None` where it is gone, or cannot be understood.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn read(store: &Store, entry: &Entry) -> Result<Option<Ran>, StoreError> {
    Ok(store.get(&entry.key()).await?.and_then(|stored| Ran::parse(&stored.body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_another_schema_is_none_of_ours() {
        let ran = Ran::new("e-1", "shop", (1, 2), "shop:1".parse().unwrap());
        let body = serde_json::to_vec(&ran).unwrap();
        assert_eq!(Ran::parse(&body), Some(ran.clone()));
        assert_eq!(Ran::parse(&serde_json::to_vec(&Ran { schema: 2, ..ran }).unwrap()), None);
    }
}
