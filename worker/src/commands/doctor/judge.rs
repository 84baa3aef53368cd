//! What a careful person would mend before the next release: a pure decision over what was seen.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::aws::pipelines::Definition;
use crate::deploy::action::Action;
use crate::deploy::batch::Percents;
use crate::deploy::decision::Role;
use crate::deploy::task_definition::TaskDefinition;
use crate::deploy::view::{Alarm, Service};
use crate::deploy::warnings;

/// A service, and what it runs.
#[derive(Clone, Debug)]
pub struct Patient {
    /// The service.
    pub service: Service,
    /// What it is told to run.
    pub runs: Option<TaskDefinition>,
    /// Its own percents, where a turnover left others.
    pub own_percents: Option<Percents>,
}

/// A pipeline, and its actions of ours.
#[derive(Clone, Debug)]
pub struct Line {
    /// The definition.
    pub definition: Definition,
    /// Its Canary and Full actions that can be understood.
    pub actions: Vec<Action>,
    /// What is wrong with the others.
    pub broken: Vec<String>,
}

/// All that was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The services.
    pub patients: Vec<Patient>,
    /// The pipelines with actions of ours.
    pub lines: Vec<Line>,
    /// The alarms that any of them names, by name.
    pub alarms: BTreeMap<String, Alarm>,
    /// Image references whose tag can be moved.
    pub movable: BTreeSet<String>,
}

/// Something to be mended, or to be known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// What it is about: a service, a pipeline, a permission.
    pub about: String,
    /// What was found.
    pub found: String,
    /// What to do.
    pub remedy: String,
}

impl Finding {
    /// A finding.
    pub fn new(about: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { about: about.into(), found: found.into(), remedy: remedy.into() }
    }
}

/// Everything that is to be mended, in the order of what it is about.
#[must_use]
pub fn findings(seen: &Seen) -> Vec<Finding> {
    let mut found: Vec<Finding> = seen.patients.iter().flat_map(|patient| of_service(seen, patient)).collect();
    found.extend(seen.lines.iter().flat_map(|line| of_pipeline(seen, line)));
    found.sort();
    found.dedup();
    found
}

fn of_service(seen: &Seen, patient: &Patient) -> Vec<Finding> {
    let Patient { service, runs, own_percents } = patient;
    let label = service.label();
    let mut found = Vec::new();
    let mut find = |what: String, remedy: &str| found.push(Finding::new(label.clone(), what, remedy));
    let breaker = service.configuration.pointer("/deploymentCircuitBreaker/enable").and_then(Value::as_bool);
    if breaker != Some(true) {
        find(
            "the deployment circuit breaker is off".to_owned(),
            "switch it on with rollback: ECS then ends a deployment that cannot succeed while no worker is there",
        );
    }
    if watched_by(seen, service).is_empty() {
        find(
            "no alarm watches it".to_owned(),
            "name alarms in the property Alarms of its actions, or in its deployment configuration",
        );
    }
    if let Some(own) = own_percents {
        let now = service.percents;
        find(
            format!(
                "a turnover left percents {}/{}; its own are {}/{}",
                now.minimum, now.maximum, own.minimum, own.maximum
            ),
            "the next release gives them back; before that, set them by hand",
        );
    }
    let Some(runs) = runs else { return found };
    for (container, image) in runs.images() {
        if seen.movable.contains(&image) {
            find(
                format!("container {container} runs {image}, whose tag can be moved"),
                "make the repository's tags IMMUTABLE; a release pins such images by digest, other deployments do not",
            );
        }
    }
    for warning in warnings::stops(&runs.body, service) {
        find(warning, "set stopTimeout in the task definition (Fargate: up to 120 s)");
    }
    for warning in warnings::placement(&runs.body, service) {
        find(warning, "keep an instance to spare, or take awsvpc and dynamic ports");
    }
    if !on_fargate(runs) && runs.images().iter().any(|(_, image)| seen.movable.contains(image)) {
        find(
            "its instances may start a cached image: ECS_IMAGE_PULL_BEHAVIOR cannot be read by API".to_owned(),
            "on an instance: grep ECS_IMAGE_PULL_BEHAVIOR /etc/ecs/ecs.config; `once` and `prefer-cached` are safe with digests alone",
        );
    }
    found
}

/// The alarms of a service: of its own configuration, and of the actions that deploy to it.
fn watched_by(seen: &Seen, service: &Service) -> BTreeSet<String> {
    let own = crate::commands::status::alarms_of(service);
    let is_its = |action: &&Action| action.cluster == service.cluster && action.service == service.name;
    let actions = seen.lines.iter().flat_map(|line| &line.actions).filter(is_its);
    own.into_iter().chain(actions.flat_map(|action| action.alarms.clone())).collect()
}

