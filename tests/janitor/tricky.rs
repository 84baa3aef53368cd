//! More cases that simpler tools get wrong: revisions, digests and tags, one story each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use coalmine_janitor::cli::{EXIT_GUARDED, EXIT_OK};
use serde_json::json;
use simulator::Service;
use simulator::ecr::ImageSpec;
use simulator::ecs::ServiceSpec;

use crate::yard::{EAGER, HOST, Yard, definition};

/// Old releases `v1` to `v4`, and a young one.
fn yard(seed: u64) -> Yard {
    with_policy(seed, EAGER)
}

fn with_policy(seed: u64, policy: &str) -> Yard {
    let yard = Yard::new(seed, policy);
    for (tag, age) in [("v1", 400), ("v2", 300), ("v3", 200), ("v4", 100), ("v5", 1)] {
        yard.push("app", tag, age);
    }
    yard
}

fn register(yard: &Yard, family: &str, image: &str, days_ago: u32) -> String {
    let at = yard.days_ago(days_ago);
    yard.world(|world| world.add_task_definition_at(&definition(family, image), at).expect("a task definition"))
}

fn deregister(yard: &Yard, definition: &str) {
    let raw = json!({"taskDefinition": definition});
    yard.world(|world| world.operate("DeregisterTaskDefinition", raw).expect("a task definition"));
}

fn digest(yard: &Yard, tag: &str) -> String {
    yard.world(|world| world.ecr.digest("app", tag).expect("an image"))
}

#[tokio::test(start_paused = true)]
async fn what_runs_stays_though_its_tag_has_moved_on() {
    let yard = yard(20);
    yard.run("app", &format!("{HOST}/app:v2"));
    let running = digest(&yard, "v2");
    yard.world(|world| world.ecr.tag("app", "v5", "v2").expect("an image"));
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v2", "v5"]);
    assert!(yard.all()["app"].contains(&running));
    assert_eq!(yard.images("app"), 10);
}

#[tokio::test(start_paused = true)]
async fn what_runs_by_the_digest_of_an_architecture_keeps_its_whole_index() {
    let yard = yard(21);
    yard.world(|world| world.ecs.tasks_report_platform_digest = true);
    yard.run("app", &format!("{HOST}/app:v2"));
    yard.world(|world| world.ecr.tag("app", "v5", "v2").expect("an image"));
    // Only the task knows of the image now.
    yard.world(|world| world.set_desired_count("prod", "app", 1).expect("a service"));
    yard.clean().await;
    assert_eq!(yard.images("app"), 10);
}

#[tokio::test(start_paused = true)]
async fn an_index_over_one_architecture_is_kept_whole() {
    let yard = yard(22);
    let at = yard.days_ago(250);
    yard.world(|world| {
        let spec = ImageSpec::new("app", "arm", at);
        world.ecr.push(ImageSpec { architectures: vec!["arm64".into()], attestations: true, ..spec });
        let definition = json!({"family": "arm", "containerDefinitions": [
            {"name": "web", "image": format!("{HOST}/app:arm"), "memory": 64}]});
        world.add_task_definition(&definition).expect("a task definition");
    });
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["arm", "v5"]);
    // An index, a child and its attestation, beside the young release.
    assert_eq!(yard.images("app"), 8);
}

#[tokio::test(start_paused = true)]
async fn an_index_of_indexes_keeps_what_is_in_them() {
    let yard = yard(23);
    let at = yard.days_ago(90);
    yard.world(|world| world.ecr.push_index("app", &["both"], &["v1", "v3"], at).expect("an index"));
    register(&yard, "both", &format!("{HOST}/app:both"), 1);
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["both", "v1", "v3", "v5"]);
    assert_eq!(yard.images("app"), 16);
}

#[tokio::test(start_paused = true)]
async fn an_inactive_revision_that_a_service_runs_keeps_its_image() {
    let yard = yard(24);
    yard.run("app", &format!("{HOST}/app:v2"));
    deregister(&yard, "app:1");
    yard.pass(3).await;
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v2", "v5"]);
}

