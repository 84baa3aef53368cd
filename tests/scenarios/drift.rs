//! `coalmine-worker drift`, asked by somebody who may only describe.

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use coalmine_worker::commands::drift::{Arguments, tell};
use coalmine_worker::drift::terraform;
use serde_json::{Value, json};
use simulator::ecr::Behaviour;
use simulator::permissions::Policy;
use simulator::{Settings, Simulator};

use crate::provisioned::{CLASSES, begin, release, succeed};
use crate::stage::{Application, Provisioned, Story};

const OPERATOR: &str = "AKIAOPERATOR";

/// What the command says it needs.
const MAY: [&str; 2] = ["ecs:DescribeServices", "ecs:DescribeTaskDefinition"];

fn policy(actions: &[&str]) -> Policy {
    let statement = json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
    Policy::parse(&json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()).expect("a policy")
}

/// What it prints, what it says beside that, and its exit code.
async fn ask(story: &Story, document: &Value, arguments: Arguments) -> (String, String, u8) {
    let mut described = terraform::read(&document.to_string()).expect("Terraform's JSON");
    described.targets.extend(arguments.services.iter().cloned());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let door = story.simulator.sdk_config(OPERATOR);
    let code = tell(&door, described, &arguments, &mut out, &mut err).await.expect("an output");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (text(out), text(err), code)
}

async fn told(story: &Story, document: &Value) -> (Value, u8) {
    let (out, _, code) = ask(story, document, Arguments { json: true, ..Arguments::default() }).await;
    (serde_json::from_str(&out).expect("JSON"), code)
}

/// Each service's kind, in the order of their names.
fn kinds(said: &Value) -> Vec<&str> {
    said["services"].as_array().into_iter().flatten().filter_map(|service| service["kind"].as_str()).collect()
}

/// The state of `terraform show -json`, with the resources of the example.
fn state(provisioned: &Provisioned) -> Value {
    json!({"format_version": "1.0", "terraform_version": "1.11.4",
        "values": {"root_module": {"child_modules": [{"resources": provisioned.resources()}]}}})
}

/// A plan in a state without anything, in which some resources would be made.
fn plan(created: &[(&str, Value)]) -> Value {
    let changes = created.iter().map(|(address, after)| {
        let kind = address.rsplit('.').nth(1).expect("a type");
        json!({"address": address, "type": kind, "change": {"actions": ["create"], "before": null, "after": after}})
    });
    json!({"format_version": "1.2", "terraform_version": "1.11.4", "planned_values": {"root_module": {}},
        "resource_changes": Value::from_iter(changes)})
}

