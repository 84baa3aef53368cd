//! Rollouts that go well, are superseded or cannot move.

use std::cell::Cell;
use std::sync::{Arc, Mutex};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_service_added_by_a_story_is_steady_from_the_start() {
    let stage = Stage::new(1, worker("good"), 3, json!({}));
    let service = stage.service().await;
    assert_eq!((service.desired_count, service.running_count, service.pending_count), (3, 3, 0));
    let [deployment] = service.deployments() else { panic!("{:?}", service.deployments()) };
    assert_eq!(deployment.status(), Some("PRIMARY"));
    assert_eq!(deployment.rollout_state().unwrap().as_str(), "COMPLETED");
    let current = stage.deployment(service.current_service_deployment().unwrap()).await;
    assert_eq!(current.status().unwrap().as_str(), "SUCCESSFUL");
    assert_eq!(current.target_service_revision().unwrap().running_task_count, 3);
    assert_eq!(stage.events().await.last().unwrap(), "(service app) has reached a steady state.");
}

async fn rolls_within_bounds(desired: i32, minimum: i32, maximum: i32) -> (usize, u32) {
    let stage = Stage::new(7, worker("good"), desired, percents(minimum, maximum));
    stage.watch_bounds();
    let worst = Arc::new(Mutex::new(Cell::new((0, 0))));
    let seen = worst.clone();
    stage.simulator.with_world(|world| {
        world.watch(move |world| {
            let view = world.ecs.view("main", "app").unwrap();
            let seen = seen.lock().unwrap();
            let (most, missing) = seen.get();
            seen.set((most.max(view.occupying()), missing.max(view.shortfall.turnover)));
        });
    });
    let arn = stage.deploy(&worker("next")).await;
    stage.until(&arn, "SUCCESSFUL").await;
    let service = stage.service().await;
    assert_eq!(service.deployments().len(), 1);
    assert_eq!(service.running_count, desired);
    let view = stage.view();
    assert_eq!(view.new_and_old(), (usize::try_from(desired).unwrap(), 0));
    let live: Vec<_> = view.tasks.iter().filter(|task| task.stopped.is_none()).collect();
    assert!(live.iter().all(|task| task.digests == [("app".to_owned(), Some(digest('b')))]));
    worst.lock().unwrap().get()
}

#[tokio::test(start_paused = true)]
async fn ten_tasks_at_90_to_100_miss_one_at_a_time() {
    assert_eq!(rolls_within_bounds(10, 90, 100).await, (10, 1));
}

#[tokio::test(start_paused = true)]
async fn ten_tasks_at_100_to_110_have_one_more_at_a_time() {
    assert_eq!(rolls_within_bounds(10, 100, 110).await, (11, 0));
}

#[tokio::test(start_paused = true)]
async fn twenty_tasks_at_90_to_110_move_by_two_both_ways() {
    let (most, missing) = rolls_within_bounds(20, 90, 110).await;
    assert!(most <= 22 && missing <= 2, "{most} {missing}");
}

#[tokio::test(start_paused = true)]
async fn one_task_at_100_to_200_is_replaced_without_a_gap() {
    assert_eq!(rolls_within_bounds(1, 100, 200).await, (2, 0));
}

