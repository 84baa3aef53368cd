//! The worker's own health, asked over a real socket. Time is real here, and the simulated account's runs faster.

use std::time::Duration;

use aws_sdk_codepipeline::types::JobStatus;
use aws_types::SdkConfig;
use coalmine_door::clock::Clock;
use coalmine_pipeline::action_type;
use coalmine_worker::health::ask::{Said, ask};
use coalmine_worker::health::judge::STUCK;
use coalmine_worker::run::Stopped;
use serde_json::Value;
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Freeze, Rule};
use simulator::{Settings, Simulator};
use std::net::SocketAddr;

use crate::stage::{Application, Story, WORKER_KEY, Worker, settings};

/// Simulated seconds a second: a part is stuck after five real ones, which a busy machine does not take.
const SPEED: u32 = 60;

/// A poller for each action type; renewal, peers, observer, watch.
fn parts() -> usize {
    action_type::implemented().count() + 4
}

/// A story whose worker answers health checks.
async fn begin(seed: u64, app: &Application) -> (Story, Worker, SocketAddr) {
    let mut story = Story::begin(Simulator::new(Settings { speed: SPEED, ..Settings::seeded(seed) }), &[app]);
    assert_eq!(story.stop_worker().await, Stopped::Drained);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let worker = Worker::listening(&story.simulator, WORKER_KEY, settings("default", 20), listener);
    (story, worker, address)
}

/// Asks as a health check does, in its own time.
async fn asked(address: SocketAddr) -> (Said, Value) {
    let said = ask(&Clock::of(&SdkConfig::builder().build()), address).await.unwrap();
    let page = serde_json::from_str(&said.page).unwrap();
    (said, page)
}

#[tokio::test]
async fn a_worker_that_aws_does_not_answer_is_healthy_and_shows_what_it_met() {
    let app = Application::web("app", 2);
    let (story, worker, address) = begin(141, &app).await;
    story.pass(Duration::from_secs(30)).await;
    let (said, page) = asked(address).await;
    assert!(said.healthy, "{page:#}");
    assert_eq!(page["parts"].as_array().unwrap().len(), parts(), "{page:#}");
    assert!(!said.page.contains("problem"), "{page:#}");
    assert_eq!(page["ledger"], "s3://ledger/coalmine");
    story.simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::Throttle).caller(WORKER_KEY)));
    story.pass(STUCK * 2).await;
    let (said, page) = asked(address).await;
    assert!(said.healthy, "{page:#}");
    assert_eq!(page["parts"][0]["problem"], "codepipeline PollForJobs: ThrottlingException", "{page:#}");
    drop(worker);
}

#[tokio::test]
async fn the_page_names_the_jobs_in_hand_and_nothing_of_their_configuration() {
    let app = Application::web("shop", 2).canary_with("BakeTime", "30m");
    let (story, worker, address) = begin(142, &app).await;
    story.release_to_canary(&app, "v2", Behaviour::Good).await;
    let mut found = None;
    while found.is_none() {
        story.pass(Duration::from_secs(5)).await;
        let (said, page) = asked(address).await;
        assert!(said.healthy, "{page:#}");
        // Between two turns nobody holds the job; while one goes on, it may have ended since the question.
        found = page["jobs"][0].as_str().map(|job| (job.to_owned(), said.page));
    }
    let (job, page) = found.unwrap();
    let known = story.world(|world| world.codepipeline.jobs().iter().any(|known| known.id == job));
    assert!(known, "{job} is no job: {page}");
    assert!(!page.contains("shop"), "{page}");
    let held = |jobs: &[simulator::codepipeline::Job]| jobs.iter().any(|job| job.status == JobStatus::InProgress);
    story.until("a held job", |world| held(world.codepipeline.jobs())).await;
    drop(worker);
}

#[tokio::test]
async fn a_worker_whose_parts_are_stuck_is_unhealthy() {
    let app = Application::web("app", 2);
    let (story, worker, address) = begin(143, &app).await;
    story.pass(Duration::from_secs(30)).await;
    assert!(asked(address).await.0.healthy);
    // Its calls and its timers stand still; its socket answers.
    let next = story.simulator.calls_of(WORKER_KEY).len() as u64 + 1;
    let day = Duration::from_secs(24 * 3_600);
    story.simulator.inject(FaultPlan::freeze(WORKER_KEY, next, Freeze::WhileSending, day));
    story.pass(STUCK / 2).await;
    assert!(asked(address).await.0.healthy, "not stuck for long enough");
    story.pass(STUCK).await;
    let (said, page) = asked(address).await;
    assert!(!said.healthy, "{page:#}");
    assert_eq!(page["status"], "unhealthy");
    let stuck = |part: &&Value| part["reason"].as_str().is_some_and(|reason| reason.starts_with("has not gone round"));
    let parts = page["parts"].as_array().unwrap();
    assert_eq!(
        parts.iter().filter(stuck).count(),
        self::parts() - 1,
        "all but the observer, which has nothing to do: {page:#}"
    );
    drop(worker);
}
