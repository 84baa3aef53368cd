//! Whoever dies, wherever: a release ends as it would have ended, with one result a job and one deployment a step.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use simulator::ecr::Behaviour;
use simulator::faults::{FaultPlan, SentCall};
use simulator::{Service, Settings, Simulator};

use crate::stage::{Application, CLUSTER, Story, WORKER_KEY, Worker, settings};

/// The access key of the second worker.
const PEER_KEY: &str = "AKIAPEER";

/// What becomes of the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tale {
    Good,
    SickInTheCanary,
    SickInTheTurnover,
}

/// Who goes on after a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Survivor {
    /// The worker comes back after a few seconds, with nothing but the ledger.
    Restarted,
    /// A second worker has been there from the start.
    Peer,
}

/// How a release ended, as far as it must not depend on who died.
#[derive(Clone, Debug, PartialEq, Eq)]
struct End {
    status: PipelineExecutionStatus,
    images: BTreeMap<String, Vec<String>>,
    percents: BTreeMap<String, (i32, i32)>,
    /// How many service deployments each service has had.
    deployments: BTreeMap<String, usize>,
}

async fn play(tale: Tale, faults: Option<FaultPlan>, survivor: Survivor) -> (End, Vec<SentCall>) {
    let app = Application::web("app", 2).canary_with("BakeTime", "0s").full_with("BakeTime", "10s");
    let simulator = Simulator::new(Settings::seeded(31));
    if let Some(plan) = faults {
        simulator.inject(plan);
    }
    let story = Story::begin(simulator.clone(), &[&app]);
    story.expect_deaths();
    let goes_on = {
        let simulator = simulator.clone();
        // Kept until the end of the story, and its worker with it.
        tokio::spawn(async move {
            if survivor == Survivor::Restarted {
                simulator.until_death(WORKER_KEY).await;
                simulator.clock().wait(Duration::from_secs(5)).await;
            }
            Worker::start(&simulator, PEER_KEY, settings("default", 20))
        })
    };
    let sick = Behaviour::CrashesAfter { after: Duration::from_secs(5), exit_code: 3, lines: vec!["no".into()] };
    let execution = match tale {
        Tale::SickInTheCanary => story.release(&app, "v2", sick),
        Tale::Good => story.release(&app, "v2", Behaviour::Good),
        Tale::SickInTheTurnover => {
            let execution = story.release(&app, "v2", Behaviour::Good);
            story.answer("app", "Approve", ApprovalStatus::Approved).await;
            story
                .until("the hold", |world| {
                    world.codepipeline.open_approvals("app").iter().any(|run| run.stage == "Release")
                })
                .await;
            story.world(|world| world.ecr.behave("app", "v2", sick)).expect("an image");
            execution
        }
    };
    if tale != Tale::SickInTheTurnover {
        story.answer("app", "Approve", ApprovalStatus::Approved).await;
    }
    if tale != Tale::SickInTheCanary {
        story.answer("app", "Release", ApprovalStatus::Approved).await;
    }
    let status = story.ended("app", &execution).await;
    let end = end(&story, &app, status).await;
    let calls = simulator.calls_of(WORKER_KEY);
    goes_on.abort();
    (end, calls)
}

async fn end(story: &Story, app: &Application, status: PipelineExecutionStatus) -> End {
    let client = aws_sdk_ecs::Client::new(&story.simulator.sdk_config("AKIAJUDGE"));
    let mut end = End { status, images: BTreeMap::new(), percents: BTreeMap::new(), deployments: BTreeMap::new() };
    for service in [app.name.clone(), app.canary_name()] {
        let listed = client.list_service_deployments().cluster(CLUSTER).service(&service).max_results(100);
        let listed = listed.send().await.expect("a list");
        end.deployments.insert(service.clone(), listed.service_deployments().len());
        end.images.insert(service.clone(), story.digests(&service));
        let percents = story.world(|world| world.ecs.view(CLUSTER, &service).expect("a service").percents);
        end.percents.insert(service, percents);
    }
    end
}

/// How many deaths of each kind a test tries, spread over the calls that change something.
const POINTS: usize = 6;

/// Which calls a worker is killed at: some of those that change something. `COALMINE_KILLS=all` takes every call.
fn kill_points(calls: &[SentCall]) -> Vec<u64> {
    #[expect(clippy::disallowed_methods, reason = "how long the matrix may take is the caller's to say")]
    if std::env::var("COALMINE_KILLS").is_ok_and(|kills| kills == "all") {
        return calls.iter().map(|call| call.number).collect();
    }
    let reads = ["Describe", "List", "Poll", "Get", "BatchGet"];
    let changes =
        |call: &&SentCall| !reads.iter().any(|read| call.operation.starts_with(read)) && call.service != Service::S3;
    let changing: Vec<u64> = calls.iter().filter(changes).map(|call| call.number).collect();
    (0..POINTS).map(|point| changing[point * changing.len() / POINTS]).collect()
}

async fn whoever_dies(tale: Tale, survivor: Survivor) {
    let (undisturbed, calls) = play(tale, None, Survivor::Restarted).await;
    let points = kill_points(&calls);
    let mut tried = 0;
    for number in points {
        let call = &calls[usize::try_from(number).expect("a small number") - 1];
        for plan in [FaultPlan::kill_before(WORKER_KEY, number), FaultPlan::kill_after(WORKER_KEY, number)] {
            let words = format!("{tale:?}, {survivor:?}, killed at {call}: {plan:?}");
            let (end, _) = play(tale, Some(plan), survivor).await;
            assert_eq!(end, undisturbed, "{words}");
            tried += 1;
        }
    }
    println!("{tale:?}, {survivor:?}: {tried} deaths among {} calls, always the same end", calls.len());
}

#[tokio::test(start_paused = true)]
async fn a_good_release_goes_on_when_its_worker_comes_back() {
    whoever_dies(Tale::Good, Survivor::Restarted).await;
}

#[tokio::test(start_paused = true)]
async fn a_good_release_goes_on_with_a_peer() {
    whoever_dies(Tale::Good, Survivor::Peer).await;
}

#[tokio::test(start_paused = true)]
async fn a_sick_canary_is_undone_whoever_dies() {
    whoever_dies(Tale::SickInTheCanary, Survivor::Restarted).await;
}

#[tokio::test(start_paused = true)]
async fn a_sick_turnover_is_undone_whoever_dies() {
    whoever_dies(Tale::SickInTheTurnover, Survivor::Peer).await;
}
