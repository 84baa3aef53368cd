//! `StopPipelineExecution`: the actions in progress run to their end, or are abandoned, and nothing further starts.

use aws_sdk_codepipeline::operation::stop_pipeline_execution::{
    StopPipelineExecutionInput, StopPipelineExecutionOutput,
};
use aws_sdk_codepipeline::types::{ActionExecutionStatus, PipelineExecutionStatus, StageExecutionStatus};

use super::errors::{self, internal};
use super::state::{Place, Stop};
use super::{actions, stages};
use crate::{Answer, Call, ErrorReply, World};

pub(super) fn stop_pipeline_execution(
    world: &mut World,
    _call: &Call,
    input: StopPipelineExecutionInput,
) -> Answer<StopPipelineExecutionOutput> {
    let (name, id) = (input.pipeline_name.unwrap_or_default(), input.pipeline_execution_id.unwrap_or_default());
    let request = Stop { abandon: input.abandon.unwrap_or_default(), reason: input.reason };
    stop(world, &name, &id, request)?;
    Ok(StopPipelineExecutionOutput::builder().pipeline_execution_id(id).build())
}

fn stop(world: &mut World, name: &str, id: &str, request: Stop) -> Answer<()> {
    check(world, name, id, &request)?;
    let now = world.now;
    let abandon = request.abandon;
    let pipeline = world.codepipeline.pipelines.get_mut(name).ok_or_else(|| internal("pipeline"))?;
    let inbound = pipeline.locks.values_mut().find_map(|lock| {
        let place = lock.waiting.iter().position(|waiting| waiting == id)?;
        Some(lock.waiting.remove(place))
    });
    let execution = world.codepipeline.execution_mut(name, id).ok_or_else(|| internal("execution"))?;
    // Who stops and waits, and abandons afterwards without a word, is shown with the first reason (UNSURE).
    let former = execution.stop.take().and_then(|stop| stop.reason);
    execution.stop = Some(Stop { reason: request.reason.or(former), ..request });
    if inbound.is_some() {
        stages::finish(world, name, id, PipelineExecutionStatus::Stopped);
        return Ok(());
    }
    execution.status = PipelineExecutionStatus::Stopping;
    execution.updated = now;
    if let Some(run) = execution.stages.get_mut(execution.position).filter(|run| run.is_open()) {
        run.status = Some(StageExecutionStatus::Stopping);
    }
    let place = |action: &str| Place { pipeline: name.to_owned(), execution: id.to_owned(), action: action.to_owned() };
    let in_progress = execution.actions.iter().filter(|run| run.status == ActionExecutionStatus::InProgress);
    let in_progress: Vec<Place> = in_progress.map(|run| place(&run.id)).collect();
    // AWS is in `Stopping` for a very short time also where actions are abandoned; here it is none.
    for place in in_progress.iter().filter(|_| abandon) {
        actions::abandon(world, place);
    }
    stages::settle(world, name, id);
    Ok(())
}

/// An id that is none of the pipeline's executions is answered as one that cannot be stopped: the operation has no
/// other error for it.
fn check(world: &World, name: &str, id: &str, request: &Stop) -> Answer<()> {
    match errors::pipeline(world, name)?.execution(id).map(|execution| &execution.status) {
        Some(PipelineExecutionStatus::InProgress) => Ok(()),
        Some(PipelineExecutionStatus::Stopping) if request.abandon => Ok(()),
        Some(PipelineExecutionStatus::Stopping) => {
            let message = format!("The pipeline execution {id} is already in a Stopping state");
            Err(ErrorReply::new("DuplicatedStopRequestException", message))
        }
        status => {
            let state = status.map_or("not an execution of this pipeline", |status| status.as_str());
            let message = format!("Unable to stop the pipeline execution {id} of pipeline {name}: it is {state}");
            Err(ErrorReply::new("PipelineExecutionNotStoppableException", message))
        }
    }
}
