//! Somebody retries the stage while a worker still holds the first try: same execution, new jobs, one release.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus, StageRetryMode};
use simulator::cloudwatch::{AlarmSpec, AlarmState, add_alarm};
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Freeze, Rule};
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story, WORKER_KEY};

/// Claims that both services ended as after a single clean run of one release.
async fn as_after_one_clean_run(story: &Story, app: &Application, execution: &str) {
    for service in ["app", "app-canary"] {
        story.runs_image(app, service, "v2");
        assert_eq!((story.runs(service), story.percents(service)), (format!("{service}:2"), (100, 200)));
        assert_eq!(story.deployments(service).await, 2, "{service}: v1 and v2");
    }
    story.each_job_has_one_result_or_was_abandoned();
    assert_eq!(story.final_results(execution, "Full"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_retried_canary_takes_the_deployment_of_its_first_try_over() {
    for (seed, phase) in [(901, "\"deploy\""), (902, "{\"bake\"")] {
        let app = Application::web("app", 4);
        let story = Story::begin(Simulator::new(Settings::seeded(seed)), &[&app]);
        let slow = Behaviour::SlowStart(Duration::from_secs(60));
        let execution = story.release_to_canary(&app, "v2", slow).await;
        story.in_phase("Canary", phase).await;
        story.abandon("app", &execution);
        story.retry("app", &execution, StageRetryMode::AllActions);
        story.answer("app", "Release", ApprovalStatus::Approved).await;
        assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded, "{phase}");
        assert_eq!(story.final_results(&execution, "Canary"), 1, "{phase}");
        as_after_one_clean_run(&story, &app, &execution).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_retried_turnover_takes_the_deployment_of_its_first_try_over() {
    for (seed, phase) in [(903, "\"deploy\""), (904, "{\"bake\"")] {
        let app = Application::web("app", 4).full_with("BakeTime", "2m");
        let story = Story::begin(Simulator::new(Settings::seeded(seed)), &[&app]);
        let execution = story.release_to_full(&app, "v2", Behaviour::SlowStart(Duration::from_secs(30))).await;
        story.in_phase("Full", phase).await;
        story.abandon("app", &execution);
        story.retry("app", &execution, StageRetryMode::FailedActions);
        assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded, "{phase}");
        as_after_one_clean_run(&story, &app, &execution).await;
    }
}

/// The worker of the first try is frozen inside of the call that starts the deployment, and sends it when the retry is
/// long under way, or over.
#[tokio::test(start_paused = true)]
async fn a_retry_is_not_disturbed_by_the_frozen_worker_of_the_first_try() {
    for (seed, service) in [(911, "app-canary"), (912, "app")] {
        for length in [45, 110, 600] {
            let app = Application::web("app", 2).canary_with("BakeTime", "20s").full_with("BakeTime", "20s");
            let story = Story::begin(Simulator::new(Settings::seeded(seed)), &[&app]);
            story.expect_deaths();
            let _peer = story.peer_from_the_freeze_on();
            let freeze = Fault::Freeze(Freeze::WhileSending, Duration::from_secs(length));
            let freezes = Rule::new(freeze).caller(WORKER_KEY).operation("UpdateService").subject(service).nth(1);
            story.simulator.inject(FaultPlan::seeded(seed).rule(freezes));
            let execution = story.release(&app, "v2", Behaviour::Good);
            story.answer("app", "Approve", ApprovalStatus::Approved).await;
            if service == "app" {
                story.answer("app", "Release", ApprovalStatus::Approved).await;
            }
            let words = format!("{service}, frozen for {length} s");
            story.frozen().await;
            story.abandon("app", &execution);
            story.retry("app", &execution, StageRetryMode::FailedActions);
            if service == "app-canary" {
                story.answer("app", "Release", ApprovalStatus::Approved).await;
            }
            assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded, "{words}");
            // Whatever the frozen worker still sends comes now, if it has not come yet.
            story.expect_late_calls("app");
            story.pass(Duration::from_secs(900)).await;
            for service in ["app", "app-canary"] {
                story.runs_image(&app, service, "v2");
                assert_eq!(story.percents(service), (100, 200), "{words}: {service}");
                assert_eq!(story.deployments(service).await, 2, "{words}: {service}");
            }
            assert_eq!(story.final_results(&execution, "Full"), 1, "{words}");
        }
    }
}

/// What the first try brought is no state to go back to.
#[tokio::test(start_paused = true)]
async fn a_retried_turnover_that_turns_ill_goes_back_to_what_ran_before_the_first_try() {
    let app = Application::web("app", 4).full_with("BakeTime", "20m").full_with("Alarms", "shop-5xx");
    let simulator = Simulator::new(Settings::seeded(921));
    simulator.with_world(|world| add_alarm(world, AlarmSpec::new("shop-5xx")));
    let story = Story::begin(simulator, &[&app]);
    let execution = story.release_to_full(&app, "v2", Behaviour::Good).await;
    story.in_phase("Full", "{\"bake\"").await;
    story.abandon("app", &execution);
    story.retry("app", &execution, StageRetryMode::FailedActions);
    story.pass(Duration::from_secs(120)).await;
    story.in_phase("Full", "{\"bake\"").await;
    story.set_alarm("shop-5xx", AlarmState::Alarm);
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &execution, "Full");
    assert!(message.contains("Done: main/app runs app:1 again; canary main/app-canary runs"), "{message}");
    story.runs_image(&app, "app", "v1");
    story.runs_image(&app, "app-canary", "v1");
    assert_eq!(story.percents("app"), (100, 200));
    story.each_job_has_one_result_or_was_abandoned();
}

#[tokio::test(start_paused = true)]
async fn a_retried_canary_that_turns_ill_goes_back_to_what_ran_before_the_first_try() {
    let app = Application::web("app", 4).canary_with("BakeTime", "20m").canary_with("Alarms", "shop-5xx");
    let simulator = Simulator::new(Settings::seeded(922));
    simulator.with_world(|world| add_alarm(world, AlarmSpec::new("shop-5xx")));
    let story = Story::begin(simulator, &[&app]);
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.in_phase("Canary", "{\"bake\"").await;
    story.abandon("app", &execution);
    story.retry("app", &execution, StageRetryMode::FailedActions);
    story.pass(Duration::from_secs(120)).await;
    story.in_phase("Canary", "{\"bake\"").await;
    story.set_alarm("shop-5xx", AlarmState::Alarm);
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &execution, "Canary");
    assert!(message.contains("Done: canary main/app-canary runs app-canary:1 again"), "{message}");
    story.runs_image(&app, "app-canary", "v1");
    story.each_job_has_one_result_or_was_abandoned();
}

