//! The door to the real world, and limits on how long a call through a door may take.

use std::time::Duration;

use aws_config::{BehaviorVersion, ConfigLoader};
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;

/// One attempt of a call. A region's slowest control-plane answers take a few seconds.
const ATTEMPT: Duration = Duration::from_secs(8);
/// One call with all its retries; after that its outcome is unknown and the world is looked at again.
pub const CALL: Duration = Duration::from_secs(25);

/// The door to the real world: credentials, region and endpoint come from where the AWS CLI takes them. With the
/// feature `tls` it speaks HTTPS, without it HTTP alone, which is enough for a simulated AWS.
pub async fn open() -> SdkConfig {
    loader().load().await
}

fn loader() -> ConfigLoader {
    let http = aws_smithy_http_client::Builder::new();
    #[cfg(feature = "tls")]
    let http = {
        use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
        http.tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
    };
    #[cfg(not(feature = "tls"))]
    let http = http.build_http();
    aws_config::defaults(BehaviorVersion::latest()).http_client(http)
}

/// The door, with limits on how long a call may take where it has none: the door to the real world comes with one for the
/// connection alone.
#[must_use]
pub fn limited(door: &SdkConfig) -> SdkConfig {
    let mut timeouts = door.timeout_config().map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder);
    let own = timeouts.clone().build();
    timeouts.set_operation_timeout(own.operation_timeout().or(Some(CALL)));
    timeouts.set_operation_attempt_timeout(own.operation_attempt_timeout().or(Some(ATTEMPT)));
    door.to_builder().timeout_config(timeouts.build()).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call without an end would outlive the lease under which it began, and hold the ledger's lock for ever.
    #[tokio::test]
    async fn a_call_to_the_real_world_ends_in_time() {
        let door = loader().region(aws_types::region::Region::new("eu-central-1")).load().await;
        let limits = limited(&door).timeout_config().cloned().expect("limits");
        assert_eq!((limits.operation_attempt_timeout(), limits.operation_timeout()), (Some(ATTEMPT), Some(CALL)));
        assert!(limits.connect_timeout().is_some(), "what the SDK itself sets stays");
    }

    #[test]
    fn limits_that_a_door_has_are_kept() {
        let own = TimeoutConfig::builder().operation_timeout(Duration::from_secs(3)).build();
        let door = SdkConfig::builder().timeout_config(own).build();
        let limits = limited(&door).timeout_config().cloned().expect("limits");
        let expected = (Some(ATTEMPT), Some(Duration::from_secs(3)));
        assert_eq!((limits.operation_attempt_timeout(), limits.operation_timeout()), expected);
    }
}
