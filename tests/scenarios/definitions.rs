//! What is registered: everything of the base but its images, from the base that was approved, by the digest that was.

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use serde_json::{Value, json};
use simulator::ecr::{Behaviour, ImageSpec, Mutability};
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story};

/// What AWS adds to a registered task definition; no copy can have the same.
const OF_THE_REVISION: [&str; 7] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
];

/// Every member that `RegisterTaskDefinition` knows, and some that are newer than the SDK: top-level, in a volume, in a
/// resource requirement.
fn maximal() -> (Value, Value) {
    let text: Value = serde_json::from_str(include_str!("maximal.json")).unwrap();
    (text["members"].clone(), text["container"].clone())
}

fn image(definition: &Value) -> &str {
    definition["containerDefinitions"][0]["image"].as_str().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_maximal_task_definition_survives_but_for_its_images() {
    let app = Application { definition: maximal(), ..Application::web("app", 3) };
    let story = Story::begin(Simulator::new(Settings::seeded(1)), &[&app]);
    let (mut before, mut canary_before) = (story.definition("app").await, story.definition("app-canary").await);
    let execution = story.release(&app, "v2", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    for (service, before) in [("app", &mut before), ("app-canary", &mut canary_before)] {
        let (mut after, tags) = story.definition(service).await;
        assert!(image(&after).ends_with("/app:v2"), "{}", image(&after));
        after["containerDefinitions"][0]["image"] = before.0["containerDefinitions"][0]["image"].clone();
        for definition in [&mut before.0, &mut after] {
            let members = definition.as_object_mut().unwrap();
            for member in OF_THE_REVISION {
                assert!(members.shift_remove(member).is_some(), "{member} is missing");
            }
        }
        // As text: also the order of members, empty lists and numbers are what they were.
        assert_eq!(after.to_string(), before.0.to_string());
        assert_eq!(
            after["trustedExecutionConfiguration"],
            json!({"attestation": {"mode": "REQUIRED", "nonces": [1, 2]}})
        );
        let own = ["coalmine:base", "coalmine:content", "coalmine:execution"];
        assert_eq!(before.1.len(), 2);
        assert!(before.1.iter().all(|(key, value)| tags.get(key) == Some(value)), "{tags:?}");
        let added: Vec<&String> = tags.keys().filter(|key| !before.1.contains_key(*key)).collect();
        assert_eq!(added, own);
        assert_eq!(tags["coalmine:execution"], execution);
    }
}

fn with_template(name: &str) -> Application {
    Application::web(name, 3).canary_with("TemplateFamily", "app-template").full_with("TemplateFamily", "app-template")
}

/// What `terraform apply` registers.
fn apply(story: &Story, app: &Application, greeting: &str) {
    let mut template = story.world(|world| app.task_definition(world, "app-template", "v1"));
    template["containerDefinitions"][0]["environment"] = json!([{"name": "GREETING", "value": greeting}]);
    story.world(|world| world.add_task_definition(&template)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn both_services_are_registered_from_the_template_that_was_approved() {
    let app = with_template("app");
    let story = Story::begin(Simulator::new(Settings::seeded(2)), &[&app]);
    apply(&story, &app, "hello");
    let first = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.held("app").await;
    apply(&story, &app, "goodbye");
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &first).await, PipelineExecutionStatus::Succeeded);
    let greeting = |definition: &Value| definition["containerDefinitions"][0]["environment"][0]["value"].clone();
    for (service, runs) in [("app", "app:2"), ("app-canary", "app-canary:2")] {
        let (definition, tags) = story.definition(service).await;
        assert_eq!(story.runs(service), runs, "the running families go on");
        assert_eq!(greeting(&definition), "hello", "{service}: what was applied during the hold was not approved");
        assert_eq!(tags["coalmine:base"], "app-template:1");
        assert!(image(&definition).ends_with("/app:v2"));
    }

    let second = story.release(&app, "v3", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &second).await, PipelineExecutionStatus::Succeeded);
    for service in ["app", "app-canary"] {
        let (definition, tags) = story.definition(service).await;
        assert_eq!((greeting(&definition), tags["coalmine:base"].as_str()), (json!("goodbye"), "app-template:2"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_moves_during_the_hold_does_not_move_the_release() {
    let app = Application { immutable: false, ..Application::web("app", 5) };
    let story = Story::begin(Simulator::new(Settings::seeded(3)), &[&app]);
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.held("app").await;
    let approved = story.digest(&app, "v2");
    let moved = story.world(|world| world.ecr.push(ImageSpec::new("app", "v2", world.now)));
    assert_ne!(moved, approved);
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    for service in ["app", "app-canary"] {
        assert_eq!(story.digests(service), std::slice::from_ref(&approved));
        assert!(image(&story.definition(service).await.0).ends_with(&format!("/app@{approved}")));
    }
}

#[tokio::test(start_paused = true)]
async fn where_any_tag_can_move_the_digest_is_registered() {
    let app = Application::web("app", 3);
    let story = Story::begin(Simulator::new(Settings::seeded(4)), &[&app]);
    let all_but_latest = Mutability::ImmutableWithExclusion(vec!["latest*".to_owned()]);
    story.world(|world| world.ecr.create_repository("app", all_but_latest));
    for tag in ["v2", "latest"] {
        let execution = story.release(&app, tag, Behaviour::Good);
        story.approve_all("app").await;
        assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
        let (definition, _) = story.definition("app").await;
        assert!(image(&definition).ends_with(&format!("/app@{}", story.digest(&app, tag))), "{}", image(&definition));
        story.runs_image(&app, "app", tag);
    }
}
