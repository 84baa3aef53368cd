//! The configuration of `Coalmine-Rollback`.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use super::reader::Reader;
use super::{Problems, deadline};
use crate::action_type::{CLUSTER, POOL, ROLLBACK, SERVICES, TO};
use crate::mismatch::{Mismatch, quoted};
use crate::names::{self, Home, Named, is_word};
use crate::options::Options;

/// How long services are followed, unless `deadline=` says otherwise: 60 minutes.
const DEADLINE: Duration = Duration::from_secs(3_600);

/// The most services of one action: with their canaries, what can be watched at a few calls a second.
const SERVICES_MOST: usize = 30;

/// The longest id of a release that is looked for; a pipeline execution's id has 36 characters.
const RELEASE_CHARS: usize = 100;

/// How far a service goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Back {
    /// So many successful releases before the present one; the last one is 1.
    Steps(NonZeroU32),
    /// To the release with this id.
    Release(String),
}

impl Back {
    /// To the last release that succeeded.
    pub const LAST: Self = Self::Steps(NonZeroU32::MIN);
}

/// `last`, `-2`, or a release's id.
impl FromStr for Back {
    type Err = Mismatch;

    fn from_str(text: &str) -> Result<Self, Mismatch> {
        let wrong = || Mismatch::value(text, TO.expected);
        if text == "last" {
            return Ok(Self::LAST);
        }
        if let Some(steps) = text.strip_prefix('-') {
            let digits = steps.bytes().all(|byte| byte.is_ascii_digit());
            return steps.parse().ok().filter(|_| digits).map(Self::Steps).ok_or_else(wrong);
        }
        let legal = (1..=RELEASE_CHARS).contains(&text.len()) && is_word(text);
        if legal { Ok(Self::Release(text.to_owned())) } else { Err(wrong()) }
    }
}

impl fmt::Display for Back {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(steps) => write!(f, "-{steps}"),
            Self::Release(release) => f.write_str(release),
        }
    }
}

/// What a `Coalmine-Rollback` action was asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackConfig {
    /// The pool of workers, 1–20 characters.
    pub pool: String,
    /// The cluster's name.
    pub cluster: String,
    /// The full services' names, at most 30, each once, in the order in which they were written.
    pub services: Vec<String>,
    /// How far they go back. Default: to the last release that succeeded.
    pub to: Back,
    /// The rare knobs.
    pub options: Options,
    /// The account and Region, where ARNs named them.
    pub home: Option<Home>,
}

impl RollbackConfig {
    /// Reads a job's `actionConfiguration.configuration`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, at once.
    pub fn parse(values: &BTreeMap<String, String>) -> Result<Self, Problems> {
        let mut reader = Reader::new(&ROLLBACK, values);
        let pool = reader.pool(&POOL);
        let cluster = reader.read(&CLUSTER, |text| names::cluster(text, CLUSTER.expected));
        let services = reader.read(&SERVICES, |text| services(text, cluster.as_ref()));
        let to = reader.read(&TO, str::parse);
        let options = reader.options();
        for service in options.canaries.keys() {
            let known = services.as_ref().is_none_or(|(names, _)| names.contains(service));
            let strange = || Mismatch::new("a service that is not in Services", "a service of this action");
            reader.note(&format!("Options.canary.{service}"), if known { Ok(()) } else { Err(strange()) });
        }
        let config = pool.zip(cluster).zip(services).zip(to).map(|(((pool, cluster), (services, home)), to)| Self {
            pool,
            cluster: cluster.name,
            services,
            to,
            options,
            home,
        });
        reader.finish(config)
    }

    /// How long the action may take from its start before it gives up: `deadline=`, or 60 min.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        deadline(self.options.deadline, DEADLINE)
    }
}

/// Names between commas, and the home that the ARNs among them and the cluster's agree on.
fn services(text: &str, cluster: Option<&Named>) -> Result<(Vec<String>, Option<Home>), Mismatch> {
    let mut found: Vec<String> = Vec::new();
    let mut home = cluster.and_then(|cluster| cluster.home.clone());
    for text in text.split(',').map(str::trim) {
        if text.is_empty() {
            return Err(Mismatch::new("a name that is empty, between or after commas", SERVICES.expected));
        }
        let named = names::service(text, SERVICES.expected)?;
        if let (Some(cluster), Some(own)) = (cluster, &named.cluster)
            && *own != cluster.name
        {
            let expected = format!("services of Cluster, which is {}", quoted(&cluster.name));
            return Err(Mismatch::new(format!("a service of the cluster {}", quoted(own)), expected));
        }
        match (&named.home, &home) {
            (Some(own), Some(first)) if own != first => {
                let expected = format!("one home for all: another ARN names {first}");
                return Err(Mismatch::new(format!("a service of {own}"), expected));
            }
            (Some(own), None) => home = Some(own.clone()),
            _ => {}
        }
        if found.contains(&named.name) {
            return Err(Mismatch::new(format!("{} twice", quoted(&named.name)), SERVICES.expected));
        }
        found.push(named.name);
    }
    if found.len() > SERVICES_MOST {
        return Err(Mismatch::new(format!("{} services", found.len()), SERVICES.expected));
    }
    Ok((found, home))
}
