//! Service deployments and revisions: Describe, List, Stop.

use std::time::SystemTime;

use aws_sdk_ecs::operation::describe_service_deployments::{
    DescribeServiceDeploymentsInput, DescribeServiceDeploymentsOutput,
};
use aws_sdk_ecs::operation::describe_service_revisions::{
    DescribeServiceRevisionsInput, DescribeServiceRevisionsOutput,
};
use aws_sdk_ecs::operation::list_service_deployments::{ListServiceDeploymentsInput, ListServiceDeploymentsOutput};
use aws_sdk_ecs::operation::stop_service_deployment::{StopServiceDeploymentInput, StopServiceDeploymentOutput};
use aws_sdk_ecs::types::{self, ServiceDeploymentStatus as Status, error};

use super::model::{Counts, Service, ServiceDeployment};
use super::rules::{self, date, invalid_parameter};
use super::{State, lookup, paging, rollback};
use crate::{Answer, Call, ErrorReply, World};

/// AWS's limit of one Describe call.
const ARNS_MAX: usize = 20;

pub(super) fn describe_deployments(
    world: &mut World,
    _call: &Call,
    input: DescribeServiceDeploymentsInput,
) -> Answer<DescribeServiceDeploymentsOutput> {
    rules::count("serviceDeploymentArns", input.service_deployment_arns().len(), ARNS_MAX)?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for arn in input.service_deployment_arns() {
        match world.ecs.service_deployment(arn) {
            Some((service, place)) => found.extend(world.ecs.service_deployment_shape(service, place)),
            None => failures.push(types::Failure::builder().arn(arn).reason("MISSING").build()),
        }
    }
    Ok(DescribeServiceDeploymentsOutput::builder()
        .set_service_deployments(Some(found))
        .set_failures(Some(failures))
        .build())
}

impl State {
    fn service_deployment_shape(&self, service: &Service, place: usize) -> Option<types::ServiceDeployment> {
        let deployment = service.history.get(place)?;
        let revision = |number: &String| {
            let frozen = deployment.frozen.as_ref().and_then(|frozen| frozen.get(number).copied());
            summary(service, number, frozen.unwrap_or_else(|| self.counts(service, number)))
        };
        let rollback = deployment.rollback.as_ref().map(|rollback| {
            types::Rollback::builder()
                .reason(&rollback.reason)
                .set_started_at(rollback.started_at.map(date))
                .set_service_revision_arn(service.revisions.get(&rollback.to).map(|revision| revision.arn.clone()))
                .build()
        });
        let breaker = types::ServiceDeploymentCircuitBreaker::builder()
            .set_status(deployment.breaker.clone())
            .failure_count(deployment.failure_count)
            .threshold(deployment.threshold)
            .build();
        let alarms = deployment.alarms.as_ref().map(|alarms| {
            types::ServiceDeploymentAlarms::builder()
                .status(alarms.status.clone())
                .set_alarm_names(Some(alarms.names.clone()))
                .set_triggered_alarm_names(Some(alarms.triggered.clone()))
                .build()
        });
        let shape = types::ServiceDeployment::builder()
            .service_deployment_arn(&deployment.arn)
            .service_arn(&service.arn)
            .set_cluster_arn(service.echo.cluster_arn.clone())
            .created_at(date(deployment.created_at))
            .set_started_at(deployment.started_at.map(date))
            .set_finished_at(deployment.finished_at.map(date))
            .set_stopped_at(deployment.stopped_at.map(date))
            .updated_at(date(deployment.updated_at))
            .set_source_service_revisions(Some(deployment.sources.iter().map(revision).collect()))
            .target_service_revision(revision(&deployment.target))
            .status(deployment.status.clone())
            .set_status_reason(deployment.status_reason.clone())
            .deployment_configuration(deployment.configuration.clone())
            .set_rollback(rollback)
            .deployment_circuit_breaker(breaker)
            .set_alarms(alarms);
        Some(shape.build())
    }
}

fn summary(service: &Service, number: &str, counts: Counts) -> types::ServiceRevisionSummary {
    types::ServiceRevisionSummary::builder()
        .set_arn(service.revisions.get(number).map(|revision| revision.arn.clone()))
        .requested_task_count(counts.requested)
        .running_task_count(counts.running)
        .pending_task_count(counts.pending)
        .build()
}

