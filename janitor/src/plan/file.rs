//! The plan as a file.

use chrono::{DateTime, Utc};
use coalmine_pipeline::{Digest, Home};
use serde::{Deserialize, Serialize};

/// What is to be deleted, as it is written by `plan` and carried out by `sweep`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// What is to be deleted from a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryPlan {
    /// Its name.
    pub name: String,
    /// What goes, in this order: an index before its children, an image before what is about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deletions: Vec<Deletion>,
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
    /// Why it goes, for people.
    pub why: String,
}

/// A plan file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanFileError {
    /// It is not what `plan` wrote.
    #[error("{0}")]
    Damaged(String),
}

/// Why a plan is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

impl PlanFile {
    /// The file's bytes: JSON with a checksum, equal for equal plans.
    pub fn to_bytes(&self) -> Vec<u8> {
        todo!()
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Anything that is not, byte for byte, what [`PlanFile::to_bytes`] wrote.
    pub fn read(bytes: &[u8]) -> Result<Self, PlanFileError> {
        let _ = bytes;
        todo!()
    }

    /// Whether the plan may be carried out in this registry, by this policy, now. `repositories` are those that exist.
    ///
    /// # Errors
    ///
    /// All reasons why not.
    pub fn check(
        &self,
        registry: &Home,
        policy: &str,
        repositories: &[&str],
        now: DateTime<Utc>,
    ) -> Result<(), Vec<Refusal>> {
        let _ = (registry, policy, repositories, now);
        todo!()
    }
}
