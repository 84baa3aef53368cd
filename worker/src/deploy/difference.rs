//! What a new task definition changes: only what differs, and never a value that may be a secret.
//!
//! ```text
//!   cpu 256 → 512
//!   container app: image …/app:v1 → …/app:v2
//!   container app: environment LOG_LEVEL changed
//!   container app: secret DB_PASSWORD added
//! ```
//!
//! Values are shown of members that are known to hold none (`SHOWN`), and of numbers and switches outside of lists.
//! Of everything else the name alone is: environments, commands, labels and options of logs have held passwords before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::deploy::task_definition::{ONLY_DESCRIBED, is_kept};

/// Members whose texts are shown: none of them is a place for secrets.
const SHOWN: [&str; 12] = [
    "cpu",
    "memory",
    "image",
    "networkMode",
    "pidMode",
    "ipcMode",
    "cpuArchitecture",
    "operatingSystemFamily",
    "taskRoleArn",
    "executionRoleArn",
    "logDriver",
    "appProtocol",
];

/// Members whose elements are told by name, and what one of them is called.
const NAMED: [(&str, &str); 5] = [
    ("environment", "environment"),
    ("secrets", "secret"),
    ("volumes", "volume"),
    ("environmentFiles", "environment file"),
    ("systemControls", "system control"),
];

/// Something that a new task definition has otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// The container, where it is one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// What: `cpu`, `environment LOG_LEVEL`, `command`.
    pub what: String,
    /// How.
    #[serde(flatten)]
    pub change: Change,
}

/// How something differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Both values may be shown.
    Values {
        /// The old one.
        old: String,
        /// The new one.
        new: String,
    },
    /// It was not there.
    Added,
    /// It is not there any more.
    Removed,
    /// It has another value, which is not shown.
    Changed,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(container) = &self.container {
            write!(f, "container {container}")?;
            f.write_str(if self.what.is_empty() { " " } else { ": " })?;
        }
        f.write_str(&self.what)?;
        if !self.what.is_empty() {
            f.write_str(" ")?;
        }
        match &self.change {
            Change::Values { old, new } => write!(f, "{old} → {new}"),
            Change::Added => f.write_str("added"),
            Change::Removed => f.write_str("removed"),
            Change::Changed => f.write_str("changed"),
        }
    }
}

/// What `new`, a request for `RegisterTaskDefinition`, has otherwise than `old`, a task definition as it was described
/// with its tags. Images are among it; the family and the worker's own tags are not.
#[must_use]
pub fn differences(old: &Value, old_tags: &BTreeMap<String, String>, new: &Value) -> Vec<Difference> {
    let (empty, mut found) = (Map::new(), Vec::new());
    let (old, new) = (old.as_object().unwrap_or(&empty), new.as_object().unwrap_or(&empty));
    let apart =
        |member: &str| ONLY_DESCRIBED.contains(&member) || ["family", "tags", "containerDefinitions"].contains(&member);
    members(None, "", old, new, &apart, &mut found);
    containers(old.get("containerDefinitions"), new.get("containerDefinitions"), &mut found);
    tags(old_tags, new.get("tags"), &mut found);
    found
}

/// The members of an object; `path` leads to it and ends in a dot.
fn members(
    container: Option<&str>,
    path: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    apart: &dyn Fn(&str) -> bool,
    found: &mut Vec<Difference>,
) {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names.into_iter().filter(|name| !apart(name)) {
        let (before, after) = (old.get(name), new.get(name));
        if before == after || is_nothing(before) && is_nothing(after) {
            continue;
        }
        let kind = NAMED.iter().find(|(member, _)| member == name).map(|(_, kind)| *kind);
        if let Some(kind) = kind {
            elements(container, kind, before, after, found);
            continue;
        }
        if let (Some(Value::Object(before)), Some(Value::Object(after))) = (before, after)
            && !may_hide_secrets(name)
        {
            members(container, &format!("{path}{name}."), before, after, &|_| false, found);
            continue;
        }
        let shown = |value: Option<&Value>| value.and_then(|value| shown(path, name, value));
        let change = match (is_nothing(before), is_nothing(after)) {
            (true, _) => Change::Added,
            (_, true) => Change::Removed,
            _ => match (shown(before), shown(after)) {
                (Some(old), Some(new)) => Change::Values { old, new },
                _ => Change::Changed,
            },
        };
        found.push(Difference { container: container.map(str::to_owned), what: format!("{path}{name}"), change });
    }
}

