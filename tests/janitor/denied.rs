//! Replicas of AWS that lag behind: what one list shows and another answer denies is not gone while it is still listed.

use coalmine_janitor::cli::EXIT_INCOMPLETE;
use serde_json::json;
use simulator::faults::{Fault, FaultPlan, Rule};
use simulator::{ErrorReply, Service};

use crate::furnished::{self, POLICY};
use crate::yard::{EAGER, HOST, JANITOR_KEY, Yard, definition};

/// Old releases, a young one, and something that could go.
fn yard(seed: u64) -> Yard {
    let yard = Yard::new(seed, EAGER);
    for (tag, age) in [("v1", 400), ("v2", 300), ("v3", 1)] {
        yard.push("app", tag, age);
    }
    yard
}

/// A sweep while an operation's answers are wrong: nothing goes, and it is told what is missing.
async fn stops(yard: &Yard, told: &str, rule: Rule) {
    let before = yard.all();
    yard.simulator.inject(FaultPlan::seeded(1).rule(rule.caller(JANITOR_KEY)));
    let swept = yard.sweep().await;
    assert_eq!((swept.code, yard.all()), (EXIT_INCOMPLETE, before), "{told}: {}", swept.head());
    assert!(swept.head()["missing"].to_string().contains(told), "{told}: {}", swept.head()["missing"]);
    assert_eq!(yard.calls(Service::Ecr, "BatchDeleteImage"), 0);
}

fn denied() -> Fault {
    Fault::Refuse(ErrorReply::new("ClientException", "Unable to describe task definition."))
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_listed_and_said_to_be_missing_stops_all_deletions() {
    let yard = yard(300);
    yard.run("app", &format!("{HOST}/app:v2"));
    yard.plan().await;
    yard.pass(1).await;
    let missing = Rule::new(Fault::Failures("MISSING".into())).operation("DescribeTasks");
    stops(&yard, "is listed, but cannot be described", missing).await;
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_is_listed_as_active_and_cannot_be_described_stops_all_deletions() {
    let yard = yard(301);
    yard.world(|world| world.add_task_definition(&definition("job", &format!("{HOST}/app:v2"))).expect("a revision"));
    // No plan before it has read the revision: nothing of it is remembered.
    yard.plan().await;
    let mut memory = yard.memory();
    memory["cache"]["definitions"] = json!({});
    yard.set_memory(&memory);
    yard.pass(1).await;
    let listed =
        "task definitions were not read, the first of them arn:aws:ecs:eu-central-1:123456789012:task-definition/job:1";
    stops(&yard, listed, Rule::new(denied()).operation("DescribeTaskDefinition")).await;
}

/// It was listed, deregistered and deleted: the second list shows that.
#[tokio::test(start_paused = true)]
async fn a_revision_that_was_deleted_since_it_was_listed_stops_nothing() {
    let yard = yard(302);
    yard.world(|world| world.add_task_definition(&definition("job", &format!("{HOST}/app:v2"))).expect("a revision"));
    let refused = Rule::new(denied()).caller(JANITOR_KEY).operation("DescribeTaskDefinition");
    yard.simulator.inject(FaultPlan::seeded(302).rule(refused));
    let begin = yard.simulator.clock().now();
    yard.simulator.before_call(move |worlds, call| {
        let world = worlds.home();
        if call.operation == "DescribeTaskDefinition" && call.at > begin {
            let _ = world.operate("DeregisterTaskDefinition", json!({"taskDefinition": "job:1"}));
        }
    });
    let planned = yard.plan().await;
    assert_eq!(planned.head()["missing"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn whatever_is_listed_and_denied_in_a_furnished_account_stops_all_deletions() {
    let not_found = |code: &str| Fault::Refuse(ErrorReply::new(code, "no such thing").with_status(404));
    for (told, rule) in [
        (
            "ecs DescribeServiceRevisions",
            Rule::new(Fault::Failures("MISSING".into())).operation("DescribeServiceRevisions"),
        ),
        (
            "ecs DescribeDaemonRevisions",
            Rule::new(Fault::Failures("MISSING".into())).operation("DescribeDaemonRevisions"),
        ),
        (
            "ecs DescribeDaemonDeployments",
            Rule::new(Fault::Failures("MISSING".into())).operation("DescribeDaemonDeployments"),
        ),
        ("ecs DescribeDaemon failed", Rule::new(not_found("DaemonNotFoundException")).operation("DescribeDaemon")),
        ("lambda GetFunction", Rule::new(not_found("ResourceNotFoundException")).operation("GetFunction")),
        ("codebuild BatchGetProjects", Rule::new(Fault::Failures("gone".into())).operation("BatchGetProjects")),
        ("events ListTargetsByRule", Rule::new(not_found("ResourceNotFoundException")).operation("ListTargetsByRule")),
        ("scheduler GetSchedule", Rule::new(not_found("ResourceNotFoundException")).operation("GetSchedule")),
        (
            "ecs ListServiceDeployments",
            Rule::new(not_found("ServiceNotFoundException")).operation("ListServiceDeployments"),
        ),
    ] {
        let yard = Yard::new(303, POLICY);
        furnished::furnish(&yard);
        yard.plan().await;
        let mut memory = yard.memory();
        for of in ["revisions", "deployments"] {
            memory["cache"][of] = json!({});
        }
        yard.set_memory(&memory);
        yard.pass(1).await;
        stops(&yard, told, rule).await;
    }
}

/// What it comes from is what a rollback returns to.
#[tokio::test(start_paused = true)]
async fn a_deployment_that_is_under_way_and_said_to_be_missing_stops_all_deletions() {
    let yard = yard(304);
    yard.run("app", &format!("{HOST}/app:v1"));
    yard.plan().await;
    yard.pass(1).await;
    yard.world(|world| {
        let next = definition("app", &format!("{HOST}/app:v3"));
        let next = world.add_task_definition(&next).expect("a revision");
        let raw = json!({"cluster": "prod", "service": "app", "taskDefinition": next});
        world.operate("UpdateService", raw).expect("a service");
    });
    let missing = Rule::new(Fault::Failures("MISSING".into())).operation("DescribeServiceDeployments");
    stops(&yard, "service-deployment/prod/app", missing).await;
}
