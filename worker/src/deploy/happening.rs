//! What can happen to a release on one of its services: what the ledger keeps, and what others are told.

use std::collections::BTreeMap;

use coalmine_pipeline::limits::cut;
use serde::{Deserialize, Serialize};

use crate::deploy::message::printable_lines;
use crate::deploy::revision::Revision;

/// The longest reason that is kept and told, in characters.
pub const REASON_CHARS_MAX: usize = 1_000;

/// Where a release stands on one service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The service is told to run it.
    #[default]
    Deploying,
    /// The canary runs it and is well: people look and decide.
    Held,
    /// Every task of the service runs it.
    Deployed,
    /// It was refused or is not well, or its service was told to go back from it and did not come back; what the service
    /// runs, the reason says.
    Failed,
    /// The canary is on its way back, because nobody will turn the release over any more.
    Restoring,
    /// The canary is back.
    Restored,
    /// People told the service to go back from it to an earlier release.
    RollingBack,
    /// The service is back.
    RolledBack,
}

impl State {
    /// Every state, in the order in which they are documented.
    pub const ALL: [Self; 8] = [
        Self::Deploying,
        Self::Held,
        Self::Deployed,
        Self::Failed,
        Self::Restoring,
        Self::Restored,
        Self::RollingBack,
        Self::RolledBack,
    ];

    /// The word that records, events and pages use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Deploying => "deploying",
            Self::Held => "held",
            Self::Deployed => "deployed",
            Self::Failed => "failed",
            Self::Restoring => "restoring",
            Self::Restored => "restored",
            Self::RollingBack => "rolling-back",
            Self::RolledBack => "rolled-back",
        }
    }
}

/// Something that happened to a release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happening {
    /// When, in epoch seconds.
    pub at: i64,
    /// On which service: `cluster/service`.
    pub service: String,
    /// Where the release stands there since.
    pub state: State,
    /// Why, for people.
    pub reason: String,
    /// What the service runs or is told to run, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// The id of the service deployment that brings it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// The action execution that told it, where one did; a retry has another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Who asked for it, where a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl Happening {
    /// Whether `other` tells the same again, as a repeated turn does.
    #[must_use]
    pub fn is_told_by(&self, other: &Self) -> bool {
        self.service == other.service
            && self.state == other.state
            && self.revision == other.revision
            && self.action == other.action
    }
}

/// A reason as it is kept and told: it may quote what stood in a log or an alarm.
#[must_use]
pub fn told(reason: &str) -> String {
    cut(&printable_lines(reason), REASON_CHARS_MAX).into_owned()
}

/// The version of what others are told.
pub const EVENT_VERSION: u32 = 1;

/// What others are told of something that happened to a release: the detail of an event, the body of a webhook's call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// [`EVENT_VERSION`].
    pub version: u32,
    /// The release: the id of its pipeline execution.
    pub release: String,
    /// The pipeline's name; empty where an operator's command did it.
    pub pipeline: String,
    /// What happened.
    #[serde(flatten)]
    pub happening: Happening,
    /// Container → the digest that its image named.
    pub digests: BTreeMap<String, String>,
}

impl Event {
    /// An event, whose reason is as records keep it.
    #[must_use]
    pub fn new((release, pipeline): (&str, &str), digests: BTreeMap<String, String>, mut happening: Happening) -> Self {
        happening.reason = told(&happening.reason);
        let (release, pipeline) = (release.to_owned(), pipeline.to_owned());
        Self { version: EVENT_VERSION, release, pipeline, happening, digests }
    }

    /// Its JSON.
    #[must_use]
    pub fn json(&self) -> String {
        // A struct of strings and numbers always serializes.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_use_the_words() {
        for state in State::ALL {
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{}\"", state.word()));
        }
    }
}
