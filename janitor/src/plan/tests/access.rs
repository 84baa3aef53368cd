//! Who else may pull from a repository, and when that has to be asked.

use chrono::TimeDelta;

use super::world::{World, digest};
use crate::inventory::{Access, Reading, RegistryAccess};
use crate::memory::ACCESS_FOR;
use crate::plan::{Freeze, Kept, Verdict};
use crate::policy::Policy;

const NOTHING: [u8; 0] = [];

/// A world in which an old image is condemned since so many hours, the quarantine is 20, and nobody has asked who may pull.
fn not_asked(hours: i64) -> World {
    let mut world = World::new();
    world.image("shop/app", 1, &[], 40);
    world.since.insert(digest(1), Some(world.now - TimeDelta::hours(hours)));
    world.access = Reading::NotRead;
    world
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
fn whoever_may_pull_by_the_registrys_policy_freezes_a_repository() {
    let mut world = World::new();
    world.image("shop/app", 1, &[], 40);
    let statement = r#"{"Effect": "Allow", "Action": "ecr:*", "Principal": {"AWS": "210987654321"}, "Resource": "*"}"#;
    let registry = RegistryAccess::read(&format!(r#"{{"Statement": [{statement}]}}"#));
    world.access = registry.added_to(Reading::None, "shop/app");
    assert_eq!(world.deleted(), NOTHING);
    assert!(world.why(1).contains("the registry's policy lets account 210987654321 pull"), "{}", world.why(1));
    let shared = "\n[[shared]]\nrepositories = [\"shop/*\"]\nwith = [\"210987654321\"]";
    world.policy = Policy::parse(&format!("{}{shared}", super::world::POLICY)).unwrap();
    assert_eq!(world.deleted(), [1]);
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
fn who_may_pull_is_asked_where_an_image_goes_however_lately_it_was_asked() {
    let mut world = not_asked(20);
    world.memory.unshared.insert("shop/app".into(), world.now);
    assert_eq!((world.deleted().as_slice(), world.verdict(1)), (&NOTHING[..], Verdict::Keep(Kept::Frozen)));
    world.planned(|plan| assert_eq!(plan.without_access(), ["shop/app".to_owned()].into()));
}

#[test]
fn where_all_has_to_wait_an_earlier_answer_will_do_but_not_for_ever() {
    let mut world = not_asked(19);
    let asked = |world: &World| world.planned(|plan| plan.without_access().is_empty());
    assert!(!asked(&world), "nobody has ever asked");
    for (age, will_do) in [(TimeDelta::zero(), true), (ACCESS_FOR, true), (ACCESS_FOR + TimeDelta::seconds(1), false)] {
        world.memory.unshared.insert("shop/app".into(), world.now - age);
        assert_eq!(asked(&world), will_do, "{age}");
        world.planned(|plan| {
            // What is condemned stays so for the next scan only where it was.
            let memory = plan.memory();
            assert_eq!(memory.condemned.contains_key("shop/app"), will_do, "{age}");
            assert_eq!(memory.unshared.get("shop/app").copied(), will_do.then(|| world.now - age), "{age}");
            assert_eq!(plan.repositories[0].access_asked, will_do.then(|| world.now - age), "{age}");
        });
    }
}

#[test]
fn a_scan_remembers_whom_it_found_unshared_and_forgets_whom_it_did_not() {
    let mut world = not_asked(19);
    let remembered = |world: &World| world.planned(|plan| plan.memory().unshared.get("shop/app").copied());
    world.access = Reading::None;
    assert_eq!(remembered(&world), Some(world.now));
    let before = world.now - TimeDelta::days(2);
    world.memory.unshared.insert("shop/app".into(), before);
    world.access = Reading::Some(Access::read(
        r#"{"Statement": {"Effect": "Allow", "Action": "ecr:*", "Principal": {"AWS": "210987654321"}}}"#,
    ));
    assert_eq!(remembered(&world), None);
    // Told of in each report, and so asked for in each scan.
    let reader = "\n[[readers]]\naccount = \"210987654321\"\nregions = [\"eu-west-1\"]\nrole = \"arn:aws:iam::210987654321:role/r\"";
    world.policy = Policy::parse(&format!("{}{reader}", super::world::POLICY)).unwrap();
    assert_eq!(remembered(&world), None);
    // An incomplete scan finds nothing.
    world.policy = Policy::parse(super::world::POLICY).unwrap();
    world.access = Reading::None;
    world.in_use.sources.pop();
    assert_eq!(remembered(&world), Some(before));
}
