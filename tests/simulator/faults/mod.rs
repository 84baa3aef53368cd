//! Faults: what goes wrong between a caller and the account, by wrapping its calls.
//!
//! ```text
//!   caller ──► exchange ──► act ──► reply ──► caller
//!                 │          │        │
//!                 │          │        └ reset, time-out, 500 after the act; short, repeated or stale pages; failures[]
//!                 │          └ kill after the act
//!                 └ throttle, 500, reset, time-out, access denied before the act; kill; freeze
//!
//!   rule.rs      what goes wrong, for which calls         plan.rs    several rules with a seed of their own
//!   state.rs     who has called what, who is dead or frozen, which rule is due
//!   refusal.rs   errors instead of the act                reply.rs   replies changed after it
//!   past.rs      the world as it was, for reads that lag
//!   dates.rs     the dates of requests and replies
//! ```
//!
//! Nothing in here draws from the world's chance. Without a plan all is as if this were not there.

mod dates;
mod past;
mod plan;
mod refusal;
mod reply;
mod rule;
mod state;

#[cfg(test)]
mod tests;

pub use plan::FaultPlan;
pub use rule::{Fault, Freeze, Moment, Rule};
pub use state::{Death, SentCall};

pub(crate) use dates::{http_date, stale_signature};
pub(crate) use past::Past;
pub(crate) use refusal::{instead_of_the_act, reads};
pub(crate) use reply::{
    emptied, failed_with, failing, fails_afterwards, not_deleted, nothing_run, page_of, repeated, short, short_s3,
    unknown_value, without_mark,
};
pub(crate) use rule::TIME_OUT;
pub(crate) use state::{Drawn, Faults, Hold, Who};
