//! Autoscaling goes on during a turnover: the percents follow the desired count, and the batch stays a batch.

use std::time::Duration;

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use simulator::ecr::Behaviour;
use simulator::{Settings, Simulator, World};

use crate::stage::{Application, CLUSTER, Story};

fn scale(story: &Story, tasks: i32) {
    story.world(|world| world.set_desired_count(CLUSTER, "app", tasks)).unwrap();
}

fn percents(world: &World) -> (i32, i32) {
    world.ecs.outline(CLUSTER, "app").unwrap().percents
}

async fn turnover_of(app: &Application, seed: u64) -> (Story, String) {
    let story = Story::begin(Simulator::new(Settings::seeded(seed)), &[app]);
    let execution = story.release(app, "v2", Behaviour::Good);
    story.approve_all("app").await;
    let mixed = |world: &World| matches!(world.ecs.view(CLUSTER, "app").unwrap().new_and_old(), (1.., 1..));
    story.until("a first new task beside old ones", mixed).await;
    (story, execution)
}

async fn ends_well_with(story: &Story, execution: &str, tasks: usize) {
    let end = story.ended("app", execution).await;
    assert_eq!(end, PipelineExecutionStatus::Succeeded, "{}", story.picture());
    // Autoscaling may have spoken last a moment before the end: ECS then still starts or stops what it asked for.
    let settled = |world: &World| world.ecs.view(CLUSTER, "app").unwrap().new_and_old() == (tasks, 0);
    story.until("the tasks that autoscaling asked for last", settled).await;
    let full = story.view("app");
    assert_eq!(full.percents, (100, 200), "the former percents are back");
    assert_eq!(story.digests("app"), story.digests("app-canary"));
}

#[tokio::test(start_paused = true)]
async fn the_percents_follow_a_service_that_grows() {
    let (story, execution) = turnover_of(&Application::web("app", 10), 1).await;
    assert_eq!(story.world(|world| percents(world)), (90, 100), "1 of 10 at a time");
    scale(&story, 45);
    story.until("percents for 4 of 45", |world| percents(world) == (91, 100)).await;
    ends_well_with(&story, &execution, 45).await;
}

#[tokio::test(start_paused = true)]
async fn the_percents_follow_a_service_that_shrinks() {
    let (story, execution) = turnover_of(&Application::web("app", 20), 2).await;
    scale(&story, 3);
    // 90 of 3 tasks would be 3: without other percents the turnover would never go on.
    story.until("percents for 1 of 3", |world| percents(world) == (66, 100)).await;
    ends_well_with(&story, &execution, 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_shrinks_to_one_task_surges() {
    let (story, execution) = turnover_of(&Application::web("app", 4), 3).await;
    scale(&story, 1);
    story.until("percents for 1 task", |world| percents(world) == (100, 200)).await;
    ends_well_with(&story, &execution, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_surge_follows_the_desired_count_both_ways() {
    let app = Application::web("app", 10).full_with("Options", "surge=true");
    let (story, execution) = turnover_of(&app, 4).await;
    assert_eq!(story.world(|world| percents(world)), (100, 110));
    scale(&story, 25);
    story.until("percents for 2 of 25", |world| percents(world) == (100, 108)).await;
    scale(&story, 4);
    story.until("percents for 1 of 4", |world| percents(world) == (100, 125)).await;
    ends_well_with(&story, &execution, 4).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_scaled_to_nothing_and_back_turns_over() {
    let (story, execution) = turnover_of(&Application::web("app", 6), 5).await;
    scale(&story, 0);
    story.pass(Duration::from_secs(90)).await;
    scale(&story, 6);
    ends_well_with(&story, &execution, 6).await;
}

#[tokio::test(start_paused = true)]
async fn the_percents_follow_a_service_that_shrinks_on_its_way_back() {
    let app = Application::web("app", 20);
    let story = Story::begin(Simulator::new(Settings::seeded(6)), &[&app]);
    let crash = Behaviour::CrashesAfter { after: Duration::from_secs(90), exit_code: 1, lines: Vec::new() };
    let execution = story.release_to_full(&app, "v2", crash).await;
    let going_back =
        |world: &World| world.ecs.outline(CLUSTER, "app").unwrap().deployment_status == "ROLLBACK_IN_PROGRESS";
    story.until("the way back", going_back).await;
    scale(&story, 3);
    let told = story.now();
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let took = story.now().duration_since(told).unwrap();
    assert!(took < Duration::from_secs(600), "90 of 3 tasks would be 3, and nothing would move: took {took:?}");
    assert_eq!(story.percents("app"), (100, 200), "the former percents are back");
    story.runs_image(&app, "app", "v1");
}

/// The watchers look at every state change; the counts change every few seconds, whatever the turnover does.
#[tokio::test(start_paused = true)]
async fn restless_autoscaling_never_makes_more_than_a_batch_missing() {
    for seed in [0, 1, 2] {
        let app = Application { rebalancing: seed % 3 == 2, ..Application::web("app", 12) };
        let (story, execution) = turnover_of(&app, seed).await;
        let mut tasks = 12;
        for _ in 0..40 {
            tasks = story.world(|world| world.rng.i32(1..=40));
            scale(&story, tasks);
            let pause = story.world(|world| world.rng.u64(1..20));
            story.pass(Duration::from_secs(pause)).await;
        }
        ends_well_with(&story, &execution, usize::try_from(tasks).unwrap()).await;
    }
}
