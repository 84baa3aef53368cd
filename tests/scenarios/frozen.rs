//! A worker's process stops for a while, anywhere, and goes on as if nothing had happened: one deployment a step, one
//! final result, whatever it still sends when it wakes.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus, StageRetryMode};
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Freeze, Rule};
use simulator::{Service, Settings, Simulator};

use crate::stage::{Application, CLUSTER, Story, WORKER_KEY, Worker};

/// A worker that begins when the first one stands still.
type Peer = tokio::task::JoinHandle<Worker>;

/// A story with a peer, whose first worker stops for so long at the calls of a rule.
fn frozen_at(app: &Application, seed: u64, freeze: Freeze, seconds: u64, at: impl Fn(Rule) -> Rule) -> (Story, Peer) {
    let simulator = Simulator::new(Settings::seeded(seed));
    let rule = at(Rule::new(Fault::Freeze(freeze, Duration::from_secs(seconds))).caller(WORKER_KEY).nth(1));
    simulator.inject(FaultPlan::seeded(seed).rule(rule));
    let story = Story::begin(simulator, &[app]);
    story.expect_deaths();
    let peer = story.peer_from_the_freeze_on();
    (story, peer)
}

/// A good release whose worker is frozen; claims that it ends like any other.
async fn goes_well(seed: u64, freeze: Freeze, seconds: u64, words: &str, at: impl Fn(Rule) -> Rule) {
    let app = Application::web("app", 2).canary_with("BakeTime", "20s").full_with("BakeTime", "20s");
    let (story, _peer) = frozen_at(&app, seed, freeze, seconds, at);
    let words = format!("{words}, {freeze:?}, {seconds} s");
    let execution = story.release(&app, "v2", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded, "{words}");
    story.expect_late_calls("app");
    story.pass(Duration::from_secs(1_200)).await;
    for service in ["app", "app-canary"] {
        story.runs_image(&app, service, "v2");
        assert_eq!(story.percents(service), (100, 200), "{words}: {service}");
        assert_eq!(story.deployments(service).await, 2, "{words}: {service}");
    }
    for action in ["Canary", "Full"] {
        assert_eq!(story.final_results(&execution, action), 1, "{words}: {action}");
    }
    story.each_job_has_one_accepted_result();
}

/// Some moments and lengths: shorter than a worker's death (60 s), about as long, longer, and until all is over.
const SOME: [(Freeze, u64); 5] = [
    (Freeze::WhileSending, 45),
    (Freeze::WhileSending, 75),
    (Freeze::WhileSending, 110),
    (Freeze::BeforeSending, 110),
    (Freeze::AfterSending, 110),
];

