//! A turnover that is refused before it touched anything gives its canary back, or says that it could not.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Rule};
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story, WORKER_KEY};

/// Releases to the canary, lets calls be denied from then on, and approves; code and message of the refused turnover.
async fn refused(app: &Application, seed: u64, denied: Option<&str>) -> (Story, String) {
    let story = Story::begin(Simulator::new(Settings::seeded(seed)), &[app]);
    let full = story.portrait("app").await;
    let execution = story.release_to_canary(app, "v2", Behaviour::Good).await;
    story.held("app").await;
    if let Some(operation) = denied {
        let rule = Rule::new(Fault::AccessDenied).caller(WORKER_KEY).operation(operation);
        story.simulator.inject(FaultPlan::seeded(seed).rule(rule));
    }
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    let begin = story.now();
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let took = story.now().duration_since(begin).unwrap();
    assert!(took < Duration::from_secs(300), "the stage was locked for {took:?}");
    assert_eq!(story.portrait("app").await, full, "the full service was changed");
    story.each_job_has_one_result();
    let error = story.action("app", &execution, "Full").error.expect("an error");
    (story, format!("{}\n{}", error.code, error.message))
}

#[tokio::test(start_paused = true)]
async fn a_turnover_that_may_not_look_at_its_pipeline_gives_the_canary_back() {
    let app = Application::web("app", 4);
    let (story, message) = refused(&app, 1401, Some("GetPipelineExecution")).await;
    assert!(
        message.starts_with("PermissionError\nNothing was deployed to main/app: codepipeline GetPipelineExecution"),
        "{message}"
    );
    assert!(message.ends_with("Done: canary main/app-canary runs app-canary:3 again."), "{message}");
    story.runs_image(&app, "app-canary", "v1");
}

#[tokio::test(start_paused = true)]
async fn a_turnover_that_may_not_update_services_says_that_the_canary_stays() {
    let app = Application::web("app", 4);
    let (story, message) = refused(&app, 1402, Some("UpdateService")).await;
    assert!(message.starts_with("PermissionError\nNothing was deployed to main/app: ecs UpdateService"), "{message}");
    assert!(message.contains("\nThe canary was not given back, and runs what it ran: ecs UpdateService"), "{message}");
    story.runs_image(&app, "app-canary", "v2");
}

/// What the canary would go back to is not known without its full service.
#[tokio::test(start_paused = true)]
async fn a_turnover_of_a_service_that_is_not_there_says_that_the_canary_stays() {
    let app = Application::web("app", 4).full_with("Service", "ap");
    let (story, message) = refused(&app, 1403, None).await;
    assert!(message.starts_with("ConfigurationError\nNothing was deployed to full service main/ap:"), "{message}");
    assert!(message.contains("- Service: ECS has no service ap in the cluster"), "{message}");
    assert!(message.contains("\nThe canary was not given back, and runs what it ran:"), "{message}");
    story.runs_image(&app, "app-canary", "v2");
}

#[tokio::test(start_paused = true)]
async fn a_turnover_whose_services_cannot_be_read_from_its_configuration_is_refused_at_once() {
    let app = Application::web("app", 4).full_with("CanaryService", "app");
    let (story, message) = refused(&app, 1404, None).await;
    assert!(message.starts_with("ConfigurationError\nThe action's configuration cannot be used:"), "{message}");
    assert!(message.contains("The canary was not given back"), "{message}");
    story.runs_image(&app, "app-canary", "v2");
}
