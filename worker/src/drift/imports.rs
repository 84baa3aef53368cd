//! `import` blocks (Terraform 1.5 and newer) for services that were deployed by other means before.
//!
//! With a plan the addresses are the plan's: what it would make and what exists already is to be imported instead. Without
//! one they are those that the module `service` has where it is called like the service.

use serde::Serialize;
use serde_json::{Value, json};

use crate::deploy::task_definition::TaskDefinition;
use crate::deploy::view::Service;
use crate::drift::terraform::Resource;

/// One block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Import {
    /// The resource's address in the configuration.
    pub to: String,
    /// What it is to be: the id that its type is imported by.
    pub id: String,
    /// What a person has to find out first; such a block is printed as a comment.
    pub unsure: Option<String>,
}

/// A service that exists.
#[derive(Clone, Debug)]
pub struct Existing<'a> {
    /// The service.
    pub service: &'a Service,
    /// What it runs.
    pub runs: &'a TaskDefinition,
}

/// The cluster's and the service's name of an `aws_ecs_service` that a plan would make.
#[must_use]
pub fn names(resource: &Resource) -> Option<(String, String)> {
    let text = |name: &str| resource.values.get(name).and_then(Value::as_str);
    let cluster = text("cluster").unwrap_or("default").rsplit('/').next()?;
    (resource.kind == "aws_ecs_service" && resource.values.contains_key("cluster"))
        .then_some((cluster.to_owned(), text("name")?.to_owned()))
}

/// What is to be imported with a service that a plan would make: what belongs to it in the plan, and exists.
#[must_use]
pub fn planned(resource: &Resource, created: &[Resource], existing: &Existing<'_>) -> Vec<Import> {
    let (module, index) = (module(&resource.address), index(&resource.address));
    let beside = |kind: &'static str| {
        created.iter().filter(move |each| each.kind == kind && self::module(&each.address) == module)
    };
    let same = |each: &&Resource| self::index(&each.address) == index;
    let text = |each: &Resource, name: &str| each.values.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut imports = vec![import(&resource.address, service_id(existing))];
    // What the service runs now: of its module the one with the same key, or of the same family.
    let family = |each: &&Resource| text(each, "family").as_ref() == Some(&existing.runs.revision.family);
    let definitions: Vec<&Resource> = beside("aws_ecs_task_definition").collect();
    let definition = definitions
        .iter()
        .copied()
        .filter(same)
        .filter(|_| !index.is_empty())
        .chain(definitions.iter().copied().filter(family))
        .next();
    imports.extend(definition.map(|each| import(&each.address, definition_arn(existing))));
    if let [group] = &existing.service.target_groups[..] {
        imports.extend(beside("aws_lb_target_group").find(same).map(|each| import(&each.address, group.clone())));
        imports
            .extend(beside("aws_lb_listener_rule").map(|each| rule(&each.address, text(each, "listener_arn"), group)));
    }
    let groups = log_groups(existing.runs);
    let log =
        beside("aws_cloudwatch_log_group").find(|each| text(each, "name").is_some_and(|name| groups.contains(&name)));
    imports.extend(log.and_then(|each| Some(import(&each.address, text(each, "name")?))));
    let scaled = beside("aws_appautoscaling_target");
    let scaled = scaled
        .filter(|each| text(each, "resource_id").is_some_and(|id| id == format!("service/{}", service_id(existing))));
    imports.extend(scaled.map(|each| scaling(&each.address, existing)));
    imports
}

/// The same without a plan: the addresses of the module `service`, called like the service.
#[must_use]
pub fn guessed(existing: &Existing<'_>) -> Vec<Import> {
    let name = &existing.service.name;
    let (application, key) = name.strip_suffix("-canary").map_or((name.as_str(), "full"), |full| (full, "canary"));
    // A module's name begins with a letter or `_`.
    let label = if application.starts_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
    let module = format!("module.{label}{application}");
    let mut imports = vec![
        import(&format!("{module}.aws_ecs_service.this[\"{key}\"]"), service_id(existing)),
        import(&format!("{module}.aws_ecs_task_definition.first[\"{key}\"]"), definition_arn(existing)),
    ];
    if let [group] = &existing.service.target_groups[..] {
        imports.push(import(&format!("{module}.aws_lb_target_group.this[\"{key}\"]"), group.clone()));
        imports.push(rule(&format!("{module}.aws_lb_listener_rule.this[0]"), None, group));
    }
    let own = format!("/ecs/{application}");
    if log_groups(existing.runs).contains(&own) {
        imports.push(import(&format!("{module}.aws_cloudwatch_log_group.this"), own));
    }
    if key == "full" {
        imports.push(scaling(&format!("{module}.aws_appautoscaling_target.full"), existing));
    }
    imports
}

