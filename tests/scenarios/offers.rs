//! Jobs that are offered more often than once: AWS does not say when it offers a job again that nobody has acknowledged, nor to
//! whom. It stays with whom CodePipeline gave it to.

use std::time::{Duration, SystemTime};

use aws_sdk_codepipeline::types::{ApprovalStatus, JobStatus};
use coalmine_worker::run::Settings as WorkerSettings;
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Moment, Rule};
use simulator::{Settings, Simulator, World};

use crate::adopters::{app, late, went_through};
use crate::stage::{Application, PEER_KEY, Story, WORKER_KEY, Worker, settings};

/// The access key of a worker that dies.
const DYING: &str = "AKIADYING";

/// A worker whose turns hold a job for longer than these stories look on.
fn holder() -> WorkerSettings {
    WorkerSettings { linger: Duration::from_secs(900), ..settings("default", 20) }
}

/// While a worker's acknowledgement is under way it is offered the same job once more, with another nonce: what one of the two
/// is refused is the other one's.
#[tokio::test(start_paused = true)]
async fn a_job_that_is_offered_again_to_whom_acknowledges_it_is_not_lost() {
    let faults = [Fault::TimeOut(Moment::BeforeTheAct), Fault::Throttle, Fault::ServerError(Moment::BeforeTheAct)];
    for (seed, fault) in (1171..).zip(faults) {
        let app = app();
        let simulator = Simulator::new(Settings::seeded(seed));
        simulator.with_world(|world| world.codepipeline.set_offered_again(Duration::from_millis(500)));
        let late = Rule::new(fault).caller(WORKER_KEY).operation("AcknowledgeJob").times(5);
        simulator.inject(FaultPlan::seeded(seed).rule(late));
        let story = Story::begin(simulator, &[&app]);
        let execution = story.release(&app, "v2", Behaviour::Good);
        story.approve_all("app").await;
        let offered = |world: &World| world.codepipeline.jobs().iter().any(|job| job.offers.len() > 1);
        story.until("a second offer", offered).await;
        went_through(&story, &app, &execution).await;
    }
}

/// The loser of the race for a job wrote its intent, then died: its record names a job that another one holds.
#[tokio::test(start_paused = true)]
async fn the_intent_of_a_worker_that_lost_the_race_takes_no_job_from_its_holder() {
    let app = app();
    let simulator = Simulator::new(Settings::seeded(1121));
    simulator.with_world(|world| world.codepipeline.set_offer_overlap(Duration::from_secs(5)));
    // The peer is given the same job, notes its intent, and dies when it tries to acknowledge.
    let dies = Rule::new(Fault::Kill(Moment::BeforeTheAct)).caller(PEER_KEY).operation("AcknowledgeJob").nth(1);
    simulator.inject(FaultPlan::seeded(1121).rule(dies));
    let mut story = Story::begin(simulator.clone(), &[&app]);
    story.expect_deaths();
    story.stop_worker().await;
    let execution = story.release(&app, "v2", Behaviour::SlowStart(Duration::from_secs(200)));
    story.answer("app", "Approve", ApprovalStatus::Approved).await;
    let _peer = Worker::start(&simulator, PEER_KEY, settings("default", 20));
    let _holder = Worker::start(&simulator, WORKER_KEY, holder());
    simulator.until_death(PEER_KEY).await;
    let dead = story.now();
    story.until("a held job", |world| held(world).is_some()).await;
    // By now the holder's record says that it holds the job.
    story.pass(Duration::from_secs(15)).await;
    let intents = records(&simulator).into_iter().filter(|record| record.contains("intent")).count();
    assert_eq!(intents, 1, "the dead worker's intent is on record");
    stays(&story, dead + Duration::from_secs(120)).await;
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    went_through(&story, &app, &execution).await;
}

/// Whoever found the intent of a dead worker can give nothing back for minutes; by then the job, which was never acknowledged,
/// was offered again and is somebody's.
#[tokio::test(start_paused = true)]
async fn an_intent_that_is_given_back_late_takes_no_job_from_its_holder() {
    let app = app();
    let mut story = Story::begin(Simulator::new(Settings::seeded(1122)), &[&app]);
    let execution = dies_before_it_acknowledges(&mut story, &app).await;
    let quiet = story.now() + Duration::from_secs(240);
    throttled(&story, PEER_KEY, "PutJobSuccessResult", quiet);
    // It has other work, and looks after its peers all the same.
    let _peer = Worker::start(&story.simulator, PEER_KEY, settings("other", 20));
    tries_to_give_back(&story, PEER_KEY).await;
    let _holder = Worker::start(&story.simulator, WORKER_KEY, holder());
    stays(&story, quiet).await;
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    went_through(&story, &app, &execution).await;
}

