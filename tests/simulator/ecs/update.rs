//! `UpdateService`.

use aws_sdk_ecs::operation::update_service::{UpdateServiceInput, UpdateServiceOutput};
use aws_sdk_ecs::types::{DeploymentControllerType as Controller, DeploymentStrategy, NetworkMode};

use super::model::{Service, ServiceKey};
use super::rules::{invalid_parameter, not_simulated};
use super::{configuration, deployments, scheduler, services};
use crate::{Answer, Call, World};

/// What is asked for starts a deployment if it differs from what there is: taskDefinition, networkConfiguration,
/// platformVersion, loadBalancers, serviceRegistries; and forceNewDeployment does so in any case.
///
/// Assumed from how AWS behaves (its text only says "triggers a new service deployment"): the same value again starts
/// none, which is what forceNewDeployment is for.
pub(super) fn update(world: &mut World, _call: &Call, input: UpdateServiceInput) -> Answer<UpdateServiceOutput> {
    let key = world.ecs.active_service(input.cluster(), input.service())?;
    let deploys = check_and_store(world, &key, input)?;
    if deploys {
        deployments::begin(world, &key);
    }
    scheduler::request(world, &key);
    Ok(UpdateServiceOutput::builder().set_service(world.ecs.service_shape(&key, true)).build())
}

/// Everything is checked before anything is stored. Whether a deployment has to start.
fn check_and_store(world: &mut World, key: &ServiceKey, input: UpdateServiceInput) -> Answer<bool> {
    let Some(service) = world.ecs.services.get(key) else { return Err(super::lookup::no_service()) };
    if input.deployment_controller.as_ref().is_some_and(|controller| controller.r#type != service.controller) {
        return Err(not_simulated("change of a service's deployment controller"));
    }
    if input.service_connect_configuration.is_some()
        || input.vpc_lattice_configurations.is_some()
        || input.volume_configurations.is_some()
    {
        return Err(not_simulated("serviceConnectConfiguration, volumeConfigurations or vpcLatticeConfigurations"));
    }
    check_controller(service, &input)?;
    if input.desired_count.is_some_and(|desired| desired < 0) {
        return Err(invalid_parameter("Desired count cannot be negative."));
    }
    let definition = match input.task_definition() {
        Some(given) => world.ecs.active_definition(given)?,
        None => {
            let running = service.echo.task_definition.as_deref().unwrap_or_default();
            world.ecs.definition(running).ok_or_else(|| invalid_parameter("TaskDefinition not found."))?
        }
    };
    let balancers = input.load_balancers.clone().or_else(|| service.echo.load_balancers.clone()).unwrap_or_default();
    services::check_balancers(&balancers, definition)?;
    let network = input.network_configuration.clone().or_else(|| service.echo.network_configuration.clone());
    if definition.known.network_mode == Some(NetworkMode::Awsvpc) && network.is_none() {
        return Err(invalid_parameter(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        ));
    }
    let new = configuration::complete(
        input.deployment_configuration.clone(),
        Some(&service.configuration),
        &service.controller,
    )?;
    let rebalancing = input.availability_zone_rebalancing.clone().unwrap_or_else(|| service.rebalancing.clone());
    configuration::check_rebalancing(&rebalancing, &new)?;
    let mut echo = service.echo.clone();
    echo.task_definition = Some(definition.arn.clone());
    echo.network_configuration = network;
    echo.load_balancers = Some(balancers);
    echo.service_registries = input.service_registries.or(echo.service_registries);
    echo.platform_version = input.platform_version.or(echo.platform_version);
    let deploys = input.force_new_deployment == Some(true)
        || echo.task_definition != service.echo.task_definition
        || echo.network_configuration != service.echo.network_configuration
        || echo.load_balancers != service.echo.load_balancers
        || echo.service_registries != service.echo.service_registries
        || echo.platform_version != service.echo.platform_version;
    if deploys && new.strategy.as_ref().is_some_and(|strategy| *strategy != DeploymentStrategy::Rolling) {
        let strategy = new.strategy.as_ref().map(DeploymentStrategy::as_str).unwrap_or_default();
        return Err(not_simulated(&format!("{strategy} deployments")));
    }
    if deploys && new.lifecycle_hooks.as_ref().is_some_and(|hooks| !hooks.is_empty()) {
        return Err(not_simulated("deployments with lifecycle hooks"));
    }
    // From here on, what does not start a deployment.
    echo.capacity_provider_strategy = input.capacity_provider_strategy.or(echo.capacity_provider_strategy);
    if echo.capacity_provider_strategy.as_ref().is_some_and(|strategy| !strategy.is_empty()) {
        echo.launch_type = None;
    }
    echo.placement_constraints = input.placement_constraints.or(echo.placement_constraints);
    echo.placement_strategy = input.placement_strategy.or(echo.placement_strategy);
    echo.health_check_grace_period_seconds =
        input.health_check_grace_period_seconds.or(echo.health_check_grace_period_seconds);
    echo.enable_execute_command = input.enable_execute_command.unwrap_or(echo.enable_execute_command);
    echo.enable_ecs_managed_tags = input.enable_ecs_managed_tags.unwrap_or(echo.enable_ecs_managed_tags);
    echo.propagate_tags = input.propagate_tags.or(echo.propagate_tags);
    let Some(service) = world.ecs.services.get_mut(key) else { return Err(super::lookup::no_service()) };
    service.echo = echo;
    service.rebalancing = rebalancing;
    set_configuration(service, new);
    if let Some(desired) = input.desired_count {
        set_desired(service, desired);
    }
    Ok(deploys)
}

/// Another desired count; the scheduler follows at its next look.
pub(super) fn set_desired(service: &mut Service, desired: i32) {
    service.shortfall.desire(service.desired, desired);
    service.steady &= service.desired == desired;
    service.desired = desired;
}

/// Another configuration; a running deployment goes on under it.
pub(super) fn set_configuration(service: &mut Service, new: aws_sdk_ecs::types::DeploymentConfiguration) {
    if new != service.configuration {
        service.stuck_told = false;
    }
    service.configuration = new;
    let configuration = service.configuration.clone();
    if let Some(current) = service.current().filter(|current| !current.ended()) {
        current.configuration = configuration;
    }
}

/// `CODE_DEPLOY` and EXTERNAL services take no deployments from `UpdateService`.
fn check_controller(service: &Service, input: &UpdateServiceInput) -> Answer<()> {
    if service.controller == Controller::Ecs {
        return Ok(());
    }
    let refused = [
        (input.task_definition.is_some(), "task definition"),
        (input.force_new_deployment == Some(true), "force new deployment"),
        (input.network_configuration.is_some(), "network configuration"),
        (input.platform_version.is_some(), "platform version"),
        (input.load_balancers.is_some(), "load balancers"),
    ];
    match refused.into_iter().find(|(given, _)| *given) {
        None => Ok(()),
        Some((_, member)) => {
            let name = service.controller.as_str();
            let hint = if service.controller == Controller::CodeDeploy {
                " Use AWS CodeDeploy to trigger a new deployment."
            } else {
                ""
            };
            Err(invalid_parameter(format!(
                "Unable to update {member} on services with a {name} deployment controller.{hint}"
            )))
        }
    }
}
