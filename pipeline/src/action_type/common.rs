//! Properties that several action types share.

use super::{ArtifactCount, Property};

pub(super) const CATEGORY: &str = "Deploy";

/// No artifacts at all.
pub(super) const NONE: ArtifactCount = ArtifactCount { minimum: 0, maximum: 0 };

/// One artifact, or none where the image comes as an option.
pub(super) const AT_MOST_ONE: ArtifactCount = ArtifactCount { minimum: 0, maximum: 1 };

/// The service in the ECS console. Works where `Cluster` and `Service` are names; an installation outside of the
/// standard partition sets its own.
pub(super) const SERVICE_URL: &str =
    "https://console.aws.amazon.com/ecs/v2/clusters/{Config:Cluster}/services/{Config:Service}/deployments";

/// The pipelines in the console: an action type does not know its pipeline. A status page of one's own takes its place.
pub(super) const PIPELINES_URL: &str = "https://console.aws.amazon.com/codesuite/codepipeline/pipelines";

pub(crate) const POOL: Property = Property {
    queryable: true,
    ..Property::required_key(
        "Pool",
        "1 to 20 letters, digits, _ or -, the pool of the workers that should take the job",
        "The pool of workers that takes this action, 1 to 20 letters, digits, _ or -. A worker sees the jobs of its own pool only.",
    )
};

pub(crate) const CLUSTER: Property = Property::required_key(
    "Cluster",
    "the name of an ECS cluster (1 to 255 letters, digits, _ or -) or its ARN",
    "The ECS cluster, by name or ARN.",
);

pub(crate) const ALARMS: Property = Property::optional(
    "Alarms",
    "1 to 100 names of CloudWatch alarms, separated by commas, each once",
    "Names of CloudWatch alarms, separated by commas, at most 100. While one of them is in ALARM the release does not go on.",
);

pub(super) const OPTIONS: Property = Property::optional(
    "Options",
    "key=value pairs separated by commas",
    "Rarely used settings as key=value, separated by commas. Unknown keys are refused; the README lists the known ones.",
);
