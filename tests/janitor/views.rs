//! A view that is not complete becomes no act; one that comes in pieces is put together.

use coalmine_janitor::cli::{EXIT_INCOMPLETE, EXIT_OK, EXIT_REFUSED};
use simulator::Service;
use simulator::faults::{Fault, FaultPlan, Rule};

use crate::yard::{EAGER, HOST, JANITOR_KEY, Yard};

/// Old releases, all of which run, and a young one.
fn yard(seed: u64) -> Yard {
    let yard = Yard::new(seed, EAGER);
    for (tag, age) in [("v1", 400), ("v2", 300), ("v3", 200), ("v4", 1)] {
        yard.push("app", tag, age);
    }
    for (service, tag) in [("a", "v1"), ("b", "v2"), ("c", "v3")] {
        yard.run(service, &format!("{HOST}/app:{tag}"));
    }
    yard
}

#[tokio::test(start_paused = true)]
async fn what_ecs_did_not_tell_of_a_service_or_a_task_stops_all_deletions() {
    for (seed, operation) in [(40, "DescribeServices"), (41, "DescribeTasks")] {
        let yard = yard(seed);
        // Something could go.
        yard.push("old", "v1", 400);
        yard.push("old", "v2", 1);
        yard.plan().await;
        yard.pass(1).await;
        let failing = Rule::new(Fault::Failures("ACCESS_DENIED".into())).caller(JANITOR_KEY).operation(operation);
        yard.simulator.inject(FaultPlan::seeded(seed).rule(failing));
        let swept = yard.sweep().await;
        assert_eq!(swept.code, EXIT_INCOMPLETE, "{operation}");
        assert!(swept.head()["missing"].to_string().contains("ACCESS_DENIED"), "{}", swept.head()["missing"]);
        assert_eq!(yard.calls(Service::Ecr, "BatchDeleteImage"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_page_does_not_end_a_list() {
    let yard = yard(42);
    for operation in ["ListTaskDefinitions", "ListServices", "ListTasks", "ListClusters"] {
        let empty = Rule::new(Fault::EmptyPage).caller(JANITOR_KEY).operation(operation).times(1);
        yard.simulator.inject(FaultPlan::seeded(42).rule(empty));
    }
    let first = yard.plan().await;
    assert_eq!((first.code, &first.head()["waiting"]), (EXIT_OK, &0.into()), "{:#}", first.head());
}

#[tokio::test(start_paused = true)]
async fn what_aws_refuses_to_delete_is_told_and_counted() {
    let yard = yard(43);
    yard.push("old", "v1", 400);
    yard.push("old", "v2", 1);
    yard.plan().await;
    yard.pass(1).await;
    let planned = yard.plan().await;
    assert_eq!(planned.head()["kept"].to_string(), r#"{"in_use":15,"newest":10}"#);
    let refused = Rule::new(Fault::Failures("NewRefusal".into())).caller(JANITOR_KEY).operation("BatchDeleteImage");
    yard.simulator.inject(FaultPlan::seeded(43).rule(refused));
    let swept = yard.sweep().await;
    assert_eq!(swept.code, EXIT_REFUSED, "{:?}", swept.lines);
    assert!(swept.lines.iter().any(|line| line["why"].as_str().is_some_and(|why| why.contains("NewRefusal"))));
    assert_eq!(yard.images("old"), 10);
}
