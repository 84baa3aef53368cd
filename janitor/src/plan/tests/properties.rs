//! What holds for every world, tried on random ones.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use coalmine_pipeline::Digest;
use proptest::prelude::*;

use super::chance::{REPOSITORIES, Tape, principal, replication, tape, used, world};
use super::naive::Naive;
use super::world::World;
use crate::in_use::{Step, Use};
use crate::inventory::{Access, Manifest, Reading};
use crate::memory::Memory;
use crate::plan::{Plan, PlanFile, Snapshot, plan};

/// Names of what a plan deletes.
fn deleted(plan: &Plan<'_>) -> BTreeSet<(String, Digest)> {
    let file = plan.file();
    let all = file
        .repositories
        .iter()
        .flat_map(|repository| repository.deletions.iter().map(|deletion| (repository.name.clone(), deletion.digest)));
    all.collect()
}

fn bytes(plan: &Plan<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    plan.write(&mut bytes).unwrap();
    bytes
}

fn naive<'a>(world: &'a World, snapshot: &'a Snapshot, memory: &'a Memory) -> Naive<'a> {
    Naive { snapshot, policy: &world.policy, memory, now: world.now }
}

/// As many as `PROPTEST_CASES` says, halved: the naive planner takes its time.
fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases / 2, ..default }
}

