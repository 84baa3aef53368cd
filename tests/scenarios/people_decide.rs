//! People say no.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use simulator::ecr::Behaviour;
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story};

/// Crashes two seconds after its start.
fn crashing() -> Behaviour {
    Behaviour::CrashesAfter { after: Duration::from_secs(2), exit_code: 3, lines: vec!["no such table".into()] }
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_rejected_at_once_touches_nothing() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(71)), &[&app]);
    let (full, canary) = (story.portrait("app").await, story.portrait("app-canary").await);
    let begin = story.now();
    let execution = story.release(&app, "v2", Behaviour::Good);
    story.answer("app", "Approve", ApprovalStatus::Rejected).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    story.pass(Duration::from_secs(600)).await;
    assert_eq!(story.changes(begin), []);
    assert_eq!(story.calls("AcknowledgeJob"), []);
    assert_eq!((story.portrait("app").await, story.portrait("app-canary").await), (full, canary));
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_is_rejected_never_reaches_the_full_service() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(72)), &[&app]);
    let full = story.portrait("app").await;
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.answer("app", "Release", ApprovalStatus::Rejected).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    story.pass(Duration::from_secs(600)).await;
    assert!(story.is_idle());
    assert_eq!(story.portrait("app").await, full);
    story.runs_image(&app, "app-canary", "v1");
    story.each_job_has_one_result();
    // The next release finds the canary as it was, and goes all the way.
    let execution = story.release(&app, "v3", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app", "v3");
    story.runs_image(&app, "app-canary", "v3");
}

#[tokio::test(start_paused = true)]
async fn a_sick_canary_after_a_rejected_one_goes_back_to_what_the_full_service_runs() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(73)), &[&app]);
    let rejected = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.answer("app", "Release", ApprovalStatus::Rejected).await;
    story.ended("app", &rejected).await;
    story.runs_image(&app, "app-canary", "v2");
    let execution = story.release_to_canary(&app, "v3", crashing()).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    story.runs_image(&app, "app-canary", "v1");
}
