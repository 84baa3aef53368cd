//! Deciding a rollback: where each service goes back to, whether it can, and how it is followed until it is there.
//!
//! ```text
//!   history ─► way ─► target ─┐
//!   pair ─► canary's target ──┴► usable ─► Course ─► course::next, again and again ─► back, or lost
//! ```

pub mod aim;
pub mod course;
pub mod pair;
pub mod refused;
pub mod token;
pub mod usable;
pub mod way;
pub mod words;
