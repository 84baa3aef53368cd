//! `CreateService`, `DeleteService`, `ListServices`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use aws_sdk_ecs::operation::create_service::{CreateServiceInput, CreateServiceOutput};
use aws_sdk_ecs::operation::delete_service::{DeleteServiceInput, DeleteServiceOutput};
use aws_sdk_ecs::operation::list_services::{ListServicesInput, ListServicesOutput};
use aws_sdk_ecs::types::{self, AvailabilityZoneRebalancing as Rebalancing, DeploymentControllerType as Controller};

use super::Shortfall;
use super::model::{Definition, Service, ServiceKey, ServiceStatus};
use super::rules::{self, invalid_parameter, not_simulated};
use super::{configuration, deployments, paging, scheduler};
use crate::{Answer, Call, World};

pub(super) fn create(world: &mut World, _call: &Call, input: CreateServiceInput) -> Answer<CreateServiceOutput> {
    let key = add(world, input)?;
    Ok(CreateServiceOutput::builder().set_service(world.ecs.service_shape(&key, true)).build())
}

/// Makes a service whose first deployment begins.
pub(super) fn add(world: &mut World, input: CreateServiceInput) -> Answer<ServiceKey> {
    let cluster = world.ecs.cluster_name(input.cluster())?;
    let name = input.service_name().unwrap_or_default();
    if !rules::is_name(name) {
        return Err(invalid_parameter("Service name should match the pattern [a-zA-Z0-9-_]{1,255}."));
    }
    let key = ServiceKey::new(&cluster, name);
    if let Some(service) = world.ecs.services.get(&key) {
        match service.status {
            ServiceStatus::Inactive => {}
            ServiceStatus::Draining => {
                return Err(invalid_parameter("Unable to Start a service that is still Draining."));
            }
            ServiceStatus::Active if input.client_token.is_some() && service.client_token == input.client_token => {
                return Ok(key);
            }
            ServiceStatus::Active => return Err(invalid_parameter("Creation of service was not idempotent.")),
        }
    }
    let service = build(world, &key, input)?;
    world.ecs.services.insert(key.clone(), service);
    deployments::begin(world, &key);
    Ok(key)
}

