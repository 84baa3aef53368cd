//! The door to the real world, and limits on how long a call through a door may take.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;

/// One attempt of a call. A region's slowest control-plane answers take a few seconds.
const ATTEMPT: Duration = Duration::from_secs(8);
/// One call with all its retries; after that its outcome is unknown and the world is looked at again.
pub const CALL: Duration = Duration::from_secs(25);

/// The door to the real world: credentials, region and endpoint come from where the AWS CLI takes them. With the
/// feature `tls` it speaks HTTPS, without it HTTP alone, which is enough for a simulated AWS.
pub async fn open() -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new();
    #[cfg(feature = "tls")]
    let http = {
        use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
        http.tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
    };
    #[cfg(not(feature = "tls"))]
    let http = http.build_http();
    aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await
}

/// The door, with limits on how long a call may take where it has none.
#[must_use]
pub fn limited(door: &SdkConfig) -> SdkConfig {
    if door.timeout_config().is_some_and(TimeoutConfig::has_timeouts) {
        return door.clone();
    }
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).operation_timeout(CALL).build();
    door.to_builder().timeout_config(timeouts).build()
}
