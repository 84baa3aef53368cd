//! `ListTasks`, `DescribeTasks`, `StopTask`.

use aws_sdk_ecs::operation::describe_tasks::{DescribeTasksInput, DescribeTasksOutput};
use aws_sdk_ecs::operation::list_tasks::{ListTasksInput, ListTasksOutput};
use aws_sdk_ecs::operation::stop_task::{StopTaskInput, StopTaskOutput};
use aws_sdk_ecs::types::{self, DesiredStatus, error};

use super::lookup::short;
use super::model::{StopCause, Task};
use super::rules::{self, invalid_parameter};
use super::{lookup, paging, task_end};
use crate::{Answer, Call, ErrorReply, World};

/// AWS's limit of one `DescribeTasks`.
const TASKS_MAX: usize = 100;

/// Filters by the *desired* status, RUNNING by default; PENDING finds nothing, as AWS documents.
pub(super) fn list(world: &mut World, _call: &Call, input: ListTasksInput) -> Answer<ListTasksOutput> {
    let cluster = world.ecs.cluster_name(input.cluster())?;
    let others = input.family.is_some() || input.service_name.is_some() || input.container_instance.is_some();
    if input.started_by.is_some() && others {
        return Err(invalid_parameter("startedBy must be the only filter that is specified."));
    }
    if input.service_name.is_some() && input.family.is_some() {
        return Err(invalid_parameter("Only one of serviceName and family can be specified."));
    }
    if input.daemon_name.is_some() || input.container_instance.is_some() {
        return Err(rules::not_simulated("filter of tasks by daemon or container instance"));
    }
    let service = match input.service_name() {
        None => None,
        Some(given) => {
            let key = world.ecs.service_key(&cluster, given);
            Some(world.ecs.services.get(&key).map(|service| service.key.clone()).ok_or_else(lookup::no_service)?)
        }
    };
    let desired = input.desired_status.clone().unwrap_or(DesiredStatus::Running);
    let family = input.family.as_ref().map(|family| format!(":task-definition/{family}:"));
    let shown = |task: &&Task| {
        task.cluster == cluster
            && match desired {
                DesiredStatus::Running => task.stop.is_none(),
                DesiredStatus::Stopped => task.stop.is_some() && world.ecs.remembers(task, world.now),
                _ => false,
            }
            && service.as_ref().is_none_or(|service| task.service.as_ref() == Some(service))
            && family.as_ref().is_none_or(|family| task.task_definition.contains(family))
            && input.started_by.as_ref().is_none_or(|by| task.echo.started_by.as_ref() == Some(by))
            && input.launch_type.as_ref().is_none_or(|launch| task.echo.launch_type.as_ref() == Some(launch))
    };
    // By id: a stable order for paging that says nothing about age, as at AWS.
    let mut arns: Vec<(String, String)> = world
        .ecs
        .tasks
        .values()
        .filter(shown)
        .map(|task| (task.id.clone(), world.arn("ecs", &format!("task/{cluster}/{}", task.id))))
        .collect();
    arns.sort();
    let (arns, next) = paging::page(arns, input.next_token.as_deref(), input.max_results, 100, 100)?;
    Ok(ListTasksOutput::builder().set_task_arns(Some(arns)).set_next_token(next).build())
}

pub(super) fn describe(world: &mut World, _call: &Call, input: DescribeTasksInput) -> Answer<DescribeTasksOutput> {
    let cluster = world.ecs.cluster_name(input.cluster())?;
    rules::count("Tasks", input.tasks().len(), TASKS_MAX)?;
    let with_tags = input.include().contains(&types::TaskField::Tags);
    let (mut tasks, mut failures) = (Vec::new(), Vec::new());
    for given in input.tasks() {
        match world.ecs.task(&cluster, given).filter(|(_, task)| world.ecs.remembers(task, world.now)) {
            Some((_, task)) => tasks.push(task.shape(world, with_tags)),
            None => {
                let arn = world.arn("ecs", &format!("task/{cluster}/{}", short(given)));
                failures.push(types::Failure::builder().arn(arn).reason("MISSING").build());
            }
        }
    }
    Ok(DescribeTasksOutput::builder().set_tasks(Some(tasks)).set_failures(Some(failures)).build())
}

pub(super) fn stop(world: &mut World, _call: &Call, input: StopTaskInput) -> Answer<StopTaskOutput> {
    let cluster = world.ecs.cluster_name(input.cluster())?;
    let missing = || {
        let refusal = error::InvalidParameterException::builder().message("The referenced task was not found.").build();
        ErrorReply::of(&refusal)
    };
    let (number, _) = world.ecs.task(&cluster, input.task().unwrap_or_default()).ok_or_else(missing)?;
    let reason = input.reason.unwrap_or_else(|| "Task stopped by user".into());
    task_end::stop(world, number, StopCause::User, types::TaskStopCode::UserInitiated, reason);
    let task = world.ecs.tasks.get(&number).map(|task| task.shape(world, true));
    Ok(StopTaskOutput::builder().set_task(task).build())
}
