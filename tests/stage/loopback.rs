//! The real HTTP client, on the loopback socket.

use std::time::Duration;

use aws_types::SdkConfig;
use simulator::Simulator;
use simulator::ecs::Pace;

/// A door through the socket at which a simulator is served.
pub(crate) fn loopback(simulator: &Simulator, access_key: &str, endpoint: &str) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new().build_http();
    simulator.door(access_key).endpoint_url(endpoint).http_client(http).build()
}

/// The pace of an ECS on which real time is measured: everything takes some tenths of a second.
pub(crate) fn brisk() -> Pace {
    let some = || Duration::from_millis(100)..=Duration::from_millis(400);
    Pace {
        scheduler: some(),
        provisioning: some(),
        pending: some(),
        activating: some(),
        checks: some(),
        unchecked: Duration::from_millis(500),
        deregistration: Duration::from_millis(200),
        stopping: some(),
        deprovisioning: some(),
        deployment: some(),
        ..Pace::default()
    }
}