fn of_pipeline(seen: &Seen, line: &Line) -> Vec<Finding> {
    let Line { definition, actions, broken } = line;
    let name = format!("pipeline {}", definition.name);
    let mut found: Vec<Finding> = broken
        .iter()
        .map(|problem| Finding::new(name.clone(), problem.clone(), "mend the action's configuration"))
        .collect();
    if definition.mode == "PARALLEL" {
        found.push(Finding::new(
            name.clone(),
            "it runs in execution mode PARALLEL, which the actions refuse",
            "set executionMode to SUPERSEDED or QUEUED",
        ));
    }
    for action in actions {
        for alarm in &action.alarms {
            let Some(alarm) = seen.alarms.get(alarm) else {
                found.push(Finding::new(
                    name.clone(),
                    format!("the action on {} names alarm {alarm}, which does not exist", action.service),
                    "create the alarm, or take it out of Alarms",
                ));
                continue;
            };
            if action.role == Role::Canary && !names_alone(seen, alarm, action) {
                found.push(Finding::new(
                    name.clone(),
                    format!(
                        "alarm {} of canary {} does not tell it from {}",
                        alarm.name, action.service, action.partner
                    ),
                    "watch a metric whose dimensions name the canary service, or know that trouble of the full service stops releases at the canary",
                ));
            }
        }
        let turned = actions.iter().any(|other| other.role == Role::Full && other.partner == action.service);
        if action.role == Role::Canary && !turned {
            found.push(Finding::new(
                name.clone(),
                format!("no Coalmine-Full turns over what canary {} is given", action.service),
                "add the action to the same stage, with CanaryService set to the canary",
            ));
        }
    }
    found
}

/// Whether an alarm tells a canary from its full service: it names the one and not the other.
fn names_alone(seen: &Seen, alarm: &Alarm, action: &Action) -> bool {
    let service = |name: &str| {
        let found = seen.patients.iter().find(|patient| patient.service.name == name);
        found.filter(|patient| patient.service.cluster == action.cluster).map(|patient| &patient.service)
    };
    let names = |name: &str| service(name).is_some_and(|service| alarm.names(service));
    // Dimensions that name a service name one alone; a target group may be both's.
    names(&action.service) && !names(&action.partner)
}

fn on_fargate(definition: &TaskDefinition) -> bool {
    let asked = definition.body.get("requiresCompatibilities").and_then(Value::as_array);
    asked.is_some_and(|asked| asked.iter().any(|one| one == "FARGATE"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::fixtures::{alarm, service};
    use coalmine_pipeline::action_type::CANARY;
    use serde_json::json;

    fn patient(name: &str, container: Value) -> Patient {
        let mut service = service(name, 4, &format!("{name}:1"));
        service.configuration = json!({
            "deploymentCircuitBreaker": {"enable": true, "rollback": true}, "alarms": {"alarmNames": ["5xx"]}
        });
        let body = json!({"containerDefinitions": [container]});
        let runs = TaskDefinition { revision: service.revision.clone(), body, tags: BTreeMap::new() };
        Patient { service, runs: Some(runs), own_percents: None }
    }

    fn found(seen: &Seen) -> Vec<String> {
        findings(seen).into_iter().map(|finding| format!("{}: {}", finding.about, finding.found)).collect()
    }

    fn canary(alarms: &str) -> Action {
        let configuration = [
            ("Pool", "default"),
            ("Cluster", "main"),
            ("Service", "app-canary"),
            ("FullService", "app"),
            ("Alarms", alarms),
        ];
        let configuration = configuration.map(|(property, value)| (property.to_owned(), value.to_owned())).into();
        Action::parse(&CANARY, &configuration).unwrap().unwrap()
    }

    #[test]
    fn a_service_in_order_has_no_finding() {
        let patients = vec![patient("app", json!({"name": "app", "image": "r/app:v1", "stopTimeout": 60}))];
        assert_eq!(found(&Seen { patients, ..Seen::default() }), [""; 0]);
    }

    #[test]
    fn everything_that_is_to_be_mended_is_found_at_once_each_with_its_remedy() {
        let mut sick = patient("app", json!({"name": "app", "image": "r/app:v1"}));
        sick.service.configuration = json!({"deploymentCircuitBreaker": {"enable": false}});
        sick.own_percents = Some(Percents { minimum: 90, maximum: 100 });
        let seen = Seen { patients: vec![sick], movable: ["r/app:v1".to_owned()].into(), ..Seen::default() };
        assert_eq!(
            found(&seen),
            [
                "main/app: a turnover left percents 100/200; its own are 90/100",
                "main/app: container app has no stopTimeout: it is killed 30 s after SIGTERM, with the work that it has in hand; set what its longest work takes",
                "main/app: container app runs r/app:v1, whose tag can be moved",
                "main/app: its instances may start a cached image: ECS_IMAGE_PULL_BEHAVIOR cannot be read by API",
                "main/app: no alarm watches it",
                "main/app: the deployment circuit breaker is off",
            ]
        );
        assert!(findings(&seen).iter().all(|finding| !finding.remedy.is_empty()));
    }

    #[test]
    fn an_alarm_that_does_not_tell_a_canary_from_its_full_service_is_found() {
        let patients = ["app", "app-canary"]
            .map(|name| patient(name, json!({"name": "app", "image": "r/app:v1", "stopTimeout": 60})))
            .to_vec();
        let mut own = alarm("own", "OK");
        own.dimensions = vec![("ServiceName".to_owned(), "app-canary".to_owned())];
        let alarms = [own, alarm("shared", "OK")].map(|alarm| (alarm.name.clone(), alarm)).into();
        let definition = Definition { name: "app".into(), mode: "PARALLEL".into(), ..Definition::default() };
        let lines = vec![Line { definition, actions: vec![canary("own,shared,gone")], broken: Vec::new() }];
        assert_eq!(
            found(&Seen { patients, lines, alarms, ..Seen::default() }),
            [
                "pipeline app: alarm shared of canary app-canary does not tell it from app",
                "pipeline app: it runs in execution mode PARALLEL, which the actions refuse",
                "pipeline app: no Coalmine-Full turns over what canary app-canary is given",
                "pipeline app: the action on app-canary names alarm gone, which does not exist",
            ]
        );
    }
}
