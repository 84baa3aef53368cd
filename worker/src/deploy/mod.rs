//! The decisions: synchronous functions of plain values and `now`. No SDK type, no clock, no log in here.
//!
//! ```text
//!   preflight ─► Plan ─► rollout::deploy ─► rollout::bake ─► Succeed
//!   (all problems            │ ill             │ ill
//!    at once)                └──────► undo::full ─► undo::canary ─► Fail
//! ```
//!
//! [`view`] says what was seen, [`decision`] what can be done, [`progress`] what one turn hands to the next.

pub mod action;
pub mod batch;
pub mod decision;
pub mod difference;
pub mod earlier;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod happening;
pub mod hold;
pub mod message;
pub mod nearest;
pub mod outlook;
pub mod overtaken;
pub mod preflight;
pub mod progress;
pub mod release;
pub mod restore;
pub mod revision;
pub mod rollback;
pub mod rollout;
pub mod stops;
pub mod task_definition;
pub mod telling;
pub mod undo;
pub mod verdict;
pub mod view;
pub mod warnings;
