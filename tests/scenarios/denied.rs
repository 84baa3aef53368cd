//! Permissions that are missing, and answers that a worker does not know: what was touched is given back, and nothing is
//! called untouched that was touched.

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Rule};
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story, WORKER_KEY};

/// A story in which a fault happens to one call of the worker.
fn story_with(app: &Application, seed: u64, fault: Fault, operation: &str, nth: u64) -> Story {
    let story = Story::begin(Simulator::new(Settings::seeded(seed)), &[app]);
    let rule = Rule::new(fault).caller(WORKER_KEY).operation(operation).nth(nth);
    story.simulator.inject(FaultPlan::seeded(seed).rule(rule));
    story
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_may_not_be_looked_for_is_undone_and_not_called_nothing() {
    let app = Application::web("app", 4);
    // The first look finds nothing to follow, the second comes after the update.
    let story = story_with(&app, 141, Fault::AccessDenied, "ListServiceDeployments", 2);
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let error = story.action("app", &execution, "Canary").error.expect("an error");
    assert_eq!(error.code, "PermissionError");
    assert!(
        error.message.starts_with("The deployment to main/app-canary could not be followed: "),
        "{}",
        error.message
    );
    assert!(error.message.contains("ListServiceDeployments"), "{}", error.message);
    assert!(error.message.ends_with("Done: canary main/app-canary runs app-canary:1 again."), "{}", error.message);
    story.runs_image(&app, "app-canary", "v1");
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn a_turnover_that_may_not_be_checked_gives_its_canary_back() {
    let app = Application::web("app", 4);
    // The canary's preflight asks first.
    let story = story_with(&app, 142, Fault::AccessDenied, "GetPipelineExecution", 2);
    let full = story.portrait("app").await;
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let error = story.action("app", &execution, "Full").error.expect("an error");
    assert_eq!(error.code, "PermissionError");
    assert!(error.message.starts_with("Nothing was deployed to main/app: "), "{}", error.message);
    assert!(error.message.contains("\nDone: canary main/app-canary runs app-canary:"), "{}", error.message);
    story.runs_image(&app, "app-canary", "v1");
    assert_eq!(story.portrait("app").await, full);
}

#[tokio::test(start_paused = true)]
async fn a_service_in_a_status_that_nobody_knows_yet_is_no_verdict() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(143)), &[&app]);
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.rolling("app-canary").await;
    let unknown = Rule::new(Fault::UnknownValue("services[].status".into())).caller(WORKER_KEY);
    story.simulator.inject(FaultPlan::seeded(143).rule(unknown.operation("DescribeServices").times(3)));
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app", "v2");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_was_acknowledged_in_a_word_that_nobody_knows_yet_is_not_left_alone() {
    let app = Application::web("app", 4);
    let story = story_with(&app, 144, Fault::UnknownValue("status".into()), "AcknowledgeJob", 1);
    let begin = story.now();
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.held("app").await;
    let took = story.now().duration_since(begin).expect("later");
    assert!(took.as_secs() < 15 * 60, "the job was nobody's for {took:?}");
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
}
