//! `RunTask`: tasks of no service.

use aws_sdk_ecs::operation::run_task::{RunTaskInput, RunTaskOutput};
use aws_sdk_ecs::types::{self, error};
use serde_json::Value;

use super::model::Definition;
use super::rules::{self, invalid_parameter, not_simulated};
use super::task_life::{self, Origin};
use super::{Step, TaskStatus};
use crate::{Answer, Call, ErrorReply, World};

/// Tasks that one `RunTask` may start.
const COUNT_MAX: i32 = 10;

/// What a client token was first used for.
#[derive(Clone, Debug)]
pub(super) struct Started {
    request: Value,
    tasks: Vec<u64>,
}

pub(super) fn run(world: &mut World, call: &Call, input: RunTaskInput) -> Answer<RunTaskOutput> {
    let cluster = world.ecs.cluster_name(input.cluster())?;
    let count = input.count.unwrap_or(1);
    if !(1..=COUNT_MAX).contains(&count) {
        return Err(invalid_parameter(format!("Count must be between 1 and {COUNT_MAX}.")));
    }
    let definition = world.ecs.active_definition(input.task_definition().unwrap_or_default())?.clone();
    check(&input, &definition)?;
    let token = input.client_token.clone().unwrap_or_default();
    let mut request = call.raw.clone();
    request.as_object_mut().map(|members| members.shift_remove("clientToken"));
    if let Some(started) = world.ecs.run_tokens.get(&(cluster.clone(), token.clone())) {
        return again(world, started, &request);
    }
    let tasks: Vec<u64> = (0..count).map(|_| start(world, &cluster, &definition, &input)).collect();
    if !token.is_empty() {
        world.ecs.run_tokens.insert((cluster, token), Started { request, tasks: tasks.clone() });
    }
    Ok(output(world, &tasks))
}

fn check(input: &RunTaskInput, definition: &Definition) -> Answer<()> {
    let network = input.network_configuration.as_ref();
    rules::placement(definition, input.launch_type.as_ref(), input.capacity_provider_strategy(), network)?;
    if input.started_by.as_ref().is_some_and(|by| by.len() > 128) {
        return Err(invalid_parameter("startedBy can have at most 128 characters."));
    }
    if input.volume_configurations.is_some() {
        return Err(not_simulated("volume of a task"));
    }
    rules::tags(input.tags())
}

/// The same token once more: the same tasks, if the rest of the request is the same.
fn again(world: &World, started: &Started, request: &Value) -> Answer<RunTaskOutput> {
    if started.request == *request {
        return Ok(output(world, &started.tasks));
    }
    let arns = started.tasks.iter().filter_map(|number| world.ecs.tasks.get(number)?.shape(world, false).task_arn);
    let message = "The client token was used with other parameters before.";
    let refusal = error::ConflictException::builder().message(message).set_resource_ids(Some(arns.collect()));
    Err(ErrorReply::of(&refusal.build()))
}

fn start(world: &mut World, cluster: &str, definition: &Definition, input: &RunTaskInput) -> u64 {
    let subnets = input.network_configuration.as_ref().and_then(|network| network.awsvpc_configuration.as_ref());
    let subnet = subnets.and_then(|network| network.subnets.first().cloned()).unwrap_or_default();
    let strategy = input.capacity_provider_strategy.as_ref().and_then(|strategy| strategy.first());
    let family = definition.known.family.clone().unwrap_or_default();
    let mut echo = task_life::definition_echo(definition);
    echo.launch_type = input.launch_type.clone().or_else(|| strategy.is_none().then_some(types::LaunchType::Ec2));
    echo.capacity_provider_name = strategy.map(|item| item.capacity_provider.clone());
    echo.group = Some(input.group.clone().unwrap_or_else(|| format!("family:{family}")));
    echo.started_by = input.started_by.clone();
    echo.enable_execute_command = input.enable_execute_command.unwrap_or_default();
    if input.overrides.is_some() {
        echo.overrides = input.overrides.clone();
    }
    let mut tags = input.tags.clone().unwrap_or_default();
    if input.propagate_tags == Some(types::PropagateTags::TaskDefinition) {
        tags.extend(definition.tags.iter().cloned());
    }
    let origin = Origin {
        cluster: cluster.to_owned(),
        service: None,
        revision: String::new(),
        definition: definition.clone(),
        subnet,
        tags,
        echo,
    };
    let number = task_life::keep(world, origin);
    let range = world.ecs.pace.provisioning.clone();
    task_life::later(world, number, &range, Step::Reach(TaskStatus::Pending));
    number
}

fn output(world: &World, tasks: &[u64]) -> RunTaskOutput {
    let shapes = tasks.iter().filter_map(|number| Some(world.ecs.tasks.get(number)?.shape(world, true)));
    RunTaskOutput::builder().set_tasks(Some(shapes.collect())).set_failures(Some(Vec::new())).build()
}
