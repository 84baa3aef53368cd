//! The tricky cases of references, each in a few lines: task definitions, sources, what freezes, what dangles.

use chrono::TimeDelta;
use coalmine_pipeline::Home;

use super::world::{World, digest, reference};
use crate::in_use::{Content, Definition, Reach, Source, SourceReport, Step, Use, Used};
use crate::inventory::{Manifest, Replication};
use crate::plan::{Freeze, Gap, Kept, Verdict};
use crate::policy::Policy;

const NOTHING: [u8; 0] = [];

#[test]
fn recent_task_definitions_are_roots_and_older_ones_only_where_something_refers_to_them() {
    let mut world = World::new();
    for n in 1..=40 {
        world.image("shop/app", n, &[&format!("v{n}")], 400);
    }
    // The 6th-newest is recent by its date, the 30 oldest are recent by nothing.
    for n in 1..=40_u8 {
        let days = if n >= 28 { 5 } else { 200 };
        world.definition("app", n.into(), true, days, &reference("shop/app", &format!(":v{n}")));
    }
    assert_eq!(world.deleted(), (1..28).collect::<Vec<u8>>());
    let inactive = world.definition("app", 3, false, 200, &reference("shop/app", ":v3"));
    world.service(Step::TaskSet("ts-1".into()), inactive);
    assert!(!world.deleted().contains(&3));
    let path = format!(
        "service prod/app → task set ts-1 → task definition app:3 → container web → {}",
        reference("shop/app", ":v3")
    );
    assert!(world.why(3).ends_with(&path), "{}", world.why(3));
}

#[test]
fn the_window_is_counted_to_the_second() {
    let mut world = World::new();
    for n in 1..=2 {
        world.image("shop/app", n, &[&format!("v{n}")], 400);
        let arn = world.definition("app", n.into(), true, 90, &reference("shop/app", &format!(":v{n}")));
        let Content::Read { registered, .. } = &mut world.in_use.definitions.get_mut(&arn).unwrap().content else {
            panic!("it was read");
        };
        *registered = registered.map(|at| at - TimeDelta::seconds(2 - i64::from(n)));
    }
    for n in 3..=12 {
        world.definition("app", n, true, 1, "nginx");
    }
    assert_eq!(world.deleted(), [1]);
}

#[test]
fn with_every_active_revision_a_root_only_inactive_ones_let_go() {
    let mut world = World::new();
    world.policy = Policy::parse(&format!("{}\n[references]\nall_active = true", super::world::POLICY)).unwrap();
    for n in 1..=20_u8 {
        world.image("shop/app", n, &[&format!("v{n}")], 400);
        world.definition("app", n.into(), n != 4, 200, &reference("shop/app", &format!(":v{n}")));
    }
    assert_eq!(world.deleted(), [4]);
}

#[test]
fn two_thousand_active_revisions_keep_only_the_window() {
    let mut world = World::new();
    for n in 1..=20_u8 {
        world.image("shop/app", n, &[&format!("v{n}")], 400);
    }
    for revision in 1..=2_000_u32 {
        let image = reference("shop/app", &format!(":v{}", revision / 100));
        world.definition("app", revision, true, i64::from(2_000 - revision) * 365 / 2_000, &image);
    }
    // Ninety days are the last 493 revisions; below them, nothing has to be described.
    assert_eq!(world.deleted(), (1..=14).collect::<Vec<u8>>());
    for (arn, definition) in &mut world.in_use.definitions {
        if definition.revision < 1_500 {
            definition.content = Content::NotRead;
        }
        assert!(arn.contains("app"));
    }
    assert_eq!(world.deleted(), (1..=14).collect::<Vec<u8>>());
}

#[test]
fn a_revision_that_was_active_yesterday_is_still_a_root() {
    let mut world = World::new();
    world.image("shop/app", 1, &["v1"], 40);
    world.image("shop/app", 2, &["v2"], 40);
    for n in [1, 2] {
        let arn = world.definition("app", n, false, 50, &reference("shop/app", &format!(":v{n}")));
        let hours = if n == 1 { 24 } else { 25 };
        world.memory.active.insert(arn, world.now - TimeDelta::hours(hours));
    }
    assert_eq!(world.deleted(), [2]);
}

