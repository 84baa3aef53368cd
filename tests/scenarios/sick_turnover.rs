//! A release that was well in the canary and is ill in the full service: the turnover goes back, and the canary too.

use std::time::Duration;

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use simulator::ecr::Behaviour;
use simulator::ecs::StopCause;
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story, without_ids};

/// Plays a release that is ill from the second approval on: it fails, and both services run the former image, in the
/// former number and under the former percents. Gives the failure's message.
async fn undone_in_the_turnover(app: &Application, story: &Story, behaviour: Behaviour) -> String {
    let former = (story.runs(&app.name), story.tasks(&app.name), story.percents(&app.name));
    let execution = story.release_to_full(app, "v2", behaviour).await;
    let end = story.ended(&app.name, &execution).await;
    let message = story.failure(&app.name, &execution, "Full");
    println!("{message}");
    assert_eq!(end, PipelineExecutionStatus::Failed);
    assert!(message.chars().count() <= 5_000);
    assert_eq!((story.runs(&app.name), story.tasks(&app.name), story.percents(&app.name)), former);
    story.runs_image(app, &app.name, "v1");
    story.runs_image(app, &app.canary_name(), "v1");
    story.each_job_has_one_result();
    assert_eq!(story.final_results(&execution, "Full"), 1);
    without_ids(&message)
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_in_the_turnover_is_rolled_back_and_the_canary_is_restored() {
    let app = Application::web("app", 10);
    let story = Story::begin(Simulator::new(Settings::seeded(21)), &[&app]);
    let begin = story.now();
    let crash = Behaviour::CrashesAfter {
        after: Duration::from_secs(2),
        exit_code: 70,
        lines: vec!["thread 'main' panicked: no such table: orders".into()],
    };
    let message = undone_in_the_turnover(&app, &story, crash).await;
    assert_eq!(story.stops("app", StopCause::Crash), 2, "a batch of one needs two stops");
    assert_eq!(story.deployment_status("app"), "ROLLBACK_SUCCESSFUL");
    let changes: Vec<String> = story.changes(begin).into_iter().map(|(_, change)| change).collect();
    insta::assert_snapshot!(changes.join("\n"), @r"
    RegisterTaskDefinition app-canary
    UpdateService app-canary
    RegisterTaskDefinition app
    UpdateService app
    StopServiceDeployment
    UpdateService app
    RegisterTaskDefinition app-canary
    UpdateService app-canary
    ");
    insta::assert_snapshot!(message, @r"
    The deployment to full service main/app is not well: 2 tasks stopped for the same reason: container app ended with exit code 70.
    Done: main/app runs app:1 again; canary main/app-canary runs app-canary:3 again.
    Look at: the log lines below and the stopped tasks in the ECS console.
    Last log lines of task TASK (/ecs/app/app/app/TASK):
      thread 'main' panicked: no such table: orders
    ");
}

#[tokio::test(start_paused = true)]
async fn a_turnover_that_is_never_healthy_goes_back() {
    let app = Application::web("app", 10);
    let story = Story::begin(Simulator::new(Settings::seeded(22)), &[&app]);
    let message = undone_in_the_turnover(&app, &story, Behaviour::NeverHealthy).await;
    assert!(message.contains("2 tasks stopped for the same reason: Task failed container health checks"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_turnover_that_surges_goes_back_and_gets_its_percents_back() {
    let mut app = Application::web("app", 6).full_with("Options", "surge=true");
    app.deployment = serde_json::json!({"minimumHealthyPercent": 50, "maximumPercent": 150});
    let story = Story::begin(Simulator::new(Settings::seeded(23)), &[&app]);
    let message = undone_in_the_turnover(&app, &story, Behaviour::OutOfMemory { after: Duration::from_secs(30) }).await;
    assert!(message.contains("OutOfMemoryError"), "{message}");
    assert_eq!(story.percents("app"), (50, 150));
}

#[tokio::test(start_paused = true)]
async fn queue_workers_that_crash_in_the_turnover_go_back_to_their_split() {
    let app = Application::queue_workers("worker", 2, 18);
    let story = Story::begin(Simulator::new(Settings::seeded(24)), &[&app]);
    let crash = Behaviour::CrashesAfter { after: Duration::from_secs(20), exit_code: 1, lines: Vec::new() };
    undone_in_the_turnover(&app, &story, crash).await;
    assert_eq!((story.tasks("worker-canary"), story.tasks("worker")), (2, 18));
}

#[tokio::test(start_paused = true)]
async fn a_turnover_that_is_ill_only_while_it_is_watched_goes_back() {
    let app = Application::web("app", 4).full_with("BakeTime", "10m");
    let story = Story::begin(Simulator::new(Settings::seeded(25)), &[&app]);
    // Healthy for five minutes: ECS has long called the deployment successful when the tasks fall.
    let crash = Behaviour::CrashesAfter { after: Duration::from_secs(300), exit_code: 9, lines: Vec::new() };
    let message = undone_in_the_turnover(&app, &story, crash).await;
    assert!(message.contains("container app ended with exit code 9"), "{message}");
}