/// The canary was returned with a copy that this very execution registered: nobody approved what that runs.
#[tokio::test(start_paused = true)]
async fn a_turnover_that_is_retried_after_its_canary_went_back_is_refused_and_deploys_nothing_old_as_new() {
    let mut app = Application::web("app", 4).full_with("BakeTime", "20m").full_with("Alarms", "shop-5xx");
    // Then the copy names its images by digest, as a canary's release would.
    app.immutable = false;
    let simulator = Simulator::new(Settings::seeded(931));
    simulator.with_world(|world| add_alarm(world, AlarmSpec::new("shop-5xx")));
    let story = Story::begin(simulator, &[&app]);
    let execution = story.release_to_full(&app, "v2", Behaviour::Good).await;
    story.in_phase("Full", "{\"bake\"").await;
    story.set_alarm("shop-5xx", AlarmState::Alarm);
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    story.set_alarm("shop-5xx", AlarmState::Ok);
    story.pass(Duration::from_secs(60)).await;
    let begin = story.now();
    story.retry("app", &execution, StageRetryMode::FailedActions);
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &execution, "Full");
    assert!(message.contains("not the release of this execution"), "{message}");
    assert_eq!(story.changes(begin), []);
    for service in ["app", "app-canary"] {
        story.runs_image(&app, service, "v1");
    }
    // From its first action on it goes through.
    story.retry("app", &execution, StageRetryMode::AllActions);
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    for service in ["app", "app-canary"] {
        story.runs_image(&app, service, "v2");
    }
    story.each_job_has_one_result();
}
