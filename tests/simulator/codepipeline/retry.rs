//! `RetryStageExecution`: a stage that failed or was stopped goes on in the same execution, with new action executions
//! and new jobs.

use aws_sdk_codepipeline::operation::retry_stage_execution::{RetryStageExecutionInput, RetryStageExecutionOutput};
use aws_sdk_codepipeline::types::{
    ActionExecutionStatus, ExecutionMode, PipelineExecutionStatus, StageExecutionStatus, StageRetryMode,
};

use super::errors::{self, internal};
use super::state::{Execution, Pipeline, StageRun};
use super::{executions, stages};
use crate::{Answer, Call, ErrorReply, World};

pub(super) fn retry_stage_execution(
    world: &mut World,
    _call: &Call,
    input: RetryStageExecutionInput,
) -> Answer<RetryStageExecutionOutput> {
    let (name, stage) = (input.pipeline_name.unwrap_or_default(), input.stage_name.unwrap_or_default());
    let id = input.pipeline_execution_id.unwrap_or_default();
    let mode = input.retry_mode.ok_or_else(|| internal("retryMode"))?;
    check(errors::pipeline(world, &name)?, &stage, &id, &mode)?;
    let execution = world.codepipeline.execution_mut(&name, &id).ok_or_else(|| internal("execution"))?;
    for run in execution.actions.iter_mut().filter(|run| run.stage == stage) {
        run.retried |= mode == StageRetryMode::AllActions || ended_ill(&run.status);
    }
    execution.status = PipelineExecutionStatus::InProgress;
    // What was stopped goes on; assumed to be shown as never stopped.
    execution.stop = None;
    if let Some(run) = execution.stages.iter_mut().find(|run| run.name == stage) {
        run.retries += 1;
    }
    stages::retry(world, &name, &id, &stage);
    Ok(RetryStageExecutionOutput::builder().pipeline_execution_id(id).build())
}

fn ended_ill(status: &ActionExecutionStatus) -> bool {
    matches!(status, ActionExecutionStatus::Failed | ActionExecutionStatus::Abandoned)
}

fn not_retryable(message: &str) -> ErrorReply {
    ErrorReply::new("StageNotRetryableException", format!("Unable to retry. {message}"))
}

/// Whether the stage may be retried; which error comes first where several hold is assumed.
fn check(pipeline: &Pipeline, stage: &str, id: &str, mode: &StageRetryMode) -> Answer<()> {
    let name = &pipeline.name;
    let execution = pipeline.execution(id);
    // An execution in PARALLEL mode has its own structure.
    let own = execution.filter(|execution| execution.mode == ExecutionMode::Parallel);
    errors::stage(pipeline, own, stage)?;
    let not_latest = || {
        let message = format!("The execution {id} is not the latest one in stage {stage} of pipeline {name}");
        ErrorReply::new("NotLatestPipelineExecutionException", message)
    };
    let execution = execution.ok_or_else(not_latest)?;
    let latest = pipeline.locks.get(stage).and_then(|lock| lock.latest.as_deref());
    if own.is_none() && latest != Some(id) {
        return Err(not_latest());
    }
    if own.is_none() && pipeline.newest().is_none_or(|(version, _)| version != execution.version) {
        return Err(not_retryable("The pipeline structure has changed since the execution started."));
    }
    let run = execution.stages.get(execution.position).filter(|run| run.name == stage);
    let run = run.ok_or_else(|| not_retryable("The stage contains no failed actions."))?;
    check_state(execution, run, mode)?;
    if execution.is_active() { Ok(()) } else { executions::check_concurrency(pipeline, &execution.mode) }
}

fn check_state(execution: &Execution, run: &StageRun, mode: &StageRetryMode) -> Answer<()> {
    match run.status {
        // A stage that was stopped between two run orders has no failed action: its retry does what is left.
        Some(StageExecutionStatus::Failed | StageExecutionStatus::Stopped) => return Ok(()),
        Some(StageExecutionStatus::Stopping) => {}
        Some(StageExecutionStatus::InProgress) => {
            let counting = execution.actions.iter().filter(|action| action.stage == run.name && !action.retried);
            if !counting.into_iter().any(|action| ended_ill(&action.status)) {
                return Err(not_retryable("The stage contains no failed actions."));
            }
            // Actions in progress go on while the failed ones are triggered again.
            if *mode == StageRetryMode::FailedActions {
                return Ok(());
            }
        }
        _ => return Err(not_retryable("The stage state does not admit it.")),
    }
    let message = "The stage has actions in progress. Try again later.";
    Err(ErrorReply::new("ConflictException", message))
}
