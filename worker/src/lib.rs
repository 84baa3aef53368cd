//! `coalmine-worker`: takes CodePipeline custom-action jobs and deploys releases to Amazon ECS in stages.
//!
//! ```text
//!   cli ─► run ─► poll ─► turn: ┌ observe ─► decide ─► act ┐ ─► report
//!                               │ observe.rs deploy/  act.rs│    report.rs
//!                               │ aws/observer        aws/* │
//!                               └───────────────────────────┘
//!          ├► renew, look after peers: ledger/ ◄─ adopt.rs
//!          └► answer health checks: health/
//! ```
//!
//! The four things have a file or folder each. `deploy/` decides, and knows nothing of AWS, of time or of tasks that
//! wait; `aws/` adapts the SDK and decides nothing; `ledger/` records which jobs a worker holds, so that its death
//! costs a minute; [`Tools`](tools::Tools) is made from the one door to the world, an
//! `SdkConfig`; [`coalmine_door`] has what the janitor needs, too: the door, the clock, AWS's errors, the ledger's store.

mod act;
mod adopt;
pub mod artifact;
pub mod aws;
mod check;
pub mod cli;
pub mod commands;
pub mod deploy;
pub mod drift;
mod earlier;
pub mod health;
mod hindrance;
mod hold;
mod images;
mod in_hand;
mod late;
pub mod ledger;
mod observe;
mod plan;
mod record;
mod report;
mod right;
pub mod rollback;
pub mod run;
pub mod tell;
pub mod tools;
pub mod turn;
mod watch;
