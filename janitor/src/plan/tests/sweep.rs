//! The last look, and the order of the deletes.

use chrono::TimeDelta;
use coalmine_pipeline::{Digest, Home};

use super::world::{World, digest, home, number, reference};
use crate::inventory::{Images, Replication, Status};
use crate::memory::Memory;
use crate::plan::{Answer, Batch, Failure, Fresh, Identifier, Outcome, Reply, RepositoryPlan, Sweep, recheck};

/// The plan of `shop/app`.
fn planned(world: &World) -> RepositoryPlan {
    world.planned(|plan| plan.file().repositories.remove(0))
}

/// What the last look says of the world as it is now.
fn looked(plan: &RepositoryPlan, world: &World) -> Vec<(u8, Answer)> {
    let snapshot = world.snapshot();
    let memory = Memory::default();
    let roots = snapshot.in_use.roots(&world.policy.recent, &memory, world.now);
    let none = Images::default();
    let fresh = Fresh {
        policy: &world.policy,
        registry: &home(),
        replication: &world.replication,
        images: snapshot.inventory.repositories[0].images.as_ref().unwrap_or(&none),
        manifests: &snapshot.manifests,
        roots: &roots,
    };
    recheck(plan, &fresh).into_iter().map(|(digest, answer)| (number(digest), answer)).collect()
}

fn going(answers: &[(u8, Answer)]) -> Vec<u8> {
    answers.iter().filter(|(_, answer)| *answer == Answer::Go).map(|(n, _)| *n).collect()
}

/// An index of two, with a signature, and a tagged image.
fn world() -> World {
    let mut world = World::new();
    world.index("shop/app", 5, &["v5", "v5.0"], 40, &[1, 2]);
    world.image("shop/app", 1, &[], 40);
    world.image("shop/app", 2, &[], 40);
    world.referrer("shop/app", 3, 40, 5);
    world.image("shop/app", 4, &["v4"], 40);
    world
}

fn image(world: &mut World, n: u8) -> &mut crate::inventory::Image {
    let images = world.images.get_mut("shop/app").unwrap();
    images.iter_mut().find(|image| image.digest == digest(n)).unwrap()
}

#[test]
fn what_has_not_changed_may_go() {
    let world = world();
    let plan = planned(&world);
    assert_eq!(going(&looked(&plan, &world)), [4, 5, 1, 2, 3]);
}

#[test]
fn a_tag_more_or_less_saves_an_image_and_what_belongs_to_it() {
    let before = world();
    let plan = planned(&before);
    for tags in [&["v5"][..], &["v5", "v5.0", "v6"], &["v5", "v5.1"], &[]] {
        let mut world = world();
        image(&mut world, 5).tags = tags.iter().map(|tag| Box::from(*tag)).collect();
        assert_eq!(going(&looked(&plan, &world)), [4], "{tags:?}");
    }
    let mut world = world();
    image(&mut world, 1).tags = [Box::from("mine")].into();
    // A child that stays does not keep its index.
    assert_eq!(going(&looked(&plan, &world)), [4, 5, 2, 3]);
}

#[test]
fn a_new_sign_of_life_saves_an_image() {
    let plan = planned(&world());
    let mut pulled = world();
    let now = pulled.now;
    image(&mut pulled, 4).pulled = Some(now - TimeDelta::hours(1));
    assert_eq!(going(&looked(&plan, &pulled)), [5, 1, 2, 3]);
    let mut archived = world();
    image(&mut archived, 4).status = Status::Archived;
    assert_eq!(going(&looked(&plan, &archived)), [5, 1, 2, 3]);
}

#[test]
fn a_pull_of_a_child_saves_the_index_that_alone_lists_it() {
    let plan = planned(&world());
    let mut pulled = world();
    let now = pulled.now;
    image(&mut pulled, 1).pulled = Some(now - TimeDelta::hours(1));
    let answers = looked(&plan, &pulled);
    assert_eq!(going(&answers), [4]);
    assert!(matches!(&answers[1], (5, Answer::Keep { why }) if why.contains("has been pushed, pulled")), "{answers:?}");
    // Of two indexes neither is known to be the one that was pulled.
    let mut two = world();
    two.index("shop/app", 6, &["v6"], 40, &[1]);
    let plan = planned(&two);
    let now = two.now;
    image(&mut two, 1).pulled = Some(now - TimeDelta::hours(1));
    assert_eq!(going(&looked(&plan, &two)), [4, 5, 6, 2, 3]);
}

