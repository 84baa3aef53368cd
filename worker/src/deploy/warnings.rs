//! What does not forbid a deployment, and is worth knowing before it: how tasks stop, and where they find room.

use serde_json::Value;

use crate::deploy::view::Service;

/// The longest `stopTimeout` on Fargate, in seconds ("Container definitions: stopTimeout", Amazon ECS).
const FARGATE_STOP_MAX: u64 = 120;
/// What holds without one, in seconds: on EC2 unless the agent's `ECS_CONTAINER_STOP_TIMEOUT` says otherwise.
const STOP_DEFAULT: u64 = 30;

/// How the tasks of a definition stop. Behind a load balancer a task is given no new work before it is told to stop;
/// who takes work from a queue has until the stop-timeout to finish what it has in hand.
#[must_use]
pub fn stops(definition: &Value, service: &Service) -> Vec<String> {
    let mut warnings = Vec::new();
    let fargate = is_fargate(definition);
    for (name, container) in containers(definition) {
        let essential = container.get("essential").and_then(Value::as_bool).unwrap_or(true);
        match container.get("stopTimeout").and_then(Value::as_u64) {
            None if essential && service.target_groups.is_empty() => warnings.push(format!(
                "container {name} has no stopTimeout: it is killed {STOP_DEFAULT} s after SIGTERM, with the work that it has in hand; set what its longest work takes"
            )),
            Some(seconds) if fargate && seconds > FARGATE_STOP_MAX => warnings.push(format!(
                "container {name} has a stopTimeout of {seconds} s: Fargate takes at most {FARGATE_STOP_MAX} s"
            )),
            _ => {}
        }
    }
    warnings
}

/// Where the tasks of a definition find room: what keeps two of them apart, or from most instances.
#[must_use]
pub fn placement(definition: &Value, service: &Service) -> Vec<String> {
    let mut warnings = Vec::new();
    let mode = definition.get("networkMode").and_then(Value::as_str).unwrap_or("bridge");
    if !is_fargate(definition) && ["bridge", "host"].contains(&mode) {
        for (name, container) in containers(definition) {
            let mappings = container.get("portMappings").and_then(Value::as_array).into_iter().flatten();
            let fixed = mappings.filter_map(|mapping| match mapping.get("hostPort").and_then(Value::as_u64) {
                None | Some(0) if mode == "host" => mapping.get("containerPort").and_then(Value::as_u64),
                Some(port) if port > 0 => Some(port),
                _ => None,
            });
            warnings.extend(fixed.map(|port| {
                format!(
                    "container {name} takes port {port} of its instance, which holds one such task: the canary, and every batch that surges, needs an instance to spare"
                )
            }));
        }
    }
    let constraints = definition.get("placementConstraints").and_then(Value::as_array).into_iter().flatten();
    let expressions = constraints.filter_map(|constraint| constraint.get("expression").and_then(Value::as_str));
    for constraint in expressions.chain(service.constraints.iter().map(String::as_str)) {
        warnings.push(match constraint {
            "distinctInstance" => format!(
                "{} puts each task on an instance of its own: a batch that surges needs instances to spare",
                service.label()
            ),
            expression => {
                format!("tasks run only where `{expression}` holds: without room there, the deployment waits")
            }
        });
    }
    warnings
}

fn containers(definition: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let all = definition.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
    all.map(|container| (container.get("name").and_then(Value::as_str).unwrap_or_default(), container))
}

fn is_fargate(definition: &Value) -> bool {
    let asked = definition.get("requiresCompatibilities").and_then(Value::as_array);
    asked.is_some_and(|asked| asked.iter().any(|one| one == "FARGATE"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::fixtures::service;
    use serde_json::json;

    fn definition(container: Value, further: Value) -> Value {
        let mut definition = json!({"containerDefinitions": [{"name": "app"}]});
        for (name, value) in container.as_object().unwrap() {
            definition["containerDefinitions"][0][name] = value.clone();
        }
        for (name, value) in further.as_object().unwrap() {
            definition[name] = value.clone();
        }
        definition
    }

    #[test]
    fn a_queue_worker_is_warned_of_how_it_is_stopped_and_a_web_service_is_not() {
        let worker = service("jobs", 4, "jobs:1");
        let mut web = worker.clone();
        web.target_groups = vec!["arn:group".into()];
        let fargate = json!({"requiresCompatibilities": ["FARGATE"]});
        for (container, service, expected) in [
            (json!({}), &worker, 1),
            (json!({}), &web, 0),
            (json!({"essential": false}), &worker, 0),
            (json!({"stopTimeout": 60}), &worker, 0),
            (json!({"stopTimeout": 121}), &web, 1),
        ] {
            assert_eq!(stops(&definition(container.clone(), fargate.clone()), service).len(), expected, "{container}");
        }
        assert_eq!(stops(&definition(json!({"stopTimeout": 300}), json!({})), &web), [""; 0], "EC2 has no such limit");
    }

    #[test]
    fn what_keeps_tasks_apart_is_said() {
        let mut app = service("app", 4, "app:1");
        let ports = |host: Value| json!({"portMappings": [{"containerPort": 80, "hostPort": host}]});
        for (container, further, expected) in [
            (ports(json!(8080)), json!({"networkMode": "bridge"}), 1),
            (ports(json!(0)), json!({"networkMode": "bridge"}), 0),
            (ports(json!(0)), json!({"networkMode": "host"}), 1),
            (ports(json!(8080)), json!({"networkMode": "awsvpc"}), 0),
            (ports(json!(8080)), json!({"requiresCompatibilities": ["FARGATE"]}), 0),
            (json!({}), json!({"placementConstraints": [{"type": "memberOf", "expression": "attribute:gpu"}]}), 1),
        ] {
            let found = placement(&definition(container.clone(), further.clone()), &app);
            assert_eq!(found.len(), expected, "{container} {further} {found:?}");
        }
        app.constraints = vec!["distinctInstance".into()];
        let found = placement(&definition(json!({}), json!({})), &app);
        assert!(found[0].starts_with("main/app puts each task on an instance of its own"), "{found:?}");
    }
}
