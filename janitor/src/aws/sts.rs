//! AWS STS: whose credentials these are.

use aws_types::SdkConfig;
use coalmine_door::AwsError;

/// The account of a door's credentials.
///
/// # Errors
/// When STS cannot be asked, or does not tell.
pub async fn account(door: &SdkConfig) -> Result<String, AwsError> {
    const OPERATION: &str = "sts GetCallerIdentity";
    let sent = aws_sdk_sts::Client::new(door).get_caller_identity().send().await;
    let output = sent.map_err(|error| AwsError::of(OPERATION, &error))?;
    output.account.ok_or_else(|| AwsError::unusable(OPERATION, "no account"))
}
