//! Other accounts: a place counts as read only where its own account has answered, and who may pull has to be read.

use coalmine_janitor::cli::{EXIT_INCOMPLETE, EXIT_OK};
use serde_json::json;
use simulator::Service;
use simulator::faults::{Fault, FaultPlan, Rule};
use simulator::permissions::Policy;

use crate::grants::SWEEP;
use crate::yard::{EAGER, JANITOR_KEY, Yard};

/// The account whose uses are read as well.
const OTHER: &str = "210987654321";
const ROLE: &str = "arn:aws:iam::210987654321:role/coalmine-reader";

/// A registry in which something could go, and another account that is there in two Regions.
fn with_readers(seed: u64, readers: &str) -> Yard {
    let yard = Yard::new(seed, &format!("{EAGER}{readers}"));
    for (tag, age) in [("v1", 400), ("v2", 300), ("v3", 1)] {
        yard.push("app", tag, age);
    }
    for region in ["eu-central-1", "eu-west-1"] {
        yard.simulator.with_world_of(OTHER, region, |_| ());
    }
    yard
}

/// What a run says that must not begin. It has asked whose credentials it has, and nothing else.
async fn refused(yard: &Yard) -> String {
    let problem = yard.try_sweep().await.expect_err("a reader that reads another account").to_string();
    let asked: Vec<String> = yard.simulator.with_calls(|calls| {
        calls.records.iter().filter(|call| call.service != Service::Sts).map(|call| call.operation.clone()).collect()
    });
    assert_eq!(asked, Vec::<String>::new(), "{problem}");
    problem
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_another_account_without_a_role_reads_nothing_and_is_named() {
    let yard = with_readers(90, "[[readers]]\naccount = \"210987654321\"\nregions = [\"eu-central-1\"]\n");
    let problem = refused(&yard).await;
    for told in [OTHER, "123456789012", "no role", "`role`"] {
        assert!(problem.contains(told), "{told}: {problem}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_whose_role_is_of_another_account_reads_nothing_and_is_named() {
    let role = "arn:aws:iam::123456789012:role/coalmine-reader";
    let reader = format!("[[readers]]\naccount = {OTHER:?}\nregions = [\"eu-central-1\"]\nrole = {role:?}\n");
    let yard = with_readers(91, &reader);
    yard.world(|world| world.sts.trust(role));
    yard.simulator.permit(JANITOR_KEY, sweeps_with_every_reader());
    let problem = refused(&yard).await;
    for told in [OTHER, role, "of account 123456789012"] {
        assert!(problem.contains(told), "{told}: {problem}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_whose_role_does_not_trust_the_janitor_reads_nothing_and_is_named() {
    let reader = format!("[[readers]]\naccount = {OTHER:?}\nregions = [\"eu-central-1\"]\nrole = {ROLE:?}\n");
    let yard = with_readers(92, &reader);
    let problem = refused(&yard).await;
    for told in [OTHER, ROLE, "sts:AssumeRole", "external_id"] {
        assert!(problem.contains(told), "{told}: {problem}");
    }
}

/// Another Region of the janitor's own account needs no role.
#[tokio::test(start_paused = true)]
async fn a_reader_of_the_own_account_needs_no_role() {
    let yard = with_readers(93, "[[readers]]\naccount = \"123456789012\"\nregions = [\"eu-west-1\"]\n");
    yard.simulator.with_world_of("123456789012", "eu-west-1", |_| ());
    assert_eq!((yard.clean().await.code, yard.tags("app")), (EXIT_OK, vec!["v3".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn each_region_of_an_account_is_read_with_the_role_of_its_own_reader() {
    let western = format!("{ROLE}-west");
    let reader = |region: &str, role: &str, further: &str| {
        format!("[[readers]]\naccount = {OTHER:?}\nregions = [{region:?}]\nrole = {role:?}\n{further}")
    };
    let readers =
        format!("{}{}", reader("eu-central-1", ROLE, ""), reader("eu-west-1", &western, "external_id = \"west\"\n"));
    let yard = with_readers(94, &readers);
    yard.world(|world| [ROLE, &western].map(|role| world.sts.trust(role)));
    yard.simulator.permit(JANITOR_KEY, sweeps_with_every_reader());
    yard.plan().await;
    let mut assumed: Vec<(String, String)> = yard.simulator.with_calls(|calls| {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let assumed = calls.records.iter().filter(|call| call.operation == "AssumeRole");
        assumed.map(|call| (text(&call.request["RoleArn"]), text(&call.request["ExternalId"]))).collect()
    });
    assumed.sort();
    // Each client assumes its role by itself.
    assumed.dedup();
    assert_eq!(assumed, [(ROLE.to_owned(), String::new()), (western, "west".to_owned())]);
}

/// Nobody reads what its other Regions use.
#[tokio::test(start_paused = true)]
async fn an_account_of_which_only_some_regions_are_read_is_named_where_it_may_pull() {
    let reader = format!("[[readers]]\naccount = {OTHER:?}\nregions = [\"eu-central-1\"]\nrole = {ROLE:?}\n");
    let yard = with_readers(99, &reader);
    yard.world(|world| world.sts.trust(ROLE));
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{OTHER}:root")}, "Action": "ecr:BatchGetImage",
    }]});
    yard.world(|world| world.ecr.set_repository_policy("app", &policy.to_string()).expect("a policy"));
    let planned = yard.plan().await;
    assert_eq!(planned.head()["read_in_part"], json!({"app": {OTHER: "eu-central-1"}}));
    let told = yard.told().await;
    assert!(told.contains("account 210987654321, which is read in eu-central-1 alone"), "{told}");
    yard.pass(1).await;
    yard.sweep().await;
    assert_eq!(yard.tags("app"), ["v3"]);
}

/// The policy of the sweeps, for readers of all names.
fn sweeps_with_every_reader() -> Policy {
    Policy::parse(&SWEEP.replace(ROLE, "arn:aws:iam::*:role/coalmine-reader*")).expect("a policy")
}

/// In scope V2 the registry's policy grants all of ECR's actions, pulls among them.
#[tokio::test(start_paused = true)]
async fn whoever_may_pull_by_the_registrys_policy_keeps_the_repositories_that_it_names() {
    let yard = with_readers(95, "");
    yard.push("base/java", "v1", 400);
    yard.push("base/java", "v2", 1);
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "pull", "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{OTHER}:root")},
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        "Resource": "arn:aws:ecr:eu-central-1:123456789012:repository/base/*",
    }]});
    yard.world(|world| world.ecr.set_registry_policy(&policy.to_string()).expect("a policy"));
    assert_eq!((yard.clean().await.code, yard.tags("app")), (EXIT_OK, vec!["v3".to_owned()]));
    assert_eq!(yard.tags("base/java"), ["v1", "v2"]);
    let why = yard.why("base/java:v1").await;
    assert!(why.contains("the registry's policy lets account 210987654321 pull"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn the_registrys_policy_is_read_once_and_only_where_something_could_go() {
    let yard = with_readers(96, "");
    yard.push("base", "v1", 400);
    yard.push("base", "v2", 1);
    yard.plan().await;
    assert_eq!(yard.calls(Service::Ecr, "GetRegistryPolicy"), 1);
    let clean = Yard::new(97, EAGER);
    clean.push("app", "v1", 1);
    clean.plan().await;
    assert_eq!(clean.calls(Service::Ecr, "GetRegistryPolicy"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_registry_policy_that_may_not_be_read_stops_all_deletions() {
    let yard = with_readers(98, "");
    yard.plan().await;
    yard.pass(1).await;
    let denied = Rule::new(Fault::AccessDenied).caller(JANITOR_KEY).operation("GetRegistryPolicy");
    yard.simulator.inject(FaultPlan::seeded(98).rule(denied));
    let swept = yard.sweep().await;
    assert_eq!((swept.code, yard.images("app")), (EXIT_INCOMPLETE, 15));
    let missing = swept.head()["missing"].to_string();
    assert!(missing.contains("allow ecr:GetRegistryPolicy"), "{missing}");
}
