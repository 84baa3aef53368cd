//! Whether this worker is alive, for the health checks of the container that it runs in.
//!
//! ```text
//!   run's parts ─► pulse    when each of them last went round, by the door's clock
//!                  judge    what follows from that (a pure decision)
//!                  page     GET /healthz        ◄─── ask    `coalmine-worker health`
//! ```
//!
//! Healthy means that the worker itself goes on. Whether AWS answers is shown and not judged: a worker that ECS
//! replaces because AWS throttles comes back to the same AWS, and its jobs have waited for nothing.

pub mod ask;
pub mod judge;
mod page;
pub mod pulse;

pub(crate) use page::serve;
