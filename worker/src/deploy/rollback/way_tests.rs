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
    let (revision, digests) = (good.revision, good.digests);
    Present { revision, digests, arriving: Vec::new(), reverted: None, outrun: false, settled: false }
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
fn who_says_back_long_after_a_service_went_back_means_one_further() {
    for (past, runs, to, expected) in [
        ("v1 v2 v3", "v2", "last", Ok("e-v1")),
        ("v1 v2 v3 v4", "v2", "last", Ok("e-v1")),
        ("v1 v2 v3 v4", "v3", "-2", Ok("e-v1")),
        ("v1 v2 v3", "v1", "last", Err("no earlier release of it is known, only the present one (app:1)")),
        ("v1 v2 v3", "v2", "e-v2", Ok("e-v2")),
        ("v1 v2 v3", "v3", "last", Ok("e-v2")),
        ("v1 v2 v3 v2", "v2", "last", Ok("e-v1")),
        // It runs what never succeeded, however long.
        ("v1 v2", "v3", "last", Ok("e-v2")),
    ] {
        let settled = Present { settled: true, ..present(runs) };
        let found = chosen(past, &settled, to);
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{past} at {runs}, {to}");
    }
    let held = Present { outrun: true, settled: true, ..present("v2") };
    assert_eq!(chosen("v1 v2 v3", &held, "last"), Ok("e-v2".into()), "its canary alone leaves something");
}