/// A property that holds because nothing ever happens would be worth nothing: random worlds delete something, also where
/// others may pull, where readers read elsewhere, and where deletions spread.
#[test]
fn random_worlds_delete_something_often_enough() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut counts = [0; 4];
    for _ in 0..400 {
        let tape = tape().new_tree(&mut runner).unwrap().current();
        let world = world(&mut Tape::of_numbers(tape));
        let gone = world.planned(deleted);
        let any = |is_meant: &dyn Fn(&str) -> bool| gone.iter().any(|(name, _)| is_meant(name));
        let spreads = |name: &str| world.replication.iter().any(|rule| rule.deletes && rule.names(name));
        let cases = [
            any(&|_| true),
            any(&|name| matches!(world.accesses.get(name), Some(Reading::Some(_)))),
            any(&|_| !world.policy.readers.is_empty()),
            any(&spreads),
        ];
        for (count, case) in counts.iter_mut().zip(cases) {
            *count += usize::from(case);
        }
    }
    let enough = counts.iter().zip([80, 20, 40, 6]).all(|(count, least)| *count >= least);
    assert!(enough, "of 400, and of these shared, with readers, and with copies: {counts:?}");
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_planner_deletes_what_the_naive_one_deletes(tape in tape()) {
        let world = world(&mut Tape::of_numbers(tape));
        let (snapshot, memory) = (world.snapshot(), world.remembered());
        let planned = plan(&snapshot, &world.policy, &memory, world.now);
        prop_assert_eq!(deleted(&planned), naive(&world, &snapshot, &memory).deleted());
        for judged in &planned.repositories {
            prop_assert_eq!(judged.verdicts.len(), judged.images().count());
            for at in 0..judged.verdicts.len() {
                prop_assert!(!planned.why(judged, at).is_empty());
            }
        }
    }

    #[test]
    fn nothing_that_a_root_reaches_is_deleted(tape in tape()) {
        let world = world(&mut Tape::of_numbers(tape));
        let (snapshot, memory) = (world.snapshot(), world.remembered());
        let deleted = deleted(&plan(&snapshot, &world.policy, &memory, world.now));
        for repository in &snapshot.inventory.repositories {
            for digest in naive(&world, &snapshot, &memory).reachable(repository) {
                prop_assert!(!deleted.contains(&(repository.name.clone(), digest)));
            }
        }
    }

    #[test]
    fn a_reference_more_never_deletes_more(tape in tape()) {
        let mut tape = Tape::of_numbers(tape);
        let mut world = world(&mut tape);
        let before = world.planned(deleted);
        let of = used(&mut world, &mut tape);
        world.in_use.uses.push(Use { by: vec![Step::Other("one more".into())], of });
        prop_assert!(world.planned(deleted).is_subset(&before));
    }

    #[test]
    fn somebody_more_who_may_pull_and_a_copy_more_never_delete_more(tape in tape()) {
        let mut tape = Tape::of_numbers(tape);
        let mut world = world(&mut tape);
        let before = world.planned(deleted);
        if tape.one_in(2) {
            world.replication.push(replication(&mut tape));
        } else {
            let name = tape.of(&REPOSITORIES).to_owned();
            let access = world.accesses.get(&name).unwrap_or(&world.access).clone();
            if let Reading::None | Reading::Some(_) = access {
                let mut access = if let Reading::Some(access) = access { access } else { Access::default() };
                let group = if tape.one_in(2) { &mut access.by_registry } else { &mut access.principals };
                group.insert(principal(&mut tape));
                world.accesses.insert(name, Reading::Some(access));
            }
        }
        prop_assert!(world.planned(deleted).is_subset(&before));
    }

    #[test]
    fn the_order_of_the_input_means_nothing_and_a_re_run_is_byte_identical(tape in tape()) {
        let world = world(&mut Tape::of_numbers(tape));
        let (snapshot, memory) = (world.snapshot(), world.remembered());
        let mut turned = snapshot.clone();
        turned.inventory.repositories.reverse();
        turned.inventory.replication.reverse();
        turned.in_use.uses.reverse();
        turned.in_use.sources.reverse();
        for repository in &mut turned.inventory.repositories {
            repository.images = repository.images.as_ref().map(|images| images.iter().rev().cloned().collect());
        }
        let first = plan(&snapshot, &world.policy, &memory, world.now);
        let second = plan(&turned, &world.policy, &memory, world.now);
        prop_assert_eq!(bytes(&first), bytes(&second));
        prop_assert_eq!(first.memory(), second.memory());
        prop_assert_eq!(PlanFile::read(&bytes(&first)), Ok(first.file()));
    }

    /// A clock that is behind deletes nothing that the right one, guards aside, would not let go. A clock that is ahead
    /// deletes nothing that was not found old and unreferenced by an earlier scan; if it was ahead then, too, only the
    /// comparison with AWS's clock helps. Neither deletes more than the guards allow.
    #[test]
    fn a_clock_that_is_off_in_one_scan_deletes_nothing_that_no_other_scan_has_found(tape in tape(), hours in -2_000_i64..2_000) {
        let mut world = world(&mut Tape::of_numbers(tape));
        let (snapshot, memory, right) = (world.snapshot(), world.remembered(), world.now);
        world.now = right + TimeDelta::hours(hours);
        let planned = plan(&snapshot, &world.policy, &memory, world.now);
        let wrong = Naive { now: right, ..naive(&world, &snapshot, &memory) };
        for judged in &planned.repositories {
            let name = &judged.repository.name;
            let gone: BTreeSet<Digest> =
                deleted(&planned).into_iter().filter(|(repository, _)| repository == name).map(|(_, digest)| digest).collect();
            let limit = judged.images().count() * world.policy.guards.max_percent as usize / 100;
            prop_assert!(gone.len() <= limit.min(world.policy.guards.max_images as usize));
            let remembered = |digest: &Digest| memory.condemned.get(name).is_some_and(|known| known.since(digest).is_some());
            prop_assert!(gone.iter().all(remembered));
            if hours <= 0 {
                prop_assert!(gone.is_subset(&wrong.eligible(judged.repository)));
                prop_assert!(gone.is_disjoint(&wrong.reachable(judged.repository)));
            }
        }
    }

    /// Two scans that far apart delete exactly what both find; memory that is lost only delays.
    #[test]
    fn memory_that_is_lost_only_delays(tape in tape()) {
        let world = world(&mut Tape::of_numbers(tape));
        let snapshot = world.snapshot();
        let lost = Memory { active: world.memory.active.clone(), ..Memory::default() };
        let first = plan(&snapshot, &world.policy, &lost, world.now);
        prop_assert!(deleted(&first).is_empty());
        let later = world.now + world.policy.guards.quarantine;
        let memory = first.memory();
        let second = plan(&snapshot, &world.policy, &memory, later);
        for (repository, digest) in deleted(&second) {
            prop_assert!(memory.condemned[&repository].since(&digest).is_some());
        }
    }

    /// Whatever is deleted first, nothing that is still there is about something that is gone before its time: each
    /// deletion comes behind all deletions that it has to wait for.
    #[test]
    fn parents_come_first(tape in tape()) {
        let world = world(&mut Tape::of_numbers(tape));
        let (snapshot, memory) = (world.snapshot(), world.remembered());
        let file = plan(&snapshot, &world.policy, &memory, world.now).file();
        for repository in &file.repositories {
            let going: BTreeSet<Digest> = repository.deletions.iter().map(|deletion| deletion.digest).collect();
            let mut before = BTreeSet::new();
            for deletion in &repository.deletions {
                for index in going.iter().filter(|index| matches!(snapshot.manifests.get(index), Some(Manifest::Read(children))
                    if children.iter().any(|child| child.digest == deletion.digest)))
                {
                    let is_index = snapshot.inventory.repositories.iter().any(|listed| listed.name == repository.name
                        && listed.images.as_ref().is_some_and(|images| images.get(index).is_some_and(|image| image.media_type.is_index())));
                    prop_assert!(!is_index || (before.contains(index) && deletion.after.contains(index)));
                }
                prop_assert!(deletion.after.iter().all(|digest| before.contains(digest)));
                before.insert(deletion.digest);
            }
        }
    }
}
