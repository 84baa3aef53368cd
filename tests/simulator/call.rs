//! One call, as a handler sees it.

use std::time::SystemTime;

use serde_json::Value;

use crate::world::World;

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
    /// AWS Lambda, REST JSON.
    Lambda,
    /// AWS CodeBuild, JSON 1.1.
    CodeBuild,
    /// Amazon EventBridge, JSON 1.1.
    EventBridge,
    /// Amazon EventBridge Scheduler, REST JSON.
    Scheduler,
    /// AWS STS, query and XML.
    Sts,
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
            "CodeBuild_20161006" => Self::CodeBuild,
            "AWSEvents" => Self::EventBridge,
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
            Self::Lambda => "lambda",
            Self::CodeBuild => "codebuild",
            Self::EventBridge => "events",
            Self::Scheduler => "scheduler",
            Self::Sts => "sts",
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
    /// The account that is called: the caller's, or that of the role it has assumed.
    pub account: String,
    /// The region that is called.
    pub region: String,
    /// The caller's ARN.
    pub principal: String,
    /// The request's JSON, with members that the SDK does not know. `Null` for S3.
    pub raw: Value,
}

impl Call {
    /// A call that comes from inside, as stories make it.
    pub(crate) fn from_inside(world: &World, service: Service, operation: &str, caller: &str, raw: Value) -> Self {
        Self {
            at: world.now,
            service,
            operation: operation.to_owned(),
            access_key: caller.to_owned(),
            account: world.account.clone(),
            region: world.region.clone(),
            principal: format!("arn:aws:iam::{}:user/{caller}", world.account),
            raw,
        }
    }
}
