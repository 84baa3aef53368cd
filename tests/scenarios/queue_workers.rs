//! Queue workers: no load balancer, and a tenth of all workers is the canary for good.

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use simulator::ecr::Behaviour;
use simulator::{Settings, Simulator};

use crate::stage::{Application, CLUSTER, Story};

fn counts(story: &Story) -> (u32, u32) {
    (story.view("queue-canary").desired, story.view("queue").desired)
}

async fn release(story: &Story, app: &Application, tag: &str) {
    let execution = story.release(app, tag, Behaviour::Good);
    story.approve_all("queue").await;
    let end = story.ended("queue", &execution).await;
    assert_eq!(end, PipelineExecutionStatus::Succeeded, "{tag}\n{}", story.picture());
}

#[tokio::test(start_paused = true)]
async fn a_tenth_of_twenty_workers_stays_the_canary_release_after_release() {
    let app = Application::queue_workers("queue", 2, 18);
    let story = Story::begin(Simulator::new(Settings::seeded(1)), &[&app]);
    for tag in ["v2", "v3", "v4"] {
        release(&story, &app, tag).await;
        assert_eq!(counts(&story), (2, 18), "after {tag}");
    }
    // The counts were right from the beginning: no call sent one.
    let updates = story.requests("ecs", "UpdateService");
    assert_eq!(updates.len(), 3 * 3, "a release updates the canary, the full service, and gives its percents back");
    assert!(updates.iter().all(|update| update.get("desiredCount").is_none()), "{updates:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_split_is_put_right_by_the_canary_and_converges() {
    let app = Application::queue_workers("queue", 9, 18);
    let story = Story::begin(Simulator::new(Settings::seeded(2)), &[&app]);
    for (tag, canary) in [("v2", 3), ("v3", 2), ("v4", 2)] {
        release(&story, &app, tag).await;
        // A tenth of the 27 workers found, then of 21, then of 20. The full service's count is nobody's but autoscaling's.
        assert_eq!(counts(&story), (canary, 18), "after {tag}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_canary_follows_what_autoscaling_made_of_the_full_service() {
    let app = Application::queue_workers("queue", 2, 18);
    let story = Story::begin(Simulator::new(Settings::seeded(3)), &[&app]);
    story.world(|world| world.set_desired_count(CLUSTER, "queue", 58)).unwrap();
    release(&story, &app, "v2").await;
    assert_eq!(counts(&story), (6, 58));
    story.world(|world| world.set_desired_count(CLUSTER, "queue", 1)).unwrap();
    release(&story, &app, "v3").await;
    assert_eq!(counts(&story), (1, 1), "never fewer than one");
}
