//! `Coalmine-Canary` and `Coalmine-Full`, which together release to one application.

use super::common::{self, ALARMS, CLUSTER, OPTIONS, POOL};
use super::{ActionType, Property};
use crate::options;
use crate::variables;

const SERVICE_NAME: &str = "the name of an ECS service (1 to 255 letters, digits, _ or -) or its ARN";
const DURATION: &str = "a duration such as 90s, 10m, 2h or 1h30m";
const FAMILY: &str = "the family of a task definition (1 to 255 letters, digits, _ or -), without a revision";

pub(crate) const CANARY_SERVICE: Property = Property::required_key(
    "Service",
    SERVICE_NAME,
    "The canary service, by name or ARN. The release is deployed to it.",
);

pub(crate) const FULL_SERVICE_OF_CANARY: Property = Property::required_key(
    "FullService",
    SERVICE_NAME,
    "The full service of the same application, by name or ARN. It is looked at, never changed.",
);

pub(crate) const CAPACITY: Property = Property::optional(
    "Capacity",
    "a number of tasks from 1 to 5000 or a share such as 10%",
    "Size of the canary: a number of tasks, or a share such as 10% of all tasks, canary and full service together.",
)
.with_default("1");

pub(crate) const CANARY_BAKE_TIME: Property = Property::optional(
    "BakeTime",
    DURATION,
    "How long the canary has to stay well before the action succeeds, such as 90s, 5m or 1h30m.",
)
.with_default("5m");

pub(crate) const CANARY_TEMPLATE_FAMILY: Property = Property::optional(
    "TemplateFamily",
    FAMILY,
    "Family whose newest revision is the template of the release. Without it: the revision that the canary service runs.",
);

/// Deploys a release to the canary service, judges it and holds it there.
pub const CANARY: ActionType = ActionType {
    category: common::CATEGORY,
    provider: "Coalmine-Canary",
    version: "1",
    implemented: true,
    description: "deploys the release to the canary service, judges it, holds",
    entity_url_template: Some(common::SERVICE_URL),
    execution_url_template: Some(common::PIPELINES_URL),
    properties: &[
        POOL,
        CLUSTER,
        CANARY_SERVICE,
        FULL_SERVICE_OF_CANARY,
        CAPACITY,
        CANARY_BAKE_TIME,
        ALARMS,
        CANARY_TEMPLATE_FAMILY,
        Property::optional(
            "Verify",
            "a comparison of metrics",
            "Metrics of the canary to compare with those of the full service.",
        )
        .reserved(),
        OPTIONS,
    ],
    input_artifacts: common::AT_MOST_ONE,
    output_artifacts: common::NONE,
    options: options::CANARY_KEYS,
    output_variables: variables::DEPLOYMENT,
};

pub(crate) const FULL_SERVICE: Property = Property::required_key(
    "Service",
    SERVICE_NAME,
    "The full service, by name or ARN. Its tasks are replaced batch by batch.",
);

pub(crate) const CANARY_SERVICE_OF_FULL: Property = Property::required_key(
    "CanaryService",
    SERVICE_NAME,
    "The canary service of the same application, by name or ARN. It is judged once more, and restored after a failure.",
);

pub(crate) const FULL_TEMPLATE_FAMILY: Property = Property::optional(
    "TemplateFamily",
    FAMILY,
    "Family whose revision is the template of the release; the one that the canary used. Without it: the running revision.",
);

pub(crate) const BATCH: Property = Property::optional(
    "Batch",
    "a share from 0.1% to 100% such as 10%",
    "Share of the tasks that are replaced at a time, such as 10%; at least one task.",
)
.with_default("10%");

pub(crate) const FULL_BAKE_TIME: Property = Property::optional(
    "BakeTime",
    DURATION,
    "How long the service has to stay well after its last batch before the action succeeds, such as 90s, 5m or 1h30m.",
)
.with_default("2m");

/// Turns the full service over to the release, batch by batch.
pub const FULL: ActionType = ActionType {
    category: common::CATEGORY,
    provider: "Coalmine-Full",
    version: "1",
    implemented: true,
    description: "turns the full service over to the release, batch by batch",
    entity_url_template: Some(common::SERVICE_URL),
    execution_url_template: Some(common::PIPELINES_URL),
    properties: &[
        POOL,
        CLUSTER,
        FULL_SERVICE,
        CANARY_SERVICE_OF_FULL,
        FULL_TEMPLATE_FAMILY,
        BATCH,
        Property::optional(
            "Ramp",
            "a list of steps",
            "Steps in which queue workers are turned over, each with a pause.",
        )
        .reserved(),
        FULL_BAKE_TIME,
        ALARMS,
        OPTIONS,
    ],
    input_artifacts: common::AT_MOST_ONE,
    output_artifacts: common::NONE,
    options: options::FULL_KEYS,
    output_variables: variables::DEPLOYMENT,
};