/// The blocks as a file.
#[must_use]
pub fn file(imports: &[Import]) -> String {
    let blocks: Vec<String> = imports.iter().map(block).collect();
    blocks.join("\n")
}

fn block(import: &Import) -> String {
    // A text in HCL is one in JSON, but for its templates.
    let id = json!(import.id).to_string().replace("${", "$${").replace("%{", "%%{");
    let block = format!("import {{\n  to = {}\n  id = {id}\n}}\n", import.to);
    match &import.unsure {
        None => block,
        Some(why) => format!("# {why}\n{block}")
            .lines()
            .fold(String::new(), |text, line| text + if line.starts_with('#') { "" } else { "# " } + line + "\n"),
    }
}

fn import(to: &str, id: String) -> Import {
    Import { to: to.to_owned(), id, unsure: None }
}

fn service_id(existing: &Existing<'_>) -> String {
    existing.service.label()
}

fn definition_arn(existing: &Existing<'_>) -> String {
    existing.runs.revision.arn_beside(&existing.service.arn)
}

fn rule(to: &str, listener: Option<String>, group: &str) -> Import {
    let listener = listener.unwrap_or_else(|| "ARN".to_owned());
    let why = format!(
        "ECS does not know the rule that forwards to {group}: aws elbv2 describe-rules --listener-arn {listener}"
    );
    Import {
        to: to.to_owned(), id: "arn:aws:elasticloadbalancing:…:listener-rule/app/…".to_owned(), unsure: Some(why)
    }
}

fn scaling(to: &str, existing: &Existing<'_>) -> Import {
    let id = format!("ecs/service/{}/ecs:service:DesiredCount", service_id(existing));
    let why = "Only where the service scales by itself already, which ECS does not know:".to_owned();
    Import { to: to.to_owned(), id, unsure: Some(why) }
}

/// The groups that a definition's containers log into.
fn log_groups(definition: &TaskDefinition) -> Vec<String> {
    definition
        .images()
        .iter()
        .filter_map(|(container, _)| definition.log_of(container))
        .map(|(group, _)| group)
        .collect()
}

/// `module.app` of `module.app.aws_ecs_service.this["full"]`.
fn module(address: &str) -> &str {
    let plain = address.strip_suffix(index(address)).unwrap_or(address);
    plain.rsplitn(3, '.').nth(2).unwrap_or_default()
}

