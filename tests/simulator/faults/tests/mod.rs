//! Faults, seen through the real SDK.

mod consistency;
mod death;
mod freeze;
mod loopback;
mod lost;
mod pages;
mod rules;

use std::time::Duration;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::operation::describe_services::DescribeServicesOutput;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use serde_json::{Value, json};

use super::{Fault, FaultPlan, Freeze, Moment, Rule};
use crate::ecr::{Behaviour, Pulled};
use crate::ecs::ServiceSpec;
use crate::{Service, Settings, Simulator, Skew};

const CALLER: &str = "AKIAWORKER";

/// A cluster `main` with the services `a`, `b` and `c`, one task each.
fn account() -> Simulator {
    let simulator = Simulator::new(Settings::seeded(11));
    simulator.with_world(|world| {
        let digest = format!("sha256:{}", "a".repeat(64));
        let pulled = Pulled { digest: digest.clone(), platform_digest: digest, behaviour: Behaviour::Good };
        world.add_public_image("registry.example/app:v1", pulled);
        for name in ["a", "b", "c"] {
            world.add_service(ServiceSpec::new("main", name, definition(name), 1)).unwrap();
        }
    });
    simulator
}

fn definition(family: &str) -> Value {
    json!({
        "family": family, "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
        "containerDefinitions": [{ "name": "app", "image": "registry.example/app:v1", "essential": true }],
    })
}

/// A door with a worker's limits: 8 s an attempt, 25 s a call.
fn limited(door: &SdkConfig) -> SdkConfig {
    let seconds = Duration::from_secs;
    let limits = TimeoutConfig::builder().operation_attempt_timeout(seconds(8)).operation_timeout(seconds(25)).build();
    door.to_builder().timeout_config(limits).build()
}

/// ECS without retries, so that each call is one.
fn once(simulator: &Simulator) -> Client {
    let door = limited(&simulator.sdk_config(CALLER));
    Client::new(&door.to_builder().retry_config(RetryConfig::disabled()).build())
}

/// ECS with the SDK's own retries.
fn patient(simulator: &Simulator) -> Client {
    Client::new(&limited(&simulator.sdk_config(CALLER)))
}

/// Asks for so many tasks of service `a`.
async fn scale(client: &Client, desired: i32) -> Result<(), String> {
    let update = client.update_service().cluster("main").service("a").desired_count(desired);
    update.send().await.map(drop).map_err(|error| told(&error))
}

async fn describe(client: &Client) -> DescribeServicesOutput {
    let services = ["a", "b", "c"].map(str::to_owned).to_vec();
    client.describe_services().cluster("main").set_services(Some(services)).send().await.unwrap()
}

/// What the world has, without a call.
fn desired(simulator: &Simulator) -> u32 {
    simulator.with_world(|world| world.ecs.view("main", "a")).unwrap().desired
}

/// An error in a word: its code, or what became of the connection.
fn told<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    match error {
        SdkError::ServiceError(error) => error.err().code().unwrap_or("none").to_owned(),
        SdkError::TimeoutError(_) => "own time-out".into(),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "connection's time-out".into(),
        SdkError::DispatchFailure(failure) if failure.is_io() => "reset".into(),
        _ => "something else".into(),
    }
}

/// How long something took, in whole simulated seconds.
async fn seconds<T>(simulator: &Simulator, what: impl Future<Output = T>) -> (T, u64) {
    let begin = simulator.clock().now();
    let outcome = what.await;
    (outcome, simulator.clock().now().duration_since(begin).unwrap().as_secs())
}

/// The error column of the call log, for calls of one operation.
fn errors(simulator: &Simulator, operation: &str) -> Vec<String> {
    simulator.with_calls(|calls| {
        let records = calls.records.iter().filter(|record| record.operation == operation);
        records.map(|record| record.error.clone().unwrap_or_default()).collect()
    })
}
