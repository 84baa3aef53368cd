//! Rolling services back, for the operator's command and for the action `Coalmine-Rollback`.
//!
//! ```text
//!   survey ─► plan ─► (confirmed, or on record) ─► fleet: observe, decide, act ─► every task is counted
//! ```
//!
//! [`survey`] reads what the services are and which releases they had, [`plan`] makes courses of it and checks that they can
//! be taken, [`fleet`] takes them, all services at once, and [`record`] writes down what was left and who did it.

pub(crate) mod action;
mod again;
pub mod fleet;
mod owner;
pub mod plan;
pub mod record;
pub mod survey;
