//! Stages: their locks, the run order within them, and what follows one that ended.
//!
//! ```text
//!   arrive ──free──► enter ──► begin (run order 1) ──► actions … settle ──► begin (next run order)
//!      │               ▲                                           │  └──► succeeded: release, arrive at the next stage
//!      │               └── retry                                   └─────► failed, stopped, cancelled: release
//!   taken: wait (QUEUED), or wait and supersede                    release: the next one that waits enters
//!   who waited before (SUPERSEDED); PARALLEL: always free
//! ```

use std::time::Duration;

use aws_sdk_codepipeline::types::{
    ActionExecutionStatus, ExecutionMode, PipelineExecutionStatus, StageExecutionStatus,
};

use super::state::{Execution, Place};
use super::structure::run_order;
use super::{Event, actions};
use crate::World;

/// The bounds of the time between two steps of an execution.
const STEP: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(1500));

/// An execution comes to the stage of its position.
pub(super) fn arrive(world: &mut World, pipeline: &str, id: &str) {
    let Some(known) = world.codepipeline.pipelines.get_mut(pipeline) else { return };
    let age = |id: &String| known.executions.iter().position(|execution| execution.id == *id);
    let Some(execution) = known.execution(id) else { return };
    let Some(stage) = execution.stages.get(execution.position).map(|stage| stage.name.clone()) else { return };
    let mode = execution.mode.clone();
    let lock = known.locks.entry(stage.clone()).or_default();
    if mode == ExecutionMode::Parallel || (lock.holder.is_none() && lock.waiting.is_empty()) {
        return enter(world, pipeline, id, &stage);
    }
    let mut superseded = Vec::new();
    lock.waiting.push(id.to_owned());
    if mode != ExecutionMode::Queued {
        // Only the newest waits. It is the one that arrives, unless it was overtaken.
        lock.waiting.sort_by_key(age);
        let newest = lock.waiting.pop();
        superseded = std::mem::replace(&mut lock.waiting, newest.into_iter().collect());
    }
    for id in superseded {
        finish(world, pipeline, &id, PipelineExecutionStatus::Superseded);
    }
}

/// An execution enters a stage, for the first time or again: what does not count yet is to be done.
pub(super) fn enter(world: &mut World, pipeline: &str, id: &str, stage: &str) {
    let now = world.now;
    let Some(known) = world.codepipeline.pipelines.get_mut(pipeline) else { return };
    let lock = known.locks.get_mut(stage);
    let Some(execution) = known.executions.iter_mut().rev().find(|execution| execution.id == id) else { return };
    if let Some(lock) = lock.filter(|_| execution.mode != ExecutionMode::Parallel) {
        lock.holder = Some(id.to_owned());
        lock.latest = Some(id.to_owned());
    }
    execution.updated = now;
    if let Some(run) = execution.stages.iter_mut().find(|run| run.name == stage) {
        run.status = Some(StageExecutionStatus::InProgress);
        run.entered = Some(now);
    }
    settle(world, pipeline, id);
}

/// A retry: the execution comes into its stage again, or goes on in it where other actions are still in progress.
pub(super) fn retry(world: &mut World, pipeline: &str, id: &str, stage: &str) {
    let Some(execution) = world.codepipeline.execution_mut(pipeline, id) else { return };
    let inside = execution.stages.get(execution.position).is_some_and(|run| run.is_open());
    match next_order(execution, stage) {
        Some(order) if inside => begin_later(world, pipeline, id, stage, order),
        _ => enter(world, pipeline, id, stage),
    }
}

fn begin_later(world: &mut World, pipeline: &str, id: &str, stage: &str, run_order: i32) {
    let after = world.between(STEP.0, STEP.1);
    let event =
        Event::RunOrder { pipeline: pipeline.to_owned(), execution: id.to_owned(), stage: stage.to_owned(), run_order };
    world.schedule(after, Event::world(event));
}

