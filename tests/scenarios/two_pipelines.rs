//! Two pipelines deploy to the same two services: nobody interferes with a deployment under way, and what is called a
//! success is one release, never a mix of two.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ActionExecutionStatus, ApprovalStatus, PipelineExecutionStatus};
use serde_json::json;
use simulator::cloudwatch::{AlarmSpec, AlarmState, add_alarm};
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Rule};
use simulator::{Settings, Simulator, World};

use crate::stage::{Application, CLUSTER, Story, pipeline_json};

#[tokio::test(start_paused = true)]
async fn a_canary_is_deployed_while_another_pipelines_turnover_is_under_way_and_its_turnover_waits() {
    let app = Application::web("app", 6);
    let story = Story::begin(Simulator::new(Settings::seeded(1201)), &[&app]);
    let hotfix = story.hotfix_pipeline(&app);
    let first = story.release_to_full(&app, "v2", Behaviour::SlowStart(Duration::from_secs(60))).await;
    story.rolling("app").await;
    let second = story.release_to_canary(&hotfix, "v3", Behaviour::Good).await;
    story.held("hotfix").await;
    story.runs_image(&app, "app-canary", "v3");
    assert_eq!(story.deployment_status("app"), "IN_PROGRESS", "the turnover takes longer");
    story.answer("hotfix", "Release", ApprovalStatus::Approved).await;
    story.pass(Duration::from_secs(75)).await;
    let summary = story.action("hotfix", &second, "Full").summary.unwrap_or_default();
    let deployment = story.newest_deployment("app").await;
    let expected = format!("deployment {deployment} by execution {first} is in progress (app:2 to main/app): waiting");
    assert!(summary.starts_with(&expected), "{summary}");
    assert_eq!(story.ended("hotfix", &second).await, PipelineExecutionStatus::Succeeded);
    for service in ["app", "app-canary"] {
        story.runs_image(&app, service, "v3");
        assert_eq!((story.deployments(service).await, story.percents(service)), (3, (100, 200)), "{service}");
    }
    // The first one's turnover was whole; where the second began in its bake, it says so and calls it no success.
    story.ended("app", &first).await;
    let full = story.action("app", &first, "Full");
    if full.status == ActionExecutionStatus::Failed {
        let message = full.error.expect("an error").message;
        assert!(message.contains("it was successful, but main/app has since been told to run app:3"), "{message}");
    }
    assert_eq!(story.final_results(&first, "Full"), 1);
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn a_turnover_that_turns_ill_leaves_the_canary_that_another_pipeline_deployed_meanwhile() {
    let app = Application::web("app", 6).full_with("BakeTime", "20m").full_with("Alarms", "shop-5xx");
    let simulator = Simulator::new(Settings::seeded(1202));
    simulator.with_world(|world| add_alarm(world, AlarmSpec::new("shop-5xx")));
    let story = Story::begin(simulator, &[&app]);
    let hotfix = story.hotfix_pipeline(&app);
    let first = story.release_to_full(&app, "v2", Behaviour::Good).await;
    story.in_phase("Full", "{\"bake\"").await;
    let second = story.release_to_canary(&hotfix, "v3", Behaviour::Good).await;
    story.held("hotfix").await;
    story.set_alarm("shop-5xx", AlarmState::Alarm);
    assert_eq!(story.ended("app", &first).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &first, "Full");
    assert!(message.contains("main/app runs app:1 again; canary main/app-canary runs another release"), "{message}");
    story.runs_image(&app, "app", "v1");
    story.runs_image(&app, "app-canary", "v3");
    story.set_alarm("shop-5xx", AlarmState::Ok);
    story.answer("hotfix", "Release", ApprovalStatus::Approved).await;
    let ended = story.ended("hotfix", &second).await;
    assert_eq!(ended, PipelineExecutionStatus::Succeeded, "{:?}", story.action("hotfix", &second, "Full").error);
    story.runs_image(&app, "app", "v3");
    story.each_job_has_one_result();
}

/// The services' own percents would let half of the tasks go at once.
#[tokio::test(start_paused = true)]
async fn a_release_that_is_superseded_in_its_bake_does_not_give_its_percents_into_the_others_turnover() {
    let mut app = Application::web("app", 10).full_with("BakeTime", "10m");
    app.deployment = json!({"minimumHealthyPercent": 50, "maximumPercent": 200});
    let story = Story::begin(Simulator::new(Settings::seeded(1203)), &[&app]);
    let hotfix = story.hotfix_pipeline(&app);
    let first = story.release_to_full(&app, "v2", Behaviour::Good).await;
    story.in_phase("Full", "{\"bake\"").await;
    assert_eq!(story.percents("app"), (50, 200));
    let second = story.release_to_full(&hotfix, "v3", Behaviour::Good).await;
    story
        .until("the second turnover", |world| {
            world.ecs.view(CLUSTER, "app").unwrap().deployment_status == "IN_PROGRESS"
        })
        .await;
    let rolling = || story.deployment_status("app") == "IN_PROGRESS";
    while rolling() {
        assert_eq!(story.percents("app"), (90, 100), "in the middle of the second turnover");
        story.pass(Duration::from_millis(250)).await;
    }
    assert_eq!(story.ended("app", &first).await, PipelineExecutionStatus::Failed);
    assert_eq!(story.ended("hotfix", &second).await, PipelineExecutionStatus::Succeeded);
    assert_eq!(story.percents("app"), (50, 200));
    story.runs_image(&app, "app", "v3");
}

/// The first turnover has ended at ECS, and cannot give the service its own percents back for eight minutes, while the
/// second one is approved.
async fn a_turnover_that_cannot_settle(seed: u64) -> (Story, Application, [String; 2]) {
    let mut app = Application::web("app", 10);
    app.deployment = json!({"minimumHealthyPercent": 50, "maximumPercent": 200});
    let story = Story::begin(Simulator::new(Settings::seeded(seed)), &[&app]);
    let hotfix = story.hotfix_pipeline(&app);
    let first = story.release_to_full(&app, "v2", Behaviour::Good).await;
    story.rolling("app").await;
    let second = story.release_to_canary(&hotfix, "v3", Behaviour::Good).await;
    let throttled = Rule::new(Fault::Throttle).operation("UpdateService").subject("app");
    story.simulator.inject(FaultPlan::seeded(seed).rule(throttled.until(story.now() + Duration::from_secs(480))));
    story.held("hotfix").await;
    story.until("the first turnover at ECS", |world| is_rolling(world, false)).await;
    story.answer("hotfix", "Release", ApprovalStatus::Approved).await;
    story.until("the second turnover's word", |world| has_spoken(world, &second)).await;
    (story, app, [first, second])
}

/// The second turnover, which keeps to its batch from its first moment on.
async fn the_second_keeps_to_its_batch(story: &Story, app: &Application, second: &str) {
    story.until("the second turnover at ECS", |world| is_rolling(world, true)).await;
    while story.deployment_status("app") == "IN_PROGRESS" {
        assert_eq!(story.percents("app"), (90, 100), "in the middle of the second turnover");
        story.pass(Duration::from_millis(250)).await;
    }
    assert_eq!(story.ended("hotfix", second).await, PipelineExecutionStatus::Succeeded);
    assert_eq!(story.percents("app"), (50, 200));
    story.runs_image(app, "app", "v3");
    story.each_job_has_one_result_or_was_abandoned();
}

fn is_rolling(world: &World, rolling: bool) -> bool {
    world.ecs.view(CLUSTER, "app").is_some_and(|view| (view.deployment_status == "IN_PROGRESS") == rolling)
}

/// Whether the second turnover has said what it does.
fn has_spoken(world: &World, second: &str) -> bool {
    let execution = world.codepipeline.execution("hotfix", second);
    execution.and_then(|run| run.latest_action("Release", "Full")).is_some_and(|full| full.summary.is_some())
}

#[tokio::test(start_paused = true)]
async fn a_turnover_waits_until_another_pipelines_has_given_the_service_its_percents_back() {
    let (story, app, [first, second]) = a_turnover_that_cannot_settle(1205).await;
    let summary = story.action("hotfix", &second, "Full").summary.unwrap_or_default();
    let expected =
        format!("execution {first} of pipeline app has yet to give main/app its percents 50/200 back: waiting");
    assert!(summary.starts_with(&expected), "{summary}");
    assert_eq!(story.percents("app"), (90, 100));
    the_second_keeps_to_its_batch(&story, &app, &second).await;
}

#[tokio::test(start_paused = true)]
async fn a_turnover_does_not_wait_for_one_that_was_abandoned_before_it_gave_the_percents_back() {
    let (story, app, [first, second]) = a_turnover_that_cannot_settle(1206).await;
    let begin = story.now();
    story.abandon("app", &first);
    the_second_keeps_to_its_batch(&story, &app, &second).await;
    let waited = story.now().duration_since(begin).unwrap_or_default();
    assert!(waited < Duration::from_secs(600), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_in_parallel_mode_is_refused_before_anything_is_touched() {
    let app = Application { mode: "PARALLEL", ..Application::web("app", 4) };
    let story = Story::begin(Simulator::new(Settings::seeded(1204)), &[&app]);
    let begin = story.now();
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    insta::assert_snapshot!(story.failure("app", &execution, "Canary"), @r"
    Nothing was deployed to canary main/app-canary:
    - the pipeline runs in execution mode PARALLEL, in which one release overwrites the canary that another is judged by: use SUPERSEDED or QUEUED
    ");
    assert_eq!(story.changes(begin), []);
    story.each_job_has_one_result();
}

/// A turnover without a canary of its own comes to the same check.
#[tokio::test(start_paused = true)]
async fn a_turnover_of_a_pipeline_in_parallel_mode_is_refused_before_anything_is_touched() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(1207)), &[&app]);
    let many = Application { mode: "PARALLEL", ..app.by_pipeline("many") };
    let mut pipeline = pipeline_json(&many);
    let actions = pipeline["pipeline"]["stages"][2]["actions"].as_array_mut().expect("the actions of Release");
    actions.remove(0);
    actions[0]["configuration"]["CustomData"] = json!("Deploy this release to all?");
    story.world(|world| world.create_pipeline_from_json(&pipeline.to_string())).expect("a pipeline");
    let (full, canary) = (story.portrait("app").await, story.portrait("app-canary").await);
    let begin = story.now();
    let execution = story.release_to_canary(&many, "v2", Behaviour::Good).await;
    story.answer("many", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("many", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("many", &execution, "Full");
    assert!(message.starts_with("Nothing was deployed to full service main/app:\n- "), "{message}");
    assert!(message.contains("\n- the pipeline runs in execution mode PARALLEL"), "{message}");
    assert_eq!(story.changes(begin), []);
    assert_eq!((story.portrait("app").await, story.portrait("app-canary").await), (full, canary));
    story.each_job_has_one_result();
}
