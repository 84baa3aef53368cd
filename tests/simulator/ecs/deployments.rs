//! Service deployments: begun, superseded, completed, failed, rolled back.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::{
    self, DeploymentRolloutState as Rollout, ServiceDeploymentRollbackMonitorsStatus as Monitor,
    ServiceDeploymentStatus as Status,
};

use super::model::{Counts, Deployment, Revision, Service, ServiceDeployment, ServiceKey, ServiceStatus, TaskStatus};
use super::rules::date;
use super::{DeploymentStep, Event, State, alarms, breaker, events_text, rollback, scheduler};
use crate::World;

/// Starts a deployment of what the service's stored members say now. A running one is superseded.
pub(super) fn begin(world: &mut World, key: &ServiceKey) {
    let number = world.rng.u64(1_000_000_000_000_000_000..=9_223_372_036_854_775_807).to_string();
    let id: String = std::iter::repeat_with(|| world.rng.alphanumeric()).take(21).collect();
    let path = format!("{}/{}", key.cluster, key.service);
    let arn = world.arn("ecs", &format!("service-deployment/{path}/{id}"));
    let revision_arn = world.arn("ecs", &format!("service-revision/{path}/{number}"));
    let now = world.now;
    let Some(service) = world.ecs.services.get_mut(key) else { return };
    let superseded = supersede(service, &number, now);
    let revision = revision(service, revision_arn, now);
    let sources = service.deployments.iter().map(|deployment| deployment.number.clone()).collect();
    service.revisions.insert(number.clone(), revision);
    service.deployments.insert(0, primary(number.clone(), now));
    let deployment = ServiceDeployment {
        arn: arn.clone(),
        created_at: now,
        started_at: None,
        finished_at: None,
        stopped_at: None,
        updated_at: now,
        sources,
        target: number,
        status: Status::Pending,
        status_reason: None,
        configuration: service.configuration.clone(),
        rollback: None,
        breaker: Some(breaker::monitor(service)),
        failure_count: 0,
        threshold: 0,
        alarms: None,
        bakes_until: None,
        frozen: None,
    };
    service.history.push(deployment);
    service.steady = false;
    service.stuck_told = false;
    let mut wait = std::time::Duration::ZERO;
    if let Some(arn) = superseded {
        wait = step_later(world, &arn, DeploymentStep::Stops, wait);
    }
    step_later(world, &arn, DeploymentStep::Starts, wait);
}

/// Puts a service deployment's next step into the queue, after `wait` and a little more; after how long in all.
pub(super) fn step_later(
    world: &mut World,
    arn: &str,
    step: DeploymentStep,
    wait: std::time::Duration,
) -> std::time::Duration {
    let (least, most) = world.ecs.pace.deployment.clone().into_inner();
    let after = wait + world.between(least, most);
    world.schedule(after, Event::Deployment { arn: arn.to_owned(), step }.into());
    after
}

fn supersede(service: &mut Service, by: &str, now: std::time::SystemTime) -> Option<String> {
    let current = service.current().filter(|current| !current.ended())?;
    current.status = Status::StopRequested;
    current.status_reason =
        Some(format!("Service deployment stopped because a new deployment ecs-svc/{by} was started."));
    current.updated_at = now;
    Some(current.arn.clone())
}

/// A new PRIMARY entry.
pub(super) fn primary(number: String, now: std::time::SystemTime) -> Deployment {
    let reason = format!("ECS deployment ecs-svc/{number} in progress.");
    Deployment {
        number,
        created_at: now,
        updated_at: now,
        rollout: Rollout::InProgress,
        reason,
        failed_tasks: 0,
        started: false,
        halted: false,
    }
}

fn revision(service: &Service, arn: String, now: std::time::SystemTime) -> Revision {
    let shown = &service.echo;
    let task_definition = shown.task_definition.clone().unwrap_or_default();
    let echo = types::ServiceRevision::builder()
        .service_revision_arn(&arn)
        .service_arn(&service.arn)
        .set_cluster_arn(shown.cluster_arn.clone())
        .task_definition(&task_definition)
        .set_capacity_provider_strategy(shown.capacity_provider_strategy.clone())
        .set_launch_type(shown.launch_type.clone())
        .set_platform_version(shown.platform_version.clone())
        .set_platform_family(shown.platform_family.clone())
        .set_load_balancers(shown.load_balancers.clone())
        .set_service_registries(shown.service_registries.clone())
        .set_network_configuration(shown.network_configuration.clone())
        .guard_duty_enabled(false)
        .created_at(date(now))
        .build();
    Revision { arn, task_definition, echo, pins: BTreeMap::new() }
}

pub(super) fn happen(world: &mut World, arn: &str, step: DeploymentStep) {
    let Some((service, place)) = world.ecs.service_deployment(arn) else { return };
    let key = service.key.clone();
    let status = service.history.get(place).map(|deployment| deployment.status.clone());
    match (step, status) {
        (DeploymentStep::Starts, Some(Status::Pending)) => start(world, &key),
        (DeploymentStep::Stops, Some(Status::StopRequested)) => end(world, arn, Status::Stopped),
        (DeploymentStep::RollsBack, Some(Status::RollbackRequested)) => rollback::roll_back(world, &key),
        (DeploymentStep::ReadsAlarms, Some(Status::InProgress)) => alarms::read(world, &key, arn),
        _ => {}
    }
}

