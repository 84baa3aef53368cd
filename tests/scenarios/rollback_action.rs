//! A pipeline rolls services back: `Coalmine-Rollback`.

use std::time::Duration;

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use simulator::ecr::Behaviour;
use simulator::faults::FaultPlan;
use simulator::{Settings, Simulator};

use crate::stage::{Application, PEER_KEY, Story, WORKER_KEY, Worker, settings};

fn app() -> Application {
    Application::web("app", 4).canary_with("BakeTime", "20s").full_with("BakeTime", "20s").full_with("Batch", "50%")
}

async fn release(story: &Story, app: &Application, tag: &str) -> String {
    let execution = story.release(app, tag, Behaviour::Good);
    story.approve_all(&app.pipeline).await;
    assert_eq!(story.ended(&app.pipeline, &execution).await, PipelineExecutionStatus::Succeeded);
    execution
}

#[tokio::test(start_paused = true)]
async fn one_button_returns_the_services_and_tells_what_was_counted() {
    let apps = [app(), Application { name: "search".into(), pipeline: "search".into(), ..app() }];
    let story = Story::begin(Simulator::new(Settings::seeded(1651)), &[&apps[0], &apps[1]]);
    for tag in ["v2", "v3"] {
        for app in &apps {
            release(&story, app, tag).await;
        }
    }
    story.rollback_pipeline(&apps[0], "app, search", &[("To", "last")]);
    let execution = story.press();
    assert_eq!(story.ended("rollback", &execution).await, PipelineExecutionStatus::Succeeded);
    for app in &apps {
        for service in [app.name.clone(), app.canary_name()] {
            story.runs_image(app, &service, "v2");
            assert_eq!((story.deployments(&service).await, story.percents(&service)), (4, (100, 200)), "{service}");
        }
    }
    let run = story.action("rollback", &execution, "Rollback");
    let summary = run.output_variables.get("Summary").cloned().unwrap_or_default();
    assert!(summary.contains("4 services are back") && summary.contains("app app:2 (4 tasks)"), "{summary}");
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_rolled_back_fails_before_anything_is_touched() {
    let app = app();
    let story = Story::begin(Simulator::new(Settings::seeded(1652)), &[&app]);
    release(&story, &app, "v2").await;
    release(&story, &app, "v3").await;
    story.rollback_pipeline(&app, "app, serach", &[]);
    let begin = story.now();
    let execution = story.press();
    assert_eq!(story.ended("rollback", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("rollback", &execution, "Rollback");
    assert!(message.starts_with("Nothing was rolled back:\n- main/serach: ECS has no service serach"), "{message}");
    assert_eq!(story.changes(begin), []);
}

#[tokio::test(start_paused = true)]
async fn a_part_goes_back_where_that_is_wanted() {
    let app = app();
    let story = Story::begin(Simulator::new(Settings::seeded(1653)), &[&app]);
    release(&story, &app, "v2").await;
    release(&story, &app, "v3").await;
    story.rollback_pipeline(&app, "app, serach", &[("Options", "partial=true")]);
    let execution = story.press();
    assert_eq!(story.ended("rollback", &execution).await, PipelineExecutionStatus::Succeeded);
    let run = story.action("rollback", &execution, "Rollback");
    let summary = run.output_variables.get("Summary").cloned().unwrap_or_default();
    assert!(summary.contains("left out: main/serach"), "{summary}");
    story.runs_image(&app, "app", "v2");
}

/// The newest job of the rollback that goes on from an earlier one: its id and token.
fn continued(story: &Story) -> Option<(String, String)> {
    story.world(|world| {
        let job = world.codepipeline.jobs().iter().rev().find(|job| job.action == "Rollback")?;
        Some((job.id.clone(), job.continuation_token.clone()?))
    })
}

#[tokio::test(start_paused = true)]
async fn explain_tells_a_rollbacks_job_and_its_token() {
    let app = app();
    let mut story = Story::begin(Simulator::new(Settings::seeded(1654)), &[&app]);
    release(&story, &app, "v2").await;
    release(&story, &app, "v3").await;
    story.world(|world| world.ecr.behave("app", "v2", Behaviour::SlowStart(Duration::from_secs(300)))).unwrap();
    story.rollback_pipeline(&app, "app", &[]);
    let execution = story.press();
    story.until_so("a second job", || continued(&story).is_some()).await;
    story.until_so("its worker", || story.below("workers/").len() == 1).await;
    story.pass(Duration::from_secs(10)).await;
    let (job, token) = continued(&story).unwrap();
    let of_job = story.ask(&["explain", &job]).await.unwrap().1;
    assert!(of_job.contains("in the hands of worker"), "{of_job}");
    for told in [&of_job, &story.ask(&["explain", &token]).await.unwrap().1] {
        assert!(told.contains("- app-canary (canary of app): from app-canary:3 to app-canary:2"), "{told}");
        assert!(told.contains("- app: from app:3 to app:2; its own percents are 100/200"), "{told}");
        assert!(told.contains("Now: the services are told, and followed until every task is counted."), "{told}");
    }
    // A token that nobody can read is no reason to hide the job.
    let key = format!("coalmine/{}", story.below("workers/").first().unwrap());
    story.stop_worker().await;
    let held = serde_json::json!({"schema": 1, "renewed": 1_796_000_000_000_i64, "jobs": {
        &job: {"state": "intent", "token": r#"{"v":9}"#, "place": "rollback/Release/Rollback"}}});
    story.world(|world| world.s3.put("ledger", &key, held.to_string().into_bytes().into(), world.now));
    let told = story.ask(&["explain", &job]).await.unwrap().1;
    assert!(told.contains("in the hands of worker") && told.contains("has version 9"), "{told}");
    story.world(|world| world.s3.delete("ledger", &key));
    story.start_worker();
    assert_eq!(story.ended("rollback", &execution).await, PipelineExecutionStatus::Succeeded);
}

/// The first worker dies at one of its calls of the rollback; another one goes on.
async fn dies_at(seed: u64, call: u64) {
    let app = app();
    let mut story = Story::begin(Simulator::new(Settings::seeded(seed)), &[&app]);
    release(&story, &app, "v2").await;
    release(&story, &app, "v3").await;
    story.stop_worker().await;
    story.expect_deaths();
    story.rollback_pipeline(&app, "app", &[]);
    let so_far = story.simulator.calls_of(WORKER_KEY).len() as u64;
    story.simulator.inject(FaultPlan::kill_after(WORKER_KEY, so_far + call));
    let execution = story.press();
    story.start_worker();
    story.simulator.until_death(WORKER_KEY).await;
    let peer = Worker::start(&story.simulator, PEER_KEY, settings("default", 20));
    assert_eq!(story.ended("rollback", &execution).await, PipelineExecutionStatus::Succeeded, "call {call}");
    for service in ["app", "app-canary"] {
        story.runs_image(&app, service, "v2");
        assert_eq!(
            (story.deployments(service).await, story.percents(service)),
            (4, (100, 200)),
            "call {call} {service}"
        );
    }
    story.pass(Duration::from_secs(60)).await;
    peer.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_in_a_rollback_is_followed_by_another() {
    for call in [9, 30, 45, 60] {
        dies_at(1660 + call, call).await;
    }
}
