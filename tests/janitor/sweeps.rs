//! The main story: what is old and unreferenced goes after two scans, and everything else stays.

use coalmine_janitor::cli::{EXIT_OK, EXIT_PLANNED};
use simulator::Service;

use crate::yard::{EAGER, HOST, Yard};

#[tokio::test(start_paused = true)]
async fn what_two_scans_condemn_goes_and_what_runs_stays() {
    let yard = Yard::new(1, EAGER);
    for (tag, age) in [("v1", 400), ("v2", 300), ("v3", 200), ("v4", 100), ("v5", 1)] {
        yard.push("app", tag, age);
    }
    yard.run("app", &format!("{HOST}/app:v2"));

    let first = yard.plan().await;
    assert_eq!(first.code, EXIT_OK, "{:#}", first.head());
    assert_eq!(first.head()["waiting"], 15, "{:#}", first.head());
    let too_early = yard.sweep().await;
    assert_eq!((too_early.code, yard.images("app")), (EXIT_OK, 25));
    assert_eq!(yard.calls(Service::Ecr, "BatchDeleteImage"), 0);

    yard.pass(1).await;
    let second = yard.plan().await;
    assert_eq!((second.code, &second.head()["to_delete"]), (EXIT_PLANNED, &15.into()), "{:#}", second.head());
    let swept = yard.sweep().await;
    assert_eq!(swept.code, EXIT_OK, "{:?}", swept.lines.last());
    assert_eq!(yard.tags("app"), ["v2", "v5"]);
    assert_eq!(yard.images("app"), 10);
    insta::assert_snapshot!(yard.why("app:v2").await, @r"
    app@sha256:781a8b39836a1368d805e2131a0e346a305fe83bec97b264bec6acd473dd9438 (v2)
      stays: service prod/app → task definition app:1 → container web → 123456789012.dkr.ecr.eu-central-1.amazonaws.com/app:v2
    ");
}

/// Without a pull-time exclusion reading the manifests of indexes counts as pulling them: they begin to age anew, once.
#[tokio::test(start_paused = true)]
async fn where_reading_a_manifest_counts_as_a_pull_deletions_only_come_later() {
    let yard = Yard::new(2, EAGER);
    yard.world(|world| world.ecr.batch_get_counts_as_pull = true);
    for (tag, age) in [("v1", 400), ("v2", 1)] {
        yard.push("app", tag, age);
    }
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v1", "v2"]);
    yard.pass(31).await;
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v2"]);
    assert_eq!(yard.calls(Service::Ecr, "BatchGetImage"), 1);
}