#[test]
fn a_definition_that_is_needed_and_not_read_stops_everything() {
    let mut world = World::new();
    world.image("shop/app", 1, &["v1"], 40);
    world.service(
        Step::Deployment("ecs-svc/1".into()),
        "arn:aws:ecs:eu-west-1:123456789012:task-definition/app:1".into(),
    );
    assert_eq!(world.deleted(), NOTHING);
    assert_eq!(world.verdict(1), Verdict::Keep(Kept::Incomplete));
    world.planned(|plan| assert!(matches!(plan.gaps[..], [Gap::Definitions(1, _)]), "{:?}", plan.gaps));
}

#[test]
fn a_definition_that_is_said_to_be_gone_stops_everything_while_it_is_listed_or_a_service_or_task_has_it() {
    let arn: std::sync::Arc<str> = "arn:aws:ecs:eu-west-1:123456789012:task-definition/app:1".into();
    let service = || Step::Service("prod".into(), "app".into());
    let history = Step::ServiceDeployment("1".into(), None);
    for (by, is_active, stops) in [
        (vec![service(), Step::Deployment("ecs-svc/1".into())], false, true),
        (vec![Step::ExpressService("app".into())], false, true),
        (vec![Step::Task("prod".into(), "0123".into())], false, true),
        (vec![Step::Rule("default".into(), "nightly".into())], true, true),
        (vec![], true, true),
        // Nothing starts from these, and ECS deletes what they name.
        (vec![Step::Rule("default".into(), "nightly".into())], false, false),
        (vec![service(), history], false, false),
    ] {
        let mut world = World::new();
        world.image("shop/app", 1, &["v1"], 40);
        if !by.is_empty() {
            world.in_use.uses.push(Use { by: by.clone(), of: Used::Definition(arn.clone()) });
        }
        let gone = Definition { family: "app".into(), revision: 1, is_active, content: Content::Gone };
        world.in_use.definitions.insert(arn.clone(), gone);
        assert_eq!(world.deleted().is_empty(), stops, "{by:?} {is_active}");
        world.planned(|plan| assert_eq!(matches!(plan.gaps[..], [Gap::Definitions(..)]), stops, "{:?}", plan.gaps));
    }
}

#[test]
fn what_has_to_be_read_is_asked_for_until_nothing_is_missing() {
    let mut world = World::new();
    world.policy = Policy::parse(&format!("{}\n[references]\nkeep_revisions = 2", super::world::POLICY)).unwrap();
    let used = world.definition("app", 1, false, 400, &reference("shop/app", ":v1"));
    world.service(Step::Deployment("ecs-svc/1".into()), used);
    for n in 2..=9 {
        world.definition("app", n, true, 200 - i64::from(n) * 20, &reference("shop/app", &format!(":v{n}")));
    }
    let described = world.in_use.definitions.clone();
    for definition in world.in_use.definitions.values_mut() {
        definition.content = Content::NotRead;
    }
    let mut asked = 0;
    loop {
        let unread = world.in_use.unread(&world.policy.recent, &world.memory, world.now);
        let Some(first) = unread.first() else { break };
        world.in_use.definitions.insert(first.clone(), described[first].clone());
        asked += 1;
    }
    // The one in use, the newest two, and those of ninety days. ARNs are asked for in their order: that finds the first
    // one beyond the window early.
    assert!((6..=9).contains(&asked), "{asked}");
    let content = |revision: u32| {
        world
            .in_use
            .definitions
            .values()
            .find(|one| one.revision == revision)
            .map(|one| one.content != Content::NotRead)
    };
    assert!([1, 6, 7, 8, 9].into_iter().all(|revision| content(revision) == Some(true)));
}

#[test]
fn a_source_that_is_incomplete_or_forgotten_stops_everything() {
    for source in Source::ALL
        .into_iter()
        .filter(|source| !matches!(source, Source::Ledger | Source::KeepLists | Source::Manifests))
    {
        let mut world = World::new();
        world.image("shop/app", 1, &["v1"], 40);
        let at = world.in_use.sources.iter().position(|report| report.source == source).unwrap();
        world.in_use.sources[at].reach = Reach::Incomplete { why: "access denied in cluster prod".into() };
        assert_eq!(world.deleted(), NOTHING, "{source}");
        assert!(world.why(1).ends_with("incomplete: access denied in cluster prod"), "{}", world.why(1));
        world.in_use.sources[at].reach = Reach::Off;
        assert_eq!(world.deleted(), NOTHING, "{source}");
        // Something could go, so whoever thought it was not needed is wrong.
        world.in_use.sources[at].reach = Reach::NotNeeded;
        assert_eq!(world.deleted(), NOTHING, "{source}");
        world.in_use.sources.remove(at);
        assert_eq!(world.deleted(), NOTHING, "{source}");
    }
}

