//! How many calls a release costs, and how soon its end is told. Counts of calls and simulated time, never of a clock.
//! The bench `budgets` prints them beside the targets.

use std::time::Duration;

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use simulator::ecr::Behaviour;
use simulator::{Settings, Simulator};

use crate::stage::{
    Application, Cost, OPERATOR_KEY, RollbackCost, Story, rollback_over_a_socket, ten_applications, ten_quiet_minutes,
};

/// One observation.
const OBSERVATION: Duration = Duration::from_secs(2);
/// The longest way of one call there and back.
const CALL: Duration = Duration::from_millis(80);
/// Calls of one image's action besides polling, observation and hand-backs.
const CALLS_MOST: usize = 20;
/// How soon ECS is told everything after a rollback was confirmed.
const TOLD_MOST: Duration = Duration::from_secs(2);
/// Calls that a rollback makes for each service, besides observation and the ledger.
const ROLLBACK_CALLS_MOST: usize = 8;
/// How often real time is measured before it is believed that it is the program that is slow.
const ATTEMPTS: u64 = 3;
/// How long a job is away that was handed back: CodePipeline offers it again within three seconds (in the simulator),
/// and it is polled for every second, a quarter more or less.
const AWAY_MOST: Duration = Duration::from_millis(4_250);
/// Calls on its way back: the hand-back and the poll that just missed it, each under way when its turn came; the poll
/// that finds it; the intent in the ledger, which may wait for a renewal (a read and a write each); the acknowledgement.
const AWAY_CALLS: u32 = 8;

#[tokio::test(start_paused = true)]
async fn an_action_with_one_image_costs_at_most_twenty_calls() {
    for (seed, app) in (1..).zip([
        Application::web("app", 10),
        Application::web("app", 10).with_alarm("errors"),
        Application { immutable: false, ..Application::web("app", 10) },
        Application::queue_workers("app", 2, 18),
    ]) {
        let story = Story::begin(Simulator::new(Settings::seeded(seed)), &[&app]);
        for cost in story.cost_of_a_release(&app).await {
            assert!((8..=CALLS_MOST).contains(&cost.sum()), "{cost:#?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_is_told_within_one_observation_of_ecs() {
    let app = Application::web("app", 3).canary_with("BakeTime", "0s").full_with("BakeTime", "0s");
    let mut across = 0;
    for seed in 0..32 {
        let mut story = Story::begin(Simulator::new(Settings::seeded(seed)), &[&app]);
        if seed % 2 == 1 {
            // Hands back so often that the end often comes between two turns.
            story.stop_worker().await;
            story.start_lingering_worker(Duration::from_secs(4));
        }
        for Cost { action, delay, .. } in story.cost_of_a_release(&app).await {
            across += u32::from(delay.away.is_some());
            assert!(delay.told <= OBSERVATION + CALL * 14, "{action} with seed {seed}: {delay:?}");
            assert!(
                delay.away.is_none_or(|away| away <= AWAY_MOST + CALL * AWAY_CALLS),
                "{action} with seed {seed}: {delay:?}"
            );
        }
    }
    assert!(across >= 4, "only {across} ends came between two turns");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_by_ecs_is_told_within_one_observation_of_its_end() {
    let app = Application::web("app", 3);
    for seed in 0..6 {
        let story = Story::begin(Simulator::new(Settings::seeded(seed)), &[&app]);
        let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
        story.rolling("app-canary").await;
        story.somebody_stops("app-canary").await;
        assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
        let delay = story.delay("app", &execution, "Canary", "app-canary").await;
        assert!(delay.told <= OBSERVATION + CALL * 14, "{delay:?} with seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn looking_at_ten_quiet_services_for_a_minute_costs_at_most_sixty_calls() {
    let counts = ten_quiet_minutes().await;
    let a_minute = counts.values().sum::<usize>() / 10;
    assert!((25..=60).contains(&a_minute), "{a_minute} calls a minute: {counts:#?} in ten");
}

/// What a rollback of ten applications may cost: calls for a service, and seconds until ECS is told, and from its end to
/// the command's.
fn assert_affordable(cost: RollbackCost) {
    assert!(cost.told <= TOLD_MOST, "{cost:?}");
    assert!(cost.verified <= OBSERVATION, "{cost:?}");
    assert!((1..=ROLLBACK_CALLS_MOST).contains(&cost.calls), "{cost:?}");
}

#[tokio::test(start_paused = true)]
async fn ten_applications_are_told_to_roll_back_within_two_seconds_and_verified_within_two() {
    let apps = ten_applications();
    let story = Story::begin(Simulator::new(Settings::seeded(1609)), &apps.iter().collect::<Vec<_>>());
    assert_affordable(story.cost_of_a_rollback(&apps, &story.simulator.sdk_config(OPERATOR_KEY)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_socket_in_real_time_ten_applications_are_rolled_back_as_quickly() {
    let mut cost = rollback_over_a_socket(1).await;
    println!("{cost:?}");
    // A machine that is busy otherwise is no defect.
    for seed in 2..=ATTEMPTS {
        if cost.told <= TOLD_MOST && cost.verified <= OBSERVATION {
            break;
        }
        cost = rollback_over_a_socket(seed).await;
    }
    assert_affordable(cost);
}
