//! The reply to one kind of act is lost, whatever the SDK tries: what was done is found, and not done again.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, JobStatus, PipelineExecutionStatus};
use simulator::codepipeline::JobResult;
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Moment, Rule};
use simulator::{Settings, Simulator};

use crate::end::end;
use crate::stage::{Application, Story, WORKER_KEY};

/// A story in which the worker waits in vain for the replies to its next three calls of an operation; each is carried
/// out.
fn without_replies(app: &Application, operation: &str) -> Story {
    let simulator = Simulator::new(Settings::seeded(41));
    let lost = Rule::new(Fault::TimeOut(Moment::AfterTheAct)).caller(WORKER_KEY).operation(operation).times(3);
    simulator.inject(FaultPlan::seeded(41).rule(lost));
    let story = Story::begin(simulator, &[app]);
    story.expect_deaths();
    story
}

fn app() -> Application {
    Application::web("app", 2).canary_with("BakeTime", "0s").full_with("BakeTime", "10s")
}

/// What each deployment of a service brought.
async fn deployments(story: &Story, app: &Application, service: &str) -> Vec<String> {
    end(story, app).await.services[service].deployments.clone()
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_acknowledgement_was_not_answered_is_kept_by_who_asks_again() {
    let app = app();
    let story = without_replies(&app, "AcknowledgeJob");
    let execution = story.release(&app, "v2", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    let first = story.world(|world| world.codepipeline.jobs()[0].clone());
    assert_eq!(first.acknowledged.map(|offer| offer.to), Some(WORKER_KEY.to_owned()));
    let given_back = story.action("app", &execution, "Canary").summary.unwrap_or_default();
    assert!(!given_back.contains("its acknowledgement was lost"), "{given_back}");
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn a_registration_that_was_not_answered_is_found_and_not_repeated() {
    let app = app();
    let story = without_replies(&app, "RegisterTaskDefinition");
    let execution = story.release(&app, "v2", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    for service in ["app", "app-canary"] {
        let ecs = story.somebody();
        let listed = ecs.list_task_definitions().family_prefix(service).send().await.expect("a list");
        assert_eq!(listed.task_definition_arns().len(), 2, "{service}: v1, and v2 once");
        assert_eq!(story.runs(service), format!("{service}:2"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_that_was_not_answered_is_one_deployment() {
    let app = app();
    let story = without_replies(&app, "UpdateService");
    let execution = story.release(&app, "v2", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    for service in ["app", "app-canary"] {
        assert_eq!(deployments(&story, &app, service).await, ["v1", "v2"], "{service}");
    }
    assert_eq!(story.percents("app"), (100, 200));
}

#[tokio::test(start_paused = true)]
async fn a_success_that_was_not_answered_counts_once_and_nothing_waits_for_it() {
    let app = app();
    let story = without_replies(&app, "PutJobSuccessResult");
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.until("a first result", |world| world.codepipeline.jobs().iter().any(|job| !job.results.is_empty())).await;
    let told = story.now();
    story.until("the next job", |world| world.codepipeline.jobs().len() > 1 || is_held(world)).await;
    assert!(story.now().duration_since(told).expect("later") < Duration::from_secs(5), "CodePipeline has it already");
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    assert_eq!((story.final_results(&execution, "Canary"), story.final_results(&execution, "Full")), (1, 1));
    story.runs_image(&app, "app", "v2");
}

fn is_held(world: &simulator::World) -> bool {
    !world.codepipeline.open_approvals("app").is_empty()
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_was_not_answered_counts_once_with_its_message() {
    let app = app();
    let story = without_replies(&app, "PutJobFailureResult");
    let crash = Behaviour::CrashesAfter { after: Duration::from_secs(2), exit_code: 3, lines: Vec::new() };
    let execution = story.release_to_canary(&app, "v2", crash).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    assert!(story.failure("app", &execution, "Canary").contains("container app ended with exit code 3"));
    story.pass(Duration::from_secs(120)).await;
    let failures = story.world(|world| {
        let failed = world.codepipeline.jobs().iter().filter(|job| job.results == [JobResult::Failed]);
        failed.filter(|job| job.status == JobStatus::Failed).count()
    });
    assert_eq!(failures, 1);
    story.runs_image(&app, "app-canary", "v1");
    assert!(story.is_idle());
}
