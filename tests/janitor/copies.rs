//! Who else uses a repository: by its policy, and where its deletions are replicated to.

use coalmine_janitor::cli::EXIT_OK;
use serde_json::{Value, json};

use crate::yard::{EAGER, JANITOR_KEY, Yard, definition};

/// Where the copies are.
const REGION: &str = "eu-west-1";
const READER: &str = "[[readers]]\naccount = \"123456789012\"\nregions = [\"eu-west-1\"]\n";
const SHARED: &str = "[[shared]]\nrepositories = [\"app\"]\nwith = [\"123456789012\"]\n";

fn with_policy(seed: u64, further: &str) -> Yard {
    let yard = Yard::new(seed, &format!("{EAGER}{further}"));
    for (tag, age) in [("v1", 400), ("v2", 300), ("v3", 1)] {
        yard.push("app", tag, age);
    }
    yard.simulator.with_world_of("123456789012", REGION, |_| ());
    yard
}

fn rules(deletes: bool) -> Value {
    json!([{
        "destinations": [{"region": REGION, "registryId": "123456789012"}],
        "repositoryFilters": [{"filter": "app", "filterType": "PREFIX_MATCH"}],
        "deleteReplication": {"enabled": deletes},
    }])
}

fn replicate(yard: &Yard, deletes: bool) {
    yard.world(|world| world.ecr.set_replication(rules(deletes)).expect("rules"));
}

/// Something that runs beside the copies.
fn runs_there(yard: &Yard, rest: &str) {
    let image = format!("123456789012.dkr.ecr.{REGION}.amazonaws.com/app{rest}");
    yard.simulator.with_world_of("123456789012", REGION, |world| {
        world.add_task_definition(&definition("theirs", &image)).expect("a task definition")
    });
}

#[tokio::test(start_paused = true)]
async fn a_stranger_in_a_repositorys_policy_freezes_it_until_somebody_answers_for_him() {
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "pull", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::210987654321:root"},
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
    }]});
    let answered = "[[shared]]\nrepositories = [\"app\"]\nwith = [\"210987654321\"]\n";
    for (seed, further, left) in [(330, "", 15), (331, answered, 5)] {
        let yard = with_policy(seed, further);
        yard.world(|world| world.ecr.set_repository_policy("app", &policy.to_string()).expect("a policy"));
        yard.push("free", "v1", 400);
        yard.push("free", "v2", 1);
        yard.clean().await;
        assert_eq!((yard.images("app"), yard.tags("free")), (left, vec!["v2".to_owned()]), "{further}");
        if further.is_empty() {
            let why = yard.plan().await.head()["frozen"].to_string();
            assert!(why.contains("lets account 210987654321 pull"), "{why}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn deletions_that_are_replicated_need_a_reader_there_and_somebody_who_answers_for_the_copys_own_policy() {
    for (seed, further, deletes, told) in [
        (333, "", true, Some("where no references are read: add [[readers]] for it")),
        (334, READER, true, Some("where the copy's own policy is not read and may let others pull")),
        (335, &*format!("{READER}{SHARED}"), true, None),
        (336, "", false, None),
    ] {
        let yard = with_policy(seed, further);
        replicate(&yard, deletes);
        let swept = yard.clean().await;
        let frozen = swept.head()["frozen"].to_string();
        assert_eq!(yard.images("app"), if told.is_some() { 15 } else { 5 }, "{further}: {frozen}");
        assert!(told.is_none_or(|told| frozen.contains(told)), "{frozen}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_runs_beside_a_copy_keeps_the_original() {
    let yard = with_policy(337, &format!("{READER}{SHARED}"));
    replicate(&yard, true);
    runs_there(&yard, ":v2");
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v2", "v3"]);
}

/// Nobody here knows which image has it.
#[tokio::test(start_paused = true)]
async fn a_tag_that_only_the_copy_has_freezes_the_original() {
    let yard = with_policy(338, &format!("{READER}{SHARED}"));
    replicate(&yard, true);
    runs_there(&yard, ":stable");
    let swept = yard.clean().await;
    assert_eq!(yard.images("app"), 15);
    assert!(swept.head()["frozen"].to_string().contains("only its copy has the tag stable"), "{}", swept.head());
}

/// The last look reads the rules again.
#[tokio::test(start_paused = true)]
async fn deletions_that_begin_to_be_replicated_after_the_scan_keep_the_repository() {
    let yard = with_policy(339, "");
    yard.plan().await;
    yard.pass(1).await;
    yard.simulator.before_call(|worlds, call| {
        // The scan ends with it.
        if call.access_key == JANITOR_KEY && call.operation == "PutObject" {
            worlds.home().ecr.set_replication(rules(true)).expect("rules");
        }
    });
    let swept = yard.sweep().await;
    assert_eq!((swept.code, yard.images("app")), (EXIT_OK, 15));
    assert!(swept.lines.iter().any(|line| line["why"].as_str().is_some_and(|why| why.contains("replicated"))));
}

/// Another registry of ECR may be a pull-through cache of this one.
#[tokio::test(start_paused = true)]
async fn a_digest_that_another_registry_names_keeps_its_image() {
    let yard = with_policy(340, "");
    let digest = yard.world(|world| world.ecr.digest("app", "v2").expect("an image"));
    let image = format!("210987654321.dkr.ecr.eu-central-1.amazonaws.com/cache/app@{digest}");
    yard.world(|world| world.add_task_definition(&definition("cached", &image)).expect("a task definition"));
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v2", "v3"]);
}
