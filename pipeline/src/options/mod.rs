//! The property `Options`: rare knobs as `key=value, key=value`.
//!
//! An action type has ten properties and can never get an eleventh; a key here is added freely. Values hold no commas.

mod keys;
#[cfg(test)]
mod tests;
mod values;

pub use self::keys::{CANARY_KEYS, FULL_KEYS, Key, OptionKey, ROLLBACK_KEYS};

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::Problem;
use crate::duration;
use crate::image::{Digest, ImageReference};
use crate::mismatch::{Mismatch, quoted};

/// How long a release waits for a service that is mid-deployment, unless `wait=` says otherwise: 15 minutes.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(15 * 60);

/// What a red alarm means if it was red before the action started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AlreadyRed {
    /// The action fails before it touches anything.
    #[default]
    Block,
    /// The action waits until the alarm is OK.
    RequireClear,
    /// The alarm is left out of the judgement.
    Ignore,
}

/// Whether an action does what it says, or only says what it would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It deploys.
    #[default]
    Deploy,
    /// It checks everything, says what would be done, and touches nothing.
    Plan,
}

/// The settings in `Options`, with their defaults where a key is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `mode=deploy|plan`. Only `Coalmine-Canary` knows `plan`.
    pub mode: Mode,
    /// `image.<container>=<reference>`: images that come as variables instead of an artifact, by container.
    pub images: BTreeMap<String, ImageReference>,
    /// `file=<path>`: the file in the artifact that names the images. `None`: `imagedefinitions.json`, else
    /// `imageDetail.json`.
    pub file: Option<String>,
    /// `surge=true|false`: whether the turnover adds new tasks before it stops old ones. `None`: as the service allows.
    /// `Coalmine-Canary` does not know it.
    pub surge: Option<bool>,
    /// `already_red=block|require-clear|ignore`
    pub already_red: AlreadyRed,
    /// `deadline=<duration>`: when the action gives up, counted from its start; 1 s to 23 h. `None`: the action's default.
    pub deadline: Option<Duration>,
    /// `wait=<duration>`: how long to wait for a service that is mid-deployment, up to 24 h. Default 15 min.
    pub wait: Duration,
    /// `ignore_unknown=true|false`: whether images of containers that the task definition does not have are left out
    /// instead of refused.
    pub ignore_unknown: bool,
    /// `allow=<digest>+<digest>`: digests that are deployed although the service was rolled back from them.
    pub allow: BTreeSet<Digest>,
    /// `canary.<service>=<canary>`: the canary service of a service; `None` where it is said to have none. Only
    /// `Coalmine-Rollback` knows it.
    pub canaries: BTreeMap<String, Option<String>>,
    /// `partial=true|false`: whether services that cannot be returned keep the others from it. Only `Coalmine-Rollback`
    /// knows it.
    pub partial: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            images: BTreeMap::new(),
            file: None,
            surge: None,
            already_red: AlreadyRed::default(),
            deadline: None,
            wait: DEFAULT_WAIT,
            ignore_unknown: false,
            allow: BTreeSet::new(),
            canaries: BTreeMap::new(),
            partial: false,
        }
    }
}

impl Options {
    /// Reads the value of `Options`; only `known` keys are taken
    /// ([`ActionType::options`](crate::action_type::ActionType::options)).
    ///
    /// The length is not checked here: 1,000 characters is CodePipeline's limit for the text in the pipeline, and what
    /// its variables resolve to may be longer.
    ///
    /// # Errors
    ///
    /// All problems, each under `Options` or `Options.<key>`: a pair without `=`, an unknown or repeated key, an empty or
    /// bad value.
    pub fn parse(text: &str, known: &[OptionKey]) -> Result<Self, Vec<Problem>> {
        let mut options = Self::default();
        let mut problems = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        for pair in text.split(',').map(str::trim) {
            let Some((name, value)) = pair.split_once('=').map(|(name, value)| (name.trim(), value.trim())) else {
                problems
                    .push(Problem::new("Options", Mismatch::value(pair, format!("key=value with {}", list(known)))));
                continue;
            };
            let property = format!("Options.{name}");
            // A digest more that is allowed contradicts none before it.
            let again = |key: &OptionKey| seen.contains(&name) && key.key != Key::Allow;
            let mismatch = match known.iter().find_map(|key| key.matches(name).map(|container| (key, container))) {
                None => {
                    problems
                        .push(Problem::new("Options", Mismatch::new(format!("the key {}", quoted(name)), list(known))));
                    continue;
                }
                Some((key, _)) if again(key) => Some(Mismatch::new("the key a second time", "each key once")),
                Some((key, _)) if value.is_empty() => Some(Mismatch::new("an empty value", key.expected)),
                Some((key, container)) => options.set(key, container, value).err(),
            };
            seen.push(name);
            problems.extend(mismatch.map(|mismatch| Problem::new(property, mismatch)));
        }
        if problems.is_empty() { Ok(options) } else { Err(problems) }
    }

    fn set(&mut self, key: &OptionKey, container: &str, value: &str) -> Result<(), Mismatch> {
        match key.key {
            Key::Mode => self.mode = values::mode(value, key.expected)?,
            Key::Image => {
                values::container(container)?;
                self.images.insert(container.to_owned(), ImageReference::parse(value)?);
            }
            Key::File => self.file = Some(values::file(value)?),
            Key::Surge => self.surge = Some(values::boolean(value)?),
            Key::AlreadyRed => self.already_red = values::already_red(value)?,
            Key::Deadline => self.deadline = Some(values::deadline(value)?),
            Key::Wait => self.wait = duration::parse(value)?,
            Key::IgnoreUnknown => self.ignore_unknown = values::boolean(value)?,
            Key::Allow => self.allow.extend(values::digests(value)?),
            Key::Canary => {
                let (service, canary) = values::canary(container, value)?;
                self.canaries.insert(service, canary);
            }
            Key::Partial => self.partial = values::boolean(value)?,
        }
        Ok(())
    }
}

/// The known keys in words, for a message.
fn list(known: &[OptionKey]) -> String {
    let names: Vec<_> = known.iter().map(|key| key.name).collect();
    format!("a key out of {}", names.join(", "))
}
