//! What the console and scripts read of executions: state, executions, action executions.

use aws_sdk_codepipeline::operation::get_pipeline_execution::{GetPipelineExecutionInput, GetPipelineExecutionOutput};
use aws_sdk_codepipeline::operation::list_action_executions::{ListActionExecutionsInput, ListActionExecutionsOutput};
use aws_sdk_codepipeline::operation::list_pipeline_executions::{
    ListPipelineExecutionsInput, ListPipelineExecutionsOutput,
};
use aws_sdk_codepipeline::types::{
    ActionExecutionDetail, ActionExecutionInput, ActionExecutionOutput, ActionExecutionResult, ActionTypeId,
    ArtifactDetail, ArtifactRevision, ErrorDetails, ExecutionTrigger, PipelineExecution, PipelineExecutionSummary,
    PipelineRollbackMetadata, ResolvedPipelineVariable, S3Location, SourceRevision, StageExecutionStatus,
    StopExecutionTrigger,
};

use super::date;
use super::errors::{self, built};
use super::page::{most, page};
use super::pipelines::hidden;
use super::state::{ActionError, ActionRun, ActionTypeKey, ArtifactCopy, Execution, Pipeline};
use super::urls;
use crate::{Answer, Call, World};

/// `maxResults` where it is not given.
const PAGE: usize = 100;

fn trigger(execution: &Execution) -> ExecutionTrigger {
    ExecutionTrigger::builder()
        .trigger_type(execution.trigger.clone())
        .trigger_detail(&execution.trigger_detail)
        .build()
}

/// The source actions: what other actions report as their revision is shown in the pipeline's state alone.
///
/// A rollback has none of its own and goes with its target's.
fn sources<'a>(pipeline: &'a Pipeline, execution: &'a Execution) -> impl Iterator<Item = &'a ActionRun> {
    let target = execution.rollback_target.as_ref().and_then(|target| pipeline.execution(target));
    target.unwrap_or(execution).actions.iter().filter(|run| run.action_type.category == "Source")
}

pub(super) fn error_details(error: &ActionError) -> ErrorDetails {
    ErrorDetails::builder().code(&error.code).message(&error.message).build()
}

pub(super) fn get_pipeline_execution(
    world: &mut World,
    _call: &Call,
    input: GetPipelineExecutionInput,
) -> Answer<GetPipelineExecutionOutput> {
    let pipeline = errors::pipeline(world, &input.pipeline_name.unwrap_or_default())?;
    let id = input.pipeline_execution_id.unwrap_or_default();
    let execution = pipeline.execution(&id).ok_or_else(|| errors::no_such_execution(&id))?;
    let revisions = sources(pipeline, execution).filter_map(|run| {
        let (revision, copy) = (run.revision.as_ref()?, run.output_artifacts.first()?);
        Some(
            ArtifactRevision::builder()
                .name(&copy.name)
                .revision_id(&revision.revision)
                .revision_change_identifier(&revision.change_identifier)
                .set_revision_summary(revision.revision_summary.clone())
                .set_created(revision.created)
                .set_revision_url(urls::revision(world, run))
                .build(),
        )
    });
    let variable = |(name, value): (&String, &String)| {
        ResolvedPipelineVariable::builder().name(name).resolved_value(value).build()
    };
    let shown = PipelineExecution::builder()
        .pipeline_name(&execution.pipeline)
        .pipeline_version(execution.version)
        .pipeline_execution_id(&execution.id)
        .status(execution.status.clone())
        .set_status_summary(status_summary(execution))
        .set_artifact_revisions(Some(revisions.collect()))
        .set_variables(Some(execution.variables.iter().map(variable).collect()))
        .trigger(trigger(execution))
        .execution_mode(execution.mode.clone())
        .execution_type(execution.execution_type())
        .set_rollback_metadata(rollback_metadata(execution));
    Ok(GetPipelineExecutionOutput::builder().pipeline_execution(shown.build()).build())
}

pub(super) fn list_pipeline_executions(
    world: &mut World,
    _call: &Call,
    input: ListPipelineExecutionsInput,
) -> Answer<ListPipelineExecutionsOutput> {
    let pipeline = errors::pipeline(world, &input.pipeline_name.unwrap_or_default())?;
    let stage = input.filter.and_then(|filter| filter.succeeded_in_stage).and_then(|filter| filter.stage_name);
    let newest = pipeline.newest().map(|(version, _)| version);
    let succeeded = |execution: &&Execution| {
        // The filter is for the targets of a rollback: it shows the present version's executions alone.
        let passed = |wanted: &String| {
            let mut stages = execution.stages.iter().filter(|_| Some(execution.version) == newest);
            stages.any(|run| run.name == *wanted && run.status == Some(StageExecutionStatus::Succeeded))
        };
        stage.as_ref().is_none_or(passed)
    };
    let newest_first: Vec<&Execution> = pipeline.executions.iter().rev().filter(succeeded).collect();
    let most = most(input.max_results, PAGE);
    let (shown, next) = page(newest_first, |execution| execution.id.clone(), most, input.next_token.as_deref())?;
    let shown = shown.into_iter().map(|execution| summary(world, pipeline, execution)).collect::<Answer<_>>()?;
    Ok(ListPipelineExecutionsOutput::builder()
        .set_pipeline_execution_summaries(Some(shown))
        .set_next_token(next)
        .build())
}

/// AWS documents no content: the reason of who stopped it.
fn status_summary(execution: &Execution) -> Option<String> {
    execution.stop.as_ref().and_then(|stop| stop.reason.clone())
}

