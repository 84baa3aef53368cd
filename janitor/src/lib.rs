//! Deletes ECR images that are both old and unreferenced.
//!
//! ```text
//!   observe                    decide                                  act                  report
//!   ───────                    ──────                                  ───                  ──────
//!   scan ─► inventory  ─┐
//!     │     in_use     ─┼──►   plan::plan ──► Plan ──► PlanFile ──►    sweep: last look,    report, metrics
//!     │     policy     ─┤          │                                   BatchDeleteImage
//!   sources/  state ─► memory ─────┘ why
//!   aws/      cache
//! ```
//!
//! [`inventory`], [`in_use`], [`policy`], [`memory`] and [`plan`] are values and synchronous functions of them and `now`:
//! no SDK, no clock, no async, no log. `aws/` adapts the SDK, `sources/` has a file for each kind of place in which images
//! are referred to, [`run`] puts it all together for [`cli`].

pub mod aws;
pub mod cache;
pub mod cli;
mod definitions;
pub mod ground;
pub mod in_use;
pub mod inventory;
pub mod memory;
pub mod metrics;
pub mod plan;
pub mod policy;
pub mod progress;
pub mod report;
pub mod run;
pub mod scan;
pub mod sources;
pub mod state;
pub mod sweep;
