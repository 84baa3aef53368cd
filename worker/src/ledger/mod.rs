//! The ledger: durable records beside AWS's own truth. Losing it may cost history, never safety.
//!
//! ```text
//!   held ──► workers/<id>.json   which jobs a worker holds, with their last progress; renewed every ten seconds
//!   orphans ─► which of them nobody holds any more (a pure decision)
//!   store ──► s3://bucket/prefix, or a folder: conditional writes on small JSON objects
//! ```

mod folder;
pub mod held;
pub mod orphans;
mod s3;
mod store;

pub use held::Held;
pub use store::{Condition, Location, Store, StoreError, Stored};
