//! What is kept though it does not run now, or not where one would look: former deployments, what is on its way out, what
//! AWS manages by itself.

use std::time::Duration;

use coalmine_janitor::cli::{EXIT_INCOMPLETE, EXIT_OK};
use coalmine_worker::ledger::history::{Entry, Ran};
use serde_json::{Value, json};
use simulator::Service;
use simulator::ecs::ServiceSpec;
use simulator::faults::{Fault, FaultPlan, Rule};

use crate::grants::BUCKET;
use crate::yard::{EAGER, HOST, JANITOR_KEY, Yard, definition};

/// Of each family only the newest revision counts by itself.
const STRICT: &str = "[references]\nkeep_revisions = 1\nwindow = \"1d\"\n";

/// Old releases `v1` to `v5`, and a young one.
fn with_policy(seed: u64, further: &str) -> Yard {
    let yard = Yard::new(seed, &format!("{EAGER}{further}"));
    for (tag, age) in [("v1", 400), ("v2", 300), ("v3", 200), ("v4", 150), ("v5", 100), ("young", 1)] {
        yard.push("app", tag, age);
    }
    yard
}

fn operate(yard: &Yard, operation: &str, raw: Value) -> Value {
    yard.world(|world| world.operate(operation, raw).expect("an answer"))
}

/// Registers a revision so many days ago and deregisters it: only what refers to it keeps its image.
fn inactive(yard: &Yard, raw: &Value, days_ago: u32) -> String {
    let at = yard.days_ago(days_ago);
    let arn = yard.world(|world| world.add_task_definition_at(raw, at).expect("a task definition"));
    operate(yard, "DeregisterTaskDefinition", json!({"taskDefinition": arn}));
    arn
}