/// What AWS writes for "not set", and leaves out elsewhere.
fn is_nothing(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(members)) => members.is_empty(),
        Some(_) => false,
    }
}

/// Objects whose members' names and values are free text.
fn may_hide_secrets(name: &str) -> bool {
    ["options", "dockerLabels", "driverOpts", "labels", "repositoryCredentials"].contains(&name)
}

fn shown(path: &str, name: &str, value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::String(text) if SHOWN.contains(&name) && (path.is_empty() || path == "runtimePlatform.") => {
            Some(brief(text).to_owned())
        }
        Value::String(text) if name == "logDriver" => Some(text.clone()),
        _ => None,
    }
}

/// Of a role's ARN its name.
fn brief(text: &str) -> &str {
    if text.starts_with("arn:") { text.rsplit('/').next().unwrap_or(text) } else { text }
}

/// Elements that are told by name: name–value pairs, secrets, volumes.
fn elements(
    container: Option<&str>,
    kind: &str,
    old: Option<&Value>,
    new: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    let (old, new) = (by_name(old), by_name(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let change = match (old.get(name), new.get(name)) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            (before, after) if before != after => Change::Changed,
            _ => continue,
        };
        found.push(Difference { container: container.map(str::to_owned), what: format!("{kind} {name}"), change });
    }
}

/// Elements by their name; those without one by their place, because whatever else they have may be a secret.
fn by_name(value: Option<&Value>) -> BTreeMap<String, Vec<&Value>> {
    let mut named: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for (place, element) in value.and_then(Value::as_array).into_iter().flatten().enumerate() {
        let name = ["name", "namespace"].iter().find_map(|key| element.get(key)).and_then(Value::as_str);
        named.entry(name.map_or_else(|| format!("number {}", place + 1), str::to_owned)).or_default().push(element);
    }
    named
}

