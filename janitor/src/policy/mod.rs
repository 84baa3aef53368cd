//! The policy: what may go, what must stay, where references are read, how careful to be.

mod patterns;
mod problem;
mod read;
mod reader;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::TimeDelta;
use coalmine_pipeline::Home;

use self::patterns::{Repositories, Tags};
pub use self::problem::{Problem, Problems};

use crate::in_use::Source;

/// The commented policy that `init` writes: every key with its default.
pub const DEFAULT: &str = include_str!("../../policy.toml");

/// No image younger than this is ever deleted, whatever the policy says: builds and deployments of a day need theirs.
pub const AGE_FLOOR: Duration = Duration::from_secs(24 * 60 * 60);

/// A policy that was read without a problem.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The rules; no two can name the same repository.
    pub rules: Vec<Rule>,
    /// The guards.
    pub guards: Guards,
    /// What counts as a recent reference.
    pub recent: Recent,
    /// Sources that are switched off.
    pub off: Vec<Source>,
    /// The ledger to read, `s3://bucket/prefix` or a folder.
    pub ledger: Option<String>,
    /// Accounts in which references are read, beside the registry's own account and Region.
    pub readers: Vec<Reader>,
    /// Keep-list files.
    pub keep_lists: Vec<KeepList>,
    /// Users of repositories that need not freeze them.
    pub shared: Vec<Shared>,
    /// How a run behaves.
    pub run: Run,
    hash: String,
}

/// What may go from the repositories that it names.
#[derive(Debug, Clone)]
pub struct Rule {
    /// How reports call it: its `name`, or its patterns.
    pub name: String,
    /// An image is kept until it is older than this, counted from the latest of pushed, pulled, activated.
    pub min_age: TimeDelta,
    /// The newest images that stay whatever their age.
    pub keep_newest: u32,
    patterns: Vec<String>,
    names: Repositories,
    protected: Tags,
}

/// Limits that hold whatever rules say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guards {
    /// At most this part of a repository's images in one run, in percent.
    pub max_percent: u32,
    /// At most so many images of a repository in one run.
    pub max_images: u32,
    /// How far apart the first and the last scan have to be that found an image old and unreferenced.
    pub quarantine: TimeDelta,
}

/// Which references count as recent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recent {
    /// So many newest ACTIVE revisions of each family are roots, at least 1.
    pub keep_revisions: u32,
    /// ACTIVE revisions that were registered within this time are roots, too.
    pub window: TimeDelta,
    /// All ACTIVE revisions are roots.
    pub all_active: bool,
    /// So many last successful deployments of each service are roots.
    pub deployments: u32,
    /// So many newest releases of each service in the worker's ledger are roots, at least 1.
    pub keep_releases: u32,
    /// Releases in the ledger that anything happened to within this time are roots, too.
    pub release_window: TimeDelta,
}

/// An account to read references in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// The account, twelve digits.
    pub account: String,
    /// Regions, at least one.
    pub regions: Vec<String>,
    /// ARN of the role to assume; `None` for the account that the janitor runs in.
    pub role: Option<String>,
    /// External id for the role.
    pub external_id: Option<String>,
}

/// A file of references that are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepList {
    /// Its path, with or without `dir:`, or `s3://bucket/key`.
    pub file: String,
    /// A file that was written longer ago than this does not count as read: whoever writes it has stopped doing so.
    pub max_age: Option<TimeDelta>,
}

/// Users of a repository beyond the configured accounts that its owner answers for.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Accounts, services, or `*`.
    pub with: Vec<String>,
    patterns: Vec<String>,
    names: Repositories,
}

/// How a run behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Time for reading; a colder cache is filled by further runs.
    pub budget: Duration,
    /// How long a plan may be applied.
    pub plan_ttl: TimeDelta,
    /// The part of AWS's rates to use, in percent: deployments share them.
    pub rate_percent: u32,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// All problems at once, each with line and column.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        read::parse(text)
    }

    /// sha256 of what the policy says, comments, order of keys and `[run]` aside: 64 hexadecimal digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// sha256 of where references are looked for, and which of them count: 64 hexadecimal digits. Ages of images and guards
    /// are no part of it.
    pub fn looks(&self, registry: &Home) -> String {
        read::looks(self, registry)
    }

    /// Whether a source is switched on.
    pub fn reads(&self, source: Source) -> bool {
        !self.off.contains(&source)
    }

    /// The rule for a repository; `None`: the repository is not touched.
    pub fn rule(&self, repository: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.names.contain(repository))
    }

    /// Every place in which references have to be read, the registry's own first, each once.
    pub fn homes(&self, registry: &Home) -> Vec<Home> {
        let mut homes = vec![registry.clone()];
        for reader in &self.readers {
            homes.extend(reader.regions.iter().filter_map(|region| {
                let home = Home { account: reader.account.clone(), region: region.clone() };
                (home != *registry).then_some(home)
            }));
        }
        homes
    }

    /// Who reads a place beside the registry's own account and Region. No two readers name the same one.
    pub fn reader(&self, home: &Home) -> Option<&Reader> {
        self.readers.iter().find(|reader| reader.account == home.account && reader.regions.contains(&home.region))
    }

    /// Whether the policy answers for `user`, an account, a service or `*`, of a repository.
    pub fn shares(&self, repository: &str, user: &str) -> bool {
        let covers = |shared: &Shared| shared.with.iter().any(|with| with == user || with == "*");
        self.shared.iter().any(|shared| shared.names.contain(repository) && covers(shared))
    }
}

impl Rule {
    /// Whether a tag protects its image.
    pub fn protects(&self, tag: &str) -> bool {
        self.protected.contain(tag)
    }
}
