//! A service's `events`, in AWS's words. (The text is no contract; programs must not hang on it.)

use aws_sdk_ecs::types::ServiceEvent;

use super::model::ServiceKey;
use super::rules::date;
use crate::World;

/// `DescribeServices` shows so many.
const EVENTS_MAX: usize = 100;

/// Adds `(service NAME) …`.
pub(super) fn tell(world: &mut World, key: &ServiceKey, what: &str) {
    let event = ServiceEvent::builder()
        .id(world.uuid())
        .created_at(date(world.now))
        .message(format!("(service {}) {what}", key.service))
        .build();
    if let Some(service) = world.ecs.services.get_mut(key) {
        service.events.push_front(event);
        service.events.truncate(EVENTS_MAX);
    }
}

fn ids(ids: &[String]) -> String {
    ids.iter().map(|id| format!("(task {id})")).collect::<Vec<_>>().join(" ")
}

/// Tasks were started; ten to an event.
pub(super) fn started(world: &mut World, key: &ServiceKey, tasks: &[String]) {
    for tasks in tasks.chunks(10) {
        tell(world, key, &format!("has started {} tasks: {}.", tasks.len(), ids(tasks)));
    }
}

/// Tasks were asked to stop: those that ran, and how many had not yet got so far.
pub(super) fn stopped(world: &mut World, key: &ServiceKey, running: &[String], pending: usize, drains: bool) {
    if pending > 0 {
        tell(world, key, &format!("stopped {pending} pending tasks."));
    }
    for tasks in running.chunks(10) {
        if drains {
            tell(world, key, &format!("has begun draining connections on {} tasks.", tasks.len()));
        }
        tell(world, key, &format!("has stopped {} running tasks: {}.", tasks.len(), ids(tasks)));
    }
}

/// Minimum and maximum percent leave no way on.
pub(super) const STUCK: &str = "was unable to stop or start tasks during a deployment because of the service \
    deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again.";

/// Tasks fail to start, again and again.
pub(super) const INCONSISTENT: &str = "is unable to consistently start tasks successfully. For more information, see \
    the Troubleshooting section of the Amazon ECS Developer Guide.";

/// No capacity.
pub(super) const CROWDED: &str = "was unable to place a task. Reason: Capacity is unavailable at this time. Please try \
    again later or in a different availability zone. For more information, see the Troubleshooting section of the Amazon \
    ECS Developer Guide.";

/// All is as desired.
pub(super) const STEADY: &str = "has reached a steady state.";
