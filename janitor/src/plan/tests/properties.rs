//! What holds for every world, tried on random ones.
//!
//! A world is read off a tape of random numbers, so that a failing one shrinks to few facts and small numbers.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use coalmine_pipeline::Digest;
use proptest::prelude::*;

use super::naive::Naive;
use super::world::{HOST, World, digest};
use crate::in_use::{Content, Reach, Step, Use, Used};
use crate::inventory::{Child, Manifest, MediaType, Reading, Status};
use crate::memory::Memory;
use crate::plan::{Plan, PlanFile, Snapshot, plan};

const REPOSITORIES: [&str; 3] = ["shop/app", "shop/web", "base/java"];
const TAGS: [&str; 5] = ["latest", "v1", "v2", "v3", "prod-1"];

/// Random numbers, and noughts at the end of the tape.
struct Tape(std::vec::IntoIter<u16>);

impl Tape {
    fn pick(&mut self, below: u16) -> u16 {
        self.0.next().unwrap_or(0) % below
    }

    fn one_in(&mut self, n: u16) -> bool {
        self.pick(n) == n - 1
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.pick(all.len().try_into().unwrap()))]
    }
}

fn policy(tape: &mut Tape) -> String {
    format!(
        "[defaults]\nmin_age = \"{}\"\nkeep_newest = {}\nprotect_tags = [\"prod-*\"]\n\
         [guards]\nmax_percent = {}\nmax_images = {}\nquarantine = \"{}\"\n\
         [references]\nkeep_revisions = {}\nwindow = \"{}\"\nall_active = {}\n\
         [[rules]]\nrepositories = [\"shop/*\"]\n",
        tape.of(&["30d", "1d"]),
        tape.of(&[1, 2, 4]),
        tape.of(&[100, 100, 50, 20]),
        tape.of(&[500, 500, 2]),
        tape.of(&["20h", "1m"]),
        tape.of(&[1, 2, 10]),
        tape.of(&["90d", "1d"]),
        tape.one_in(8),
    )
}

fn world(tape: &mut Tape) -> World {
    let mut world = World::empty(&policy(tape));
    for _ in 0..tape.pick(24) {
        image(&mut world, tape);
    }
    for _ in 0..tape.pick(5) {
        let of = used(&mut world, tape);
        world.in_use.uses.push(Use { by: vec![Step::Other("a use".into())], of });
    }
    for revision in 0..tape.pick(5) {
        let days = tape.of(&[200, 91, 90, 5, 1, 0]);
        let (active, text) = (!tape.one_in(4), text(tape));
        let arn = world.definition("app", u32::from(revision), active, days, &text);
        if tape.one_in(10) {
            world.in_use.definitions.get_mut(&arn).unwrap().content =
                tape.of(&[Content::Gone, Content::NotRead].each_ref()).clone();
        }
        if tape.one_in(5) {
            let hours = tape.of(&[1, 24, 25]);
            world.memory.active.insert(arn, world.now - TimeDelta::hours(hours));
        }
    }
    if tape.one_in(20) {
        let at = usize::from(tape.pick(world.in_use.sources.len().try_into().unwrap()));
        world.in_use.sources[at].reach = Reach::Incomplete { why: "throttled".into() };
    }
    if tape.one_in(12) {
        world.access = Reading::NotRead;
    }
    world
}

fn image(world: &mut World, tape: &mut Tape) {
    let (repository, n) = (tape.of(&REPOSITORIES), u8::try_from(tape.pick(12)).unwrap());
    if world.images.get(repository).is_some_and(|images| images.iter().any(|image| image.digest == digest(n))) {
        return;
    }
    let days = tape.of(&[40, 40, 90, 31, 30, 29, 3, 1, 0]);
    let now = world.now;
    let image = world.image(repository, n, &[], days);
    let mut tags: BTreeSet<String> = BTreeSet::new();
    for _ in 0..tape.pick(3) {
        let about = digest(u8::try_from(tape.pick(12)).unwrap());
        tags.insert(if tape.one_in(4) { format!("sha256-{}.sig", about.hex()) } else { tape.of(&TAGS).to_owned() });
    }
    image.tags = tags.iter().map(|tag| Box::from(tag.as_str())).collect();
    image.pushed = image.pushed.filter(|_| !tape.one_in(15));
    image.pulled = tape.one_in(5).then(|| now - TimeDelta::days(tape.of(&[50, 30, 2])));
    image.status = if tape.one_in(10) { tape.of(&[Status::Archived, Status::Unknown]) } else { Status::Active };
    image.subject = tape.one_in(5).then(|| digest(u8::try_from(tape.pick(12)).unwrap()));
    if tape.one_in(3) {
        image.media_type = if tape.one_in(8) { MediaType::Absent } else { MediaType::OciIndex };
        // Digests make circles impossible: an index lists what was there before it.
        let mut children = Vec::new();
        for _ in 0..tape.pick(4) {
            let child = u8::try_from(tape.pick(12)).unwrap();
            children.extend((child > n).then(|| Child { digest: digest(child), platform: None }));
        }
        match tape.pick(40) {
            39 => {}
            38 => {
                world.manifests.insert(digest(n), Manifest::Unreadable("archived".into()));
            }
            _ => {
                world.manifests.insert(digest(n), Manifest::Read(children.into()));
            }
        }
    }
    if tape.one_in(4) {
        let since = tape.of(&[None, Some(0), Some(19), Some(20), Some(-50)]);
        world.since.insert(digest(n), since.map(|hours| now - TimeDelta::hours(hours)));
    }
}

