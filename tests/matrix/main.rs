//! The matrices: every kind of release, with a death and with every fault at every call, ends as it would have ended.
//!
//! ```text
//!   tales.rs   what happens to a release        play.rs    a tale in a world of its own, and its undisturbed end
//!   end.rs     what must not differ             points.rs  which calls are tried, and what came of it
//!   deaths.rs  a worker dies at a call          faults.rs  a call goes wrong, of which kinds.rs has every kind
//!   outages.rs an operation fails for minutes   lost.rs    a reply is lost, call by call
//!   watched.rs both at the calls of the watch   rollbacks.rs  both at the calls of a fleet's rollback (fleet.rs)
//! ```
//!
//! `cargo test` tries a sample, the same in every run. `COALMINE_KILLS` and `COALMINE_FAULTS` say how much is tried
//! instead: a number of calls of each tale (of each fault), `each` that can tell something else than the one before it, or
//! `all`.
#![expect(clippy::expect_used, clippy::panic, reason = "a tale that cannot go on fails")]

#[path = "../stage/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the matrices need less of the stage than the stories do")]
mod stage;

mod deaths;
mod end;
mod faults;
mod fleet;
mod kinds;
mod lost;
mod outages;
mod play;
mod points;
mod rollbacks;
mod tales;
mod watched;
