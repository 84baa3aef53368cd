//! What the janitors of the stories may do: what Terraform grants them, and nothing else.

use std::collections::BTreeSet;

use coalmine_janitor::cli::EXIT_REFUSED;
use serde_json::Value;
use simulator::permissions::Policy;

use crate::furnished::{self, POLICY};
use crate::grants::{SCAN, SWEEP, TAG, of_sweeps};
use crate::yard::{JANITOR_KEY, Yard};

fn granted(document: &str) -> BTreeSet<String> {
    Policy::parse(document).expect("a policy").actions().map(str::to_owned).collect()
}

/// A policy without one of its actions.
fn without(document: &str, action: &str) -> Policy {
    let mut document: Value = serde_json::from_str(document).expect("JSON");
    let statements = document["Statement"].as_array_mut().expect("statements");
    for statement in statements.iter_mut() {
        let actions = match statement["Action"].take() {
            Value::Array(actions) => actions,
            one => vec![one],
        };
        statement["Action"] = actions.into_iter().filter(|one| one != action).collect();
    }
    statements.retain(|statement| statement["Action"].as_array().is_some_and(|actions| !actions.is_empty()));
    Policy::parse(&document.to_string()).expect("a policy")
}

#[tokio::test(start_paused = true)]
async fn the_roles_are_granted_nothing_that_a_plan_and_a_sweep_do_not_need() {
    let yard = Yard::new(60, POLICY);
    furnished::furnish(&yard);
    yard.simulator.permit(JANITOR_KEY, Policy::parse(SCAN).expect("a policy"));
    yard.plan().await;
    yard.pass(1).await;
    yard.plan().await;
    assert_eq!(yard.simulator.actions_used(JANITOR_KEY), granted(SCAN));
    yard.simulator.permit(JANITOR_KEY, of_sweeps());
    yard.sweep().await;
    assert_eq!(furnished::left(&yard), furnished::KEPT);
    // Among them what deletes; what only the first look read is remembered by now.
    let remembered = ["ecs:DescribeTaskDefinition", "ecs:DescribeDaemonTaskDefinition", "ecr:BatchGetImage"];
    let used = &yard.simulator.actions_used(JANITOR_KEY) | &remembered.map(str::to_owned).into();
    assert_eq!(&used | &granted(SCAN), granted(SWEEP));
    assert!(used.contains("ecr:BatchDeleteImage"));
}

#[tokio::test(start_paused = true)]
async fn each_permission_that_is_missing_is_named_and_nothing_is_deleted() {
    for action in granted(SWEEP) {
        // A notice: without it the sweep goes on.
        if action == "ecr:GetLifecyclePolicy" {
            continue;
        }
        let yard = Yard::new(61, POLICY);
        furnished::furnish(&yard);
        yard.plan().await;
        yard.pass(1).await;
        // What never changes is remembered; here it has to be read again.
        furnished::renew(&yard);
        let before = yard.all();
        yard.simulator.permit(JANITOR_KEY, without(SWEEP, &action));
        let told = match yard.try_sweep().await {
            Ok(ended) => {
                let is_told = if action == "ecr:BatchDeleteImage" { EXIT_REFUSED } else { 12 };
                assert_eq!(ended.code, is_told, "without {action}: {:#}", ended.head());
                format!("{:?}", ended.lines)
            }
            Err(problem) => problem.to_string(),
        };
        // S3 does not say that it was KMS which refused.
        let named = match action.as_str() {
            "kms:Decrypt" => "s3:GetObject",
            "kms:GenerateDataKey" => "s3:PutObject",
            other => other,
        };
        assert!(told.contains(named), "without {action}: {told}");
        assert!(!yard.simulator.take_refusals().is_empty(), "{action} is not needed");
        assert_eq!(yard.all(), before, "without {action} something was deleted");
    }
}

#[tokio::test(start_paused = true)]
async fn a_repository_without_the_tag_loses_nothing() {
    let yard = Yard::new(62, POLICY);
    furnished::furnish(&yard);
    yard.world(|world| world.ecr.tag_repository("jobs", TAG.0, "scan").expect("a repository"));
    let jobs = yard.images("jobs");
    let swept = yard.clean().await;
    assert_eq!((swept.code, yard.images("jobs")), (EXIT_REFUSED, jobs));
    assert!(!yard.tags("app").contains(&"old".to_owned()), "the others are swept");
    assert!(!yard.simulator.take_refusals().is_empty());
}
