//! `Coalmine-Rollback`, which returns a group of services to an earlier release.

use super::common::{self, CLUSTER, OPTIONS, POOL};
use super::{ActionType, Property};
use crate::options;
use crate::variables;

/// The services of the cluster in the ECS console.
const CLUSTER_URL: &str = "https://console.aws.amazon.com/ecs/v2/clusters/{Config:Cluster}/services";

pub(crate) const SERVICES: Property = Property::required_key(
    "Services",
    "1 to 30 names or ARNs of ECS services, separated by commas, each once",
    "The full services to return, by name or ARN, separated by commas, at most 30. Their canaries go with them.",
);

pub(crate) const TO: Property = Property::optional(
    "To",
    "last, -1, -2 and so on, or the id of a release",
    "last: the last release that succeeded on each service before the present one; -2: the one before; or a release's id.",
)
.with_default("last");

/// Returns a group of services to an earlier release.
pub const ROLLBACK: ActionType = ActionType {
    category: common::CATEGORY,
    provider: "Coalmine-Rollback",
    version: "1",
    implemented: true,
    description: "returns a group of services to an earlier release",
    entity_url_template: Some(CLUSTER_URL),
    execution_url_template: Some(common::PIPELINES_URL),
    properties: &[POOL, CLUSTER, SERVICES, TO, OPTIONS],
    input_artifacts: common::NONE,
    output_artifacts: common::NONE,
    options: options::ROLLBACK_KEYS,
    output_variables: variables::ROLLBACK,
};