#[test]
fn deletions_that_begin_to_be_replicated_to_where_nobody_reads_keep_the_whole_repository() {
    let plan = planned(&world());
    let mut spreading = world();
    let elsewhere = Home { region: "us-east-1".into(), ..home() };
    let rule = Replication { destinations: vec![elsewhere], prefixes: vec!["shop/".into()], deletes: true };
    spreading.replication = vec![rule.clone()];
    let answers = looked(&plan, &spreading);
    assert_eq!(going(&answers), Vec::<u8>::new());
    assert!(matches!(&answers[0].1, Answer::Keep { why } if why.contains("add [[readers]]")), "{answers:?}");
    for harmless in
        [Replication { deletes: false, ..rule.clone() }, Replication { prefixes: vec!["base/".into()], ..rule }]
    {
        spreading.replication = vec![harmless];
        assert_eq!(going(&looked(&plan, &spreading)), [4, 5, 1, 2, 3]);
    }
}

#[test]
fn a_new_reference_saves_an_image_and_what_belongs_to_it() {
    let plan = planned(&world());
    let mut by_tag = world();
    by_tag.uses(&reference("shop/app", ":v5.0"), None);
    let answers = looked(&plan, &by_tag);
    assert_eq!(going(&answers), [4]);
    assert!(matches!(&answers[1].1, Answer::Keep { why } if why.contains("task prod/0123")), "{answers:?}");
    let mut by_child = world();
    by_child.uses("mirror.example.com/app", Some(digest(2)));
    assert_eq!(going(&looked(&plan, &by_child)), [4]);
    let mut unclear = world();
    unclear.uses(&reference("shop/app", ":"), None);
    assert_eq!(going(&looked(&plan, &unclear)), Vec::<u8>::new());
}

#[test]
fn a_new_index_saves_the_child_that_it_lists_and_an_unread_one_everything() {
    let plan = planned(&world());
    let mut known = world();
    known.index("shop/app", 6, &["v6"], 0, &[1]);
    assert_eq!(going(&looked(&plan, &known)), [4, 5, 2, 3]);
    known.manifests.remove(&digest(6));
    assert_eq!(going(&looked(&plan, &known)), Vec::<u8>::new());
}

#[test]
fn what_is_gone_is_gone() {
    let plan = planned(&world());
    let mut world = world();
    world.images.get_mut("shop/app").unwrap().retain(|image| image.digest != digest(5));
    let answers = looked(&plan, &world);
    assert_eq!(answers[1], (5, Answer::Gone));
    assert_eq!(going(&answers), [4, 1, 2, 3]);
}

/// Tags and numbers of a batch.
fn sent(batch: &Batch) -> Vec<(u8, Option<&str>)> {
    batch.identifiers.iter().map(|one| (number(one.digest), one.tag.as_deref())).collect()
}

/// An answer that deletes all but these.
fn answer(batch: &Batch, failing: &[(u8, &str)]) -> Reply {
    let code = |one: &Identifier| failing.iter().find(|(n, _)| *n == number(one.digest)).map(|(_, code)| *code);
    let deleted = batch.identifiers.iter().filter(|one| code(one).is_none());
    let failures = batch.identifiers.iter().filter_map(|one| {
        let digest = Some(one.digest.to_string());
        Some(Failure { digest, tag: one.tag.clone(), code: code(one)?.to_owned(), reason: String::new() })
    });
    Reply {
        deleted: deleted.map(|one| (Some(one.digest.to_string()), one.tag.clone())).collect(),
        failures: failures.collect(),
    }
}

fn begun(plan: &RepositoryPlan) -> Sweep<'_> {
    let answers: Vec<(Digest, Answer)> = plan.deletions.iter().map(|deletion| (deletion.digest, Answer::Go)).collect();
    Sweep::begin(plan, &answers)
}

fn outcomes(sweep: &Sweep<'_>) -> Vec<(u8, &'static str)> {
    let word = |outcome: Outcome| match outcome {
        Outcome::Deleted => "deleted",
        Outcome::Gone => "gone",
        Outcome::Kept { .. } => "kept",
        Outcome::Later { .. } => "later",
    };
    sweep.outcomes().into_iter().map(|(digest, outcome)| (number(digest), word(outcome))).collect()
}

#[test]
fn children_wait_until_their_index_is_certainly_gone() {
    let plan = planned(&world());
    let mut sweep = begun(&plan);
    let first = sweep.next_batch().unwrap();
    assert_eq!(sent(&first), [(4, Some("v4")), (5, Some("v5")), (5, Some("v5.0"))]);
    sweep.record(&first, &answer(&first, &[]));
    assert_eq!(sweep.next_batch(), None);
    // Nobody waits for number 4.
    assert_eq!(sweep.to_confirm(), [digest(5)]);
    sweep.confirm(&[digest(5)], &[]);
    let second = sweep.next_batch().unwrap();
    assert_eq!(sent(&second), [(1, None), (2, None), (3, None)]);
    sweep.record(&second, &answer(&second, &[]));
    assert_eq!((sweep.next_batch(), sweep.to_confirm()), (None, vec![]));
    assert!(outcomes(&sweep).iter().all(|(_, word)| *word == "deleted"));
}

