//! The tricky cases, each in a few lines.

use chrono::TimeDelta;
use coalmine_pipeline::Home;

use super::world::{World, digest, reference};
use crate::in_use::{Content, Reach, Source, Step, Use, Used};
use crate::inventory::{Access, Manifest, MediaType, Reading, Replication, Status};
use crate::plan::{Freeze, Gap, Guard, Kept, Verdict};
use crate::policy::Policy;

#[test]
fn an_old_unreferenced_image_goes_and_says_by_which_rule() {
    let mut world = World::new();
    world.image("shop/app", 1, &["v1"], 40);
    assert_eq!(world.deleted(), [1]);
    assert_eq!(
        world.why(1),
        r#"rule "shop": pushed 2026-10-11, longer than 30d ago; unreferenced since 2026-11-10 12:00 or longer"#
    );
}

#[test]
fn age_counts_from_the_latest_sign_of_life_and_to_the_second() {
    let mut world = World::new();
    let limit = world.days_ago(30);
    world.image("shop/app", 1, &[], 50).pushed = Some(limit);
    world.image("shop/app", 2, &[], 50).pushed = Some(limit - TimeDelta::seconds(1));
    world.image("shop/app", 3, &[], 50).pulled = Some(limit);
    world.image("shop/app", 4, &[], 50).activated = Some(limit);
    world.image("shop/app", 5, &[], 50).pulled = Some(limit - TimeDelta::days(90));
    assert_eq!(world.deleted(), [2, 5]);
    assert_eq!(world.why(3), "last pulled 2026-10-21, not longer than 30d ago");
}

#[test]
fn every_tag_is_looked_at_for_protection_and_for_references() {
    let mut world = World::new();
    world.image("shop/app", 1, &["a-first", "prod-7"], 40);
    world.image("shop/app", 2, &["a-second", "b-second", "c-second"], 40);
    world.image("shop/app", 3, &["a-third", "b-third"], 40);
    world.uses(&reference("shop/app", ":c-second"), None);
    assert_eq!(world.deleted(), [3]);
    assert!(world.why(1).ends_with("its tag prod-7 is protected"), "{}", world.why(1));
}

#[test]
fn a_reference_protects_by_tag_by_digest_and_by_both() {
    let mut world = World::new();
    for n in 1..=5 {
        world.image("shop/app", n, &[&format!("v{n}")], 40);
    }
    world.uses(&reference("shop/app", &format!("@{}", digest(1))), None);
    world.uses(&reference("shop/app", ":v2"), None);
    // The tag has moved since: both count.
    world.uses(&reference("shop/app", &format!(":v3@{}", digest(4))), None);
    assert_eq!(world.deleted(), [5]);
}

#[test]
fn a_reference_without_tag_means_latest() {
    let mut world = World::new();
    world.image("shop/app", 1, &["latest"], 40);
    world.image("shop/app", 2, &["v2"], 40);
    world.uses(&reference("shop/app", ""), None);
    assert_eq!(world.deleted(), [2]);
}

#[test]
fn a_task_keeps_the_digest_that_it_runs_though_its_tag_has_moved() {
    let mut world = World::new();
    world.image("shop/app", 1, &[], 40);
    world.image("shop/app", 2, &["v1"], 40);
    world.image("shop/app", 3, &[], 40);
    world.uses(&reference("shop/app", ":v1"), Some(digest(1)));
    assert_eq!(world.deleted(), [3]);
    assert_eq!(world.why(1), format!("task prod/0123 → {} → {}", reference("shop/app", ":v1"), digest(1)));
}

#[test]
fn a_task_that_runs_a_child_keeps_the_index_that_lists_it() {
    let mut world = World::new();
    world.index("shop/app", 1, &[], 40, &[2, 3]);
    world.image("shop/app", 2, &[], 40);
    world.image("shop/app", 3, &[], 40);
    world.uses(&reference("shop/app", ":gone"), Some(digest(3)));
    assert_eq!(world.deleted(), NOTHING);
    world.in_use.uses.clear();
    // A person who pins the child means the child.
    world.uses(&reference("shop/app", &format!("@{}", digest(3))), None);
    assert_eq!(world.deleted(), [1, 2]);
}

#[test]
fn a_kept_index_keeps_its_children_at_every_depth() {
    let mut world = World::new();
    world.index("shop/app", 1, &["v1"], 40, &[2, 4]);
    world.index("shop/app", 2, &[], 40, &[3]);
    world.image("shop/app", 3, &[], 40);
    world.image("shop/app", 4, &[], 40);
    world.uses(&reference("shop/app", ":v1"), None);
    assert_eq!(world.deleted(), NOTHING);
    let path = world.why(3);
    assert!(
        path.ends_with(&format!("child {} (linux/arm64) → child {} (linux/arm64)", digest(2), digest(3))),
        "{path}"
    );
}

