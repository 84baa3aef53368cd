//! How many calls a release costs, and how soon its end is told. Counts of calls and simulated time, never of a clock.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_codepipeline::types::{ApprovalStatus, JobStatus, PipelineExecutionStatus};
use simulator::codepipeline::ActionRun;
use simulator::ecr::Behaviour;
use simulator::{CallRecord, Service, Settings, Simulator, World};

use crate::stage::{Application, CLUSTER, Story, WORKER_KEY};

/// One observation.
const OBSERVATION: Duration = Duration::from_secs(2);
/// The longest way of one call there and back.
const CALL: Duration = Duration::from_millis(80);
/// Calls of one image's action besides polling, observation and hand-backs.
const CALLS_MOST: usize = 20;

/// Whether a call is polling, observation or a hand-back, which a release is not charged for:
///
/// - `PollForJobs`, `AcknowledgeJob`, and `PutJobSuccessResult` with a continuation token;
/// - the observer's `DescribeServices`, `DescribeServiceDeployments`, `DescribeAlarms`, and the stopped tasks of a
///   service that changed: `ListTasks(STOPPED)` and `DescribeTasks`. The running tasks are counted by a turn, not by the
///   observer: each page of `ListTasks(RUNNING)` is charged, with the `DescribeTasks` that follows from it;
/// - the ledger, which a worker keeps for all of its jobs together. (Artifacts are read with credentials of their own.)
fn is_free(call: &CallRecord) -> bool {
    match call.operation.as_str() {
        "PollForJobs" | "AcknowledgeJob" => true,
        "PutJobSuccessResult" => call.request.get("continuationToken").is_some(),
        "DescribeServices" | "DescribeServiceDeployments" | "DescribeAlarms" | "DescribeTasks" => true,
        "ListTasks" => call.request["desiredStatus"] == "STOPPED",
        _ if call.service == Service::S3 => call.access_key == WORKER_KEY,
        _ => false,
    }
}

/// The calls of one action, by operation: of everybody, for an artifact is read with credentials of its own. One look
/// whether the execution still wants the job is free every 30 seconds; those before each act are charged.
fn charged(story: &Story, run: &ActionRun) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    story.simulator.with_calls(|calls| {
        let during = calls.records.iter().filter(|call| call.at >= run.started && call.at <= run.updated);
        for call in during.filter(|call| !is_free(call)) {
            *counts.entry(call.operation.clone()).or_default() += if call.operation == "ListTasks" { 2 } else { 1 };
        }
    });
    let took = run.updated.duration_since(run.started).unwrap_or_default();
    if let Some(looks) = counts.get_mut("ListActionExecutions") {
        *looks = looks.saturating_sub(usize::try_from(took.as_secs() / 30).unwrap());
    }
    counts
}

#[tokio::test(start_paused = true)]
async fn an_action_with_one_image_costs_at_most_twenty_calls() {
    for (seed, app) in (1..).zip([
        Application::web("app", 10),
        Application::web("app", 10).with_alarm("errors"),
        Application { immutable: false, ..Application::web("app", 10) },
        Application::queue_workers("app", 2, 18),
    ]) {
        let story = Story::begin(Simulator::new(Settings::seeded(seed)), &[&app]);
        let execution = story.release(&app, "v2", Behaviour::Good);
        story.approve_all("app").await;
        assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
        for action in ["Canary", "Full"] {
            let counts = charged(&story, &story.action("app", &execution, action));
            let sum: usize = counts.values().sum();
            assert!(sum <= CALLS_MOST, "{action} made {sum} calls: {counts:#?}");
            assert!(sum >= 8, "{action}'s calls are not counted: {counts:#?}");
        }
    }
}

/// When ECS was done with the newest deployment of a service.
async fn finished(story: &Story, service: &str) -> SystemTime {
    let ecs = story.somebody();
    let listed = ecs.list_service_deployments().cluster(CLUSTER).service(service).send().await.unwrap();
    let newest = listed.service_deployments().iter().max_by_key(|brief| brief.created_at().map(|at| at.as_nanos()));
    SystemTime::try_from(*newest.unwrap().finished_at().unwrap()).unwrap()
}

