//! From the SDK's ECS types to plain values. The SDK's types end here.

use std::collections::BTreeMap;

use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types;
use serde_json::Value;

use crate::deploy::batch::Percents;
use crate::deploy::revision::Revision;
use crate::deploy::task_definition::TaskDefinition;
use crate::deploy::view::{Container, Deployment, Rollout, Service, ServiceRevision, Task};
use coalmine_door::clock::Time;

/// How many of a service's events are looked at.
const EVENTS: usize = 10;

pub(crate) fn date(date: &DateTime) -> Option<Time> {
    Time::from_timestamp(date.secs(), date.subsec_nanos())
}

pub(crate) fn sdk_date(date: Time) -> DateTime {
    DateTime::from_secs_and_nanos(date.timestamp(), date.timestamp_subsec_nanos())
}

fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or_default().to_owned()
}

fn last_part(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or(arn).to_owned()
}

pub(crate) fn service(cluster: &str, service: &types::Service, raw: Option<&Value>) -> Result<Service, String> {
    let name = text(service.service_name());
    let controller = service.deployment_controller().map_or("ECS", |controller| controller.r#type().as_str());
    let revision = match service.task_definition() {
        // Only its task sets have one. It is refused in words where somebody means it, and must not hide the services that
        // are described beside it.
        None if controller != "ECS" => Revision { family: "no-task-definition".to_owned(), number: 0 },
        arn => parse(arn, &name)?,
    };
    let configuration = service.deployment_configuration();
    let strategy = configuration.and_then(|configuration| configuration.strategy()).map_or("ROLLING", |s| s.as_str());
    Ok(Service {
        cluster: cluster.to_owned(),
        arn: text(service.service_arn()),
        status: text(service.status()),
        controller: controller.to_owned(),
        strategy: strategy.to_owned(),
        scheduling: service.scheduling_strategy().map_or("REPLICA", |strategy| strategy.as_str()).to_owned(),
        desired: count(service.desired_count()),
        running: count(service.running_count()),
        pending: count(service.pending_count()),
        revision,
        rollouts: service.deployments().iter().map(|each| rollout(each, &name)).collect::<Result<_, _>>()?,
        current_deployment: service.current_service_deployment().map(str::to_owned),
        percents: Percents {
            minimum: configuration.and_then(|c| c.minimum_healthy_percent()).map_or(100, count),
            maximum: configuration.and_then(|c| c.maximum_percent()).map_or(200, count),
        },
        configuration: raw.and_then(|raw| raw.get("deploymentConfiguration")).cloned().unwrap_or(Value::Null),
        rebalancing: service.availability_zone_rebalancing() == Some(&types::AvailabilityZoneRebalancing::Enabled),
        target_groups: service
            .load_balancers()
            .iter()
            .filter_map(|balancer| balancer.target_group_arn().map(str::to_owned))
            .collect(),
        events: service.events().iter().take(EVENTS).map(|event| text(event.message())).collect(),
        constraints: service
            .placement_constraints()
            .iter()
            .filter_map(|constraint| Some(constraint.expression().or(Some(constraint.r#type()?.as_str()))?.to_owned()))
            .collect(),
        name,
    })
}

pub(crate) fn tags(service: &types::Service) -> BTreeMap<String, String> {
    let tag = |tag: &types::Tag| Some((tag.key()?.to_owned(), text(tag.value())));
    service.tags().iter().filter_map(tag).collect()
}

fn parse(arn: Option<&str>, service: &str) -> Result<Revision, String> {
    arn.unwrap_or_default().parse().map_err(|problem| format!("service {service}: {problem}"))
}

fn rollout(deployment: &types::Deployment, service: &str) -> Result<Rollout, String> {
    Ok(Rollout {
        id: text(deployment.id()),
        status: text(deployment.status()),
        state: deployment.rollout_state().map(|state| state.as_str()).unwrap_or_default().to_owned(),
        reason: text(deployment.rollout_state_reason()),
        revision: parse(deployment.task_definition(), service)?,
        created: deployment.created_at().and_then(date),
        desired: count(deployment.desired_count()),
        running: count(deployment.running_count()),
        pending: count(deployment.pending_count()),
        failed: count(deployment.failed_tasks()),
    })
}

pub(crate) fn deployment(deployment: &types::ServiceDeployment, breaker_triggered: bool) -> Deployment {
    Deployment {
        arn: text(deployment.service_deployment_arn()),
        status: deployment.status().map(|status| status.as_str()).unwrap_or_default().into(),
        reason: text(deployment.status_reason()),
        target: text(deployment.target_service_revision().and_then(|revision| revision.arn())),
        rollback_reason: deployment.rollback().and_then(|rollback| rollback.reason()).map(str::to_owned),
        breaker_triggered,
        alarms_triggered: deployment.alarms().map(|alarms| alarms.triggered_alarm_names().to_vec()).unwrap_or_default(),
        created: deployment.created_at().and_then(date),
        finished: deployment.finished_at().and_then(date),
    }
}

pub(crate) fn service_revision(revision: &types::ServiceRevision) -> Option<ServiceRevision> {
    Some(ServiceRevision {
        arn: revision.service_revision_arn()?.to_owned(),
        revision: revision.task_definition()?.parse().ok()?,
        digests: revision
            .container_images()
            .iter()
            .filter_map(|image| Some((image.container_name()?.to_owned(), image.image_digest()?.to_owned())))
            .collect(),
    })
}

pub(crate) fn task(task: &types::Task) -> Option<Task> {
    Some(Task {
        id: last_part(task.task_arn()?),
        started_by: text(task.started_by()),
        created: task.created_at().and_then(date),
        revision: task.task_definition_arn()?.parse().ok()?,
        last_status: text(task.last_status()),
        health: task.health_status().map(|health| health.as_str()).unwrap_or_default().to_owned(),
        stop_code: task.stop_code().map(|code| code.as_str()).unwrap_or_default().to_owned(),
        stopped_reason: text(task.stopped_reason()),
        containers: task.containers().iter().map(container).collect(),
    })
}

fn container(container: &types::Container) -> Container {
    Container {
        name: text(container.name()),
        digest: container.image_digest().map(str::to_owned),
        exit_code: container.exit_code(),
        reason: text(container.reason()),
    }
}

pub(crate) fn task_definition(mut reply: Value) -> Option<TaskDefinition> {
    let tags = reply.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
    let body = reply.get_mut("taskDefinition")?.take();
    Some(TaskDefinition {
        revision: body.get("taskDefinitionArn")?.as_str()?.parse().ok()?,
        body,
        tags: tags
            .iter()
            .filter_map(|tag| {
                Some((tag.get("key")?.as_str()?.to_owned(), tag.get("value").and_then(Value::as_str)?.to_owned()))
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_whose_task_sets_have_the_task_definitions_is_seen_with_its_controller() {
        let of = |kind| types::DeploymentController::builder().r#type(kind).build().unwrap();
        let built = |kind| types::Service::builder().service_name("app").deployment_controller(of(kind)).build();
        let seen = service("main", &built(types::DeploymentControllerType::External), None).unwrap();
        assert_eq!((seen.controller.as_str(), seen.revision.number), ("EXTERNAL", 0));
        assert!(service("main", &built(types::DeploymentControllerType::Ecs), None).is_err());
    }
}
