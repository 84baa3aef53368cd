//! Somebody else acts on the services: deploys, or stops a deployment.

use std::time::Duration;

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Moment, Rule};
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story, WORKER_KEY};

/// Claims that the worker answered within one observation of two seconds, and the calls that it takes: among them those
/// that put the failure on record (a read and a write), which come before the answer.
fn at_once(since: std::time::SystemTime, answered: std::time::SystemTime) {
    let took = answered.duration_since(since).expect("an answer after it");
    assert!(took <= Duration::from_millis(2_750), "it took {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_is_superseded_fails_at_once_and_leaves_the_other_deployment_alone() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(41)), &[&app]);
    let full = story.portrait("app").await;
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.rolling("app-canary").await;
    let other = story.somebody_deploys(&app, "app-canary", Behaviour::Good).await;
    let since = story.now();
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    at_once(since, story.calls("PutJobFailureResult")[0].0);
    insta::assert_snapshot!(story.failure("app", &execution, "Canary"), @r"
    The deployment to canary main/app-canary was superseded: another deployment took its place: main/app-canary now runs app-canary:3.
    Done: nothing: canary main/app-canary was told by somebody else to run app-canary:3.
    Look at: who else deploys to this service (CloudTrail: UpdateService).
    ");
    assert_eq!(story.changes(since), [], "the other deployment was to be left alone");
    story
        .until("the other deployment's end", |world| {
            world.ecs.view("main", "app-canary").is_some_and(|view| view.deployment_status == "SUCCESSFUL")
        })
        .await;
    assert_eq!(story.runs("app-canary"), other);
    story.runs_image(&app, "app-canary", "by-hand");
    assert_eq!(story.portrait("app").await, full);
    story.each_job_has_one_result();
}

/// Between two reads of one observation lies a moment: what the first shows may be older than what the second does.
#[tokio::test(start_paused = true)]
async fn whatever_the_moment_a_canary_that_is_superseded_leaves_the_other_deployment_alone() {
    let app = Application::web("app", 1);
    for moment in 0..20 {
        let mut story = Story::begin(Simulator::new(Settings::seeded(400 + moment)), &[&app]);
        let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
        story.rolling("app-canary").await;
        story.pass(Duration::from_millis(moment * 100)).await;
        let other = story.somebody_deploys(&app, "app-canary", Behaviour::Good).await;
        let since = story.now();
        assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
        let message = story.failure("app", &execution, "Canary");
        assert!(message.contains("main/app-canary was superseded"), "{moment}: {message}");
        assert_eq!(story.changes(since), [], "moment {moment}: the other deployment was to be left alone");
        assert_eq!(story.runs("app-canary"), other);
        story.stop_worker().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_turnover_that_is_superseded_fails_at_once_leaves_the_other_alone_and_restores_the_canary() {
    let app = Application::web("app", 10);
    let story = Story::begin(Simulator::new(Settings::seeded(42)), &[&app]);
    let execution = story.release_to_full(&app, "v2", Behaviour::Good).await;
    story.rolling("app").await;
    let other = story.somebody_deploys(&app, "app", Behaviour::Good).await;
    let since = story.now();
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    insta::assert_snapshot!(story.failure("app", &execution, "Full"), @r"
    The deployment to full service main/app was superseded: another deployment took its place: main/app now runs app:3.
    Done: main/app is told to run app:3; canary main/app-canary runs app-canary:3 again.
    Look at: who else deploys to this service (CloudTrail: UpdateService).
    ");
    let changes = story.changes(since);
    at_once(since, changes[0].0);
    story
        .until("the other deployment's end", |world| {
            world.ecs.view("main", "app").is_some_and(|view| view.deployment_status == "SUCCESSFUL")
        })
        .await;
    assert_eq!(story.runs("app"), other);
    story.runs_image(&app, "app", "by-hand");
    story.runs_image(&app, "app-canary", "v1");
    assert_eq!(story.percents("app"), (100, 200), "the former percents return at every ending");
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn a_deployment_by_hand_while_the_full_service_is_watched_is_superseding_too() {
    let app = Application::web("app", 4).full_with("BakeTime", "20m");
    let story = Story::begin(Simulator::new(Settings::seeded(43)), &[&app]);
    let execution = story.release_to_full(&app, "v2", Behaviour::Good).await;
    story
        .until("the end of the turnover", |world| {
            let view = world.ecs.view("main", "app").expect("a service");
            view.task_definition.ends_with("app:2") && view.deployment_status == "SUCCESSFUL"
        })
        .await;
    story.pass(Duration::from_secs(120)).await;
    let other = story.somebody_deploys(&app, "app", Behaviour::Good).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &execution, "Full");
    assert!(
        message.contains("was superseded: it was successful, but main/app has since been told to run"),
        "{message}"
    );
    assert_eq!(story.runs("app"), other);
}

#[tokio::test(start_paused = true)]
async fn a_canary_deployment_that_somebody_stops_fails_and_is_restored() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(47)), &[&app]);
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.rolling("app-canary").await;
    story.somebody_stops("app-canary").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    insta::assert_snapshot!(story.failure("app", &execution, "Canary"), @r"
    The deployment to canary main/app-canary was stopped: somebody stopped it, and ECS rolled it back (Service deployment rolled back because of a StopServiceDeployment request).
    Done: canary main/app-canary runs app-canary:1 again.
    Look at: who stopped it (CloudTrail: StopServiceDeployment).
    ");
    story.runs_image(&app, "app-canary", "v1");
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn a_turnover_that_somebody_stops_fails_at_once_and_both_services_go_back() {
    let app = Application::web("app", 10);
    let story = Story::begin(Simulator::new(Settings::seeded(48)), &[&app]);
    let execution = story.release_to_full(&app, "v2", Behaviour::Good).await;
    story.rolling("app").await;
    story.somebody_stops("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    insta::assert_snapshot!(story.failure("app", &execution, "Full"), @r"
    The deployment to full service main/app was stopped: somebody stopped it, and ECS rolled it back (Service deployment rolled back because of a StopServiceDeployment request).
    Done: main/app runs app:1 again; canary main/app-canary runs app-canary:3 again.
    Look at: who stopped it (CloudTrail: StopServiceDeployment).
    ");
    story.runs_image(&app, "app", "v1");
    story.runs_image(&app, "app-canary", "v1");
    assert_eq!(story.percents("app"), (100, 200));
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_is_superseded_gets_its_former_percents_back() {
    let mut app = Application::web("app", 4);
    app.deployment = serde_json::json!({"minimumHealthyPercent": 0, "maximumPercent": 150});
    let story = Story::begin(Simulator::new(Settings::seeded(49)), &[&app]);
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.rolling("app-canary").await;
    assert_eq!(story.percents("app-canary"), (100, 200));
    let other = story.somebody_deploys(&app, "app-canary", Behaviour::Good).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    assert_eq!(story.percents("app-canary"), (0, 150));
    assert_eq!(story.runs("app-canary"), other);
    story.each_job_has_one_result();
}

/// The SDK would send the same call once more, and so take the place of what was deployed meanwhile.
#[tokio::test(start_paused = true)]
async fn a_call_whose_answer_is_lost_is_not_repeated_over_what_somebody_else_has_deployed_since() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(43)), &[&app]);
    let lost = Rule::new(Fault::TimeOut(Moment::AfterTheAct)).caller(WORKER_KEY).operation("UpdateService");
    story.simulator.inject(FaultPlan::seeded(43).rule(lost.subject("app").times(1)));
    let execution = story.release_to_full(&app, "v2", Behaviour::Good).await;
    let told = || story.simulator.calls_of(WORKER_KEY);
    story
        .until_so("the call", || told().iter().any(|call| call.operation == "UpdateService" && call.subject == "app"))
        .await;
    story.pass(Duration::from_secs(1)).await;
    let other = story.somebody_deploys(&app, "app", Behaviour::Good).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &execution, "Full");
    assert!(message.contains("main/app was superseded"), "{message}");
    assert_eq!(story.runs("app"), other);
    story.each_job_has_one_result();
}
