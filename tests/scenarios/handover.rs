//! Workers come and go: what one began another ends, and each takes only what is its own.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, JobStatus, PipelineExecutionStatus};
use coalmine_worker::run::Stopped;
use simulator::codepipeline::Job;
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Moment, Rule};
use simulator::{Settings, Simulator, World};

use crate::stage::{Application, CLUSTER, Story, WORKER_KEY, Worker, settings};

/// What a worker may take to end when it is told to.
const EXIT: Duration = Duration::from_secs(10);

async fn stop(story: &mut Story) {
    let told = story.now();
    assert_eq!(story.stop_worker().await, Stopped::Drained);
    let took = story.now().duration_since(told).unwrap();
    assert!(took <= EXIT, "took {took:?}");
    assert_eq!(in_progress(story), 0, "every job was handed back");
}

fn in_progress(story: &Story) -> usize {
    let running = |job: &&Job| job.status == JobStatus::InProgress;
    story.world(|world| world.codepipeline.jobs().iter().filter(running).count())
}

#[tokio::test(start_paused = true)]
async fn whatever_a_stopped_worker_was_at_another_goes_on_to_the_same_end() {
    for (seed, (action, phase)) in
        (1..).zip([("Canary", "\"deploy\""), ("Canary", "{\"bake\""), ("Full", "\"deploy\""), ("Full", "{\"bake\"")])
    {
        let app = Application::web("app", 10).full_with("BakeTime", "2m");
        let mut story = Story::begin(Simulator::new(Settings::seeded(seed)), &[&app]);
        let slow = Behaviour::SlowStart(Duration::from_secs(40));
        let execution = story.release_to_canary(&app, "v2", slow).await;
        if action == "Full" {
            story.answer("app", "Release", ApprovalStatus::Approved).await;
        }
        story.in_phase(action, phase).await;
        stop(&mut story).await;
        story.pass(Duration::from_secs(45)).await;
        let successor = Worker::start(&story.simulator, "AKIAWORKER2", settings("default", 20));
        if action == "Canary" {
            story.answer("app", "Release", ApprovalStatus::Approved).await;
        }
        assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded, "stopped in {action}");
        for service in ["app", "app-canary"] {
            story.runs_image(&app, service, "v2");
            assert_eq!((story.runs(service), story.percents(service)), (format!("{service}:2"), (100, 200)));
        }
        story.each_job_has_one_result();
        assert_eq!(story.requests("ecs", "RegisterTaskDefinition").len(), 2, "each service once");
        assert_eq!(successor.stop().await, Stopped::Drained);
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_holds_twenty_jobs_hands_all_back_within_ten_seconds() {
    let apps: Vec<Application> = (1..=20).map(|number| Application::web(&format!("app{number}"), 2)).collect();
    let mut story = Story::begin(Simulator::new(Settings::seeded(5)), &apps.iter().collect::<Vec<_>>());
    let executions: Vec<String> = apps.iter().map(|app| story.release(app, "v2", Behaviour::Good)).collect();
    for app in &apps {
        story.answer(&app.name, "Approve", ApprovalStatus::Approved).await;
    }
    let all_held = |world: &World| {
        let jobs = world.codepipeline.jobs().iter();
        jobs.filter(|job| job.status == JobStatus::InProgress).count() == 20
    };
    story.until("twenty held jobs", all_held).await;
    stop(&mut story).await;
    story.start_worker();
    for (app, execution) in apps.iter().zip(&executions) {
        story.answer(&app.name, "Release", ApprovalStatus::Approved).await;
        assert_eq!(story.ended(&app.name, execution).await, PipelineExecutionStatus::Succeeded, "{}", app.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_repeated_uses_the_revision_that_was_registered() {
    let app = Application::web("app", 3);
    let story = Story::begin(Simulator::new(Settings::seeded(6)), &[&app]);
    let dies = Rule::new(Fault::Kill(Moment::AfterTheAct)).caller(WORKER_KEY).operation("RegisterTaskDefinition");
    story.simulator.inject(FaultPlan::seeded(6).rule(dies));
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.simulator.until_death(WORKER_KEY).await;
    assert_eq!(story.runs("app-canary"), "app-canary:1", "the revision was not used yet");
    let peer = Worker::start(&story.simulator, "AKIAWORKER2", settings("default", 20));
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    let ecs = story.somebody();
    let listed = ecs.list_task_definitions().family_prefix("app-canary").send().await.unwrap();
    assert_eq!(listed.task_definition_arns().len(), 2, "v1 and v2, each once");
    assert_eq!(story.runs("app-canary"), "app-canary:2");
    story.runs_image(&app, "app", "v2");
    assert_eq!(peer.stop().await, Stopped::Drained);
}

#[tokio::test(start_paused = true)]
async fn two_pools_do_not_see_each_others_jobs() {
    let blue = Application::web("blue", 3).canary_with("Pool", "blue").full_with("Pool", "blue");
    let red = Application::web("red", 3);
    let story = Story::begin(Simulator::new(Settings::seeded(7)), &[&blue, &red]);
    let waiting = story.release_to_canary(&blue, "v2", Behaviour::Good).await;
    let served = story.release(&red, "v2", Behaviour::Good);
    story.approve_all("red").await;
    assert_eq!(story.ended("red", &served).await, PipelineExecutionStatus::Succeeded);
    let of = |pipeline: &str| -> BTreeSet<(JobStatus, Option<String>)> {
        let jobs = story.world(|world| world.codepipeline.jobs().to_vec());
        let own = jobs.into_iter().filter(|job| job.pipeline == pipeline);
        own.map(|job| (job.status, job.acknowledged.map(|offer| offer.to))).collect()
    };
    assert_eq!(of("blue"), [(JobStatus::Queued, None)].into(), "nobody works for the pool yet");
    assert_eq!(story.runs("blue-canary"), "blue-canary:1");

    let worker = Worker::start(&story.simulator, "AKIABLUE", settings("blue", 20));
    story.answer("blue", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("blue", &waiting).await, PipelineExecutionStatus::Succeeded);
    assert_eq!(of("blue"), [(JobStatus::Succeeded, Some("AKIABLUE".to_owned()))].into());
    assert_eq!(of("red"), [(JobStatus::Succeeded, Some(WORKER_KEY.to_owned()))].into());
    assert_eq!(worker.stop().await, Stopped::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_worker_holds_no_more_jobs_than_it_has_slots_and_serves_all_in_turn() {
    let apps: Vec<Application> = (1..=5).map(|number| Application::web(&format!("app{number}"), 3)).collect();
    let mut story = Story::begin(Simulator::new(Settings::seeded(8)), &apps.iter().collect::<Vec<_>>());
    stop(&mut story).await;
    let worker = Worker::start(&story.simulator, "AKIASMALL", settings("default", 2));
    let executions: Vec<String> = apps.iter().map(|app| story.release(app, "v2", Behaviour::Good)).collect();
    for app in &apps {
        story.answer(&app.name, "Approve", ApprovalStatus::Approved).await;
    }
    let mut most = 0;
    let ended = |world: &World| {
        apps.iter().zip(&executions).all(|(app, id)| {
            world.codepipeline.execution(&app.name, id).unwrap().status != PipelineExecutionStatus::InProgress
        })
    };
    while !story.world(|world| ended(world)) {
        most = most.max(in_progress(&story));
        for app in &apps {
            let open = story.world(|world| !world.codepipeline.open_approvals(&app.name).is_empty());
            if open {
                story.answer(&app.name, "Release", ApprovalStatus::Approved).await;
            }
        }
        story.pass(Duration::from_millis(500)).await;
    }
    assert_eq!(most, 2);
    for app in &apps {
        let tasks = story.world(|world| world.ecs.outline(CLUSTER, &app.name)).unwrap();
        assert!(tasks.task_definition.ends_with(":2"), "{tasks:?}");
        story.runs_image(app, &app.name, "v2");
    }
    assert_eq!(worker.stop().await, Stopped::Drained);
}
