//! A release that is ill in the canary: it is stopped, the canary restored, the full service never touched.

use std::time::Duration;

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use simulator::ecr::{Behaviour, ImageSpec};
use simulator::ecs::StopCause;
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story, without_ids};

/// Exits with 3 after five seconds, and says why.
fn crashing() -> Behaviour {
    Behaviour::CrashesAfter {
        after: Duration::from_secs(5),
        exit_code: 3,
        lines: vec!["starting".into(), "cannot reach the database: connection refused".into()],
    }
}

/// Plays a release whose canary is ill: it fails, the canary runs the full service's image again, and the full service
/// is as it was. Gives the failure's message.
async fn stopped_in_the_canary(app: &Application, story: &Story, behaviour: Behaviour) -> String {
    let full = story.portrait(&app.name).await;
    let execution = story.release_to_canary(app, "v2", behaviour).await;
    let end = story.ended(&app.name, &execution).await;
    let message = story.failure(&app.name, &execution, "Canary");
    println!("{message}");
    assert_eq!(end, PipelineExecutionStatus::Failed);
    assert!(message.chars().count() <= 5_000);
    story.runs_image(app, &app.canary_name(), "v1");
    assert_eq!(story.portrait(&app.name).await, full, "the full service was changed");
    assert_eq!(story.percents(&app.canary_name()), (100, 200));
    story.each_job_has_one_result();
    assert_eq!(story.final_results(&execution, "Canary"), 1);
    without_ids(&message)
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_crashes_is_stopped_at_its_second_stop_and_says_why() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(11)), &[&app]);
    let message = stopped_in_the_canary(&app, &story, crashing()).await;
    assert_eq!(story.stops("app-canary", StopCause::Crash), 2, "two stops are a verdict, a third is one too many");
    insta::assert_snapshot!(message, @r"
    The deployment to canary main/app-canary is not well: 2 tasks stopped for the same reason: container app ended with exit code 3.
    Done: canary main/app-canary runs app-canary:1 again.
    Look at: the log lines below and the stopped tasks in the ECS console.
    Last log lines of task TASK (/ecs/app/app/app/TASK):
      starting
      cannot reach the database: connection refused
    ");
}

#[tokio::test(start_paused = true)]
async fn a_log_of_many_long_lines_fits_into_the_message_newest_last_and_without_escapes() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(17)), &[&app]);
    let lines = (1..=100).map(|number| format!("\u{1b}[31m{number} {}", "x".repeat(2_000))).collect();
    let verbose = Behaviour::CrashesAfter { after: Duration::from_secs(5), exit_code: 3, lines };
    let message = stopped_in_the_canary(&app, &story, verbose).await;
    let last = message.lines().last().unwrap_or_default();
    assert!(last.trim_start().starts_with("[31m100 xxx"), "{last}");
    assert!(!message.contains('\u{1b}'));
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_is_never_healthy_is_stopped() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(12)), &[&app]);
    let message = stopped_in_the_canary(&app, &story, Behaviour::NeverHealthy).await;
    assert_eq!(story.stops("app-canary", StopCause::Health), 2);
    insta::assert_snapshot!(message, @r"
    The deployment to canary main/app-canary is not well: 2 tasks stopped for the same reason: Task failed container health checks.
    Done: canary main/app-canary runs app-canary:1 again.
    Look at: the service's events and stopped tasks in the ECS console (kept for an hour).
    ");
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_fills_its_memory_is_stopped() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(13)), &[&app]);
    let leak = Behaviour::OutOfMemory { after: Duration::from_secs(20) };
    let message = stopped_in_the_canary(&app, &story, leak).await;
    insta::assert_snapshot!(message, @r"
    The deployment to canary main/app-canary is not well: 2 tasks stopped for the same reason: container app ended with exit code 137 (OutOfMemoryError: Container killed due to memory usage).
    Done: canary main/app-canary runs app-canary:1 again.
    Look at: the service's events and stopped tasks in the ECS console (kept for an hour).
    ");
}

#[tokio::test(start_paused = true)]
async fn a_canary_whose_image_cannot_be_pulled_is_stopped() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(14)), &[&app]);
    let message = stopped_in_the_canary(&app, &story, Behaviour::CannotBePulled).await;
    assert_eq!(story.stops("app-canary", StopCause::FailedToStart), 2);
    insta::assert_snapshot!(message, @r"
    The deployment to canary main/app-canary is not well: 2 tasks stopped for the same reason: CannotPullContainerError: ref pull has been retried 5 time(s): failed to copy: httpReadSeeker: failed open: unexpected status code 404 Not Found: 123456789012.dkr.ecr.eu-central-1.amazonaws.com/app:v2.
    Done: canary main/app-canary runs app-canary:1 again.
    Look at: the service's events and stopped tasks in the ECS console (kept for an hour).
    ");
}

#[tokio::test(start_paused = true)]
async fn a_single_image_for_the_wrong_processor_is_stopped_by_what_it_logs() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(15)), &[&app]);
    let execution = story
        .release_image(&app, |world| ImageSpec {
            architectures: vec!["amd64".into()],
            attestations: false,
            ..ImageSpec::new("app", "v2", world.now)
        })
        .await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &execution, "Canary");
    assert!(message.contains("exec format error"), "{message}");
    story.runs_image(&app, "app-canary", "v1");
}

#[tokio::test(start_paused = true)]
async fn queue_workers_without_checks_are_stopped_when_half_of_them_crash() {
    let app = Application::queue_workers("worker", 4, 36);
    let story = Story::begin(Simulator::new(Settings::seeded(16)), &[&app]);
    let message = stopped_in_the_canary(&app, &story, crashing()).await;
    assert!(message.contains("exit code 3"), "{message}");
}
