//! What is there: a registry, its repositories, their images, and what an index's manifest lists.
//!
//! Plain values. The adapters fill them from `DescribeRegistry`, `DescribeRepositories`, `DescribeImages` and
//! `BatchGetImage`; nothing in here judges.

mod access;
mod image;
mod manifest;
mod media;

use chrono::{DateTime, Utc};
use coalmine_pipeline::Home;

pub use self::access::{Access, Principal, RegistryAccess};
pub use self::image::{Image, Images, Life, Status};
pub use self::manifest::{Child, Manifest, Manifests, Names, read_manifest};
pub use self::media::MediaType;

/// One registry, the private one of an account in a Region, as one scan saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// Where the registry is.
    pub home: Home,
    /// All of its repositories, also those that no rule names: references to images that are missing are found by them.
    pub repositories: Vec<Repository>,
    /// `DescribeRegistry`, `replicationConfiguration.rules`.
    pub replication: Vec<Replication>,
}

/// A repository (`DescribeRepositories`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// `repositoryName`, such as `shop/app`.
    pub name: String,
    /// `createdAt`.
    pub created: Option<DateTime<Utc>>,
    /// `imageTagMutability`, as AWS writes it: MUTABLE, IMMUTABLE, `IMMUTABLE_WITH_EXCLUSION`, …. For reports alone:
    /// immutability does not keep an image from being deleted.
    pub tag_mutability: String,
    /// `GetRepositoryPolicy`, and what `GetRegistryPolicy` adds. Only repositories with candidates need it; without it they
    /// are frozen.
    pub access: Reading<Access>,
    /// `DescribeImages` with `imageStatus` ANY, every page; `None` if the repository was not listed.
    pub images: Option<Images>,
}

/// What a call that may find nothing has found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Reading<T> {
    /// Nobody asked.
    #[default]
    NotRead,
    /// Asked, and there is none.
    None,
    /// This is there.
    Some(T),
}

/// A replication rule (`DescribeRegistry`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replication {
    /// The registries that receive copies.
    pub destinations: Vec<Home>,
    /// `repositoryFilters` with `PREFIX_MATCH`; none means every repository. A filter of another type counts as the
    /// empty prefix, which every name begins with.
    pub prefixes: Vec<String>,
    /// `deleteReplication.enabled`: whether a deletion here deletes there too.
    pub deletes: bool,
}

impl Replication {
    /// Whether the rule replicates `repository`.
    pub fn names(&self, repository: &str) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| repository.starts_with(prefix.as_str()))
    }
}
