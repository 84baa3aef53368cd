use super::*;
use crate::deploy::fixtures::{course, deployment, rollout, service};

const OWN: Percents = Percents { minimum: 100, maximum: 200 };
const IN_PLACE: Percents = Percents { minimum: 50, maximum: 100 };

/// A service that runs `revision`; with `old`, on its way there from it.
fn at(revision: &str, old: Option<&str>) -> Service {
    let mut service = service("app", 10, revision);
    if let Some(old) = old {
        service.rollouts = vec![rollout("PRIMARY", "IN_PROGRESS", revision, 4), rollout("ACTIVE", "COMPLETED", old, 6)];
    }
    service
}

fn told(at: i64, times: u32, deployment: bool) -> Done {
    Done { told: Some(at), times, deployment: deployment.then(|| "arn".to_owned()), ..fresh() }
}

fn fresh() -> Done {
    Done { searched: true, ..Done::default() }
}

fn step(done: &Done, service: &Service, deployment: Option<&Deployment>, count: Option<&Count>) -> Next {
    next(&course("app"), done, Seen { service, deployment, count }, 1_000).0
}

#[test]
fn a_service_is_told_once_and_told_again_only_where_it_was_brought_back() {
    let (leaving, elsewhere) = (at("app:3", None), at("app:9", None));
    let running = deployment("STOPPED");
    assert_eq!(step(&fresh(), &leaving, None, None), Next::Tell(OWN));
    assert_eq!(step(&Done::default(), &leaving, None, None), Next::Search, "another turn may have told it");
    assert_eq!(step(&told(990, 1, false), &leaving, None, None), Next::Wait, "a read may lag behind");
    assert_eq!(step(&told(900, 1, false), &leaving, None, None), Next::Tell(OWN), "the call was lost");
    assert_eq!(step(&told(990, 1, true), &leaving, None, None), Next::Look);
    assert_eq!(step(&told(990, 1, true), &leaving, Some(&running), None), Next::Tell(OWN), "a release came in between");
    assert_eq!(step(&told(990, 3, true), &leaving, Some(&running), None), Next::Lost);
    assert_eq!(step(&told(990, 1, true), &elsewhere, Some(&running), None), Next::Lost, "that is somebody's will");
    assert_eq!(step(&fresh(), &elsewhere, None, None), Next::Lost, "nobody decided that it leaves this");
    let ours = deployment("IN_PROGRESS");
    assert_eq!(step(&told(990, 1, true), &leaving, Some(&ours), None), Next::Wait, "the service's view is older");
}

#[test]
fn what_ecs_takes_back_is_not_fought() {
    for status in ["ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"] {
        let back = deployment(status);
        assert_eq!(step(&told(990, 1, true), &at("app:3", Some("app:2")), Some(&back), None), Next::Lost, "{status}");
    }
    let mut stuck = at("app:2", Some("app:3"));
    stuck.rollouts[0].state = "FAILED".into();
    assert_eq!(step(&told(990, 1, true), &stuck, None, None), Next::Lost);
    let mut gone = at("app:3", None);
    gone.status = "DRAINING".into();
    assert_eq!(step(&fresh(), &gone, None, None), Next::Lost);
}

#[test]
fn what_ecs_had_given_up_is_told_once_more_and_not_again() {
    let mut stuck = at("app:2", Some("app:3"));
    stuck.rollouts[0].state = "FAILED".into();
    let stopped = deployment("STOPPED");
    let untold = Done { deployment: Some("arn".to_owned()), ..fresh() };
    assert_eq!(step(&untold, &stuck, None, None), Next::Look, "ECS may be taking it back");
    for status in ["ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"] {
        assert_eq!(step(&untold, &stuck, Some(&deployment(status)), None), Next::Lost, "{status}");
    }
    assert_eq!(step(&untold, &stuck, Some(&stopped), None), Next::Tell(OWN));
    let later = Done { searched: false, ..untold.clone() };
    assert_eq!(step(&later, &stuck, Some(&stopped), None), Next::Search, "another turn may have told it");
    assert_eq!(step(&Done { found: true, ..untold }, &stuck, Some(&stopped), None), Next::Lost, "it has");
    let again = |at| Done { given_up: Some(stuck.rollouts[0].id.clone()), ..told(at, 1, true) };
    assert_eq!(step(&again(990), &stuck, Some(&stopped), None), Next::Wait, "a read may lag behind");
    assert_eq!(step(&again(900), &stuck, Some(&stopped), None), Next::Lost);
    let other = Done { given_up: Some("ecs-svc/7".into()), ..told(990, 1, true) };
    assert_eq!(step(&other, &stuck, Some(&stopped), None), Next::Lost, "what it was told was given up, too");
}

#[test]
fn a_service_is_back_when_every_task_was_counted_and_its_percents_are_its_own() {
    let (mut there, whole) = (at("app:2", None), Count { new: 10, ..Count::default() });
    assert_eq!(step(&told(990, 1, true), &at("app:2", Some("app:3")), None, None), Next::Wait);
    assert_eq!(step(&told(990, 1, true), &there, None, None), Next::Count);
    let mixed = Count { new: 9, others: vec!["t runs app:3".into()], unknown: 0 };
    assert_eq!(step(&told(990, 1, true), &there, None, Some(&mixed)), Next::Wait);
    assert_eq!(step(&told(990, 1, true), &there, None, Some(&whole)), Next::Back);
    there.percents = IN_PLACE;
    assert_eq!(step(&told(990, 1, true), &there, None, Some(&whole)), Next::Percents(OWN));
    there.running = 9;
    assert_eq!(step(&told(990, 1, true), &there, None, Some(&whole)), Next::Wait);
}

#[test]
fn percents_that_a_turnover_left_do_not_slow_the_way_back() {
    let mut going = at("app:2", Some("app:3"));
    going.percents = Percents { minimum: 90, maximum: 100 };
    assert_eq!(step(&told(990, 1, true), &going, None, None), Next::Percents(OWN));
}

#[test]
fn all_tasks_go_at_once_but_where_the_owner_never_lets_more_run() {
    for (own, surge, desired, rebalancing, batch, expected) in [
        (OWN, None, 10, false, 10, OWN),
        (Percents { minimum: 50, maximum: 150 }, None, 10, false, 10, OWN),
        (IN_PLACE, None, 10, false, 2, Percents { minimum: 80, maximum: 100 }),
        (IN_PLACE, None, 3, false, 1, Percents { minimum: 66, maximum: 100 }),
        (IN_PLACE, None, 1, false, 1, OWN),
        (IN_PLACE, None, 10, true, 10, OWN),
        (IN_PLACE, Some(true), 10, false, 10, OWN),
        (OWN, Some(false), 10, false, 2, Percents { minimum: 80, maximum: 100 }),
        (OWN, None, 0, false, 1, OWN),
    ] {
        let course = Course { own, surge, ..course("app") };
        let service = Service { desired, rebalancing, ..at("app:3", None) };
        let found = (course.batch(&service), course.percents(&service));
        assert_eq!(found, (batch, expected), "{own:?} {surge:?} {desired} {rebalancing}");
    }
}
