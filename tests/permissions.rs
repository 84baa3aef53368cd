//! The policies that Terraform renders, held against the calls that the programs make. No Terraform is needed: its modules'
//! output is committed in terraform/policies, and a test there holds it against the modules.
//!
//! The stories show the same from recorded calls: every story's worker runs under the rendered policy and may not end with
//! a call that it refused, and `tests/scenarios/permissions.rs` holds what is granted against what releases used.
#![expect(clippy::expect_used, reason = "a test that cannot read something fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What each program's calls imply beside themselves, and why.
const IMPLIED: [(&str, &str, &str); 5] = [
    ("ecs RegisterTaskDefinition", "iam:PassRole", "the task role and the execution role"),
    ("ecs RegisterTaskDefinition", "ecs:TagResource", "it is registered with tags"),
    ("s3 GetObject", "kms:Decrypt", "the bucket is encrypted with a key"),
    ("s3 PutObject", "kms:GenerateDataKey", "the bucket is encrypted with a key"),
    // Where the object is not there, S3 says so only to those who may list.
    ("s3 GetObject", "s3:ListBucket", "to be told that an object is not there"),
];

/// Operations that IAM knows by another name.
const RENAMED: [(&str, &str); 1] = [("s3 ListObjectsV2", "s3:ListBucket")];

/// The files with the calls that only operators' commands make, with the operator's own credentials. (Those that workers
/// make, too, are named in other files as well, and stand in the workers' policy.)
const OPERATORS: [&str; 2] = ["worker/src/aws/approvals.rs", "worker/src/aws/calls.rs"];

/// Calls that need no permission: everybody may ask who he is.
const FREE: [&str; 1] = ["sts GetCallerIdentity"];

/// The services that calls are made of, as adapters name them in their errors: `"ecs UpdateService"`.
const SERVICES: [&str; 11] =
    ["cloudwatch", "codebuild", "codepipeline", "ecr", "ecs", "events", "lambda", "logs", "s3", "scheduler", "sts"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace's folder").to_owned()
}