#[test]
fn a_dead_index_goes_whole_and_before_its_children() {
    let mut world = World::new();
    // By digest the children come first.
    world.index("shop/app", 9, &["v1"], 40, &[7, 8]);
    world.index("shop/app", 8, &[], 40, &[3]);
    for n in [3, 7] {
        world.image("shop/app", n, &[], 40);
    }
    world.referrer("shop/app", 2, 40, 7);
    assert_eq!(world.deleted(), [9, 7, 8, 2, 3]);
    world.planned(|plan| {
        let file = plan.file();
        let after: Vec<_> = file.repositories[0].deletions.iter().map(|deletion| deletion.after.clone()).collect();
        assert_eq!(after, [vec![], vec![digest(9)], vec![digest(9)], vec![digest(7)], vec![digest(8)]]);
    });
}

#[test]
fn a_pull_of_a_child_is_a_use_of_its_only_index() {
    let mut world = World::new();
    world.index("shop/app", 1, &[], 40, &[2]);
    let yesterday = world.days_ago(1);
    world.image("shop/app", 2, &[], 40).pulled = Some(yesterday);
    assert_eq!(world.deleted(), NOTHING);
    // Shared with an index that stays, it says nothing of the other one.
    world.index("shop/app", 3, &[], 10, &[2]);
    assert_eq!(world.deleted(), [1]);
}

#[test]
fn a_shared_child_stays_with_the_index_that_stays() {
    let mut world = World::new();
    world.index("shop/app", 1, &["v1"], 40, &[3, 4]);
    world.index("shop/app", 2, &["v2"], 40, &[4, 5]);
    for n in [3, 4, 5] {
        world.image("shop/app", n, &[], 40);
    }
    world.uses(&reference("shop/app", ":v2"), None);
    assert_eq!(world.deleted(), [1, 3]);
}

#[test]
fn what_is_about_a_kept_image_stays_and_goes_after_a_dead_one() {
    let mut world = World::new();
    let signature = format!("sha256-{}.sig", digest(1).hex());
    let sbom = format!("sha256-{}.sbom", digest(9).hex());
    world.image("shop/app", 1, &["v1"], 40);
    world.image("shop/app", 2, &[&signature], 40);
    world.referrer("shop/app", 3, 40, 1);
    world.referrer("shop/app", 4, 40, 3);
    world.image("shop/app", 9, &["v9"], 40);
    world.image("shop/app", 5, &[&sbom], 40);
    world.referrer("shop/app", 6, 40, 77);
    world.uses(&reference("shop/app", ":v1"), None);
    // Number 6 is about an image that is gone: it goes by its own age.
    assert_eq!(world.deleted(), [6, 9, 5]);
    assert_eq!(world.verdict(4), Verdict::Keep(Kept::Referrer(2)));
}

#[test]
fn a_young_signature_of_a_dead_image_outlives_it() {
    let mut world = World::new();
    world.image("shop/app", 1, &["v1"], 40);
    world.referrer("shop/app", 2, 3, 1);
    assert_eq!(world.deleted(), [1]);
}

#[test]
fn neither_children_nor_signatures_crowd_out_the_newest() {
    let mut world = World::empty(POLICY_TWO);
    world.image("shop/app", 1, &["v1"], 90);
    world.index("shop/app", 2, &["v2"], 80, &[3, 4]);
    world.image("shop/app", 3, &["v2-amd64"], 79);
    world.image("shop/app", 4, &[], 79);
    world.referrer("shop/app", 5, 70, 2);
    world.image("shop/app", 6, &[&format!("sha256-{}.sig", digest(2).hex())], 60);
    world.image("shop/app", 7, &["v0"], 100);
    assert_eq!(world.deleted(), [7]);
    // Who was pushed at the same second is as new.
    world.image("shop/app", 8, &["v1-too"], 90);
    assert_eq!(world.deleted(), [7]);
}

const NOTHING: [u8; 0] = [];

const POLICY_TWO: &str =
    "[defaults]\nkeep_newest = 2\n[guards]\nmax_percent = 100\n[[rules]]\nrepositories = [\"shop/*\"]\n";

#[test]
fn a_repository_that_no_rule_names_is_not_touched() {
    let mut world = World::new();
    world.image("base/java", 1, &[], 400);
    world.image("base/java", 2, &[], 400);
    assert_eq!(world.deleted(), NOTHING);
}