#[test]
fn a_source_that_was_not_needed_is_not_missed_where_everything_is_young() {
    let mut world = World::new();
    world.image("shop/app", 1, &["v1"], 5);
    let is_deployments = |report: &&mut SourceReport| report.source == Source::ServiceDeployments;
    let report = world.in_use.sources.iter_mut().find(is_deployments).unwrap();
    report.reach = Reach::NotNeeded;
    world.planned(|plan| assert_eq!(plan.gaps, []));
}

#[test]
fn a_source_that_is_switched_off_does_not_stop_anything() {
    let mut world = World::new();
    world.policy = Policy::parse(&format!("{}\n[sources]\nlambda = false", super::world::POLICY)).unwrap();
    world.image("shop/app", 1, &["v1"], 40);
    world.in_use.sources.retain(|report| report.source != Source::Lambda);
    assert_eq!(world.deleted(), [1]);
}

#[test]
fn every_configured_reader_has_to_be_complete() {
    let mut world = World::new();
    let reader = "\n[[readers]]\naccount = \"210987654321\"\nregions = [\"eu-west-1\"]";
    world.policy = Policy::parse(&format!("{}{reader}", super::world::POLICY)).unwrap();
    world.image("shop/app", 1, &["v1"], 40);
    assert_eq!(world.deleted(), NOTHING);
    let other = Home { account: "210987654321".into(), region: "eu-west-1".into() };
    for mut report in world.in_use.sources.clone() {
        report.home = Some(other.clone());
        world.in_use.sources.push(report);
    }
    assert_eq!(world.deleted(), [1]);
}

#[test]
fn a_reference_that_cannot_be_read_freezes_what_it_may_mean() {
    for (text, frozen) in [("/shop/app:", [true, false]), ("/Shop", [true, true]), ("/shop/unknown:", [false, false])] {
        let mut world = World::new();
        world.image("shop/app", 1, &[], 40);
        world.image("shop/web", 2, &[], 40);
        world.image("shop/web", 3, &[], 1);
        world.uses(&format!("{}{text}", super::world::HOST), None);
        world.planned(|plan| {
            let found: Vec<bool> = plan.repositories.iter().map(|judged| !judged.frozen.is_empty()).collect();
            assert_eq!(found, frozen, "{text}");
        });
        let free: Vec<u8> = [1, 2].into_iter().zip(frozen).filter(|(_, frozen)| !frozen).map(|(n, _)| n).collect();
        assert_eq!(world.deleted(), free, "{text}");
    }
}

#[test]
fn a_digest_that_is_named_at_a_copy_keeps_its_image_wherever_it_is() {
    let mut world = World::new();
    world.image("shop/app", 1, &[], 40);
    world.image("shop/web", 2, &[], 1);
    let readers = "\n[[readers]]\naccount = \"123456789012\"\nregions = [\"eu-west-2\"]\n\
        [[shared]]\nrepositories = [\"**\"]\nwith = [\"123456789012\"]";
    world.policy = Policy::parse(&format!("{}{readers}", super::world::POLICY)).unwrap();
    let copy = Home { account: "123456789012".into(), region: "eu-west-2".into() };
    world.in_use.sources.extend(Source::IN_PLACES.map(|source| SourceReport {
        source,
        home: Some(copy.clone()),
        reach: Reach::Complete,
    }));
    assert_eq!(world.deleted(), [1]);
    world.uses(&format!("123456789012.dkr.ecr.eu-west-2.amazonaws.com/shop/web@{}", digest(1)), None);
    for deletes in [false, true] {
        world.replication = vec![Replication { destinations: vec![copy.clone()], prefixes: vec![], deletes }];
        assert_eq!(world.deleted(), NOTHING, "{deletes}");
    }
}

