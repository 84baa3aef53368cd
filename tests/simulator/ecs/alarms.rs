//! Alarms of a deployment: read at its start, while it runs, and for a while after all tasks are up.

use aws_sdk_ecs::types::ServiceDeploymentRollbackMonitorsStatus as Monitor;

use super::model::{AlarmWatch, ServiceKey};
use super::rollback::{self, Failure};
use super::{DeploymentStep, Event};
use crate::World;

fn red(world: &World, names: &[String]) -> Vec<String> {
    names.iter().filter(|name| is_red(world, name)).cloned().collect()
}

fn is_red(world: &World, name: &str) -> bool {
    #[cfg(test)]
    if world.ecs.red_alarms.contains(name) {
        return true;
    }
    world.cloudwatch.state(name) == Some("ALARM")
}

/// At the start of the current service deployment. An alarm that is red already makes ECS ignore all of them for the
/// whole deployment.
pub(super) fn begin(world: &mut World, key: &ServiceKey) {
    let Some(service) = world.ecs.services.get(key) else { return };
    let Some(alarms) = service.configuration.alarms.clone().filter(|alarms| alarms.enable) else { return };
    let ignored = !red(world, &alarms.alarm_names).is_empty();
    let status = if ignored { Monitor::Disabled } else { Monitor::Monitoring };
    let watch = AlarmWatch {
        names: alarms.alarm_names,
        rollback: alarms.rollback,
        triggered: Vec::new(),
        status: status.clone(),
    };
    let Some(current) = world.ecs.services.get_mut(key).and_then(|service| service.current()) else { return };
    current.alarms = Some(watch);
    let arn = current.arn.clone();
    if status == Monitor::Monitoring {
        let after = world.ecs.pace.alarms;
        world.schedule(after, Event::Deployment { arn, step: DeploymentStep::ReadsAlarms }.into());
    }
}

/// Reads the alarms of a service deployment, and comes back later while it is watched.
pub(super) fn read(world: &mut World, key: &ServiceKey, arn: &str) {
    let watch = |world: &mut World| {
        let service = world.ecs.services.get_mut(key)?;
        let current = service.current().filter(|current| current.arn == arn && !current.ended())?;
        current.alarms.clone().filter(|watch| watch.status == Monitor::Monitoring)
    };
    let Some(watched) = watch(world) else { return };
    let red = red(world, &watched.names);
    if red.is_empty() {
        let after = world.ecs.pace.alarms;
        world.schedule(after, Event::Deployment { arn: arn.to_owned(), step: DeploymentStep::ReadsAlarms }.into());
        return;
    }
    if let Some(alarms) = world
        .ecs
        .services
        .get_mut(key)
        .and_then(|service| service.current())
        .and_then(|current| current.alarms.as_mut())
    {
        alarms.status = Monitor::Triggered;
        alarms.triggered = red;
    }
    rollback::fail(world, key, &Failure::Alarm { rollback: watched.rollback });
}