#[test]
fn a_service_is_settled_an_hour_after_it_was_told() {
    let told = |seconds: i64| {
        let mut app = service("app", 4, "app:2");
        app.rollouts[0].created = Some(crate::deploy::fixtures::at(seconds));
        app
    };
    let settled = |app: &Service, reverted: Option<&str>, now: i64| {
        Present::of(app, BTreeMap::new(), reverted.map(|from| from.parse().unwrap()), now).settled
    };
    assert!(!settled(&told(1_000), None, 4_599) && settled(&told(1_000), None, 4_600));
    assert!(!settled(&service("app", 4, "app:2"), None, 9_000_000), "nobody knows since when");
    assert!(!settled(&told(1_000), Some("app:3"), 9_000_000), "ECS took it back to an old deployment");
    let mut rolling = told(1_000);
    rolling.rollouts.push(rollout("ACTIVE", "COMPLETED", "app:3", 3));
    assert!(!settled(&rolling, None, 9_000_000), "it is not there yet");
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
fn a_rollback_of_which_nothing_was_heard_for_an_hour_is_over_for_all() {
    let newest = |at, unfinished, over| Good { returned: Some(7), at, unfinished, over, ..good("v2") };
    for (ordered, expected) in [(3_699, true), (3_700, false), (9_000_000, false)] {
        let mut all = [newest(10, true, None), newest(100, false, Some(90))];
        over_for_none(&mut all.iter_mut().collect::<Vec<_>>(), ordered);
        assert_eq!(all.map(|good| good.unfinished), [expected; 2], "{ordered}");
    }
}

#[test]
fn a_rollback_that_ended_after_the_next_one_was_ordered_is_not_over_for_it() {
    let newest = |returned, over| Good { returned, over, ..good("v2") };
    let all = || [newest(Some(3), Some(7)), newest(Some(3), None), newest(Some(4), Some(6)), newest(None, Some(9))];
    for (ordered, expected) in
        [(5, [true, true, true, false]), (6, [true, true, false, false]), (7, [false, false, false, false])]
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
fn an_index_and_its_children_are_one_image_and_what_nobody_knows_is_none() {
    let run = |digests: &[(&str, &str)]| -> BTreeMap<String, String> {
        digests.iter().map(|(name, digest)| ((*name).to_owned(), (*digest).to_owned())).collect()
    };
    let (index, other, unknown): (&[&str], &[&str], &[&str]) = (&["index", "arm64", "amd64"], &["other"], &[]);
    for (full, canary, count, expected) in [
        // On record by the index, and by ECS's word a child; or two children, of two architectures.
        (run(&[("app", "index")]), run(&[("app", "arm64")]), vec![("app", index)], true),
        (run(&[("app", "amd64")]), run(&[("app", "arm64")]), vec![("app", index)], true),
        // No task has run yet: what its task definition names has to do.
        (run(&[("app", "index")]), run(&[]), vec![("app", index)], true),
        (run(&[("app", "index")]), run(&[]), vec![("app", other)], false),
        // The tag has moved since.
        (run(&[("app", "index")]), run(&[("app", "other")]), vec![("app", index)], false),
        // The one image of two that differs is what is new.
        (
            run(&[("app", "index"), ("log", "l1")]),
            run(&[("app", "arm64")]),
            vec![("app", index), ("log", other)],
            false,
        ),
        // Nobody can tell what one of them is.
        (
            run(&[("app", "index"), ("log", "l1")]),
            run(&[("app", "arm64")]),
            vec![("app", index), ("log", unknown)],
            false,
        ),
        // They share no container.
        (run(&[("app", "index")]), run(&[("web", "index")]), vec![("web", index)], false),
        (run(&[]), run(&[]), vec![], false),
    ] {
        let count = count.into_iter().map(|(name, digests)| {
            (name.to_owned(), digests.iter().map(|digest| (*digest).to_owned()).collect::<BTreeSet<String>>())
        });
        let count: BTreeMap<String, BTreeSet<String>> = count.collect();
        assert_eq!(are_one_image(&full, &canary, &count), expected, "{full:?} {canary:?} {count:?}");
    }
}

#[test]
fn another_deployment_of_the_same_revision_comes_from_nowhere_else() {
    let mut app = service("app", 4, "app:2");
    app.rollouts = vec![rollout("PRIMARY", "IN_PROGRESS", "app:2", 1), rollout("ACTIVE", "COMPLETED", "app:2", 3)];
    assert_eq!(Present::of(&app, BTreeMap::new(), None, 0).arriving, []);
    app.rollouts[1] = rollout("ACTIVE", "COMPLETED", "app:3", 3);
    assert_eq!(Present::of(&app, BTreeMap::new(), None, 0).arriving, ["app:3".parse().unwrap()]);
}

proptest! {
    /// Whatever happened before: who has gone back once, and says so again while it lasts or before it is on record,
    /// comes to the same place; and once it is on record, or long ago, one step further, never to what was left.
    #[test]
    fn going_back_converges_and_never_returns_to_what_was_left(past in proptest::collection::vec(1u32..6, 1..12)) {
        let past: Vec<Good> = past.iter().rev().map(|number| good(&format!("v{number}"))).collect();
        let at = |good: &Good| Present {
            revision: good.revision.clone(), digests: good.digests.clone(), arriving: Vec::new(), reverted: None,
            outrun: false, settled: false,
        };
        let runs = at(&past[0]);
        let Ok(target) = choose(&past, &runs, &Back::LAST) else { return Ok(()) };
        prop_assert!(target.revision != runs.revision);
        for (arriving, reverted) in from(&runs.revision.to_string()).into_iter().chain([(Vec::new(), None)]) {
            let again = Present { arriving, reverted, ..at(target) };
            prop_assert_eq!(choose(&past, &again, &Back::LAST), Ok(target));
        }
        let long_ago = Present { settled: true, ..at(target) };
        let mut recorded = vec![target.clone()];
        recorded.extend(past.iter().cloned());
        let further = [choose(&past, &long_ago, &Back::LAST), choose(&recorded, &at(target), &Back::LAST)];
        prop_assert_eq!(&further[0], &further[1], "on record or not, it is one step");
        for further in further.into_iter().flatten() {
            prop_assert!(further.revision != target.revision && further.revision != runs.revision);
        }
    }
}
