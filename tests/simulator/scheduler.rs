//! Simulated Amazon EventBridge Scheduler: schedules that run tasks. They are read; nothing is started by them.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::paging::keyed;
use crate::{Answer, Call, ErrorReply, Timestamp, World};

/// All schedules of the account in its region, by group and name.
#[derive(Clone, Debug, Default)]
pub struct State {
    schedules: BTreeMap<(String, String), Schedule>,
}

#[derive(Clone, Debug)]
struct Schedule {
    /// As `GetSchedule` shows it, but for the role.
    target: Value,
    enabled: bool,
    created_at: SystemTime,
}

impl State {
    /// Makes a schedule that runs a task definition in a cluster, both by ARN; one that is there is replaced. The group
    /// that every account has is `default`.
    pub fn add_task(&mut self, group: &str, name: &str, cluster: &str, task_definition: &str, at: SystemTime) {
        let parameters = json!({ "TaskDefinitionArn": task_definition, "TaskCount": 1, "LaunchType": "FARGATE" });
        self.add(group, name, json!({ "Arn": cluster, "EcsParameters": parameters }), at);
    }

    /// Makes a schedule with a universal target, which calls any operation of any service: `ecs:runTask`, with its input.
    pub fn add_call(&mut self, group: &str, name: &str, operation: &str, input: &str, at: SystemTime) {
        let arn = format!("arn:aws:scheduler:::aws-sdk:{operation}");
        self.add(group, name, json!({ "Arn": arn, "Input": input }), at);
    }

    fn add(&mut self, group: &str, name: &str, target: Value, at: SystemTime) {
        let schedule = Schedule { target, enabled: true, created_at: at };
        self.schedules.insert((group.to_owned(), name.to_owned()), schedule);
    }

    /// Switches a schedule on or off.
    pub fn enable(&mut self, group: &str, name: &str, enabled: bool) {
        if let Some(schedule) = self.schedules.get_mut(&(group.to_owned(), name.to_owned())) {
            schedule.enabled = enabled;
        }
    }

    /// Deletes a schedule.
    pub fn delete(&mut self, group: &str, name: &str) {
        self.schedules.remove(&(group.to_owned(), name.to_owned()));
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ListInput {
    group_name: Option<String>,
    name_prefix: Option<String>,
    state: Option<String>,
    next_token: Option<String>,
    max_results: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListOutput {
    schedules: Vec<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Summary {
    arn: String,
    name: String,
    group_name: String,
    state: &'static str,
    creation_date: Timestamp,
    last_modification_date: Timestamp,
    target: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct GroupsInput {
    name_prefix: Option<String>,
    next_token: Option<String>,
    max_results: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct GroupsOutput {
    schedule_groups: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct GetInput {
    name: String,
    group_name: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetOutput {
    #[serde(flatten)]
    summary: Summary,
    schedule_expression: &'static str,
    flexible_time_window: Value,
}

fn list(world: &mut World, _call: &Call, input: ListInput) -> Answer<ListOutput> {
    let prefix = input.name_prefix.unwrap_or_default();
    let shown = world.scheduler.schedules.iter().filter(|((group, name), schedule)| {
        input.group_name.as_ref().is_none_or(|asked| asked == group)
            && name.starts_with(&prefix)
            && input.state.as_ref().is_none_or(|asked| asked == schedule.state())
    });
    let shown = shown.map(|((group, name), schedule)| {
        (format!("{group} {name}"), schedule.summary(world, group, name, json!({ "Arn": schedule.target["Arn"] })))
    });
    let (schedules, next_token) =
        keyed(shown, input.next_token.as_deref(), input.max_results, 100).ok_or_else(bad_page)?;
    Ok(ListOutput { schedules, next_token })
}

fn list_groups(world: &mut World, _call: &Call, input: GroupsInput) -> Answer<GroupsOutput> {
    let prefix = input.name_prefix.unwrap_or_default();
    let names: BTreeSet<&str> =
        world.scheduler.schedules.keys().map(|(group, _)| group.as_str()).chain(["default"]).collect();
    let groups = names.into_iter().filter(|name| name.starts_with(&prefix)).map(|name| {
        let arn = world.arn("scheduler", &format!("schedule-group/{name}"));
        (name.to_owned(), json!({ "Arn": arn, "Name": name, "State": "ACTIVE" }))
    });
    let (schedule_groups, next_token) =
        keyed(groups, input.next_token.as_deref(), input.max_results, 100).ok_or_else(bad_page)?;
    Ok(GroupsOutput { schedule_groups, next_token })
}

fn get(world: &mut World, _call: &Call, input: GetInput) -> Answer<GetOutput> {
    let group = input.group_name.unwrap_or_else(|| "default".to_owned());
    let name = input.name;
    let missing = || {
        let message = format!("Schedule {name} does not exist.");
        ErrorReply::new("ResourceNotFoundException", message).with_status(404)
    };
    let schedule = world.scheduler.schedules.get(&(group.clone(), name.clone())).ok_or_else(missing)?;
    let mut target = schedule.target.clone();
    target["RoleArn"] = format!("arn:aws:iam::{}:role/scheduler", world.account).into();
    Ok(GetOutput {
        summary: schedule.summary(world, &group, &name, target),
        schedule_expression: "rate(1 hour)",
        flexible_time_window: json!({ "Mode": "OFF" }),
    })
}

impl Schedule {
    fn state(&self) -> &'static str {
        if self.enabled { "ENABLED" } else { "DISABLED" }
    }

    fn summary(&self, world: &World, group: &str, name: &str, target: Value) -> Summary {
        Summary {
            arn: world.arn("scheduler", &format!("schedule/{group}/{name}")),
            name: name.to_owned(),
            group_name: group.to_owned(),
            state: self.state(),
            creation_date: Timestamp(self.created_at),
            last_modification_date: Timestamp(self.created_at),
            target,
        }
    }
}

fn bad_page() -> ErrorReply {
    ErrorReply::validation("NextToken is none of ours, or the size of the page is not between 1 and 100")
}

crate::wire::json_operations! { dispatch:
    "ListSchedules" => list,
    "ListScheduleGroups" => list_groups,
    "GetSchedule" => get,
}