pub(super) fn start(world: &mut World, key: &ServiceKey) {
    let now = world.now;
    let Some(service) = world.ecs.services.get_mut(key) else { return };
    let desired = service.desired;
    let breaker = service.configuration.deployment_circuit_breaker.clone();
    if let Some(primary) = service.deployments.first_mut() {
        primary.started = true;
        primary.updated_at = now;
    }
    if let Some(current) = service.current() {
        current.status = Status::InProgress;
        current.started_at = Some(now);
        current.updated_at = now;
        current.threshold =
            breaker.as_ref().filter(|breaker| breaker.enable).map_or(0, |b| breaker::threshold(b, desired));
    }
    alarms::begin(world, key);
    scheduler::request(world, key);
}

/// The end of a service deployment: its counts stay as they are now.
pub(super) fn end(world: &mut World, arn: &str, status: Status) {
    let now = world.now;
    let Some((service, place)) = world.ecs.service_deployment(arn) else { return };
    let key = service.key.clone();
    let Some(deployment) = service.history.get(place) else { return };
    let numbers = deployment.sources.iter().chain([&deployment.target]);
    let frozen = numbers.map(|number| (number.clone(), world.ecs.counts(service, number))).collect();
    let Some(deployment) = world.ecs.services.get_mut(&key).and_then(|service| service.history.get_mut(place)) else {
        return;
    };
    if matches!(status, Status::Stopped | Status::RollbackFailed) {
        deployment.stopped_at = Some(now);
    }
    deployment.status = status;
    deployment.finished_at = Some(now);
    deployment.updated_at = now;
    deployment.frozen = Some(frozen);
    if deployment.breaker == Some(Monitor::Monitoring) {
        deployment.breaker = Some(Monitor::MonitoringComplete);
    }
    if let Some(alarms) = deployment.alarms.as_mut().filter(|alarms| alarms.status == Monitor::Monitoring) {
        alarms.status = Monitor::MonitoringComplete;
    }
}

impl State {
    /// The tasks of one revision of a service.
    pub(super) fn counts(&self, service: &Service, number: &str) -> Counts {
        let mut counts = Counts::default();
        let is_primary = service.deployments.first().is_some_and(|primary| primary.number == number);
        for task in self.live_tasks(service).filter(|task| task.revision == number) {
            if task.status == TaskStatus::Running {
                counts.running += 1;
            } else if task.status < TaskStatus::Running {
                counts.pending += 1;
            }
            counts.requested += i32::from(task.occupies());
        }
        if is_primary {
            counts.requested = service.desired;
        }
        counts
    }
}

/// After each look of the scheduler: old entries go, a deployment that has arrived is completed.
pub(super) fn progress(world: &mut World, key: &ServiceKey) {
    let now = world.now;
    let Some(service) = world.ecs.services.get(key) else { return };
    let Some(primary) = service.deployments.first() else { return };
    let (mut healthy, mut others) = (0, 0);
    let mut numbers = vec![primary.number.clone()];
    for task in world.ecs.live_tasks(service) {
        if task.revision != primary.number {
            others += 1;
            numbers.push(task.revision.clone());
        } else if task.healthy {
            healthy += 1;
        }
    }
    let empty = service.live.is_empty();
    let settled = primary.started && !primary.halted && others == 0 && healthy == service.wanted();
    let Some(service) = world.ecs.services.get_mut(key) else { return };
    service.deployments.retain(|deployment| numbers.contains(&deployment.number));
    if service.status == ServiceStatus::Draining && empty {
        service.status = ServiceStatus::Inactive;
        service.deployments.clear();
        return;
    }
    if !settled {
        service.steady = false;
        return;
    }
    let running = matches!(service.history.last(), Some(current)
        if matches!(current.status, Status::InProgress | Status::RollbackInProgress));
    if running && !baked(world, key, now) {
        return;
    }
    if running {
        complete(world, key);
    }
    let Some(service) = world.ecs.services.get_mut(key) else { return };
    if !std::mem::replace(&mut service.steady, true) {
        events_text::tell(world, key, events_text::STEADY);
    }
}

/// Whether the alarms, if any, have been watched long enough with all tasks up.
fn baked(world: &mut World, key: &ServiceKey, now: std::time::SystemTime) -> bool {
    let bake = world.ecs.pace.bake;
    let Some(current) = world.ecs.services.get_mut(key).and_then(|service| service.current()) else { return true };
    let watched = current.alarms.as_ref().is_some_and(|alarms| alarms.status == Monitor::Monitoring);
    if !watched || current.status != Status::InProgress {
        return true;
    }
    let until = *current.bakes_until.get_or_insert(now + bake);
    let left = until.duration_since(now).unwrap_or_default();
    if !left.is_zero() {
        scheduler::request_in(world, key, left);
    }
    left.is_zero()
}

pub(super) fn complete(world: &mut World, key: &ServiceKey) {
    let now = world.now;
    let Some(service) = world.ecs.services.get_mut(key) else { return };
    let Some(primary) = service.deployments.first_mut() else { return };
    primary.rollout = Rollout::Completed;
    primary.reason = format!("ECS deployment ecs-svc/{} completed.", primary.number);
    primary.updated_at = now;
    let text = format!("(deployment ecs-svc/{}) deployment completed.", primary.number);
    let Some(current) = service.history.last() else { return };
    let status = match current.status {
        Status::RollbackInProgress => Status::RollbackSuccessful,
        _ => Status::Successful,
    };
    let arn = current.arn.clone();
    end(world, &arn, status);
    events_text::tell(world, key, &text);
}
