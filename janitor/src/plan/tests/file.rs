//! The plan as a file.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use coalmine_pipeline::Home;

use super::world::{World, digest, home, reference};
use crate::plan::{PlanFile, PlanFileError, Refusal};

fn world() -> World {
    let mut world = World::new();
    world.index("shop/app", 5, &["v1", "v1.0"], 40, &[1, 2]);
    world.image("shop/app", 1, &[], 40);
    world.image("shop/app", 2, &[], 40);
    world.image("shop/app", 3, &["v3"], 40);
    world.uses(&reference("shop/app", ":v3"), None);
    world.image("shop/web", 4, &[], 10);
    world
}

fn written(world: &World) -> Vec<u8> {
    world.planned(|plan| {
        let mut bytes = Vec::new();
        plan.write(&mut bytes).unwrap();
        bytes
    })
}

#[test]
fn what_was_written_reads_back_and_is_byte_identical_on_a_re_run() {
    let mut world = world();
    let bytes = written(&world);
    let file = PlanFile::read(&bytes).unwrap();
    world.planned(|plan| assert_eq!(file, plan.file()));
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(text.contains(&format!("task prod/0123 → {}:v3", reference("shop/app", ""))), "{text}");
    for images in world.images.values_mut() {
        images.reverse();
    }
    world.in_use.sources.reverse();
    assert_eq!(written(&world), bytes);
}

#[test]
fn a_file_that_was_cut_or_edited_is_refused() {
    let bytes = written(&world());
    let text = String::from_utf8(bytes.clone()).unwrap();
    for end in 0..bytes.len() - 1 {
        assert!(PlanFile::read(&bytes[..end]).is_err(), "cut at {end}");
    }
    for (before, after) in
        [("v1.0", "v9.9"), ("\"after\"", "\"behind\""), ("},{", "}, {"), ("\"version\":1", "\"version\":2")]
    {
        assert!(text.contains(before), "{before}");
        assert_eq!(PlanFile::read(text.replacen(before, after, 1).as_bytes()), Err(PlanFileError::Changed), "{before}");
    }
    let sum = text.rfind("sha256:").unwrap() + 7;
    let mut forged = text.into_bytes();
    forged[sum] = if forged[sum] == b'0' { b'1' } else { b'0' };
    assert_eq!(PlanFile::read(&forged), Err(PlanFileError::Changed));
    assert!(matches!(PlanFile::read(b"{}"), Err(PlanFileError::Malformed(_))));
}

#[test]
fn a_plan_is_carried_out_only_where_when_and_by_what_it_was_made_for() {
    let world = world();
    let file = world.planned(|plan| plan.file());
    let names: BTreeSet<&str> = ["shop/app", "shop/web", "shop/new"].into();
    let check = |home: &Home, policy: &str, names: &BTreeSet<&str>, now| file.check(home, policy, names, now);
    let (policy, now) = (world.policy.hash(), world.now);
    assert_eq!(check(&home(), policy, &names, now + TimeDelta::days(1)), Ok(()));
    assert_eq!(
        check(&home(), policy, &names, now + TimeDelta::seconds(86_401)),
        Err(vec![Refusal::Expired(now + TimeDelta::days(1))])
    );
    let other = Home { account: "210987654321".into(), region: "eu-west-1".into() };
    let fewer: BTreeSet<&str> = ["shop/web"].into();
    assert_eq!(
        check(&other, "", &fewer, now - TimeDelta::seconds(1)),
        Err(vec![
            Refusal::Registry(home(), other.clone()),
            Refusal::Policy,
            Refusal::Future(now),
            Refusal::Repository("shop/app".into())
        ])
    );
    assert_eq!(file.repositories[0].deletions[0].digest, digest(5));
}
