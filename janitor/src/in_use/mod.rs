//! What is in use: everything that refers to images, and whether it was read to the end.
//!
//! ```text
//!   adapters ──► InUse { definitions, uses, sources }   plain values, as AWS told them
//!                  │
//!                  └─ roots() ──► Roots: (path, image as written, digest)  ──►  plan
//! ```

mod family;
mod keep_list;
mod recent;
mod reference;
mod releases;
mod roots;
mod source;
mod step;
mod trigger;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use self::family::family_and_revision;
pub use self::keep_list::read_keep_list;
pub use self::recent::Recency;
pub use self::reference::{Referred, Registries};
pub use self::releases::{recent_entries, recent_releases};
pub use self::roots::{Missing, Root, Roots, Wanted};
pub use self::source::{Reach, Source, SourceReport};
pub use self::step::Step;
pub use self::trigger::{definition_arn, named_definition};

/// An ARN, shared: a task definition's stands in every use of it.
pub type Arn = Arc<str>;

/// Everything that one scan found to refer to images, in all accounts and Regions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InUse {
    /// Task definitions by ARN: all that were listed ACTIVE, and all that something refers to.
    pub definitions: BTreeMap<Arn, Definition>,
    /// What runs, deploys, calls or keeps an image.
    pub uses: Vec<Use>,
    /// Which sources were read, where, and how far. One entry for each source that is switched on, in each place.
    pub sources: Vec<SourceReport>,
}

/// A revision of a task definition, or of a daemon task definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// The family, in one account and Region.
    pub family: Arc<str>,
    /// The revision in its family. It only ever grows.
    pub revision: u32,
    /// Whether `ListTaskDefinitions` listed it as ACTIVE in this scan.
    pub is_active: bool,
    /// What `DescribeTaskDefinition` said, now or in an earlier run: revisions never change.
    pub content: Content,
}

/// What is known of a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Not described yet. If it turns out to be needed, the scan is incomplete.
    NotRead,
    /// AWS does not know it any more: deleted, so nothing can start from it.
    Gone,
    /// Described.
    Read {
        /// `registeredAt`; a revision without one counts as registered just now.
        registered: Option<DateTime<Utc>>,
        /// Container name and image, of all containers. Shared, because what is kept between runs has them as well.
        containers: Arc<[(Arc<str>, Box<str>)]>,
    },
}

/// One thing that uses an image, directly or through a task definition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// Who, from the outside in: service, deployment. For people.
    pub by: Vec<Step>,
    /// What.
    pub of: Used,
}

/// What is used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Used {
    /// A task definition, by the ARN under which [`InUse::definitions`] has it.
    Definition(Arn),
    /// An image as a text such as `repo:tag@sha256:…`, and the digest that really runs where AWS tells it
    /// (`imageDigest`, `ResolvedImageUri`).
    Image {
        /// As it was written.
        text: Box<str>,
        /// As AWS wrote it; `None` where it says nothing.
        digest: Option<Box<str>>,
    },
    /// A digest alone, where AWS tells no name. It keeps the image in every repository.
    Digest(Box<str>),
    /// All of a repository of the registry that is cleaned, as a keep-list can say.
    Repository(Box<str>),
}
