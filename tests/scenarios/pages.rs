//! Lists come in pages, and AWS may make any page short: what stands on the next one counts as much.

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use simulator::cloudwatch::{AlarmSpec, AlarmState, add_alarm};
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Rule};
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story, WORKER_KEY};

/// An account whose lists come one item at a time.
fn short_pages(seed: u64) -> Simulator {
    let simulator = Simulator::new(Settings::seeded(seed));
    simulator.inject(FaultPlan::seeded(seed).rule(Rule::new(Fault::ShortPage(1)).caller(WORKER_KEY)));
    simulator
}

#[tokio::test(start_paused = true)]
async fn a_red_alarm_on_the_second_page_stops_the_canary() {
    let app = Application::web("app", 4).canary_with("Alarms", "calm,shop-5xx");
    let simulator = short_pages(151);
    simulator.with_world(|world| ["calm", "shop-5xx"].map(|name| add_alarm(world, AlarmSpec::new(name))));
    let story = Story::begin(simulator, &[&app]);
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.rolling("app-canary").await;
    story.set_alarm("shop-5xx", AlarmState::Alarm);
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &execution, "Canary");
    assert!(message.contains("alarm shop-5xx is in ALARM"), "{message}");
    story.runs_image(&app, "app-canary", "v1");
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_execution_is_seen_behind_a_short_page() {
    let app = Application::web("app", 4);
    let story = Story::begin(short_pages(152), &[&app]);
    let execution = story.release_to_canary(&app, "v2", Behaviour::NeverHealthy).await;
    story.rolling("app-canary").await;
    story.world(|world| world.stop_execution("app", &execution, true)).expect("a stop");
    let since = story.now();
    story.pass(std::time::Duration::from_secs(600)).await;
    assert_eq!(story.changes(since), [], "nobody wants it any more");
}

#[tokio::test(start_paused = true)]
async fn a_release_goes_all_the_way_on_short_pages() {
    let app = Application::web("app", 4);
    let story = Story::begin(short_pages(153), &[&app]);
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app", "v2");
}
