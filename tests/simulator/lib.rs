//! A simulated AWS, at the wire.
//!
//! Programs under test keep the real SDK: its serializers, signers, retries and paginators. They are pointed here by
//! their one door, [`aws_types::SdkConfig`], and speak to a [`World`] with physics: tasks take time to start, the
//! scheduler obeys minimum and maximum percent, pipelines hold locks, credentials expire.
//!
//! ```text
//!   SdkConfig ──► mount::in_process ─┐                       ┌─ codepipeline  pipelines, executions, jobs, approvals
//!                 (virtual time)     ├─► Simulator::handle ──┤  ecs           task definitions, services, tasks
//!   AWS CLI ────► mount::loopback ───┘    wire ► buckets     │  ecr  s3  logs  cloudwatch
//!                 (a socket)              ► dispatch ► wire  └─ World: now, rng, event queue, call log
//! ```
//!
//! Nothing here depends on Coalmine. Time is a [`Clock`]: tokio's, which tests pause, times a speed factor. All
//! randomness comes from one seed. Nothing happens between two calls that is not an event in the [`World`]'s queue;
//! events are carried out, in order, when the next call or [`Simulator::with_world`] looks.

mod buckets;
mod call;
mod calls;
mod clock;
pub mod cloudwatch;
pub mod codepipeline;
pub mod ecr;
pub mod ecs;
mod error;
pub mod logs;
pub mod mount;
mod paging;
pub mod s3;
mod simulator;
mod wire;
mod world;

pub use buckets::Buckets;
pub use call::{Call, Service};
pub use calls::{CallLog, CallRecord};
pub use clock::Clock;
pub use error::{Answer, ErrorReply};
pub use simulator::{Exchange, Settings, Simulator};
pub use wire::Timestamp;
pub use world::{Event, World};