#[test]
fn deletions_that_spread_need_readers_where_they_spread_to() {
    let mut world = World::new();
    world.image("shop/app", 1, &["v1"], 40);
    let copy = Home { account: "123456789012".into(), region: "eu-west-2".into() };
    world.replication = vec![Replication { destinations: vec![copy.clone()], prefixes: vec![], deletes: true }];
    assert_eq!(world.deleted(), NOTHING);
    let reader = "\n[[readers]]\naccount = \"123456789012\"\nregions = [\"eu-west-2\"]";
    world.policy = Policy::parse(&format!("{}{reader}", super::world::POLICY)).unwrap();
    for mut report in world.in_use.sources.clone() {
        report.home = Some(copy.clone());
        world.in_use.sources.push(report);
    }
    // The copy's own policy may let somebody else pull.
    assert_eq!(world.deleted(), NOTHING);
    world.planned(|plan| assert_eq!(plan.repositories[0].frozen, [Freeze::CopyMayBeShared(copy)]));
    let shared = "\n[[shared]]\nrepositories = [\"shop/*\"]\nwith = [\"123456789012\"]";
    world.policy = Policy::parse(&format!("{}{reader}{shared}", super::world::POLICY)).unwrap();
    assert_eq!(world.deleted(), [1]);
    world.uses("123456789012.dkr.ecr.eu-west-2.amazonaws.com/shop/app:v1", None);
    assert_eq!(world.deleted(), NOTHING);
    world.in_use.uses.clear();
    // The copy was given a tag of its own: whichever image has it there, its deletion here deletes it.
    world.uses("123456789012.dkr.ecr.eu-west-2.amazonaws.com/shop/app:theirs", None);
    assert_eq!(world.deleted(), NOTHING);
    assert_eq!(world.verdict(1), Verdict::Keep(Kept::Frozen));
}

/// Another registry of ECR may be a pull-through cache of this one.
#[test]
fn a_digest_counts_wherever_it_is_named() {
    for (name, rest, running) in [
        ("210987654321.dkr.ecr.eu-west-1.amazonaws.com/cache/shop/app", format!("@{}", digest(1)), None),
        ("210987654321.dkr.ecr.eu-west-1.amazonaws.com/cache/shop/app", ":v1".to_owned(), Some(digest(1))),
        ("registry.example.com/app", format!("@{}", digest(1)), None),
    ] {
        let mut world = World::new();
        world.image("shop/app", 1, &["v1"], 40);
        world.image("shop/app", 2, &["v2"], 40);
        world.uses(&format!("{name}{rest}"), running);
        assert_eq!(world.deleted(), [2], "{name}{rest}");
    }
}

#[test]
fn manifests_that_were_not_read_stop_everything_and_unreadable_ones_their_repository() {
    let mut world = World::new();
    world.index("shop/app", 1, &["v1"], 40, &[2]);
    world.image("shop/app", 2, &[], 40);
    world.image("shop/web", 3, &[], 40);
    world.image("shop/web", 4, &[], 1);
    world.manifests.insert(digest(1), Manifest::Unreadable("ImageInaccessible".into()));
    assert_eq!(world.deleted(), [3]);
    world.manifests.remove(&digest(1));
    assert_eq!(world.deleted(), NOTHING);
    world.planned(|plan| assert_eq!(plan.gaps, [Gap::Manifests(1, "shop/app".into())]));
}

#[test]
fn a_clock_before_the_last_scan_stops_everything() {
    let mut world = World::new();
    world.image("shop/app", 1, &[], 40);
    world.memory.scanned = Some(world.now + TimeDelta::minutes(10));
    assert_eq!(world.deleted(), [1]);
    world.memory.scanned = Some(world.now + TimeDelta::minutes(11));
    assert_eq!(world.deleted(), NOTHING);
}

#[test]
fn references_to_nothing_are_told_and_keep_nothing() {
    let mut world = World::new();
    world.image("shop/app", 1, &["v1"], 40);
    world.uses(&reference("shop/app", ":v7"), None);
    world.uses(&reference("shop/app", &format!("@{}", digest(50))), None);
    world.uses(&reference("shop/none", ":v1"), None);
    world.uses("docker.io/library/nginx", None);
    // Pulled by digest: that the tag is gone does no harm.
    world.uses(&reference("shop/app", &format!(":v7@{}", digest(99))), None);
    assert_eq!(world.deleted(), [1]);
    world.planned(|plan| assert_eq!(plan.dangling.len(), 3));
}

#[test]
fn the_same_name_elsewhere_keeps_nothing_and_a_bare_digest_keeps_it_everywhere() {
    let mut world = World::new();
    world.image("shop/app", 1, &["v1"], 40);
    world.image("shop/app", 2, &["v2"], 40);
    world.image("shop/web", 2, &["v2"], 40);
    world.uses("210987654321.dkr.ecr.eu-west-1.amazonaws.com/shop/app:v1", None);
    world.uses(&format!("mirror.example.com/app@{}", digest(2)), None);
    world.image("shop/web", 3, &[], 1);
    assert_eq!(world.deleted(), [1]);
    let of = Used::Digest(digest(1).to_string().to_uppercase().replace("SHA256", "sha256").into());
    world.in_use.uses.push(Use { by: vec![Step::Other("something".into())], of });
    assert_eq!(world.deleted(), NOTHING);
}
