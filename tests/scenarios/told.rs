//! Others are told what happens to a release.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use coalmine_worker::cli::{EXIT_INTERRUPTED, EXIT_NOT_BACK, EXIT_OK};
use coalmine_worker::commands::rollback::Order;
use coalmine_worker::deploy::happening::State;
use coalmine_worker::run::Settings as WorkerSettings;
use coalmine_worker::tell::Telling;
use serde_json::{Value, json};
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Moment, Rule};
use simulator::{Settings, Simulator};

use crate::stage::story::prepare;
use crate::stage::{Application, Log, OPERATOR_KEY, Story, order, settings};

const HOOK: &str = "hooks.example.com";

fn telling(seed: u64, app: &Application, status: u16) -> Story {
    let built = [app.clone()];
    let mut story = Story::without_worker(Simulator::new(Settings::seeded(seed)), &[app], |world| {
        prepare(world, &built, true);
        world.hooks.listen(HOOK, status);
    });
    let webhook = Some(format!("https://{HOOK}/in?key=secret"));
    let telling = Telling { bus: Some("default".into()), webhook };
    story.start_worker_with(WorkerSettings { telling, ..settings("default", 20) });
    story
}

fn events(story: &Story) -> Vec<Value> {
    story.world(|world| {
        let put = world.eventbridge.events().iter();
        put.map(|event| {
            assert_eq!((event.bus.as_str(), event.source.as_str()), ("default", "coalmine"));
            assert_eq!(event.detail_type, "Coalmine Release State Change");
            event.detail.clone()
        })
        .collect()
    })
}

