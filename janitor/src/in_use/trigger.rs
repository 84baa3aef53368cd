//! What the target of a schedule starts, where it says so in words of its own.

use coalmine_pipeline::Home;
use serde_json::Value;

use super::Arn;

/// How the ARNs of universal targets go on behind the partition: each calls one operation of one service's API.
const UNIVERSAL: &str = ":scheduler:::aws-sdk:ecs:";

/// The operations of ECS that start tasks of the task definition that they name, and have to name one.
const STARTS: [&str; 2] = ["runtask", "starttask"];

/// The task definition that an ECS target names in its input, as it stands there: by ARN, `family:revision` or `family`.
/// `None` where the operation needs none and names none, such as `updateService` for a desired count.
///
/// # Errors
/// Why it cannot be told what the target starts.
pub fn named_definition(target: &str, input: Option<&str>) -> Result<Option<String>, String> {
    let input: Value = input.and_then(|input| serde_json::from_str(input).ok()).unwrap_or_default();
    // An input may be written as ECS's API or as its SDK for Java has it: TaskDefinition, taskDefinition.
    let mut members = input.as_object().into_iter().flatten();
    let member = members.find(|(key, _)| key.eq_ignore_ascii_case("TaskDefinition"));
    match member.and_then(|(_, value)| value.as_str()).filter(|name| !name.is_empty()) {
        Some(name) => Ok(Some(name.to_owned())),
        None if member.is_none() && !starts_tasks(target) => Ok(None),
        None => Err(format!(
            "its target {target} starts tasks, and its input names no task definition that is understood: correct the \
             input's TaskDefinition, or delete the schedule"
        )),
    }
}

/// Whether a target is of no use without a task definition. A cluster's ARN is one, too.
fn starts_tasks(target: &str) -> bool {
    let operation = target.split_once(UNIVERSAL).map(|(_, operation)| operation.to_ascii_lowercase());
    operation.is_none_or(|operation| STARTS.contains(&operation.as_str()))
}

/// The ARN of a task definition that a target names: what is no ARN is one of the target's own account and Region.
pub fn definition_arn(name: &str, target: &str, home: &Home) -> Arn {
    if name.starts_with("arn:") {
        return name.into();
    }
    let partition = target.split(':').nth(1).unwrap_or("aws");
    format!("arn:{partition}:ecs:{}:{}:task-definition/{name}", home.region, home.account).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn universal(operation: &str) -> String {
        format!("arn:aws:scheduler:::aws-sdk:ecs:{operation}")
    }

    #[test]
    fn a_task_definition_stands_in_the_input_in_any_case() {
        let arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/report:12";
        for key in ["TaskDefinition", "taskDefinition"] {
            let input = format!(r#"{{"Cluster": "prod", "{key}": "{arn}", "Overrides": {{}}}}"#);
            assert_eq!(named_definition(&universal("runTask"), Some(&input)), Ok(Some(arn.to_owned())), "{key}");
        }
        let moved = named_definition(&universal("updateService"), Some(r#"{"TaskDefinition": "report"}"#));
        assert_eq!(moved, Ok(Some("report".to_owned())));
    }

    #[test]
    fn what_starts_tasks_of_nobody_knows_what_is_told() {
        let cluster = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod".to_owned();
        for target in [universal("runTask"), universal("startTask"), cluster] {
            for input in [None, Some(""), Some("{"), Some("[]"), Some("{}"), Some(r#"{"TaskDefinition": ""}"#)] {
                let why = named_definition(&target, input).unwrap_err();
                assert!(why.contains(&target), "{input:?}: {why}");
            }
        }
        assert!(named_definition(&universal("updateService"), Some(r#"{"TaskDefinition": 5}"#)).is_err());
    }

    #[test]
    fn what_needs_no_task_definition_may_name_none() {
        let scaled = r#"{"Service": "web", "DesiredCount": 0}"#;
        assert_eq!(named_definition(&universal("updateService"), Some(scaled)), Ok(None));
        assert_eq!(named_definition(&universal("listClusters"), None), Ok(None));
    }

    #[test]
    fn a_name_alone_is_of_the_targets_own_account_and_region() {
        let home = Home { account: "123456789012".into(), region: "cn-north-1".into() };
        let arn = |name| definition_arn(name, "arn:aws-cn:scheduler:::aws-sdk:ecs:runTask", &home).to_string();
        assert_eq!(arn("report"), "arn:aws-cn:ecs:cn-north-1:123456789012:task-definition/report");
        assert_eq!(arn("report:12"), "arn:aws-cn:ecs:cn-north-1:123456789012:task-definition/report:12");
        assert_eq!(arn("arn:aws:ecs:a:b:task-definition/c"), "arn:aws:ecs:a:b:task-definition/c");
    }
}
