//! DescribeServices.

use aws_sdk_ecs::operation::describe_services::{DescribeServicesInput, DescribeServicesOutput};
use aws_sdk_ecs::types::{self, Deployment as Shape, DeploymentControllerType as Controller};

use super::State;
use super::lookup::short;
use super::model::{Deployment, Service, ServiceKey, ServiceStatus, TaskStatus};
use super::rules::{self, date};
use crate::{Answer, Call, World};

/// AWS's limit of one call.
const SERVICES_MAX: usize = 10;

pub(super) fn services(
    world: &mut World,
    _call: &Call,
    input: DescribeServicesInput,
) -> Answer<DescribeServicesOutput> {
    let cluster = world.ecs.cluster_name(input.cluster())?;
    rules::count("Services", input.services().len(), SERVICES_MAX)?;
    let with_tags = input.include().contains(&types::ServiceField::Tags);
    let (mut services, mut failures) = (Vec::new(), Vec::new());
    for given in input.services() {
        let key = world.ecs.service_key(&cluster, given);
        match world.ecs.service_shape(&key, with_tags) {
            Some(service) => services.push(service),
            None => {
                let arn = world.arn("ecs", &format!("service/{cluster}/{}", short(given)));
                failures.push(types::Failure::builder().arn(arn).reason("MISSING").build());
            }
        }
    }
    Ok(DescribeServicesOutput::builder().set_services(Some(services)).set_failures(Some(failures)).build())
}

impl State {
    /// A service as AWS shows it.
    pub(super) fn service_shape(&self, key: &ServiceKey, with_tags: bool) -> Option<types::Service> {
        let service = self.services.get(key)?;
        let mut shape = service.echo.clone();
        let (mut running, mut pending) = (0, 0);
        for task in self.live_tasks(service) {
            running += i32::from(task.status == TaskStatus::Running);
            pending += i32::from(task.status < TaskStatus::Running);
        }
        shape.status = Some(service.status.name().into());
        shape.desired_count = service.desired;
        shape.running_count = running;
        shape.pending_count = pending;
        shape.deployment_configuration = Some(service.configuration.clone());
        shape.availability_zone_rebalancing = Some(service.rebalancing.clone());
        shape.deployments = Some(self.deployment_shapes(service));
        if shape.task_sets.is_some() {
            // Task sets stand in for deployments.
            shape.deployments = Some(Vec::new());
        }
        shape.events = Some(service.events.iter().cloned().collect());
        shape.tags = with_tags.then(|| service.tags.clone());
        if service.controller == Controller::Ecs && service.status != ServiceStatus::Inactive {
            shape.current_service_deployment = service.history.last().map(|current| current.arn.clone());
            shape.current_service_revisions = Some(self.current_revisions(service));
        }
        Some(shape)
    }

    fn deployment_shapes(&self, service: &Service) -> Vec<Shape> {
        let shapes = service.deployments.iter().enumerate();
        shapes.map(|(place, deployment)| self.deployment_shape(service, deployment, place == 0)).collect()
    }

    fn deployment_shape(&self, service: &Service, deployment: &Deployment, is_primary: bool) -> Shape {
        let counts = self.counts(service, &deployment.number);
        let revision = service.revisions.get(&deployment.number);
        let echo = revision.map(|revision| &revision.echo);
        let shape = Shape::builder()
            .id(format!("ecs-svc/{}", deployment.number))
            .status(if is_primary { "PRIMARY" } else { "ACTIVE" })
            .set_task_definition(revision.map(|revision| revision.task_definition.clone()))
            .desired_count(counts.requested)
            .running_count(counts.running)
            .pending_count(counts.pending)
            .failed_tasks(deployment.failed_tasks)
            .created_at(date(deployment.created_at))
            .updated_at(date(deployment.updated_at))
            .set_capacity_provider_strategy(echo.and_then(|echo| echo.capacity_provider_strategy.clone()))
            .set_launch_type(echo.and_then(|echo| echo.launch_type.clone()))
            .set_platform_version(echo.and_then(|echo| echo.platform_version.clone()))
            .set_platform_family(echo.and_then(|echo| echo.platform_family.clone()))
            .set_network_configuration(echo.and_then(|echo| echo.network_configuration.clone()));
        // Only for the ECS controller.
        if service.controller == Controller::Ecs {
            shape.rollout_state(deployment.rollout.clone()).rollout_state_reason(&deployment.reason).build()
        } else {
            shape.build()
        }
    }

    fn current_revisions(&self, service: &Service) -> Vec<types::ServiceCurrentRevisionSummary> {
        let deployments = service.deployments.iter();
        deployments
            .filter_map(|deployment| {
                let counts = self.counts(service, &deployment.number);
                let revision = service.revisions.get(&deployment.number)?;
                let summary = types::ServiceCurrentRevisionSummary::builder()
                    .arn(&revision.arn)
                    .requested_task_count(counts.requested)
                    .running_task_count(counts.running)
                    .pending_task_count(counts.pending);
                Some(summary.build())
            })
            .collect()
    }
}
