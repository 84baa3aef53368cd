//! The account that Terraform makes of `terraform/examples/complete`, with nothing changed: its pipelines, services,
//! alarms, buckets, and the worker's own settings and permissions.

use std::collections::BTreeMap;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use serde_json::{Value, json};
use simulator::ecr::{Behaviour, ImageSpec};
use simulator::{Settings, Simulator};

use crate::stage::provisioned::text;
use crate::stage::{Application, CLUSTER, Provisioned, Story, WORKER_KEY, zipped};

pub(crate) const CLASSES: [&str; 3] = ["app", "background", "search"];

/// What a release leaves behind in the services, in Terraform's words. `.ci/run` writes it into Terraform's state and
/// plans again.
const RELEASED: &str = include_str!("../terraform/released.json");

/// The account on its first day, and the workers as Terraform starts them.
pub(crate) fn begin(seed: u64) -> (Provisioned, Story) {
    let provisioned = Provisioned::complete();
    let watched: Vec<Application> = CLASSES
        .iter()
        .map(|class| Application { rebalancing: *class == "search", ..Application::web(class, 0) })
        .collect();
    let watched: Vec<&Application> = watched.iter().collect();
    let simulator = Simulator::new(Settings::seeded(seed));
    let mut story = Story::without_worker(simulator, &watched, |world| provisioned.build(world));
    story.start_worker_with(provisioned.worker());
    story.simulator.permit(WORKER_KEY, provisioned.permissions());
    (provisioned, story)
}

/// A build pushes one image, and uploads a source object for each of some classes; the executions that this starts.
pub(crate) fn release(
    provisioned: &Provisioned,
    story: &Story,
    classes: &[&str],
    tag: &str,
    behaviour: Behaviour,
) -> BTreeMap<String, String> {
    let pipelines = provisioned.pipelines().into_iter();
    let pipelines: Vec<&Value> = pipelines.filter(|pipeline| classes.contains(&text(&pipeline["name"]))).collect();
    story.world(|world| {
        let now = world.now;
        world.ecr.push(ImageSpec { behaviour, ..ImageSpec::new("shop", tag, now) });
        let image = format!("{}:{tag}", world.ecr.uri("shop"));
        let mut executions = BTreeMap::new();
        for pipeline in pipelines {
            let source = &pipeline["stage"][0]["action"][0]["configuration"];
            let (bucket, key) = (text(&source["S3Bucket"]), text(&source["S3ObjectKey"]));
            let definitions = json!([{"name": pipeline["name"], "imageUri": image}]).to_string();
            let object = zipped(&[("imagedefinitions.json", definitions.as_bytes())]);
            world.s3.put(bucket, key, object.into(), now);
            let name = text(&pipeline["name"]);
            let started = provisioned.started_by(&source["S3Bucket"], &source["S3ObjectKey"]);
            assert_eq!(
                started,
                [name],
                "{key} starts the pipeline of its class, and not the button that has it as its source"
            );
            let execution = world.start_pipeline(name, &Default::default()).expect("an execution");
            executions.insert(name.to_owned(), execution);
        }
        executions
    })
}

pub(crate) async fn succeed(story: &Story, executions: &BTreeMap<String, String>) {
    for class in executions.keys() {
        story.answer(class, "Approve", ApprovalStatus::Approved).await;
    }
    for class in executions.keys() {
        story.answer(class, "Release", ApprovalStatus::Approved).await;
    }
    for (class, execution) in executions {
        assert_eq!(story.ended(class, execution).await, PipelineExecutionStatus::Succeeded, "{class}");
    }
}

/// Claims that a class's services have so many tasks, all of one image.
fn runs(story: &Story, class: &str, tag: &str) {
    let digest = story.world(|world| world.ecr.digest("shop", tag)).expect("an image");
    let (full, canary) = match class {
        "app" => (10, 1),
        "background" => (18, 2),
        _ => (4, 1),
    };
    for (service, tasks) in [(class.to_owned(), full), (format!("{class}-canary"), canary)] {
        assert_eq!((story.tasks(&service), story.digests(&service)), (tasks, vec![digest.clone()]), "{service}");
    }
}

