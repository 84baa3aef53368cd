//! The tricky cases of images, each in a few lines: age, tags, indexes, signatures, quarantine, guards.

use std::num::NonZeroU64;

use chrono::TimeDelta;

use super::world::{World, digest, reference};
use crate::in_use::Reach;
use crate::inventory::{Manifest, MediaType, Status};
use crate::plan::{Guard, Kept, Verdict};

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
    assert_eq!(memory.condemned["shop/app"].since(&digest(3)), Some(world.now));
    assert_eq!(memory.condemned["shop/app"].since(&digest(1)), Some(world.now - TimeDelta::hours(20)));
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
fn freed_bytes_are_a_range_that_counts_an_index_as_nothing() {
    let mut world = World::new();
    world.index("shop/app", 1, &[], 40, &[2, 3]);
    world.image("shop/app", 2, &[], 40);
    world.image("shop/app", 3, &[], 40).size_bytes = NonZeroU64::new(100_000);
    world.image("shop/app", 4, &[], 40).size_bytes = None;
    world.planned(|plan| {
        let freed = plan.freed();
        // Number 99, which stays, has 99,000 bytes that may all be shared with number 3.
        assert_eq!((freed.low, freed.high, freed.unknown), (1_000, 102_000, 1));
    });
}
