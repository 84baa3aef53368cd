//! The way back of a service: the releases that it can return to, and which of them is meant.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coalmine_pipeline::Back;

use crate::deploy::decision::elapsed;
use crate::deploy::nearest::hint;
use crate::deploy::revision::Revision;
use crate::deploy::view::Service;

/// How long people who say "back" mean the place where a service was taken just now: by ECS, by hand, or by a rollback that
/// is not over. Later they mean what came before what it runs since: a command that changes nothing for ever leaves bad code
/// where it is.
pub const JUST_NOW: Duration = Duration::from_secs(3_600);

/// A release that ended well on a service once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Good {
    /// The release; `None` where only ECS remembers it.
    pub release: Option<String>,
    /// The pipeline that brought it; empty where that is not known.
    pub pipeline: String,
    /// When it had ended well, in epoch seconds.
    pub at: i64,
    /// What the service ran.
    pub revision: Revision,
    /// Container → digest, as far as they are on record.
    pub digests: BTreeMap<String, String>,
    /// When the rollback began that returned to it, in epoch seconds, where one did.
    pub returned: Option<i64>,
    /// Whether that rollback is not over for all its services.
    pub unfinished: bool,
    /// When it was over for all of them, in epoch seconds, as far as somebody noted it.
    pub over: Option<i64>,
}

impl Good {
    /// Whether it brought this very revision, or these digests.
    fn is(&self, revision: &Revision, digests: &BTreeMap<String, String>) -> bool {
        self.revision == *revision || self.same_images(digests)
    }

    fn same_images(&self, digests: &BTreeMap<String, String>) -> bool {
        !digests.is_empty() && self.digests == *digests
    }

    /// Whether a release of the ledger's says which containers are its own. Where only ECS remembers it, all may be.
    #[must_use]
    pub fn names_its_containers(&self) -> bool {
        self.release.is_some() && !self.digests.is_empty()
    }

    /// How people name it: by the release, else by the revision.
    #[must_use]
    pub fn name(&self) -> String {
        self.release.clone().unwrap_or_else(|| self.revision.to_string())
    }
}

/// What a service is told to run now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// The revision.
    pub revision: Revision,
    /// Container → digest, as far as they are known.
    pub digests: BTreeMap<String, String>,
    /// The other revisions that it still runs, and is on its way from.
    pub arriving: Vec<Revision>,
    /// What ECS has just taken back from it.
    pub reverted: Option<Revision>,
    /// Whether its canary runs a later release: that is what is left then.
    pub outrun: bool,
    /// Whether it was told so long ago, and runs it since: whoever says "back" now does not mean how it came there.
    pub settled: bool,
}

impl Present {
    /// What a service is told to run at `now`, in epoch seconds. Another deployment of the same revision is not on its way
    /// from elsewhere; one without a date is taken for new.
    #[must_use]
    pub fn of(service: &Service, digests: BTreeMap<String, String>, reverted: Option<Revision>, now: i64) -> Self {
        let others = service.rollouts.iter().map(|rollout| &rollout.revision);
        let others = others.filter(|revision| **revision != service.revision);
        let arriving = if service.is_rolling() { others.cloned().collect() } else { Vec::new() };
        let told = service.primary().and_then(|primary| primary.created);
        let long_ago = told.is_some_and(|told| elapsed(told.timestamp(), now) >= JUST_NOW);
        let settled = long_ago && !service.is_rolling() && reverted.is_none();
        Self { revision: service.revision.clone(), digests, arriving, reverted, outrun: false, settled }
    }

    fn comes_from(&self) -> impl Iterator<Item = &Revision> {
        self.arriving.iter().chain(&self.reverted)
    }

    /// Whether a canary that was told `canary` runs another, later release than its full service, told `full`; each with
    /// its past. One that was returned to what both ran before is on its way back, and its full service has yet to be told.
    #[must_use]
    pub fn is_outrun(full: (&Self, &Service, &[Good]), canary: (&Self, &Service, &[Good])) -> bool {
        let date = |service: &Service| service.primary().and_then(|primary| primary.created);
        let is_it = |good: &&Good| good.revision == canary.0.revision;
        let returned = canary.2.iter().skip_while(is_it).any(|good| is_it(&good));
        let both = full.2.iter().any(|good| are_alike(&good.digests, &canary.0.digests));
        !are_alike(&full.0.digests, &canary.0.digests) && date(canary.1) > date(full.1) && !(returned && both)
    }
}

/// Whether the containers that both have run the same images; none that both have, say nothing.
fn are_alike(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> bool {
    let shared: Vec<_> = one.iter().filter_map(|(name, digest)| Some((digest, other.get(name)?))).collect();
    !shared.is_empty() && shared.iter().all(|(one, other)| one == other)
}

/// Whether a canary runs its full service's images, although other digests are on record for them: ECS may name an index or
/// one of its children, and for a service without tasks none. `count`: by container, the digests that count as the image
/// that the canary's task definition names. What the canary is known to run has to be among them, too, as its tag may have
/// moved since. A container of which nothing is known is not the same.
#[must_use]
pub fn are_one_image(
    full: &BTreeMap<String, String>,
    canary: &BTreeMap<String, String>,
    count: &BTreeMap<String, BTreeSet<String>>,
) -> bool {
    let mut shared = count.iter().filter_map(|(name, digests)| Some((digests, full.get(name)?, canary.get(name))));
    let is_one = |(digests, full, canary): (&BTreeSet<String>, &String, Option<&String>)| {
        digests.contains(full) && canary.is_none_or(|canary| digests.contains(canary))
    };
    let any = full.keys().any(|name| count.contains_key(name));
    any && shared.all(is_one)
}

/// Why there is nothing to return to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// No release ever ended well.
    #[error("no release ever succeeded on it")]
    Never,
    /// There are not so many.
    #[error("only {known} of its earlier releases {} known, which is less than {asked}: {list}", if *known == 1 { "is" } else { "are" })]
    TooFar {
        /// How many steps were asked for.
        asked: u32,
        /// How many there are.
        known: usize,
        /// Which, for people.
        list: String,
    },
    /// Nothing but the present one.
    #[error("no earlier release of it is known, only the present one ({0})")]
    Only(String),
    /// It never ran that release.
    #[error("no release {asked} ever succeeded on it{near}")]
    Unknown {
        /// The release that was asked for.
        asked: String,
        /// The nearest ones, for people: `; the nearest: …`, or nothing.
        near: String,
    },
}

