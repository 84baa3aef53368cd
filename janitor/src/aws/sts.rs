//! AWS STS: whose credentials these are, and AWS's date.

use aws_types::SdkConfig;
use coalmine_door::AwsError;
use coalmine_door::clock::Time;
use coalmine_door::dated::Dated;

/// What AWS says of a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account of its credentials.
    pub account: String,
    /// AWS's date when it answered; `None` where the answer bears none.
    pub date: Option<Time>,
}

/// Asks whose a door's credentials are.
///
/// # Errors
/// When STS cannot be asked, or does not tell.
pub async fn identity(door: &SdkConfig) -> Result<Identity, AwsError> {
    const OPERATION: &str = "sts GetCallerIdentity";
    let dated = Dated::default();
    let request = aws_sdk_sts::Client::new(door).get_caller_identity().customize().interceptor(dated.clone());
    let output = request.send().await.map_err(|error| AwsError::of(OPERATION, &error))?;
    let account = output.account.ok_or_else(|| AwsError::unusable(OPERATION, "no account"))?;
    Ok(Identity { account, date: dated.date() })
}