#[tokio::test(start_paused = true)]
async fn the_last_three_successful_deployments_keep_their_images_and_the_fourth_does_not() {
    let yard = with_policy(350, STRICT);
    yard.run("app", &format!("{HOST}/app:v1"));
    for tag in ["v2", "v3", "v4", "v5"] {
        let raw = definition("app", &format!("{HOST}/app:{tag}"));
        let arn = yard.world(|world| world.add_task_definition(&raw).expect("a task definition"));
        operate(&yard, "UpdateService", json!({"cluster": "prod", "service": "app", "taskDefinition": arn}));
        yard.simulator.clock().wait(Duration::from_secs(3_600)).await;
    }
    // They were pulled when they were deployed.
    yard.pass(40).await;
    yard.push("app", "newest", 0);
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["newest", "v3", "v4", "v5"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_being_deleted_keeps_its_image_while_it_drains() {
    let yard = with_policy(351, STRICT);
    let settled = ServiceSpec::new("prod", "app", definition("app", &format!("{HOST}/app:v2")), 2);
    yard.world(|world| world.add_service(settled).expect("a service"));
    operate(&yard, "DeregisterTaskDefinition", json!({"taskDefinition": "app:1"}));
    yard.pass(3).await;
    yard.plan().await;
    yard.pass(1).await;
    operate(&yard, "DeleteService", json!({"cluster": "prod", "service": "app", "force": true}));
    yard.sweep().await;
    assert_eq!(yard.tags("app"), ["v2", "young"]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_being_stopped_keeps_its_image() {
    let yard = with_policy(352, STRICT);
    yard.run("other", &format!("{HOST}/app:young"));
    let arn = yard.world(|world| {
        world.add_task_definition(&definition("job", &format!("{HOST}/app:v2"))).expect("a task definition")
    });
    let started = operate(&yard, "RunTask", json!({"cluster": "prod", "taskDefinition": arn}));
    let task = started["tasks"][0]["taskArn"].as_str().expect("a task").to_owned();
    yard.simulator.clock().wait(Duration::from_secs(300)).await;
    operate(&yard, "DeregisterTaskDefinition", json!({"taskDefinition": arn}));
    // It was pulled when it began.
    yard.pass(40).await;
    yard.push("app", "newest", 0);
    yard.plan().await;
    yard.pass(1).await;
    let mut task = Some(task);
    yard.simulator.before_call(move |worlds, call| {
        if call.access_key == JANITOR_KEY
            && call.operation == "ListTasks"
            && let Some(task) = task.take()
        {
            let raw = json!({"cluster": "prod", "task": task});
            worlds.home().operate("StopTask", raw).expect("a task that runs");
        }
    });
    yard.sweep().await;
    assert!(yard.tags("app").contains(&"v2".to_owned()), "{:?}", yard.tags("app"));
}

/// Whether a plain list shows them is not documented.
#[tokio::test(start_paused = true)]
async fn an_express_service_keeps_its_image_whether_or_not_a_plain_list_shows_it() {
    for (seed, hidden) in [(353, false), (354, true)] {
        let yard = with_policy(seed, STRICT);
        let spec = ServiceSpec::new("prod", "app", definition("app", &format!("{HOST}/app:v2")), 0);
        yard.world(|world| {
            world.add_service(spec).expect("a service");
            world.manage_by_ecs("prod", "app").expect("a service");
            world.ecs.lists_hide_express = hidden;
        });
        operate(&yard, "DeregisterTaskDefinition", json!({"taskDefinition": "app:1"}));
        yard.pass(3).await;
        yard.clean().await;
        assert_eq!(yard.tags("app"), ["v2", "young"], "hidden: {hidden}");
        assert!(yard.why("app:v2").await.contains("Express service app"), "it is told what it is");
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_keeps_what_it_runs_after_its_tag_has_moved() {
    let yard = with_policy(355, "");
    let runs = yard.world(|world| {
        world.add_function("resize", &format!("{HOST}/app:v2")).expect("a function");
        let runs = world.ecr.digest("app", "v2").expect("an image");
        world.ecr.tag("app", "young", "v2").expect("an image");
        runs
    });
    yard.clean().await;
    assert!(yard.all()["app"].contains(&runs));
    assert_eq!((yard.tags("app"), yard.images("app")), (vec!["v2".to_owned(), "young".into()], 10));
}

#[tokio::test(start_paused = true)]
async fn a_function_of_which_the_list_does_not_say_what_it_is_made_of_is_asked_for_it() {
    let yard = with_policy(356, "");
    yard.world(|world| {
        world.add_function("resize", &format!("{HOST}/app:v2")).expect("a function");
        world.add_zip_function("plain");
        world.lambda.hides_package_type = true;
    });
    let swept = yard.clean().await;
    assert_eq!((swept.code, yard.tags("app")), (EXIT_OK, vec!["v2".to_owned(), "young".into()]));
}

fn put(yard: &Yard, key: &str, body: &Value) {
    yard.world(|world| world.s3.put(BUCKET, key, body.to_string().into(), world.now));
}

/// A release names the containers that it brings; a rollback starts the others, too.
#[tokio::test(start_paused = true)]
async fn a_release_that_can_be_returned_to_keeps_the_containers_that_it_did_not_name() {
    let yard = with_policy(357, &format!("{STRICT}[sources]\nledger = \"s3://{BUCKET}/worker\"\n"));
    let raw = json!({"family": "shop", "containerDefinitions": [
        {"name": "web", "image": format!("{HOST}/app:v1"), "memory": 64},
        {"name": "sidecar", "image": format!("{HOST}/app:v2"), "memory": 64},
    ]});
    inactive(&yard, &raw, 300);
    let gone = inactive(&yard, &definition("gone", &format!("{HOST}/app:v3")), 300);
    yard.run("shop", &format!("{HOST}/app:young"));
    put(&yard, "worker/releases/r1.json", &json!({"schema": 1, "release": "r1", "images": [format!("{HOST}/app:v1")]}));
    assert!(gone.ends_with("gone:1"));
    // A service that does not exist any more is not rolled back.
    for service in ["shop", "gone"] {
        // As the worker writes it.
        let revision = format!("{service}:1").parse().expect("a revision");
        let ran = Ran::new("r1", "pipeline", (1, 2), revision);
        let entry = Entry { cluster: "prod".into(), service: service.into(), began: 1, release: "r1".into() };
        put(&yard, &format!("worker/{}", entry.key()), &serde_json::to_value(ran).expect("JSON"));
    }
    yard.pass(3).await;
    let swept = yard.clean().await;
    assert_eq!((swept.code, yard.tags("app")), (EXIT_OK, ["v1", "v2", "young"].map(str::to_owned).to_vec()));
    let why = yard.why("app:v2").await;
    assert!(why.contains("release r1 → service prod/shop → task definition shop:1 → container sidecar"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn what_a_service_ran_and_is_not_understood_stops_all_deletions() {
    for (entry, told) in [
        (json!({"schema": 2, "revision": "shop:1"}), "raise the janitor"),
        (json!({"schema": 1}), "cannot be understood"),
        (json!({"schema": 1, "revision": "shop"}), "is no revision of a task definition"),
    ] {
        let yard = with_policy(358, &format!("[sources]\nledger = \"s3://{BUCKET}/worker\"\n"));
        put(&yard, "worker/services/prod/shop/000000000001-r1.json", &entry);
        let swept = yard.clean().await;
        assert_eq!((swept.code, yard.images("app")), (EXIT_INCOMPLETE, 30), "{entry}");
        assert!(swept.head()["missing"].to_string().contains(told), "{}", swept.head()["missing"]);
    }
}

#[tokio::test(start_paused = true)]
async fn one_cluster_that_may_not_be_read_beside_one_that_may_stops_all_deletions() {
    for (seed, operation) in
        [(359, "ListServices"), (360, "DescribeServices"), (361, "ListTasks"), (362, "DescribeTasks")]
    {
        let yard = with_policy(seed, "");
        for (cluster, tag) in [("prod", "v1"), ("stage", "v2")] {
            let spec = ServiceSpec::new(cluster, "app", definition("app", &format!("{HOST}/app:{tag}")), 1);
            yard.world(|world| world.add_service(spec).expect("a service"));
        }
        yard.plan().await;
        yard.pass(1).await;
        let denied = Rule::new(Fault::AccessDenied).caller(JANITOR_KEY).operation(operation).member("cluster", "stage");
        yard.simulator.inject(FaultPlan::seeded(seed).rule(denied));
        let swept = yard.sweep().await;
        assert_eq!((swept.code, yard.images("app")), (EXIT_INCOMPLETE, 30), "{operation}");
        assert!(swept.head()["missing"].to_string().contains(&format!("allow ecs:{operation}")), "{}", swept.head());
        assert_eq!(yard.calls(Service::Ecr, "BatchDeleteImage"), 0);
    }
}
