//! Workers come and go: what one began another ends, and each takes only what is its own.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, JobStatus, PipelineExecutionStatus};
use coalmine_worker::run::{Settings as WorkerSettings, Stopped};
use simulator::codepipeline::Job;
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Moment, Rule};
use simulator::{Service, Settings, Simulator, World};

use crate::stage::{Application, CLUSTER, Story, WORKER_KEY, Worker, settings};

/// What a worker may take to end when it is told to.
const EXIT: Duration = Duration::from_secs(10);
/// The access key of the worker that comes after.
const SUCCESSOR_KEY: &str = "AKIASUCCESSOR";

async fn stop(story: &mut Story) {
    let told = story.now();
    assert_eq!(story.stop_worker().await, Stopped::Drained);
    let took = story.now().duration_since(told).unwrap();
    assert!(took <= EXIT, "took {took:?}");
    assert_eq!(story.world(|world| in_progress(world)), 0, "every job was handed back");
}

fn in_progress(world: &World) -> usize {
    let running = |job: &&Job| job.status == JobStatus::InProgress;
    world.codepipeline.jobs().iter().filter(running).count()
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

/// The longest way of one call there and back.
const CALL: Duration = Duration::from_millis(80);

/// What else is wrong when a worker that holds many jobs is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    /// CodePipeline throttles all its results for as long as it is there.
    Throttled,
    /// The ledger does not answer.
    NoLedger,
    /// Both.
    ThrottledWithoutLedger,
    /// Polls are not answered.
    NoPolls,
}

impl Trouble {
    fn rules(self) -> Vec<Rule> {
        let results = Rule::new(Fault::Throttle).operation("PutJobSuccessResult");
        let ledger = Rule::new(Fault::TimeOut(Moment::BeforeTheAct)).service(Service::S3);
        let polls = Rule::new(Fault::TimeOut(Moment::BeforeTheAct)).operation("PollForJobs");
        match self {
            Self::None => Vec::new(),
            Self::Throttled => vec![results],
            Self::NoLedger => vec![ledger],
            Self::ThrottledWithoutLedger => vec![results, ledger],
            Self::NoPolls => vec![polls],
        }
    }
}

/// A worker that holds many jobs is told to stop; whatever it could not hand back, its successor finds in the ledger, and
/// takes all. How the first one ended. With `finish` the successor also brings every canary to its end.
async fn handed_over(seed: u64, jobs: usize, trouble: Trouble, finish: bool) -> Stopped {
    let apps: Vec<Application> = (1..=jobs).map(|number| Application::web(&format!("app{number}"), 1)).collect();
    let apps: Vec<Application> = apps.into_iter().map(|app| app.canary_with("BakeTime", "0s")).collect();
    let mut story = Story::begin(Simulator::new(Settings::seeded(seed)), &apps.iter().collect::<Vec<_>>());
    assert_eq!(story.stop_worker().await, Stopped::Drained);
    let many = || WorkerSettings { linger: Duration::from_secs(600), ..settings("default", jobs + 10) };
    let worker = Worker::start(&story.simulator, WORKER_KEY, many());
    // A peer may tell again what the first worker could not; and a worker gives a job back whose acknowledgement was
    // throttled for long, which CodePipeline refuses and offers the job again.
    story.expect_deaths();
    let slow = Behaviour::SlowStart(Duration::from_secs(90));
    let executions: Vec<String> = apps.iter().map(|app| story.release(app, "v2", slow.clone())).collect();
    for app in &apps {
        story.answer(&app.name, "Approve", ApprovalStatus::Approved).await;
    }
    story.until("as many held jobs", |world| in_progress(world) == jobs).await;
    let faults = trouble.rules().into_iter();
    story.simulator.inject(faults.fold(FaultPlan::seeded(seed), |plan, rule| plan.rule(rule.caller(WORKER_KEY))));
    if trouble == Trouble::NoPolls {
        // Every poller is in the middle of a poll by then.
        story.pass(Duration::from_secs(13)).await;
    }
    let told = story.now();
    let stopped = worker.stop().await;
    let took = story.now().duration_since(told).unwrap();
    let left = story.world(|world| in_progress(world));
    assert!(took < EXIT, "{trouble:?}: took {took:?}");
    // What was under way in the last moment was taken, but its worker did not hear so any more.
    let lately = story.now() - CALL;
    let under_way = story.calls("PutJobSuccessResult").iter().filter(|(at, ..)| *at >= lately).count();
    let told = if let Stopped::Left(told) = stopped { told } else { 0 };
    assert!(
        (left..=left + under_way).contains(&told),
        "{trouble:?}: {told} are told, {left} left, {under_way} under way"
    );
    let begun = story.now();
    let successor = Worker::start(&story.simulator, SUCCESSOR_KEY, many());
    story.until("a worker for every job", |world| taken_by(world, SUCCESSOR_KEY) == jobs).await;
    let taken = story.now().duration_since(begun).unwrap();
    println!("{jobs} jobs, {trouble:?}: {stopped:?} after {took:.1?}; the successor has all after {taken:.0?}");
    for (app, execution) in apps.iter().zip(&executions).filter(|_| finish) {
        story.answer(&app.name, "Release", ApprovalStatus::Rejected).await;
        assert_eq!(story.ended(&app.name, execution).await, PipelineExecutionStatus::Failed, "{}", app.name);
        assert_eq!(story.final_results(execution, "Canary"), 1, "{}", app.name);
        story.runs_image(app, &app.canary_name(), "v2");
        assert_eq!(story.runs(&app.canary_name()), format!("{}:2", app.canary_name()), "deployed once");
    }
    // The first one's object is gone from the ledger, whoever cleared it away.
    story.pass(Duration::from_secs(90)).await;
    let objects = story.below("workers/");
    assert!(objects.len() <= 1, "{objects:?}");
    assert_eq!(successor.stop().await, Stopped::Drained);
    stopped
}

/// For how many actions a worker has a job, or had one.
fn taken_by(world: &World, key: &str) -> usize {
    let jobs = world.codepipeline.jobs().iter();
    let taken = jobs.filter(|job| job.acknowledged.as_ref().is_some_and(|offer| offer.to == key));
    taken.map(|job| &job.pipeline).collect::<BTreeSet<_>>().len()
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_holds_twenty_jobs_hands_all_back_within_ten_seconds() {
    assert_eq!(handed_over(5, 20, Trouble::None, true).await, Stopped::Drained);
}

#[tokio::test(start_paused = true)]
async fn of_a_hundred_held_jobs_none_is_lost_within_the_rates_of_codepipeline() {
    handed_over(151, 100, Trouble::None, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_jobs_whose_results_are_throttled_stay_in_the_ledger_and_are_adopted() {
    assert_eq!(handed_over(152, 100, Trouble::Throttled, true).await, Stopped::Left(100));
}

#[tokio::test(start_paused = true)]
async fn a_hundred_jobs_are_handed_back_without_the_ledger() {
    handed_over(153, 100, Trouble::NoLedger, false).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_in_the_ledger_before_it_failed_is_enough_to_adopt_a_hundred_jobs() {
    assert_eq!(handed_over(154, 100, Trouble::ThrottledWithoutLedger, false).await, Stopped::Left(100));
}

#[tokio::test(start_paused = true)]
async fn polls_that_are_not_answered_keep_nobody_from_leaving_in_order() {
    assert_eq!(handed_over(155, 20, Trouble::NoPolls, false).await, Stopped::Drained);
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
        most = most.max(story.world(|world| in_progress(world)));
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
