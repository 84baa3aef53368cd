//! Workers that meet over the jobs of a dead one: each job goes on once, whoever sees it first.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, JobStatus, PipelineExecutionStatus};
use coalmine_door::store::Location;
use coalmine_worker::run::Settings as WorkerSettings;
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Freeze, Moment, Rule};
use simulator::{Settings, Simulator, World};

use crate::stage::{Application, PEER_KEY, Story, WORKER_KEY, Worker, settings};

/// The access key of a third worker.
const THIRD_KEY: &str = "AKIATHIRD";

/// A fleet's only worker dies at one of its calls.
fn dies_at(seed: u64, key: &str, operation: &str, subject: &str, nth: u64) -> FaultPlan {
    let dies = Rule::new(Fault::Kill(Moment::AfterTheAct)).caller(key).operation(operation).nth(nth);
    FaultPlan::seeded(seed).rule(if subject.is_empty() { dies } else { dies.subject(subject) })
}

/// One service, whose canary and turnover bake for a moment.
pub(crate) fn app() -> Application {
    Application::web("app", 2).canary_with("BakeTime", "20s").full_with("BakeTime", "20s")
}

/// Claims that a release went through as if nobody had died.
pub(crate) async fn went_through(story: &Story, app: &Application, execution: &str) {
    assert_eq!(story.ended("app", execution).await, PipelineExecutionStatus::Succeeded);
    for service in ["app", "app-canary"] {
        story.runs_image(app, service, "v2");
        assert_eq!((story.deployments(service).await, story.percents(service)), (2, (100, 200)), "{service}");
    }
    for action in ["Canary", "Full"] {
        assert_eq!(story.final_results(execution, action), 1, "{action}");
    }
    story.each_job_has_one_accepted_result();
}

/// The only worker dies at a call; two peers, to whom this and that happens, begin at the same moment, so that they see the same
/// age of its object. The release goes through.
async fn two_take_over(seed: u64, dies: (&str, &str), mishaps: Vec<Rule>) -> Story {
    let app = app();
    let simulator = Simulator::new(Settings::seeded(seed));
    simulator.inject(dies_at(seed, WORKER_KEY, dies.0, dies.1, 1));
    for mishap in mishaps {
        simulator.inject(FaultPlan::seeded(seed).rule(mishap));
    }
    let story = Story::begin(simulator, &[&app]);
    story.expect_deaths();
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.simulator.until_death(WORKER_KEY).await;
    let _peers = [PEER_KEY, THIRD_KEY].map(|key| Worker::start(&story.simulator, key, settings("default", 20)));
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    went_through(&story, &app, &execution).await;
    story
}

/// A peer stops right before its nth call of an operation.
pub(crate) fn late(key: &str, operation: &str, nth: u64, seconds: u64) -> Rule {
    let freeze = Fault::Freeze(Freeze::BeforeSending, Duration::from_secs(seconds));
    Rule::new(freeze).caller(key).operation(operation).nth(nth)
}

fn refused_results(story: &Story) -> u32 {
    story.world(|world| world.codepipeline.jobs().iter().map(|job| job.refused_results).sum())
}

#[tokio::test(start_paused = true)]
async fn two_peers_that_find_the_same_dead_worker_give_its_job_back_once() {
    for seed in 1101..1105 {
        let story = two_take_over(seed, ("UpdateService", "app-canary"), Vec::new()).await;
        let acknowledged = |job: &simulator::codepipeline::Job| job.acknowledged.is_some();
        assert!(story.world(|world| world.codepipeline.jobs().iter().all(acknowledged)));
        assert_eq!(refused_results(&story), 0, "nobody gave back what the other had given back");
    }
}

/// Both have read the dead worker's object before either of them has its jobs in its own, and the first is slow to give
/// them back: what the other finds struck already, it leaves.
#[tokio::test(start_paused = true)]
async fn two_peers_that_strike_the_same_dead_worker_give_its_job_back_once() {
    for seed in 1115..1118 {
        // Longer than it takes the other to look, and shorter than it takes to be called dead.
        let slow = |key| [late(key, "PutObject", 1, 18), late(key, "PutJobSuccessResult", 1, 15)];
        let mishaps = [PEER_KEY, THIRD_KEY].into_iter().flat_map(slow).collect();
        let story = two_take_over(seed, ("UpdateService", "app-canary"), mishaps).await;
        let too_late = story.simulator.with_calls(|calls| {
            let strikes = calls.records.iter().filter(|call| call.operation == "DeleteObject" && call.error.is_some());
            strikes.count()
        });
        assert_eq!(too_late, 1, "one of them found it struck");
        assert_eq!(refused_results(&story), 0, "nobody gave back what the other had taken");
    }
}