#[tokio::test(start_paused = true)]
async fn five_tasks_at_100_to_110_never_move_and_say_so_once() {
    let stage = Stage::new(1, worker("good"), 5, percents(100, 110));
    let arn = stage.deploy(&worker("next")).await;
    stage.wait(3600).await;
    assert_eq!(stage.deployment(&arn).await.status().unwrap().as_str(), "IN_PROGRESS");
    assert_eq!(stage.view().new_and_old(), (0, 5));
    let stuck = stage.events().await.iter().filter(|event| event.contains("was unable to stop or start tasks")).count();
    assert_eq!(stuck, 1);
    // Percents that leave room set it going.
    stage.simulator.with_world(|world| world.set_percents("main", "app", 100, 120)).unwrap();
    stage.until(&arn, "SUCCESSFUL").await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_deployment_supersedes_the_one_that_runs() {
    let stage = Stage::new(3, worker("good"), 4, json!({}));
    stage.image("third", 'c', Behaviour::Good);
    let first = stage.deploy(&worker("next")).await;
    stage.wait(30).await;
    let second = stage.deploy(&worker("third")).await;
    assert_eq!(stage.deployment(&first).await.status().unwrap().as_str(), "STOP_REQUESTED");
    assert_eq!(stage.deployment(&second).await.status().unwrap().as_str(), "PENDING");
    stage.until(&second, "SUCCESSFUL").await;
    let first = stage.deployment(&first).await;
    assert_eq!(first.status().unwrap().as_str(), "STOPPED");
    assert!(first.stopped_at().is_some());
    let listed = stage.client.list_service_deployments().cluster("main").service("app").send().await.unwrap();
    let statuses: Vec<_> = listed.service_deployments().iter().map(|one| one.status().unwrap().as_str()).collect();
    assert_eq!(statuses, ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"]);
}

#[tokio::test(start_paused = true)]
async fn the_digest_of_the_first_task_stays_when_the_tag_moves() {
    let stage = Stage::new(5, worker("good"), 10, percents(90, 100));
    let arn = stage.deploy(&worker("next")).await;
    stage.wait(60).await;
    let revision = stage.deployment(&arn).await.target_service_revision.unwrap().arn.unwrap();
    let described = stage.client.describe_service_revisions().service_revision_arns(revision).send().await.unwrap();
    let images = described.service_revisions()[0].container_images();
    assert_eq!(images[0].image_digest(), Some(digest('b').as_str()));
    stage.image("next", 'c', Behaviour::Good);
    stage.until(&arn, "SUCCESSFUL").await;
    stage.simulator.with_world(|world| world.set_desired_count("main", "app", 14)).unwrap();
    stage.wait(120).await;
    let view = stage.view();
    let live: Vec<_> = view.tasks.iter().filter(|task| task.stopped.is_none()).collect();
    assert_eq!(live.len(), 14);
    assert!(live.iter().all(|task| task.digests[0].1 == Some(digest('b'))));
    // A forced deployment resolves the tag anew.
    let forced = stage.client.update_service().cluster("main").service("app").force_new_deployment(true);
    let arn = forced.send().await.unwrap().service.unwrap().current_service_deployment.unwrap();
    stage.until(&arn, "SUCCESSFUL").await;
    assert!(
        stage
            .view()
            .tasks
            .iter()
            .filter(|task| task.stopped.is_none())
            .all(|task| task.digests[0].1 == Some(digest('c')))
    );
}

#[tokio::test(start_paused = true)]
async fn only_a_change_of_what_runs_starts_a_deployment() {
    let stage = Stage::new(1, worker("good"), 2, json!({}));
    let before = stage.service().await;
    let update = || stage.client.update_service().cluster("main").service("app");
    let same = before.task_definition().unwrap();
    let service = update().task_definition(same).desired_count(3).send().await.unwrap().service.unwrap();
    assert_eq!(service.current_service_deployment(), before.current_service_deployment());
    let percents = types::DeploymentConfiguration::builder().maximum_percent(150).build();
    let service = update().deployment_configuration(percents).send().await.unwrap().service.unwrap();
    assert_eq!(service.deployments().len(), 1);
    let configuration = service.deployment_configuration().unwrap();
    assert_eq!((configuration.minimum_healthy_percent(), configuration.maximum_percent()), (Some(100), Some(150)));
    stage.wait(90).await;
    assert_eq!(stage.service().await.running_count, 3);
}

#[tokio::test(start_paused = true)]
async fn six_hundred_tasks_roll_with_few_events_and_quickly() {
    #[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
    let start = std::time::Instant::now();
    let stage = Stage::new(9, checked("good"), 600, percents(90, 100));
    let changes = Arc::new(Mutex::new(0));
    let counted = changes.clone();
    stage.simulator.with_world(|world| world.watch(move |_| *counted.lock().unwrap() += 1));
    let arn = stage.deploy(&checked("next")).await;
    stage.wait(3600).await;
    assert_eq!(stage.deployment(&arn).await.status().unwrap().as_str(), "SUCCESSFUL");
    // Four steps up and two down for each task, and the looks of the scheduler.
    let changes = *changes.lock().unwrap();
    assert!((3_600..4_200).contains(&changes), "{changes}");
    // 0.15 s where nothing else runs; the limit is for machines that are busy.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    // And then nothing is due any more.
    assert_eq!(stage.simulator.with_world(|world| world.next_event()), None);
    let mut pages = stage.client.list_tasks().cluster("main").service_name("app").into_paginator().send();
    let mut arns = std::collections::BTreeSet::new();
    while let Some(page) = pages.next().await {
        arns.extend(page.unwrap().task_arns.unwrap());
    }
    assert_eq!(arns.len(), 600);
}

async fn story(seed: u64) -> String {
    let stage = Stage::new(seed, worker("good"), 6, percents(50, 150));
    stage.image(
        "bad",
        'd',
        Behaviour::CrashesAfter { after: Duration::from_secs(5), exit_code: 3, lines: vec!["no database".into()] },
    );
    stage.deploy(&worker("bad")).await;
    stage.wait(120).await;
    let arn = stage.deploy(&worker("next")).await;
    let waited = stage.until(&arn, "SUCCESSFUL").await;
    let picture = stage.simulator.with_calls(|calls| calls.picture(stage.simulator.settings().epoch, |_| true));
    format!("{waited}\n{picture}\n{}", stage.events().await.join("\n"))
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_tells_the_same_story() {
    assert_eq!(story(11).await, story(11).await);
    assert_ne!(story(11).await, story(12).await);
}
