//! Progress: what a turn hands to the next one, inside the continuation token.
//!
//! Small, versioned and free of secrets. It says what was done and why, never what the world is like: that is read
//! again from AWS on every turn.

use coalmine_pipeline::limits::{self, CONTINUATION_TOKEN_CHARS};
use serde::{Deserialize, Serialize};

use crate::deploy::batch::Percents;
use crate::deploy::decision::Role;
use crate::deploy::revision::Revision;
use crate::deploy::undo;

/// The version that this program writes and reads.
const VERSION: u8 = 1;

/// How far a job has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    #[serde(rename = "v")]
    version: u8,
    /// When the action began, in epoch seconds: deadlines count from here.
    #[serde(rename = "t")]
    pub started: i64,
    /// What is being done.
    #[serde(rename = "p")]
    pub phase: Phase,
    /// What the service was before this action touched it.
    #[serde(rename = "f", skip_serializing_if = "Option::is_none")]
    pub former: Option<Former>,
    /// The revision that this action brings.
    #[serde(rename = "r", skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// The id (the ARN's last part) of the service deployment that brings it.
    #[serde(rename = "d", skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// Why it is being undone.
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// What is being done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Phase {
    /// Everything is checked; nothing was touched. `busy_since`: the service is mid-deployment since then.
    Check {
        /// Epoch seconds at which the service was first found busy.
        #[serde(rename = "b", skip_serializing_if = "Option::is_none")]
        busy_since: Option<i64>,
    },
    /// The service is told to run the revision, and followed until ECS says how it went.
    Deploy,
    /// All tasks run the release; they are watched until the bake time is over.
    Bake {
        /// Epoch seconds at which the bake began.
        #[serde(rename = "s")]
        since: i64,
    },
    /// The full service goes back to what it ran.
    UndoFull {
        /// Epoch seconds at which the undo began; once ECS was told, at which it was.
        #[serde(rename = "s")]
        since: i64,
        /// Whether ECS was told to roll our deployment back.
        #[serde(rename = "k", default)]
        stopped: bool,
    },
    /// The canary belongs to somebody else's deployment: only the percents are still ours.
    LeaveCanary,
    /// The canary goes back to the images of the full service.
    RestoreCanary {
        /// Epoch seconds at which the restore began.
        #[serde(rename = "s")]
        since: i64,
        /// What it goes back to.
        #[serde(rename = "g", default)]
        target: Target,
        /// Epoch seconds at which it was told to.
        #[serde(rename = "k", skip_serializing_if = "Option::is_none")]
        told: Option<i64>,
        /// The canary's own percents, where a turnover gives it back: it may have to be lent others for the way.
        #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
        own: Option<Percents>,
    },
}

/// What a canary goes back to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Not decided yet.
    #[default]
    Unknown,
    /// A revision with the images of the full service's last successful deployment.
    Revision(Revision),
    /// No task: the full service never had a successful deployment.
    Zero,
    /// What it runs: that is another release by now, which is not this action's to undo.
    Left,
}

/// What a service was before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Former {
    /// The revision that it ran.
    #[serde(rename = "r")]
    pub revision: Revision,
    /// Its desired count.
    #[serde(rename = "n")]
    pub desired: u32,
    /// Its percents.
    #[serde(rename = "p")]
    pub percents: Percents,
    /// Whether it never completed a deployment: there is nothing to go back to.
    #[serde(rename = "z", default, skip_serializing_if = "std::ops::Not::not")]
    pub first: bool,
    /// Whether its percents are back, with nothing left to do for them: those that it has under another revision are
    /// somebody else's then, even where they look like ours.
    #[serde(rename = "b", default, skip_serializing_if = "std::ops::Not::not")]
    pub percents_back: bool,
    /// When the action began that found it so, in epoch seconds by AWS's clock: its deployments come after that.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// Alarms that were red before and are to be ignored.
    #[serde(rename = "a", default, skip_serializing_if = "Marks::is_none")]
    pub red: Marks,
}

/// Which alarms were red before: a bit for each, by its place in the configuration (at most 100 alarms).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Marks(u128);

