//! The deployment circuit breaker: how many failed tasks are too many.

use aws_sdk_ecs::types::{DeploymentCircuitBreaker, ServiceDeploymentRollbackMonitorsStatus as Monitor, ThresholdType};

use super::model::{Service, ServiceKey};
use super::rollback::{self, Failure};
use crate::World;

/// The default threshold's bounds, and those of every `BOUNDED_PERCENT`.
const LEAST: i64 = 3;
const MOST: i64 = 200;

/// How many failures trigger the breaker, for the desired count of now.
pub(super) fn threshold(breaker: &DeploymentCircuitBreaker, desired: i32) -> i32 {
    let (kind, value) = breaker
        .threshold_configuration
        .as_ref()
        .map_or((ThresholdType::BoundedPercent, 50), |threshold| (threshold.r#type.clone(), threshold.value));
    let share = (i64::from(desired) * i64::from(value) + 99) / 100;
    let threshold = match kind {
        ThresholdType::Count => i64::from(value),
        ThresholdType::UnboundedPercent => share.max(1),
        _ => share.clamp(LEAST, MOST),
    };
    i32::try_from(threshold).unwrap_or(i32::MAX)
}

fn breaker_of(service: &Service) -> Option<&DeploymentCircuitBreaker> {
    service.configuration.deployment_circuit_breaker.as_ref().filter(|breaker| breaker.enable)
}

/// A task of the deployment `number` could not start, crashed before it was healthy, or failed its checks.
///
/// Assumed: an exit after RUNNING but before the task was healthy counts, one of a task that had been healthy does not.
pub(super) fn task_failed(world: &mut World, key: &ServiceKey, number: &str) {
    let now = world.now;
    let Some(service) = world.ecs.services.get_mut(key) else { return };
    let breaker = breaker_of(service).cloned();
    let desired = service.desired;
    let Some(primary) = service.deployments.first_mut().filter(|primary| primary.number == number) else { return };
    if primary.rollout != aws_sdk_ecs::types::DeploymentRolloutState::InProgress {
        return;
    }
    primary.failed_tasks = primary.failed_tasks.saturating_add(1);
    primary.updated_at = now;
    let Some(current) = service.history.last_mut().filter(|current| !current.ended()) else { return };
    let Some(breaker) = breaker else { return };
    current.failure_count = current.failure_count.saturating_add(1);
    current.threshold = threshold(&breaker, desired);
    current.updated_at = now;
    if current.failure_count >= current.threshold && !primary.halted {
        current.breaker = Some(Monitor::Triggered);
        rollback::fail(world, key, &Failure::Breaker { rollback: breaker.rollback });
    }
}

/// A task of the deployment `number` became healthy.
pub(super) fn task_healthy(world: &mut World, key: &ServiceKey, number: &str) {
    let Some(service) = world.ecs.services.get_mut(key) else { return };
    let resets = breaker_of(service).is_none_or(|breaker| breaker.reset_on_healthy_task != Some(false));
    let Some(primary) = service.deployments.first_mut().filter(|primary| primary.number == number) else { return };
    primary.failed_tasks = 0;
    if let Some(current) = service.history.last_mut().filter(|current| resets && !current.ended()) {
        current.failure_count = 0;
    }
}

/// The breaker's state in a new service deployment.
pub(super) fn monitor(service: &Service) -> Monitor {
    if breaker_of(service).is_some() { Monitor::Monitoring } else { Monitor::Disabled }
}
