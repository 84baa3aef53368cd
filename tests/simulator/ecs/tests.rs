//! The simulated ECS, driven by the real SDK.

mod api;
mod definitions;
mod failing;
mod rollout;
mod sizes;
mod standalone;

use std::time::Duration;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::types;
use serde_json::{Value, json};

use super::{ServiceSpec, ServiceView};
use crate::ecr::{Behaviour, Pulled};
use crate::{Settings, Simulator, World};

/// A digest of one repeated digit.
fn digest(digit: char) -> String {
    format!("sha256:{}", String::from(digit).repeat(64))
}

fn image(reference: &str, digit: char, behaviour: Behaviour) -> impl FnOnce(&mut World) {
    let pulled = Pulled { digest: digest(digit), platform_digest: digest(digit), behaviour };
    move |world| world.add_public_image(reference.to_owned().as_str(), pulled)
}

/// A worker's task definition: no health check, no load balancer.
fn worker(tag: &str) -> Value {
    json!({
        "family": "worker", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
        "containerDefinitions": [{
            "name": "app", "image": format!("registry.example/app:{tag}"), "essential": true,
            "logConfiguration": {"logDriver": "awslogs", "options": {
                "awslogs-group": "/ecs/worker", "awslogs-region": "eu-central-1", "awslogs-stream-prefix": "w",
            }},
        }],
    })
}

/// The same with a container health check.
fn checked(tag: &str) -> Value {
    let mut definition = worker(tag);
    definition["containerDefinitions"][0]["healthCheck"] =
        json!({"command": ["CMD-SHELL", "true"], "interval": 5, "retries": 2});
    definition
}

fn percents(minimum: i32, maximum: i32) -> Value {
    json!({
        "deploymentConfiguration": {"minimumHealthyPercent": minimum, "maximumPercent": maximum},
        "availabilityZoneRebalancing": "DISABLED",
    })
}

fn with_breaker(rollback: bool) -> Value {
    json!({
        "deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": true, "rollback": rollback}},
    })
}

struct Stage {
    simulator: Simulator,
    client: Client,
}

impl Stage {
    /// Image `good`, and others that each test adds; a cluster `main` with one steady service `app`.
    fn new(seed: u64, definition: Value, desired: i32, further: Value) -> Self {
        let simulator = Simulator::new(Settings::seeded(seed));
        simulator.with_world(|world| {
            image("registry.example/app:good", 'a', Behaviour::Good)(world);
            image("registry.example/app:next", 'b', Behaviour::Good)(world);
            world.add_service(ServiceSpec::new("main", "app", definition, desired).with(further)).unwrap();
        });
        let client = Client::new(&simulator.sdk_config("AKIATEST"));
        Self { simulator, client }
    }

    fn image(&self, tag: &str, digit: char, behaviour: Behaviour) {
        self.simulator.with_world(image(&format!("registry.example/app:{tag}"), digit, behaviour));
    }

    fn definition(&self, raw: &Value) -> String {
        self.simulator.with_world(|world| world.add_task_definition(raw)).unwrap()
    }

    /// Updates the service to another task definition; the new service deployment's ARN.
    async fn deploy(&self, raw: &Value) -> String {
        let definition = self.definition(raw);
        let update = self.client.update_service().cluster("main").service("app").task_definition(definition);
        update.send().await.unwrap().service.unwrap().current_service_deployment.unwrap()
    }

    fn view(&self) -> ServiceView {
        self.simulator.with_world(|world| world.ecs.view("main", "app")).unwrap()
    }

    async fn service(&self) -> types::Service {
        let described = self.client.describe_services().cluster("main").services("app").send().await.unwrap();
        assert!(described.failures().is_empty());
        described.services.unwrap().remove(0)
    }

    async fn deployment(&self, arn: &str) -> types::ServiceDeployment {
        let described = self.client.describe_service_deployments().service_deployment_arns(arn).send().await.unwrap();
        described.service_deployments.unwrap().remove(0)
    }

    async fn wait(&self, seconds: u64) {
        self.simulator.clock().wait(Duration::from_secs(seconds)).await;
    }

    /// Waits until the service deployment has this status; the seconds that took. (Looks without calls, which cost
    /// more than all the rest.)
    async fn until(&self, arn: &str, status: &str) -> u64 {
        for waited in 0..3600 {
            let found = self.simulator.with_world(|world| {
                let (service, place) = world.ecs.service_deployment(arn).unwrap();
                service.history[place].status.as_str() == status
            });
            if found {
                return waited;
            }
            self.wait(1).await;
        }
        panic!("never {status}: {:#?}", self.deployment(arn).await);
    }

    /// The service's events, oldest first.
    async fn events(&self) -> Vec<String> {
        let service = self.service().await;
        service.events().iter().rev().filter_map(|event| event.message.clone()).collect()
    }

    /// From now on every state change is checked against both bounds.
    fn watch_bounds(&self) {
        self.simulator.with_world(|world| {
            world.watch(|world| {
                let view = world.ecs.view("main", "app").unwrap();
                let (lower, upper) = view.bounds;
                assert!(view.occupying() <= upper, "{} above {upper}", view.occupying());
                assert!(view.healthy() >= lower, "{} below {lower}", view.healthy());
                let shortfall = view.shortfall;
                let missing = i64::from(view.desired) - i64::try_from(view.healthy()).unwrap();
                let told = i64::from(shortfall.turnover + shortfall.other) - i64::from(shortfall.surplus);
                assert_eq!(missing, told, "{shortfall:?}");
            });
        });
    }
}
