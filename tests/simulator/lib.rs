//! A simulated AWS, at the wire.
//!
//! Programs under test keep the real SDK: its serializers, signers, retries and paginators. They are pointed here by
//! their one door, [`aws_types::SdkConfig`], and speak to a [`World`] with physics: tasks take time to start, the
//! scheduler obeys minimum and maximum percent, pipelines hold locks, credentials expire.
//!
//! ```text
//!   SdkConfig ──► mount::in_process ─┐                       ┌─ codepipeline  pipelines, executions, jobs, approvals
//!                 (virtual time)     ├─► exchange ► answer ──┤  ecs           task definitions, services, tasks
//!   AWS CLI ────► mount::loopback ───┘   faults    wire ►    │  ecr  s3  logs  cloudwatch
//!                 (a socket)             on the    permis-   │  lambda  codebuild  eventbridge  scheduler  sts
//!                                        way       sions, ► └─ World: now, rng, event queue, one per account and region
//!                                                  buckets, dispatch
//! ```
//!
//! Nothing here depends on Coalmine. Time is a [`Clock`]: tokio's, which tests pause, times a speed factor. All
//! randomness comes from one seed. Nothing happens between two calls that is not an event in the [`World`]'s queue;
//! events are carried out, in order, when the next call or [`Simulator::with_world`] looks.

mod accounts;
mod answer;
mod buckets;
mod call;
mod calls;
mod clock;
pub mod cloudwatch;
pub mod codebuild;
pub mod codepipeline;
mod door;
pub mod ecr;
pub mod ecs;
mod error;
mod estate;
pub mod eventbridge;
mod exchange;
pub mod faults;
pub mod hooks;
mod incoming;
pub mod lambda;
pub mod logs;
pub mod mount;
mod needed;
mod paging;
pub mod permissions;
mod query;
mod rest;
pub mod s3;
pub mod scheduler;
mod simulator;
mod socket;
pub mod sts;
mod wire;
mod world;

pub use accounts::Worlds;
pub use buckets::Buckets;
pub use call::{Call, Service};
pub use calls::{CallLog, CallRecord};
pub use clock::Clock;
pub use door::Skew;
pub use error::{Answer, ErrorReply};
pub use estate::Estate;
pub use needed::Needed;
pub use simulator::{Exchange, Settings, Simulator};
pub use wire::Timestamp;
pub use world::{Event, World};
