//! What a run tells, beside what it does: notices for people, numbers for CloudWatch. To look changes nothing.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use coalmine_janitor::cli::{EXIT_GUARDED, EXIT_INCOMPLETE, EXIT_OK, EXIT_PLANNED, EXIT_REFUSED};
use coalmine_janitor::metrics::NAMESPACE;
use serde_json::{Value, json};
use simulator::ecr::ImageSpec;
use simulator::faults::{Fault, FaultPlan, Rule};

use crate::yard::{EAGER, HOST, JANITOR_KEY, Yard, definition};

fn with_policy(seed: u64, policy: &str) -> Yard {
    let yard = Yard::new(seed, policy);
    for (tag, age) in [("v1", 400), ("v2", 300), ("v3", 1)] {
        yard.push("app", tag, age);
    }
    yard
}

/// Calls of the janitor's that change something, but for those that write its memory.
fn changes(yard: &Yard) -> Vec<String> {
    let calls = yard.simulator.calls_of(JANITOR_KEY);
    let reads = ["Describe", "List", "Get", "BatchGet", "AssumeRole"];
    let changes = calls.iter().filter(|call| !reads.iter().any(|read| call.operation.starts_with(read)));
    changes.filter(|call| !call.subject.contains("janitor/")).map(ToString::to_string).collect()
}

fn number(metrics: &Option<Value>, name: &str) -> u64 {
    metrics.as_ref().and_then(|metrics| metrics[name].as_u64()).expect("a number")
}

#[tokio::test(start_paused = true)]
async fn a_scan_and_a_dry_run_change_nothing_and_count_what_they_saw() {
    let yard = with_policy(370, EAGER);
    let before = yard.simulator.calls_of(JANITOR_KEY).len();
    let (scanned, metrics) = yard.scan().await;
    assert_eq!(scanned.head()["to_delete"], 0);
    assert_eq!(metrics.as_ref().expect("metrics")["_aws"]["CloudWatchMetrics"][0]["Namespace"], NAMESPACE);
    assert_eq!((number(&metrics, "ImagesKept"), number(&metrics, "ImagesWaiting")), (15, 10));
    let written = yard.simulator.calls_of(JANITOR_KEY)[before..].iter().any(|call| call.operation == "PutObject");
    assert!(!written, "a scan remembers nothing");
    yard.plan().await;
    yard.pass(1).await;
    let (dry, metrics) = yard.sweep_counted(true).await;
    assert_eq!((dry.code, &dry.head()["to_delete"], yard.images("app")), (EXIT_PLANNED, &10.into(), 15));
    assert_eq!((number(&metrics, "ImagesPlanned"), number(&metrics, "ImagesDeleted")), (10, 0));
    assert_eq!(changes(&yard), Vec::<String>::new());
}

/// Its time for reading is not over then.
#[tokio::test(start_paused = true)]
async fn whoever_is_asked_may_take_an_hour_to_answer() {
    let yard = with_policy(376, EAGER);
    yard.plan().await;
    yard.pass(1).await;
    let swept = yard
        .sweep_asking(&|_| {
            // Time goes on at the first look at it.
            let mut hour = pin!(tokio::time::advance(Duration::from_secs(3_600)));
            hour.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
        })
        .await;
    assert_eq!((swept.code, yard.tags("app")), (EXIT_OK, vec!["v3".to_owned()]), "{:?}", swept.lines.last());
}

#[tokio::test(start_paused = true)]
async fn to_ask_why_counts_nothing() {
    let yard = with_policy(371, EAGER);
    let run = yard.begin_through(&yard.simulator.sdk_config(JANITOR_KEY)).await.expect("a run");
    run.why(&mut Vec::new(), true, "app:v1").await.expect("an image");
    assert_eq!(run.metrics(), None);
}

#[tokio::test(start_paused = true)]
async fn what_a_guard_held_back_aws_refused_or_nobody_could_read_is_counted() {
    let guarded = with_policy(372, &EAGER.replace("100", "34"));
    guarded.plan().await;
    guarded.pass(1).await;
    let (ended, metrics) = guarded.sweep_counted(false).await;
    let counted = ["ImagesDeleted", "ImagesHeldBack", "GuardTripped", "Incomplete", "DeletesRefused"];
    assert_eq!((ended.code, counted.map(|name| number(&metrics, name))), (EXIT_GUARDED, [5, 5, 1, 0, 0]));

    let refused = with_policy(373, EAGER);
    refused.plan().await;
    refused.pass(1).await;
    let rule = Rule::new(Fault::Failures("NewRefusal".into())).caller(JANITOR_KEY).operation("BatchDeleteImage");
    refused.simulator.inject(FaultPlan::seeded(373).rule(rule));
    let (ended, metrics) = refused.sweep_counted(false).await;
    assert_eq!(ended.code, EXIT_REFUSED);
    assert!(number(&metrics, "DeletesRefused") > 0, "{metrics:?}");
    assert_eq!(number(&metrics, "ImagesPlanned"), 10);
    assert_eq!(number(&metrics, "ImagesDeleted") as usize, 15 - refused.images("app"));

    let incomplete = with_policy(374, EAGER);
    incomplete.run("app", &format!("{HOST}/app:v3"));
    incomplete.plan().await;
    incomplete.pass(1).await;
    let rule = Rule::new(Fault::AccessDenied).caller(JANITOR_KEY).operation("ListTasks");
    incomplete.simulator.inject(FaultPlan::seeded(374).rule(rule));
    let (ended, metrics) = incomplete.sweep_counted(false).await;
    let counted = ["ImagesDeleted", "ImagesPlanned", "Incomplete", "IncompleteSources"];
    assert_eq!((ended.code, counted.map(|name| number(&metrics, name))), (EXIT_INCOMPLETE, [0, 0, 1, 1]));
}

#[tokio::test(start_paused = true)]
async fn a_careful_reader_is_told_what_is_not_read_what_ecr_deletes_and_what_is_in_the_archive() {
    let yard = with_policy(375, &format!("{EAGER}[sources]\nlambda = false\n"));
    let at = yard.days_ago(50);
    let needed = yard.world(|world| {
        let lifecycle = json!({"rules": [{"rulePriority": 1, "selection": {"tagStatus": "untagged",
            "countType": "imageCountMoreThan", "countNumber": 900}, "action": {"type": "expire"}}]});
        world.ecr.set_lifecycle_policy("app", &lifecycle.to_string()).expect("a lifecycle policy");
        let spec = ImageSpec::new("app", "cold", at);
        let spec = ImageSpec { architectures: vec!["arm64".into()], attestations: false, ..spec };
        let needed = world.ecr.push(spec);
        world.ecr.archive("app", "cold", at).expect("an image");
        world.add_task_definition(&definition("app", &format!("{HOST}/app:cold"))).expect("a task definition");
        needed
    });
    let told = yard.told().await;
    for line in [
        "Not read: Lambda functions in 123456789012/eu-central-1: switched off".to_owned(),
        "app has a lifecycle policy, too: ECR deletes by that whatever is in use".to_owned(),
        format!("ALARM: app@{needed} is in the archive, but something needs it: restore it"),
    ] {
        assert!(told.contains(&line), "{line}: {told}");
    }
}