/// Two peers read a dead worker's object before either notes its job, and both note it before one of them has seen what came of
/// its strike; the other one takes its own note back late.
async fn both_strike(seed: u64, dies: (&str, &str), strike: Fault) {
    let mishaps = vec![
        late(THIRD_KEY, "PutObject", 1, 18),
        late(PEER_KEY, "PutObject", 1, 18),
        Rule::new(strike).caller(THIRD_KEY).operation("DeleteObject").nth(1),
        late(PEER_KEY, "DeleteObject", 2, 12),
    ];
    let story = two_take_over(seed, dies, mishaps).await;
    let struck = story.simulator.with_calls(|calls| {
        let strikes =
            calls.records.iter().filter(|call| call.operation == "DeleteObject" && call.access_key == PEER_KEY);
        strikes.filter(|call| call.error.as_ref().is_some_and(|error| error.contains("PreconditionFailed"))).count()
    });
    assert_eq!(struck, 1, "{seed}: the second one found it struck");
}

/// Of a worker that died right after an acknowledgement only its intent is known: who has struck it looks whether a peer has
/// acknowledged the job meanwhile.
#[tokio::test(start_paused = true)]
async fn two_peers_that_strike_the_same_intent_do_not_leave_the_job_to_each_other() {
    for seed in [1121, 1124, 1127, 1131] {
        both_strike(seed, ("AcknowledgeJob", ""), Fault::Freeze(Freeze::AfterSending, Duration::from_secs(7))).await;
    }
}

/// The one that has struck it is told, like the other one, that somebody has: its own reply was lost.
#[tokio::test(start_paused = true)]
async fn two_peers_that_both_find_the_dead_worker_struck_do_not_leave_the_job_to_each_other() {
    for seed in [1119, 1122, 1125] {
        both_strike(seed, ("UpdateService", "app-canary"), Fault::TimeOut(Moment::AfterTheAct)).await;
    }
}

/// The SDK sends the deletion again, and is told that the object is not what it was: by its own hand, this time.
#[tokio::test(start_paused = true)]
async fn an_adopter_whose_strike_was_answered_to_nobody_goes_on_with_the_job() {
    let app = app();
    let simulator = Simulator::new(Settings::seeded(1106));
    simulator.inject(dies_at(1106, WORKER_KEY, "UpdateService", "app-canary", 1));
    let lost = Rule::new(Fault::Reset(Moment::AfterTheAct)).caller(PEER_KEY).operation("DeleteObject").nth(1);
    simulator.inject(FaultPlan::seeded(1106).rule(lost));
    let story = Story::begin(simulator, &[&app]);
    story.expect_deaths();
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.simulator.until_death(WORKER_KEY).await;
    let _peer = Worker::start(&story.simulator, PEER_KEY, settings("default", 20));
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    went_through(&story, &app, &execution).await;
}

