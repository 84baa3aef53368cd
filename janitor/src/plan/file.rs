//! The plan as a file: JSON that is refused if it was cut, edited, or made for something else.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use coalmine_pipeline::{Digest, Home};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::memory::Memory;

/// The version of this form.
pub(super) const VERSION: u32 = 1;

/// What is to be deleted, as it is written by `plan` and carried out by `sweep`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// Version of this form.
    pub version: u32,
    /// The registry.
    pub registry: Home,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// Until when it may be carried out.
    pub expires: DateTime<Utc>,
    /// [`Policy::hash`](crate::policy::Policy::hash) of the policy that it was made by.
    pub policy: String,
    /// Every repository that a rule names, also those with nothing to delete, by name.
    pub repositories: Vec<RepositoryPlan>,
}

/// What is to be done in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryPlan {
    /// Its name.
    pub name: String,
    /// What goes, in this order: an index before its children, an image before what is about it.
    pub deletions: Vec<Deletion>,
    /// What stays, for people. Whoever carries the plan out does not read it: here it is empty.
    #[serde(deserialize_with = "nothing")]
    pub kept: Vec<KeptImage>,
}

/// An image that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deletion {
    /// Its digest.
    pub digest: Digest,
    /// Its tags, sorted. It goes only if it has exactly these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Images that have to be gone before: indexes that list it, the image that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Digest>,
    /// Its last sign of life. A later one saves it.
    pub latest: DateTime<Utc>,
    /// Its size as ECR tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Why it goes, for people. An index and its children mostly go for one reason.
    pub why: Arc<str>,
}

/// An image that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptImage {
    /// Its digest.
    pub digest: Digest,
    /// Its tags, sorted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The path that keeps it, or the reason.
    pub why: String,
}

/// A plan file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanFileError {
    /// It is not whole JSON in the form of a plan.
    #[error("the plan is cut off, or no plan at all ({0}): make a new one")]
    Malformed(String),
    /// Its checksum does not fit.
    #[error("the plan was changed after it was made: make a new one, and change the policy instead of the plan")]
    Changed,
    /// Another version of this program made it.
    #[error("the plan has the form of version {0}, this is {VERSION}: make a new one")]
    Version(u32),
}

/// Why a plan is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// It was made for another registry: its own, this one.
    #[error("the plan was made for registry {0}, this is {1}")]
    Registry(Home, Home),
    /// It was made by another policy.
    #[error("the plan was made by another policy")]
    Policy,
    /// It is too old.
    #[error("the plan was to be carried out until {0}")]
    Expired(DateTime<Utc>),
    /// It comes from the future.
    #[error("the plan was made at {0}, which is still to come: correct the clock")]
    Future(DateTime<Utc>),
    /// A repository of it does not exist any more, or no rule names it.
    #[error("the plan is about the repository {0}, which does not exist or which no rule names")]
    Repository(String),
}

impl PlanFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Anything that is not, byte for byte, what [`Plan::write`](super::Plan::write) wrote.
    pub fn read(bytes: &[u8]) -> Result<Self, PlanFileError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Sealed<'b> {
            #[serde(borrow)]
            plan: &'b RawValue,
            checksum: Digest,
        }
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let malformed = |error: serde_json::Error| PlanFileError::Malformed(error.to_string());
        let sealed: Sealed<'_> = serde_json::from_slice(bytes).map_err(malformed)?;
        let text = sealed.plan.get();
        if Digest::from_bytes(Sha256::digest(text).into()) != sealed.checksum {
            return Err(PlanFileError::Changed);
        }
        let Versioned { version } = serde_json::from_str(text).map_err(malformed)?;
        if version != VERSION {
            return Err(PlanFileError::Version(version));
        }
        serde_json::from_str(text).map_err(malformed)
    }

    /// Takes out what `memory` does not condemn any more, or not for `quarantine`: another janitor has found it in use since
    /// the plan was made. Repository and digest of each.
    pub fn acquit(&mut self, memory: &Memory, quarantine: TimeDelta, now: DateTime<Utc>) -> Vec<(String, Digest)> {
        let mut acquitted = Vec::new();
        for repository in &mut self.repositories {
            let condemned = memory.condemned.get(&repository.name);
            repository.deletions.retain(|deletion| {
                let since = condemned.and_then(|images| images.since(&deletion.digest));
                let stands = since.is_some_and(|since| now - since >= quarantine);
                acquitted.extend((!stands).then(|| (repository.name.clone(), deletion.digest)));
                stands
            });
        }
        acquitted
    }

    /// Whether the plan may be carried out in this registry, by this policy, now. `repositories` are those that exist
    /// and that a rule names; there may be more of them than the plan knows.
    ///
    /// # Errors
    ///
    /// All reasons why not.
    pub fn check(
        &self,
        registry: &Home,
        policy: &str,
        repositories: &BTreeSet<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), Vec<Refusal>> {
        let mut refusals = Vec::new();
        if self.registry != *registry {
            refusals.push(Refusal::Registry(self.registry.clone(), registry.clone()));
        }
        if self.policy != policy {
            refusals.push(Refusal::Policy);
        }
        if now > self.expires {
            refusals.push(Refusal::Expired(self.expires));
        }
        if now < self.created {
            refusals.push(Refusal::Future(self.created));
        }
        let strange = self.repositories.iter().filter(|repository| !repositories.contains(repository.name.as_str()));
        refusals.extend(strange.map(|repository| Refusal::Repository(repository.name.clone())));
        if refusals.is_empty() { Ok(()) } else { Err(refusals) }
    }
}

/// Reads past what is for people.
fn nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<KeptImage>, D::Error> {
    Vec::<IgnoredAny>::deserialize(deserializer).map(|_| Vec::new())
}
