//! Deployments that fail, and the way back.

use std::time::Duration;

use aws_sdk_ecs::types::{
    DeploymentRolloutState as Rollout, ServiceDeploymentRollbackMonitorsStatus as Monitor,
    ServiceDeploymentStatus as Status,
};

use super::model::{Rollback, Service, ServiceDeployment, ServiceKey};
use super::{DeploymentStep, deployments, events_text, scheduler};
use crate::World;

/// Why a deployment fails by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failure {
    /// The circuit breaker.
    Breaker { rollback: bool },
    /// An alarm.
    Alarm { rollback: bool },
}

/// Circuit breaker or alarm: the deployment fails; with `rollback` it goes back to the last successful revision.
///
/// Where there is none, or where the rollback itself fails, nothing is started any more and no final state comes: so
/// AWS documents it ("the deployment is stalled").
pub(super) fn fail(world: &mut World, key: &ServiceKey, failure: &Failure) {
    let (text, rollout_reason, reason, rollback) = match failure {
        Failure::Breaker { rollback } => (
            "tasks failed to start",
            "ECS deployment circuit breaker: tasks failed to start.",
            "Service deployment rolled back because the circuit breaker threshold was exceeded.",
            *rollback,
        ),
        Failure::Alarm { rollback } => (
            "alarm detected",
            "ECS deployment failed: alarm detected.",
            "Service deployment rolled back because of an alarm in ALARM state.",
            *rollback,
        ),
    };
    let now = world.now;
    let Some(service) = world.ecs.services.get_mut(key) else { return };
    let to = last_successful(service);
    let Some(primary) = service.deployments.first_mut() else { return };
    primary.halted = true;
    primary.updated_at = now;
    let number = primary.number.clone();
    let Some(current) = service.history.last_mut() else { return };
    let arn = current.arn.clone();
    let first_failure = current.status != Status::RollbackInProgress;
    current.updated_at = now;
    let goes_back = rollback && first_failure && to.is_some();
    if goes_back || (!rollback && first_failure) {
        primary.rollout = Rollout::Failed;
        primary.reason = rollout_reason.to_owned();
    }
    if goes_back && let Some(to) = to {
        current.status = Status::RollbackRequested;
        current.status_reason = Some(reason.to_owned());
        current.rollback = Some(Rollback { reason: reason.to_owned(), started_at: None, to });
        deployments::step_later(world, &arn, DeploymentStep::RollsBack, Duration::ZERO);
    } else if !rollback && first_failure {
        current.status_reason = Some(rollout_reason.to_owned());
        deployments::end(world, &arn, Status::Stopped);
    }
    events_text::tell(world, key, &format!("(deployment ecs-svc/{number}) deployment failed: {text}."));
}

/// The number of the revision that the last SUCCESSFUL service deployment brought.
pub(super) fn last_successful(service: &Service) -> Option<String> {
    successful(service).next().map(str::to_owned)
}

/// The numbers of the revisions that successful deployments of a service brought, newest first.
pub(super) fn successful(service: &Service) -> impl Iterator<Item = &str> {
    let successful = |deployment: &&ServiceDeployment| deployment.status == Status::Successful;
    service.history.iter().rev().filter(successful).map(|deployment| deployment.target.as_str())
}

/// StopServiceDeployment(ROLLBACK) of the current deployment.
///
/// Assumed: where no deployment ever succeeded, it ends `ROLLBACK_FAILED` at once, and nothing more is started.
pub(super) fn stop_on_request(world: &mut World, key: &ServiceKey) {
    let now = world.now;
    let reason = "Service deployment rolled back because of a StopServiceDeployment request.";
    let Some(service) = world.ecs.services.get_mut(key) else { return };
    let to = last_successful(service);
    if let Some(primary) = service.deployments.first_mut() {
        primary.halted = true;
        primary.rollout = Rollout::Failed;
        primary.reason = "ECS deployment stopped by a StopServiceDeployment request.".into();
        primary.updated_at = now;
    }
    let Some(current) = service.current() else { return };
    let arn = current.arn.clone();
    current.status_reason = Some(reason.to_owned());
    current.updated_at = now;
    match to {
        Some(to) => {
            current.status = Status::RollbackRequested;
            current.rollback = Some(Rollback { reason: reason.to_owned(), started_at: None, to });
            deployments::step_later(world, &arn, DeploymentStep::RollsBack, Duration::ZERO);
        }
        None => {
            current.status_reason = Some("No rollback candidate was found to run the rollback.".into());
            deployments::end(world, &arn, Status::RollbackFailed);
        }
    }
}

/// `ROLLBACK_REQUESTED` → `ROLLBACK_IN_PROGRESS`: the earlier revision is PRIMARY again.
pub(super) fn roll_back(world: &mut World, key: &ServiceKey) {
    let now = world.now;
    let Some(service) = world.ecs.services.get_mut(key) else { return };
    let Some(current) = service.history.last_mut() else { return };
    let Some(rollback) = current.rollback.as_mut() else { return };
    rollback.started_at = Some(now);
    let to = rollback.to.clone();
    current.status = Status::RollbackInProgress;
    current.started_at.get_or_insert(now);
    current.updated_at = now;
    current.failure_count = 0;
    let why =
        if current.breaker == Some(Monitor::Triggered) { "ECS deployment circuit breaker" } else { "ECS deployment" };
    let reason = format!("{why}: rolling back to deploymentId ecs-svc/{to}.");
    let former = service.deployments.iter().position(|deployment| deployment.number == to);
    let mut target = match former {
        Some(place) => service.deployments.remove(place),
        None => deployments::primary(to.clone(), now),
    };
    target.rollout = Rollout::InProgress;
    target.reason = reason;
    target.started = true;
    target.halted = false;
    target.failed_tasks = 0;
    target.updated_at = now;
    service.deployments.insert(0, target);
    service.steady = false;
    if let Some(revision) = service.revisions.get(&to) {
        service.echo.task_definition = Some(revision.task_definition.clone());
        service.echo.network_configuration = revision.echo.network_configuration.clone();
        service.echo.load_balancers = revision.echo.load_balancers.clone();
        service.echo.service_registries = revision.echo.service_registries.clone();
        service.echo.platform_version = revision.echo.platform_version.clone();
    }
    events_text::tell(world, key, &format!("rolling back to deployment ecs-svc/{to}."));
    scheduler::request(world, key);
}