#[tokio::test(start_paused = true)]
async fn a_release_leaves_images_alone_and_a_changed_template_shows_until_the_next_release() {
    let (provisioned, story) = begin(510);
    story.simulator.permit(OPERATOR, policy(&MAY));
    let state = state(&provisioned);
    // The first day: what Terraform made, nobody's release.
    let (said, code) = told(&story, &state).await;
    assert_eq!((kinds(&said), code), (vec!["same"; 6], 0), "{said}");
    assert_eq!(said["imports"], json!([]), "all of it is in Terraform's state");

    succeed(&story, &release(&provisioned, &story, &CLASSES, "3f1c9aa", Behaviour::Good)).await;
    let (said, code) = told(&story, &state).await;
    assert_eq!((kinds(&said), code), (vec!["images"; 6], 0), "{said}");

    // What terraform apply does after somebody wrote `memory = 1024`: the template has a new revision, nothing else.
    let mut template = provisioned.task_definition("search-template");
    template["memory"] = json!("1024");
    story.world(|world| world.add_task_definition(&template)).expect("a task definition");
    let (said, code) = told(&story, &state).await;
    let changed = ["images", "images", "images", "images", "configuration", "configuration"];
    assert_eq!((kinds(&said), code), (changed.to_vec(), 10), "{said}");
    let search = &said["services"][4];
    assert_eq!((search["service"].as_str(), search["base"].as_str()), (Some("main/search"), Some("search-template:1")));
    let beside_images: Vec<&Value> = search["differences"]
        .as_array()
        .expect("differences")
        .iter()
        .filter(|difference| difference["path"] != "containerDefinitions/search/image")
        .collect();
    assert_eq!(beside_images, [&json!({"path": "memory", "runs": "512", "template": "1024"})]);
    let (table, _, _) = ask(&story, &state, Arguments::default()).await;
    assert!(table.contains("search-template:1 → search-template:2: the next release brings it"), "{table}");
    assert!(table.contains("  memory: 512 → 1024\n"), "{table}");

    succeed(&story, &release(&provisioned, &story, &["search"], "77e02bd", Behaviour::Good)).await;
    let (said, code) = told(&story, &state).await;
    assert_eq!((kinds(&said), code), (vec!["images"; 6], 0), "{said}");
    let used: Vec<String> = story.simulator.actions_used(OPERATOR).into_iter().collect();
    assert_eq!(used, MAY, "it needs what it says, and changes nothing");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_deployed_by_other_means_is_told_with_its_import_blocks() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(511)), &[&app]);
    story.simulator.permit(OPERATOR, policy(&MAY));
    let imports = || Arguments { imports: true, ..Arguments::default() };
    let running = story.runs("app");

    // By its name: the addresses are the module's.
    let named = Arguments { services: vec!["main/app".parse().expect("a service")], ..imports() };
    let (blocks, _, code) = ask(&story, &plan(&[]), named.clone()).await;
    assert_eq!(code, 0);
    assert!(blocks.contains("to = module.app.aws_ecs_service.this[\"full\"]\n  id = \"main/app\"\n"), "{blocks}");

    // By a plan that would make it again: the addresses are the plan's, and what does not exist is left alone.
    let created = plan(&[
        ("module.shop.aws_ecs_service.this[\"full\"]", json!({"name": "app", "cluster": "main"})),
        ("module.shop.aws_ecs_service.this[\"canary\"]", json!({"name": "app-new", "cluster": "main"})),
        ("module.shop.aws_ecs_task_definition.first[\"full\"]", json!({"family": "app"})),
        ("module.shop.aws_ecs_task_definition.first[\"canary\"]", json!({"family": "app-new"})),
        ("module.shop.aws_ecs_task_definition.template", json!({"family": "app-template"})),
    ]);
    let (blocks, _, code) = ask(&story, &created, imports()).await;
    let expected = format!(
        "import {{\n  to = module.shop.aws_ecs_service.this[\"full\"]\n  id = \"main/app\"\n}}\n\n\
         import {{\n  to = module.shop.aws_ecs_task_definition.first[\"full\"]\n  \
         id = \"arn:aws:ecs:eu-central-1:123456789012:task-definition/{running}\"\n}}\n"
    );
    assert_eq!((blocks.as_str(), code), (expected.as_str(), 0));

    // Once a worker has deployed it, there is nothing to be told.
    let execution = story.release_to_full(&app, "v2", Behaviour::Good).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    let (blocks, _, code) = ask(&story, &plan(&[]), named).await;
    assert_eq!((blocks.as_str(), code), ("", 0));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_said_and_never_taken_for_no_difference() {
    let (provisioned, story) = begin(512);
    story.simulator.permit(OPERATOR, policy(&["ecs:DescribeServices"]));
    let (out, err, code) = ask(&story, &state(&provisioned), Arguments::default()).await;
    assert_eq!(code, 12, "{out}{err}");
    assert!(err.contains("app-template could not be read: ecs DescribeTaskDefinition failed: AccessDenied"), "{err}");
    assert!(!out.contains("main/"), "{out}");
    assert!(!story.simulator.take_refusals().is_empty());

    // A service and a cluster that are not there are an answer.
    story.simulator.permit(OPERATOR, policy(&MAY));
    let services = ["main/nobody", "elsewhere/app=app-template"].map(|name| name.parse().expect("a service"));
    let absent = Arguments { services: services.into(), json: true, ..Arguments::default() };
    let (out, _, code) = ask(&story, &plan(&[]), absent).await;
    assert_eq!((kinds(&serde_json::from_str(&out).expect("JSON")), code), (vec!["absent"; 2], 10), "{out}");
}
