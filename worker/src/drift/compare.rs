//! Where two descriptions of the same thing differ.

use std::collections::BTreeMap;

use coalmine_pipeline::limits::cut;
use serde_json::{Map, Value};

use crate::deploy::message::printable;
use crate::deploy::task_definition::TaskDefinition;

/// How much of a value is shown.
const SHOWN_CHARS: usize = 60;

/// One difference: what is, and what the description says. Values are shown only where they hold no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The way to it: `["containerDefinitions", "app", "image"]`. Elements of lists go by their names.
    pub path: Vec<String>,
    /// What there is; `None` where nothing is said.
    pub is: Option<String>,
    /// What is described; `None` where nothing is said.
    pub described: Option<String>,
}

impl Difference {
    /// Whether it is a container's image.
    #[must_use]
    pub fn is_image(&self) -> bool {
        // ECS's spelling and Terraform's.
        matches!(&self.path[..], [list, _, member]
            if ["containerDefinitions", "container_definitions"].contains(&list.as_str()) && member == "image")
    }

    /// The way to it, as text.
    #[must_use]
    pub fn place(&self) -> String {
        printable(&self.path.join("/"))
    }
}

/// Where a task definition differs from the template that it should have been made of: everything that a copy takes over.
#[must_use]
pub fn definitions(runs: &TaskDefinition, template: &TaskDefinition) -> Vec<Difference> {
    let whole = |definition: &TaskDefinition| {
        let mut members = definition.registrable();
        members.remove("family");
        members.insert("tags".to_owned(), definition.tags_copied().into_iter().collect());
        Value::Object(members)
    };
    values(&whole(runs), &whole(template))
}

/// Where two values differ. What is null or empty says nothing, and is the same as absent.
#[must_use]
pub fn values(is: &Value, described: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(&mut Vec::new(), said(Some(is)), said(Some(described)), &mut found);
    found
}

fn said(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    })
}

fn walk(path: &mut Vec<String>, is: Option<&Value>, described: Option<&Value>, found: &mut Vec<Difference>) {
    if is == described {
        return;
    }
    if let (Some(one), Some(other)) = (is.and_then(members), described.and_then(members)) {
        let mut names: Vec<&String> = one.keys().collect();
        names.extend(other.keys().filter(|name| !one.contains_key(*name)));
        for name in names {
            path.push(name.clone());
            walk(path, said(one.get(name).copied()), said(other.get(name).copied()), found);
            path.pop();
        }
        return;
    }
    let show = |value: Option<&Value>| value.map(|value| shown(path, value));
    found.push(Difference { path: path.clone(), is: show(is), described: show(described) });
}

/// What a value consists of by name: an object's members, or a list's elements where each has a name of its own, whose
/// order says nothing (containers, variables, tags). Any other list is one value.
fn members(value: &Value) -> Option<BTreeMap<String, &Value>> {
    let name = |item: &Value| {
        let named = item.get("name").or_else(|| item.get("key"));
        named.and_then(Value::as_str).map(str::to_owned)
    };
    match value {
        Value::Object(members) => Some(members.iter().map(|(name, value)| (name.clone(), value)).collect()),
        Value::Array(items) => {
            let named: BTreeMap<String, &Value> = items.iter().filter_map(|item| Some((name(item)?, item))).collect();
            (named.len() == items.len()).then_some(named)
        }
        _ => None,
    }
}

/// A value for people: short, printable, and only where nobody keeps secrets.
fn shown(path: &[String], value: &Value) -> String {
    let at = |name: &str| path.iter().any(|part| part == name);
    let awslogs = path.last().is_some_and(|last| last.starts_with("awslogs-"));
    let keeps_secrets = at("environment") || at("options") && !awslogs;
    match value {
        _ if keeps_secrets => "(not shown)".to_owned(),
        Value::String(text) => cut(&printable(text), SHOWN_CHARS).into_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => format!("(a list of {})", items.len()),
        Value::Null | Value::Object(_) => "(not shown)".to_owned(),
    }
}

