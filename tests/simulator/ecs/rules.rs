//! AWS's refusals that several operations share.

use aws_sdk_ecs::types::{self, error};
use aws_smithy_types::DateTime;
use std::time::SystemTime;

use super::model::Definition;
use crate::{Answer, ErrorReply};

/// `InvalidParameterException`.
pub(super) fn invalid_parameter(message: impl Into<String>) -> ErrorReply {
    ErrorReply::of(&error::InvalidParameterException::builder().message(message.into()).build())
}

/// `ClientException`.
pub(super) fn client_error(message: impl Into<String>) -> ErrorReply {
    ErrorReply::of(&error::ClientException::builder().message(message.into()).build())
}

/// `UnsupportedFeatureException`, for what AWS has and the simulator has not.
pub(super) fn not_simulated(what: &str) -> ErrorReply {
    ErrorReply::of(
        &error::UnsupportedFeatureException::builder().message(format!("The simulator has no {what}.")).build(),
    )
}

/// The date as the SDK's shapes hold it.
pub(super) fn date(at: SystemTime) -> DateTime {
    DateTime::from(at)
}

/// Lists of names or ARNs: at least one, at most so many.
pub(super) fn count(name: &str, items: usize, most: usize) -> Answer<()> {
    match items {
        0 => Err(invalid_parameter(format!("{name} cannot be empty."))),
        items if items > most => Err(invalid_parameter(format!("{name} can have at most {most} items."))),
        _ => Ok(()),
    }
}

/// Where tasks of a definition may run: by launch type or by strategy, and in a network where the definition has one.
pub(super) fn placement(
    definition: &Definition,
    launch_type: Option<&types::LaunchType>,
    strategy: &[types::CapacityProviderStrategyItem],
    network: Option<&types::NetworkConfiguration>,
) -> Answer<()> {
    if !strategy.is_empty() && launch_type.is_some() {
        return Err(invalid_parameter(
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.",
        ));
    }
    let awsvpc = definition.known.network_mode == Some(types::NetworkMode::Awsvpc);
    if awsvpc != network.is_some() {
        return Err(invalid_parameter(if awsvpc {
            "Network Configuration must be provided when networkMode 'awsvpc' is specified."
        } else {
            "Network Configuration is not valid for the given networkMode of this task definition."
        }));
    }
    Ok(())
}

/// Names of clusters, services and families: up to 255 letters, digits, `-` and `_`.
pub(super) fn is_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Tags of one resource: at most fifty, keys up to 128 and values up to 256 characters, no `aws:`, no key twice.
pub(super) fn tags(tags: &[types::Tag]) -> Answer<()> {
    if tags.len() > 50 {
        return Err(invalid_parameter("The maximum number of tags is 50."));
    }
    for (place, tag) in tags.iter().enumerate() {
        let (key, value) = (tag.key().unwrap_or_default(), tag.value().unwrap_or_default());
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(invalid_parameter(format!("Invalid tag: {key}.")));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid_parameter("aws: prefixed tag key names are not allowed for external use."));
        }
        if tags.iter().take(place).any(|other| other.key() == Some(key)) {
            return Err(invalid_parameter(format!("Duplicate tag keys found: {key}.")));
        }
    }
    Ok(())
}