#[test]
fn what_is_not_known_stays() {
    let mut world = World::new();
    world.image("shop/app", 1, &[], 40).pushed = None;
    world.image("shop/app", 2, &[], 40).status = Status::of(Some("VANISHING"));
    world.image("shop/app", 3, &[], 40).media_type = MediaType::of(Some("application/x-new"));
    world.manifests.insert(digest(3), Manifest::Read([].into()));
    world.image("shop/app", 4, &[], 40);
    assert_eq!(world.deleted(), [4]);
    assert!(world.why(3).ends_with("its media type is application/x-new"), "{}", world.why(3));
    assert!(world.why(1).ends_with("it has no push date"), "{}", world.why(1));
}

#[test]
fn archived_images_are_left_alone_and_told_of_where_something_needs_them() {
    let mut world = World::new();
    world.image("shop/app", 1, &["v1"], 40).status = Status::Archived;
    world.image("shop/app", 2, &["v2"], 40).status = Status::Activating;
    world.image("shop/app", 3, &["v3"], 40).status = Status::Archived;
    world.uses(&reference("shop/app", ":v3"), None);
    assert_eq!(world.deleted(), NOTHING);
    assert_eq!(world.verdict(1), Verdict::Keep(Kept::Archived));
    world.planned(|plan| {
        let needed: Vec<_> = plan.archived_in_use().map(|(_, image, _)| image.digest).collect();
        assert_eq!(needed, [digest(3)]);
    });
}

#[test]
fn an_image_of_an_untouched_repository_still_tells_what_keeps_it() {
    let mut world = World::new();
    world.image("base/java", 1, &["v1"], 40);
    world.uses(&reference("base/java", ":v1"), None);
    let why = world.planned(|plan| {
        let found = plan.find("base/java", "v1");
        plan.why(found[0].0, found[0].1)
    });
    assert!(why.contains("task prod/0123 → "), "{why}");
}

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
    world.in_use.definitions.insert(
        "arn:aws:ecs:eu-west-1:123456789012:task-definition/app:1".into(),
        crate::in_use::Definition { family: "app".into(), revision: 1, is_active: false, content: Content::Gone },
    );
    assert_eq!(world.deleted(), [1]);
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
        world.in_use.sources.remove(at);
        assert_eq!(world.deleted(), NOTHING, "{source}");
    }
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
fn two_complete_scans_have_to_lie_far_enough_apart() {
    let mut world = World::new();
    for n in 1..=3 {
        world.image("shop/app", n, &[], 40);
    }
    world.since.insert(digest(1), Some(world.now - TimeDelta::hours(20)));
    world.since.insert(digest(2), Some(world.now - TimeDelta::hours(20) + TimeDelta::seconds(1)));
    world.since.insert(digest(3), None);
    assert_eq!(world.deleted(), [1]);
    let memory = world.planned(|plan| plan.memory());
    assert_eq!(memory.condemned["shop/app"][&digest(3)], world.now);
    assert_eq!(memory.condemned["shop/app"][&digest(1)], world.now - TimeDelta::hours(20));
}

#[test]
fn what_was_in_use_in_between_begins_anew() {
    let mut world = World::new();
    world.image("shop/app", 1, &["v1"], 40);
    world.uses(&reference("shop/app", ":v1"), None);
    // Even an incomplete scan acquits; it condemns nobody.
    world.in_use.sources[0].reach = Reach::Incomplete { why: "throttled".into() };
    world.image("shop/app", 2, &["v2"], 40);
    world.since.insert(digest(2), None);
    let memory = world.planned(|plan| plan.memory());
    assert!(memory.condemned.is_empty() && memory.scanned.is_none());
}

#[test]
fn the_quarantine_of_an_index_is_that_of_its_children() {
    let mut world = World::new();
    world.index("shop/app", 1, &["v1"], 40, &[2]);
    world.image("shop/app", 2, &[], 40);
    world.since.insert(digest(1), Some(world.now - TimeDelta::hours(1)));
    assert_eq!(world.deleted(), NOTHING);
    assert_eq!(world.verdict(2), Verdict::Keep(Kept::Child(0)));
}

