//! The canaries that wait for people: `held/<cluster>/<service>.json`, one for each canary service.
//!
//! ```text
//!   Canary succeeds ─► written, before the success is told
//!   Full, or a newer Canary, is about to tell a service anything ─► struck: the canary is that action's; put back where AWS refuses
//!   the watch ─► restoring, with its progress before each act ─► struck when the canary is back
//! ```
//!
//! All writes are conditional on the version that was read, so the record is also what keeps the watch and the jobs
//! apart: of those who want a canary, the write lets one go on.

use std::collections::BTreeMap;

use coalmine_door::store::{self, Condition, Listed, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::deploy::hold::Why;
use crate::deploy::progress::Progress;
use crate::ledger::aside::keep_a_copy;

/// The version of these records that this program writes and reads.
const SCHEMA: u32 = 1;
/// What all their keys begin with.
pub const PREFIX: &str = "held/";
/// The lease of the worker that watches them.
pub const LEASE: &str = "held/watch.json";

/// A canary that waits for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    pub(crate) schema: u32,
    /// The release: the id of its pipeline execution.
    pub release: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The stage and the action that deployed it.
    pub stage: String,
    /// As above.
    pub action: String,
    /// The action execution.
    pub action_execution: String,
    /// The cluster's name.
    pub cluster: String,
    /// The canary service's name.
    pub service: String,
    /// The full service's name.
    pub full: String,
    /// The alarms by which it is judged.
    pub alarms: Vec<String>,
    /// Container → digest.
    pub digests: BTreeMap<String, String>,
    /// What the approver is shown.
    pub summary: String,
    /// Since when it waits, in epoch seconds.
    pub since: i64,
    /// How far its action came, later its way back: a continuation token.
    pub(crate) progress: String,
    /// Why it goes back, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restoring: Option<Restoring>,
}

/// Why a canary goes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoring {
    /// In words.
    pub why: String,
    /// Who decided it, where a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Since when, in epoch seconds.
    pub since: i64,
    /// Whether it is not well: then it goes back although people have not decided.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sick: bool,
}

impl Canary {
    /// A canary that begins to wait; what is not given is empty.
    #[must_use]
    pub fn new((cluster, service, full): (&str, &str, &str), progress: &Progress, since: i64) -> Self {
        Self {
            schema: SCHEMA,
            release: String::new(),
            pipeline: String::new(),
            stage: String::new(),
            action: String::new(),
            action_execution: String::new(),
            cluster: cluster.to_owned(),
            service: service.to_owned(),
            full: full.to_owned(),
            alarms: Vec::new(),
            digests: BTreeMap::new(),
            summary: String::new(),
            since,
            progress: progress.to_token(),
            restoring: None,
        }
    }

    /// Reads a record; `None` where it is another version's, or none of ours.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let record = serde_json::from_slice::<Self>(body).ok().filter(|record| record.schema == SCHEMA)?;
        record.progress().map(|_| record)
    }

    /// How far its action came, or its way back.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        Progress::from_token(&self.progress).ok()
    }

    /// The same with another progress.
    #[must_use]
    pub fn with(mut self, progress: &Progress) -> Self {
        self.progress = progress.to_token();
        self
    }

    /// The same on its way back.
    #[must_use]
    pub fn restored_because(self, why: Why, progress: &Progress, now: i64) -> Self {
        let Why { text, by, sick } = why;
        Self { restoring: Some(Restoring { why: text, by, since: now, sick }), ..self.with(progress) }
    }

    /// `cluster/service`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}/{}", self.cluster, self.service)
    }

    fn body(&self) -> Vec<u8> {
        // A struct of strings and numbers always serializes.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// How many canaries the watch tells of at most: what it writes at each look stays small.
pub const GLIMPSES_MOST: usize = 200;

/// A held canary as the watch tells of it in its lease, so that whoever asks for all of them need not read each record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Glimpse {
    /// The record's key.
    pub key: String,
    /// The version of the record that says so: where it has another one by now, none of this counts.
    pub version: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The release.
    pub release: String,
    /// Since when it waits, in epoch seconds.
    pub since: i64,
    /// Why it goes back, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restoring: Option<String>,
    /// Where people were asked when its execution was looked at last, each as `Stage/Action`; `None`: it was not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<Vec<String>>,
}

impl Glimpse {
    /// What a record says.
    #[must_use]
    pub fn of(key: &str, version: &str, canary: &Canary) -> Self {
        Self {
            key: key.to_owned(),
            version: version.to_owned(),
            pipeline: canary.pipeline.clone(),
            release: canary.release.clone(),
            since: canary.since,
            restoring: canary.restoring.as_ref().map(|restoring| restoring.why.clone()),
            asks: None,
        }
    }
}

