//! What a scan lacks. While it lacks anything, nothing is deleted.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use coalmine_pipeline::Home;

use super::{Snapshot, candidates};
use crate::in_use::{Missing, Reach, Source, SourceReport};
use crate::memory::Memory;
use crate::policy::Policy;

/// How far clocks may differ: this machine's from AWS's, and the last scan's date, which another machine may have written,
/// from this one's. Against ages and quarantines it is nothing; AWS itself bears five minutes in signatures.
pub const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(10);

/// Whether this machine's clock agrees with AWS's: by one that does not, nothing is judged.
pub fn clocks_agree(ours: DateTime<Utc>, aws: DateTime<Utc>) -> bool {
    (ours - aws).abs() <= CLOCKS_DIFFER
}

/// Something that a scan lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    /// A source was not read to the end.
    Source(SourceReport),
    /// A source that is switched on was not read at all.
    Forgotten(Source, Option<Home>),
    /// Task definitions that are needed were not read: how many, and the first of them.
    Definitions(usize, Missing),
    /// Manifests of indexes were not read: how many, and the repository of the first.
    Manifests(usize, String),
    /// A repository that a rule names was not listed.
    NotListed(String),
    /// A repository is in the inventory twice.
    Twice(String),
    /// The clock stands before the last scan.
    Clock {
        /// What it says.
        now: DateTime<Utc>,
        /// What it said at the last scan.
        scanned: DateTime<Utc>,
    },
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(report) => report.fmt(f),
            Self::Forgotten(source, None) => write!(f, "{source}: not read"),
            Self::Forgotten(source, Some(home)) => write!(f, "{source} in {home}: not read"),
            Self::Definitions(count, first) => {
                write!(f, "{count} task definitions were not read, the first of them {first}")
            }
            Self::Manifests(count, first) => write!(f, "{count} manifests were not read, the first of them in {first}"),
            Self::NotListed(name) => write!(f, "the images of {name} were not listed"),
            Self::Twice(name) => write!(f, "{name} was listed twice"),
            Self::Clock { now, scanned } => {
                write!(
                    f,
                    "the clock says {now}, but the last scan was at {scanned}: correct the clock, or, where it is right, \
                     set the janitor's memory aside, which only delays deletions"
                )
            }
        }
    }
}

/// What the reports and the memory show to be missing.
pub(super) fn of_sources(snapshot: &Snapshot, policy: &Policy, memory: &Memory, now: DateTime<Utc>) -> Vec<Gap> {
    let reports = &snapshot.in_use.sources;
    let is_fine = |report: &SourceReport| match report.reach {
        Reach::Complete | Reach::Releases(_) => true,
        Reach::NotNeeded => candidates(&snapshot.inventory, policy, now).is_empty(),
        Reach::Off => !policy.reads(report.source),
        Reach::Incomplete { .. } => false,
    };
    let mut gaps: Vec<Gap> =
        reports.iter().filter(|report| !is_fine(report)).map(|report| Gap::Source(report.clone())).collect();
    let mut expected = vec![(Source::Registry, Some(snapshot.inventory.home.clone()))];
    for home in policy.homes(&snapshot.inventory.home) {
        expected.extend(Source::IN_PLACES.into_iter().map(|source| (source, Some(home.clone()))));
    }
    expected.push((Source::Ledger, None));
    expected.extend((!policy.keep_lists.is_empty()).then_some((Source::KeepLists, None)));
    let is_missing = |(source, home): &(Source, Option<Home>)| {
        let reported = reports.iter().any(|report| report.source == *source && report.home == *home);
        policy.reads(*source) && !reported
    };
    gaps.extend(expected.into_iter().filter(is_missing).map(|(source, home)| Gap::Forgotten(source, home)));
    if let Some(scanned) = memory.scanned.filter(|scanned| *scanned > now + CLOCKS_DIFFER) {
        gaps.push(Gap::Clock { now, scanned });
    }
    gaps
}
