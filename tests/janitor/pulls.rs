//! When it is asked who else may pull from a repository: always before something goes, and once before it is condemned.

use coalmine_janitor::cli::{EXIT_INCOMPLETE, EXIT_OK};
use serde_json::json;
use simulator::Service;
use simulator::faults::{Fault, FaultPlan, Rule};

use crate::yard::{EAGER, Ended, JANITOR_KEY, Yard};

/// A registry in which a release is old, another one gets old in two days, and one is new: on the third day, on which the
/// second one is found, the first one is gone.
async fn on_the_third_day(seed: u64) -> Yard {
    let yard = Yard::new(seed, EAGER);
    for (tag, age) in [("v1", 400), ("v2", 28), ("v3", 1)] {
        yard.push("app", tag, age);
    }
    assert_eq!(yard.clean().await.code, EXIT_OK);
    assert_eq!((yard.tags("app"), asked(&yard)), (vec!["v2".to_owned(), "v3".into()], 2));
    yard.pass(1).await;
    yard
}

/// How often it was asked.
fn asked(yard: &Yard) -> usize {
    yard.calls(Service::Ecr, "GetRepositoryPolicy")
}

fn share(yard: &Yard) {
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::210987654321:root"}, "Action": "ecr:BatchGetImage",
    }]});
    yard.world(|world| world.ecr.set_repository_policy("app", &policy.to_string()).expect("a policy"));
}

/// It lets in nobody, as if it were not there.
fn take_back(yard: &Yard) {
    let policy = json!({"Version": "2012-10-17", "Statement": []});
    yard.world(|world| world.ecr.set_repository_policy("app", &policy.to_string()).expect("a policy"));
}

/// What waits in a repository whose policy an earlier scan has read.
fn told_before(ended: &Ended) -> (usize, Option<String>) {
    let waiting = ended.head()["waiting"].as_u64().expect("a number");
    let read = ended.head()["policy_read_before"]["app"].as_str().map(|date| date[..10].to_owned());
    (usize::try_from(waiting).expect("few"), read)
}

#[tokio::test(start_paused = true)]
async fn what_only_waits_is_not_asked_for_again_and_what_goes_is() {
    let yard = on_the_third_day(340).await;
    let (planned, told) = (yard.plan().await, yard.told().await);
    assert_eq!((told_before(&planned), asked(&yard)), ((5, Some("2026-01-06".into())), 2));
    assert!(told.contains("Not read: the policy of 1 repository, where all that is condemned has to wait"), "{told}");
    yard.pass(1).await;
    assert_eq!(yard.sweep().await.code, EXIT_OK);
    assert_eq!((yard.tags("app"), asked(&yard)), (vec!["v3".to_owned()], 3));
}

#[tokio::test(start_paused = true)]
async fn whoever_is_let_in_while_an_image_waits_keeps_it() {
    let yard = on_the_third_day(341).await;
    yard.plan().await;
    share(&yard);
    yard.pass(1).await;
    let swept = yard.sweep().await;
    let frozen = swept.head()["frozen"]["app"].to_string();
    assert!(frozen.contains("lets account 210987654321 pull"), "{frozen}");
    assert_eq!(yard.tags("app"), ["v2", "v3"]);
}

/// Whoever replaces a policy may take it away first.
#[tokio::test(start_paused = true)]
async fn a_policy_that_is_missing_for_a_moment_costs_nobody_an_image() {
    let yard = on_the_third_day(342).await;
    yard.plan().await;
    // Every second scan happens to look in such a moment.
    for _ in 0..4 {
        share(&yard);
        yard.pass(1).await;
        yard.sweep().await;
        take_back(&yard);
        yard.pass(1).await;
        yard.sweep().await;
        assert_eq!(yard.tags("app"), ["v2", "v3"]);
    }
    yard.pass(1).await;
    yard.sweep().await;
    assert_eq!(yard.tags("app"), ["v3"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_three_weeks_ago_will_not_do() {
    let yard = on_the_third_day(343).await;
    yard.pass(21).await;
    assert_eq!((told_before(&yard.plan().await), asked(&yard)), ((5, None), 3));
}

#[tokio::test(start_paused = true)]
async fn a_repository_policy_that_may_not_be_read_stops_all_deletions() {
    let yard = on_the_third_day(344).await;
    yard.plan().await;
    yard.pass(1).await;
    let denied = Rule::new(Fault::AccessDenied).caller(JANITOR_KEY).operation("GetRepositoryPolicy");
    yard.simulator.inject(FaultPlan::seeded(344).rule(denied));
    let swept = yard.sweep().await;
    assert_eq!((swept.code, yard.images("app")), (EXIT_INCOMPLETE, 10));
    let missing = swept.head()["missing"].to_string();
    assert!(missing.contains("allow ecr:GetRepositoryPolicy"), "{missing}");
}