/// The services as Terraform's state would have them after a refresh.
async fn refreshed(story: &Story) -> Value {
    let names: Vec<String> =
        CLASSES.iter().flat_map(|class| [(*class).to_owned(), format!("{class}-canary")]).collect();
    let asked = json!({"cluster": CLUSTER, "services": names});
    let reply = story.raw("AmazonEC2ContainerServiceV20141113.DescribeServices", &asked).await;
    let services = reply["services"].as_array().expect("services").iter();
    services
        .map(|service| {
            let configuration = &service["deploymentConfiguration"];
            let breaker = &configuration["deploymentCircuitBreaker"];
            let balancers = service["loadBalancers"].as_array().into_iter().flatten();
            let balancers = balancers.map(|balancer| {
                json!({
                    "advanced_configuration": [],
                    "container_name": balancer["containerName"],
                    "container_port": balancer["containerPort"],
                    "elb_name": null,
                    "target_group_arn": balancer["targetGroupArn"],
                })
            });
            let values = json!({
                "task_definition": service["taskDefinition"],
                "desired_count": service["desiredCount"],
                "launch_type": service["launchType"],
                "availability_zone_rebalancing": service["availabilityZoneRebalancing"],
                "deployment_minimum_healthy_percent": configuration["minimumHealthyPercent"],
                "deployment_maximum_percent": configuration["maximumPercent"],
                "deployment_circuit_breaker": [{"enable": breaker["enable"], "rollback": breaker["rollback"]}],
                "load_balancer": Value::from_iter(balancers),
                "propagate_tags": service["propagateTags"],
                "enable_ecs_managed_tags": service["enableECSManagedTags"],
            });
            (text(&service["serviceName"]).to_owned(), values)
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_release_goes_through_all_three_pipelines_and_the_next_through_one() {
    let (provisioned, story) = begin(500);
    let first = release(&provisioned, &story, &CLASSES, "3f1c9aa", Behaviour::Good);
    succeed(&story, &first).await;
    for class in CLASSES {
        runs(&story, class, "3f1c9aa");
    }
    let second = release(&provisioned, &story, &["app"], "77e02bd", Behaviour::Good);
    succeed(&story, &second).await;
    runs(&story, "app", "77e02bd");
    runs(&story, "search", "3f1c9aa");
    story.each_job_has_one_result();

    let refreshed = refreshed(&story).await;
    let shown = serde_json::to_string_pretty(&refreshed).expect("JSON");
    let committed: Value = serde_json::from_str(RELEASED).expect("JSON");
    assert!(refreshed == committed, "tests/terraform/released.json should be this:\n{shown}");
}

#[tokio::test(start_paused = true)]
async fn an_upload_starts_the_pipeline_of_its_class_with_that_version() {
    let provisioned = Provisioned::complete();
    let rules = provisioned.all("aws_cloudwatch_event_rule");
    let targets = provisioned.all("aws_cloudwatch_event_target");
    for pipeline in provisioned.pipelines() {
        let source = &pipeline["stage"][0]["action"][0];
        let (bucket, key) = (&source["configuration"]["S3Bucket"], &source["configuration"]["S3ObjectKey"]);
        let detail = json!({"bucket": {"name": [bucket]}, "object": {"key": [key]}});
        let rule = rules.iter().find(|rule| rule["event_pattern"]["detail"] == detail).expect("a rule of the source");
        let target = targets.iter().find(|target| target["rule"] == rule["name"]).expect("a target of the rule");
        assert!(text(&target["arn"]).ends_with(&format!(":{}", text(&pipeline["name"]))), "{target}");
        let transformer = &target["input_transformer"][0];
        assert_eq!(transformer["input_paths"]["version"], "$.detail.object.version-id");
        // What `StartPipelineExecution` takes, when EventBridge has put the version in.
        let input = text(&transformer["input_template"]).replace("<version>", "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY");
        let input: Value = serde_json::from_str(&input).expect("JSON");
        assert_eq!(
            input,
            json!({"sourceRevisions": [{
                "actionName": source["name"],
                "revisionType": "S3_OBJECT_VERSION_ID",
                "revisionValue": "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY",
            }]})
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_template_comes_with_the_next_release() {
    let (provisioned, story) = begin(501);
    succeed(&story, &release(&provisioned, &story, &["search"], "3f1c9aa", Behaviour::Good)).await;
    assert_eq!(story.definition("search").await.0["memory"], "512");
    // What terraform apply does after somebody wrote `memory = 1024`: the template has a new revision, nothing else.
    let mut template = provisioned.task_definition("search-template");
    template["memory"] = json!("1024");
    story.world(|world| world.add_task_definition(&template)).expect("a task definition");
    succeed(&story, &release(&provisioned, &story, &["search"], "77e02bd", Behaviour::Good)).await;
    for service in ["search", "search-canary"] {
        assert_eq!(story.definition(service).await.0["memory"], "1024", "{service}");
    }
    runs(&story, "search", "77e02bd");
}

#[tokio::test(start_paused = true)]
async fn a_canary_with_a_target_group_of_its_own_is_stopped_by_its_own_alarm() {
    let (provisioned, story) = begin(502);
    succeed(&story, &release(&provisioned, &story, &["search"], "3f1c9aa", Behaviour::Good)).await;
    let full = story.portrait("search").await;
    let sick = release(&provisioned, &story, &["search"], "77e02bd", Behaviour::Raises5xx);
    story.answer("search", "Approve", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("search", &sick["search"]).await, PipelineExecutionStatus::Failed);
    let message = story.failure("search", &sick["search"], "Canary");
    assert!(message.contains("alarm search-canary-5xx is in ALARM") && !message.contains("shared"), "{message}");
    assert_eq!(story.digests("search-canary"), story.digests("search"));
    assert_eq!(story.portrait("search").await, full);
}

#[tokio::test(start_paused = true)]
async fn the_first_approval_shows_what_a_release_would_do_on_the_first_day_and_on_the_next() {
    let (provisioned, story) = begin(504);
    for tag in ["3f1c9aa", "77e02bd"] {
        let executions = release(&provisioned, &story, &["app"], tag, Behaviour::Good);
        story
            .until("the first approval", |world| {
                world.codepipeline.open_approvals("app").iter().any(|run| run.stage == "Approve")
            })
            .await;
        let asked = story.world(|world| world.codepipeline.open_approvals("app")[0].resolved["CustomData"].clone());
        assert!(asked.starts_with("Deploy this release of app to the canary? Plan. "), "{asked}");
        assert!(asked.contains(tag) && asked.contains("main/app: 10 tasks, 1 at a time"), "{asked}");
        assert!(asked.chars().count() <= 1_000, "{asked}");
        succeed(&story, &executions).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_button_returns_all_classes_to_the_release_before() {
    let (provisioned, story) = begin(505);
    for tag in ["3f1c9aa", "77e02bd"] {
        succeed(&story, &release(&provisioned, &story, &CLASSES, tag, Behaviour::Good)).await;
    }
    let button = text(&provisioned.button()["name"]);
    let execution = story.world(|world| world.start_pipeline(button, &Default::default())).expect("an execution");
    story.until("its approval", |world| !world.codepipeline.open_approvals(button).is_empty()).await;
    let asked = story.world(|world| world.codepipeline.open_approvals(button)[0].resolved["CustomData"].clone());
    assert_eq!(asked, "Return app,background,search to last?");
    story.answer(button, "Approve", ApprovalStatus::Approved).await;
    assert_eq!(story.ended(button, &execution).await, PipelineExecutionStatus::Succeeded);
    for class in CLASSES {
        runs(&story, class, "3f1c9aa");
    }
    story.each_job_has_one_result();
}
