//! The plan: one verdict for every image, and what to delete in which order.
//!
//! ```text
//!   Snapshot, Policy, Memory, now ──► plan() ──► Plan ──► memory()   what the next scan has to know
//!                                                  │  └──► why()      the path that keeps an image, or the rule
//!                                                  └────► write()    the file that `sweep` carries out
//!
//!   PlanFile ──► check() ──► recheck ──► Sweep: next_batch → BatchDeleteImage → record → confirm → next_batch …
//!
//!   within plan():   aim      from roots to images
//!                    graph    which images keep which
//!                    freeze, gap, guard     what holds back: of a repository, of the whole scan, of a run
//!                    judge    all of it together, one repository at a time
//! ```
//!
//! What the clock can do. A clock that is behind makes every image and every revision younger: it deletes nothing that the
//! right one would not. A clock that is ahead makes them older: in one scan it deletes only what an earlier one found old
//! and unreferenced, but in both scans it takes young images for old, and recently registered revisions for none. So a run
//! begins only by a clock that agrees with AWS's ([`clocks_agree`]), and without AWS's date nothing is deleted. Guards
//! hold by any clock, because they count images and not days.

mod aim;
mod file;
mod freeze;
mod gap;
mod graph;
mod guard;
mod judge;
mod make;
mod recheck;
mod reply;
mod size;
mod sweep;
#[cfg(test)]
mod tests;
mod verdict;
mod why;
mod write;

pub use self::file::{Deletion, KeptImage, PlanFile, PlanFileError, Refusal, RepositoryPlan};
pub use self::freeze::Freeze;
pub use self::gap::{CLOCKS_DIFFER, Gap, clocks_agree};
pub use self::guard::Guard;
pub use self::make::{Judged, Plan, candidates, plan};
pub use self::recheck::{Answer, Fresh, recheck};
pub use self::reply::{Failure, Identifier, Outcome, Reply, identifiers};
pub use self::size::Freed;
pub use self::sweep::{Batch, Sweep};
pub use self::verdict::{Condemned, Kept, Verdict};

use crate::in_use::InUse;
use crate::inventory::{Inventory, Manifests};

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