/// Newest first.
pub(super) fn list_deployments(
    world: &mut World,
    _call: &Call,
    input: ListServiceDeploymentsInput,
) -> Answer<ListServiceDeploymentsOutput> {
    let cluster = world.ecs.cluster_name(input.cluster())?;
    let given = input.service().ok_or_else(|| invalid_parameter("Service cannot be empty."))?;
    let key = world.ecs.service_key(&cluster, given);
    let service = world.ecs.services.get(&key).ok_or_else(lookup::no_service)?;
    let bound = |bound: Option<&aws_smithy_types::DateTime>| bound.and_then(|bound| SystemTime::try_from(*bound).ok());
    let after = bound(input.created_at().and_then(|created| created.after()));
    let before = bound(input.created_at().and_then(|created| created.before()));
    let shown = |deployment: &&ServiceDeployment| {
        (input.status().is_empty() || input.status().contains(&deployment.status))
            && after.is_none_or(|after| deployment.created_at >= after)
            && before.is_none_or(|before| deployment.created_at <= before)
    };
    let deployments = service.history.iter().rev().filter(shown);
    let briefs = deployments.map(|deployment| (deployment.arn.clone(), brief(service, deployment))).collect();
    let (briefs, next) = paging::page(briefs, input.next_token.as_deref(), input.max_results, 20, 100)?;
    Ok(ListServiceDeploymentsOutput::builder().set_service_deployments(Some(briefs)).set_next_token(next).build())
}

fn brief(service: &Service, deployment: &ServiceDeployment) -> types::ServiceDeploymentBrief {
    types::ServiceDeploymentBrief::builder()
        .service_deployment_arn(&deployment.arn)
        .service_arn(&service.arn)
        .set_cluster_arn(service.echo.cluster_arn.clone())
        .set_started_at(deployment.started_at.map(date))
        .created_at(date(deployment.created_at))
        .set_finished_at(deployment.finished_at.map(date))
        .set_target_service_revision_arn(service.revisions.get(&deployment.target).map(|revision| revision.arn.clone()))
        .status(deployment.status.clone())
        .set_status_reason(deployment.status_reason.clone())
        .build()
}

pub(super) fn describe_revisions(
    world: &mut World,
    _call: &Call,
    input: DescribeServiceRevisionsInput,
) -> Answer<DescribeServiceRevisionsOutput> {
    rules::count("serviceRevisionArns", input.service_revision_arns().len(), ARNS_MAX)?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for arn in input.service_revision_arns() {
        match world.ecs.revision_shape(arn) {
            Some(revision) => found.push(revision),
            None => failures.push(types::Failure::builder().arn(arn).reason("MISSING").build()),
        }
    }
    Ok(DescribeServiceRevisionsOutput::builder()
        .set_service_revisions(Some(found))
        .set_failures(Some(failures))
        .build())
}

impl State {
    fn revision_shape(&self, arn: &str) -> Option<types::ServiceRevision> {
        let service = self.service_of_child(arn, "service-revision")?;
        let revision = service.revisions.values().find(|revision| revision.arn == arn)?;
        let definition = self.definition(&revision.task_definition)?;
        let containers = definition.known.container_definitions().iter();
        let images = containers.map(|container| {
            let name = container.name().unwrap_or_default();
            types::ContainerImage::builder()
                .container_name(name)
                .set_image(container.image.clone())
                .set_image_digest(revision.pins.get(name).cloned())
                .build()
        });
        let mut shape = revision.echo.clone();
        shape.container_images = Some(images.collect());
        let balancers = shape.load_balancers().iter().filter_map(|balancer| balancer.target_group_arn.clone());
        let balancers =
            balancers.map(|arn| types::ServiceRevisionLoadBalancer::builder().target_group_arn(arn).build());
        let resolved = types::ResolvedConfiguration::builder().set_load_balancers(Some(balancers.collect())).build();
        shape.resolved_configuration = Some(resolved);
        Some(shape)
    }
}

/// `StopServiceDeployment`. `ROLLBACK` is the only kind that AWS's documents allow, and the default.
pub(super) fn stop(
    world: &mut World,
    _call: &Call,
    input: StopServiceDeploymentInput,
) -> Answer<StopServiceDeploymentOutput> {
    let arn = input.service_deployment_arn.unwrap_or_default();
    if input.stop_type.is_some_and(|kind| kind != types::StopServiceDeploymentStopType::Rollback) {
        return Err(invalid_parameter("The stop type must be ROLLBACK."));
    }
    let (service, place) = world.ecs.service_deployment(&arn).ok_or_else(|| {
        let refusal = error::ServiceDeploymentNotFoundException::builder().message("Service deployment not found.");
        ErrorReply::of(&refusal.build())
    })?;
    let status = service.history.get(place).map(|deployment| deployment.status.clone());
    if !matches!(status, Some(Status::Pending | Status::InProgress)) {
        let status = status.as_ref().map(Status::as_str).unwrap_or_default();
        let message = format!("The service deployment cannot be stopped because it is in the {status} state.");
        let refusal = error::ConflictException::builder().message(message).resource_ids(&arn).build();
        return Err(ErrorReply::of(&refusal));
    }
    let key = service.key.clone();
    rollback::stop_on_request(world, &key);
    Ok(StopServiceDeploymentOutput::builder().service_deployment_arn(arn).build())
}
