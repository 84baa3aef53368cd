//! What Terraform says: the JSON of `terraform show -json`, of a plan or of a state.

use std::collections::BTreeSet;
use std::str::FromStr;

use coalmine_pipeline::action_type::{CANARY, FULL};
use coalmine_pipeline::names::is_ecs_name;
use serde_json::{Map, Value};

use crate::drift::change::{self, Change};

/// Why a text cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TerraformError {
    /// It is no JSON.
    #[error(
        "it is not JSON ({0}): write it with `terraform show -json plan.bin`, or `terraform show -json` for the state"
    )]
    NotJson(#[from] serde_json::Error),
    /// It is something else's JSON.
    #[error("it is not what `terraform show -json` prints: {0}")]
    Foreign(String),
    /// The plan is not whole.
    #[error("the plan ended with an error, so it does not say everything: plan again")]
    Errored,
}

/// A service that a pipeline releases to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The cluster's name.
    pub cluster: String,
    /// The service's name.
    pub service: String,
    /// The template's family.
    pub template: Option<String>,
}

impl FromStr for Target {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, template) = text.split_once('=').map_or((text, None), |(name, family)| (name, Some(family)));
        let (cluster, service) = name.split_once('/').ok_or(NotATarget)?;
        if ![Some(cluster), Some(service), template].into_iter().flatten().all(is_ecs_name) {
            return Err(NotATarget);
        }
        let template = template.map(str::to_owned);
        Ok(Self { cluster: cluster.to_owned(), service: service.to_owned(), template })
    }
}

/// A text that names no service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected cluster/service, or cluster/service=family of the template")]
pub struct NotATarget;

/// A resource in a configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// `module.app.aws_ecs_service.this["full"]`.
    pub address: String,
    /// `aws_ecs_service`.
    pub kind: String,
    /// What is known of it.
    pub values: Map<String, Value>,
}

/// A plan or a state.
#[derive(Clone, Debug, Default)]
pub struct Described {
    /// The services that pipelines release to.
    pub targets: BTreeSet<Target>,
    /// Actions whose services are not known before an apply.
    pub unknown: usize,
    /// The services that Terraform has in its state, by cluster and name.
    pub managed: BTreeSet<(String, String)>,
    /// What a plan would change of services and task definitions that exist.
    pub changes: Vec<Change>,
    /// What a plan would make.
    pub created: Vec<Resource>,
}

/// Reads a plan or a state.
///
/// # Errors
/// When the text is neither, or the plan is not whole.
pub fn read(text: &str) -> Result<Described, TerraformError> {
    let document: Value = serde_json::from_str(text)?;
    let version = document.get("format_version").and_then(Value::as_str).unwrap_or_default();
    let foreign = |what: &str| TerraformError::Foreign(what.to_owned());
    match version.split('.').next() {
        Some("1") => {}
        Some("") | None => return Err(foreign("it has no format_version")),
        Some(_) => return Err(TerraformError::Foreign(format!("expected format version 1, found {version}"))),
    }
    if document.get("errored") == Some(&Value::Bool(true)) {
        return Err(TerraformError::Errored);
    }
    // A state without resources has no values.
    let root = document.pointer("/planned_values/root_module").or_else(|| document.pointer("/values/root_module"));
    if root.is_none() && document.get("terraform_version").is_none() {
        return Err(foreign("it has neither planned_values nor values"));
    }
    let mut described = Described::default();
    let mut resources = Vec::new();
    collect(root.unwrap_or(&Value::Null), &mut resources);
    for pipeline in resources.iter().filter(|resource| text_of(resource, "type") == "aws_codepipeline") {
        described.read_pipeline(pipeline);
    }
    let state = document.pointer("/prior_state/values/root_module").or_else(|| document.pointer("/values/root_module"));
    let mut resources = Vec::new();
    collect(state.unwrap_or(&Value::Null), &mut resources);
    for service in resources.iter().filter(|resource| text_of(resource, "type") == "aws_ecs_service") {
        let values = service.get("values").unwrap_or(&Value::Null);
        let cluster = text_of(values, "cluster").rsplit('/').next().unwrap_or_default();
        described.managed.insert((cluster.to_owned(), text_of(values, "name").to_owned()));
    }
    for change in list(&document, "resource_changes") {
        described.read_change(change);
    }
    Ok(described)
}

/// Every resource of a module and of the modules in it.
fn collect<'a>(module: &'a Value, found: &mut Vec<&'a Value>) {
    found.extend(list(module, "resources"));
    list(module, "child_modules").for_each(|child| collect(child, found));
}

impl Described {
    fn read_pipeline(&mut self, pipeline: &Value) {
        let stages = pipeline.get("values").into_iter().flat_map(|values| list(values, "stage"));
        for action in stages.flat_map(|stage| list(stage, "action")) {
            if text_of(action, "owner") != "Custom"
                || ![CANARY.provider, FULL.provider].contains(&text_of(action, "provider"))
            {
                continue;
            }
            let configuration = action.get("configuration").unwrap_or(&Value::Null);
            // Both may be given as ARNs.
            let name =
                |property: &str| text_of(configuration, property).rsplit('/').next().unwrap_or_default().to_owned();
            let (cluster, service) = (name("Cluster"), name("Service"));
            if cluster.is_empty() || service.is_empty() {
                self.unknown += 1;
            } else {
                let template = Some(name("TemplateFamily")).filter(|family| !family.is_empty());
                self.targets.insert(Target { cluster, service, template });
            }
        }
    }

