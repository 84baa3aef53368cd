//! A fleet is rolled back by the action `Coalmine-Rollback`: whoever dies, and whatever goes wrong, at whatever call.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Moment, Rule, SentCall};
use simulator::{Settings, Simulator};
use tokio::runtime::Builder;

use crate::play::{LAG, PEER_KEY, said};
use crate::points::Extent;
use crate::stage::story::prepare;
use crate::stage::{Application, Story, WORKER_KEY, Worker, settings};

/// How many attempts the SDK makes before it gives a call up.
const ATTEMPTS: u64 = 3;

/// What a service is at the end: its name, task definition, images, percents, number of deployments.
type Service = (String, String, Vec<String>, (i32, i32), usize);

/// How a story ended, and what the services are then.
#[derive(Clone, Debug, PartialEq, Eq)]
struct End {
    status: PipelineExecutionStatus,
    services: Vec<Service>,
}

/// Two applications run `by-hand` after `v1`, under percents of their own, and are rolled back by a pipeline.
async fn tell(plan: Option<FaultPlan>) -> (End, Vec<SentCall>) {
    let simulator = Simulator::new(Settings::seeded(41));
    let mut apps = ["app", "search"].map(|name| Application::web(name, 3));
    apps[1].deployment = serde_json::json!({"minimumHealthyPercent": 50, "maximumPercent": 200});
    let watched: Vec<&Application> = apps.iter().collect();
    let story = Story::without_worker(simulator.clone(), &watched, |world| prepare(world, &apps, true));
    story.expect_deaths();
    for app in &apps {
        // As a release does: the canary first.
        for service in [app.canary_name(), app.name.clone()] {
            story.somebody_deploys(app, &service, Behaviour::Good).await;
            story
                .until("a deployment", |world| {
                    let view = world.ecs.outline(crate::stage::CLUSTER, &service).expect("a service");
                    view.deployment_status == "SUCCESSFUL" && !view.task_definition.ends_with(":1")
                })
                .await;
        }
    }
    story.rollback_pipeline(&apps[0], "app,search", &[]);
    // What was done just now may not be seen yet.
    story.pass(LAG).await;
    if let Some(plan) = plan {
        simulator.inject(plan);
    }
    let execution = story.press();
    let _worker = Worker::start(&simulator, WORKER_KEY, settings("default", 20));
    let again = simulator.clone();
    let _restarted = tokio::spawn(async move {
        again.until_death(WORKER_KEY).await;
        again.clock().wait(Duration::from_secs(5)).await;
        Worker::start(&again, PEER_KEY, settings("default", 20))
    });
    let status = story.ended("rollback", &execution).await;
    if status == PipelineExecutionStatus::Failed {
        eprintln!("the rollback failed: {}", story.failure("rollback", &execution, "Rollback"));
    }
    let calls = simulator.calls_of(WORKER_KEY);
    story.pass(Duration::from_secs(120)).await;
    let mut services = Vec::new();
    for app in &apps {
        for service in [app.name.clone(), app.canary_name()] {
            let deployments = story.deployments(&service).await;
            services.push((
                service.clone(),
                story.runs(&service),
                story.digests(&service),
                story.percents(&service),
                deployments,
            ));
        }
    }
    (End { status, services }, calls)
}

fn play(plan: Option<FaultPlan>) -> Result<(End, Vec<SentCall>), String> {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    catch_unwind(AssertUnwindSafe(|| runtime.block_on(tell(plan)))).map_err(said)
}

/// Tries faults at the calls of the rollback; each must end as without.
fn each_call(variable: &str, seed: u64, faults: impl Fn(&SentCall) -> Vec<FaultPlan>) {
    let (whole, calls) = play(None).expect("the undisturbed rollback comes to its end");
    assert_eq!(whole.status, PipelineExecutionStatus::Succeeded);
    for (service, runs, _, percents, deployments) in &whole.services {
        let own = if service.starts_with("search") { (50, 200) } else { (100, 200) };
        assert_eq!((runs, percents, deployments), (&format!("{service}:1"), &own, &3), "{service}");
    }
    let (mut tried, mut wrong) = (0, Vec::new());
    for call in Extent::told(variable, 2).of(calls.iter(), seed) {
        for plan in faults(call) {
            tried += 1;
            match play(Some(plan.clone())) {
                Ok((end, _)) if end == whole => {}
                other => wrong.push(format!("{plan:?} at {call}: {:#?}", other.map(|(end, _)| end))),
            }
        }
    }
    println!("a fleet rollback: {tried} tried, {} ended otherwise", wrong.len());
    assert!(tried > 0 && wrong.is_empty(), "{} of {tried} ended otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_fleet_is_rolled_back_whoever_dies() {
    each_call("COALMINE_KILLS", 5, |call| {
        [Moment::BeforeTheAct, Moment::AfterTheAct]
            .map(|moment| FaultPlan::at(WORKER_KEY, call.number, Fault::Kill(moment)))
            .into()
    });
}

#[test]
fn a_fleet_is_rolled_back_whatever_call_fails_for_a_while() {
    each_call("COALMINE_FAULTS", 6, |call| {
        let lasting = |fault: Fault| {
            let rule = Rule::new(fault).from_call(call.number).operation(&call.operation).subject(&call.subject);
            FaultPlan::seeded(6).rule(rule.times(ATTEMPTS).caller(WORKER_KEY))
        };
        [Fault::Throttle, Fault::Reset(Moment::AfterTheAct)].map(lasting).into()
    });
}
