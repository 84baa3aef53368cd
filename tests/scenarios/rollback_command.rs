//! What the command `rollback` may be told, and that its end tells the whole truth.

use coalmine_worker::cli::{EXIT_NOT_BACK, EXIT_NOT_POSSIBLE, EXIT_OK};
use coalmine_worker::commands::rollback::Order;
use serde_json::{Value, json};
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story, order};

/// Applications at their third release, and a story without a worker.
async fn at_v3(seed: u64, apps: &[Application]) -> Story {
    let all: Vec<&Application> = apps.iter().collect();
    let mut story = Story::begin(Simulator::new(Settings::seeded(seed)), &all);
    story.stop_worker().await;
    let deployed: Vec<Application> = apps.iter().filter(|app| app.deployed).cloned().collect();
    story.at_the_third_release(&deployed).await;
    deployed.iter().for_each(|app| story.expect_rollback(app));
    story
}

#[tokio::test(start_paused = true)]
async fn what_a_partial_rollback_leaves_out_is_told_at_its_end_and_by_its_exit_code() {
    let apps = [Application::web("app", 2), Application::web("fresh", 2).never_deployed()];
    let story = at_v3(1801, &apps).await;
    let partial = Order { partial: true, json: true, ..order(&["app", "fresh"]) };
    let dry = story.roll_back(Order { dry_run: true, ..partial.clone() }).await;
    assert_eq!(dry.code, EXIT_NOT_POSSIBLE, "{dry:?}");
    let problems = json!([{"service": "main/fresh", "problem": "no release ever succeeded on it"}]);
    let document: Value = serde_json::from_str(&dry.out).unwrap();
    assert_eq!((&document["problems"], &document["services"][1]["service"]), (&problems, &json!("app")));

    let rolled = story.roll_back(partial.clone()).await;
    assert_eq!(rolled.code, EXIT_NOT_BACK, "{rolled:?}");
    let document: Value = serde_json::from_str(&rolled.out).unwrap();
    assert_eq!((&document["problems"], &document["services"][1]["state"]), (&problems, &json!("back")));
    assert!(rolled.words.contains("Left out, for the reasons above: main/fresh."), "{}", rolled.words);
    assert!(!rolled.words.contains("Run the same command again"), "all others are back: {}", rolled.words);
    for service in ["app", "app-canary"] {
        story.runs_image(&apps[0], service, "v2");
    }
    let all = story.roll_back(Order { json: true, ..order(&["app"]) }).await;
    assert_eq!(all.code, EXIT_OK, "{all:?}");
    let document: Value = serde_json::from_str(&all.out).unwrap();
    assert_eq!(document["problems"], json!([]));
}
