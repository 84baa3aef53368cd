//! Rules and schedules: what they start keeps its image, however they name it.

use coalmine_janitor::cli::{EXIT_INCOMPLETE, EXIT_OK};
use serde_json::json;
use simulator::Service;
use simulator::faults::{Fault, FaultPlan, Rule};

use crate::yard::{EAGER, HOST, JANITOR_KEY, Yard, definition};

/// Old releases `v1` to `v3`, and a young one. Of each family only the newest revision counts by itself.
fn yard(seed: u64) -> Yard {
    let yard = Yard::new(seed, &format!("{EAGER}[references]\nkeep_revisions = 1\n"));
    for (tag, age) in [("v1", 400), ("v2", 300), ("v3", 200), ("v4", 1)] {
        yard.push("app", tag, age);
    }
    yard
}

/// Registers a revision that runs a tag; its ARN.
fn register(yard: &Yard, family: &str, tag: &str, days_ago: u32) -> String {
    let (at, image) = (yard.days_ago(days_ago), format!("{HOST}/app:{tag}"));
    yard.world(|world| world.add_task_definition_at(&definition(family, &image), at).expect("a task definition"))
}

fn rule_runs(yard: &Yard, definition: &str) {
    yard.world(|world| {
        let cluster = world.arn("ecs", "cluster/prod");
        world.eventbridge.add_task_target("default", "nightly", &cluster, definition);
    });
}

fn schedule_calls(yard: &Yard, operation: &str, input: &str) {
    yard.world(|world| world.scheduler.add_call("default", "report", operation, input, world.now));
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_calls_run_task_keeps_what_its_input_names() {
    for (seed, by_arn) in [(100, true), (101, false)] {
        let yard = yard(seed);
        let arn = register(&yard, "report", "v1", 390);
        register(&yard, "report", "v4", 1);
        let named = if by_arn { arn } else { "report:1".to_owned() };
        let input = json!({"Cluster": "prod", "TaskDefinition": named, "LaunchType": "FARGATE"});
        schedule_calls(&yard, "ecs:runTask", &input.to_string());
        assert_eq!((yard.clean().await.code, yard.tags("app")), (EXIT_OK, vec!["v1".to_owned(), "v4".into()]));
        let why = yard.why("app:v1").await;
        assert!(why.contains("schedule default/report → task definition report:1"), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_starts_tasks_of_nobody_knows_what_stops_all_deletions() {
    for (seed, input) in [(102, r#"{"Cluster": "prod"}"#), (103, "{"), (104, r#"{"TaskDefinition": ["report"]}"#)] {
        let yard = yard(seed);
        schedule_calls(&yard, "ecs:runTask", input);
        let swept = yard.clean().await;
        assert_eq!((swept.code, yard.images("app")), (EXIT_INCOMPLETE, 20), "{input}");
        let missing = swept.head()["missing"].to_string();
        assert!(missing.contains("schedule default/report") && missing.contains("TaskDefinition"), "{missing}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_only_scales_a_service_stops_nothing() {
    let yard = yard(105);
    schedule_calls(&yard, "ecs:updateService", r#"{"Cluster": "prod", "Service": "app", "DesiredCount": 0}"#);
    assert_eq!((yard.clean().await.code, yard.tags("app")), (EXIT_OK, vec!["v4".to_owned()]));
}

/// As Terraform writes it, with `arn_without_revision`.
#[tokio::test(start_paused = true)]
async fn a_rule_without_a_revision_keeps_the_newest_of_the_moment() {
    let yard = yard(106);
    register(&yard, "nightly", "v1", 390);
    let newest = register(&yard, "nightly", "v2", 290);
    rule_runs(&yard, newest.rsplit_once(':').expect("a revision").0);
    assert_eq!((yard.clean().await.code, yard.tags("app")), (EXIT_OK, vec!["v2".to_owned(), "v4".into()]));
    let why = yard.why("app:v2").await;
    assert!(why.contains("rule default/nightly") && why.contains("task definition nightly:2"), "{why}");
    register(&yard, "nightly", "v4", 0);
    assert_eq!((yard.clean().await.code, yard.tags("app")), (EXIT_OK, vec!["v4".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_rule_without_a_revision_whose_family_has_no_active_one_keeps_nothing() {
    let yard = yard(107);
    let only = register(&yard, "nightly", "v1", 390);
    rule_runs(&yard, only.rsplit_once(':').expect("a revision").0);
    yard.world(|world| {
        let raw = json!({"taskDefinition": only});
        world.operate("DeregisterTaskDefinition", raw).expect("a task definition");
    });
    assert_eq!((yard.clean().await.code, yard.tags("app")), (EXIT_OK, vec!["v4".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_rule_whose_revision_cannot_be_asked_for_stops_all_deletions() {
    let yard = yard(108);
    let newest = register(&yard, "nightly", "v1", 390);
    rule_runs(&yard, newest.rsplit_once(':').expect("a revision").0);
    yard.plan().await;
    yard.pass(1).await;
    let denied = Rule::new(Fault::AccessDenied).caller(JANITOR_KEY).operation("DescribeTaskDefinition");
    yard.simulator.inject(FaultPlan::seeded(108).rule(denied));
    let swept = yard.sweep().await;
    assert_eq!((swept.code, yard.images("app")), (EXIT_INCOMPLETE, 20));
    let missing = swept.head()["missing"].to_string();
    assert!(missing.contains("allow ecs:DescribeTaskDefinition"), "{missing}");
    assert_eq!(yard.calls(Service::Ecr, "BatchDeleteImage"), 0);
}