/// A worker dies before it acknowledges. Who looks after it can give nothing back for some minutes, and is then offered the job
/// itself.
#[tokio::test(start_paused = true)]
async fn a_job_that_is_offered_to_whom_would_give_it_back_is_kept() {
    let app = app();
    let mut story = Story::begin(Simulator::new(Settings::seeded(1181)), &[&app]);
    let execution = dies_before_it_acknowledges(&mut story, &app).await;
    let polls = story.now() + Duration::from_secs(150);
    let gives_back = polls + Duration::from_secs(90);
    throttled(&story, WORKER_KEY, "PollForJobs", polls);
    throttled(&story, WORKER_KEY, "PutJobSuccessResult", gives_back);
    let _holder = Worker::start(&story.simulator, WORKER_KEY, holder());
    tries_to_give_back(&story, WORKER_KEY).await;
    assert!(story.now() < polls, "before it was offered");
    stays(&story, gives_back).await;
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    went_through(&story, &app, &execution).await;
}

/// Two peers have adopted the job, and leave it to each other until one of them is offered it: the other one lets go then, and
/// that is no reason for the holder to do so.
#[tokio::test(start_paused = true)]
async fn a_job_that_two_have_adopted_is_kept_by_the_one_that_is_offered_it() {
    let app = app();
    let mut story = Story::begin(Simulator::new(Settings::seeded(1191)), &[&app]);
    let execution = dies_before_it_acknowledges(&mut story, &app).await;
    let polls = story.now() + Duration::from_secs(130);
    throttled(&story, WORKER_KEY, "PollForJobs", polls);
    throttled(&story, PEER_KEY, "PutJobSuccessResult", polls + Duration::from_secs(30));
    // Both note the job before either strikes it; then the peer is quicker, and can give nothing back yet.
    for mishap in [
        late(PEER_KEY, "PutObject", 1, 18),
        late(WORKER_KEY, "PutObject", 1, 18),
        late(WORKER_KEY, "DeleteObject", 1, 12),
    ] {
        story.simulator.inject(FaultPlan::seeded(1191).rule(mishap));
    }
    // It has other work, and looks after its peers all the same.
    let _peer = Worker::start(&story.simulator, PEER_KEY, settings("other", 20));
    let _holder = Worker::start(&story.simulator, WORKER_KEY, holder());
    let adopters = || records(&story.simulator).iter().filter(|record| record.contains("\"adopted\":true")).count();
    story.until_so("two adopters", || adopters() == 2).await;
    story.pass(polls.duration_since(story.now()).expect("before either is offered it")).await;
    assert_eq!(adopters(), 2, "they leave it to each other");
    stays(&story, polls + Duration::from_secs(120)).await;
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    went_through(&story, &app, &execution).await;
}

/// Begins a release, to whose canary job a worker notes its intent, and no more than that.
async fn dies_before_it_acknowledges(story: &mut Story, app: &Application) -> String {
    story.expect_deaths();
    story.stop_worker().await;
    let dies = Rule::new(Fault::Kill(Moment::BeforeTheAct)).caller(DYING).operation("AcknowledgeJob").nth(1);
    story.simulator.inject(FaultPlan::seeded(1).rule(dies));
    let execution = story.release(app, "v2", Behaviour::SlowStart(Duration::from_secs(400)));
    story.answer(&app.name, "Approve", ApprovalStatus::Approved).await;
    let _dying = Worker::start(&story.simulator, DYING, settings("default", 20));
    story.simulator.until_death(DYING).await;
    execution
}

/// Refuses a worker an operation for a while.
fn throttled(story: &Story, key: &str, operation: &str, until: SystemTime) {
    let rule = Rule::new(Fault::Throttle).caller(key).operation(operation).until(until);
    story.simulator.inject(FaultPlan::seeded(1).rule(rule));
}

async fn tries_to_give_back(story: &Story, key: &str) {
    let tries = || story.simulator.calls_of(key).iter().any(|call| call.operation == "PutJobSuccessResult");
    story.until_so("a try to give the job back", tries).await;
}

/// Waits until the job is held, and claims that it stays its holder's until well after a time, and on record as such.
async fn stays(story: &Story, until: SystemTime) {
    story.until("a held job", |world| held(world).is_some()).await;
    let first = story.world(|world| held(world));
    assert_eq!(first.clone().and_then(|(_, to)| to).as_deref(), Some(WORKER_KEY));
    let left = until.duration_since(story.now()).expect("before anybody could have given it back");
    story.pass(left + Duration::from_secs(60)).await;
    assert_eq!(story.world(|world| held(world)), first, "still the same job, with the same holder");
    let (job, _) = first.expect("a job");
    assert!(records(&story.simulator).iter().any(|record| record.contains(&job)), "a peer would look after it");
}

/// The newest job, where somebody works on it, and whose it is.
fn held(world: &World) -> Option<(String, Option<String>)> {
    let job = world.codepipeline.jobs().last().expect("a job").clone();
    (job.status == JobStatus::InProgress).then_some((job.id, job.acknowledged.map(|offer| offer.to)))
}

/// The workers' objects.
fn records(simulator: &Simulator) -> Vec<String> {
    simulator.with_world(|world| {
        let bucket = world.s3.bucket("ledger").expect("the ledger");
        let objects = bucket.keys().filter(|key| key.contains("/workers/"));
        objects.map(|key| String::from_utf8_lossy(&bucket.object(key).expect("one").body).into_owned()).collect()
    })
}
