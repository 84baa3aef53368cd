//! What is not a verdict: noise, slowness, a busy service. And where patience ends.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use simulator::ecr::Behaviour;
use simulator::ecs::StopCause;
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story};

#[tokio::test(start_paused = true)]
async fn spot_interruptions_and_pull_throttles_are_no_verdict() {
    let app = Application::web("app", 10);
    let story = Story::begin(Simulator::new(Settings::seeded(61)), &[&app]);
    let throttled =
        "CannotPullContainerError: pull image manifest has been retried 5 time(s): toomanyrequests: Rate exceeded";
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.world(|world| world.fail_next_pulls(4, throttled));
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    story.rolling("app").await;
    for _ in 0..6 {
        story.world(|world| {
            world.fail_next_pulls(1, throttled);
            world.interrupt_spot("main", "app", 2)
        });
        story.pass(Duration::from_secs(40)).await;
    }
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    assert!(story.stops("app", StopCause::Spot) >= 6, "{}", story.stops("app", StopCause::Spot));
    assert!(story.stops("app", StopCause::FailedToStart) + story.stops("app-canary", StopCause::FailedToStart) >= 6);
    story.runs_image(&app, "app", "v2");
    assert_eq!(story.percents("app"), (100, 200));
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_slow_but_good_gets_its_time() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(62)), &[&app]);
    let execution = story.release(&app, "v2", Behaviour::SlowStart(Duration::from_secs(150)));
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app", "v2");
    story.each_job_has_one_result();
    // Between a hand-back and the next turn nobody looks at the deployment: that has to be short.
    let unwatched = story.world(|world| {
        let next_turns = world.codepipeline.jobs().iter().filter(|job| job.continuation_token.is_some());
        next_turns.filter_map(|job| job.acknowledged.as_ref()?.at.duration_since(job.created).ok()).max()
    });
    assert!(unwatched.expect("many turns") <= Duration::from_secs(5), "{unwatched:?}");
}

#[tokio::test(start_paused = true)]
async fn a_single_crash_among_good_tasks_is_no_verdict() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(63)), &[&app]);
    let crash = Behaviour::CrashesAfter { after: Duration::from_secs(20), exit_code: 1, lines: Vec::new() };
    let execution = story.release_to_canary(&app, "v2", crash).await;
    // The first task carries the crash with it; the next one starts with a database that is up.
    story.rolling("app-canary").await;
    story.until("a running task", |world| !world.ecs.running_tasks("main", "app-canary").is_empty()).await;
    story.pass(Duration::from_secs(30)).await;
    story.world(|world| world.ecr.behave("app", "v2", Behaviour::Good)).unwrap();
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    assert_eq!(story.stops("app-canary", StopCause::Crash), 1);
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_does_not_come_up_times_out_at_its_deadline_and_is_restored() {
    let app = Application::web("app", 4).canary_with("Options", "deadline=10m");
    let story = Story::begin(Simulator::new(Settings::seeded(64)), &[&app]);
    let full = story.portrait("app").await;
    let begin = story.now();
    let execution = story.release_to_canary(&app, "v2", Behaviour::SlowStart(Duration::from_secs(7_200))).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &execution, "Canary");
    assert!(
        message.starts_with("The deployment to canary main/app-canary timed out: not done within 10m"),
        "{message}"
    );
    assert!(message.contains("Done: canary main/app-canary runs app-canary:1 again."), "{message}");
    let took = story.now().duration_since(begin).unwrap();
    assert!(took < Duration::from_secs(13 * 60), "{took:?}");
    story.runs_image(&app, "app-canary", "v1");
    assert_eq!(story.portrait("app").await, full);
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn a_turnover_that_does_not_end_times_out_and_both_services_go_back() {
    let app = Application::web("app", 10).full_with("Options", "deadline=10m");
    let story = Story::begin(Simulator::new(Settings::seeded(65)), &[&app]);
    let execution = story.release_to_full(&app, "v2", Behaviour::SlowStart(Duration::from_secs(150))).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &execution, "Full");
    assert!(message.starts_with("The deployment to full service main/app timed out: not done within 10m"), "{message}");
    story.runs_image(&app, "app", "v1");
    story.runs_image(&app, "app-canary", "v1");
    assert_eq!(story.percents("app"), (100, 200));
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn a_release_that_finds_the_service_busy_waits_for_the_end_and_goes_on() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(66)), &[&app]);
    let other = story.somebody_deploys(&app, "app-canary", Behaviour::SlowStart(Duration::from_secs(420))).await;
    let begin = story.now();
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.pass(Duration::from_secs(200)).await;
    assert_eq!(story.changes(begin), [], "it was to wait");
    let summary = story.action("app", &execution, "Canary").summary.unwrap_or_default();
    let deployment = story.newest_deployment("app-canary").await;
    let expected = format!("deployment {deployment} by somebody else is in progress ({other} to main/app-canary)");
    assert_eq!(summary, format!("{expected}: waiting for its end"));
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app", "v2");
    story.runs_image(&app, "app-canary", "v2");
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn a_service_that_stays_busy_fails_the_release_and_names_the_other() {
    let app = Application::web("app", 4).canary_with("Options", "wait=5m");
    let story = Story::begin(Simulator::new(Settings::seeded(67)), &[&app]);
    let other = story.somebody_deploys(&app, "app-canary", Behaviour::SlowStart(Duration::from_secs(3_600))).await;
    let begin = story.now();
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let deployment = story.newest_deployment("app-canary").await;
    insta::assert_snapshot!(story.failure("app", &execution, "Canary").replace(&deployment, "ID"), @r"
    Nothing was deployed to canary main/app-canary:
    - deployment ID by somebody else is in progress (app-canary:2 to main/app-canary), still after 5m: retry the stage when it has ended
    ");
    let waited = story.now().duration_since(begin).unwrap();
    assert!((300..400).contains(&waited.as_secs()), "{waited:?}");
    assert_eq!(story.changes(begin), []);
    assert_eq!(story.runs("app-canary"), other);
}

#[tokio::test(start_paused = true)]
async fn a_turnover_waits_for_a_busy_full_service_too() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(68)), &[&app]);
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.somebody_deploys(&app, "app", Behaviour::SlowStart(Duration::from_secs(400))).await;
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app", "v2");
    story.each_job_has_one_result();
}