#[test]
fn a_guard_lets_the_oldest_go_and_whole_groups_only() {
    let mut world =
        World::empty("[defaults]\nkeep_newest = 1\n[guards]\nmax_percent = 30\n[[rules]]\nrepositories = [\"shop/*\"]");
    world.image("shop/app", 10, &[], 31);
    for n in 1..=5 {
        world.image("shop/app", n, &[], 40 + i64::from(n));
    }
    // The oldest: an index with three children, one more than may go.
    world.index("shop/app", 6, &[], 90, &[7, 8, 9]);
    for n in [7, 8, 9] {
        world.image("shop/app", n, &[], 90);
    }
    assert_eq!(world.deleted(), [3, 4, 5]);
    assert_eq!(world.verdict(6), Verdict::Keep(Kept::Guarded));
    assert_eq!(world.verdict(7), Verdict::Keep(Kept::Guarded));
    world.planned(|plan| assert_eq!(plan.repositories[0].guard, Some(Guard { limit: 3, held_back: 6 })));
}

#[test]
fn a_reference_that_cannot_be_read_freezes_what_it_may_mean() {
    for (text, frozen) in [("/shop/app:", [true, false]), ("/Shop", [true, true]), ("/shop/unknown:", [true, true])] {
        let mut world = World::new();
        world.image("shop/app", 1, &[], 40);
        world.image("shop/web", 2, &[], 40);
        world.image("shop/web", 3, &[], 1);
        world.uses(&format!("{}{text}", super::world::HOST), None);
        world.planned(|plan| {
            let found: Vec<bool> = plan.repositories.iter().map(|judged| !judged.frozen.is_empty()).collect();
            assert_eq!(found, frozen, "{text}");
        });
        assert_eq!(world.deleted(), if frozen[1] { vec![] } else { vec![2] }, "{text}");
    }
}

#[test]
fn whoever_else_may_pull_freezes_a_repository() {
    let mut world = World::new();
    world.image("shop/app", 1, &[], 40);
    let policy = |who: &str| {
        let text =
            format!(r#"{{"Statement": {{"Effect": "Allow", "Action": "ecr:*", "Principal": {{"AWS": "{who}"}}}}}}"#);
        Reading::Some(Access::read(&text))
    };
    world.access = policy("210987654321");
    assert_eq!(world.deleted(), NOTHING);
    assert!(world.why(1).contains("its policy lets account 210987654321 pull"), "{}", world.why(1));
    world.access = policy("123456789012");
    assert_eq!(world.deleted(), [1]);
    world.access = Reading::NotRead;
    assert_eq!(world.deleted(), NOTHING);
    let shared = "\n[[shared]]\nrepositories = [\"shop/*\"]\nwith = [\"210987654321\"]";
    world.policy = Policy::parse(&format!("{}{shared}", super::world::POLICY)).unwrap();
    world.access = policy("210987654321");
    assert_eq!(world.deleted(), [1]);
    world.access = policy("*");
    assert_eq!(world.deleted(), NOTHING);
}

#[test]
fn a_policy_that_was_not_read_freezes_only_where_something_could_go() {
    let mut world = World::new();
    world.access = Reading::NotRead;
    world.planned(|plan| assert_eq!(plan.repositories[0].frozen, []));
    world.image("shop/app", 1, &[], 40);
    world.planned(|plan| assert_eq!(plan.repositories[0].frozen, [Freeze::PolicyNotRead]));
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
    assert_eq!(world.deleted(), [1]);
    world.uses("123456789012.dkr.ecr.eu-west-2.amazonaws.com/shop/app:v1", None);
    assert_eq!(world.deleted(), NOTHING);
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
    world.uses("210987654321.dkr.ecr.eu-west-1.amazonaws.com/shop/app:v1", Some(digest(1)));
    world.uses(&format!("mirror.example.com/app@{}", digest(2)), None);
    world.image("shop/web", 3, &[], 1);
    assert_eq!(world.deleted(), [1]);
    let of = Used::Digest(digest(1).to_string().to_uppercase().replace("SHA256", "sha256").into());
    world.in_use.uses.push(Use { by: vec![Step::Other("something".into())], of });
    assert_eq!(world.deleted(), NOTHING);
}

#[test]
fn freed_bytes_are_a_range_that_counts_an_index_as_nothing() {
    let mut world = World::new();
    world.index("shop/app", 1, &[], 40, &[2, 3]);
    world.image("shop/app", 2, &[], 40);
    world.image("shop/app", 3, &[], 40).size_bytes = Some(100_000);
    world.image("shop/app", 4, &[], 40).size_bytes = None;
    world.planned(|plan| {
        let freed = plan.freed();
        // Number 99, which stays, has 99,000 bytes that may all be shared with number 3.
        assert_eq!((freed.low, freed.high, freed.unknown), (1_000, 102_000, 1));
    });
}
