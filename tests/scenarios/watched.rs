//! The invariants are watched: a story that breaks one fails with what broke, when, and with which seed.

use std::time::Duration;

use aws_sdk_codepipeline::types::ApprovalStatus;
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Moment, Rule};
use simulator::{Settings, Simulator};

use crate::stage::{Application, CLUSTER, Story, WORKER_KEY};

#[tokio::test(start_paused = true)]
#[should_panic(expected = "with seed 7: full service app was changed without an approval")]
async fn a_full_service_that_changes_before_the_second_approval_breaks_the_story() {
    let app = Application::web("app", 3);
    let story = Story::begin(Simulator::new(Settings::seeded(7)), &[&app]);
    story.release(&app, "v2", Behaviour::Good);
    story.answer("app", "Approve", ApprovalStatus::Approved).await;
    story.somebody().update_service().cluster(CLUSTER).service("app").force_new_deployment(true).send().await.unwrap();
    story.pass(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "tasks of app are missing because of the turnover, at most 1 may be")]
async fn a_turnover_that_stops_more_than_a_batch_breaks_the_story() {
    let app = Application::web("app", 10);
    let story = Story::begin(Simulator::new(Settings::seeded(7)), &[&app]);
    story.release(&app, "v2", Behaviour::Good);
    story.approve_all("app").await;
    story.until("the turnover", |world| world.ecs.shortfall(CLUSTER, "app").unwrap().turnover > 0).await;
    // The worker gives the percents of its batch back within seconds: somebody has to insist.
    for _ in 0..120 {
        story.world(|world| world.set_percents(CLUSTER, "app", 20, 100)).unwrap();
        story.pass(Duration::from_millis(500)).await;
    }
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "of app/Canary was given a second result")]
async fn a_second_result_for_a_job_breaks_the_story() {
    let app = Application::web("app", 3);
    let story = Story::begin(Simulator::new(Settings::seeded(7)), &[&app]);
    story.release(&app, "v2", Behaviour::Good);
    story.answer("app", "Approve", ApprovalStatus::Approved).await;
    story.until("a handed back job", |world| world.codepipeline.jobs().iter().any(|job| !job.results.is_empty())).await;
    let job = story.world(|world| world.codepipeline.jobs()[0].id.clone());
    let worker = aws_sdk_codepipeline::Client::new(&story.simulator.sdk_config("AKIAOTHER"));
    let _ = worker.put_job_success_result().job_id(job).send().await;
    story.pass(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "Full of app succeeded, but its task")]
async fn a_success_before_all_tasks_run_the_release_breaks_the_story() {
    let app = Application::web("app", 10);
    let story = Story::begin(Simulator::new(Settings::seeded(7)), &[&app]);
    story.release(&app, "v2", Behaviour::Good);
    story.approve_all("app").await;
    let in_full = |world: &simulator::World| {
        let jobs = world.codepipeline.jobs().iter();
        jobs.rev().find(|job| job.action == "Full" && job.acknowledged.is_some()).map(|job| job.id.clone())
    };
    story.until("the turnover", |world| in_full(world).is_some()).await;
    let job = story.world(|world| in_full(world)).unwrap();
    let worker = aws_sdk_codepipeline::Client::new(&story.simulator.sdk_config("AKIAOTHER"));
    worker.put_job_success_result().job_id(job).send().await.unwrap();
    story.pass(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "was deployed to app-canary once more, or by no action in progress")]
async fn a_canary_that_nobody_asked_to_change_breaks_the_story() {
    let app = Application::web("app", 3);
    let story = Story::begin(Simulator::new(Settings::seeded(7)), &[&app]);
    let update = story.somebody().update_service().cluster(CLUSTER).service("app-canary").force_new_deployment(true);
    update.send().await.unwrap();
    story.pass(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "Canary of app-canary succeeded, but its task")]
async fn a_canary_that_is_called_a_success_too_early_breaks_the_story() {
    let app = Application::web("app", 10);
    let story = Story::begin(Simulator::new(Settings::seeded(7)), &[&app]);
    story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.rolling("app-canary").await;
    let job = story.world(|world| world.codepipeline.jobs()[0].id.clone());
    let worker = aws_sdk_codepipeline::Client::new(&story.simulator.sdk_config("AKIAOTHER"));
    worker.put_job_success_result().job_id(job).send().await.unwrap();
    story.pass(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "Rollback succeeded, but app has")]
async fn a_rollback_that_is_called_a_success_too_early_breaks_the_story() {
    let apps = [Application::web("app", 4)];
    let story = Story::begin(Simulator::new(Settings::seeded(7)), &[&apps[0]]);
    story.somebody_deploys_to_all(&apps, "v2").await;
    story.rollback_pipeline(&apps[0], "app", &[]);
    story.press();
    let new_and_old = |world: &simulator::World| world.ecs.view(CLUSTER, "app").unwrap().new_and_old();
    story.until("tasks of both", |world| matches!(new_and_old(world), (1.., 1..))).await;
    let job = story.world(|world| world.codepipeline.jobs().last().unwrap().id.clone());
    let worker = aws_sdk_codepipeline::Client::new(&story.simulator.sdk_config("AKIAOTHER"));
    worker.put_job_success_result().job_id(job).send().await.unwrap();
    story.pass(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "Canary of app-canary ended, but its percents are (0, 100); its own are (100, 200)")]
async fn percents_that_do_not_come_back_break_the_story() {
    let app = Application::web("app", 3);
    let story = Story::begin(Simulator::new(Settings::seeded(7)), &[&app]);
    story.release_to_canary(&app, "v2", Behaviour::Good).await;
    let baking = |world: &simulator::World| {
        world.ecs.outline(CLUSTER, "app-canary").unwrap().deployment_status == "SUCCESSFUL"
            && world.ecs.outline(CLUSTER, "app-canary").unwrap().task_definition.ends_with(":2")
    };
    story.until("the bake", baking).await;
    story.pass(Duration::from_secs(30)).await;
    story.world(|world| world.set_percents(CLUSTER, "app-canary", 0, 100)).unwrap();
    story.held("app").await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "of app/Canary is held for more than 1800s")]
async fn a_job_that_is_held_for_ever_breaks_the_story() {
    let app = Application::web("app", 3);
    let story = Story::begin(Simulator::new(Settings::seeded(7)), &[&app]);
    story.release_to_canary(&app, "v2", Behaviour::Good).await;
    let dies = Rule::new(Fault::Kill(Moment::AfterTheAct)).caller(WORKER_KEY).operation("AcknowledgeJob");
    story.simulator.inject(FaultPlan::seeded(7).rule(dies));
    story.pass(Duration::from_secs(31 * 60)).await;
    story.world(|_| ());
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "goes on for more than")]
async fn an_action_that_does_not_end_breaks_the_story() {
    let app = Application::web("app", 3).canary_with("BakeTime", "0s").canary_with("Options", "deadline=1m");
    let mut story = Story::begin(Simulator::new(Settings::seeded(7)), &[&app]);
    story.stop_worker().await;
    story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.pass(Duration::from_secs(3 * 3_600)).await;
    story.world(|_| ());
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "app-canary:1, the rollback target of app-canary, is not ACTIVE")]
async fn a_rollback_target_that_cannot_be_deployed_any_more_breaks_the_story() {
    let app = Application::web("app", 3);
    let story = Story::begin(Simulator::new(Settings::seeded(7)), &[&app]);
    story.somebody().deregister_task_definition().task_definition("app-canary:1").send().await.unwrap();
    story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.rolling("app-canary").await;
}
