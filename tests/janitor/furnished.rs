//! An account with one of everything that the janitor reads.

use serde_json::json;
use simulator::ecs::ServiceSpec;

use crate::grants::BUCKET;
use crate::yard::{HOST, Yard};

/// The account whose uses are read as well.
const OTHER: &str = "210987654321";

/// A policy that lets everything go that is old, and reads every source there is.
pub(crate) const POLICY: &str = r#"
[defaults]
keep_newest = 1
[[rules]]
repositories = ["**"]
[guards]
max_percent = 100
[sources]
ledger = "s3://coalmine-worker-ledger-123456789012-eu-central-1/worker"
[[readers]]
account = "210987654321"
regions = ["eu-central-1"]
role = "arn:aws:iam::210987654321:role/coalmine-reader"
[[keep_lists]]
file = "s3://coalmine-worker-ledger-123456789012-eu-central-1/janitor/keep.txt"
max_age = "90d"
"#;

/// What a sweep leaves: each for another reason.
pub(crate) const KEPT: &str = "app: by-release by-service by-list by-reader young; \
                               base: by-function by-project young; jobs: by-daemon by-rule by-schedule young";

/// Fills the account. Of each repository `old` and `older` may go.
pub(crate) fn furnish(yard: &Yard) {
    let kept = ["by-service", "by-release", "by-list", "by-reader"];
    for (repository, tags) in [
        ("app", &kept[..]),
        ("base", &["by-function", "by-project"]),
        ("jobs", &["by-rule", "by-schedule", "by-daemon"]),
    ] {
        for (tag, age) in ["older", "old"].iter().chain(tags).zip((0..).map(|place| 400 - place)) {
            yard.push(repository, tag, age);
        }
        yard.push(repository, "young", 1);
    }
    yard.run("app", &format!("{HOST}/app:by-service"));
    yard.begin_service("app-new", &format!("{HOST}/app:by-service"));
    let signed = yard.days_ago(300);
    yard.world(|world| {
        world.ecr.push_referrer("app", "old", "application/vnd.example.sbom", signed).expect("a referrer");
        let lifecycle = json!({"rules": [{"rulePriority": 1, "selection": {"tagStatus": "untagged",
            "countType": "imageCountMoreThan", "countNumber": 900}, "action": {"type": "expire"}}]});
        world.ecr.set_lifecycle_policy("app", &lifecycle.to_string()).expect("a lifecycle policy");
        world.add_function("resize", &format!("{HOST}/base:by-function")).expect("a function");
        world.publish_version("resize");
        world.codebuild.add_project("app", &format!("{HOST}/base:by-project"), world.now);
        // It is being rolled.
        for _ in 0..2 {
            world.add_daemon("prod", "log", &[("log", &format!("{HOST}/jobs:by-daemon"))]).expect("a daemon");
        }
        let cluster = world.arn("ecs", "cluster/prod");
        let mut job = |name: &str| {
            let image = format!("{HOST}/jobs:{name}");
            let job = json!({"family": name, "containerDefinitions": [{"name": "job", "image": image, "memory": 64}]});
            world.add_task_definition(&job).expect("a task definition")
        };
        let (by_rule, by_schedule) = (job("by-rule"), job("by-schedule"));
        world.eventbridge.add_task_target("default", "nightly", &cluster, &by_rule);
        world.scheduler.add_task("default", "hourly", &cluster, &by_schedule, world.now);
        let release =
            json!({"schema": 1, "release": "r1", "images": [format!("{HOST}/app:by-release")], "by": "worker"});
        world.s3.put(BUCKET, "worker/releases/r1.json", release.to_string().into(), world.now);
        world.s3.put(BUCKET, "janitor/keep.txt", "app:by-list until 2030-01-01\n".into(), world.now);
        world.sts.trust("arn:aws:iam::210987654321:role/coalmine-reader");
    });
    let ecr = yard.world(|world| world.ecr.clone());
    yard.simulator.with_world_of(OTHER, "eu-central-1", |world| {
        world.ecr.reach(&ecr);
        let image = format!("{HOST}/app:by-reader");
        let theirs =
            json!({"family": "theirs", "containerDefinitions": [{"name": "web", "image": image, "memory": 64}]});
        world.add_service(ServiceSpec::new("theirs", "theirs", theirs, 1)).expect("a service");
    });
}

/// Adds what has to be described anew, though earlier runs remember all that was there.
pub(crate) fn renew(yard: &Yard) {
    yard.push("app", "newer", 40);
    yard.begin_service("newer", &format!("{HOST}/app:newer"));
    yard.world(|world| {
        world.add_daemon("prod", "trace", &[("trace", &format!("{HOST}/jobs:by-daemon"))]).expect("a daemon");
    });
}

/// The tags that are left, in the words of [`KEPT`].
pub(crate) fn left(yard: &Yard) -> String {
    let order = |tag: &String| KEPT.find(tag.as_str()).unwrap_or(KEPT.len());
    let of = |repository: &str| {
        let mut tags = yard.tags(repository);
        tags.sort_by_key(|tag| (tag == "young", order(tag)));
        format!("{repository}: {}", tags.join(" "))
    };
    ["app", "base", "jobs"].map(of).join("; ")
}
