//! The ledger: durable records beside AWS's own truth. Losing it may cost history, never safety.
//!
//! ```text
//!   held ──► workers/<id>.json   which jobs a worker holds, with their last progress; renewed every ten seconds
//!   orphans ─► which of them nobody holds any more (a pure decision)
//!   percents ► services/<cluster>/<service>/percents.json   a service's own percents while a turnover changes them
//!                `returned.json` when they are back
//!   releases ► releases/<release>.json   what became of a release, in order
//!   canaries ► held/<cluster>/<service>.json   a canary that waits for people, and its way back
//!   lease ───► held/watch.json   which worker watches them, and what it knows of them
//!   refused ► services/<cluster>/<service>/refused.json   digests that a service was rolled back from
//!   rollbacks ► rollbacks/<action execution>.json   what a rollback action decided, for its later turns
//!   history ─► services/<cluster>/<service>/<begin>-<release>.json   which releases ended well on a service
//! ```
//!
//! The objects are small, and in S3 or a folder: [`coalmine_door::store`].

pub(crate) mod aside;
pub mod canaries;
pub mod held;
pub mod history;
pub mod lease;
pub mod orphans;
pub(crate) mod percents;
pub mod refused;
pub mod releases;
pub(crate) mod rollbacks;

pub use held::Held;

/// The largest object of the ledger, 1 MiB: 400 held jobs with the longest tokens.
pub const OBJECT_BYTES_MAX: usize = 1 << 20;
