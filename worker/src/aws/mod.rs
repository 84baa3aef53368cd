//! Thin adapters on AWS. The SDK's types end in here; what leaves are plain values and [`AwsError`]s.

pub mod cloudwatch;
pub mod codepipeline;
pub mod ecr;
pub mod ecs;
mod ecs_views;
pub mod error;
pub mod logs;
pub mod observer;
mod raw;
pub mod s3;

use std::time::Duration;

use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;

pub use error::{AwsError, Kind};

/// One attempt of a call. A region's slowest control-plane answers take a few seconds.
const ATTEMPT: Duration = Duration::from_secs(8);
/// One call with all its retries; after that its outcome is unknown and the world is looked at again.
pub const CALL: Duration = Duration::from_secs(25);

/// The door, with limits on how long a call may take where it has none.
#[must_use]
pub fn limited(door: &SdkConfig) -> SdkConfig {
    if door.timeout_config().is_some_and(TimeoutConfig::has_timeouts) {
        return door.clone();
    }
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).operation_timeout(CALL).build();
    door.to_builder().timeout_config(timeouts).build()
}
