//! Input artifacts in S3, read with the credentials that come with a job.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::Client;
use aws_types::SdkConfig;

use crate::aws::codepipeline::{Artifact, JobCredentials};
use coalmine_door::AwsError;

/// The largest artifact that is read, 32 MiB: it is held in memory, and the file that matters in it is at most 100 KB.
pub const ARTIFACT_BYTES_MAX: u64 = 32 << 20;

const OPERATION: &str = "s3 GetObject";

/// Why an artifact was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is larger than [`ARTIFACT_BYTES_MAX`].
    #[error(
        "artifact {name} has {bytes} bytes; at most {ARTIFACT_BYTES_MAX} are read: give the action an artifact that holds imagedefinitions.json alone"
    )]
    TooLarge {
        /// The artifact's name.
        name: String,
        /// Its size.
        bytes: u64,
    },
    /// S3 gave no answer, or no.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl ReadError {
    /// Whether fresh credentials would help: a job's credentials last 15 minutes and do not say so.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        matches!(self, Self::Aws(error) if error.is("ExpiredToken") || error.is("ExpiredTokenException"))
    }
}

/// Reads an artifact.
///
/// # Errors
/// When it is too large or S3 does not give it.
pub async fn read(door: &SdkConfig, credentials: &JobCredentials, artifact: &Artifact) -> Result<Vec<u8>, ReadError> {
    let JobCredentials { access_key, secret_key, session_token } = credentials;
    let provider = Credentials::new(access_key, secret_key, Some(session_token.clone()), None, "codepipeline-job");
    let config = aws_sdk_s3::config::Builder::from(door)
        .credentials_provider(SharedCredentialsProvider::new(provider))
        // A custom endpoint is rarely reachable under a name per bucket.
        .force_path_style(door.endpoint_url().is_some())
        .build();
    read_with(&Client::from_conf(config), artifact).await
}

/// Reads an artifact with the credentials of the door, as operators' commands do.
///
/// # Errors
/// When it is too large or S3 does not give it.
pub async fn read_as_ourselves(door: &SdkConfig, artifact: &Artifact) -> Result<Vec<u8>, ReadError> {
    let config = aws_sdk_s3::config::Builder::from(door).force_path_style(door.endpoint_url().is_some()).build();
    read_with(&Client::from_conf(config), artifact).await
}

async fn read_with(client: &Client, artifact: &Artifact) -> Result<Vec<u8>, ReadError> {
    let output = client
        .get_object()
        .bucket(&artifact.bucket)
        .key(&artifact.key)
        .send()
        .await
        .map_err(|error| AwsError::of(OPERATION, &error))?;
    let too_large = |bytes| ReadError::TooLarge { name: artifact.name.clone(), bytes };
    let announced = output.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
    if announced > ARTIFACT_BYTES_MAX {
        return Err(too_large(announced));
    }
    let mut body = output.body;
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.map_err(|problem| AwsError::unusable(OPERATION, problem.to_string()))?);
        let read = bytes.len() as u64;
        if read > ARTIFACT_BYTES_MAX {
            return Err(too_large(read));
        }
    }
    Ok(bytes)
}
