//! Simulated codepipeline.

use crate::{Answer, Call, ErrorReply, World};
use serde_json::Value;

/// What happens by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {}

/// All state.
#[derive(Debug, Default)]
pub struct State {}

impl State {
    /// Whether an access key is one of a job's artifact credentials: `None` where it is none, else whether it is
    /// still valid at `now` (15 minutes from issue).
    #[must_use]
    pub fn artifact_credentials(&self, _access_key: &str, _now: std::time::SystemTime) -> Option<bool> {
        None
    }
}

pub(crate) fn happen(_world: &mut World, event: Event) {
    match event {}
}

fn dispatch_other(_world: &mut World, call: &Call) -> Answer<Value> {
    Err(ErrorReply::unknown_operation(call.service.name(), &call.operation))
}
crate::wire::typed_operations! { aws_sdk_codepipeline:
    "PollForJobs" => poll_for_jobs::{PollForJobsInput, poll_for_jobs},
}

fn poll_for_jobs(
    _world: &mut World,
    _call: &Call,
    _input: aws_sdk_codepipeline::operation::poll_for_jobs::PollForJobsInput,
) -> Answer<aws_sdk_codepipeline::operation::poll_for_jobs::PollForJobsOutput> {
    Ok(aws_sdk_codepipeline::operation::poll_for_jobs::PollForJobsOutput::builder().build())
}
