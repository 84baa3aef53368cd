//! A clock that is set while a worker works, by minutes: no lease gets younger, nobody is taken for dead, nothing stops.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use coalmine_door::clock::Clock;
use coalmine_door::store::Store;
use coalmine_worker::ledger::Held;
use coalmine_worker::ledger::lease::Lease;
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Rule};
use simulator::{Service, Settings, Simulator, Skew};

use crate::stage::{Application, CLUSTER, PEER_KEY, Story, WORKER_KEY, Worker, ledger, settings};

const MINUTE: Duration = Duration::from_secs(60);

/// Both would be 15 s old by the date, and may act for 20 s.
#[tokio::test(start_paused = true)]
async fn a_lease_does_not_get_younger_by_a_clock_that_is_set_back() {
    let app = Application::web("app", 1);
    let mut story = Story::begin(Simulator::new(Settings::seeded(1901)), &[&app]);
    story.stop_worker().await;
    let door = coalmine_door::limited(&story.simulator.sdk_config(WORKER_KEY));
    let (store, clock) = (Store::open(&ledger(), &door, 1 << 20), Clock::of(&door));
    let held = Held::new(store.clone(), clock.clone(), "one");
    held.intend(vec![("job".into(), "{}".into(), String::new())]).await.unwrap();
    let lease = Lease::new(store, clock, "held/watch.json", "one");
    assert!(lease.keep().await.unwrap());
    story.pass(Duration::from_secs(10)).await;
    story.simulator.set_clock(WORKER_KEY, Skew::Behind(Duration::from_secs(15)));
    assert!(held.may_act() && lease.may_act(), "10 s old");
    story.pass(Duration::from_secs(20)).await;
    assert!(!held.may_act() && !lease.may_act(), "30 s old");
}

/// The worker cannot renew its object for twenty seconds. In the middle of that the clock of a peer, which has seen it, is set
/// ahead by a minute and a half.
#[tokio::test(start_paused = true)]
async fn a_peer_whose_clock_is_set_ahead_takes_no_living_workers_job() {
    let app = Application::web("app", 10);
    let story = Story::begin(Simulator::new(Settings::seeded(1902)), &[&app]);
    // It shares the ledger, and takes no jobs of this pool itself.
    let _peer = Worker::start(&story.simulator, PEER_KEY, settings("other", 20));
    let execution = story.release_to_full(&app, "v2", Behaviour::Good).await;
    story.rolling("app").await;
    for _ in 0..3 {
        let until = story.now() + Duration::from_secs(20);
        let rule = Rule::new(Fault::Throttle).caller(WORKER_KEY).service(Service::S3).operation("PutObject");
        story.simulator.inject(FaultPlan::seeded(1902).rule(rule.until(until)));
        story.pass(Duration::from_secs(12)).await;
        story.simulator.set_clock(PEER_KEY, Skew::Ahead(Duration::from_secs(90)));
        story.pass(MINUTE).await;
        story.simulator.set_clock(PEER_KEY, Skew::None);
        story.pass(MINUTE).await;
    }
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    let given_back = story.simulator.with_calls(|calls| {
        let by_peer = calls.records.iter().filter(|call| call.access_key == PEER_KEY);
        by_peer.filter(|call| call.operation == "PutJobSuccessResult").count()
    });
    assert_eq!(given_back, 0, "the peer gave jobs of a living worker back");
    story.runs_image(&app, "app", "v2");
    story.each_job_has_one_result();
}

/// A turnover whose worker's clock may be set while it is watched: how long it took.
async fn turned_over(set: Option<Skew>) -> Duration {
    let app = Application::web("app", 4).full_with("BakeTime", "2m");
    let story = Story::begin(Simulator::new(Settings::seeded(1903)), &[&app]);
    let execution = story.release_to_full(&app, "v2", Behaviour::Good).await;
    story.in_phase("Full", "{\"bake\"").await;
    if let Some(skew) = set {
        story.simulator.set_clock(WORKER_KEY, skew);
    }
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    story.each_job_has_one_result();
    let full = story.action("app", &execution, "Full");
    full.updated.duration_since(full.started).expect("an end")
}

