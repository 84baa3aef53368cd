//! `RollbackStage`: a new execution of one stage with the artifacts and variables of an earlier one.
//!
//! A worker sees ordinary jobs with old artifacts; that they are a rollback is shown by `executionType` alone.

use std::time::Duration;

use aws_sdk_codepipeline::operation::rollback_stage::{RollbackStageInput, RollbackStageOutput};
use aws_sdk_codepipeline::types::{ExecutionMode, PipelineExecutionStatus, StageExecutionStatus, TriggerType};

use super::errors::{self, built, internal};
use super::state::{Execution, Pipeline};
use super::{executions, stages};
use crate::{Answer, Call, ErrorReply, World};

/// How long CodePipeline keeps history. That an execution is "outdated" beyond it is assumed.
const HISTORY: Duration = Duration::from_secs(365 * 24 * 3600);

pub(super) fn rollback_stage(world: &mut World, call: &Call, input: RollbackStageInput) -> Answer<RollbackStageOutput> {
    let (name, stage) = (input.pipeline_name.unwrap_or_default(), input.stage_name.unwrap_or_default());
    let target = input.target_pipeline_execution_id.unwrap_or_default();
    let (position, target) = check(world, &name, &stage, &target)?;
    let id = world.uuid();
    let execution = Execution {
        id: id.clone(),
        rollback_target: Some(target.id.clone()),
        stop: None,
        status: PipelineExecutionStatus::InProgress,
        started: world.now,
        updated: world.now,
        trigger: TriggerType::ManualRollback,
        trigger_detail: executions::caller(world, call),
        stages: Execution::fresh_stages(&target.declaration),
        actions: Vec::new(),
        // Only the stage itself runs: what comes after it keeps what it has.
        position,
        end: position + 1,
        cancelling: false,
        ..target
    };
    if let Some(pipeline) = world.codepipeline.pipelines.get_mut(&name) {
        pipeline.executions.push(execution);
    }
    stages::arrive(world, &name, &id);
    built(RollbackStageOutput::builder().pipeline_execution_id(id).build())
}

fn unable(message: impl Into<String>) -> ErrorReply {
    ErrorReply::new("UnableToRollbackStageException", message)
}

/// The stage's position and the execution to go back to, if both will do.
fn check(world: &World, name: &str, stage: &str, target: &str) -> Answer<(usize, Execution)> {
    let pipeline = errors::pipeline(world, name)?;
    errors::stage(pipeline, None, stage)?;
    let (version, newest) = pipeline.newest().ok_or_else(|| internal("version"))?;
    let position = newest.stages.iter().position(|declared| declared.name == stage);
    let position = position.ok_or_else(|| internal("stage"))?;
    if pipeline.mode() == ExecutionMode::Parallel {
        return Err(unable("Stage rollback is not available for pipelines in PARALLEL mode"));
    }
    if position == 0 {
        return Err(unable(format!("Stage {stage} is a source stage and cannot be rolled back")));
    }
    let execution = pipeline.execution(target).ok_or_else(|| errors::no_such_execution(target))?;
    if world.now.duration_since(execution.started).unwrap_or_default() > HISTORY {
        let message = format!("The pipeline execution {target} is outdated and cannot be a target for rollback");
        return Err(ErrorReply::new("PipelineExecutionOutdatedException", message));
    }
    if execution.version != version {
        return Err(unable(format!("The pipeline structure has changed since the execution {target} was started")));
    }
    if execution.rollback_target.is_some() {
        return Err(unable(format!("The execution {target} is itself a rollback")));
    }
    let run = execution.stages.get(position);
    if run.is_none_or(|run| run.status != Some(StageExecutionStatus::Succeeded)) {
        return Err(unable(format!("The execution {target} has not succeeded in stage {stage}")));
    }
    if is_running(pipeline, stage) {
        return Err(unable(format!("The stage {stage} is currently running")));
    }
    Ok((position, execution.clone()))
}

fn is_running(pipeline: &Pipeline, stage: &str) -> bool {
    pipeline.locks.get(stage).is_some_and(|lock| lock.holder.is_some())
}
