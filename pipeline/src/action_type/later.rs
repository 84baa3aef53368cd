//! `Coalmine-Task`: designed, not yet run by any worker. Its definition may change freely until it is implemented, because
//! nobody has provisioned it.

use super::common::{self, OPTIONS, POOL};
use super::{ActionType, Property};

/// Runs a one-off task, such as a migration, and streams its logs.
pub const TASK: ActionType = ActionType {
    category: common::CATEGORY,
    provider: "Coalmine-Task",
    version: "1",
    implemented: false,
    description: "runs a one-off task (a migration) in one or many environments, streams its logs",
    entity_url_template: None,
    execution_url_template: Some(common::PIPELINES_URL),
    properties: &[
        POOL,
        Property::required_key(
            "Environments",
            "names separated by commas",
            "The environments in which the task runs, separated by commas.",
        ),
        Property::required_key("TaskDefinition", "a family or family:revision", "The task definition to run."),
        Property::optional("Container", "a container's name", "The container that runs the command."),
        Property::optional("Command", "a command", "The command to run instead of the container's own."),
        Property::optional(
            "NetworkFrom",
            "the name of an ECS service",
            "The service whose subnets and security groups the task uses.",
        ),
        Property::optional("Timeout", "a duration such as 10m or 2h", "How long the task may run, such as 10m or 2h."),
        OPTIONS,
    ],
    input_artifacts: common::AT_MOST_ONE,
    output_artifacts: common::NONE,
    options: &[],
    output_variables: &[],
};
