//! The custom action types: what a pipeline definition may say to Coalmine, defined once.
//!
//! From these definitions come the configuration parser ([`config`](crate::config)), `contract.json`, the README's table
//! and the simulator's form.
//!
//! CodePipeline cannot change a custom action type. A changed definition is a new [`ActionType`] with a higher
//! [`version`](ActionType::version) beside the old one, for as long as pipelines still use that; the worker polls every
//! version in [`ALL`]. A test compares the definitions with the committed `contract.json`.

mod common;
mod deploy;
mod later;
mod rollback;
#[cfg(test)]
mod tests;

pub(crate) use self::common::{ALARMS, CLUSTER, POOL};
pub(crate) use self::deploy::{
    BATCH, CANARY_BAKE_TIME, CANARY_SERVICE, CANARY_SERVICE_OF_FULL, CANARY_TEMPLATE_FAMILY, CAPACITY, FULL_BAKE_TIME,
    FULL_SERVICE, FULL_SERVICE_OF_CANARY, FULL_TEMPLATE_FAMILY,
};
pub use self::deploy::{CANARY, FULL};
pub use self::later::TASK;
pub use self::rollback::ROLLBACK;
pub(crate) use self::rollback::{SERVICES, TO};

use std::fmt;

use crate::options::OptionKey;
use crate::variables::OutputVariable;

/// Every action type in every version, also those that no worker runs yet.
pub const ALL: &[&ActionType] = &[&CANARY, &FULL, &ROLLBACK, &TASK];

/// The action types that a worker of this version runs: those to provision and to poll.
pub fn implemented() -> impl Iterator<Item = &'static ActionType> {
    ALL.iter().copied().filter(|action| action.implemented)
}

/// The implemented action type with this provider and version, as they stand in a job's `actionTypeId`.
pub fn find(provider: &str, version: &str) -> Option<&'static ActionType> {
    implemented().find(|action| action.provider == provider && action.version == version)
}

/// A custom action type (CodePipeline: `CreateCustomActionType`; its owner is always `Custom`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionType {
    /// CodePipeline's category; `Deploy` everywhere.
    pub category: &'static str,
    /// The provider, at most 25 characters of `[A-Za-z0-9_-]`.
    pub provider: &'static str,
    /// The version, a string of 1–9 characters. A changed definition raises it.
    pub version: &'static str,
    /// Whether a worker runs it. Others are reserved: not in `contract.json`, not polled.
    pub implemented: bool,
    /// What it does, for the documentation; AWS does not see it.
    pub description: &'static str,
    /// Where the console links to from the action, with `{Config:Name}` for required properties that are not secret.
    pub entity_url_template: Option<&'static str>,
    /// Where the console links to from one execution, `{ExternalExecutionId}` included where it is wanted.
    pub execution_url_template: Option<&'static str>,
    /// The configuration, at most ten properties (CodePipeline: `ActionConfigurationPropertyList`).
    pub properties: &'static [Property],
    /// How many input artifacts it takes.
    pub input_artifacts: ArtifactCount,
    /// How many output artifacts it gives.
    pub output_artifacts: ArtifactCount,
    /// The keys that its property `Options` knows.
    pub options: &'static [OptionKey],
    /// The output variables of a success.
    pub output_variables: &'static [OutputVariable],
}

impl ActionType {
    /// The property of this name (case matters, as at CodePipeline).
    pub fn property(&self, name: &str) -> Option<&'static Property> {
        self.properties.iter().find(|property| property.name == name)
    }
}

/// As CodePipeline's ARNs spell it: `Deploy/Coalmine-Canary/1`.
impl fmt::Display for ActionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.category, self.provider, self.version)
    }
}

/// How many artifacts an action takes or gives (CodePipeline: 0–5 each).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArtifactCount {
    /// At least so many.
    pub minimum: u32,
    /// At most so many.
    pub maximum: u32,
}

/// One property of a configuration (CodePipeline: `ActionConfigurationProperty`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Property {
    /// The name, 1–50 characters.
    pub name: &'static str,
    /// Whether a pipeline has to set it.
    pub required: bool,
    /// Whether it says *what* the action works on (AWS: "is a key").
    pub key: bool,
    /// Whether CodePipeline hides the value. Ours never hold secrets: every poller of an action type could read them.
    pub secret: bool,
    /// Whether `PollForJobs` selects by it. At most one per type: required, not secret, value ≤ 20 characters.
    pub queryable: bool,
    /// The type of the value.
    pub kind: Kind,
    /// What it means, 1–160 characters; the console shows it.
    pub description: &'static str,
    /// What holds if a pipeline does not set it. Ours alone: CodePipeline has no defaults.
    pub default: Option<&'static str>,
    /// What a value looks like, a phrase for messages: `a share such as 10%`.
    pub expected: &'static str,
    /// Whether this version can obey it. A reserved property is in the definition, which can never grow, and is refused
    /// in words where it is set. Its description says nothing of that, because it could not be changed later.
    pub available: bool,
}

/// The type of a property's value (CodePipeline: `ActionConfigurationPropertyType`). Values always travel as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
}

impl Kind {
    /// CodePipeline's name of the type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::Number => "Number",
            Self::Boolean => "Boolean",
        }
    }
}

impl Property {
    /// A property that may be left out.
    const fn optional(name: &'static str, expected: &'static str, description: &'static str) -> Self {
        Self {
            name,
            required: false,
            key: false,
            secret: false,
            queryable: false,
            kind: Kind::String,
            description,
            default: None,
            expected,
            available: true,
        }
    }

    /// A property that has to be set and says what the action works on.
    const fn required_key(name: &'static str, expected: &'static str, description: &'static str) -> Self {
        Self { required: true, key: true, ..Self::optional(name, expected, description) }
    }

    const fn with_default(self, value: &'static str) -> Self {
        Self { default: Some(value), ..self }
    }

    const fn reserved(self) -> Self {
        Self { available: false, ..self }
    }
}
