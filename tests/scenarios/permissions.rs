//! Whether the policy that Terraform renders is what the worker needs. (Every story's workers run under it, and no story
//! may end with a call that it refused; what stands here is the other direction, and that a refusal is one.)

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use coalmine_worker::run::Settings as WorkerSettings;
use coalmine_worker::tell::Telling;
use serde_json::json;
use simulator::ecr::Behaviour;
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story, WORKER_KEY, Worker, permissions, settings};

/// Two releases: one that is ill in the turnover and undone with log lines, by two workers that look after each other and
/// tell others; and one whose service was busy for so long that the artifact's credentials had to be renewed. Then a plan.
async fn what_a_worker_uses() -> BTreeSet<String> {
    let mut app = Application::web("app", 10).with_alarm("app-5xx").canary_with("Options", "wait=40m");
    app.definition.0 = json!({"taskRoleArn": "arn:aws:iam::123456789012:role/app"});
    let mut story = Story::begin(Simulator::new(Settings::seeded(301)), &[&app]);
    let telling = Telling { bus: Some("default".into()), webhook: None };
    let peer = Worker::start(&story.simulator, "AKIAPEER", WorkerSettings { telling, ..settings("default", 20) });
    let crash = Behaviour::CrashesAfter { after: Duration::from_secs(2), exit_code: 70, lines: vec!["no".into()] };
    let execution = story.release_to_full(&app, "v2", crash).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let used = &story.simulator.actions_used(WORKER_KEY) | &story.simulator.actions_used("AKIAPEER");
    story.stop_worker().await;
    peer.stop().await;

    story.start_lingering_worker(Duration::from_secs(3_600));
    story.somebody_deploys(&app, "app-canary", Behaviour::SlowStart(Duration::from_secs(1_300))).await;
    let execution = story.release_to_canary(&app, "v3", Behaviour::Good).await;
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    let used = &used | &story.simulator.actions_used(WORKER_KEY);
    &used | &what_a_plan_uses().await
}

async fn what_a_plan_uses() -> BTreeSet<String> {
    let app = Application::web("app", 2).canary_with("Options", "mode=plan");
    let story = Story::begin(Simulator::new(Settings::seeded(303)), &[&app]);
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story
        .until("a plan", |world| world.codepipeline.open_approvals("app").iter().any(|run| run.stage == "Release"))
        .await;
    story.answer("app", "Release", ApprovalStatus::Rejected).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    story.simulator.actions_used(WORKER_KEY)
}

#[tokio::test(start_paused = true)]
async fn the_policy_grants_nothing_that_two_releases_do_not_need() {
    let granted: BTreeSet<String> = permissions::of_workers().actions().map(str::to_owned).collect();
    let used = what_a_worker_uses().await;
    let never: Vec<&String> = granted.difference(&used).collect();
    assert!(never.is_empty(), "granted, and never needed: {never:?}");
    // What it uses, it was granted, or the stories would have failed.
    assert_eq!(granted, used);
}

/// A role that is not among those that Terraform was told of.
#[tokio::test(start_paused = true)]
async fn a_role_that_may_not_be_passed_fails_the_release_before_anything_is_touched() {
    let mut app = Application::web("app", 2);
    app.definition.0 = json!({"taskRoleArn": "arn:aws:iam::123456789012:role/administrator"});
    let story = Story::begin(Simulator::new(Settings::seeded(302)), &[&app]);
    let former = story.runs("app-canary");
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &execution, "Canary");
    assert!(message.contains("iam:PassRole on resource: arn:aws:iam::123456789012:role/administrator"), "{message}");
    assert_eq!(story.runs("app-canary"), former);
    assert_eq!(story.simulator.take_refusals().len(), 1);
}

/// The cluster next door is not in the policy, so a pipeline that names it reaches nothing there.
#[tokio::test(start_paused = true)]
async fn a_service_that_terraform_was_not_told_of_cannot_be_looked_at() {
    let app = Application::web("app", 2).canary_with("Cluster", "payroll");
    let story = Story::begin(Simulator::new(Settings::seeded(303)), &[&app]);
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &execution, "Canary");
    assert!(message.contains("service/payroll/app"), "{message}");
    assert!(!story.simulator.take_refusals().is_empty());
}