fn containers(old: Option<&Value>, new: Option<&Value>, found: &mut Vec<Difference>) {
    let (old, new) = (by_name(old), by_name(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let empty = Map::new();
    for name in names {
        let whole = |change| Difference { container: Some(name.clone()), what: String::new(), change };
        match (old.get(name), new.get(name)) {
            (None, _) => found.push(whole(Change::Added)),
            (_, None) => found.push(whole(Change::Removed)),
            (Some(before), Some(after)) => {
                let object = |of: &[&'_ Value]| of.first().and_then(|value| value.as_object()).cloned();
                let (before, after) = (object(before), object(after));
                let (before, after) = (before.as_ref().unwrap_or(&empty), after.as_ref().unwrap_or(&empty));
                members(Some(name), "", before, after, &|_| false, found);
            }
        }
    }
}

/// Tags of others than the worker and AWS, by key.
fn tags(old: &BTreeMap<String, String>, new: Option<&Value>, found: &mut Vec<Difference>) {
    let text = |tag: &Value, member: &str| tag.get(member).and_then(Value::as_str).map(str::to_owned);
    let new: BTreeMap<String, String> = new
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|tag| Some((text(tag, "key")?, text(tag, "value").unwrap_or_default())))
        .collect();
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).filter(|key| is_kept(key)).collect();
    for key in keys {
        let change = match (old.get(key), new.get(key)) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            (before, after) if before != after => Change::Changed,
            _ => continue,
        };
        found.push(Difference { container: None, what: format!("tag {key}"), change });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn told(old: &Value, new: &Value) -> Vec<String> {
        differences(old, &BTreeMap::new(), new).iter().map(ToString::to_string).collect()
    }

    fn app(members: Value) -> Value {
        let mut container = json!({"name": "app", "image": "r/app:v1"});
        for (name, value) in members.as_object().unwrap() {
            container[name] = value.clone();
        }
        json!({"cpu": "256", "containerDefinitions": [container]})
    }

    #[test]
    fn only_what_differs_is_told_and_secrets_by_name() {
        for (old, new, expected) in [
            (json!({}), json!({"image": "r/app:v2"}), vec!["container app: image r/app:v1 → r/app:v2"]),
            (
                json!({"environment": [{"name": "A", "value": "hush"}, {"name": "B", "value": "2"}]}),
                json!({"environment": [{"name": "B", "value": "3"}, {"name": "C", "value": "hush"}]}),
                vec![
                    "container app: environment A removed",
                    "container app: environment B changed",
                    "container app: environment C added",
                ],
            ),
            (
                json!({"secrets": [{"name": "DB", "valueFrom": "arn:old"}]}),
                json!({"secrets": [{"name": "DB", "valueFrom": "arn:new"}]}),
                vec!["container app: secret DB changed"],
            ),
            (
                json!({"command": ["a"]}),
                json!({"command": ["a", "--password=x"]}),
                vec!["container app: command changed"],
            ),
            (json!({"memory": 512}), json!({"memory": 1024}), vec!["container app: memory 512 → 1024"]),
            (json!({"essential": true}), json!({"essential": false}), vec!["container app: essential true → false"]),
            (json!({"volumesFrom": []}), json!({}), vec![]),
            (
                json!({"healthCheck": {"interval": 10, "command": ["CMD", "a"]}}),
                json!({"healthCheck": {"interval": 30, "command": ["CMD", "b"]}}),
                vec!["container app: healthCheck.command changed", "container app: healthCheck.interval 10 → 30"],
            ),
            (
                json!({"logConfiguration": {"logDriver": "awslogs", "options": {"a": "1"}}}),
                json!({"logConfiguration": {"logDriver": "splunk", "options": {"splunk-token": "hush"}}}),
                vec![
                    "container app: logConfiguration.logDriver awslogs → splunk",
                    "container app: logConfiguration.options changed",
                ],
            ),
        ] {
            assert_eq!(told(&app(old), &app(new)), expected);
        }
    }

    #[test]
    fn members_of_the_task_containers_and_tags_are_told_too() {
        let old = json!({
            "taskDefinitionArn": "arn", "revision": 7, "status": "ACTIVE", "family": "app", "cpu": "256",
            "taskRoleArn": "arn:aws:iam::1:role/old", "runtimePlatform": {"cpuArchitecture": "ARM64"},
            "containerDefinitions": [{"name": "app"}, {"name": "proxy"}]
        });
        let new = json!({
            "family": "app-canary", "cpu": "512", "taskRoleArn": "arn:aws:iam::1:role/new",
            "runtimePlatform": {"cpuArchitecture": "X86_64"},
            "containerDefinitions": [{"name": "log"}, {"name": "app"}],
            "tags": [{"key": "team", "value": "b"}, {"key": "coalmine:execution", "value": "e"}]
        });
        let tags = [("team", "a"), ("owner", "x"), ("aws:stack", "s"), ("coalmine:base", "app:1")];
        let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let told: Vec<String> = differences(&old, &tags, &new).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "cpu 256 → 512",
                "runtimePlatform.cpuArchitecture ARM64 → X86_64",
                "taskRoleArn old → new",
                "container log added",
                "container proxy removed",
                "tag owner removed",
                "tag team changed",
            ]
        );
    }

    /// Any JSON, whose texts are all secret.
    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(json!("hush")), Just(json!(["hush"])), Just(json!(1)), Just(json!(null))];
        let member = "(environment|secrets|command|options|logConfiguration|x|healthCheck|dockerLabels|name)";
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                proptest::collection::btree_map(member, inner.clone(), 0..4).prop_map(|members| Value::Object(
                    members.into_iter().filter(|(name, _)| name != "name").collect()
                )),
                inner.prop_map(|value| json!([{"name": "A", "value": value}])),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_text_of_a_place_for_secrets_is_shown_and_equals_have_no_difference(
            old in proptest::collection::btree_map("(environment|secrets|command|entryPoint|logConfiguration|dockerLabels|x)", anything(), 0..5),
            new in proptest::collection::btree_map("(environment|secrets|command|entryPoint|logConfiguration|dockerLabels|x)", anything(), 0..5),
        ) {
            let (old, new) = (json!(old), json!(new));
            let (old, new) = (app(old), app(new));
            let told = told(&old, &new);
            prop_assert!(!told.iter().any(|line| line.contains("hush")), "{:?}", told);
            prop_assert_eq!(super::differences(&old, &BTreeMap::new(), &old), []);
        }
    }
}