#[test]
fn children_stay_with_an_index_that_still_exists() {
    let plan = planned(&world());
    let mut sweep = begun(&plan);
    let first = sweep.next_batch().unwrap();
    sweep.record(&first, &answer(&first, &[]));
    sweep.confirm(&[digest(5)], &[digest(5)]);
    assert_eq!((sweep.next_batch(), sweep.to_confirm()), (None, vec![]));
    assert_eq!(outcomes(&sweep), [(4, "deleted"), (5, "kept"), (1, "kept"), (2, "kept"), (3, "kept")]);
}

#[test]
fn failures_are_read_and_not_found_is_success() {
    for (code, word) in [
        ("ImageNotFound", "gone"),
        ("ImageReferencedByManifestList", "kept"),
        ("ImageTagDoesNotMatchDigest", "kept"),
        ("InvalidImageDigest", "later"),
        ("SomethingNew", "later"),
        ("KmsError", "later"),
        ("UpstreamUnavailable", "later"),
    ] {
        let plan = planned(&world());
        let mut sweep = begun(&plan);
        let first = sweep.next_batch().unwrap();
        sweep.record(&first, &answer(&first, &[(4, code)]));
        assert_eq!(outcomes(&sweep)[..2], [(4, word), (5, "deleted")], "{code}");
    }
}

#[test]
fn an_image_in_both_lists_counts_as_failed() {
    let plan = planned(&world());
    let mut sweep = begun(&plan);
    let first = sweep.next_batch().unwrap();
    let mut reply = answer(&first, &[(4, "KmsError")]);
    reply.deleted.push((Some(digest(4).to_string()), None));
    sweep.record(&first, &reply);
    assert_eq!(outcomes(&sweep)[0], (4, "later"));
}

#[test]
fn what_an_answer_does_not_mention_is_not_deleted() {
    let plan = planned(&world());
    let mut sweep = begun(&plan);
    let first = sweep.next_batch().unwrap();
    sweep.record(&first, &Reply::default());
    assert!(outcomes(&sweep).iter().all(|(_, word)| *word == "later"));
    let mut sweep = begun(&plan);
    sweep.failed(&first, "throttled");
    assert_eq!((sweep.next_batch(), sweep.to_confirm()), (None, vec![]));
    assert!(outcomes(&sweep).iter().all(|(_, word)| *word == "later"));
}

#[test]
fn the_first_pair_may_delete_the_image_with_all_of_its_tags() {
    let plan = planned(&world());
    let mut sweep = begun(&plan);
    let first = sweep.next_batch().unwrap();
    let (five, four) = (Some(digest(5).to_string()), Some(digest(4).to_string()));
    let failure =
        Failure { digest: five.clone(), tag: Some("v5.0".into()), code: "ImageNotFound".into(), reason: String::new() };
    let deleted = vec![(five.clone(), Some("v5".into())), (five, Some("v5.0".into())), (four, Some("v4".into()))];
    sweep.record(&first, &Reply { deleted, failures: vec![failure] });
    assert_eq!(outcomes(&sweep)[..2], [(4, "deleted"), (5, "deleted")]);
    assert_eq!(sweep.to_confirm(), [digest(5)]);
}

#[test]
fn no_call_names_more_than_a_hundred_and_a_refused_tag_ends_an_image() {
    let mut world = World::new();
    let tags: Vec<String> = (0..150).map(|n| format!("v{n:03}")).collect();
    world.image("shop/app", 1, &tags.iter().map(String::as_str).collect::<Vec<_>>(), 40);
    world.image("shop/app", 2, &["v2"], 40);
    let plan = planned(&world);
    let mut sweep = begun(&plan);
    let first = sweep.next_batch().unwrap();
    assert_eq!(first.identifiers.len(), 100);
    sweep.record(&first, &answer(&first, &[]));
    assert_eq!(outcomes(&sweep)[0], (1, "later"));
    let second = sweep.next_batch().unwrap();
    assert_eq!((second.identifiers.len(), sent(&second)[50]), (51, (2, Some("v2"))));
    let mut refused = begun(&plan);
    refused.record(&first, &answer(&first, &[(1, "ImageTagDoesNotMatchDigest")]));
    assert_eq!(sent(&refused.next_batch().unwrap()), [(2, Some("v2"))]);
}

#[test]
fn what_the_last_look_did_not_answer_stays() {
    let plan = planned(&world());
    let sweep = Sweep::begin(&plan, &[(digest(5), Answer::Gone)]);
    assert_eq!((sweep.next_batch(), sweep.to_confirm()), (None, vec![]));
    assert_eq!(outcomes(&sweep), [(4, "kept"), (5, "gone"), (1, "kept"), (2, "kept"), (3, "kept")]);
}
