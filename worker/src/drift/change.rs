//! What a plan would change of services and task definitions that exist.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::drift::compare::{self, Difference};
use crate::drift::judge::{self, Kind};
use crate::drift::terraform::{list, text_of};

/// What the worker and autoscaling write into services: Terraform is to ignore it.
const WRITTEN: [&str; 4] =
    ["task_definition", "desired_count", "deployment_minimum_healthy_percent", "deployment_maximum_percent"];

/// What AWS says of a thing that is made anew; nobody described it.
const GIVEN: [&str; 4] = ["arn", "arn_without_revision", "id", "revision"];

/// Something that a plan would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The resource's address.
    pub address: String,
    /// `["update"]`, `["delete", "create"]`, …
    pub actions: Vec<String>,
    /// What kind of change it is.
    pub kind: ChangeKind,
    /// Where it changes something.
    pub differences: Vec<Difference>,
}

/// What a plan's change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Images alone: the plan would take a release back.
    Images,
    /// What the worker and autoscaling write: Terraform is to ignore it.
    Written,
    /// Something else.
    Configuration,
}

/// A change of a plan, where it is one of a service or a task definition that exists.
#[must_use]
pub fn read(resource: &Value) -> Option<Change> {
    let change = resource.get("change")?;
    let actions: Vec<String> = list(change, "actions").filter_map(Value::as_str).map(str::to_owned).collect();
    let changes = actions.iter().any(|action| ["create", "update", "delete"].contains(&action.as_str()));
    if !changes || !["aws_ecs_service", "aws_ecs_task_definition"].contains(&text_of(resource, "type")) {
        return None;
    }
    let values = |side: &str| change.get(side).and_then(Value::as_object).cloned().unwrap_or_default();
    let (before, mut after) = (values("before"), values("after"));
    // What is not known before the apply is different, unless AWS gives it.
    let unknown = values("after_unknown").into_iter().filter(|(_, unknown)| *unknown == Value::Bool(true));
    after.extend(unknown.map(|(name, _)| (name, Value::from("(known after apply)"))));
    let stripped = |mut values: Map<String, Value>| {
        values.retain(|name, _| !GIVEN.contains(&name.as_str()));
        compare::with_documents(&values)
    };
    let mut differences = compare::values(&stripped(before), &stripped(after));
    let hidden = hidden(change);
    for difference in &mut differences {
        if difference.path.first().is_some_and(|first| hidden.contains(first)) {
            let hide = |value: &Option<String>| value.as_ref().map(|_| "(sensitive)".to_owned());
            (difference.is, difference.described) = (hide(&difference.is), hide(&difference.described));
        }
    }
    let kind = change_kind(&differences);
    Some(Change { address: text_of(resource, "address").to_owned(), actions, kind, differences })
}

/// The attributes that Terraform calls sensitive, wholly or in part.
fn hidden(change: &Value) -> BTreeSet<String> {
    let sides = ["before_sensitive", "after_sensitive"].into_iter();
    let sides = sides.filter_map(|side| change.get(side).and_then(Value::as_object));
    let is_so = |value: &Value| !matches!(value, Value::Bool(false) | Value::Null);
    let empty =
        |value: &Value| value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty);
    sides.flatten().filter(|(_, value)| is_so(value) && !empty(value)).map(|(name, _)| name.clone()).collect()
}

fn change_kind(differences: &[Difference]) -> ChangeKind {
    let written =
        |difference: &Difference| difference.path.first().is_some_and(|first| WRITTEN.contains(&first.as_str()));
    match judge::kind_of(differences) {
        Kind::Images => ChangeKind::Images,
        Kind::Configuration if differences.iter().all(written) => ChangeKind::Written,
        _ => ChangeKind::Configuration,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plans_changes_are_told_apart() {
        let containers = |image: &str, user: &str| json!([{"name": "app", "image": image, "user": user}]).to_string();
        let definition = |containers: Value| json!({"arn": "a:1", "cpu": "256", "container_definitions": containers});
        let replaced = |after: String| {
            json!({"address": "d", "type": "aws_ecs_task_definition", "change": {
                "actions": ["delete", "create"], "before": definition(json!(containers("shop:v2", "1"))),
                "after": {"cpu": "256", "container_definitions": after},
                "after_unknown": {"arn": true, "id": true},
            }})
        };
        let service = |before: Value, after: Value, unknown: Value| {
            json!({"address": "s", "type": "aws_ecs_service", "change": {
                "actions": ["update"], "before": before, "after": after, "after_unknown": unknown}})
        };
        for (change, kind) in [
            (replaced(containers("shop:v3", "1")), ChangeKind::Images),
            (replaced(containers("shop:v3", "2")), ChangeKind::Configuration),
            (replaced(containers("shop:v2", "2")), ChangeKind::Configuration),
            (service(json!({"desired_count": 4}), json!({"desired_count": 2}), json!({})), ChangeKind::Written),
            (
                service(json!({"task_definition": "a:1"}), json!({}), json!({"task_definition": true})),
                ChangeKind::Written,
            ),
            (
                service(json!({"desired_count": 4, "propagate_tags": "NONE"}), json!({"desired_count": 2}), json!({})),
                ChangeKind::Configuration,
            ),
        ] {
            assert_eq!(read(&change).unwrap().kind, kind, "{change}");
        }
        for change in [
            json!({"address": "s", "type": "aws_ecs_service", "change": {"actions": ["no-op"], "before": {}, "after": {}}}),
            json!({"address": "s", "type": "aws_lb", "change": {"actions": ["update"], "before": {"a": 1}, "after": {"a": 2}}}),
        ] {
            assert_eq!(read(&change), None, "{change}");
        }
    }

    #[test]
    fn what_terraform_calls_sensitive_is_not_shown() {
        let change = json!({"address": "d", "type": "aws_ecs_service", "change": {"actions": ["update"],
            "before": {"name": "hunter1", "cpu": "1"}, "after": {"name": "hunter2", "cpu": "2"},
            "before_sensitive": {"name": true}, "after_sensitive": false}});
        let shown = format!("{:?}", read(&change));
        assert!(!shown.contains("hunter") && shown.contains("(sensitive)") && shown.contains("\"1\""), "{shown}");
    }
}