#[tokio::test(start_paused = true)]
async fn a_task_set_keeps_the_image_of_its_revision() {
    let yard = yard(25);
    let arn = register(&yard, "blue", &format!("{HOST}/app:v3"), 200);
    yard.world(|world| {
        let green = ServiceSpec::new("prod", "green", definition("green", &format!("{HOST}/app:v5")), 0);
        let further = json!({"deploymentController": {"type": "EXTERNAL"}});
        world.add_service(green.with(further)).expect("a service");
        world.add_task_set("prod", "green", &arn).expect("a task set");
    });
    deregister(&yard, &arn);
    yard.pass(3).await;
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v3", "v5"]);
}

/// The script that is widely copied keeps the five newest.
#[tokio::test(start_paused = true)]
async fn the_sixth_newest_revision_of_five_days_ago_keeps_its_image() {
    let yard = with_policy(26, &format!("{EAGER}[references]\nkeep_revisions = 2\n"));
    register(&yard, "app", &format!("{HOST}/app:v1"), 200);
    register(&yard, "app", &format!("{HOST}/app:v2"), 5);
    for _ in 0..5 {
        register(&yard, "app", &format!("{HOST}/app:v5"), 1);
    }
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v2", "v5"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_at_zero_tasks_keeps_the_digest_that_its_tag_meant_when_it_was_deployed() {
    let yard = yard(27);
    yard.run("app", &format!("{HOST}/app:v2"));
    let pinned = digest(&yard, "v2");
    yard.world(|world| {
        world.set_desired_count("prod", "app", 0).expect("a service");
        world.ecr.tag("app", "v5", "v2").expect("an image");
    });
    yard.pass(1).await;
    yard.clean().await;
    assert!(yard.all()["app"].contains(&pinned), "ECS starts the pinned digest when it is scaled out again");
}

#[tokio::test(start_paused = true)]
async fn a_reference_without_a_tag_keeps_latest() {
    let yard = yard(28);
    yard.world(|world| world.ecr.tag("app", "v3", "latest").expect("an image"));
    register(&yard, "app", &format!("{HOST}/app"), 1);
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["latest", "v3", "v5"]);
}

