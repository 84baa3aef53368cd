//! One call, as a handler sees it.

use std::time::SystemTime;

use serde_json::Value;

/// The simulated services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// AWS CodePipeline, JSON 1.1 (and CBOR, which newer clients send).
    CodePipeline,
    /// Amazon ECS, JSON 1.1.
    Ecs,
    /// Amazon ECR, JSON 1.1.
    Ecr,
    /// Amazon S3, REST XML.
    S3,
    /// CloudWatch, CBOR or JSON 1.0.
    CloudWatch,
    /// CloudWatch Logs, JSON 1.1.
    Logs,
}

impl Service {
    /// The service of an `X-Amz-Target` prefix or of a CBOR path.
    #[must_use]
    pub fn of_target(prefix: &str) -> Option<Self> {
        Some(match prefix {
            "CodePipeline_20150709" => Self::CodePipeline,
            "AmazonEC2ContainerServiceV20141113" => Self::Ecs,
            "AmazonEC2ContainerRegistry_V20150921" => Self::Ecr,
            "GraniteServiceVersion20100801" => Self::CloudWatch,
            "Logs_20140328" => Self::Logs,
            _ => return None,
        })
    }

    /// The name that botocore and the call log use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CodePipeline => "codepipeline",
            Self::Ecs => "ecs",
            Self::Ecr => "ecr",
            Self::S3 => "s3",
            Self::CloudWatch => "cloudwatch",
            Self::Logs => "logs",
        }
    }
}

/// Who calls, when, and the request as it came.
#[derive(Clone, Debug)]
pub struct Call {
    /// When the request reached the service.
    pub at: SystemTime,
    /// The service called.
    pub service: Service,
    /// The operation's name, `PollForJobs`.
    pub operation: String,
    /// The access key that signed the request; empty where it is unsigned.
    pub access_key: String,
    /// The request's JSON, with members that the SDK does not know. `Null` for S3.
    pub raw: Value,
}