/// A policy's statements.
fn statements(name: &str) -> Vec<Value> {
    let path = root().join("terraform/policies").join(format!("{name}.json"));
    let document = fs::read_to_string(path).expect(name);
    let document: Value = serde_json::from_str(&document).expect("JSON");
    document["Statement"].as_array().expect("statements").clone()
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn actions(name: &str) -> BTreeSet<String> {
    statements(name).iter().flat_map(|statement| texts(&statement["Action"])).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The calls that the sources of a program name, each where it is made: `"ecs UpdateService"`.
fn calls(folders: &[&str]) -> BTreeSet<String> {
    let mut calls = BTreeSet::new();
    let operators = OPERATORS.map(|file| root().join(file));
    let paths = folders.iter().flat_map(|folder| sources(&root().join(folder)));
    for path in paths.filter(|path| !operators.contains(path)) {
        let text = fs::read_to_string(&path).expect("a source file");
        for quoted in text.split('"').skip(1).step_by(2) {
            if let Some((service, operation)) = quoted.split_once(' ')
                && SERVICES.contains(&service)
                && operation.starts_with(|letter: char| letter.is_ascii_uppercase())
                && operation.chars().all(|letter| letter.is_ascii_alphanumeric())
            {
                calls.insert(quoted.to_owned());
            }
        }
    }
    calls
}

/// The actions that calls need, with what they imply.
fn needed(calls: &BTreeSet<String>) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    for call in calls.iter().filter(|call| !FREE.contains(&call.as_str())) {
        let (service, operation) = call.split_once(' ').expect("a call");
        let renamed = RENAMED.iter().find(|(renamed, _)| renamed == call);
        needed.insert(renamed.map_or_else(|| format!("{service}:{operation}"), |(_, action)| (*action).to_owned()));
        let implied = IMPLIED.iter().filter(|(implying, ..)| implying == call);
        needed.extend(implied.map(|(_, action, _)| (*action).to_owned()));
    }
    needed
}

#[test]
fn the_workers_policy_grants_exactly_what_its_calls_need() {
    let calls = calls(&["worker/src", "door/src/store"]);
    assert!(calls.len() >= 20, "{calls:?}");
    assert_eq!(actions("worker"), needed(&calls), "CONTRIBUTING.md says what a new call takes (\"Add a call\")");
}

/// What the doctor tries, and what it says that it cannot try, is the whole policy.
#[test]
fn the_doctor_knows_every_permission_of_the_worker() {
    let known = coalmine_worker::commands::doctor::permissions::ACTIONS;
    assert_eq!(actions("worker"), known.iter().map(|(action, _)| (*action).to_owned()).collect());
}

#[test]
fn the_janitors_policy_grants_exactly_what_its_calls_need() {
    let calls = calls(&["janitor/src"]);
    if calls.is_empty() {
        // The janitor is not in this tree: there is nothing that its policy could be held against.
        assert!(!root().join("janitor/src").exists(), "the janitor's sources name no calls");
        return;
    }
    let mut calls = &calls | &self::calls(&["door/src/store"]);
    // The state is written over, never deleted.
    calls.remove("s3 DeleteObject");
    let mut needed = needed(&calls);
    // Readers in other accounts: the SDK's credentials assume their roles, which is called nowhere by name.
    needed.insert("sts:AssumeRole".to_owned());
    assert_eq!(actions("janitor-sweep"), needed);
}

#[test]
fn a_scan_may_only_read_and_remember_and_a_sweep_may_also_delete_images() {
    // AssumeRole: of readers in other accounts, whose own policies bound it.
    const READS: [&str; 6] = ["AssumeRole", "BatchGet", "Describe", "Get", "List", "Decrypt"];
    let (scan, sweep) = (actions("janitor-scan"), actions("janitor-sweep"));
    // What the janitor remembers between runs: an object of its own.
    let remembers = ["s3:PutObject", "kms:GenerateDataKey"];
    for action in scan.iter().filter(|action| !remembers.contains(&action.as_str())) {
        let (_, operation) = action.split_once(':').expect("an action");
        assert!(READS.iter().any(|read| operation.starts_with(read)), "a scan may {action}");
    }
    let beside: BTreeSet<&str> = sweep.difference(&scan).map(String::as_str).collect();
    assert_eq!(beside, BTreeSet::from(["ecr:BatchDeleteImage"]));
    for statement in statements("janitor-scan") {
        if texts(&statement["Action"]).contains(&"s3:PutObject".to_owned()) {
            let resource = "arn:aws:s3:::coalmine-worker-ledger-123456789012-eu-central-1/janitor/*";
            assert_eq!(texts(&statement["Resource"]), [resource]);
        }
    }
    assert_eq!(scan.difference(&sweep).count(), 0);
}

#[test]
fn images_are_deleted_only_where_the_repository_carries_the_tag() {
    let deleting: Vec<Value> = statements("janitor-sweep")
        .into_iter()
        .filter(|statement| texts(&statement["Action"]).contains(&"ecr:BatchDeleteImage".to_owned()))
        .collect();
    assert_eq!(deleting.len(), 1);
    assert_eq!(texts(&deleting[0]["Action"]).len(), 1, "the condition is to hold for this action alone");
    let condition = &deleting[0]["Condition"]["StringEquals"]["aws:ResourceTag/coalmine:janitor"];
    assert_eq!(condition, "sweep");
}

#[test]
fn roles_are_passed_by_name_and_to_tasks_alone() {
    for name in ["worker", "janitor-schedule"] {
        let statements = statements(name);
        let passing: Vec<&Value> = statements
            .iter()
            .filter(|statement| texts(&statement["Action"]).contains(&"iam:PassRole".into()))
            .collect();
        assert!(!passing.is_empty(), "{name}");
        for statement in passing {
            for resource in texts(&statement["Resource"]) {
                assert!(resource.starts_with("arn:aws:iam::123456789012:role/"), "{name} passes {resource}");
                assert!(!resource.contains(['*', '?']), "{name} passes {resource}");
            }
            assert_eq!(statement["Condition"]["StringEquals"]["iam:PassedToService"], "ecs-tasks.amazonaws.com");
        }
    }
}

/// Each with its reason: the service authorization reference knows no resource for these, or AWS does more with `*`.
#[test]
fn every_resource_is_called_by_name_but_for_actions_that_know_none() {
    let reasons: BTreeMap<&str, &str> = BTreeMap::from([
        ("codepipeline:AcknowledgeJob", "a job is no resource"),
        ("codepipeline:GetJobDetails", "a job is no resource"),
        ("codepipeline:PutJobFailureResult", "a job is no resource"),
        ("codepipeline:PutJobSuccessResult", "a job is no resource"),
        ("cloudwatch:DescribeAlarms", "composite alarms are shown only to those who may see every alarm"),
        ("codebuild:ListProjects", "knows no resource"),
        ("ecr:DescribeRegistry", "knows no resource"),
        ("ecr:GetRegistryPolicy", "knows no resource"),
        ("ecr:GetAuthorizationToken", "knows no resource"),
        ("ecs:DescribeDaemon", "newer than the reference: unknown"),
        ("ecs:DescribeDaemonDeployments", "newer than the reference: unknown"),
        ("ecs:DescribeDaemonRevisions", "newer than the reference: unknown"),
        ("ecs:DescribeDaemonTaskDefinition", "newer than the reference: unknown"),
        ("ecs:ListDaemonTaskDefinitions", "newer than the reference: unknown"),
        ("ecs:ListDaemons", "newer than the reference: unknown"),
        ("ecs:DescribeTaskDefinition", "knows no resource"),
        ("ecs:ListClusters", "knows no resource"),
        ("ecs:ListServices", "knows no resource"),
        ("ecs:ListTaskDefinitions", "knows no resource"),
        ("ecs:ListTasks", "knows container instances alone; the worker's has the cluster as its condition"),
        ("ecs:RegisterTaskDefinition", "AWS's reference and AWS's example policies do not agree"),
        ("events:ListEventBuses", "knows no resource"),
        ("events:ListRules", "knows no resource"),
        ("lambda:ListFunctions", "knows no resource"),
        ("scheduler:ListSchedules", "knows no resource"),
    ]);
    let mut found = BTreeSet::new();
    for name in ["worker", "worker-execution", "janitor-scan", "janitor-sweep", "janitor-schedule"] {
        for statement in statements(name) {
            assert_eq!(statement["Effect"], "Allow", "{name}");
            if texts(&statement["Resource"]).contains(&"*".to_owned()) {
                found.extend(texts(&statement["Action"]));
            }
            for action in texts(&statement["Action"]) {
                assert!(!action.contains('*'), "{name} grants {action}");
            }
        }
    }
    assert_eq!(found, reasons.keys().map(|action| (*action).to_owned()).collect());
}
