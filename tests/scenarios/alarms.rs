//! Alarms: red in the canary, red in the turnover, red before anything began.

use std::time::Duration;

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use simulator::cloudwatch::{AlarmSpec, AlarmState, add_alarm};
use simulator::ecr::Behaviour;
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story};

/// An application with an alarm on its canary, and one that people set by hand.
fn app() -> Application {
    Application::web("app", 4).with_alarm("app-canary-5xx")
}

/// A story in which an alarm without dimensions is in the state given.
fn story_with(app: &Application, alarm: &str, state: AlarmState, seed: u64) -> Story {
    let simulator = Simulator::new(Settings::seeded(seed));
    simulator.with_world(|world| add_alarm(world, AlarmSpec { state, ..AlarmSpec::new(alarm) }));
    Story::begin(simulator, &[app])
}

/// The application with an alarm that is nobody's own, named in both actions.
fn watching(alarm: &str, options: Option<&str>) -> Application {
    let app = Application::web("app", 4).canary_with("Alarms", alarm).full_with("Alarms", alarm);
    match options {
        Some(options) => app.canary_with("Options", options).full_with("Options", options),
        None => app,
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_raises_5xx_is_stopped_by_its_own_alarm() {
    let app = app();
    let story = Story::begin(Simulator::new(Settings::seeded(31)), &[&app]);
    let full = story.portrait("app").await;
    let execution = story.release_to_canary(&app, "v2", Behaviour::Raises5xx).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    insta::assert_snapshot!(story.failure("app", &execution, "Canary"), @r"
    The deployment to canary main/app-canary is not well: alarm app-canary-5xx is in ALARM (Threshold Crossed: 1 out of the last 1 datapoints [12.0 (05/01/26 09:01:20)] was greater than the threshold (5.0)).
    Done: canary main/app-canary runs app-canary:1 again.
    Look at: the alarm's metric in CloudWatch.
    ");
    story.runs_image(&app, "app-canary", "v1");
    assert_eq!(story.portrait("app").await, full);
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn a_shared_alarm_stops_the_canary_and_is_called_shared() {
    let app = watching("shop-5xx", None);
    let story = story_with(&app, "shop-5xx", AlarmState::Ok, 32);
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.rolling("app-canary").await;
    let red_at = story.now();
    story.set_alarm("shop-5xx", AlarmState::Alarm);
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    insta::assert_snapshot!(story.failure("app", &execution, "Canary"), @r"
    The deployment to canary main/app-canary is not well: alarm shop-5xx is in ALARM, shared with the full service (a story says so).
    Done: canary main/app-canary runs app-canary:1 again.
    Look at: the alarm's metric in CloudWatch.
    ");
    story.runs_image(&app, "app-canary", "v1");
    let (undone_at, change) = story.changes(red_at).remove(0);
    assert_eq!(change, "UpdateService app-canary");
    let took = undone_at.duration_since(red_at).unwrap();
    assert!(took <= Duration::from_secs(15), "the alarm was noticed only after {took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_goes_red_in_the_turnover_takes_both_services_back() {
    let app = watching("shop-5xx", None);
    let story = story_with(&app, "shop-5xx", AlarmState::Ok, 33);
    let execution = story.release_to_full(&app, "v2", Behaviour::Good).await;
    story.rolling("app").await;
    story.set_alarm("shop-5xx", AlarmState::Alarm);
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    insta::assert_snapshot!(story.failure("app", &execution, "Full"), @r"
    The deployment to full service main/app is not well: alarm shop-5xx is in ALARM, shared with the canary (a story says so).
    Done: main/app runs app:1 again; canary main/app-canary runs app-canary:3 again.
    Look at: the alarm's metric in CloudWatch.
    ");
    story.runs_image(&app, "app", "v1");
    story.runs_image(&app, "app-canary", "v1");
    assert_eq!(story.percents("app"), (100, 200));
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_goes_red_while_the_full_service_is_watched_takes_both_back() {
    let app = watching("shop-5xx", None).full_with("BakeTime", "10m");
    let story = story_with(&app, "shop-5xx", AlarmState::Ok, 34);
    let execution = story.release_to_full(&app, "v2", Behaviour::Good).await;
    story
        .until("the end of the turnover", |world| {
            world
                .ecs
                .view("main", "app")
                .is_some_and(|view| view.task_definition.ends_with("app:2") && view.deployment_status == "SUCCESSFUL")
        })
        .await;
    story.pass(Duration::from_secs(120)).await;
    story.set_alarm("shop-5xx", AlarmState::Alarm);
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    story.runs_image(&app, "app", "v1");
    story.runs_image(&app, "app-canary", "v1");
    assert_eq!(story.percents("app"), (100, 200));
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_is_red_before_blocks_the_release() {
    let app = watching("shop-5xx", None);
    let story = story_with(&app, "shop-5xx", AlarmState::Alarm, 35);
    let begin = story.now();
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    insta::assert_snapshot!(story.failure("app", &execution, "Canary"), @r"
    Nothing was deployed to canary main/app-canary:
    - alarm shop-5xx is in ALARM, shared with the full service (Unchecked: Initial alarm creation) before the deployment: clear it, or set already_red=require-clear or ignore in Options
    ");
    assert_eq!(story.changes(begin), [], "nothing was to be touched");
}

#[tokio::test(start_paused = true)]
async fn require_clear_waits_for_the_red_alarm_and_goes_on() {
    let app = watching("shop-5xx", Some("already_red=require-clear"));
    let story = story_with(&app, "shop-5xx", AlarmState::Alarm, 36);
    let begin = story.now();
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.pass(Duration::from_secs(600)).await;
    assert_eq!(story.changes(begin), [], "it was to wait");
    let summary = story.action("app", &execution, "Canary").summary.unwrap_or_default();
    assert!(summary.starts_with("waiting for OK: alarm shop-5xx is in ALARM"), "{summary}");
    story.set_alarm("shop-5xx", AlarmState::Ok);
    story.answer("app", "Release", aws_sdk_codepipeline::types::ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app", "v2");
}

#[tokio::test(start_paused = true)]
async fn require_clear_gives_up_at_the_deadline() {
    let app = watching("shop-5xx", Some("already_red=require-clear, deadline=20m"));
    let story = story_with(&app, "shop-5xx", AlarmState::Alarm, 37);
    let begin = story.now();
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &execution, "Canary");
    assert!(message.contains("alarm shop-5xx is in ALARM"), "{message}");
    assert!(message.contains("still after 20m"), "{message}");
    assert_eq!(story.changes(begin), []);
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_is_ignored_does_not_count_but_another_does() {
    let mut app = watching("old-trouble,shop-5xx", Some("already_red=ignore"));
    app.canary_action.push(("BakeTime".into(), "5m".into()));
    let story = story_with(&app, "old-trouble", AlarmState::Alarm, 38);
    story.world(|world| add_alarm(world, AlarmSpec::new("shop-5xx")));
    let execution = story.release(&app, "v2", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    let execution = story.release_to_canary(&app, "v3", Behaviour::Good).await;
    story.rolling("app-canary").await;
    story.set_alarm("shop-5xx", AlarmState::Alarm);
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &execution, "Canary");
    assert!(message.contains("shop-5xx") && !message.contains("old-trouble"), "{message}");
    story.runs_image(&app, "app-canary", "v2");
}