#[tokio::test(start_paused = true)]
async fn a_worker_frozen_while_it_updates_the_canary_starts_no_second_deployment() {
    for (freeze, seconds) in SOME {
        let at = |rule: Rule| rule.operation("UpdateService").subject("app-canary");
        goes_well(1001, freeze, seconds, "UpdateService", at).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_frozen_while_it_updates_the_full_service_starts_no_second_deployment() {
    for (freeze, seconds) in SOME {
        let at = |rule: Rule| rule.operation("UpdateService").subject("app");
        goes_well(1002, freeze, seconds, "UpdateService", at).await;
    }
    // Long after the end of the release, with the percents of its turnover.
    let at = |rule: Rule| rule.operation("UpdateService").subject("app");
    goes_well(1002, Freeze::WhileSending, 900, "UpdateService", at).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_frozen_while_it_gives_percents_back_does_no_harm() {
    for (freeze, seconds) in [(Freeze::WhileSending, 75), (Freeze::WhileSending, 300), (Freeze::AfterSending, 75)] {
        goes_well(1003, freeze, seconds, "the percents", |rule| rule.operation("UpdateService").subject("app").nth(2))
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_frozen_while_it_registers_a_task_definition_does_no_harm() {
    for (seconds, family) in [(75, "app-canary"), (110, "app-canary"), (110, "app")] {
        let at = |rule: Rule| rule.operation("RegisterTaskDefinition").subject(family);
        goes_well(1004, Freeze::WhileSending, seconds, &format!("RegisterTaskDefinition {family}"), at).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_frozen_while_it_acknowledges_never_shares_a_job() {
    for (freeze, seconds) in SOME {
        goes_well(1006, freeze, seconds, "AcknowledgeJob", |rule| rule.operation("AcknowledgeJob")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_frozen_while_it_writes_the_ledger_knows_when_it_wakes() {
    for (freeze, seconds, write) in [
        (Freeze::WhileSending, 75, 2),
        (Freeze::WhileSending, 65, 4),
        (Freeze::AfterSending, 75, 5),
        (Freeze::WhileSending, 110, 9),
        (Freeze::BeforeSending, 75, 9),
    ] {
        let at = |rule: Rule| rule.service(Service::S3).operation("PutObject").nth(write);
        goes_well(1007, freeze, seconds, &format!("ledger write {write}"), at).await;
    }
}

/// The first results hand the job back, the last one of an action ends it.
#[tokio::test(start_paused = true)]
async fn a_worker_frozen_while_it_tells_a_result_does_not_tell_it_twice() {
    for (freeze, result) in
        [(Freeze::WhileSending, 1), (Freeze::WhileSending, 2), (Freeze::AfterSending, 2), (Freeze::WhileSending, 3)]
    {
        goes_well(1008, freeze, 80, &format!("result {result}"), |rule| {
            rule.operation("PutJobSuccessResult").nth(result)
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_frozen_between_two_calls_goes_on_or_lets_go() {
    for (seconds, look) in [(15, 4), (30, 12), (75, 4), (110, 12)] {
        let at = |rule: Rule| rule.operation("DescribeServices").nth(look);
        goes_well(1009, Freeze::AfterSending, seconds, &format!("observation {look}"), at).await;
    }
}

/// Crashes five seconds after its start.
fn crashing() -> Behaviour {
    Behaviour::CrashesAfter { after: Duration::from_secs(5), exit_code: 3, lines: vec!["no".into()] }
}

/// The call that starts the deployment arrives when a peer has undone it and told its failure: nobody looks any more
/// but the worker that sent it.
#[tokio::test(start_paused = true)]
async fn a_canary_that_is_deployed_too_late_is_undone_by_the_worker_that_did_it() {
    for seconds in [200, 600] {
        let app = Application::web("app", 2);
        let at = |rule: Rule| rule.operation("UpdateService").subject("app-canary");
        let (story, _peer) = frozen_at(&app, 1011, Freeze::WhileSending, seconds, at);
        story.expect_late_calls("app-canary");
        let full = story.portrait("app").await;
        let execution = story.release_to_canary(&app, "v2", crashing()).await;
        assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed, "{seconds}");
        story.pass(Duration::from_secs(seconds + 600)).await;
        story.runs_image(&app, "app-canary", "v1");
        assert_eq!(story.percents("app-canary"), (100, 200), "{seconds}");
        assert_eq!(story.portrait("app").await, full, "{seconds}");
        assert_eq!(story.final_results(&execution, "Canary"), 1, "{seconds}");
        story.each_job_has_one_accepted_result();
    }
}

#[tokio::test(start_paused = true)]
async fn a_turnover_that_begins_too_late_is_undone_by_the_worker_that_did_it() {
    for seconds in [300, 900] {
        let app = Application::web("app", 2).canary_with("BakeTime", "20s");
        let at = |rule: Rule| rule.operation("UpdateService").subject("app");
        let (story, _peer) = frozen_at(&app, 1012, Freeze::WhileSending, seconds, at);
        let execution = story.release_to_full(&app, "v2", crashing()).await;
        assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed, "{seconds}");
        story.expect_late_calls("app");
        story.pass(Duration::from_secs(seconds + 1_200)).await;
        for service in ["app", "app-canary"] {
            story.runs_image(&app, service, "v1");
            assert_eq!(story.percents(service), (100, 200), "{seconds}: {service}");
        }
        assert_eq!(story.final_results(&execution, "Full"), 1, "{seconds}");
        story.each_job_has_one_accepted_result();
    }
}

/// Moments at which a worker stops inside of the call that begins a turnover, until a peer has begun it.
const INSIDE: [Freeze; 3] = [Freeze::BeforeSending, Freeze::WhileSending, Freeze::AfterSending];

/// The call changed nothing any more, or long before: what people left half done is theirs.
#[tokio::test(start_paused = true)]
async fn a_turnover_that_people_abandoned_stays_as_they_left_it_when_a_frozen_worker_wakes() {
    for freeze in INSIDE {
        let app = Application::web("app", 2).canary_with("BakeTime", "0s").full_with("BakeTime", "10s");
        let at = |rule: Rule| rule.operation("UpdateService").subject("app");
        let (story, _peer) = frozen_at(&app, 1014, freeze, 80, at);
        let execution = story.release_to_full(&app, "v2", Behaviour::Good).await;
        story
            .until("a new task beside an old one", |world| {
                matches!(world.ecs.view(CLUSTER, "app").expect("a service").new_and_old(), (1.., 1..))
            })
            .await;
        story.abandon("app", &execution);
        let percents = story.percents("app");
        assert_ne!(percents, (100, 200), "{freeze:?}: a turnover");
        story.expect_late_calls("app");
        story.pass(Duration::from_secs(1_200)).await;
        for service in ["app", "app-canary"] {
            story.runs_image(&app, service, "v2");
            assert_eq!(story.deployments(service).await, 2, "{freeze:?}: {service}");
        }
        assert_eq!(story.percents("app"), percents, "{freeze:?}");
    }
}

/// The peer has undone the turnover, and the stage is retried from its first action on when the worker wakes.
#[tokio::test(start_paused = true)]
async fn a_canary_that_a_retry_deploys_is_left_to_it_by_a_worker_that_wakes() {
    for freeze in INSIDE {
        let app = Application::web("app", 2).canary_with("BakeTime", "0s").full_with("BakeTime", "10s");
        let at = |rule: Rule| rule.operation("UpdateService").subject("app");
        let (story, _peer) = frozen_at(&app, 1015, freeze, 80, at);
        let execution = story.release_to_full(&app, "v2", crashing()).await;
        assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed, "{freeze:?}");
        story.world(|world| world.ecr.behave("app", "v2", Behaviour::Good)).expect("an image");
        story.expect_late_calls("app");
        story.retry("app", &execution, StageRetryMode::AllActions);
        story.answer("app", "Release", ApprovalStatus::Approved).await;
        assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded, "{freeze:?}");
        story.pass(Duration::from_secs(600)).await;
        for service in ["app", "app-canary"] {
            story.runs_image(&app, service, "v2");
            assert_eq!(story.percents(service), (100, 200), "{freeze:?}: {service}");
        }
        story.each_job_has_one_accepted_result();
    }
}

/// The call that begins the turnover arrives when a peer has made it, and somebody else has deployed after that: the peer,
/// which was about to leave the service to them, gives theirs its place back.
#[tokio::test(start_paused = true)]
async fn what_somebody_else_deployed_comes_back_where_a_frozen_call_took_its_place() {
    let app = Application::web("app", 2).canary_with("BakeTime", "0s").full_with("BakeTime", "10s");
    let at = |rule: Rule| rule.operation("UpdateService").subject("app");
    let (story, _peer) = frozen_at(&app, 1016, Freeze::WhileSending, 90, at);
    let execution = story.release_to_full(&app, "v2", Behaviour::Good).await;
    story
        .until("a new task beside an old one", |world| {
            matches!(world.ecs.view(CLUSTER, "app").expect("a service").new_and_old(), (1.., 1..))
        })
        .await;
    story.somebody_deploys(&app, "app", Behaviour::SlowStart(Duration::from_secs(120))).await;
    let theirs = story.runs("app");
    assert!(story.simulator.is_frozen(WORKER_KEY), "the call is still to come");
    story.expect_late_calls("app");
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &execution, "Full");
    assert!(message.contains("then a call of a worker that had stood still brought app:2 once more"), "{message}");
    assert!(message.contains(&format!("main/app runs {theirs} again")), "{message}");
    story.pass(Duration::from_secs(1_200)).await;
    story.runs_image(&app, "app", "by-hand");
    assert_eq!((story.runs("app"), story.percents("app")), (theirs, (100, 200)));
    assert_eq!(story.final_results(&execution, "Full"), 1);
    story.each_job_has_one_accepted_result();
}

/// Somebody deletes the worker's object: nobody took its jobs over, so it gives them back itself.
#[tokio::test(start_paused = true)]
async fn a_frozen_worker_whose_object_was_lost_gives_its_job_back() {
    let app = Application::web("app", 4);
    let simulator = Simulator::new(Settings::seeded(1013));
    let freeze = Fault::Freeze(Freeze::WhileSending, Duration::from_secs(50));
    let rule = Rule::new(freeze).caller(WORKER_KEY).operation("UpdateService").subject("app-canary").nth(1);
    simulator.inject(FaultPlan::seeded(1013).rule(rule));
    let story = Story::begin(simulator, &[&app]);
    story.expect_deaths();
    let execution = story.release(&app, "v2", Behaviour::Good);
    story.answer("app", "Approve", ApprovalStatus::Approved).await;
    story.frozen().await;
    story.world(|world| {
        let bucket = world.s3.bucket("ledger").expect("the ledger");
        let objects: Vec<String> = bucket.keys().filter(|key| key.contains("/workers/")).map(str::to_owned).collect();
        assert_eq!(objects.len(), 1, "the worker's own");
        world.s3.delete("ledger", &objects[0]);
    });
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    let took = story.action("app", &execution, "Canary");
    let took = took.updated.duration_since(took.started).expect("an end");
    assert!(took < Duration::from_secs(600), "{took:?}");
    assert_eq!((story.deployments("app-canary").await, story.deployments("app").await), (2, 2));
}

/// Between reading what stands there and noting that the canary waits. Its peer does that meanwhile; whoever wakes leaves it.
#[tokio::test(start_paused = true)]
async fn a_worker_frozen_before_it_notes_that_a_canary_waits_leaves_its_peers_note() {
    let key = "ledger/coalmine/held/main/app-canary.json";
    for seconds in [75, 80, 110] {
        let app = Application::web("app", 2).canary_with("BakeTime", "20s");
        let at = |rule: Rule| rule.operation("GetObject").subject(key).nth(3);
        let (story, _peer) = frozen_at(&app, 1012, Freeze::AfterSending, seconds, at);
        let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
        story.held(&app.pipeline).await;
        assert_eq!(story.final_results(&execution, "Canary"), 1, "{seconds} s");
        story.pass(Duration::from_secs(120)).await;
        assert_eq!(story.waiting(), ["held/main/app-canary.json"], "{seconds} s");
        story.answer("app", "Release", ApprovalStatus::Rejected).await;
        story.until_so("an empty ledger", || story.waiting().is_empty()).await;
        story.runs_image(&app, "app-canary", "v1");
    }
}
