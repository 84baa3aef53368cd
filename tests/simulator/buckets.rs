//! AWS's token buckets: how many calls a second a category of actions admits.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::call::{Call, Service};
use crate::error::{Answer, ErrorReply};

/// Burst and refill per second.
#[derive(Clone, Copy, Debug)]
struct Rate {
    burst: f64,
    refill: f64,
}

const fn rate(burst: u32, refill: u32) -> Rate {
    Rate { burst: burst as f64, refill: refill as f64 }
}

/// The category of an action and its rate. ECS: "Request throttling for the Amazon ECS API"; CloudWatch: its quota
/// page. What AWS does not publish is given a cautious guess, so that a careless caller is noticed.
fn category(service: Service, operation: &str) -> Option<(&'static str, Rate)> {
    Some(match (service, operation) {
        (Service::Ecs, "RegisterTaskDefinition" | "DeregisterTaskDefinition") => {
            ("task definition modify", rate(20, 1))
        }
        (Service::Ecs, "DescribeTaskDefinition" | "ListTaskDefinitions" | "ListTaskDefinitionFamilies") => {
            ("task definition read", rate(50, 20))
        }
        (Service::Ecs, "CreateService" | "UpdateService" | "DeleteService") => ("service modify", rate(50, 5)),
        (Service::Ecs, "DescribeServices" | "ListServices") => ("service read", rate(100, 20)),
        (Service::Ecs, "DescribeServiceDeployments" | "ListServiceDeployments") => ("service deployment", rate(50, 20)),
        // Not in AWS's table: assumed to share the slowest of the service buckets.
        (Service::Ecs, "StopServiceDeployment" | "ContinueServiceDeployment") => ("service stop", rate(20, 5)),
        (Service::Ecs, "DescribeServiceRevisions") => ("service revision", rate(50, 20)),
        (Service::Ecs, "DescribeTasks" | "ListTasks") => ("cluster resource read", rate(100, 20)),
        (Service::Ecs, "RunTask" | "StopTask") => ("cluster resource modify", rate(100, 40)),
        // Not in AWS's table either: assumed to have a bucket of their own, as services have.
        (Service::Ecs, "ListDaemons" | "DescribeDaemon" | "DescribeDaemonRevisions") => ("daemon read", rate(50, 20)),
        (Service::Ecs, "ListDaemonTaskDefinitions" | "DescribeDaemonTaskDefinition") => {
            ("daemon definition read", rate(50, 20))
        }
        (Service::Ecs, "DescribeClusters" | "ListClusters") => ("cluster read", rate(50, 20)),
        (Service::Ecs, "CreateCluster" | "UpdateCluster" | "DeleteCluster") => ("cluster modify", rate(20, 1)),
        (Service::Ecs, "TagResource" | "UntagResource") => ("tag modify", rate(20, 10)),
        (Service::Ecs, "ListTagsForResource") => ("tag read", rate(50, 20)),
        (Service::CloudWatch, "DescribeAlarms") => ("alarm read", rate(9, 9)),
        // CodePipeline publishes no rate: assumed for the account as a whole.
        (Service::CodePipeline, "PollForJobs") => ("job poll", rate(30, 10)),
        (Service::CodePipeline, _) => ("pipeline", rate(30, 10)),
        (Service::Ecr, "BatchGetImage") => ("image read", rate(2000, 2000)),
        (Service::Ecr, "PutImage") => ("image put", rate(10, 10)),
        (Service::Ecr, "UploadLayerPart") => ("layer part", rate(500, 500)),
        (Service::Ecr, "InitiateLayerUpload" | "CompleteLayerUpload") => ("layer upload", rate(100, 100)),
        // ECR publishes no rates of these: assumed, deletions as slow as PutImage, and all else in one bucket.
        (Service::Ecr, "BatchDeleteImage") => ("image delete", rate(20, 10)),
        (Service::Ecr, _) => ("registry read", rate(50, 20)),
        _ => return None,
    })
}

/// The fill of every bucket of one account and region.
#[derive(Debug, Default)]
pub struct Buckets {
    fill: BTreeMap<&'static str, (f64, Option<SystemTime>)>,
}

impl Buckets {
    /// Takes one token, or answers `ThrottlingException`.
    ///
    /// # Errors
    /// When the bucket of the call's category is empty.
    pub fn take(&mut self, call: &Call) -> Answer<()> {
        let Some((name, rate)) = category(call.service, &call.operation) else { return Ok(()) };
        let (fill, last) = self.fill.entry(name).or_insert((rate.burst, None));
        let elapsed = last.and_then(|last| call.at.duration_since(last).ok()).unwrap_or_default();
        *fill = (*fill + elapsed.as_secs_f64() * rate.refill).min(rate.burst);
        *last = Some(call.at);
        if *fill < 1.0 {
            return Err(ErrorReply::new("ThrottlingException", "Rate exceeded"));
        }
        *fill -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::time::Duration;

    fn register(after: Duration) -> Call {
        Call {
            at: SystemTime::UNIX_EPOCH + after,
            service: Service::Ecs,
            operation: "RegisterTaskDefinition".into(),
            access_key: String::new(),
            account: String::new(),
            region: String::new(),
            principal: String::new(),
            raw: Value::Null,
        }
    }

    #[test]
    fn a_burst_empties_the_bucket_and_a_second_refills_one_token() {
        let mut buckets = Buckets::default();
        for _ in 0..20 {
            buckets.take(&register(Duration::ZERO)).unwrap();
        }
        assert_eq!(buckets.take(&register(Duration::ZERO)).unwrap_err().code, "ThrottlingException");
        buckets.take(&register(Duration::from_secs(1))).unwrap();
        assert!(buckets.take(&register(Duration::from_secs(1))).is_err());
    }
}