fn rollback_metadata(execution: &Execution) -> Option<PipelineRollbackMetadata> {
    let target = execution.rollback_target.as_ref()?;
    Some(PipelineRollbackMetadata::builder().rollback_target_pipeline_execution_id(target).build())
}

fn summary(world: &World, pipeline: &Pipeline, execution: &Execution) -> Answer<PipelineExecutionSummary> {
    let revisions = sources(pipeline, execution).filter_map(|run| {
        let revision = run.revision.as_ref()?;
        let shown = SourceRevision::builder()
            .action_name(&run.name)
            .revision_id(&revision.revision)
            .set_revision_summary(revision.revision_summary.clone())
            .set_revision_url(urls::revision(world, run));
        Some(built(shown.build()))
    });
    let stop_trigger =
        execution.stop.as_ref().map(|stop| StopExecutionTrigger::builder().set_reason(stop.reason.clone()).build());
    Ok(PipelineExecutionSummary::builder()
        .pipeline_execution_id(&execution.id)
        .status(execution.status.clone())
        .set_status_summary(status_summary(execution))
        .set_stop_trigger(stop_trigger)
        .start_time(date(execution.started))
        .last_update_time(date(execution.updated))
        .set_source_revisions(Some(revisions.collect::<Answer<_>>()?))
        .trigger(trigger(execution))
        .execution_mode(execution.mode.clone())
        .execution_type(execution.execution_type())
        .set_rollback_metadata(rollback_metadata(execution))
        .build())
}

pub(super) fn list_action_executions(
    world: &mut World,
    _call: &Call,
    input: ListActionExecutionsInput,
) -> Answer<ListActionExecutionsOutput> {
    let pipeline = errors::pipeline(world, &input.pipeline_name.unwrap_or_default())?;
    let filter = input.filter;
    let latest = filter.as_ref().and_then(|filter| filter.latest_in_pipeline_execution.clone());
    let only_latest = latest.as_ref().is_some_and(|latest| latest.start_time_range.as_str() == "Latest");
    let id =
        filter.and_then(|filter| filter.pipeline_execution_id).or(latest.map(|latest| latest.pipeline_execution_id));
    if let Some(id) = &id
        && pipeline.execution(id).is_none()
    {
        return Err(errors::no_such_execution(id));
    }
    let wanted = |execution: &&Execution| id.as_ref().is_none_or(|id| execution.id == *id);
    let newest = |execution: &Execution, run: &ActionRun| {
        execution.latest_action(&run.stage, &run.name).is_some_and(|latest| latest.id == run.id)
    };
    let runs = pipeline
        .executions
        .iter()
        .filter(wanted)
        .flat_map(|execution| execution.actions.iter().map(move |run| (execution, run)));
    let mut runs: Vec<_> = runs.filter(|(execution, run)| !only_latest || newest(execution, run)).collect();
    // Newest first; of those that started at once, the last one declared first.
    runs.sort_by_key(|(_, run)| run.started);
    runs.reverse();
    let most = most(input.max_results, PAGE);
    let (runs, next) = page(runs, |(_, run)| run.id.clone(), most, input.next_token.as_deref())?;
    let details = runs.into_iter().map(|(execution, run)| detail(world, execution, run)).collect::<Answer<_>>()?;
    Ok(ListActionExecutionsOutput::builder().set_action_execution_details(Some(details)).set_next_token(next).build())
}

fn detail(world: &World, execution: &Execution, run: &ActionRun) -> Answer<ActionExecutionDetail> {
    let key = &run.action_type;
    Ok(ActionExecutionDetail::builder()
        .pipeline_execution_id(&execution.id)
        .action_execution_id(&run.id)
        .pipeline_version(execution.version)
        .stage_name(&run.stage)
        .action_name(&run.name)
        .start_time(date(run.started))
        .last_update_time(date(run.updated))
        .set_updated_by(run.updated_by.clone())
        .status(run.status.clone())
        .input(
            ActionExecutionInput::builder()
                .action_type_id(type_id(key)?)
                .set_configuration(Some(hidden(world, key, &run.configuration)))
                .set_resolved_configuration(Some(hidden(world, key, &run.resolved)))
                .region(&world.region)
                .set_input_artifacts(Some(run.input_artifacts.iter().map(artifact).collect()))
                .set_namespace(run.namespace.clone())
                .build(),
        )
        .output(
            ActionExecutionOutput::builder()
                .set_output_artifacts(Some(run.output_artifacts.iter().map(artifact).collect()))
                .execution_result(
                    ActionExecutionResult::builder()
                        .set_external_execution_id(run.external_execution_id.clone())
                        .set_external_execution_summary(run.summary.clone())
                        .set_external_execution_url(urls::execution(world, run))
                        .set_error_details(run.error.as_ref().map(error_details))
                        .build(),
                )
                .set_output_variables(Some(run.output_variables.clone().into_iter().collect()))
                .build(),
        )
        .build())
}

fn type_id(key: &ActionTypeKey) -> Answer<ActionTypeId> {
    let id = ActionTypeId::builder()
        .category(key.category.as_str().into())
        .owner(key.owner.as_str().into())
        .provider(&key.provider)
        .version(&key.version);
    built(id.build())
}

fn artifact(copy: &ArtifactCopy) -> ArtifactDetail {
    let location = S3Location::builder().bucket(&copy.bucket).key(&copy.key).build();
    ArtifactDetail::builder().name(&copy.name).s3_location(location).build()
}
