//! Refusals, failures, pages and tags.

use super::*;

#[tokio::test(start_paused = true)]
async fn rebalancing_and_a_maximum_of_100_exclude_each_other() {
    let stage = Stage::new(1, worker("good"), 10, json!({}));
    let update = || stage.client.update_service().cluster("main").service("app");
    let tight = types::DeploymentConfiguration::builder().maximum_percent(100).minimum_healthy_percent(90).build();
    assert_eq!(stage.service().await.availability_zone_rebalancing().unwrap().as_str(), "ENABLED");
    let refused = update().deployment_configuration(tight.clone()).send().await.unwrap_err().into_service_error();
    assert!(refused.is_invalid_parameter_exception(), "{refused:?}");
    assert!(refused.to_string().contains("InvalidParameterException"));
    let off = types::AvailabilityZoneRebalancing::Disabled;
    update().deployment_configuration(tight).availability_zone_rebalancing(off).send().await.unwrap();
    let on = types::AvailabilityZoneRebalancing::Enabled;
    assert!(update().availability_zone_rebalancing(on).send().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_told_in_failures_or_by_name() {
    let stage = Stage::new(1, worker("good"), 1, json!({}));
    let described = stage.client.describe_services().cluster("main").services("nobody").send().await.unwrap();
    let failure = &described.failures()[0];
    assert_eq!(failure.reason(), Some("MISSING"));
    assert_eq!(failure.arn(), Some("arn:aws:ecs:eu-central-1:123456789012:service/main/nobody"));
    let elsewhere = stage.client.describe_services().cluster("other").services("app").send().await.unwrap_err();
    assert!(elsewhere.into_service_error().is_cluster_not_found_exception());
    let update = stage.client.update_service().cluster("main").service("nobody").send().await.unwrap_err();
    assert!(update.into_service_error().is_service_not_found_exception());
    let eleven = stage.client.describe_services().cluster("main").set_services(Some(vec!["app".into(); 11]));
    assert!(eleven.send().await.unwrap_err().into_service_error().is_invalid_parameter_exception());
    let mixed = stage.client.list_tasks().cluster("main").service_name("app").started_by("me").send().await;
    assert!(mixed.unwrap_err().into_service_error().is_invalid_parameter_exception());
    let stop = stage.client.stop_service_deployment().service_deployment_arn("arn:aws:ecs:x").send().await;
    assert!(stop.unwrap_err().into_service_error().is_service_deployment_not_found_exception());
}

#[tokio::test(start_paused = true)]
async fn services_are_listed_ten_to_a_page() {
    let stage = Stage::new(1, worker("good"), 1, json!({}));
    stage.simulator.with_world(|world| {
        for number in 0..14 {
            world.add_service(ServiceSpec::new("main", &format!("s{number}"), worker("good"), 0)).unwrap();
        }
    });
    let first = stage.client.list_services().cluster("main").send().await.unwrap();
    assert_eq!(first.service_arns().len(), 10);
    let rest = stage.client.list_services().cluster("main").set_next_token(first.next_token).send().await.unwrap();
    assert_eq!((rest.service_arns().len(), rest.next_token()), (5, None));
    let clusters = stage.client.describe_clusters().clusters("main").send().await.unwrap();
    assert_eq!((clusters.clusters()[0].active_services_count, clusters.clusters()[0].running_tasks_count), (15, 1));
}

#[tokio::test(start_paused = true)]
async fn tags_are_kept_shown_on_demand_and_removed() {
    let stage = Stage::new(1, worker("good"), 1, json!({}));
    let service = stage.service().await;
    let arn = service.service_arn().unwrap();
    let tag = types::Tag::builder().key("team").value("blue").build();
    stage.client.tag_resource().resource_arn(arn).tags(tag.clone()).send().await.unwrap();
    assert!(stage.service().await.tags().is_empty());
    let described = stage.client.describe_services().cluster("main").services("app");
    let described = described.include(types::ServiceField::Tags).send().await.unwrap();
    assert_eq!(described.services()[0].tags(), [tag]);
    stage.client.untag_resource().resource_arn(arn).tag_keys("team").send().await.unwrap();
    assert!(stage.client.list_tags_for_resource().resource_arn(arn).send().await.unwrap().tags().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_deleted_service_drains_and_becomes_inactive() {
    let stage = Stage::new(1, worker("good"), 2, json!({}));
    let delete = || stage.client.delete_service().cluster("main").service("app");
    assert!(delete().send().await.unwrap_err().into_service_error().is_invalid_parameter_exception());
    let draining = delete().force(true).send().await.unwrap().service.unwrap();
    assert_eq!(draining.status(), Some("DRAINING"));
    stage.wait(120).await;
    assert_eq!(stage.service().await.status(), Some("INACTIVE"));
    assert!(stage.client.list_services().cluster("main").send().await.unwrap().service_arns().is_empty());
    let update = stage.client.update_service().cluster("main").service("app").desired_count(1).send().await;
    assert!(update.unwrap_err().into_service_error().is_service_not_active_exception());
}

#[tokio::test(start_paused = true)]
async fn scaling_in_leaves_no_shortfall() {
    let stage = Stage::new(1, worker("good"), 5, json!({}));
    stage.simulator.with_world(|world| world.set_desired_count("main", "app", 2)).unwrap();
    stage.wait(120).await;
    let view = stage.view();
    assert_eq!((view.healthy(), view.shortfall), (2, crate::ecs::Shortfall::default()));
    let caused = view.tasks.iter().filter(|task| matches!(task.stopped, Some((crate::ecs::StopCause::ScaleIn, true))));
    assert_eq!(caused.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_codedeploy_service_takes_counts_but_no_deployments() {
    let stage = Stage::new(1, worker("good"), 1, json!({"deploymentController": {"type": "CODE_DEPLOY"}}));
    let update = || stage.client.update_service().cluster("main").service("app");
    let refused = update().force_new_deployment(true).send().await.unwrap_err().into_service_error();
    assert!(refused.is_invalid_parameter_exception());
    assert!(refused.meta().message().unwrap().contains("CODE_DEPLOY"));
    assert_eq!(update().desired_count(2).send().await.unwrap().service.unwrap().desired_count, 2);
}

#[tokio::test(start_paused = true)]
async fn native_strategies_are_stored_and_their_deployments_refused_by_name() {
    let configuration = json!({"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 10.0}});
    let stage = Stage::new(1, worker("good"), 1, json!({"deploymentConfiguration": configuration}));
    let shown = stage.service().await.deployment_configuration.unwrap();
    assert_eq!(shown.strategy().unwrap().as_str(), "CANARY");
    assert_eq!(shown.canary_configuration().unwrap().canary_percent(), Some(10.0));
    let update = stage.client.update_service().cluster("main").service("app").force_new_deployment(true);
    let refused = update.send().await.unwrap_err().into_service_error();
    assert_eq!(refused.meta().message(), Some("The simulator has no CANARY deployments."));
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_was_read_can_be_sent_back_whole() {
    let alarms = json!({"alarmNames": ["errors"], "enable": true, "rollback": true});
    let breaker = json!({"enable": true, "rollback": true, "thresholdConfiguration": {"type": "COUNT", "value": 4}});
    let configuration = json!({"deploymentCircuitBreaker": breaker, "alarms": alarms});
    let stage = Stage::new(1, worker("good"), 1, json!({"deploymentConfiguration": configuration}));
    let mut read = stage.service().await.deployment_configuration.unwrap();
    read.maximum_percent = Some(150);
    let update = || stage.client.update_service().cluster("main").service("app");
    let sent = update().deployment_configuration(read.clone()).send().await.unwrap().service.unwrap();
    assert_eq!(sent.deployment_configuration, Some(read));
    // The percents alone turn the rest off.
    let bare = types::DeploymentConfiguration::builder().minimum_healthy_percent(50).build();
    let sent = update().deployment_configuration(bare).send().await.unwrap().service.unwrap();
    let shown = sent.deployment_configuration().unwrap();
    assert_eq!((shown.minimum_healthy_percent(), shown.maximum_percent()), (Some(50), Some(150)));
    assert!(!shown.deployment_circuit_breaker().unwrap().enable && shown.alarms().is_none());
}