impl Marks {
    /// A mark for each place.
    pub fn of(places: impl Iterator<Item = bool>) -> Self {
        Self(places.take(128).enumerate().fold(0, |bits, (place, marked)| bits | (u128::from(marked) << place)))
    }

    /// Whether a place is marked.
    #[must_use]
    pub fn has(self, place: usize) -> bool {
        place < 128 && self.0 >> place & 1 == 1
    }

    fn is_none(&self) -> bool {
        self.0 == 0
    }
}

impl TryFrom<String> for Marks {
    type Error = String;

    fn try_from(hex: String) -> Result<Self, Self::Error> {
        let marks = u128::from_str_radix(&hex, 16).map(Self).map_err(|problem| problem.to_string())?;
        // The parser also takes signs, capitals and leading zeros.
        if String::from(marks) == hex { Ok(marks) } else { Err(format!("`{hex}` was not written by this program")) }
    }
}

impl From<Marks> for String {
    fn from(marks: Marks) -> Self {
        format!("{:x}", marks.0)
    }
}

/// Why a deployment is not well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// Which of the different failures it is.
    #[serde(rename = "k")]
    pub kind: CauseKind,
    /// What happened, for people.
    #[serde(rename = "t")]
    pub text: String,
    /// A task that shows it, whose log is worth reading: task id and container.
    #[serde(rename = "w", skip_serializing_if = "Option::is_none")]
    pub witness: Option<(String, String)>,
}

/// The failures that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CauseKind {
    /// Tasks stop for a reason that lies in the release.
    Tasks,
    /// An alarm went red.
    Alarm,
    /// ECS rolled the deployment back.
    RolledBack,
    /// Another deployment took its place.
    Superseded,
    /// Somebody stopped it.
    Stopped,
    /// It did not end in time.
    TimedOut,
    /// The service changed under us in a way that makes going on unsafe.
    Changed,
    /// The turnover was refused before it touched anything; the text is the refusal.
    Refused,
    /// AWS refused a permission before the turnover touched anything; the text says so.
    Denied,
    /// AWS refused a permission before the deployment could be followed, which may have begun; the text says so.
    Barred,
    /// AWS refused a call then; the text says which.
    Unusable,
}

impl CauseKind {
    /// Whether the action was refused, by its checks or by AWS, before there was a deployment to follow.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::Refused | Self::Denied | Self::Barred | Self::Unusable)
    }
}

/// A token that this program cannot go on from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was written by another version.
    #[error(
        "the continuation token has version {0}, this worker reads version {VERSION}: run one version of the worker per pool, or retry the stage"
    )]
    Version(u64),
    /// It is not one of ours.
    #[error("the continuation token was not written by coalmine-worker: {0}")]
    Unreadable(String),
}

/// What every version's tokens have.
#[derive(Deserialize)]
struct Versioned {
    #[serde(rename = "v")]
    version: u64,
}

impl Progress {
    /// The progress of an action that has done nothing yet.
    #[must_use]
    pub fn begin(now: i64) -> Self {
        Self {
            version: VERSION,
            started: now,
            phase: Phase::Check { busy_since: None },
            former: None,
            revision: None,
            deployment: None,
            cause: None,
        }
    }

    /// Whether anything was touched.
    #[must_use]
    pub fn has_acted(&self) -> bool {
        self.former.is_some()
    }

    /// From now on everything is undone, because of this. The way back is a turnover again, unless somebody else is on
    /// the way already.
    pub fn undo(&mut self, role: Role, cause: Cause, now: i64) {
        if cause.kind != CauseKind::Superseded {
            self.percents_are_back(false);
        }
        self.phase = undo::begin(role, &cause, now);
        self.cause = Some(cause);
    }

    /// Notes whether the service has its former percents back.
    pub fn percents_are_back(&mut self, back: bool) {
        if let Some(former) = &mut self.former {
            former.percents_back = back;
        }
    }

