//! Deletes ECR images that are both old and unreferenced.
//!
//! ```text
//!   observe            decide                                        act
//!   ───────            ──────                                        ───
//!   inventory  ─┐
//!   in_use     ─┼──►   plan::plan ──► Plan ──► PlanFile ──► plan::recheck ──► plan::Sweep ──► BatchDeleteImage
//!   policy     ─┤          │
//!   memory     ─┘          └──► why, report, the memory for the next scan
//! ```
//!
//! [`inventory`], [`in_use`], [`policy`], [`memory`] and [`plan`] are values and synchronous functions of them and
//! `now`: no SDK, no clock, no async, no log.

pub mod in_use;
pub mod inventory;
pub mod memory;
pub mod plan;
pub mod policy;
