//! The way back of a service: the releases that it can return to, and which of them is meant.

use std::collections::BTreeMap;

use coalmine_pipeline::Back;

use crate::deploy::nearest::hint;
use crate::deploy::revision::Revision;
use crate::deploy::view::Service;

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
}

impl Present {
    /// What a service is told to run. Another deployment of the same revision is not on its way from elsewhere.
    #[must_use]
    pub fn of(service: &Service, digests: BTreeMap<String, String>, reverted: Option<Revision>) -> Self {
        let others = service.rollouts.iter().map(|rollout| &rollout.revision);
        let others = others.filter(|revision| **revision != service.revision);
        let arriving = if service.is_rolling() { others.cloned().collect() } else { Vec::new() };
        Self { revision: service.revision.clone(), digests, arriving, reverted, outrun: false }
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
/// there, and whatever came after is not on record as left yet; or the rollback that did it is not over for all its
/// services), or only its canary runs a later release, they count from what it is leaving: who says "back" a second time
/// means the same place.
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
/// saw the services as they were before. `newest`: what is on record last, of every service that goes back together.
pub fn over_for_none(newest: &mut [&mut Good], ordered: i64) {
    for good in newest.iter_mut() {
        good.unfinished |= good.returned.is_some() && good.over.is_some_and(|over| over >= ordered);
    }
    let unfinished: Vec<Option<i64>> =
        newest.iter().filter(|good| good.unfinished && good.returned.is_some()).map(|good| good.returned).collect();
    for good in newest {
        good.unfinished |= unfinished.contains(&good.returned);
    }
}

/// Where on its way a service comes to with one step.
fn first_step(way: &[&Good], present: &Present) -> usize {
    let by_revision = way.iter().position(|good| good.revision == present.revision);
    match by_revision.or_else(|| way.iter().position(|good| good.is(&present.revision, &present.digests))) {
        // What it runs never succeeded: that is what is left.
        None => 0,
        Some(place) if place > 0 || present.outrun => place,
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
mod tests {
    use super::*;
    use crate::deploy::fixtures::{rollout, service};
    use proptest::prelude::*;

    /// `v3` of an application: revision app:3, unless `v3'7` says another one for the same images.
    fn good(text: &str) -> Good {
        let (release, number) = text.split_once('\'').map_or((text, &text[1..]), |(release, number)| (release, number));
        Good {
            release: Some(format!("e-{release}")),
            pipeline: "app".into(),
            at: 0,
            revision: format!("app:{number}").parse().unwrap(),
            digests: [("app".to_owned(), format!("sha256:{release}"))].into(),
            returned: None,
            unfinished: false,
            over: None,
        }
    }

    /// Newest last, as people tell it.
    fn history(text: &str) -> Vec<Good> {
        text.split_whitespace().rev().map(good).collect()
    }

    fn way(text: &str) -> String {
        let history = history(text);
        way_back(&history).iter().map(|good| good.revision.number.to_string()).collect::<Vec<_>>().join(" ")
    }

    fn present(text: &str) -> Present {
        let good = good(text);
        Present { revision: good.revision, digests: good.digests, arriving: Vec::new(), reverted: None, outrun: false }
    }

    fn chosen(past: &str, present: &Present, to: &str) -> Result<String, String> {
        let history = history(past);
        choose(&history, present, &to.parse().unwrap()).map(Good::name).map_err(|none| none.to_string())
    }

    #[test]
    fn what_was_left_is_no_way_back() {
        for (past, expected) in [
            ("", ""),
            ("v1", "1"),
            ("v1 v2 v3", "3 2 1"),
            ("v1 v2 v3 v2", "2 1"),
            ("v1 v2 v3 v2 v4", "4 2 1"),
            ("v1 v2 v3 v2'9", "9 1"),
            ("v1 v2 v2'9", "9 2 1"),
            ("v1 v2 v1 v2'9", "9 1"),
        ] {
            assert_eq!(way(past), expected, "{past}");
        }
    }

    #[test]
    fn steps_count_from_what_the_service_runs() {
        for (past, runs, to, expected) in [
            ("v1 v2 v3", "v3", "last", Ok("e-v2")),
            ("v1 v2 v3", "v3", "-2", Ok("e-v1")),
            ("v1 v2 v3", "v3", "e-v1", Ok("e-v1")),
            ("v1 v2 v3", "v3", "e-v3", Ok("e-v3")),
            ("v1 v2 v3 v2", "v2", "-1", Ok("e-v1")),
            ("v1 v2 v3 v2", "v2", "e-v3", Ok("e-v3")),
            // It runs what never succeeded: a turnover under way, somebody's deployment.
            ("v1 v2", "v3", "last", Ok("e-v2")),
            ("v1 v2", "v3", "-2", Ok("e-v1")),
            // It was taken back, which is not on record.
            ("v1 v2 v3", "v2", "last", Ok("e-v2")),
            ("v1 v2 v3", "v2", "-2", Ok("e-v1")),
            ("", "v1", "last", Err("no release ever succeeded on it")),
            ("v1", "v1", "last", Err("no earlier release of it is known, only the present one (app:1)")),
            ("v1 v2", "v2", "-3", Err("only 1 of its earlier releases is known, which is less than 3: e-v1")),
            ("v1 v2", "v2", "e-v7", Err("no release e-v7 ever succeeded on it; the nearest: e-v2, e-v1")),
            ("", "v2", "e-v7", Err("no release e-v7 ever succeeded on it")),
        ] {
            let found = chosen(past, &present(runs), to);
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{past} at {runs}, {to}");
        }
    }

    #[test]
    fn who_says_back_while_it_goes_back_means_the_same_place() {
        for (arriving, reverted) in from("app:3") {
            let going = Present { arriving, reverted, ..present("v2") };
            assert_eq!(chosen("v1 v2 v3", &going, "last"), Ok("e-v2".into()), "a rollback under way");
            assert_eq!(chosen("v1 v2", &going, "last"), Ok("e-v2".into()), "a release that failed is undone");
            assert_eq!(chosen("v1 v2", &going, "-2"), Ok("e-v1".into()));
        }
    }

    /// On its way from a revision, or taken back from it by ECS.
    fn from(revision: &str) -> [(Vec<Revision>, Option<Revision>); 2] {
        let revision: Revision = revision.parse().unwrap();
        [(vec![revision.clone()], None), (Vec::new(), Some(revision))]
    }

    #[test]
    fn who_says_back_again_after_ecs_took_a_rollback_back_does_not_mean_what_it_left() {
        for (arriving, reverted) in from("app:2") {
            let again = Present { arriving, reverted, ..present("v3") };
            assert_eq!(chosen("v1 v2 v3", &again, "last"), Ok("e-v2".into()), "v2 did not come up");
            assert_eq!(chosen("v1 v2 v3", &again, "-2"), Ok("e-v1".into()));
            assert_eq!(chosen("v1 v2 v3", &again, "e-v1"), Ok("e-v1".into()));
        }
        for (arriving, reverted) in from("app:1") {
            let again = Present { arriving, reverted, ..present("v3") };
            assert_eq!(chosen("v1 v2 v3", &again, "last"), Ok("e-v2".into()), "-2 did not come up");
        }
    }

    #[test]
    fn who_begins_an_unfinished_rollback_again_means_the_same_place() {
        let mut past = history("v1 v2 v3 v2");
        for (unfinished, expected) in [(true, "e-v2"), (false, "e-v1")] {
            past[0].unfinished = unfinished;
            assert_eq!(choose(&past, &present("v2"), &Back::LAST).map(Good::name), Ok(expected.into()));
        }
        past[0].unfinished = true;
        past.insert(0, good("v4"));
        assert_eq!(choose(&past, &present("v4"), &Back::LAST).map(Good::name), Ok("e-v2".into()), "v3 was left");
        assert_eq!(choose(&past, &present("v2"), &Back::LAST).map(Good::name), Ok("e-v2".into()), "v4 was left");
    }

    #[test]
    fn a_rollback_that_is_not_over_for_one_service_is_over_for_none() {
        let newest = |returned, unfinished| Good { returned, unfinished, ..good("v2") };
        let mut all = [newest(Some(7), false), newest(Some(7), true), newest(Some(5), false), newest(None, false)];
        over_for_none(&mut all.iter_mut().collect::<Vec<_>>(), 9);
        assert_eq!(all.map(|good| good.unfinished), [true, true, false, false]);
    }

    #[test]
    fn a_rollback_that_ended_after_the_next_one_was_ordered_is_not_over_for_it() {
        let newest = |returned, over| Good { returned, over, ..good("v2") };
        let all = || [newest(Some(3), Some(7)), newest(Some(3), None), newest(Some(4), Some(6)), newest(None, Some(9))];
        for (ordered, expected) in
            [(6, [true, true, true, false]), (7, [true, true, false, false]), (8, [false, false, false, false])]
        {
            let mut all = all();
            over_for_none(&mut all.iter_mut().collect::<Vec<_>>(), ordered);
            assert_eq!(all.map(|good| good.unfinished), expected, "{ordered}");
        }
    }

    #[test]
    fn a_release_that_only_the_canary_runs_is_what_is_left() {
        let at = |name: &str, revision: &str, created: i64| {
            let mut service = service(name, 1, revision);
            service.rollouts[0].created = Some(crate::deploy::fixtures::at(created));
            service
        };
        let runs = |text: &str| Present { digests: good(text).digests, ..present("v1") };
        let full = at("app", "app:1", 50);
        for (canary, digests, created, expected) in
            [("canary:2", "v2", 90, true), ("canary:2", "v2", 10, false), ("canary:2", "v1", 90, false)]
        {
            let canary = at("canary", canary, created);
            let found = Present::is_outrun((&runs("v1"), &full, &[]), (&runs(digests), &canary, &[]));
            assert_eq!(found, expected, "{digests} {created}");
        }
        let nothing = Present { digests: BTreeMap::new(), ..present("v1") };
        assert!(
            Present::is_outrun((&runs("v1"), &full, &[]), (&nothing, &at("canary", "canary:2", 90), &[])),
            "no task runs yet"
        );
        // It ran that before: a rollback has told the canary, and not yet the full service.
        for (full, canary, expected) in [
            ("v1 v2 v3", "v1 v2 v3", false),
            ("v1 v2 v3", "v1 v2 v3 v2", false),
            ("v1 v2 v3", "v1 v3 v2 v2", true),
            ("v1 v3", "v1 v3", true),
            // A stage was retried after its canary had been restored.
            ("v1 v3", "v1 v3 v2 v3 v2", true),
        ] {
            let (full, canary) = (history(full), history(canary));
            let full = (&present("v3"), &at("app", "app:3", 50), full.as_slice());
            let found = Present::is_outrun(full, (&present("v2"), &at("app", "app:2", 90), &canary));
            assert_eq!(found, expected, "{full:?} {canary:?}");
        }
        let held = Present { outrun: true, ..present("v2") };
        assert_eq!(chosen("v1 v2", &held, "last"), Ok("e-v2".into()));
    }

    #[test]
    fn another_deployment_of_the_same_revision_comes_from_nowhere_else() {
        let mut app = service("app", 4, "app:2");
        app.rollouts = vec![rollout("PRIMARY", "IN_PROGRESS", "app:2", 1), rollout("ACTIVE", "COMPLETED", "app:2", 3)];
        assert_eq!(Present::of(&app, BTreeMap::new(), None).arriving, []);
        app.rollouts[1] = rollout("ACTIVE", "COMPLETED", "app:3", 3);
        assert_eq!(Present::of(&app, BTreeMap::new(), None).arriving, ["app:3".parse().unwrap()]);
    }

    proptest! {
        /// Whatever happened before: who has gone back once, and says so again while it lasts or before it is on record,
        /// comes to the same place; and once it is on record, one step further, never to what was left.
        #[test]
        fn going_back_converges_and_never_returns_to_what_was_left(past in proptest::collection::vec(1u32..6, 1..12)) {
            let past: Vec<Good> = past.iter().rev().map(|number| good(&format!("v{number}"))).collect();
            let runs = Present { revision: past[0].revision.clone(), digests: past[0].digests.clone(), arriving: Vec::new(), reverted: None, outrun: false };
            let Ok(target) = choose(&past, &runs, &Back::LAST) else { return Ok(()) };
            prop_assert!(target.revision != runs.revision);
            for (arriving, reverted) in from(&runs.revision.to_string()).into_iter().chain([(Vec::new(), None)]) {
                let at = Present { revision: target.revision.clone(), digests: target.digests.clone(), arriving, reverted, outrun: false };
                prop_assert_eq!(choose(&past, &at, &Back::LAST), Ok(target));
            }
            let mut recorded = vec![target.clone()];
            recorded.extend(past.iter().cloned());
            let at = Present { revision: target.revision.clone(), digests: target.digests.clone(), arriving: Vec::new(), reverted: None, outrun: false };
            if let Ok(further) = choose(&recorded, &at, &Back::LAST) {
                prop_assert!(further.revision != target.revision && further.revision != runs.revision);
            }
        }
    }
}
