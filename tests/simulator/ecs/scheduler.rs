//! The service scheduler: which tasks to start and to stop now.
//!
//! It never waits for a batch: whenever something changed, it starts as many tasks as the upper bound leaves room for,
//! and stops as many as the lower bound can spare.

use std::time::Duration;

use aws_sdk_ecs::types::TaskStopCode;

use super::model::{Service, ServiceKey, ServiceStatus, StopCause, Task, TaskStatus};
use super::{Event, State, deployments, events_text, task_end, task_life};
use crate::World;

/// A scheduler that may not start tasks now tries again at the latest after this time.
const RETRY: Duration = Duration::from_secs(60);

/// What the scheduler will do.
#[derive(Debug, Default)]
struct Plan {
    start: usize,
    stop: Vec<(u64, StopCause)>,
    /// Old tasks are left, nothing moves, and nothing will.
    stuck: bool,
}

/// Has the scheduler look at a service soon.
pub(super) fn request(world: &mut World, key: &ServiceKey) {
    let (least, most) = world.ecs.pace.scheduler.clone().into_inner();
    if world.ecs.services.get(key).is_some_and(|service| service.look_at.is_none_or(|at| at > world.now + most)) {
        let after = world.between(least, most);
        request_in(world, key, after);
    }
}

/// Has the scheduler look at a service after some time, or sooner where that is due already.
pub(super) fn request_in(world: &mut World, key: &ServiceKey, after: Duration) {
    let at = world.now + after;
    let Some(service) = world.ecs.services.get_mut(key) else { return };
    if service.look_at.is_some_and(|due| due <= at) {
        return;
    }
    service.look_at = Some(at);
    let ServiceKey { cluster, service } = key.clone();
    world.schedule(after, Event::Look { cluster, service }.into());
}

pub(super) fn happen(world: &mut World, key: &ServiceKey) {
    let now = world.now;
    let Some(service) = world.ecs.services.get_mut(key) else { return };
    // A look that was overtaken by an earlier one has nothing left to do.
    if service.look_at.is_none_or(|at| at > now) {
        return;
    }
    service.look_at = None;
    look(world, key);
}

fn look(world: &mut World, key: &ServiceKey) {
    let Some(service) = world.ecs.services.get(key) else { return };
    if service.status == ServiceStatus::Inactive {
        return;
    }
    let plan = plan(&world.ecs, service);
    let resumes = service.starts_again_at.filter(|at| *at > world.now);
    let crowded = service.crowded_until.filter(|at| *at > world.now);
    let moves = plan.start > 0 || !plan.stop.is_empty();
    stop(world, key, &plan.stop);
    match resumes.max(crowded) {
        Some(_) if plan.start == 0 => {}
        Some(at) => {
            if crowded.is_some() {
                events_text::tell(world, key, events_text::CROWDED);
            }
            let after = at.duration_since(world.now).unwrap_or_default();
            request_in(world, key, after.min(RETRY));
        }
        None => start(world, key, plan.start),
    }
    tell_stuck(world, key, plan.stuck, moves);
    deployments::progress(world, key);
}