#[tokio::test(start_paused = true)]
async fn a_digest_in_capital_letters_is_a_digest() {
    let yard = yard(29);
    let hex = digest(&yard, "v3").trim_start_matches("sha256:").to_uppercase();
    register(&yard, "app", &format!("{HOST}/app@sha256:{hex}"), 1);
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v3", "v5"]);
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_is_given_after_the_plan_saves_its_image() {
    let yard = yard(30);
    yard.plan().await;
    yard.pass(1).await;
    let file = std::env::temp_dir().join(format!("coalmine-plan-{}.json", std::process::id()));
    yard.plan_to(&file).await;
    yard.world(|world| world.ecr.tag("app", "v2", "wanted").expect("an image"));
    let swept = yard.sweep_plan(&file).await.expect("a sweep");
    assert_eq!((swept.code, yard.tags("app")), (EXIT_OK, vec!["v2".to_owned(), "v5".into(), "wanted".into()]));
    std::fs::remove_file(&file).expect("a file");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_forgotten_between_list_and_answer_stops_nothing() {
    let yard = yard(31);
    yard.run("app", &format!("{HOST}/app:v2"));
    yard.plan().await;
    yard.pass(1).await;
    yard.run("over", &format!("{HOST}/app:v5"));
    yard.world(|world| world.set_desired_count("prod", "over", 0).expect("a service"));
    yard.simulator.clock().wait(Duration::from_secs(600)).await;
    let described = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&described);
    yard.simulator.before_call(move |worlds, call| {
        if call.operation == "DescribeTasks" && counted.fetch_add(1, Ordering::Relaxed) == 0 {
            assert_eq!(worlds.home().ecs.forget_stopped_tasks(), 2);
        }
    });
    let swept = yard.sweep().await;
    assert_eq!((swept.code, yard.tags("app")), (EXIT_OK, vec!["v2".to_owned(), "v5".into()]));
    assert!(described.load(Ordering::Relaxed) > 0);
}

#[tokio::test(start_paused = true)]
async fn the_same_name_in_another_account_or_region_keeps_nothing() {
    let yard = yard(32);
    register(&yard, "theirs", "210987654321.dkr.ecr.eu-central-1.amazonaws.com/app:v2", 1);
    register(&yard, "there", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v3", 1);
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v5"]);
}

/// A build pushes the children first, then the index, then the tag.
#[tokio::test(start_paused = true)]
async fn an_untagged_image_of_a_build_that_is_under_way_stays() {
    let yard = yard(33);
    let at = yard.days_ago(0);
    let child = yard.world(|world| {
        let spec = ImageSpec { tags: Vec::new(), attestations: false, ..ImageSpec::new("app", "", at) };
        world.ecr.push(ImageSpec { architectures: vec!["arm64".into()], ..spec })
    });
    yard.clean().await;
    assert!(yard.all()["app"].contains(&child));
}

#[tokio::test(start_paused = true)]
async fn archived_images_are_left_alone_and_told_of_where_they_are_needed() {
    let yard = yard(34);
    let at = yard.days_ago(50);
    yard.world(|world| {
        for tag in ["cold", "needed"] {
            let spec = ImageSpec::new("app", tag, at);
            world.ecr.push(ImageSpec { architectures: vec!["arm64".into()], attestations: false, ..spec });
            world.ecr.archive("app", tag, at).expect("an image");
        }
    });
    register(&yard, "app", &format!("{HOST}/app:needed"), 1);
    let swept = yard.clean().await;
    assert_eq!(yard.tags("app"), ["cold", "needed", "v5"]);
    let needed = digest(&yard, "needed");
    let last = swept.lines.last().expect("a line");
    assert_eq!(last["archived_in_use"], json!([format!("app@{needed}")]), "{last:#}");
}

/// Any image may be its child.
#[tokio::test(start_paused = true)]
async fn an_archived_index_that_nobody_has_read_freezes_its_repository() {
    let yard = yard(39);
    let at = yard.days_ago(50);
    yard.world(|world| world.ecr.archive("app", "v2", at).expect("an image"));
    yard.push("base", "v1", 400);
    yard.push("base", "v2", 1);
    yard.clean().await;
    assert_eq!((yard.images("app"), yard.tags("base")), (25, vec!["v2".to_owned()]));
}

/// What was read before it was archived is remembered.
#[tokio::test(start_paused = true)]
async fn an_archived_index_that_was_read_before_freezes_nothing() {
    let yard = yard(40);
    yard.plan().await;
    let at = yard.days_ago(0);
    yard.world(|world| world.ecr.archive("app", "v2", at).expect("an image"));
    yard.pass(1).await;
    yard.sweep().await;
    assert_eq!(yard.tags("app"), ["v2", "v5"]);
    assert_eq!(yard.images("app"), 10);
}

#[tokio::test(start_paused = true)]
async fn one_of_two_tags_that_is_in_use_keeps_the_image_with_both() {
    let yard = yard(35);
    yard.world(|world| world.ecr.tag("app", "v2", "expendable").expect("an image"));
    register(&yard, "app", &format!("{HOST}/app:v2"), 1);
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["expendable", "v2", "v5"]);
}

#[tokio::test(start_paused = true)]
async fn of_two_thousand_revisions_that_nobody_deregistered_the_window_counts() {
    let yard = yard(36);
    for revision in 0..2_000_u32 {
        let (tag, age) = match revision {
            0..1_900 => ("v1", 300),
            1_900..1_980 => ("v2", 30),
            _ => ("v5", 1),
        };
        register(&yard, "app", &format!("{HOST}/app:{tag}"), age);
    }
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v2", "v5"]);
}

#[tokio::test(start_paused = true)]
async fn a_guard_lets_a_part_of_a_condemned_repository_go() {
    let yard = with_policy(37, &EAGER.replace("100", "30"));
    let swept = yard.clean().await;
    assert_eq!((swept.code, yard.tags("app")), (EXIT_GUARDED, ["v2", "v3", "v4", "v5"].map(str::to_owned).to_vec()));
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v3", "v4", "v5"]);
}

#[tokio::test(start_paused = true)]
async fn a_signature_whose_subject_is_gone_goes_when_it_is_old() {
    let yard = yard(38);
    let at = yard.days_ago(90);
    yard.world(|world| {
        world.ecr.push_referrer("app", "v1", "application/vnd.example.sbom", at).expect("a referrer");
        world.ecr.push_cosign("app", "v1", at).expect("a signature");
        world.ecr.delete("app", "v1").expect("an image");
    });
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v5"]);
    assert_eq!(yard.images("app"), 5);
    assert!(yard.calls(Service::Ecr, "BatchDeleteImage") > 0);
}
