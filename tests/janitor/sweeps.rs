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
    insta::assert_snapshot!(yard.why("app:v2").await, @"");
}
