//! Services of every size turn over fully, in place and with surge, and get their former percents back.

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use simulator::ecr::Behaviour;
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story};

/// Sizes at the edges of the arithmetic: one task, fewer than ten, a batch of one below and above, a batch of ten.
const SIZES: [i32; 7] = [1, 2, 3, 9, 10, 19, 100];

async fn turns_over(app: &Application) {
    let seed = u64::try_from(app.full).unwrap();
    let story = Story::begin(Simulator::new(Settings::seeded(seed)), &[app]);
    let before = story.view(&app.name).percents;
    let execution = story.release(app, "v2", Behaviour::Good);
    story.approve_all(&app.name).await;
    let end = story.ended(&app.name, &execution).await;
    assert_eq!(end, PipelineExecutionStatus::Succeeded, "{} tasks\n{}", app.full, story.picture());
    let full = story.view(&app.name);
    assert_eq!(full.percents, before, "the former percents are back");
    assert_eq!(i32::try_from(full.desired).unwrap(), app.full);
    assert_eq!(full.new_and_old(), (usize::try_from(app.full).unwrap(), 0));
    assert_eq!(full.deployment_status, "SUCCESSFUL");
    let (release, running) = (story.digests(&app.canary_name()), story.digests(&app.name));
    assert_eq!(release.len(), 1);
    assert!(app.full == 0 && running.is_empty() || running == release, "both run the same release: {running:?}");
}

#[tokio::test(start_paused = true)]
async fn every_size_turns_over_in_place() {
    for size in SIZES {
        turns_over(&Application::web("app", size)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_size_turns_over_with_surge_by_option() {
    for size in SIZES {
        turns_over(&Application::web("app", size).full_with("Options", "surge=true")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_size_turns_over_with_surge_where_zones_are_rebalanced() {
    for size in SIZES {
        turns_over(&Application { rebalancing: true, ..Application::web("app", size) }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_third_at_a_time_is_a_third_at_a_time() {
    turns_over(&Application::web("app", 10).full_with("Batch", "30%")).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_without_tasks_turns_over_too() {
    turns_over(&Application::web("app", 0)).await;
}

#[tokio::test(start_paused = true)]
async fn six_hundred_tasks_are_counted_page_by_page() {
    turns_over(&Application::web("app", 600)).await;
}