fn plan(state: &State, service: &Service) -> Plan {
    let mut plan = Plan::default();
    let Some(primary) = service.deployments.first() else { return plan };
    let numbered = || service.live.iter().filter_map(|number| state.tasks.get(number).map(|task| (*number, task)));
    let occupying: Vec<(u64, &Task)> = numbered().filter(|(_, task)| task.occupies()).collect();
    let (new, old): (Vec<_>, Vec<_>) = occupying.iter().partition(|(_, task)| task.revision == primary.number);
    let wanted = service.wanted();
    if primary.halted || service.status == ServiceStatus::Draining {
        // Nothing is started; only fewer may be wanted. The failed deployment's tasks go first.
        let mut all = occupying.clone();
        all.sort_by_key(|(number, task)| (task.revision != primary.number, task.healthy, task.status, *number));
        plan.stop = excess(&all, wanted, StopCause::ScaleIn);
        return plan;
    }
    if !primary.started {
        return plan;
    }
    let mut shrinking: Vec<(u64, &Task)> = new.clone();
    shrinking.sort_by_key(|(number, task)| (task.healthy, task.status, *number));
    plan.stop = excess(&shrinking, wanted, StopCause::ScaleIn);
    let leaving = plan.stop.len();
    let healthy = occupying.iter().filter(|(_, task)| task.healthy).count();
    let spare_healthy =
        plan.stop.iter().filter(|(number, _)| state.tasks.get(number).is_some_and(|task| task.healthy)).count();
    let mut spare = (healthy - spare_healthy).saturating_sub(service.lower());
    for (number, task) in &old {
        // What is not healthy does not count towards the lower bound, so it can go at any time.
        if task.healthy {
            if spare == 0 {
                continue;
            }
            spare -= 1;
        }
        plan.stop.push((*number, StopCause::Rollout));
    }
    let missing = wanted.saturating_sub(new.len().saturating_sub(leaving));
    // Outside of a deployment nothing but the desired count bounds the starts; `upper` is never below it.
    plan.start = missing.min(service.upper().saturating_sub(occupying.len()));
    let resting = occupying.iter().all(|(_, task)| task.healthy) && numbered().all(|(_, task)| task.occupies());
    plan.stuck = !old.is_empty() && plan.start == 0 && plan.stop.is_empty() && resting;
    plan
}

fn excess(tasks: &[(u64, &Task)], wanted: usize, cause: StopCause) -> Vec<(u64, StopCause)> {
    tasks.iter().take(tasks.len().saturating_sub(wanted)).map(|(number, _)| (*number, cause)).collect()
}

fn stop(world: &mut World, key: &ServiceKey, tasks: &[(u64, StopCause)]) {
    let primary = world.ecs.services.get(key).and_then(|service| service.deployments.first());
    let reason =
        primary.map(|primary| format!("Scaling activity initiated by (deployment ecs-svc/{})", primary.number));
    let (mut running, mut pending) = (Vec::new(), 0);
    for (number, cause) in tasks {
        match world.ecs.tasks.get(number) {
            Some(task) if task.status == TaskStatus::Running => running.push(task.id.clone()),
            Some(_) => pending += 1,
            None => {}
        }
        let reason = reason.clone().unwrap_or_default();
        task_end::stop(world, *number, *cause, TaskStopCode::ServiceSchedulerInitiated, reason);
    }
    let drains = world.ecs.services.get(key).is_some_and(Service::has_load_balancer);
    events_text::stopped(world, key, &running, pending, drains);
}

fn start(world: &mut World, key: &ServiceKey, count: usize) {
    let mut ids = Vec::with_capacity(count);
    for _ in 0..count {
        ids.extend(task_life::launch(world, key));
    }
    events_text::started(world, key, &ids);
}

/// The event comes once for each time that a deployment is stuck.
fn tell_stuck(world: &mut World, key: &ServiceKey, stuck: bool, moves: bool) {
    let Some(service) = world.ecs.services.get_mut(key) else { return };
    if moves {
        service.stuck_told = false;
    } else if stuck && !service.stuck_told {
        service.stuck_told = true;
        events_text::tell(world, key, events_text::STUCK);
    }
}

/// A task stopped before it was RUNNING. After two rounds of that the scheduler waits: 10 s, doubled with each further
/// round, at most 15 minutes. (AWS documents the growth and the cap; the first step is assumed.)
pub(super) fn failed_to_start(world: &mut World, key: &ServiceKey) {
    let now = world.now;
    let Some(service) = world.ecs.services.get_mut(key) else { return };
    service.failed_starts = service.failed_starts.saturating_add(1);
    let round = service.desired.max(1);
    let rounds = service.failed_starts / round;
    if service.failed_starts % round != 0 || rounds < 2 {
        return;
    }
    let doublings = u32::try_from(rounds - 2).unwrap_or_default().min(7);
    let wait = Duration::from_secs(10 << doublings).min(Duration::from_secs(900));
    service.starts_again_at = Some(now + wait);
    if rounds >= 3 {
        events_text::tell(world, key, events_text::INCONSISTENT);
    }
}
