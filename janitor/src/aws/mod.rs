//! Thin adapters on AWS. The SDK's types end in here; what leaves are plain values and
//! [`AwsError`](coalmine_door::AwsError)s.
//!
//! ```text
//!   Place     an account and Region, through the door of whoever may read there
//!     ├ calls    every call: its token from the bucket, again while AWS is in trouble, within the run's time
//!     └ ecr ecs ecs_deployments lambda codebuild events sts
//! ```

pub mod buckets;
pub mod calls;
pub mod codebuild;
pub mod ecr;
mod ecr_meta;
pub mod ecs;
pub mod ecs_deployments;
pub mod events;
pub mod lambda;
pub mod place;
pub mod sts;

pub use calls::Calls;
pub use place::Place;

use aws_smithy_types::DateTime as SdkTime;
use coalmine_door::clock::Time;

/// The SDK's date as ours.
fn time(at: &SdkTime) -> Option<Time> {
    Time::from_timestamp(at.secs(), at.subsec_nanos())
}