/// `["full"]` of `module.app.aws_ecs_service.this["full"]`.
fn index(address: &str) -> &str {
    match (address.ends_with(']'), address.rfind('[')) {
        (true, Some(at)) => &address[at..],
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::deploy::fixtures;

    fn existing() -> (Service, TaskDefinition) {
        let group = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/shop/0123456789abcdef";
        let service = Service {
            cluster: "main".into(),
            name: "app".into(),
            arn: "arn:aws:ecs:eu-central-1:123456789012:service/main/app".into(),
            target_groups: vec![group.into()],
            ..fixtures::service("app", 4, "legacy:41")
        };
        let options = json!({"awslogs-group": "/ecs/app", "awslogs-stream-prefix": "app"});
        let body = json!({"containerDefinitions": [
            {"name": "app", "image": "shop:v1", "logConfiguration": {"logDriver": "awslogs", "options": options}}]});
        (service, TaskDefinition { revision: "legacy:41".parse().unwrap(), body, tags: [].into() })
    }

    fn resource(address: &str, values: Value) -> Resource {
        let kind = address.rsplit('.').nth(1).unwrap().to_owned();
        Resource { address: address.to_owned(), kind, values: values.as_object().cloned().unwrap_or_else(Map::new) }
    }

    const EXPECTED: &str = r#"import {
  to = module.app.aws_ecs_service.this["full"]
  id = "main/app"
}

import {
  to = module.app.aws_ecs_task_definition.first["full"]
  id = "arn:aws:ecs:eu-central-1:123456789012:task-definition/legacy:41"
}

import {
  to = module.app.aws_lb_target_group.this["full"]
  id = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/shop/0123456789abcdef"
}

# ECS does not know the rule that forwards to arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/shop/0123456789abcdef: aws elbv2 describe-rules --listener-arn ARN
# import {
#   to = module.app.aws_lb_listener_rule.this[0]
#   id = "arn:aws:elasticloadbalancing:…:listener-rule/app/…"
# }

import {
  to = module.app.aws_cloudwatch_log_group.this
  id = "/ecs/app"
}

# Only where the service scales by itself already, which ECS does not know:
# import {
#   to = module.app.aws_appautoscaling_target.full
#   id = "ecs/service/main/app/ecs:service:DesiredCount"
# }
"#;

    #[test]
    fn without_a_plan_the_addresses_are_the_modules() {
        let (service, runs) = existing();
        assert_eq!(file(&guessed(&Existing { service: &service, runs: &runs })), EXPECTED);
    }

    #[test]
    fn with_a_plan_they_are_those_that_it_would_make() {
        let (service, runs) = existing();
        let existing = Existing { service: &service, runs: &runs };
        let full = resource("module.app.aws_ecs_service.this[\"full\"]", json!({"name": "app", "cluster": "main"}));
        let created = [
            full.clone(),
            resource("module.app.aws_ecs_service.this[\"canary\"]", json!({"name": "app-canary", "cluster": "main"})),
            resource("module.app.aws_ecs_task_definition.template", json!({"family": "app-template"})),
            resource("module.app.aws_ecs_task_definition.first[\"canary\"]", json!({"family": "app-canary"})),
            resource("module.app.aws_ecs_task_definition.first[\"full\"]", json!({"family": "app"})),
            resource("module.app.aws_lb_target_group.this[\"full\"]", json!({})),
            resource("module.app.aws_lb_listener_rule.this[0]", json!({})),
            resource("module.app.aws_cloudwatch_log_group.this", json!({"name": "/ecs/app"})),
            resource("module.app.aws_appautoscaling_target.full", json!({"resource_id": "service/main/app"})),
            resource("module.search.aws_lb_target_group.this[\"full\"]", json!({})),
            resource("module.search.aws_cloudwatch_log_group.this", json!({"name": "/ecs/app"})),
        ];
        assert_eq!(file(&planned(&full, &created, &existing)), EXPECTED);
        // A configuration without modules, in which the family tells what belongs together.
        let own = resource("aws_ecs_service.app", json!({"name": "app", "cluster": "main"}));
        let created = [
            own.clone(),
            resource("aws_ecs_task_definition.other", json!({"family": "other"})),
            resource("aws_ecs_task_definition.app", json!({"family": "legacy"})),
        ];
        let found: Vec<String> = planned(&own, &created, &existing).into_iter().map(|import| import.to).collect();
        assert_eq!(found, ["aws_ecs_service.app", "aws_ecs_task_definition.app"]);
    }

    #[test]
    fn a_service_whose_cluster_is_made_with_it_has_no_name_yet() {
        let address = "module.app.aws_ecs_service.this[\"full\"]";
        assert_eq!(names(&resource(address, json!({"name": "app"}))), None);
        let arn = "arn:aws:ecs:eu-central-1:123456789012:cluster/main";
        let found = names(&resource(address, json!({"name": "app", "cluster": arn})));
        assert_eq!(found, Some(("main".to_owned(), "app".to_owned())));
        assert_eq!(names(&resource("aws_ecs_cluster.main", json!({"name": "app", "cluster": "main"}))), None);
    }

    #[test]
    fn an_address_is_taken_apart_at_its_last_dot_outside_of_a_key() {
        for (address, expected) in [
            ("aws_ecs_service.app", ("", "")),
            ("module.a.aws_ecs_service.app", ("module.a", "")),
            ("module.a[\"x.y\"].module.b.aws_ecs_service.app[\"q.r\"]", ("module.a[\"x.y\"].module.b", "[\"q.r\"]")),
        ] {
            assert_eq!((module(address), index(address)), expected, "{address}");
        }
    }
}
