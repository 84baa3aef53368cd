//! The last look at what is to be deleted.

use coalmine_pipeline::{Digest, Home};

use super::RepositoryPlan;
use crate::in_use::Roots;
use crate::inventory::{Image, Manifests, Replication};

/// What was read again right before the deletes of a repository.
#[derive(Debug)]
pub struct Fresh<'a> {
    /// The registry.
    pub registry: &'a Home,
    /// Its replication rules.
    pub replication: &'a [Replication],
    /// The planned images that still exist (DescribeImages with their digests). What is not in here is gone.
    pub images: &'a [Image],
    /// Manifests by digest: what lists what.
    pub manifests: &'a Manifests,
    /// The roots as they are now. It is enough to give those that are new since the plan was made; more does no harm.
    pub roots: &'a Roots<'a>,
}

/// What the last look said of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It may go.
    Go,
    /// It is gone already.
    Gone,
    /// It stays in this run.
    Keep {
        /// What has changed, for people.
        why: String,
    },
}

/// Looks once more at every deletion of a repository, in the plan's order.
pub fn recheck(plan: &RepositoryPlan, fresh: &Fresh<'_>) -> Vec<(Digest, Answer)> {
    let _ = (plan, fresh);
    todo!()
}
