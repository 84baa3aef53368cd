//! Stages: their locks, the run order within them, and what follows one that ended.
//!
//! ```text
//!   arrive ──free──► enter ──► begin (run order 1) ──► actions … settle ──► begin (next run order)
//!      │                                                           │  └──► succeeded: release, arrive at the next stage
//!   taken: wait (QUEUED), or wait and supersede                    └─────► failed: release
//!   who waited before (SUPERSEDED)                   release: the next one that waits enters
//! ```

use std::time::Duration;

use aws_sdk_codepipeline::types::{
    ActionExecutionStatus, ExecutionMode, PipelineExecutionStatus, StageExecutionStatus,
};

use super::state::Place;
use super::structure::run_order;
use super::{Event, actions};
use crate::World;

/// The bounds of the time between two steps of an execution.
const STEP: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(1500));

/// An execution comes to the stage of its position.
pub(super) fn arrive(world: &mut World, pipeline: &str, id: &str) {
    let Some(known) = world.codepipeline.pipelines.get_mut(pipeline) else { return };
    let mode = known.mode();
    let age = |id: &String| known.executions.iter().position(|execution| execution.id == *id);
    let Some(stage) = known.execution(id).and_then(|execution| execution.stages.get(execution.position)) else {
        return;
    };
    let stage = stage.name.clone();
    let arriving = id.to_owned();
    let mut superseded = Vec::new();
    let lock = known.locks.entry(stage.clone()).or_default();
    if lock.holder.is_none() && lock.waiting.is_empty() {
        return enter(world, pipeline, id, &stage);
    }
    if mode == ExecutionMode::Queued {
        lock.waiting.push(arriving);
    } else {
        // Only the newest waits. It is the one that arrives, unless it was overtaken.
        lock.waiting.push(arriving);
        lock.waiting.sort_by_key(age);
        let newest = lock.waiting.pop();
        superseded = std::mem::replace(&mut lock.waiting, newest.into_iter().collect());
    }
    for id in superseded {
        finish(world, pipeline, &id, PipelineExecutionStatus::Superseded);
    }
}

fn enter(world: &mut World, pipeline: &str, id: &str, stage: &str) {
    let now = world.now;
    if let Some(lock) = world.codepipeline.pipelines.get_mut(pipeline).and_then(|known| known.locks.get_mut(stage)) {
        lock.holder = Some(id.to_owned());
        lock.latest = Some(id.to_owned());
    }
    let Some(execution) = world.codepipeline.execution_mut(pipeline, id) else { return };
    execution.updated = now;
    if let Some(run) = execution.stages.iter_mut().find(|run| run.name == stage) {
        run.status = Some(StageExecutionStatus::InProgress);
        run.entered = Some(now);
    }
    let first = execution.declared_stage(stage).and_then(|stage| stage.actions.iter().map(run_order).min());
    begin_later(world, pipeline, id, stage, first.unwrap_or(1));
}

fn begin_later(world: &mut World, pipeline: &str, id: &str, stage: &str, run_order: i32) {
    let after = world.between(STEP.0, STEP.1);
    let event =
        Event::RunOrder { pipeline: pipeline.to_owned(), execution: id.to_owned(), stage: stage.to_owned(), run_order };
    world.schedule(after, Event::world(event));
}

/// Starts all actions of one run order.
pub(super) fn begin(world: &mut World, pipeline: &str, id: &str, stage: &str, order: i32) {
    let Some(execution) = world.codepipeline.execution_mut(pipeline, id) else { return };
    let inside =
        execution.stages.iter().any(|run| run.name == stage && run.status == Some(StageExecutionStatus::InProgress));
    if !inside {
        return;
    }
    if execution.cancelling {
        return settle(world, pipeline, id);
    }
    let Some(declared) = execution.declared_stage(stage).cloned() else { return };
    // All of them are in progress before the first of them can fail.
    let group = declared.actions.iter().filter(|action| run_order(action) == order);
    let places: Vec<Place> = group.filter_map(|action| actions::open(world, pipeline, id, stage, action)).collect();
    for place in places {
        actions::start(world, &place);
    }
}

/// Looks at the stage that an execution is in: when the actions of its run order have ended, the execution goes on.
pub(super) fn settle(world: &mut World, pipeline: &str, id: &str) {
    let Some(execution) = world.codepipeline.execution_mut(pipeline, id) else { return };
    let Some(run) = execution.stages.get(execution.position) else { return };
    if run.status != Some(StageExecutionStatus::InProgress) {
        return;
    }
    let stage = run.name.clone();
    let Some(declared) = execution.declared_stage(&stage) else { return };
    let newest = declared
        .actions
        .iter()
        .map(|action| (run_order(action), execution.latest_action(&stage, &action.name).map(|run| run.status.clone())));
    let newest: Vec<(i32, Option<ActionExecutionStatus>)> = newest.collect();
    let any = |wanted: ActionExecutionStatus| newest.iter().any(|(_, status)| status.as_ref() == Some(&wanted));
    // Parallel actions run to their end also where one of them has failed.
    if any(ActionExecutionStatus::InProgress) {
        return;
    }
    if any(ActionExecutionStatus::Failed) {
        return leave(world, pipeline, id, &stage, StageExecutionStatus::Failed, PipelineExecutionStatus::Failed);
    }
    if execution.cancelling {
        return leave(world, pipeline, id, &stage, StageExecutionStatus::Cancelled, PipelineExecutionStatus::Cancelled);
    }
    match newest.iter().filter(|(_, status)| status.is_none()).map(|(order, _)| *order).min() {
        Some(order) => begin_later(world, pipeline, id, &stage, order),
        None => succeed(world, pipeline, id, &stage),
    }
}

fn succeed(world: &mut World, pipeline: &str, id: &str, stage: &str) {
    let now = world.now;
    let Some(execution) = world.codepipeline.execution_mut(pipeline, id) else { return };
    execution.updated = now;
    if let Some(run) = execution.stages.get_mut(execution.position) {
        run.status = Some(StageExecutionStatus::Succeeded);
    }
    execution.position += 1;
    let last = execution.position == execution.stages.len();
    if last {
        execution.status = PipelineExecutionStatus::Succeeded;
    }
    release(world, pipeline, stage);
    if !last {
        arrive(world, pipeline, id);
    }
}

/// Ends a stage, and with it the execution.
fn leave(
    world: &mut World,
    pipeline: &str,
    id: &str,
    stage: &str,
    status: StageExecutionStatus,
    ending: PipelineExecutionStatus,
) {
    if let Some(execution) = world.codepipeline.execution_mut(pipeline, id)
        && let Some(run) = execution.stages.get_mut(execution.position)
    {
        run.status = Some(status);
    }
    finish(world, pipeline, id, ending);
    release(world, pipeline, stage);
}

fn finish(world: &mut World, pipeline: &str, id: &str, status: PipelineExecutionStatus) {
    let now = world.now;
    if let Some(execution) = world.codepipeline.execution_mut(pipeline, id) {
        execution.status = status;
        execution.updated = now;
    }
}

/// Frees a stage; the next execution that waits enters.
fn release(world: &mut World, pipeline: &str, stage: &str) {
    let Some(lock) = world.codepipeline.pipelines.get_mut(pipeline).and_then(|known| known.locks.get_mut(stage)) else {
        return;
    };
    lock.holder = None;
    if !lock.waiting.is_empty() {
        let next = lock.waiting.remove(0);
        enter(world, pipeline, &next, stage);
    }
}