/// What is seen from then on is newer than the last act, whatever the clock shows. By the date it would have been older for
/// four and a half minutes. Watching takes longer, because the clock that was ahead goes at half the speed.
#[tokio::test(start_paused = true)]
async fn a_worker_whose_clock_is_set_back_goes_on_looking() {
    let usual = turned_over(None).await;
    let set_back = turned_over(Some(Skew::Behind(Duration::from_secs(270)))).await;
    assert!(set_back < usual + MINUTE * 3, "{set_back:?} instead of {usual:?}");
}

/// AWS refuses what is dated more than five minutes off: that is no verdict, and no job is lost by it.
#[tokio::test(start_paused = true)]
async fn a_worker_whose_clock_is_wrong_for_two_minutes_loses_no_job() {
    for (seed, skew) in [(1904, Skew::Ahead(MINUTE * 6)), (1905, Skew::Behind(MINUTE * 20))] {
        let app = Application::web("app", 4);
        let story = Story::begin(Simulator::new(Settings::seeded(seed)), &[&app]);
        story.simulator.check_dates();
        let execution = story.release_to_full(&app, "v2", Behaviour::Good).await;
        story.rolling("app").await;
        story.simulator.set_clock(WORKER_KEY, skew);
        story.pass(MINUTE * 2).await;
        story.simulator.set_clock(WORKER_KEY, Skew::None);
        assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded, "{skew:?}");
        story.runs_image(&app, "app", "v2");
        assert_eq!(story.percents("app"), (100, 200), "{skew:?}");
        story.each_job_has_one_accepted_result();
    }
}

/// What one worker begins to watch the other goes on to watch, and by the other's clock that began eight minutes earlier or
/// later.
#[tokio::test(start_paused = true)]
async fn workers_whose_clocks_are_apart_watch_for_as_long_as_they_say() {
    let app = Application::web("app", 4).full_with("BakeTime", "5m");
    let mut story = Story::begin(Simulator::new(Settings::seeded(1906)), &[&app]);
    story.stop_worker().await;
    let start = |key, skew| Worker::start_skewed(&story.simulator, key, settings("default", 20), skew);
    let _worker = start(WORKER_KEY, Skew::Behind(MINUTE * 4));
    let _peer = start(PEER_KEY, Skew::Ahead(MINUTE * 4));
    let execution = story.release_to_full(&app, "v2", Behaviour::Good).await;
    story
        .until("the turnover at ECS", |world| {
            let view = world.ecs.view(CLUSTER, "app").expect("a service");
            view.deployment_status == "SUCCESSFUL" && view.task_definition.ends_with("/app:2")
        })
        .await;
    let deployed = story.now();
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    let watched = story.action("app", &execution, "Full").updated.duration_since(deployed).expect("an end");
    assert!((298..330).contains(&watched.as_secs()), "{watched:?}");
    let workers = story.world(|world| {
        let jobs = world.codepipeline.jobs().iter().filter(|job| job.action == "Full");
        jobs.filter_map(|job| Some(job.acknowledged.as_ref()?.to.clone())).collect::<BTreeSet<_>>()
    });
    assert_eq!(workers.len(), 2, "both took a turn at it");
}

/// Some of its calls are sent once, and cannot learn the date from a refusal.
#[tokio::test(start_paused = true)]
async fn a_worker_whose_clock_is_off_by_more_than_aws_bears_dates_its_calls_by_aws() {
    for (seed, skew) in [(1907, Skew::Ahead(MINUTE * 7)), (1908, Skew::Behind(MINUTE * 60 * 24))] {
        let app = Application::web("app", 4);
        let mut story = Story::begin(Simulator::new(Settings::seeded(seed)), &[&app]);
        story.stop_worker().await;
        story.simulator.check_dates();
        let _worker = Worker::start_skewed(&story.simulator, WORKER_KEY, settings("default", 20), skew);
        let execution = story.release(&app, "v2", Behaviour::Good);
        story.approve_all("app").await;
        assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded, "{skew:?}");
        story.runs_image(&app, "app", "v2");
        story.each_job_has_one_result();
    }
}