fn text(tape: &mut Tape) -> String {
    let host = tape.of(&[HOST, HOST, HOST, HOST, "210987654321.dkr.ecr.eu-west-1.amazonaws.com", "mirror.example.com"]);
    let (repository, tag) = (tape.of(&REPOSITORIES), tape.of(&TAGS));
    let pinned = digest(u8::try_from(tape.pick(12)).unwrap());
    match tape.pick(12) {
        0..5 => format!("{host}/{repository}:{tag}"),
        5..8 => format!("{host}/{repository}@{pinned}"),
        8..10 => format!("{host}/{repository}:{tag}@{pinned}"),
        10 => format!("{host}/{repository}"),
        _ => format!("{HOST}/{repository}:"),
    }
}

fn used(world: &mut World, tape: &mut Tape) -> Used {
    match tape.pick(12) {
        0..7 => {
            let running = tape.one_in(3).then(|| digest(u8::try_from(tape.pick(12)).unwrap()).to_string().into());
            Used::Image { text: text(tape).into(), digest: running }
        }
        7..10 => {
            let (revision, text) = (u32::from(tape.pick(5)) + 10, text(tape));
            let before = world.in_use.definitions.clone();
            let arn = world.definition("old", revision, false, 300, &text);
            // What is registered stays as it is.
            world.in_use.definitions.extend(before);
            Used::Definition(arn)
        }
        10 => Used::Digest(digest(u8::try_from(tape.pick(12)).unwrap()).to_string().into()),
        _ => Used::Repository(tape.of(&REPOSITORIES).into()),
    }
}

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

fn tape() -> impl Strategy<Value = Vec<u16>> {
    proptest::collection::vec(any::<u16>(), 0..400)
}

/// As many as `PROPTEST_CASES` says, halved: the naive planner takes its time.
fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases / 2, ..default }
}

/// A property that holds because nothing ever happens would be worth nothing.
#[test]
fn random_worlds_delete_something_often_enough() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let deletes = (0..400).filter(|_| {
        let tape = tape().new_tree(&mut runner).unwrap().current();
        !world(&mut Tape(tape.into_iter())).planned(deleted).is_empty()
    });
    let share = deletes.count();
    assert!(share >= 60, "{share} of 400");
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_planner_deletes_what_the_naive_one_deletes(tape in tape()) {
        let world = world(&mut Tape(tape.into_iter()));
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
        let world = world(&mut Tape(tape.into_iter()));
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
        let mut tape = Tape(tape.into_iter());
        let mut world = world(&mut tape);
        let before = world.planned(deleted);
        let of = used(&mut world, &mut tape);
        world.in_use.uses.push(Use { by: vec![Step::Other("one more".into())], of });
        prop_assert!(world.planned(deleted).is_subset(&before));
    }

    #[test]
    fn the_order_of_the_input_means_nothing_and_a_re_run_is_byte_identical(tape in tape()) {
        let world = world(&mut Tape(tape.into_iter()));
        let (snapshot, memory) = (world.snapshot(), world.remembered());
        let mut turned = snapshot.clone();
        turned.inventory.repositories.reverse();
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
        let mut world = world(&mut Tape(tape.into_iter()));
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
            let remembered = |digest: &Digest| memory.condemned.get(name).is_some_and(|known| known.contains_key(digest));
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
        let world = world(&mut Tape(tape.into_iter()));
        let snapshot = world.snapshot();
        let lost = Memory { active: world.memory.active.clone(), ..Memory::default() };
        let first = plan(&snapshot, &world.policy, &lost, world.now);
        prop_assert!(deleted(&first).is_empty());
        let later = world.now + world.policy.guards.quarantine;
        let memory = first.memory();
        let second = plan(&snapshot, &world.policy, &memory, later);
        for (repository, digest) in deleted(&second) {
            prop_assert!(memory.condemned[&repository].contains_key(&digest));
        }
    }

    /// Whatever is deleted first, nothing that is still there is about something that is gone before its time: each
    /// deletion comes behind all deletions that it has to wait for.
    #[test]
    fn parents_come_first(tape in tape()) {
        let world = world(&mut Tape(tape.into_iter()));
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
