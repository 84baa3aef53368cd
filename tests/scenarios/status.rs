//! `status` where many canaries wait for people.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use serde_json::{Value, json};
use simulator::ecr::Behaviour;
use simulator::{Settings, Simulator};

use crate::stage::story::prepare;
use crate::stage::{Application, OPERATOR_KEY, Story, settings};

/// The answer, and how many calls it took.
async fn status(story: &Story) -> (Vec<Value>, usize) {
    let before = story.simulator.calls_of(OPERATOR_KEY).len();
    let told = story.ask(&["status", "--json"]).await.expect("an answer").1;
    let rows: Value = serde_json::from_str(&told).expect("JSON");
    (rows.as_array().expect("rows").clone(), story.simulator.calls_of(OPERATOR_KEY).len() - before)
}

#[tokio::test(start_paused = true)]
async fn twenty_five_held_canaries_are_shown_within_twenty_five_calls() {
    let apps: Vec<Application> =
        (0..25).map(|number| Application::web(&format!("app{number:02}"), 1).canary_with("BakeTime", "0s")).collect();
    let built = apps.clone();
    let all: Vec<&Application> = apps.iter().collect();
    let mut story = Story::without_worker(Simulator::new(Settings::seeded(1651)), &all, |world| {
        prepare(world, &built, true);
    });
    story.start_worker_with(settings("default", 50));
    let mut executions = Vec::new();
    for app in &apps {
        executions.push(story.release_to_canary(app, "v2", Behaviour::Good).await);
    }
    for app in &apps {
        story.held(&app.pipeline).await;
    }
    // Every execution is looked at, and what was seen is told.
    story.pass(Duration::from_secs(180)).await;
    let (rows, calls) = status(&story).await;
    assert_eq!(rows.len(), 50);
    assert!(calls <= 25, "{calls} calls");
    for (app, execution) in apps.iter().zip(&executions) {
        let row = rows.iter().find(|row| row["service"] == json!(app.canary_name())).expect("a row");
        let held = &row["held"];
        assert_eq!(held["release"], json!(execution), "{row}");
        assert_eq!(held["asks"], json!(format!("{}: Release/Approve", app.pipeline)), "{row}");
    }

    // What has changed since the watch told of it is read anew.
    let (last, execution) = (apps.last().expect("an application"), executions.last().expect("an execution"));
    story.answer(&last.pipeline, "Release", ApprovalStatus::Rejected).await;
    story.until_so("the way back", || story.waiting_to_go_back()).await;
    let (rows, calls) = status(&story).await;
    assert!(calls <= 26, "{calls} calls, one more for what has changed");
    let row = rows.iter().find(|row| row["service"] == json!(last.canary_name())).expect("a row");
    let why = row["held"]["restoring"].as_str().unwrap_or_default();
    assert!(why.starts_with("Release/Approve was rejected"), "{row}");
    assert_eq!(story.ended(&last.pipeline, execution).await, PipelineExecutionStatus::Failed);
    story.until_so("its return", || story.waiting().len() == apps.len() - 1).await;
}
