//! A task's way down: DEACTIVATING → STOPPING → DEPROVISIONING → STOPPED, and what sends it there.

use std::time::Duration;

use aws_sdk_ecs::types::{HealthStatus, TaskStopCode};

use super::model::{Service, ServiceKey, Stop, StopCause, TaskStatus};
use super::task_life::later;
use super::{Event, Step, breaker, scheduler};
use crate::World;
use crate::ecr::Behaviour;

/// Exit code of a process that SIGKILL ended.
const KILLED: i32 = 137;

/// Asks a task to stop. The first who asks gives the reason.
pub(super) fn stop(world: &mut World, number: u64, cause: StopCause, code: TaskStopCode, reason: String) {
    let now = world.now;
    let Some(task) = world.ecs.tasks.get_mut(&number) else { return };
    if task.stop.is_some() {
        return;
    }
    let (was_healthy, ever_healthy, status) = (task.healthy, task.was_healthy, task.status);
    task.healthy = false;
    task.stopping_at = Some(now);
    task.version += 1;
    if cause == StopCause::FailedToStart
        && let Some(container) = task.containers.iter_mut().find(|container| container.reason.is_none())
    {
        container.reason = Some(reason.clone());
    }
    task.stop = Some(Stop { cause, code, reason, was_healthy, killed: false });
    let (key, revision) = (task.service.clone(), task.revision.clone());
    let drains = status == TaskStatus::Running && cause != StopCause::Crash && balanced(world, key.as_ref());
    let next = match status {
        TaskStatus::Running if drains => TaskStatus::Deactivating,
        TaskStatus::Running => TaskStatus::Stopping,
        _ => TaskStatus::Deprovisioning,
    };
    reach(world, number, next);
    let Some(key) = key else { return };
    if was_healthy && let Some(service) = world.ecs.services.get_mut(&key) {
        service.shortfall.lose(cause);
    }
    if cause == StopCause::FailedToStart {
        scheduler::failed_to_start(world, &key);
    }
    if matches!(cause, StopCause::FailedToStart | StopCause::Crash | StopCause::Health) && !ever_healthy {
        breaker::task_failed(world, &key, &revision);
    }
    scheduler::request(world, &key);
}

fn balanced(world: &World, key: Option<&ServiceKey>) -> bool {
    key.and_then(|key| world.ecs.services.get(key)).is_some_and(Service::has_load_balancer)
}

/// The next state on the way down.
pub(super) fn reach(world: &mut World, number: u64, status: TaskStatus) {
    let now = world.now;
    let Some(task) = world.ecs.tasks.get_mut(&number) else { return };
    task.status = status;
    task.version += 1;
    match status {
        TaskStatus::Deactivating => {
            let after = world.ecs.pace.deregistration;
            world.schedule(after, Event::Task { task: number, step: Step::Reach(TaskStatus::Stopping) }.into());
        }
        TaskStatus::Stopping => {
            let running = task.containers.iter().filter(|container| container.status == "RUNNING");
            let most = running.map(|container| container.stop_timeout).max().unwrap_or(Duration::from_secs(1));
            let (least, longest) = world.ecs.pace.stopping.clone().into_inner();
            let after = world.between(least, longest).min(most);
            if let Some(stop) = world.ecs.tasks.get_mut(&number).and_then(|task| task.stop.as_mut()) {
                stop.killed = after >= most;
            }
            world.schedule(after, Event::Task { task: number, step: Step::Reach(TaskStatus::Deprovisioning) }.into());
        }
        TaskStatus::Deprovisioning => {
            task.execution_stopped_at = Some(now);
            let killed = task.stop.as_ref().is_some_and(|stop| stop.killed);
            for container in &mut task.containers {
                if container.status == "RUNNING" {
                    container.exit_code = Some(if killed { KILLED } else { 0 });
                }
                container.status = "STOPPED";
            }
            let range = world.ecs.pace.deprovisioning.clone();
            later(world, number, &range, Step::Reach(TaskStatus::Stopped));
        }
        _ => ended(world, number),
    }
}

fn ended(world: &mut World, number: u64) {
    let now = world.now;
    let remembered = world.ecs.pace.remembered;
    let state = &mut world.ecs;
    let Some(task) = state.tasks.get_mut(&number) else { return };
    task.stopped_at = Some(now);
    let key = task.service.clone();
    state.stopped.push_back((now, number));
    while let Some((_, oldest)) = state.stopped.front().copied().filter(|(at, _)| *at + remembered < now) {
        state.stopped.pop_front();
        if let Some(task) = state.tasks.remove(&oldest) {
            state.task_numbers.remove(&task.id);
        }
    }
    let Some(key) = key else { return };
    if let Some(service) = state.services.get_mut(&key) {
        service.live.remove(&number);
    }
    scheduler::request(world, &key);
}