/// When the last job of an action was taken, and when its result came.
fn taken_and_told(story: &Story, execution: &str, action: &str) -> (SystemTime, SystemTime) {
    let run = story.action("app", execution, action);
    let taken = story.world(|world| {
        let jobs = world.codepipeline.jobs().iter().rev();
        let mut own = jobs.filter(|job| job.action_execution == run.id);
        own.find_map(|job| job.acknowledged.as_ref()).unwrap().at
    });
    (taken, run.updated)
}

/// How long after ECS was done, or after the job was there again where it was handed back just then, a result came.
/// Hand-backs take as long as CodePipeline takes to offer the job again.
async fn delay(story: &Story, execution: &str, action: &str, service: &str) -> (Duration, bool) {
    let done = finished(story, service).await;
    let (taken, told) = taken_and_told(story, execution, action);
    (told.duration_since(done.max(taken)).unwrap(), taken > done)
}

#[tokio::test(start_paused = true)]
async fn a_success_is_told_within_one_observation_of_ecs() {
    let app = Application::web("app", 3).canary_with("BakeTime", "0s").full_with("BakeTime", "0s");
    let mut across = 0;
    for seed in 0..16 {
        let mut story = Story::begin(Simulator::new(Settings::seeded(seed)), &[&app]);
        if seed % 2 == 1 {
            // Hands back so often that the end often comes between two turns.
            story.stop_worker().await;
            story.start_lingering_worker(Duration::from_secs(4));
        }
        let execution = story.release(&app, "v2", Behaviour::Good);
        story.approve_all("app").await;
        assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
        for (action, service) in [("Canary", "app-canary"), ("Full", "app")] {
            let (delay, handed_back) = delay(&story, &execution, action, service).await;
            across += u32::from(handed_back);
            assert!(delay <= OBSERVATION + CALL * 14, "{action} with seed {seed}: {delay:?} (across: {handed_back})");
        }
    }
    assert!(across >= 4, "only {across} ends came between two turns");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_by_ecs_is_told_within_one_observation_of_its_end() {
    let app = Application::web("app", 3);
    for seed in 0..6 {
        let story = Story::begin(Simulator::new(Settings::seeded(seed)), &[&app]);
        let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
        story.rolling("app-canary").await;
        story.somebody_stops("app-canary").await;
        assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
        let (delay, _) = delay(&story, &execution, "Canary", "app-canary").await;
        assert!(delay <= OBSERVATION + CALL * 14, "{delay:?} with seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn looking_at_ten_quiet_services_for_a_minute_costs_at_most_sixty_calls() {
    let apps: Vec<Application> = (1..=5)
        .map(|number| Application::web(&format!("app{number}"), 5).with_alarm(&format!("errors{number}")))
        .map(|app| app.canary_with("BakeTime", "20m"))
        .collect();
    let story = Story::begin(Simulator::new(Settings::seeded(1)), &apps.iter().collect::<Vec<_>>());
    for app in &apps {
        story.release_to_canary(app, "v2", Behaviour::Good).await;
    }
    let baking = |world: &World| {
        let jobs = world.codepipeline.jobs().iter().filter(|job| job.status == JobStatus::InProgress);
        jobs.filter(|job| job.continuation_token.as_deref().is_some_and(|token| token.contains("bake"))).count() == 5
    };
    story.until("five bakes", baking).await;
    story.pass(Duration::from_secs(60)).await;
    let begin = story.now();
    story.pass(Duration::from_secs(600)).await;
    let end = story.now();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    story.simulator.with_calls(|calls| {
        for call in calls.records.iter().filter(|call| call.at >= begin && call.at < end) {
            let observes = matches!(call.service, Service::Ecs | Service::CloudWatch);
            if observes {
                *counts.entry(call.operation.clone()).or_default() += 1;
            }
        }
    });
    let a_minute = counts.values().sum::<usize>() / 10;
    assert!((25..=60).contains(&a_minute), "{a_minute} calls a minute: {counts:#?} in ten");
    for app in &apps {
        story.answer(&app.name, "Release", ApprovalStatus::Rejected).await;
    }
}