/// Who adopts a job may die while doing so: before its own record, after it, and before or after CodePipeline has the job.
#[tokio::test(start_paused = true)]
async fn an_adopter_that_dies_leaves_the_job_to_the_next() {
    for (seed, operation, nth) in [(1111, "PutObject", 1), (1112, "DeleteObject", 1), (1113, "PutJobSuccessResult", 1)]
    {
        for moment in [Moment::BeforeTheAct, Moment::AfterTheAct] {
            let app = app();
            let simulator = Simulator::new(Settings::seeded(seed));
            simulator.inject(dies_at(seed, WORKER_KEY, "UpdateService", "app-canary", 1));
            let dies = Rule::new(Fault::Kill(moment)).caller(PEER_KEY).operation(operation).nth(nth);
            simulator.inject(FaultPlan::seeded(seed).rule(dies));
            let story = Story::begin(simulator, &[&app]);
            story.expect_deaths();
            let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
            story.simulator.until_death(WORKER_KEY).await;
            let _peer = Worker::start(&story.simulator, PEER_KEY, settings("default", 20));
            story.simulator.until_death(PEER_KEY).await;
            let _third = Worker::start(&story.simulator, THIRD_KEY, settings("default", 20));
            story.answer("app", "Release", ApprovalStatus::Approved).await;
            went_through(&story, &app, &execution).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_workers_die_the_first_that_comes_back_goes_on_with_all_jobs() {
    let apps: Vec<Application> = (1..=4).map(|number| Application::web(&format!("app{number}"), 2)).collect();
    let simulator = Simulator::new(Settings::seeded(1131));
    let story = Story::begin(simulator.clone(), &apps.iter().collect::<Vec<_>>());
    story.expect_deaths();
    let _peer = Worker::start(&simulator, PEER_KEY, settings("default", 20));
    let executions: Vec<String> = apps.iter().map(|app| story.release(app, "v2", Behaviour::Good)).collect();
    for app in &apps {
        story.answer(&app.name, "Approve", ApprovalStatus::Approved).await;
    }
    let held = |world: &World| {
        world.codepipeline.jobs().iter().filter(|job| job.status == JobStatus::InProgress).count() == apps.len()
    };
    story.until("all jobs held", held).await;
    story.pass(Duration::from_secs(7)).await;
    for key in [WORKER_KEY, PEER_KEY] {
        let now = Rule::new(Fault::Kill(Moment::AfterTheAct)).caller(key).times(1);
        simulator.inject(FaultPlan::seeded(1131).rule(now));
        simulator.until_death(key).await;
    }
    story.pass(Duration::from_secs(300)).await;
    let back = story.now();
    let _third = Worker::start(&simulator, THIRD_KEY, settings("default", 20));
    story
        .until("all jobs held again", |world| {
            let by_third = |job: &&simulator::codepipeline::Job| {
                job.acknowledged.as_ref().is_some_and(|offer| offer.to == THIRD_KEY)
            };
            world.codepipeline.jobs().iter().filter(by_third).count() == apps.len()
        })
        .await;
    let took = story.now().duration_since(back).unwrap();
    assert!(took < Duration::from_secs(100), "{took:?}");
    for (app, execution) in apps.iter().zip(&executions) {
        story.answer(&app.name, "Release", ApprovalStatus::Approved).await;
        assert_eq!(story.ended(&app.name, execution).await, PipelineExecutionStatus::Succeeded, "{}", app.name);
        story.runs_image(app, &app.name, "v2");
        assert_eq!((story.deployments(&app.name).await, story.deployments(&app.canary_name()).await), (2, 2));
    }
    story.each_job_has_one_accepted_result();
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_comes_back_with_the_same_folder_goes_on_with_its_own_jobs() {
    let folder = std::env::temp_dir().join(format!("coalmine-story-{}-{:x}", std::process::id(), 1141));
    let _ = std::fs::remove_dir_all(&folder);
    let ledger = || WorkerSettings { ledger: Location::Folder(folder.clone()), ..settings("default", 20) };
    let app = app();
    let simulator = Simulator::new(Settings::seeded(1141));
    let mut story = Story::begin(simulator.clone(), &[&app]);
    story.expect_deaths();
    story.stop_worker().await;
    simulator.inject(dies_at(1141, WORKER_KEY, "UpdateService", "app", 1));
    let _worker = Worker::start(&simulator, WORKER_KEY, ledger());
    let execution = story.release(&app, "v2", Behaviour::Good);
    story.approve_all("app").await;
    simulator.until_death(WORKER_KEY).await;
    let objects = || std::fs::read_dir(folder.join("workers")).unwrap().count();
    assert_eq!(objects(), 1, "what it held is on the disk");
    story.pass(Duration::from_secs(20)).await;
    let restarted = Worker::start(&simulator, WORKER_KEY, ledger());
    went_through(&story, &app, &execution).await;
    restarted.stop().await;
    assert_eq!(objects(), 0, "nothing is left of either");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Whoever embeds the worker may drop it: its turns end with it, and do nothing more.
#[tokio::test(start_paused = true)]
async fn a_worker_that_is_dropped_leaves_nothing_running() {
    let app = app();
    let mut story = Story::begin(Simulator::new(Settings::seeded(1151)), &[&app]);
    story.expect_deaths();
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.rolling("app-canary").await;
    story.drop_worker().await;
    let calls = story.simulator.calls_of(WORKER_KEY).len();
    story.pass(Duration::from_secs(300)).await;
    assert_eq!(story.simulator.calls_of(WORKER_KEY).len(), calls);
    let _peer = Worker::start(&story.simulator, PEER_KEY, settings("default", 20));
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    went_through(&story, &app, &execution).await;
}
