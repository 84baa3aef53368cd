//! A worker's process stops for a while, anywhere, and goes on as if nothing had happened: one deployment a step, one
//! final result, whatever it still sends when it wakes.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Freeze, Rule};
use simulator::{Service, Settings, Simulator};

use crate::stage::{Application, PEER_KEY, Story, WORKER_KEY, Worker, settings};

const MOMENTS: [Freeze; 3] = [Freeze::BeforeSending, Freeze::WhileSending, Freeze::AfterSending];

/// A story with a peer, whose first worker stops for so long at the calls of a rule.
fn frozen_at(app: &Application, seed: u64, freeze: Freeze, seconds: u64, at: impl Fn(Rule) -> Rule) -> (Story, Worker) {
    let simulator = Simulator::new(Settings::seeded(seed));
    let rule = at(Rule::new(Fault::Freeze(freeze, Duration::from_secs(seconds))).caller(WORKER_KEY).nth(1));
    simulator.inject(FaultPlan::seeded(seed).rule(rule));
    let story = Story::begin(simulator, &[app]);
    story.expect_deaths();
    let peer = Worker::start(&story.simulator, PEER_KEY, settings("default", 20));
    (story, peer)
}

/// A good release whose worker is frozen; claims that it ends like any other.
async fn goes_well(seed: u64, freeze: Freeze, seconds: u64, words: &str, at: impl Fn(Rule) -> Rule) {
    let app = Application::web("app", 4).canary_with("BakeTime", "1m").full_with("BakeTime", "1m");
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

#[tokio::test(start_paused = true)]
async fn a_worker_frozen_while_it_updates_a_service_starts_no_second_deployment() {
    for (seed, service) in [(1001, "app-canary"), (1002, "app")] {
        for freeze in MOMENTS {
            for seconds in [70, 100, 200] {
                let at = |rule: Rule| rule.operation("UpdateService").subject(service);
                goes_well(seed, freeze, seconds, &format!("UpdateService {service}"), at).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_frozen_while_it_changes_percents_leaves_the_former_ones() {
    // The second update of the full service gives the percents back.
    for freeze in MOMENTS {
        for seconds in [70, 100, 300] {
            let at = |rule: Rule| rule.operation("UpdateService").subject("app").nth(2);
            goes_well(1003, freeze, seconds, "the percents", at).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_frozen_while_it_registers_a_task_definition_does_no_harm() {
    for (seed, family) in [(1004, "app-canary"), (1005, "app")] {
        for seconds in [70, 100] {
            let at = |rule: Rule| rule.operation("RegisterTaskDefinition").subject(family);
            goes_well(seed, Freeze::WhileSending, seconds, &format!("RegisterTaskDefinition {family}"), at).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_frozen_while_it_acknowledges_never_shares_a_job() {
    for freeze in MOMENTS {
        for seconds in [20, 70, 100] {
            goes_well(1006, freeze, seconds, "AcknowledgeJob", |rule| rule.operation("AcknowledgeJob")).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_frozen_while_it_writes_the_ledger_knows_when_it_wakes() {
    for freeze in MOMENTS {
        for seconds in [70, 100] {
            for write in [2, 5, 9, 14] {
                let at = |rule: Rule| rule.service(Service::S3).operation("PutObject").nth(write);
                goes_well(1007, freeze, seconds, &format!("ledger write {write}"), at).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_frozen_while_it_tells_a_result_does_not_tell_it_twice() {
    // The first results hand the job back; the last one of an action ends it.
    for freeze in MOMENTS {
        for result in 1..=4 {
            let at = |rule: Rule| rule.operation("PutJobSuccessResult").nth(result);
            goes_well(1008, freeze, 80, &format!("result {result}"), at).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_frozen_between_two_calls_goes_on_or_lets_go() {
    for seconds in [15, 30, 70, 100] {
        for look in [4, 30, 75] {
            let at = |rule: Rule| rule.operation("DescribeServices").nth(look);
            goes_well(1009, Freeze::AfterSending, seconds, &format!("observation {look}"), at).await;
        }
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
    for seconds in [200, 400, 1_000] {
        let app = Application::web("app", 4);
        let at = |rule: Rule| rule.operation("UpdateService").subject("app-canary");
        let (story, _peer) = frozen_at(&app, 1011, Freeze::WhileSending, seconds, at);
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
    for seconds in [300, 600, 1_500] {
        let app = Application::web("app", 4);
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
    assert!(story.until_frozen_or(WORKER_KEY, "app-canary", Duration::from_secs(60)).await);
    story.world(|world| {
        let keys = world.s3.keys("ledger", "coalmine/workers/");
        keys.iter().for_each(|key| world.s3.remove("ledger", key));
    });
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    let took = story.action("app", &execution, "Canary");
    let took = took.updated.duration_since(took.started).expect("an end");
    assert!(took < Duration::from_secs(600), "{took:?}");
    assert_eq!((story.deployments("app-canary").await, story.deployments("app").await), (2, 2));
}
