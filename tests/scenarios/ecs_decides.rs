//! ECS itself ends a deployment: by its circuit breaker or its alarms, with a rollback or without.

use std::time::Duration;

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use serde_json::json;
use simulator::cloudwatch::{AlarmSpec, AlarmState, add_alarm};
use simulator::ecr::Behaviour;
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story, without_ids};

/// Crashes as soon as it starts.
fn crashing() -> Behaviour {
    Behaviour::CrashesAfter { after: Duration::from_secs(1), exit_code: 3, lines: vec!["no configuration".into()] }
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_the_breaker_rolls_back_fails_with_the_breakers_word() {
    // The breaker of a single task triggers at three; two stops of ours would come first. A person set it to one.
    let mut app = Application::web("app", 4).with_breaker();
    app.deployment["deploymentCircuitBreaker"]["thresholdConfiguration"] =
        serde_json::json!({"type": "COUNT", "value": 1});
    let story = Story::begin(Simulator::new(Settings::seeded(44)), &[&app]);
    let full = story.portrait("app").await;
    let execution = story.release_to_canary(&app, "v2", crashing()).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    insta::assert_snapshot!(without_ids(&story.failure("app", &execution, "Canary")), @r"
    The deployment to canary main/app-canary was rolled back: ECS rolled it back because of its deployment circuit breaker (Service deployment rolled back because the circuit breaker threshold was exceeded); 1 of its tasks stopped: container app ended with exit code 3.
    Done: canary main/app-canary runs app-canary:1 again.
    Look at: the log lines below and the stopped tasks in the ECS console.
    Last log lines of task TASK (/ecs/app/app/app/TASK):
      no configuration
    ");
    story.runs_image(&app, "app-canary", "v1");
    assert_eq!(story.portrait("app").await, full);
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn a_turnover_that_the_breaker_rolls_back_fails_with_its_word_and_restores_the_canary() {
    let mut app = Application::web("app", 10).with_breaker();
    app.deployment["deploymentCircuitBreaker"]["thresholdConfiguration"] =
        serde_json::json!({"type": "COUNT", "value": 1});
    let story = Story::begin(Simulator::new(Settings::seeded(45)), &[&app]);
    let execution = story.release_to_full(&app, "v2", crashing()).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    insta::assert_snapshot!(without_ids(&story.failure("app", &execution, "Full")), @r"
    The deployment to full service main/app was rolled back: ECS rolled it back because of its deployment circuit breaker (Service deployment rolled back because the circuit breaker threshold was exceeded); 1 of its tasks stopped: container app ended with exit code 3.
    Done: main/app runs app:1 again; canary main/app-canary runs app-canary:3 again.
    Look at: the log lines below and the stopped tasks in the ECS console.
    Last log lines of task TASK (/ecs/app/app/app/TASK):
      no configuration
    ");
    assert_eq!(story.calls("StopServiceDeployment"), [], "ECS was rolling back already");
    story.runs_image(&app, "app", "v1");
    story.runs_image(&app, "app-canary", "v1");
    assert_eq!(story.percents("app"), (100, 200));
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn the_default_breaker_and_the_worker_agree_on_a_crash_loop() {
    let app = Application::web("app", 10).with_breaker();
    let story = Story::begin(Simulator::new(Settings::seeded(46)), &[&app]);
    let execution = story.release_to_canary(&app, "v2", crashing()).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &execution, "Canary");
    assert!(message.contains("exit code 3"), "{message}");
    story.runs_image(&app, "app-canary", "v1");
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_only_stops_leaves_the_way_back_to_the_worker() {
    let mut app = Application::web("app", 4);
    app.deployment["deploymentCircuitBreaker"] =
        json!({"enable": true, "rollback": false, "thresholdConfiguration": {"type": "COUNT", "value": 1}});
    let story = Story::begin(Simulator::new(Settings::seeded(51)), &[&app]);
    let execution = story.release_to_full(&app, "v2", crashing()).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    insta::assert_snapshot!(without_ids(&story.failure("app", &execution, "Full")), @r"
    The deployment to full service main/app is not well: ECS stopped it because of its deployment circuit breaker (ECS deployment circuit breaker: tasks failed to start); 1 of its tasks stopped: container app ended with exit code 3.
    Done: main/app runs app:1 again; canary main/app-canary runs app-canary:3 again.
    Look at: the log lines below and the stopped tasks in the ECS console.
    Last log lines of task TASK (/ecs/app/app/app/TASK):
      no configuration
    ");
    story.runs_image(&app, "app", "v1");
    story.runs_image(&app, "app-canary", "v1");
    assert_eq!(story.percents("app"), (100, 200));
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn an_alarm_of_ecss_own_rolls_the_turnover_back_and_is_named() {
    let mut app = Application::web("app", 10);
    app.deployment["alarms"] = json!({"alarmNames": ["shop-latency"], "enable": true, "rollback": true});
    let simulator = Simulator::new(Settings::seeded(52));
    simulator.with_world(|world| add_alarm(world, AlarmSpec::new("shop-latency")));
    let story = Story::begin(simulator, &[&app]);
    let execution = story.release_to_full(&app, "v2", Behaviour::Good).await;
    story.rolling("app").await;
    story.set_alarm("shop-latency", AlarmState::Alarm);
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    insta::assert_snapshot!(story.failure("app", &execution, "Full"), @r"
    The deployment to full service main/app was rolled back: ECS rolled it back because of alarm shop-latency (Service deployment rolled back because of an alarm in ALARM state).
    Done: main/app runs app:1 again; canary main/app-canary runs app-canary:3 again.
    Look at: the service's events and stopped tasks in the ECS console (kept for an hour).
    ");
    story.runs_image(&app, "app", "v1");
    story.runs_image(&app, "app-canary", "v1");
    assert_eq!(story.percents("app"), (100, 200));
    story.each_job_has_one_result();
}
