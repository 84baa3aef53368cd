//! Several releases at once: on different services, on one service through two pipelines, and one behind the other.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus, StageExecutionStatus};
use simulator::ecr::Behaviour;
use simulator::{Settings, Simulator, World};

use crate::stage::{Application, CLUSTER, Story};

#[tokio::test(start_paused = true)]
async fn three_pipelines_go_on_side_by_side_and_share_the_observation() {
    let apps = [Application::web("shop", 10), Application::web("search", 4), Application::queue_workers("mail", 2, 18)];
    let story = Story::begin(Simulator::new(Settings::seeded(1)), &apps.each_ref());
    let executions: Vec<String> = apps.iter().map(|app| story.release(app, "v2", Behaviour::Good)).collect();
    for app in &apps {
        story.answer(&app.name, "Approve", ApprovalStatus::Approved).await;
    }
    for app in &apps {
        story.answer(&app.name, "Release", ApprovalStatus::Approved).await;
    }
    for (app, execution) in apps.iter().zip(&executions) {
        assert_eq!(story.ended(&app.name, execution).await, PipelineExecutionStatus::Succeeded);
        story.runs_image(app, &app.name, "v2");
        story.runs_image(app, &app.canary_name(), "v2");
    }
    let most = story.calls("DescribeServices").iter().map(|(_, names)| names.split(',').count()).max();
    assert_eq!(most, Some(6), "one call looks at all three pairs");
}

#[tokio::test(start_paused = true)]
async fn a_second_pipeline_waits_for_a_canary_that_is_being_deployed_and_then_takes_its_place() {
    let app = Application::web("app", 10);
    let story = Story::begin(Simulator::new(Settings::seeded(2)), &[&app]);
    let hotfix = story.hotfix_pipeline(&app);
    let first = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.rolling("app-canary").await;
    let second = story.release_to_canary(&hotfix, "v3", Behaviour::Good).await;
    let waiting = |world: &World| world.ecs.outline(CLUSTER, "app-canary").unwrap().deployment_status == "IN_PROGRESS";
    while story.world(|world| waiting(world)) {
        assert_eq!(story.runs("app-canary"), "app-canary:2", "nobody interferes with a deployment under way");
        story.pass(Duration::from_secs(1)).await;
    }
    // While the first canary is watched, the second takes its place: the first says so and leaves everything alone.
    assert_eq!(story.ended("app", &first).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &first, "Canary");
    assert!(message.contains("main/app-canary has since been told to run app-canary:3"), "{message}");
    assert!(
        message.contains("nothing: canary main/app-canary was told by somebody else to run app-canary:3"),
        "{message}"
    );

    story.answer("hotfix", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("hotfix", &second).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app", "v3");
    story.runs_image(&app, "app-canary", "v3");
}

#[tokio::test(start_paused = true)]
async fn a_release_whose_canary_was_replaced_while_people_thought_goes_no_further() {
    let app = Application::web("app", 10);
    let story = Story::begin(Simulator::new(Settings::seeded(6)), &[&app]);
    let hotfix = story.hotfix_pipeline(&app);
    let first = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.held("app").await;
    let second = story.release_to_canary(&hotfix, "v3", Behaviour::Good).await;
    story.held("hotfix").await;
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &first).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &first, "Full");
    assert!(message.contains(&format!("(the release of execution {second})")), "{message}");
    assert!(message.contains(&format!("not the release of this execution {first}")), "{message}");
    story.runs_image(&app, "app", "v1");
    story.runs_image(&app, "app-canary", "v3");
}

#[tokio::test(start_paused = true)]
async fn a_second_pipeline_waits_for_a_turnover_and_ends_with_its_own_release_on_both_services() {
    let app = Application::web("app", 10);
    let story = Story::begin(Simulator::new(Settings::seeded(3)), &[&app]);
    let hotfix = story.hotfix_pipeline(&app);
    let first = story.release_to_full(&app, "v2", Behaviour::Good).await;
    story.rolling("app").await;
    let second = story.release_to_full(&hotfix, "v3", Behaviour::Good).await;
    // The second waited for the turnover. It began while the first was only watching its tasks.
    assert_eq!(story.ended("app", &first).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &first, "Full");
    assert!(message.contains("it was successful, but main/app has since been told to run app:3"), "{message}");
    assert!(message.contains("canary main/app-canary runs another release by now, and is left at it"), "{message}");
    assert_eq!(story.ended("hotfix", &second).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app", "v3");
    story.runs_image(&app, "app-canary", "v3");
    assert_eq!(story.percents("app"), (100, 200), "the former percents are back");
}

#[tokio::test(start_paused = true)]
async fn a_second_pipeline_gives_up_on_a_turnover_that_takes_long_and_names_it() {
    let app = Application::web("app", 10);
    let story = Story::begin(Simulator::new(Settings::seeded(4)), &[&app]);
    let hotfix = story.hotfix_pipeline(&app);
    let slow = Behaviour::SlowStart(Duration::from_secs(300));
    let first = story.release_to_full(&app, "v2", slow).await;
    story.rolling("app").await;
    let second = story.release_to_full(&hotfix, "v3", Behaviour::Good).await;
    assert_eq!(story.ended("hotfix", &second).await, PipelineExecutionStatus::Failed);
    let message = story.failure("hotfix", &second, "Full");
    let deployment = story.newest_deployment("app").await;
    let expected =
        format!("deployment {deployment} by execution {first} is in progress (app:2 to main/app), still after 15m");
    assert!(message.contains(&expected), "{message}");
    assert_eq!(story.ended("app", &first).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app", "v2");
}

#[tokio::test(start_paused = true)]
async fn while_a_release_is_held_only_the_newest_waits_and_the_held_canary_stays() {
    let app = Application::web("app", 10);
    let story = Story::begin(Simulator::new(Settings::seeded(5)), &[&app]);
    let held = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story
        .until("the hold", |world| world.codepipeline.open_approvals("app").iter().any(|run| run.stage == "Release"))
        .await;
    let canary = story.portrait("app-canary").await;

    let passed = story.release_to_canary(&app, "v3", Behaviour::Good).await;
    story.pass(Duration::from_secs(600)).await;
    let newest = story.release_to_canary(&app, "v4", Behaviour::Good).await;
    story.pass(Duration::from_secs(600)).await;
    assert_eq!(story.ended("app", &passed).await, PipelineExecutionStatus::Superseded);
    assert_eq!(story.portrait("app-canary").await, canary, "the canary that people judge is not overwritten");
    let entered = story.world(|world| world.codepipeline.execution("app", &newest).unwrap().stages[2].status.clone());
    assert_ne!(entered, Some(StageExecutionStatus::InProgress), "the newest waits before the stage");

    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &held).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app", "v2");
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &newest).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app", "v4");
    story.runs_image(&app, "app-canary", "v4");
}
