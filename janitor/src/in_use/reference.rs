//! Where a reference leads, seen from the registry that is cleaned.

use coalmine_pipeline::{Digest, Home, Mismatch};

use crate::inventory::Replication;

/// The registry that is cleaned, and those that its deletions are replicated to.
#[derive(Debug, Clone)]
pub struct Registries<'a> {
    /// The registry that is cleaned.
    pub home: &'a Home,
    /// Its replication rules. A reference to a copy that a deletion would spread to counts as one to the original.
    pub replication: &'a [Replication],
}

/// Where a reference leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Referred {
    /// To an image of this registry.
    Image {
        /// The repository.
        repository: String,
        /// The tag: the one that was written, or `latest` where neither tag nor digest was.
        tag: Option<String>,
        /// The digest that was written.
        digest: Option<Digest>,
    },
    /// Perhaps to this registry, in a form that is not understood.
    Unclear {
        /// The repository that it seems to name; `None` if that cannot be read either.
        repository: Option<String>,
        /// What is wrong with it.
        why: Mismatch,
    },
    /// To another registry. The digest counts all the same: what looks like another registry may be a proxy of this one.
    Elsewhere {
        /// The digest that was written.
        digest: Option<Digest>,
    },
}

impl Registries<'_> {
    /// Reads a reference as it was written in a task definition, a function, a project.
    pub fn read(&self, text: &str) -> Referred {
        let _ = text;
        todo!()
    }
}