/// Starts the actions of one run order, if it is still the next one: a stop or a retry may have come between.
pub(super) fn begin(world: &mut World, pipeline: &str, id: &str, stage: &str, order: i32) {
    let Some(execution) = world.codepipeline.execution_mut(pipeline, id) else { return };
    let open = execution.stages.get(execution.position).is_some_and(|run| run.name == stage && run.is_open());
    if !open || next_order(execution, stage) != Some(order) || is_busy_before(execution, stage, order) {
        return;
    }
    if execution.cancelling || execution.stop.is_some() {
        return settle(world, pipeline, id);
    }
    let Some(declared) = execution.declared_stage(stage).cloned() else { return };
    let due = |name: &str| execution.counting_action(stage, name).is_none();
    let group = declared.actions.iter().filter(|action| run_order(action) == order && due(&action.name));
    let group: Vec<_> = group.collect();
    // All of them are in progress before the first of them can fail.
    let places: Vec<Place> =
        group.into_iter().filter_map(|action| actions::open(world, pipeline, id, stage, action)).collect();
    for place in places {
        actions::start(world, &place);
    }
}

/// The run order of the first actions of a stage that are to be started.
fn next_order(execution: &Execution, stage: &str) -> Option<i32> {
    let actions = execution.declared_stage(stage)?.actions.iter();
    actions.filter(|action| execution.counting_action(stage, &action.name).is_none()).map(run_order).min()
}

/// Whether an action of an earlier run order is still in progress.
fn is_busy_before(execution: &Execution, stage: &str, order: i32) -> bool {
    let actions = execution.declared_stage(stage).into_iter().flat_map(|declared| &declared.actions);
    let before = actions.filter(|action| run_order(action) < order);
    let mut runs = before.filter_map(|action| execution.counting_action(stage, &action.name));
    runs.any(|run| run.status == ActionExecutionStatus::InProgress)
}

/// Looks at the stage that an execution is in: when the actions of its run order have ended, the execution goes on.
pub(super) fn settle(world: &mut World, pipeline: &str, id: &str) {
    let Some(execution) = world.codepipeline.execution_mut(pipeline, id) else { return };
    let Some(run) = execution.stages.get(execution.position).filter(|run| run.is_open()) else { return };
    let stage = run.name.clone();
    let Some(declared) = execution.declared_stage(&stage) else { return };
    let any = |wanted: ActionExecutionStatus| {
        let mut runs = declared.actions.iter().filter_map(|action| execution.counting_action(&stage, &action.name));
        runs.any(|run| run.status == wanted)
    };
    // Parallel actions run to their end also where one of them has failed.
    if any(ActionExecutionStatus::InProgress) {
        return;
    }
    if execution.stop.is_some() {
        // How the actions ended is theirs: stage and execution were stopped (documented for the execution alone).
        return leave(world, pipeline, id, &stage, StageExecutionStatus::Stopped, PipelineExecutionStatus::Stopped);
    }
    if any(ActionExecutionStatus::Failed) {
        return leave(world, pipeline, id, &stage, StageExecutionStatus::Failed, PipelineExecutionStatus::Failed);
    }
    if execution.cancelling {
        return leave(world, pipeline, id, &stage, StageExecutionStatus::Cancelled, PipelineExecutionStatus::Cancelled);
    }
    match next_order(execution, &stage) {
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
    let last = execution.position == execution.end;
    if last {
        execution.status = PipelineExecutionStatus::Succeeded;
    }
    release(world, pipeline, id, stage);
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
    release(world, pipeline, id, stage);
}

/// Ends an execution that is in no stage.
pub(super) fn finish(world: &mut World, pipeline: &str, id: &str, status: PipelineExecutionStatus) {
    let now = world.now;
    if let Some(execution) = world.codepipeline.execution_mut(pipeline, id) {
        execution.status = status;
        execution.updated = now;
    }
}

/// Frees a stage, if it is the execution's; the next one that waits enters.
fn release(world: &mut World, pipeline: &str, id: &str, stage: &str) {
    let Some(lock) = world.codepipeline.pipelines.get_mut(pipeline).and_then(|known| known.locks.get_mut(stage)) else {
        return;
    };
    if lock.holder.as_deref() != Some(id) {
        return;
    }
    lock.holder = None;
    if !lock.waiting.is_empty() {
        let next = lock.waiting.remove(0);
        enter(world, pipeline, &next, stage);
    }
}