/// The releases that a service stands upon, newest first, from all that ever ended well on it, newest first.
///
/// Who returns to an earlier release leaves what came after it, so that is no way back any more: of v1, v2, v3, v2 the
/// way is v2, v1. A release is known again by its revision, or by its images; another revision with the images of the one
/// right before it is a change of its own.
#[must_use]
pub fn way_back(history: &[Good]) -> Vec<&Good> {
    let mut way: Vec<&Good> = Vec::new();
    for next in history.iter().rev() {
        let top = way.len().saturating_sub(1);
        let known = way.iter().enumerate().position(|(place, earlier)| {
            earlier.revision == next.revision || (place < top && earlier.same_images(&next.digests))
        });
        way.truncate(known.unwrap_or(way.len()));
        way.push(next);
    }
    way.reverse();
    way
}

/// Which release is meant.
///
/// Steps count from what the service runs. Where it is on its way back already (ECS, a worker or somebody's rollback took it
/// there just now, and whatever came after is not on record as left yet; or the rollback that did it is not over for all its
/// services), or only its canary runs a later release, they count from what it is leaving: who says "back" a second time
/// means the same place. [`JUST_NOW`] is how long that is so.
///
/// # Errors
/// Why there is none.
pub fn choose<'a>(history: &'a [Good], present: &Present, to: &Back) -> Result<&'a Good, NoTarget> {
    match to {
        Back::Release(asked) => history.iter().find(|good| good.release.as_ref() == Some(asked)).ok_or_else(|| {
            let known = way_back(history).into_iter().filter_map(|good| good.release.as_deref());
            NoTarget::Unknown { asked: asked.clone(), near: hint(asked, known) }
        }),
        Back::Steps(steps) => {
            let way = way_back(history);
            let steps = usize::try_from(steps.get()).unwrap_or(usize::MAX);
            let first = first_step(&way, present);
            if let Some(found) = first.checked_add(steps - 1).and_then(|place| way.get(place)) {
                return Ok(found);
            }
            let earlier = &way[first.min(way.len())..];
            Err(match (way.is_empty(), earlier) {
                (true, _) => NoTarget::Never,
                (_, []) => NoTarget::Only(present.revision.to_string()),
                (_, earlier) => NoTarget::TooFar {
                    asked: u32::try_from(steps).unwrap_or(u32::MAX),
                    known: earlier.len(),
                    list: earlier.iter().map(|good| good.name()).collect::<Vec<_>>().join(", "),
                },
            })
        }
    }
}

/// A rollback that is not over for one of its services is over for none of them: who ended it may have died between two
/// records. One that ended after somebody else had ordered theirs, at `ordered` in epoch seconds, is not over for them: they
/// saw the services as they were before. One that nobody has heard of for [`JUST_NOW`] is over for all. `newest`: what is on
/// record last, of every service that goes back together.
pub fn over_for_none(newest: &mut [&mut Good], ordered: i64) {
    // By its begin: whether it is not over, and when something was last heard of it.
    let mut rollbacks: BTreeMap<i64, (bool, i64)> = BTreeMap::new();
    for good in newest.iter() {
        let Some(began) = good.returned else { continue };
        let heard = good.over.map_or(good.at, |over| over.max(good.at));
        let (unfinished, last) = rollbacks.entry(began).or_insert((false, heard));
        *unfinished |= good.unfinished || good.over.is_some_and(|over| over > ordered);
        *last = heard.max(*last);
    }
    for good in newest.iter_mut() {
        let rollback = good.returned.and_then(|began| rollbacks.get(&began));
        good.unfinished = rollback.is_some_and(|(unfinished, last)| *unfinished && elapsed(*last, ordered) < JUST_NOW);
    }
}

/// Where on its way a service comes to with one step.
fn first_step(way: &[&Good], present: &Present) -> usize {
    let by_revision = way.iter().position(|good| good.revision == present.revision);
    match by_revision.or_else(|| way.iter().position(|good| good.is(&present.revision, &present.digests))) {
        // What it runs never succeeded: that is what is left.
        None => 0,
        Some(place) if present.outrun || (place > 0 && !present.settled) => place,
        // What it comes from is left, unless that stands earlier on its way: then a rollback was taken back itself, or the
        // service goes forward again.
        Some(place) if present.comes_from().any(|from| !way.iter().skip(place).any(|good| good.revision == *from)) => {
            place
        }
        Some(place) if way.get(place).is_some_and(|good| good.unfinished) => place,
        Some(place) => place + 1,
    }
}

#[cfg(test)]
#[path = "way_tests.rs"]
mod tests;
