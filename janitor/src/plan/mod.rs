//! The plan: one verdict for every image, and what to delete in which order.
//!
//! ```text
//!   Snapshot, Policy, Memory, now ──► plan() ──► Plan ──► memory()   what the next scan has to know
//!                                                  │  └──► why()      the path that keeps an image, or the rule
//!                                                  └────► file()     PlanFile: what `sweep` carries out
//!
//!   PlanFile ──► check() ──► Sweep: recheck → next → BatchDeleteImage → record → confirm → next …
//! ```

mod file;
mod recheck;
mod reply;
mod sweep;
mod verdict;

use chrono::{DateTime, Utc};

pub use self::file::{Deletion, PlanFile, PlanFileError, Refusal, RepositoryPlan};
pub use self::recheck::{Answer, Fresh, recheck};
pub use self::reply::{Failure, Identifier, Outcome, Reply};
pub use self::sweep::{Batch, Sweep};
pub use self::verdict::{Condemned, Kept, Verdict};

use crate::in_use::InUse;
use crate::inventory::{Inventory, Manifests};
use crate::memory::Memory;
use crate::policy::Policy;

/// Everything that one scan saw, of one registry and of all places in which references to it are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The registry.
    pub inventory: Inventory,
    /// Manifests of its indexes, and of images of unknown media types.
    pub manifests: Manifests,
    /// What refers to images.
    pub in_use: InUse,
}

/// What is to be done with each image, and why.
#[derive(Debug)]
pub struct Plan<'a> {
    snapshot: &'a Snapshot,
}

/// Repositories in which something could go if nothing referred to it: what the policy alone condemns. Only these need
/// their manifests, repository policies and lifecycle policies read, and only for these the service deployments.
pub fn candidates(inventory: &Inventory, policy: &Policy, now: DateTime<Utc>) -> Vec<String> {
    let _ = (inventory, policy, now);
    todo!()
}

/// Decides every image of the snapshot.
pub fn plan<'a>(snapshot: &'a Snapshot, policy: &'a Policy, memory: &'a Memory, now: DateTime<Utc>) -> Plan<'a> {
    let _ = (policy, memory, now);
    let _ = Plan { snapshot }.snapshot;
    todo!()
}

impl Plan<'_> {
    /// What the next scan has to know. Unchanged after an incomplete scan.
    pub fn memory(&self) -> Memory {
        todo!()
    }

    /// What is to be carried out.
    pub fn file(&self) -> PlanFile {
        todo!()
    }
}
