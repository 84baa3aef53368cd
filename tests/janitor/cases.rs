//! Cases that simpler tools get wrong, each as a short story: two scans a day apart, then a sweep.

use coalmine_janitor::cli::{EXIT_INCOMPLETE, EXIT_OK};
use serde_json::json;
use simulator::Service;
use simulator::ecs::ServiceSpec;
use simulator::faults::{Fault, FaultPlan, Rule};

use crate::yard::{EAGER, HOST, JANITOR_KEY, Yard};

/// Old releases `v1` to `v4`, and a young one.
fn yard(seed: u64) -> Yard {
    let yard = Yard::new(seed, EAGER);
    for (tag, age) in [("v1", 400), ("v2", 300), ("v3", 200), ("v4", 100), ("v5", 1)] {
        yard.push("app", tag, age);
    }
    yard
}

#[tokio::test(start_paused = true)]
async fn an_image_that_runs_by_digest_alone_stays() {
    let yard = yard(10);
    let digest = yard.world(|world| world.ecr.tags("app").into_iter().find(|(tag, _)| tag == "v3")).expect("v3").1;
    yard.run("app", &format!("{HOST}/app@{digest}"));
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v3", "v5"]);
}

#[tokio::test(start_paused = true)]
async fn both_halves_of_a_reference_by_tag_and_digest_are_protected() {
    let yard = yard(11);
    let digest = yard.world(|world| world.ecr.tags("app").into_iter().find(|(tag, _)| tag == "v1")).expect("v1").1;
    yard.run("app", &format!("{HOST}/app:v4@{digest}"));
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v1", "v4", "v5"]);
}

#[tokio::test(start_paused = true)]
async fn a_host_of_another_family_is_the_same_registry() {
    let yard = yard(12);
    yard.world(|world| {
        for (family, host) in [
            ("fips", "123456789012.dkr.ecr-fips.eu-central-1.amazonaws.com/app:v1"),
            ("dual", "123456789012.dkr-ecr.eu-central-1.on.aws/app:v2"),
        ] {
            let definition =
                json!({"family": family, "containerDefinitions": [{"name": "web", "image": host, "memory": 64}]});
            world.add_task_definition(&definition).expect("a task definition");
        }
    });
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v1", "v2", "v5"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_at_zero_tasks_keeps_its_image() {
    let yard = yard(13);
    let definition = json!({"family": "app", "containerDefinitions": [
        {"name": "web", "image": format!("{HOST}/app:v2"), "memory": 64},
        {"name": "sidecar", "image": format!("{HOST}/app:v3"), "memory": 64},
    ]});
    yard.world(|world| world.add_service(ServiceSpec::new("prod", "app", definition, 0)).expect("a service"));
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v2", "v3", "v5"]);
}

#[tokio::test(start_paused = true)]
async fn a_signature_goes_with_its_subject_and_stays_with_it() {
    let yard = yard(14);
    let at = yard.days_ago(90);
    yard.world(|world| {
        for tag in ["v1", "v2"] {
            world.ecr.push_cosign("app", tag, at).expect("a signature");
            world.ecr.push_referrer("app", tag, "application/vnd.example.sbom", at).expect("a referrer");
        }
    });
    yard.run("app", &format!("{HOST}/app:v2"));
    yard.clean().await;
    let left = yard.tags("app");
    assert_eq!(left.iter().filter(|tag| tag.starts_with("sha256-")).count(), 1, "{left:?}");
    // Two releases of five images, one signature and one referrer.
    assert_eq!(yard.images("app"), 12);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_may_not_be_read_stops_all_deletions() {
    let yard = yard(15);
    yard.run("app", &format!("{HOST}/app:v2"));
    yard.plan().await;
    yard.pass(1).await;
    let denied = Rule::new(Fault::AccessDenied).caller(JANITOR_KEY).operation("ListTasks");
    yard.simulator.inject(FaultPlan::seeded(15).rule(denied));
    let swept = yard.sweep().await;
    assert_eq!(swept.code, EXIT_INCOMPLETE);
    assert!(swept.head()["missing"].to_string().contains("allow ecs:ListTasks"), "{}", swept.head()["missing"]);
    assert_eq!(yard.calls(Service::Ecr, "BatchDeleteImage"), 0);
    assert_eq!(yard.images("app"), 25);
}

#[tokio::test(start_paused = true)]
async fn short_pages_hide_nothing() {
    let yard = yard(16);
    for (service, tag) in [("a", "v1"), ("b", "v2"), ("c", "v3"), ("d", "v4")] {
        yard.run(service, &format!("{HOST}/app:{tag}"));
    }
    yard.simulator.inject(FaultPlan::seeded(16).rule(Rule::new(Fault::ShortPage(1)).caller(JANITOR_KEY)));
    let swept = yard.clean().await;
    assert_eq!((swept.code, yard.images("app")), (EXIT_OK, 25));
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_is_given_between_the_last_look_and_the_deletion_saves_its_image_if_a_pair_deletes_a_tag() {
    // AWS does not say whether a pair of digest and tag deletes the tag, or the image with all of its tags.
    for (seed, pair_deletes_image, left) in [(17, false, vec!["prod", "v5"]), (19, true, vec!["v5"])] {
        let yard = yard(seed);
        yard.world(|world| world.ecr.pair_deletes_image = pair_deletes_image);
        yard.plan().await;
        yard.pass(1).await;
        yard.simulator.before_call(|worlds, call| {
            if call.operation == "BatchDeleteImage" {
                let _ = worlds.home().ecr.tag("app", "v2", "prod");
            }
        });
        let swept = yard.sweep().await;
        assert_eq!((swept.code, yard.tags("app")), (EXIT_OK, left.into_iter().map(str::to_owned).collect()));
    }
}

/// The first pair takes all tags along, and the others find nothing.
#[tokio::test(start_paused = true)]
async fn an_image_of_several_tags_goes_whatever_a_pair_deletes() {
    for (seed, pair_deletes_image) in [(190, false), (191, true)] {
        let yard = yard(seed);
        yard.world(|world| {
            world.ecr.pair_deletes_image = pair_deletes_image;
            world.ecr.tag("app", "v2", "also").expect("an image");
        });
        let swept = yard.clean().await;
        assert_eq!((swept.code, yard.tags("app"), yard.images("app")), (EXIT_OK, vec!["v5".to_owned()], 5));
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_created_between_plan_and_sweep_keeps_its_image() {
    let yard = yard(18);
    yard.plan().await;
    yard.pass(1).await;
    yard.run("late", &format!("{HOST}/app:v1"));
    yard.sweep().await;
    assert_eq!(yard.tags("app"), ["v1", "v5"]);
}
