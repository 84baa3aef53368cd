//! What earlier scans found counts only for who looks where they looked, and only as far as no other janitor knows better.

use coalmine_janitor::cli::EXIT_OK;
use serde_json::Value;

use crate::grants::{BUCKET, MEMORY};
use crate::yard::{EAGER, JANITOR_KEY, Yard, condemned, packed};

fn with_policy(seed: u64, further: &str) -> Yard {
    let yard = Yard::new(seed, &format!("{EAGER}{further}"));
    for (tag, age) in [("v1", 400), ("v2", 300), ("v3", 1)] {
        yard.push("app", tag, age);
    }
    yard
}

/// Two complete scans have to have looked at it, not one.
#[tokio::test(start_paused = true)]
async fn a_source_that_is_read_from_today_on_makes_every_image_wait_anew() {
    let mut yard = with_policy(320, "[sources]\nlambda = false\n");
    yard.plan().await;
    yard.pass(1).await;
    yard.change_policy(EAGER);
    let swept = yard.sweep().await;
    assert_eq!((swept.code, yard.images("app"), &swept.head()["waiting"]), (EXIT_OK, 15, &10.into()));
    yard.pass(1).await;
    yard.sweep().await;
    assert_eq!(yard.tags("app"), ["v3"]);
}

#[tokio::test(start_paused = true)]
async fn an_age_or_a_guard_that_is_changed_makes_no_image_wait_anew() {
    let mut yard = with_policy(321, "");
    yard.plan().await;
    yard.pass(1).await;
    yard.change_policy(&EAGER.replace("keep_newest = 1", "keep_newest = 1\nmin_age = \"60d\""));
    yard.sweep().await;
    assert_eq!(yard.tags("app"), ["v3"]);
}

/// Two that look at different things and remember in one place: neither may believe the other.
#[tokio::test(start_paused = true)]
async fn two_policies_that_share_a_memory_delete_nothing_by_each_others_scans() {
    let mut yard = with_policy(322, "[sources]\nlambda = false\n");
    for further in ["", "[sources]\nlambda = false\n", "", "[sources]\nlambda = false\n"] {
        yard.plan().await;
        yard.pass(1).await;
        yard.change_policy(&format!("{EAGER}{further}"));
        yard.sweep().await;
        assert_eq!(yard.images("app"), 15);
    }
}

/// The other one has written it between this one's scan and its deletions.
#[tokio::test(start_paused = true)]
async fn what_another_janitor_has_found_in_use_since_is_not_deleted() {
    let yard = with_policy(323, "");
    yard.plan().await;
    yard.pass(1).await;
    let kept = yard.world(|world| world.ecr.digest("app", "v2").expect("v2"));
    let mut other: Value = yard.memory();
    condemned(&mut other, "app").for_each(|digests| digests.retain(|digest| *digest != kept));
    let mut other = Some(packed(&other));
    yard.simulator.before_call(move |worlds, call| {
        let writes = call.access_key == JANITOR_KEY && call.operation == "PutObject";
        if let Some(body) = writes.then(|| other.take()).flatten() {
            let world = worlds.home();
            world.s3.put(BUCKET, MEMORY, body.into(), world.now);
        }
    });
    let swept = yard.sweep().await;
    // Its children stay with it.
    assert_eq!((swept.code, yard.tags("app"), yard.images("app")), (EXIT_OK, vec!["v2".to_owned(), "v3".into()], 10));
    let told = swept.lines.iter().find(|line| line["digest"] == kept && line["outcome"] == "kept").expect("a line");
    assert!(told["why"].as_str().is_some_and(|why| why.contains("another janitor")), "{told}");
}
