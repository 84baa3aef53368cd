//! Simulated CodePipeline: it runs real pipeline structures.
//!
//! ```text
//!   inputs.rs, shapes.rs   AWS's limits on every input            structure.rs  is a pipeline's structure sound
//!   action_types.rs  pipelines.rs  executions.rs   what is declared, and what starts
//!   stop.rs  retry.rs  rollback.rs   what people do to executions
//!   stages.rs        locks, run order, what follows what ─► actions.rs  one action: start, success, failure
//!                       ├─► artifacts.rs  S3 sources, artifact credentials
//!                       ├─► approvals.rs  people
//!                       └─► jobs.rs       custom actions: poll, acknowledge ─► results.rs
//!   read.rs, pipeline_state.rs   what the console shows           setup.rs  for tests and the demo
//! ```
//!
//! An execution's way through its stages is in `stages.rs` alone: stopping, retrying and rolling back are further ways
//! into and out of it, PARALLEL mode a way past its locks.

mod action_types;
mod actions;
mod approvals;
mod artifacts;
mod errors;
mod executions;
mod inputs;
mod jobs;
mod page;
mod pipeline_state;
mod pipelines;
mod read;
mod results;
mod retry;
mod rollback;
mod setup;
mod shapes;
mod stages;
mod state;
mod stop;
mod structure;
mod urls;
mod variables;

#[cfg(test)]
mod tests;

pub(crate) use executions::object_put;
pub use state::{
    ActionError, ActionRun, ActionTypeKey, ArtifactCopy, Execution, Job, JobResult, Lock, Offer, Pipeline, Place,
    StageRun, State, Stop,
};

use std::time::SystemTime;

use aws_smithy_types::DateTime;
use serde_json::Value;

use crate::{Answer, Call, ErrorReply, World};

/// What happens by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// The actions of one run order start.
    RunOrder {
        /// The pipeline's name.
        pipeline: String,
        /// The pipelineExecutionId.
        execution: String,
        /// The stage's name.
        stage: String,
        /// The run order.
        run_order: i32,
    },
    /// A source action has its object.
    SourceFetched(Place),
    /// CodePipeline looks whether a source has a new version.
    SourcePolled {
        /// The pipeline's name.
        pipeline: String,
        /// The source's bucket.
        bucket: String,
        /// The source's key.
        key: String,
    },
    /// Nobody answered an approval in time.
    ApprovalExpires(Place),
    /// The 24 hours of a custom action are over.
    ActionTimesOut(Place),
}

impl Event {
    fn world(self) -> crate::Event {
        crate::Event::CodePipeline(self)
    }
}

pub(crate) fn happen(world: &mut World, event: Event) {
    match event {
        Event::RunOrder { pipeline, execution, stage, run_order } => {
            stages::begin(world, &pipeline, &execution, &stage, run_order);
        }
        Event::SourceFetched(place) => artifacts::fetched(world, &place),
        Event::SourcePolled { pipeline, bucket, key } => executions::source_polled(world, &pipeline, &bucket, &key),
        Event::ApprovalExpires(place) => approvals::expired(world, &place),
        Event::ActionTimesOut(place) => jobs::timed_out(world, &place),
    }
}

/// A date as replies carry it: to the millisecond.
fn date(at: SystemTime) -> DateTime {
    let age = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    DateTime::from_millis(age.as_millis().try_into().unwrap_or(i64::MAX))
}

/// Answers one call: holds it against AWS's limits, then hands it to its operation.
pub(crate) fn dispatch(world: &mut World, call: &Call) -> Answer<Value> {
    if let Some(shape) = inputs::of(&call.operation) {
        shapes::check(&call.raw, shape)?;
    }
    operations::dispatch(world, call)
}

mod operations {
    use super::{Answer, Call, ErrorReply, Value, World};
    use super::{
        action_types, approvals, executions, jobs, pipeline_state, pipelines, read, results, retry, rollback, stop,
    };

    fn dispatch_other(_world: &mut World, call: &Call) -> Answer<Value> {
        Err(ErrorReply::unknown_operation(call.service.name(), &call.operation))
    }

    crate::wire::typed_operations! { aws_sdk_codepipeline:
        "AcknowledgeJob" => acknowledge_job::{AcknowledgeJobInput, jobs::acknowledge_job},
        "CreateCustomActionType" => create_custom_action_type::{CreateCustomActionTypeInput, action_types::create},
        "CreatePipeline" => create_pipeline::{CreatePipelineInput, pipelines::create},
        "DeleteCustomActionType" => delete_custom_action_type::{DeleteCustomActionTypeInput, action_types::delete},
        "DeletePipeline" => delete_pipeline::{DeletePipelineInput, pipelines::delete},
        "GetJobDetails" => get_job_details::{GetJobDetailsInput, jobs::get_job_details},
        "GetPipeline" => get_pipeline::{GetPipelineInput, pipelines::get},
        "GetPipelineExecution" => get_pipeline_execution::{GetPipelineExecutionInput, read::get_pipeline_execution},
        "GetPipelineState" => get_pipeline_state::{GetPipelineStateInput, pipeline_state::get_pipeline_state},
        "ListActionExecutions" => list_action_executions::{ListActionExecutionsInput, read::list_action_executions},
        "ListActionTypes" => list_action_types::{ListActionTypesInput, action_types::list},
        "ListPipelineExecutions" =>
            list_pipeline_executions::{ListPipelineExecutionsInput, read::list_pipeline_executions},
        "ListPipelines" => list_pipelines::{ListPipelinesInput, pipelines::list},
        "PollForJobs" => poll_for_jobs::{PollForJobsInput, jobs::poll_for_jobs},
        "PutApprovalResult" => put_approval_result::{PutApprovalResultInput, approvals::put_approval_result},
        "PutJobFailureResult" => put_job_failure_result::{PutJobFailureResultInput, results::put_job_failure_result},
        "PutJobSuccessResult" => put_job_success_result::{PutJobSuccessResultInput, results::put_job_success_result},
        "RetryStageExecution" => retry_stage_execution::{RetryStageExecutionInput, retry::retry_stage_execution},
        "RollbackStage" => rollback_stage::{RollbackStageInput, rollback::rollback_stage},
        "StartPipelineExecution" =>
            start_pipeline_execution::{StartPipelineExecutionInput, executions::start_pipeline_execution},
        "StopPipelineExecution" => stop_pipeline_execution::{StopPipelineExecutionInput, stop::stop_pipeline_execution},
        "UpdatePipeline" => update_pipeline::{UpdatePipelineInput, pipelines::update},
    }
}