    /// Reads a token.
    ///
    /// # Errors
    /// When the version is not this program's, or the text is not a token at all.
    pub fn from_token(token: &str) -> Result<Self, TokenError> {
        let unreadable = |problem: serde_json::Error| TokenError::Unreadable(problem.to_string());
        // The version first, whatever else another version writes.
        let Versioned { version } = serde_json::from_str(token).map_err(unreadable)?;
        if version == u64::from(VERSION) {
            serde_json::from_str(token).map_err(unreadable)
        } else {
            Err(TokenError::Version(version))
        }
    }

    /// The token, at most 2,048 characters (`ContinuationToken`): the cause is cut where it would not fit.
    #[must_use]
    pub fn to_token(&self) -> String {
        let mut kept = self.clone();
        loop {
            // A struct of strings and numbers always serializes.
            let token = serde_json::to_string(&kept).unwrap_or_default();
            let excess = token.chars().count().saturating_sub(CONTINUATION_TOKEN_CHARS);
            match &mut kept.cause {
                Some(cause) if excess > 0 && !cause.text.is_empty() => {
                    let chars = cause.text.chars().count();
                    cause.text = limits::cut(&cause.text, chars.saturating_sub(excess.max(8))).into_owned();
                }
                _ => return token,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn longest(cause: &str) -> Progress {
        let revision = |letter: &str| Revision { family: letter.repeat(255), number: 1_000_000 };
        Progress {
            former: Some(Former {
                revision: revision("a"),
                desired: 5_000,
                percents: Percents { minimum: 100, maximum: 200 },
                first: true,
                percents_back: true,
                at: Some(i64::MAX),
                red: Marks(u128::MAX),
            }),
            revision: Some(revision("b")),
            deployment: Some("d".repeat(64)),
            phase: Phase::RestoreCanary {
                since: i64::MAX,
                target: Target::Revision(revision("c")),
                told: Some(i64::MAX),
                own: Some(Percents { minimum: 100, maximum: 200 }),
            },
            cause: Some(Cause {
                kind: CauseKind::RolledBack,
                text: cause.to_owned(),
                witness: Some(("0".repeat(32), "n".repeat(255))),
            }),
            ..Progress::begin(i64::MAX)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_token_of_the_longest_legal_names_fits_and_comes_back(cause in "\\PC{0,3000}|[\"\\\\\n\u{1}]{0,2000}") {
            let progress = longest(&cause);
            let token = progress.to_token();
            prop_assert!(token.chars().count() <= CONTINUATION_TOKEN_CHARS);
            let read = Progress::from_token(&token).unwrap();
            prop_assert_eq!(&read.revision, &progress.revision);
            prop_assert_eq!(&read.former, &progress.former);
            prop_assert_eq!(read.cause.unwrap().kind, CauseKind::RolledBack);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC*") {
            let _ = Progress::from_token(&text);
        }
    }

    #[test]
    fn another_version_and_a_strange_text_are_told_apart() {
        assert_eq!(Progress::from_token(r#"{"v":9,"x":1}"#), Err(TokenError::Version(9)));
        assert!(matches!(Progress::from_token("abc"), Err(TokenError::Unreadable(_))));
        for wrong in [
            r#"{"v":1}"#,
            r#"{"t":0,"p":"deploy"}"#,
            r#"{"v":"1","t":0,"p":"deploy"}"#,
            r#"{"v":1,"v":1,"t":0,"p":"deploy"}"#,
            r#"{"v":1,"t":0,"t":9,"p":"deploy"}"#,
            r#"{"v":1,"t":0,"p":"deploy","x":1}"#,
            r#"{"v":1,"t":0,"p":{"bake":{"s":0,"x":1}}}"#,
            r#"{"v":1,"t":0,"p":"deploy","c":{"k":"tasks","t":"","x":1}}"#,
            r#"{"v":1,"t":0,"p":"deploy","r":"app:0"}"#,
            r#"{"v":1,"t":0,"p":"deploy"} "{}""#,
        ] {
            assert!(matches!(Progress::from_token(wrong), Err(TokenError::Unreadable(_))), "{wrong}");
        }
        assert!(Progress::from_token(r#"{"v":1,"t":0,"p":"deploy"}"#).is_ok());
    }
}