#[tokio::test(start_paused = true)]
async fn every_change_of_a_releases_state_is_told_once_as_it_is_documented() {
    let app = Application::web("app", 2);
    let story = telling(1701, &app, 204);
    let rejected = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.answer("app", "Release", ApprovalStatus::Rejected).await;
    story.ended("app", &rejected).await;
    story.until_so("an empty ledger", || story.waiting().is_empty()).await;
    let execution = story.release(&app, "v3", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    story.pass(Duration::from_secs(10)).await;
    let told = events(&story);
    let states: Vec<(&str, &str)> =
        told.iter().filter_map(|event| Some((event["service"].as_str()?, event["state"].as_str()?))).collect();
    let (full, canary) = ("main/app", "main/app-canary");
    assert_eq!(
        states,
        [
            (canary, "deploying"),
            (canary, "held"),
            (canary, "restoring"),
            (canary, "restored"),
            (canary, "deploying"),
            (canary, "held"),
            (full, "deploying"),
            (full, "deployed"),
        ]
    );
    // What README.md documents, member by member.
    let mut restoring = told[2].clone();
    let at = restoring["at"].take();
    assert!(at.as_i64().is_some_and(|at| at > 1_000_000_000), "{at}");
    let action = story.action("app", &rejected, "Canary").id;
    assert_eq!(
        restoring,
        json!({
            "version": 1, "release": rejected, "pipeline": "app", "at": null, "service": canary, "state": "restoring",
            "reason": "Release/Approve was rejected by user/setup: looks good", "action": action,
            "by": "arn:aws:iam::123456789012:user/setup", "digests": {"app": story.digest(&app, "v2")},
        })
    );
    let known = [
        "version",
        "release",
        "pipeline",
        "at",
        "service",
        "state",
        "reason",
        "revision",
        "deployment",
        "action",
        "by",
        "digests",
    ];
    for event in &told {
        assert!(event.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "{event}");
    }
    let posts = story.world(|world| world.hooks.posts(HOOK).to_vec());
    let posted: Vec<Value> = posts.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
    assert_eq!(posted, told, "the webhook is told the same");
    assert!(posts.iter().all(|(path, _)| path == "/in?key=secret"));
}

#[tokio::test(start_paused = true)]
async fn a_way_back_that_ecs_takes_back_is_told_once() {
    let log = Log::keep();
    let app = Application::web("app", 2).with_breaker();
    let story = telling(1709, &app, 204);
    story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.held("app").await;
    let crash = Behaviour::CrashesAfter { after: Duration::from_secs(5), exit_code: 3, lines: Vec::new() };
    story.world(|world| world.ecr.behave("app", "v1", crash)).unwrap();
    let rejected = story.now();
    // Between the circuit breaker and the watch it goes back and forth.
    story.expect_rollback(&app);
    story.answer("app", "Release", ApprovalStatus::Rejected).await;
    let updates = || story.changes(rejected).iter().filter(|(_, call)| call == "UpdateService app-canary").count();
    story.until_so("the second try", || updates() >= 2).await;
    story.world(|world| world.ecr.behave("app", "v1", Behaviour::Good)).unwrap();
    story.until_so("an empty ledger", || story.waiting().is_empty()).await;
    story.pass(Duration::from_secs(10)).await;
    story.runs_image(&app, "app-canary", "v1");
    let told = events(&story);
    let states: Vec<&str> = told.iter().filter_map(|event| event["state"].as_str()).collect();
    assert_eq!(states, ["deploying", "held", "restoring", "restored"]);
    let posts = story.world(|world| world.hooks.posts(HOOK).len());
    assert_eq!(posts, 4, "the webhook is told as often");
    let text = log.text();
    let why = text.lines().filter(|line| line.contains("was rejected by user/setup") && !line.contains(" again"));
    assert_eq!(why.count(), 1, "the log says once why: {text}");
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_fails_and_a_bus_that_is_not_there_hold_nothing_up() {
    let app = Application::web("app", 2);
    let built = [app.clone()];
    let mut story = Story::without_worker(Simulator::new(Settings::seeded(1702)), &[&app], |world| {
        prepare(world, &built, true);
        world.hooks.listen(HOOK, 500);
    });
    let telling = Telling { bus: Some("default".into()), webhook: Some(format!("https://{HOOK}")) };
    story.start_worker_with(WorkerSettings { telling, ..settings("default", 20) });
    let execution = story.release(&app, "v2", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    assert_eq!(story.world(|world| world.hooks.posts(HOOK).len()), 4, "each is tried once");
}

/// The application ran `v2`, and `v3` is rolled back; each release by its id.
async fn two_releases(story: &Story, app: &Application) -> [String; 2] {
    let mut releases = Vec::new();
    for tag in ["v2", "v3"] {
        let execution = story.release(app, tag, Behaviour::Good);
        story.approve_all(&app.pipeline).await;
        assert_eq!(story.ended(&app.pipeline, &execution).await, PipelineExecutionStatus::Succeeded);
        releases.push(execution);
    }
    releases.try_into().expect("two releases")
}

/// What was told of a rollback: service, state and release.
fn of_rollback(told: &[Value]) -> Vec<(String, String, String)> {
    let text = |event: &Value, name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let told = told.iter().map(|event| (text(event, "service"), text(event, "state"), text(event, "release")));
    told.filter(|(_, state, _)| state.starts_with("roll")).collect()
}

fn rolled_back_from(release: &str) -> Vec<(String, String, String)> {
    let told = [
        ("app", "rolled-back"),
        ("app", "rolling-back"),
        ("app-canary", "rolled-back"),
        ("app-canary", "rolling-back"),
    ];
    told.map(|(service, state)| (format!("main/{service}"), state.to_owned(), release.to_owned())).to_vec()
}

/// In the order of their words, and not of their dates: both services go at once.
fn sorted(mut told: Vec<(String, String, String)>) -> Vec<(String, String, String)> {
    told.sort();
    told
}

#[tokio::test(start_paused = true)]
async fn the_command_tells_others_of_its_rollback() {
    let app = Application::web("app", 2);
    let built = [app.clone()];
    let mut story = Story::without_worker(Simulator::new(Settings::seeded(1705)), &[&app], |world| {
        prepare(world, &built, true);
        world.hooks.listen(HOOK, 204);
    });
    // A worker that tells nobody: what is told is the command's.
    story.start_worker();
    let [good, bad] = two_releases(&story, &app).await;
    story.expect_rollback(&app);
    let telling = Telling { bus: Some("default".into()), webhook: Some(format!("https://{HOOK}")) };
    let rolled = story.roll_back(Order { telling, ..order(&["app"]) }).await;
    assert_eq!(rolled.code, EXIT_OK, "{rolled:?}");
    let told = events(&story);
    assert_eq!(sorted(of_rollback(&told)), rolled_back_from(&bad));
    assert_eq!(told.len(), 4, "nothing else, and nothing twice");
    let back = told.iter().find(|event| event["service"] == "main/app" && event["state"] == "rolled-back").unwrap();
    assert_eq!((&back["pipeline"], &back["by"], &back["revision"]), (&json!("app"), &json!("ann"), &json!("app:2")));
    assert_eq!(back["digests"], json!({"app": story.digest(&app, "v3")}));
    let reason = back["reason"].as_str().unwrap();
    assert!(reason.starts_with(&format!("app is back at app:2 of release {good}")), "{reason}");
    let posts = story.world(|world| world.hooks.posts(HOOK).to_vec());
    let posted: Vec<Value> = posts.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
    assert_eq!(posted, told, "the webhook is told the same");
}

#[tokio::test(start_paused = true)]
async fn whom_the_command_cannot_tell_holds_the_rollback_up_for_seconds_and_fails_nothing() {
    let app = Application::web("app", 2);
    let story = Story::begin(Simulator::new(Settings::seeded(1706)), &[&app]);
    two_releases(&story, &app).await;
    story.expect_rollback(&app);
    let silent = Rule::new(Fault::TimeOut(Moment::BeforeTheAct)).caller(OPERATOR_KEY).operation("PutEvents");
    story.simulator.inject(FaultPlan::seeded(1).rule(silent));
    let telling = Telling { bus: Some("default".into()), webhook: None };
    let rolled = story.roll_back(Order { telling, ..order(&["app"]) }).await;
    let ended = story.now();
    assert_eq!(rolled.code, EXIT_OK, "{rolled:?}");
    story.runs_image(&app, "app", "v2");
    let last = story.simulator.with_calls(|calls| {
        let own = calls.records.iter().filter(|call| call.access_key == OPERATOR_KEY && call.operation != "PutEvents");
        own.map(|call| call.at).max().unwrap()
    });
    assert!(ended.duration_since(last).unwrap() <= Duration::from_secs(12), "it stayed too long");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_cannot_be_put_on_record_is_told_all_the_same() {
    for fault in [Fault::AccessDenied, Fault::TimeOut(Moment::BeforeTheAct)] {
        let app = Application::web("app", 2);
        let story = Story::begin(Simulator::new(Settings::seeded(1708)), &[&app]);
        let [_, bad] = two_releases(&story, &app).await;
        story.expect_rollback(&app);
        let unwritten = Rule::new(fault.clone()).caller(OPERATOR_KEY).operation("PutObject");
        story.simulator.inject(FaultPlan::seeded(1).rule(unwritten));
        let telling = Telling { bus: Some("default".into()), webhook: None };
        let rolled = story.roll_back(Order { telling, ..order(&["app"]) }).await;
        assert_eq!(rolled.code, EXIT_OK, "{rolled:?}");
        story.runs_image(&app, "app", "v2");
        assert_eq!(sorted(of_rollback(&events(&story))), rolled_back_from(&bad), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_action_tells_others_of_its_rollback() {
    let app = Application::web("app", 2);
    let story = telling(1707, &app, 204);
    let [_, bad] = two_releases(&story, &app).await;
    story.rollback_pipeline(&app, "app", &[]);
    let execution = story.press();
    assert_eq!(story.ended("rollback", &execution).await, PipelineExecutionStatus::Succeeded);
    story.pass(Duration::from_secs(10)).await;
    let told = events(&story);
    assert_eq!(sorted(of_rollback(&told)), rolled_back_from(&bad));
    let action = story.action("rollback", &execution, "Rollback").id;
    for event in told.iter().filter(|event| event["state"].as_str().is_some_and(|state| state.starts_with("roll"))) {
        let by = format!("pipeline rollback, execution {execution}");
        assert_eq!((&event["by"], &event["action"]), (&json!(by), &json!(action)), "{event}");
    }
}

/// Where a release stands on both services, as its record tells.
fn stands(story: &Story, release: &str) -> [State; 2] {
    let record = story.record(release);
    ["main/app", "main/app-canary"].map(|service| record.last_of(service).unwrap().state)
}

fn by_bus() -> Order {
    let telling = Telling { bus: Some("default".into()), webhook: None };
    Order { telling, ..order(&["app"]) }
}

#[tokio::test(start_paused = true)]
async fn whoever_goes_on_with_a_rollback_tells_its_end() {
    let app = Application::web("app", 2);
    let story = Story::begin(Simulator::new(Settings::seeded(1763)), &[&app]);
    let [_, bad] = two_releases(&story, &app).await;
    story.expect_rollback(&app);
    let told = async {
        let goes = |service: &str| story.runs(service).ends_with(":2");
        story.until_so("both orders", || goes("app") && goes("app-canary")).await;
        story.pass(Duration::from_secs(2)).await;
    };
    let first = story.roll_back_until(by_bus(), OPERATOR_KEY, told).await;
    assert_eq!(first.code, EXIT_INTERRUPTED, "{first:?}");
    assert_eq!(stands(&story, &bad), [State::RollingBack; 2]);
    let again = story.roll_back(by_bus()).await;
    assert_eq!(again.code, EXIT_OK, "{again:?}");
    assert_eq!(stands(&story, &bad), [State::RolledBack; 2]);
    assert_eq!(sorted(of_rollback(&events(&story))), rolled_back_from(&bad));
    assert_eq!(events(&story).len(), 4, "nothing else, and nothing twice");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_does_not_come_to_its_end_is_told_as_failed() {
    let app = Application::web("app", 2).with_breaker();
    let story = Story::begin(Simulator::new(Settings::seeded(1764)), &[&app]);
    let [good, bad] = two_releases(&story, &app).await;
    let crash = Behaviour::CrashesAfter { after: Duration::from_secs(5), exit_code: 3, lines: Vec::new() };
    story.world(|world| world.ecr.behave("app", "v2", crash)).unwrap();
    story.expect_rollback(&app);
    let lost = story.roll_back(by_bus()).await;
    assert_eq!(lost.code, EXIT_NOT_BACK, "{lost:?}");
    assert_eq!(stands(&story, &bad), [State::Failed; 2]);
    let told = events(&story);
    let of_full: Vec<&Value> = told.iter().filter(|event| event["service"] == "main/app").collect();
    let states: Vec<&str> = of_full.iter().map(|event| event["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["rolling-back", "failed"]);
    let reason = of_full[1]["reason"].as_str().unwrap();
    assert!(reason.starts_with(&format!("app is not back at app:2 of release {good}: ECS ")), "{reason}");
    assert_eq!((&of_full[1]["release"], &of_full[1]["by"]), (&json!(bad), &json!("ann")));
    // What it lacked is there now.
    story.pass(Duration::from_secs(120)).await;
    story.world(|world| world.ecr.behave("app", "v2", Behaviour::Good)).unwrap();
    let again = story.roll_back(by_bus()).await;
    assert_eq!(again.code, EXIT_OK, "{again:?}");
    assert_eq!(stands(&story, &bad), [State::RolledBack; 2]);
}