/// A container exits by itself: crash, kernel, wrong processor.
pub(super) fn exits(world: &mut World, number: u64, place: usize) {
    let now = world.now;
    let Some(task) = world.ecs.tasks.get_mut(&number) else { return };
    if task.stop.is_some() || task.status != TaskStatus::Running {
        return;
    }
    let id = task.id.clone();
    let Some(container) = task.containers.get_mut(place) else { return };
    let wrong = vec!["exec /app: exec format error".to_owned()];
    let (exit_code, lines, reason) = match container.behaviour.clone() {
        Behaviour::CrashesAfter { exit_code, lines, .. } => (exit_code, lines, None),
        Behaviour::OutOfMemory { .. } => {
            (KILLED, Vec::new(), Some("OutOfMemoryError: Container killed due to memory usage".to_owned()))
        }
        _ => (1, wrong, None),
    };
    container.status = "STOPPED";
    container.exit_code = Some(exit_code);
    container.reason = reason;
    let essential = container.essential;
    if let Some((group, prefix)) = container.log.clone() {
        let stream = format!("{prefix}/{}/{id}", container.name);
        for line in lines {
            world.logs.put(&group, &stream, now, &line);
        }
    }
    if essential {
        let reason = "Essential container in task exited".to_owned();
        stop(world, number, StopCause::Crash, TaskStopCode::EssentialContainerExited, reason);
    }
}

/// A task that will never be healthy is RUNNING: its checks' patience begins.
pub(super) fn lose_patience(world: &mut World, number: u64) {
    let Some(task) = world.ecs.tasks.get(&number) else { return };
    let containers = task.containers.iter();
    let checked = containers.filter(|container| container.behaviour == Behaviour::NeverHealthy);
    let patience = checked.filter_map(|container| container.patience).min();
    let after = patience.unwrap_or(world.ecs.pace.target_patience);
    world.schedule(after, Event::Task { task: number, step: Step::Unhealthy }.into());
}

/// Its checks have failed for good: the scheduler replaces it, after the service's grace period.
///
/// Simplified: AWS starts the replacement first where the maximum percent leaves room; here the task is stopped first.
pub(super) fn unhealthy(world: &mut World, number: u64) {
    let now = world.now;
    let Some(task) = world.ecs.tasks.get_mut(&number) else { return };
    if task.stop.is_some() || task.status != TaskStatus::Running {
        return;
    }
    let mut by_container = false;
    for container in &mut task.containers {
        if container.behaviour == Behaviour::NeverHealthy && container.patience.is_some() {
            container.health = HealthStatus::Unhealthy;
            by_container = true;
        }
    }
    let (id, started_at) = (task.id.clone(), task.started_at.unwrap_or(now));
    let Some(key) = task.service.clone() else { return };
    let Some(service) = world.ecs.services.get(&key) else { return };
    let grace = service.echo.health_check_grace_period_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let graced_until = started_at + Duration::from_secs(grace.unwrap_or_default());
    if let Ok(left) = graced_until.duration_since(now)
        && !left.is_zero()
    {
        world.schedule(left, Event::Task { task: number, step: Step::Unhealthy }.into());
        return;
    }
    let balancer = service.echo.load_balancers.as_ref().and_then(|balancers| balancers.first());
    let group = balancer.and_then(|balancer| balancer.target_group_arn.clone()).unwrap_or_default();
    let port = balancer.and_then(|balancer| balancer.container_port).unwrap_or_default();
    let (reason, event) = if by_container {
        ("Task failed container health checks".to_owned(), format!("(task {id}) failed container health checks."))
    } else {
        (
            format!("Task failed ELB health checks in (target-group {group})"),
            format!(
                "(task {id}) (port {port}) is unhealthy in (target-group {group}) due to (reason Health checks failed)."
            ),
        )
    };
    super::events_text::tell(world, &key, &event);
    stop(world, number, StopCause::Health, TaskStopCode::ServiceSchedulerInitiated, reason);
}

/// Spot capacity is taken back.
pub(super) fn reclaim(world: &mut World, number: u64) {
    let reason = "Your Spot Task was interrupted.".to_owned();
    stop(world, number, StopCause::Spot, TaskStopCode::SpotInterruption, reason);
}