/// What stands in the lease beside whose it is.
#[derive(Default, Deserialize)]
struct Told {
    #[serde(default)]
    held: Vec<Glimpse>,
}

/// What the watch told last of the held canaries, by key.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn glimpses(store: &Store) -> Result<BTreeMap<String, Glimpse>, StoreError> {
    let stored = store.get(LEASE).await?;
    // Another version's lease tells nothing.
    let told = stored.and_then(|stored| serde_json::from_slice::<Told>(&stored.body).ok()).unwrap_or_default();
    Ok(told.held.into_iter().map(|glimpse| (glimpse.key.clone(), glimpse)).collect())
}

/// A record with the version under which it was read or written; `None` where it cannot be understood.
pub type Stored = (String, Option<Canary>);

/// The keys of all held canaries.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn keys(store: &Store) -> Result<Vec<String>, StoreError> {
    Ok(listed(store).await?.into_iter().map(|listed| listed.key).collect())
}

/// The same with the versions of their records, where the store tells them.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn listed(store: &Store) -> Result<Vec<Listed>, StoreError> {
    let listed = store.list_dated(PREFIX).await?;
    Ok(listed.into_iter().filter(|listed| listed.key != LEASE).collect())
}

/// The key of a canary service.
#[must_use]
pub fn key(cluster: &str, service: &str) -> String {
    format!("{PREFIX}{cluster}/{service}.json")
}

/// Reads a record; `None` where there is none.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn read(store: &Store, key: &str) -> Result<Option<Stored>, StoreError> {
    match store.get(key).await {
        Ok(stored) => Ok(stored.map(|stored| (stored.version, Canary::parse(&stored.body)))),
        // Nobody understands it; the others are read all the same.
        Err(StoreError::TooLarge { .. }) => Ok(Some((String::new(), None))),
        Err(problem) => Err(problem),
    }
}

/// Notes that a canary waits, instead of `standing`, which was read as its service's record just now; the version of the new
/// one. Who finds that another worker has noted the same notes it anew, so that each knows its own record from the other's.
///
/// # Errors
/// When somebody else came before, or the ledger cannot be written.
pub async fn note(store: &Store, canary: &Canary, standing: Option<store::Stored>) -> Result<String, StoreError> {
    let key = key(&canary.cluster, &canary.service);
    match standing.as_ref().map(|standing| Canary::parse(&standing.body)) {
        Some(Some(known)) if known.restoring.is_some() && known.action_execution == canary.action_execution => {
            return Ok(String::new());
        }
        Some(None) => keep_a_copy(store, &key, &standing, canary.since).await?,
        _ => {}
    }
    let condition = standing.map_or(Condition::New, |standing| Condition::Unchanged(standing.version));
    store.put(&key, canary.body(), &condition).await
}

/// Writes a record that has still this version; its new version.
///
/// # Errors
/// When somebody else has changed or taken it, or the ledger cannot be written.
pub async fn rewrite(store: &Store, canary: &Canary, version: &str) -> Result<String, StoreError> {
    let (key, body) = (key(&canary.cluster, &canary.service), canary.body());
    match store.put(&key, body.clone(), &Condition::Unchanged(version.to_owned())).await {
        // It may be this very write, whose reply was lost.
        Err(changed @ StoreError::Changed { .. }) => match store.get(&key).await? {
            Some(stored) if stored.body == body => Ok(stored.version),
            _ => Err(changed),
        },
        other => other,
    }
}

/// Notes again that a canary waits, whose record was struck for an act that did not happen; the record's version. `None`: who
/// has noted something else meanwhile is right.
///
/// # Errors
/// When the ledger cannot be written.
pub async fn put_back(store: &Store, canary: &Canary) -> Result<Option<String>, StoreError> {
    match store.put(&key(&canary.cluster, &canary.service), canary.body(), &Condition::New).await {
        Ok(version) => Ok(Some(version)),
        Err(StoreError::Changed { .. }) => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// Strikes a record that has still this version.
///
/// # Errors
/// When somebody else has changed or taken it, or the ledger cannot be written.
pub async fn strike(store: &Store, key: &str, version: &str) -> Result<(), StoreError> {
    store.delete(key, version).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_version_or_with_the_progress_of_another_is_none_of_ours() {
        let canary = Canary::new(("main", "shop-canary", "shop"), &Progress::begin(0), 7);
        assert_eq!(Canary::parse(&canary.body()), Some(canary.clone()));
        assert_eq!(Canary::parse(&Canary { schema: 2, ..canary.clone() }.body()), None);
        assert_eq!(Canary::parse(&Canary { progress: "{\"v\":9}".into(), ..canary }.body()), None);
        assert_eq!(Canary::parse(b"{}"), None);
    }
}