fn build(world: &World, key: &ServiceKey, input: CreateServiceInput) -> Answer<Service> {
    let tags = input.tags.clone().unwrap_or_default();
    rules::tags(&tags)?;
    if input.scheduling_strategy == Some(types::SchedulingStrategy::Daemon) {
        return Err(not_simulated("DAEMON scheduling strategy"));
    }
    let desired =
        input.desired_count.ok_or_else(|| invalid_parameter("desiredCount is required for REPLICA services."))?;
    if desired < 0 {
        return Err(invalid_parameter("Desired count cannot be negative."));
    }
    let controller =
        input.deployment_controller.as_ref().map_or(Controller::Ecs, |controller| controller.r#type.clone());
    let definition = world.ecs.active_definition(
        input.task_definition().ok_or_else(|| invalid_parameter("TaskDefinition can not be null or empty."))?,
    )?;
    check_placement(&input, definition)?;
    let deployment_configuration = configuration::complete(input.deployment_configuration.clone(), None, &controller)?;
    let rebalancing = match input.availability_zone_rebalancing.clone() {
        Some(asked) => asked,
        // Assumed: AWS's default for new services, ENABLED, steps back where the service could not have it.
        None if deployment_configuration.maximum_percent.unwrap_or(200) <= 100 => Rebalancing::Disabled,
        None => Rebalancing::Enabled,
    };
    configuration::check_rebalancing(&rebalancing, &deployment_configuration)?;
    let arn = world.arn("ecs", &format!("service/{}/{}", key.cluster, key.service));
    let mut shortfall = Shortfall::default();
    shortfall.desire(0, desired);
    Ok(Service {
        key: key.clone(),
        echo: echo(world, &arn, key, definition, &input),
        arn,
        status: ServiceStatus::Active,
        desired,
        configuration: deployment_configuration,
        controller,
        rebalancing,
        deployments: Vec::new(),
        history: Vec::new(),
        revisions: BTreeMap::new(),
        events: VecDeque::new(),
        live: BTreeSet::new(),
        look_at: None,
        steady: false,
        stuck_told: false,
        failed_starts: 0,
        starts_again_at: None,
        crowded_until: None,
        shortfall,
        tags,
        client_token: input.client_token,
    })
}

fn check_placement(input: &CreateServiceInput, definition: &Definition) -> Answer<()> {
    let network = input.network_configuration.as_ref();
    rules::placement(definition, input.launch_type.as_ref(), input.capacity_provider_strategy(), network)?;
    let balancers = input.load_balancers.clone().unwrap_or_default();
    if input.health_check_grace_period_seconds.is_some() && balancers.is_empty() {
        return Err(invalid_parameter(
            "Health check grace period is only valid for services configured to use load balancers",
        ));
    }
    check_balancers(&balancers, definition)
}

/// The containers and ports of load balancers exist.
pub(super) fn check_balancers(balancers: &[types::LoadBalancer], definition: &Definition) -> Answer<()> {
    for balancer in balancers {
        let (name, port) = (balancer.container_name().unwrap_or_default(), balancer.container_port.unwrap_or_default());
        let containers = definition.known.container_definitions();
        let Some(container) = containers.iter().find(|container| container.name() == Some(name)) else {
            return Err(invalid_parameter(format!("The container {name} does not exist in the task definition.")));
        };
        if !container.port_mappings().iter().any(|mapping| mapping.container_port == Some(port)) {
            return Err(invalid_parameter(format!(
                "The container {name} did not have a container port {port} defined."
            )));
        }
    }
    Ok(())
}

fn echo(
    world: &World,
    arn: &str,
    key: &ServiceKey,
    definition: &Definition,
    input: &CreateServiceInput,
) -> types::Service {
    let strategy = input.capacity_provider_strategy.clone().filter(|strategy| !strategy.is_empty());
    let launch_type = match (&input.launch_type, &strategy) {
        (Some(launch_type), _) => Some(launch_type.clone()),
        (None, Some(_)) => None,
        (None, None) => Some(types::LaunchType::Ec2),
    };
    let fargate = launch_type == Some(types::LaunchType::Fargate) || strategy.is_some();
    let role = "role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS";
    types::Service::builder()
        .service_arn(arn)
        .service_name(&key.service)
        .cluster_arn(world.arn("ecs", &format!("cluster/{}", key.cluster)))
        .task_definition(&definition.arn)
        .set_load_balancers(Some(input.load_balancers.clone().unwrap_or_default()))
        .set_service_registries(Some(input.service_registries.clone().unwrap_or_default()))
        .set_launch_type(launch_type)
        .set_capacity_provider_strategy(strategy)
        .set_platform_version(fargate.then(|| input.platform_version.clone().unwrap_or_else(|| "LATEST".into())))
        .set_platform_family(fargate.then(|| "Linux".into()))
        .role_arn(format!("arn:aws:iam::{}:{role}", world.account))
        .created_at(rules::date(world.now))
        .set_placement_constraints(Some(input.placement_constraints.clone().unwrap_or_default()))
        .set_placement_strategy(Some(input.placement_strategy.clone().unwrap_or_default()))
        .set_network_configuration(input.network_configuration.clone())
        .set_health_check_grace_period_seconds(
            input.health_check_grace_period_seconds.or_else(|| input.load_balancers.as_ref().map(|_| 0)),
        )
        .scheduling_strategy(types::SchedulingStrategy::Replica)
        .set_deployment_controller(
            input
                .deployment_controller
                .clone()
                .or_else(|| types::DeploymentController::builder().r#type(Controller::Ecs).build().ok()),
        )
        .created_by(format!("arn:aws:iam::{}:user/operator", world.account))
        .enable_ecs_managed_tags(input.enable_ecs_managed_tags.unwrap_or_default())
        .propagate_tags(input.propagate_tags.clone().unwrap_or(types::PropagateTags::None))
        .enable_execute_command(input.enable_execute_command.unwrap_or_default())
        .resource_management_type(types::ResourceManagementType::Customer)
        .build()
}

pub(super) fn delete(world: &mut World, _call: &Call, input: DeleteServiceInput) -> Answer<DeleteServiceOutput> {
    let key = world.ecs.active_service(input.cluster(), input.service())?;
    if let Some(service) = world.ecs.services.get_mut(&key) {
        if service.desired > 0 && input.force != Some(true) {
            return Err(invalid_parameter("The service cannot be stopped while it is scaled above 0."));
        }
        service.shortfall.desire(service.desired, 0);
        service.desired = 0;
        service.status = ServiceStatus::Draining;
    }
    scheduler::request(world, &key);
    Ok(DeleteServiceOutput::builder().set_service(world.ecs.service_shape(&key, true)).build())
}

pub(super) fn list(world: &mut World, _call: &Call, input: ListServicesInput) -> Answer<ListServicesOutput> {
    let cluster = world.ecs.cluster_name(input.cluster())?;
    let hides = world.ecs.lists_hide_express;
    let shown = |service: &&Service| {
        service.key.cluster == cluster
            && service.status != ServiceStatus::Inactive
            && input.launch_type.as_ref().is_none_or(|asked| service.echo.launch_type.as_ref() == Some(asked))
            && input.scheduling_strategy.as_ref().is_none_or(|asked| *asked == types::SchedulingStrategy::Replica)
            && match &input.resource_management_type {
                Some(asked) => service.echo.resource_management_type.as_ref() == Some(asked),
                None => !hides || service.echo.resource_management_type != Some(types::ResourceManagementType::Ecs),
            }
    };
    let arns = world.ecs.services.values().filter(shown);
    let arns = arns.map(|service| (service.arn.clone(), service.arn.clone())).collect();
    let (arns, next) = paging::page(arns, input.next_token.as_deref(), input.max_results, 10, 100)?;
    Ok(ListServicesOutput::builder().set_service_arns(Some(arns)).set_next_token(next).build())
}