    fn read_change(&mut self, resource: &Value) {
        let change = resource.get("change").unwrap_or(&Value::Null);
        let actions: Vec<&str> = list(change, "actions").filter_map(Value::as_str).collect();
        if actions == ["create"] {
            let values = change.get("after").and_then(Value::as_object).cloned().unwrap_or_default();
            let (address, kind) = (text_of(resource, "address").to_owned(), text_of(resource, "type").to_owned());
            self.created.push(Resource { address, kind, values });
        } else {
            self.changes.extend(change::read(resource));
        }
    }
}

pub(super) fn list<'a>(value: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    value.get(member).and_then(Value::as_array).into_iter().flatten()
}

pub(super) fn text_of<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_says_what_there_is_what_it_would_make_and_what_it_would_change() {
        let service =
            |name: &str| json!({"name": name, "cluster": "arn:aws:ecs:eu-central-1:123456789012:cluster/main"});
        let resource = |name: &str| json!({"type": "aws_ecs_service", "values": service(name)});
        let change = |actions: Value, before: Value, after: Value| {
            json!({"address": "aws_ecs_service.a", "type": "aws_ecs_service",
                "change": {"actions": actions, "before": before, "after": after}})
        };
        let plan = json!({
            "format_version": "1.2", "terraform_version": "1.11.4",
            "planned_values": {"root_module": {"resources": [resource("old"), resource("new")]}},
            "prior_state": {"values": {"root_module": {"resources": [resource("old")]}}},
            "resource_changes": [
                change(json!(["create"]), Value::Null, service("new")),
                change(json!(["no-op"]), service("old"), service("old")),
                change(json!(["update"]), json!({"desired_count": 1}), json!({"desired_count": 2})),
            ],
        });
        let described = read(&plan.to_string()).unwrap();
        assert_eq!(described.managed, [("main".to_owned(), "old".to_owned())].into());
        assert_eq!(described.created.len(), 1);
        assert_eq!(described.created[0].values["name"], "new");
        assert_eq!(described.changes.len(), 1);
    }

    #[test]
    fn a_service_is_named_with_its_cluster() {
        let named = |template: Option<&str>| Target {
            cluster: "main".into(),
            service: "app".into(),
            template: template.map(str::to_owned),
        };
        assert_eq!("main/app".parse(), Ok(named(None)));
        assert_eq!("main/app=app-template".parse(), Ok(named(Some("app-template"))));
        for wrong in ["", "app", "main/", "/app", "main/app=", "main/app/x", "main/a b", "main/app=t:1"] {
            assert_eq!(wrong.parse::<Target>(), Err(NotATarget), "{wrong}");
        }
    }

    #[test]
    fn pipelines_say_which_services_are_released_to_and_from_which_template() {
        let action = |provider: &str, configuration: Value| json!({"owner": "Custom", "provider": provider, "configuration": configuration});
        let pipeline = json!({"type": "aws_codepipeline", "values": {"stage": [
            {"action": [{"owner": "AWS", "provider": "S3", "configuration": {"Cluster": "no", "Service": "no"}}]},
            {"action": [
                action("Coalmine-Canary", json!({"Cluster": "main", "Service": "app-canary", "TemplateFamily": "app-template"})),
                action("Coalmine-Full", json!({
                    "Cluster": "arn:aws:ecs:eu-central-1:123456789012:cluster/main",
                    "Service": "arn:aws:ecs:eu-central-1:123456789012:service/main/app",
                })),
                action("Coalmine-Full", json!({"Cluster": "main"})),
                action("Other", json!({"Cluster": "main", "Service": "no"})),
            ]},
        ]}});
        let state = json!({"format_version": "1.0", "terraform_version": "1.11.4",
            "values": {"root_module": {"child_modules": [{"child_modules": [{"resources": [pipeline]}]}]}}});
        let described = read(&state.to_string()).unwrap();
        let targets: Vec<_> =
            described.targets.iter().map(|target| (target.service.as_str(), target.template.as_deref())).collect();
        assert_eq!(targets, [("app", None), ("app-canary", Some("app-template"))]);
        assert_eq!(described.unknown, 1);
    }

    #[test]
    fn what_is_neither_plan_nor_state_is_refused_in_words() {
        for (text, words) in [
            ("", "not JSON"),
            ("resource \"aws_ecs_service\" {}", "terraform show -json"),
            ("[]", "no format_version"),
            ("{}", "no format_version"),
            (r#"{"format_version": "2.0"}"#, "expected format version 1, found 2.0"),
            (r#"{"format_version": "1.0"}"#, "neither planned_values nor values"),
            (r#"{"format_version": "1.2", "errored": true, "planned_values": {"root_module": {}}}"#, "plan again"),
        ] {
            let problem = read(text).unwrap_err().to_string();
            assert!(problem.contains(words), "{text}: {problem}");
        }
        assert!(read(r#"{"format_version": "1.0", "terraform_version": "1.9.0"}"#).is_ok(), "an empty state");
    }
}
