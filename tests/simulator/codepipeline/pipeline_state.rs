//! `GetPipelineState`: each stage, who is in it, who waits before it, and how its actions last went.

use aws_sdk_codepipeline::operation::get_pipeline_state::{GetPipelineStateInput, GetPipelineStateOutput};
use aws_sdk_codepipeline::types::{
    ActionExecution, ActionExecutionStatus, ActionRevision, ActionState, ExecutionMode, RetryStageMetadata,
    RetryTrigger, StageDeclaration, StageExecution, StageExecutionStatus, StageState, TransitionState,
};

use super::date;
use super::errors::{self, built, internal};
use super::read::error_details;
use super::state::{ActionRun, Execution, Pipeline};
use super::urls;
use crate::{Answer, Call, World};

pub(super) fn get_pipeline_state(
    world: &mut World,
    _call: &Call,
    input: GetPipelineStateInput,
) -> Answer<GetPipelineStateOutput> {
    let pipeline = errors::pipeline(world, &input.name.unwrap_or_default())?;
    let (version, declaration) = pipeline.newest().ok_or_else(|| internal("version"))?;
    let stages = declaration.stages.iter().map(|stage| stage_state(world, pipeline, stage));
    Ok(GetPipelineStateOutput::builder()
        .pipeline_name(&pipeline.name)
        .pipeline_version(version)
        .set_stage_states(Some(stages.collect::<Answer<_>>()?))
        .created(date(pipeline.created))
        .updated(date(pipeline.updated))
        .build())
}

fn stage_state(world: &World, pipeline: &Pipeline, stage: &StageDeclaration) -> Answer<StageState> {
    // The state is that of the locks: what runs in PARALLEL mode is seen in the lists of executions alone.
    let parallel = pipeline.mode() == ExecutionMode::Parallel;
    let lock = pipeline.locks.get(&stage.name).filter(|_| !parallel).cloned().unwrap_or_default();
    let waiting = lock.waiting.iter().filter_map(|id| pipeline.execution(id));
    let waiting = waiting.map(|execution| stage_execution(execution, StageExecutionStatus::InProgress));
    let waiting = waiting.collect::<Answer<Vec<_>>>()?;
    let latest = lock.latest.and_then(|id| {
        let execution = pipeline.execution(&id)?;
        Some((execution, execution.stages.iter().find(|run| run.name == stage.name)?))
    });
    let retries = latest.filter(|(_, run)| run.retries > 0).map(|(_, run)| {
        RetryStageMetadata::builder()
            .manual_stage_retry_attempt(run.retries)
            .latest_retry_trigger(RetryTrigger::ManualStageRetry)
            .build()
    });
    let latest = latest.and_then(|(execution, run)| Some(stage_execution(execution, run.status.clone()?)));
    let actions = stage.actions.iter().map(|action| {
        // An action that the execution in the stage has not reached shows how it went before (UNSURE).
        let locked = pipeline.executions.iter().filter(|execution| execution.mode != ExecutionMode::Parallel);
        let runs = locked.filter(|_| !parallel).flat_map(|execution| &execution.actions);
        let run = runs.filter(|run| run.stage == stage.name && run.name == action.name).max_by_key(|run| run.started);
        action_state(world, &action.name, run)
    });
    let state = StageState::builder()
        .stage_name(&stage.name)
        .set_inbound_execution(waiting.first().cloned())
        .inbound_transition_state(TransitionState::builder().enabled(true).build())
        .set_action_states(Some(actions.collect::<Answer<_>>()?))
        .set_latest_execution(latest.transpose()?)
        .set_retry_stage_metadata(retries);
    let queued = pipeline.mode() == ExecutionMode::Queued;
    Ok(state.set_inbound_executions(Some(if queued { waiting } else { Vec::new() })).build())
}

fn stage_execution(execution: &Execution, status: StageExecutionStatus) -> Answer<StageExecution> {
    let shown = StageExecution::builder().pipeline_execution_id(&execution.id).status(status);
    let shown = shown.r#type(execution.execution_type());
    built(shown.build())
}

fn action_state(world: &World, name: &str, run: Option<&ActionRun>) -> Answer<ActionState> {
    let state = ActionState::builder().action_name(name);
    let Some(run) = run else { return Ok(state.build()) };
    let revision = run.revision.as_ref().map(|revision| {
        let shown = ActionRevision::builder()
            .revision_id(&revision.revision)
            .revision_change_id(&revision.change_identifier)
            .created(revision.created.unwrap_or_else(|| date(run.updated)));
        built(shown.build())
    });
    // A token is shown while it can be used.
    let token = run.token.clone().filter(|_| run.status == ActionExecutionStatus::InProgress);
    let external = run.external_execution_id.clone().filter(|id| run.token.as_ref() != Some(id));
    let execution = ActionExecution::builder()
        .action_execution_id(&run.id)
        .status(run.status.clone())
        .set_summary(run.summary.clone())
        .last_status_change(date(run.updated))
        .set_token(token)
        .set_last_updated_by(run.updated_by.clone())
        .set_external_execution_id(external)
        .set_external_execution_url(urls::execution(world, run))
        .set_percent_complete(run.percent)
        .set_error_details(run.error.as_ref().map(error_details))
        .build();
    Ok(state
        .set_current_revision(revision.transpose()?)
        .latest_execution(execution)
        .set_entity_url(urls::entity(world, run))
        .set_revision_url(urls::revision(world, run))
        .build())
}
