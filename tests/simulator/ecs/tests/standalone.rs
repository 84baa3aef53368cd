//! What no service's deployments show: tasks of no service, daemons, task sets, services that ECS manages.

use aws_sdk_ecs::error::ProvideErrorMetadata;
use aws_sdk_ecs::operation::run_task::builders::RunTaskFluentBuilder;
use aws_sdk_ecs::types::{AwsVpcConfiguration, NetworkConfiguration, ResourceManagementType};

use super::*;

fn run(stage: &Stage, definition: &str) -> RunTaskFluentBuilder {
    let network = AwsVpcConfiguration::builder().subnets("subnet-0a1b2c3d4e5f60718").build().unwrap();
    let network = NetworkConfiguration::builder().awsvpc_configuration(network).build();
    let call = stage.client.run_task().cluster("main").task_definition(definition);
    call.launch_type(types::LaunchType::Fargate).network_configuration(network)
}

#[tokio::test(start_paused = true)]
async fn a_task_of_no_service_starts_runs_and_is_stopped() {
    let stage = Stage::new(40, worker("good"), 1, json!({}));
    let definition = stage.definition(&worker("next"));
    let started = run(&stage, &definition).started_by("cron").count(2).send().await.unwrap();
    assert_eq!(started.tasks().len(), 2);
    let arn = started.tasks()[0].task_arn().unwrap().to_owned();
    tokio::time::advance(Duration::from_secs(300)).await;
    let listed = stage.client.list_tasks().cluster("main").started_by("cron").send().await.unwrap();
    assert_eq!(listed.task_arns().len(), 2);
    let describe = || stage.client.describe_tasks().cluster("main").tasks(&arn).send();
    let task = describe().await.unwrap().tasks.unwrap().remove(0);
    assert_eq!((task.last_status(), task.group()), (Some("RUNNING"), Some("family:worker")));
    assert_eq!(task.containers()[0].image_digest(), Some(digest('b').as_str()));
    stage.client.stop_task().cluster("main").task(&arn).send().await.unwrap();
    tokio::time::advance(Duration::from_secs(300)).await;
    assert_eq!(describe().await.unwrap().tasks()[0].last_status(), Some("STOPPED"));
    let stopped = stage.client.list_tasks().cluster("main").desired_status(types::DesiredStatus::Stopped);
    assert_eq!(stopped.send().await.unwrap().task_arns(), [arn]);
}

#[tokio::test(start_paused = true)]
async fn the_same_client_token_starts_tasks_once() {
    let stage = Stage::new(41, worker("good"), 1, json!({}));
    let definition = stage.definition(&worker("next"));
    let first = run(&stage, &definition).client_token("one").send().await.unwrap();
    let second = run(&stage, &definition).client_token("one").send().await.unwrap();
    assert_eq!(first.tasks()[0].task_arn(), second.tasks()[0].task_arn());
    let other = run(&stage, &definition).client_token("one").count(2).send().await.unwrap_err().into_service_error();
    assert!(other.is_conflict_exception());
    let too_many = run(&stage, &definition).count(11).send().await.unwrap_err();
    assert_eq!(too_many.code(), Some("InvalidParameterException"));
    let arn = stage.definition(&worker("next"));
    stage.client.deregister_task_definition().task_definition(&arn).send().await.unwrap();
    assert_eq!(run(&stage, &arn).send().await.unwrap_err().code(), Some("ClientException"));
}

#[tokio::test(start_paused = true)]
async fn daemons_are_listed_by_themselves_with_the_digests_of_their_revisions() {
    let stage = Stage::new(42, worker("good"), 1, json!({}));
    let (good, next) = ("registry.example/app:good", "registry.example/app:next");
    let arn = stage.simulator.with_world(|world| world.add_daemon("main", "agent", &[("agent", good)])).unwrap();
    stage.simulator.with_world(|world| world.add_daemon("main", "agent", &[("agent", next)])).unwrap();
    let listed = stage.client.list_daemons().send().await.unwrap();
    assert_eq!(listed.daemon_summaries_list()[0].daemon_arn(), Some(arn.as_str()));
    let current = || async {
        let daemon = stage.client.describe_daemon().daemon_arn(&arn).send().await.unwrap().daemon.unwrap();
        daemon.current_revisions().iter().filter_map(|each| each.arn.clone()).collect::<Vec<_>>()
    };
    let arns = current().await;
    assert_eq!(arns.len(), 2, "both run while the new one is rolled out");
    let asked =
        arns.iter().cloned().chain(["arn:aws:ecs:eu-central-1:123456789012:daemon-revision/x".into()]).collect();
    let revisions =
        stage.client.describe_daemon_revisions().set_daemon_revision_arns(Some(asked)).send().await.unwrap();
    let digests: Vec<_> =
        revisions.daemon_revisions().iter().filter_map(|each| each.container_images()[0].image_digest()).collect();
    assert_eq!((digests, revisions.failures().len()), (vec![digest('a').as_str(), digest('b').as_str()], 1));
    let definition = revisions.daemon_revisions()[1].daemon_task_definition_arn().unwrap();
    let described = stage.client.describe_daemon_task_definition().daemon_task_definition(definition).send().await;
    let described = described.unwrap().daemon_task_definition.unwrap();
    assert_eq!((described.revision(), described.container_definitions()[0].image()), (2, next));
    assert_eq!(stage.client.list_daemon_task_definitions().send().await.unwrap().daemon_task_definitions().len(), 2);
    let ordinary = stage.client.list_task_definitions().send().await.unwrap();
    assert_eq!(ordinary.task_definition_arns().len(), 1, "daemons are not among the task definitions");
    stage.simulator.with_world(|world| world.settle_daemon(&arn));
    assert_eq!(current().await, arns[1..]);
}

#[tokio::test(start_paused = true)]
async fn task_sets_stand_in_for_deployments() {
    let external = json!({ "deploymentController": { "type": "EXTERNAL" } });
    let stage = Stage::new(43, worker("good"), 1, external);
    let definition = stage.definition(&worker("next"));
    stage.simulator.with_world(|world| world.add_task_set("main", "app", &definition)).unwrap();
    let service = stage.service().await;
    assert!(service.deployments().is_empty());
    assert_eq!(service.task_sets()[0].task_definition(), Some(definition.as_str()));
}

#[tokio::test(start_paused = true)]
async fn services_that_ecs_manages_are_listed_with_the_others_and_by_themselves() {
    let stage = Stage::new(44, worker("good"), 1, json!({}));
    stage.simulator.with_world(|world| {
        world.add_service(ServiceSpec::new("main", "express", worker("good"), 1)).unwrap();
        world.manage_by_ecs("main", "express").unwrap();
    });
    let list = || stage.client.list_services().cluster("main");
    assert_eq!(list().send().await.unwrap().service_arns().len(), 2);
    for (kind, name) in [(ResourceManagementType::Ecs, "express"), (ResourceManagementType::Customer, "app")] {
        let found = list().resource_management_type(kind).send().await.unwrap();
        assert!(found.service_arns()[0].ends_with(name) && found.service_arns().len() == 1);
    }
}