/// A text of Terraform that holds JSON, as JSON; everything else as it is.
#[must_use]
pub fn with_documents(values: &Map<String, Value>) -> Value {
    let parsed = values.iter().map(|(name, value)| {
        let document = value.as_str().filter(|text| text.starts_with(['[', '{']));
        let document = document.and_then(|text| serde_json::from_str(text).ok());
        (name.clone(), document.unwrap_or_else(|| value.clone()))
    });
    Value::Object(parsed.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Each as `path: is → described`.
    fn told(is: Value, described: Value) -> Vec<String> {
        let show = |value: Option<String>| value.unwrap_or_else(|| "nothing".to_owned());
        let one = |difference: Difference| {
            format!("{}: {} → {}", difference.place(), show(difference.is), show(difference.described))
        };
        values(&is, &described).into_iter().map(one).collect()
    }

    #[test]
    fn what_says_the_same_does_not_differ() {
        for (is, described) in [
            (json!({"cpu": "256", "volumes": []}), json!({"cpu": "256"})),
            (json!({"a": null, "b": {"c": []}}), json!({"b": {"c": null}})),
            (
                json!({"environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}),
                json!({"environment": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]}),
            ),
        ] {
            assert_eq!(told(is.clone(), described.clone()), [""; 0], "{is} {described}");
        }
    }

    #[test]
    fn each_difference_is_told_where_it_is() {
        let is = json!({
            "memory": "512",
            "containerDefinitions": [
                {"name": "app", "image": "shop:v2", "command": ["a"], "portMappings": [{"containerPort": 80}]},
                {"name": "proxy", "image": "envoy:1"},
            ],
        });
        let described = json!({
            "memory": "1024",
            "containerDefinitions": [
                {"name": "app", "image": "shop:unreleased", "command": ["a", "b"], "portMappings": [{"containerPort": 81}],
                    "user": "1000"},
            ],
        });
        assert_eq!(
            told(is, described),
            [
                "containerDefinitions/app/command: (a list of 1) → (a list of 2)",
                "containerDefinitions/app/image: shop:v2 → shop:unreleased",
                "containerDefinitions/app/portMappings: (a list of 1) → (a list of 1)",
                "containerDefinitions/app/user: nothing → 1000",
                "containerDefinitions/proxy: (not shown) → nothing",
                "memory: 512 → 1024",
            ]
        );
    }

    #[test]
    fn an_image_is_one_in_ecss_spelling_and_in_terraforms() {
        for list in ["containerDefinitions", "container_definitions"] {
            let image = |image: &str| json!({list: [{"name": "app", "image": image}]});
            let found = values(&image("a:1"), &image("a:2"));
            assert!(found.len() == 1 && found[0].is_image(), "{found:?}");
        }
        let found = values(&json!({"image": "a"}), &json!({"image": "b"}));
        assert!(!found[0].is_image(), "{found:?}");
    }

    #[test]
    fn no_value_is_shown_where_secrets_are_kept() {
        let with = |secret: &str| {
            json!({"containerDefinitions": [{
                "name": "app",
                "environment": [{"name": "TOKEN", "value": secret}],
                "logConfiguration": {"options": {"splunk-token": secret, "awslogs-group": "/ecs/app"}},
            }]})
        };
        let said = told(with("hunter1"), with("hunter2"));
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(!said.join(" ").contains("hunter"), "{said:?}");
        let said = told(with("hunter1"), json!({"containerDefinitions": [{"name": "app"}]}));
        assert!(!said.join(" ").contains("hunter"), "{said:?}");
    }

    #[test]
    fn lists_whose_elements_have_one_name_are_one_value() {
        let one = json!([{"name": "a", "value": 1}, {"name": "a", "value": 2}]);
        let other = json!([{"name": "a", "value": 1}, {"name": "a", "value": 3}]);
        assert_eq!(told(one, other), [": (a list of 2) → (a list of 2)"]);
    }
}
