//! `GetPipelineState`: each stage, who is in it, who waits before it, and how its actions last went.

use aws_sdk_codepipeline::operation::get_pipeline_state::{GetPipelineStateInput, GetPipelineStateOutput};
use aws_sdk_codepipeline::types::{
    ActionExecution, ActionExecutionStatus, ActionRevision, ActionState, ExecutionMode, ExecutionType,
    StageDeclaration, StageExecution, StageExecutionStatus, StageState, TransitionState,
};

use super::date;
use super::errors::{self, built, internal};
use super::read::error_details;
use super::state::{ActionRun, Pipeline};
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
    let lock = pipeline.locks.get(&stage.name).cloned().unwrap_or_default();
    let waiting = lock.waiting.iter().map(|id| stage_execution(id, StageExecutionStatus::InProgress));
    let waiting = waiting.collect::<Answer<Vec<_>>>()?;
    let latest = lock.latest.and_then(|id| {
        let execution = pipeline.execution(&id)?;
        let status = execution.stages.iter().find(|run| run.name == stage.name)?.status.clone()?;
        Some(stage_execution(&id, status))
    });
    let actions = stage.actions.iter().map(|action| {
        // An action that the execution in the stage has not reached shows how it went before (UNSURE).
        let runs = pipeline.executions.iter().flat_map(|execution| &execution.actions);
        let run = runs.filter(|run| run.stage == stage.name && run.name == action.name).max_by_key(|run| run.started);
        action_state(world, &action.name, run)
    });
    let state = StageState::builder()
        .stage_name(&stage.name)
        .set_inbound_execution(waiting.first().cloned())
        .inbound_transition_state(TransitionState::builder().enabled(true).build())
        .set_action_states(Some(actions.collect::<Answer<_>>()?))
        .set_latest_execution(latest.transpose()?);
    let queued = pipeline.mode() == ExecutionMode::Queued;
    Ok(state.set_inbound_executions(Some(if queued { waiting } else { Vec::new() })).build())
}

fn stage_execution(id: &str, status: StageExecutionStatus) -> Answer<StageExecution> {
    let shown = StageExecution::builder().pipeline_execution_id(id).status(status).r#type(ExecutionType::Standard);
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
