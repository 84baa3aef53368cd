//! What `RegisterTaskDefinition` refuses, and what it derives.

use aws_sdk_ecs::operation::register_task_definition::RegisterTaskDefinitionInput;
use aws_sdk_ecs::types::{Compatibility, ContainerDefinition, LogDriver, NetworkMode};
use serde_json::Value;

use super::rules::{self, client_error};
use crate::Answer;

/// The quota "task definition size".
const BYTES_MAX: usize = 64 * 1024;
/// The quota "containers per task definition".
const CONTAINERS_MAX: usize = 10;

/// Refuses what AWS refuses.
pub(super) fn check(input: &RegisterTaskDefinitionInput, raw: &Value) -> Answer<()> {
    let family = input.family().unwrap_or_default();
    if family.is_empty() {
        return Err(client_error("Family should not be null or empty."));
    }
    if !rules::is_name(family) {
        return Err(client_error("Family contains invalid characters."));
    }
    if let Some(tags) = &input.tags {
        if tags.is_empty() {
            return Err(client_error("Tags can not be empty."));
        }
        rules::tags(tags)?;
    }
    let containers = input.container_definitions();
    if containers.is_empty() {
        return Err(client_error("Container list cannot be empty."));
    }
    if containers.len() > CONTAINERS_MAX {
        return Err(client_error(format!("A task definition can have at most {CONTAINERS_MAX} containers.")));
    }
    for (place, container) in containers.iter().enumerate() {
        let name = container.name().unwrap_or_default();
        if containers.iter().take(place).any(|other| other.name() == Some(name)) {
            return Err(client_error(format!("Container name '{name}' is not unique.")));
        }
        check_container(input, container)?;
    }
    if !containers.iter().any(|container| container.essential() != Some(false)) {
        return Err(client_error("Task definition does not have any essential containers."));
    }
    if raw.to_string().len() > BYTES_MAX {
        return Err(client_error("Actual length of the task definition exceeds the maximum of 65536 bytes."));
    }
    check_fargate(input)
}

fn check_container(input: &RegisterTaskDefinitionInput, container: &ContainerDefinition) -> Answer<()> {
    let name = container.name().unwrap_or_default();
    if !rules::is_name(name) {
        return Err(client_error("Container.name contains invalid characters."));
    }
    let image = container.image().unwrap_or_default();
    if image.is_empty() {
        return Err(client_error("Container.image should not be null or empty."));
    }
    let (before, digest) = image.split_once('@').map_or((image, None), |(before, digest)| (before, Some(digest)));
    if before.chars().count() > 255 {
        return Err(client_error("Container.image repository should not be longer than 255 characters."));
    }
    let is_digest = |digest: &str| {
        digest.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    if digest.is_some_and(|digest| !is_digest(digest)) || image.contains(char::is_whitespace) {
        return Err(client_error("Container.image contains invalid characters."));
    }
    if needs_memory(input, container) {
        return Err(client_error(format!(
            "Invalid setting for container '{name}'. At least one of 'memory' or 'memoryReservation' must be specified."
        )));
    }
    for dependency in container.depends_on() {
        if !input.container_definitions().iter().any(|other| other.name() == Some(dependency.container_name())) {
            return Err(client_error(format!(
                "Container '{name}' depends on container '{}', which does not exist.",
                dependency.container_name()
            )));
        }
    }
    if is_fargate(input) && container.stop_timeout().is_some_and(|seconds| !(2..=120).contains(&seconds)) {
        return Err(client_error("Fargate requires that stopTimeout be between 2 and 120 seconds."));
    }
    Ok(())
}

fn needs_memory(input: &RegisterTaskDefinitionInput, container: &ContainerDefinition) -> bool {
    input.memory.is_none() && container.memory.is_none() && container.memory_reservation.is_none()
}

fn is_fargate(input: &RegisterTaskDefinitionInput) -> bool {
    input.requires_compatibilities().contains(&Compatibility::Fargate)
}

fn check_fargate(input: &RegisterTaskDefinitionInput) -> Answer<()> {
    if !is_fargate(input) {
        return Ok(());
    }
    if input.network_mode != Some(NetworkMode::Awsvpc) {
        return Err(client_error("Fargate only supports network mode ‘awsvpc’."));
    }
    for (member, value) in [("cpu", &input.cpu), ("memory", &input.memory)] {
        if value.is_none() {
            return Err(client_error(format!("Fargate requires that '{member}' be defined at the task level.")));
        }
    }
    Ok(())
}

/// `compatibilities`: where a task could run.
pub(super) fn compatibilities(input: &RegisterTaskDefinitionInput) -> Vec<&'static str> {
    let fargate = input.network_mode == Some(NetworkMode::Awsvpc) && input.cpu.is_some() && input.memory.is_some();
    if fargate { vec!["EC2", "FARGATE"] } else { vec!["EC2"] }
}

/// `requiresAttributes`: what a container instance would have to offer.
pub(super) fn attributes(input: &RegisterTaskDefinitionInput) -> Vec<&'static str> {
    let containers = input.container_definitions();
    let awslogs = containers
        .iter()
        .any(|container| container.log_configuration().is_some_and(|log| *log.log_driver() == LogDriver::Awslogs));
    let ecr = containers.iter().any(|container| container.image().is_some_and(|image| image.contains(".dkr.ecr")));
    let health = containers.iter().any(|container| container.health_check().is_some());
    let role = input.execution_role_arn.is_some();
    let candidates = [
        (awslogs, "com.amazonaws.ecs.capability.logging-driver.awslogs"),
        (awslogs && role, "ecs.capability.execution-role-awslogs"),
        (ecr, "com.amazonaws.ecs.capability.ecr-auth"),
        (ecr && role, "ecs.capability.execution-role-ecr-pull"),
        (health, "ecs.capability.container-health-check"),
        (input.task_role_arn.is_some(), "com.amazonaws.ecs.capability.task-iam-role"),
        (input.network_mode == Some(NetworkMode::Awsvpc), "ecs.capability.task-eni"),
        (true, "com.amazonaws.ecs.capability.docker-remote-api.1.18"),
    ];
    candidates.into_iter().filter_map(|(needed, name)| needed.then_some(name)).collect()
}
