//! Rollouts that go wrong.

use super::*;

fn crashing() -> Behaviour {
    Behaviour::CrashesAfter { after: Duration::from_secs(5), exit_code: 3, lines: vec!["no database".into()] }
}

#[tokio::test(start_paused = true)]
async fn the_breaker_rolls_back_to_the_last_successful_revision() {
    let stage = Stage::new(2, worker("good"), 4, with_breaker(true));
    stage.image("bad", 'd', crashing());
    let before = stage.service().await;
    let arn = stage.deploy(&worker("bad")).await;
    stage.until(&arn, "ROLLBACK_IN_PROGRESS").await;
    let service = stage.service().await;
    assert_eq!(service.task_definition(), before.task_definition());
    assert_eq!(service.deployments()[0].id(), before.deployments()[0].id());
    assert_eq!(service.deployments()[1].rollout_state().unwrap().as_str(), "FAILED");
    stage.until(&arn, "ROLLBACK_SUCCESSFUL").await;
    let deployment = stage.deployment(&arn).await;
    let breaker = deployment.deployment_circuit_breaker().unwrap();
    assert_eq!(breaker.status().unwrap().as_str(), "TRIGGERED");
    assert_eq!(breaker.threshold, 3);
    let target = deployment.rollback().unwrap().service_revision_arn();
    assert_eq!(target, before.current_service_revisions()[0].arn());
    assert_eq!(stage.view().new_and_old(), (4, 0));
    let events = stage.events().await;
    assert!(events.iter().any(|event| event.ends_with("deployment failed: tasks failed to start.")));
    assert!(events.iter().any(|event| event.contains("rolling back to deployment ecs-svc/")));
}

#[tokio::test(start_paused = true)]
async fn a_breaker_without_rollback_ends_the_deployment_failed() {
    let stage = Stage::new(2, worker("good"), 2, with_breaker(false));
    stage.image("bad", 'd', crashing());
    let arn = stage.deploy(&worker("bad")).await;
    stage.until(&arn, "STOPPED").await;
    let service = stage.service().await;
    assert_eq!(service.deployments()[0].rollout_state().unwrap().as_str(), "FAILED");
    let started = stage.events().await.iter().filter(|event| event.contains("has started")).count();
    stage.wait(600).await;
    let later = stage.events().await.iter().filter(|event| event.contains("has started")).count();
    assert_eq!(started, later, "a failed deployment starts nothing");
    assert_eq!(stage.view().new_and_old(), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_first_deployment_has_nothing_to_go_back_to_and_stalls() {
    let stage = Stage::new(2, worker("good"), 1, json!({}));
    stage.image("bad", 'd', crashing());
    let definition = stage.definition(&worker("bad"));
    let breaker = types::DeploymentCircuitBreaker::builder().enable(true).rollback(true).build();
    let network = stage.service().await.network_configuration.unwrap();
    let created = stage.client.create_service().cluster("main").service_name("fresh").task_definition(definition);
    let created = created
        .desired_count(1)
        .launch_type(types::LaunchType::Fargate)
        .network_configuration(network)
        .deployment_configuration(
            types::DeploymentConfiguration::builder().deployment_circuit_breaker(breaker).build(),
        );
    let arn = created.send().await.unwrap().service.unwrap().current_service_deployment.unwrap();
    stage.wait(1800).await;
    let deployment = stage.deployment(&arn).await;
    assert_eq!(deployment.status().unwrap().as_str(), "IN_PROGRESS");
    assert_eq!(deployment.deployment_circuit_breaker().unwrap().status().unwrap().as_str(), "TRIGGERED");
    // A request to roll back ends it.
    stage.client.stop_service_deployment().service_deployment_arn(&arn).send().await.unwrap();
    assert_eq!(stage.deployment(&arn).await.status().unwrap().as_str(), "ROLLBACK_FAILED");
}

#[tokio::test(start_paused = true)]
async fn a_person_can_roll_a_deployment_back_that_is_not_configured_for_it() {
    let stage = Stage::new(4, worker("good"), 10, percents(90, 100));
    let arn = stage.deploy(&worker("next")).await;
    stage.wait(100).await;
    assert_ne!(stage.view().new_and_old().0, 0);
    let stop = || {
        let kind = types::StopServiceDeploymentStopType::Rollback;
        stage.client.stop_service_deployment().service_deployment_arn(&arn).stop_type(kind)
    };
    stop().send().await.unwrap();
    assert_eq!(stage.deployment(&arn).await.status().unwrap().as_str(), "ROLLBACK_REQUESTED");
    let again = stop().send().await.unwrap_err().into_service_error();
    assert!(again.is_conflict_exception(), "{again:?}");
    stage.until(&arn, "ROLLBACK_SUCCESSFUL").await;
    assert!(stage.service().await.task_definition().unwrap().ends_with("worker:1"));
    let view = stage.view();
    assert!(view.tasks.iter().filter(|task| task.stopped.is_none()).all(|task| task.digests[0].1 == Some(digest('a'))));
    assert!(stop().send().await.unwrap_err().into_service_error().is_conflict_exception());
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_without_breaker_never_ends() {
    let stage = Stage::new(6, worker("good"), 2, json!({}));
    stage.image("bad", 'd', crashing());
    let arn = stage.deploy(&worker("bad")).await;
    let mut failed = Vec::new();
    for _ in 0..3 {
        stage.wait(600).await;
        assert_eq!(stage.deployment(&arn).await.status().unwrap().as_str(), "IN_PROGRESS");
        failed.push(stage.service().await.deployments()[0].failed_tasks);
    }
    assert!(failed[0] > 5 && failed[0] < failed[1] && failed[1] < failed[2], "{failed:?}");
    assert_eq!(stage.view().new_and_old().1, 2, "the old tasks are untouched");
    let stopped = stage.client.list_tasks().cluster("main").service_name("app");
    let stopped = stopped.desired_status(types::DesiredStatus::Stopped).send().await.unwrap();
    let tasks = stage.client.describe_tasks().cluster("main").set_tasks(stopped.task_arns).send().await.unwrap();
    for task in tasks.tasks() {
        assert_eq!(task.stop_code().unwrap().as_str(), "EssentialContainerExited");
        assert_eq!(task.stopped_reason(), Some("Essential container in task exited"));
        assert_eq!(task.containers()[0].exit_code(), Some(3));
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_that_cannot_be_pulled_are_retried_ever_more_slowly() {
    let stage = Stage::new(6, worker("good"), 1, json!({}));
    stage.image("missing", 'd', Behaviour::CannotBePulled);
    let arn = stage.deploy(&worker("missing")).await;
    stage.wait(3000).await;
    assert_eq!(stage.deployment(&arn).await.status().unwrap().as_str(), "IN_PROGRESS");
    let failed = stage.service().await.deployments()[0].failed_tasks;
    assert!((6..15).contains(&failed), "{failed}");
    let events = stage.events().await;
    assert!(events.iter().any(|event| event.contains("is unable to consistently start tasks successfully")));
    let stopped = stage.client.list_tasks().cluster("main").service_name("app");
    let stopped = stopped.desired_status(types::DesiredStatus::Stopped).send().await.unwrap();
    let tasks = stage.client.describe_tasks().cluster("main").set_tasks(stopped.task_arns).send().await.unwrap();
    let task = &tasks.tasks()[0];
    assert_eq!(task.stop_code().unwrap().as_str(), "TaskFailedToStart");
    assert!(task.stopped_reason().unwrap().starts_with("CannotPullContainerError"), "{task:?}");
    assert_eq!(task.containers()[0].exit_code(), None);
}

#[tokio::test(start_paused = true)]
async fn tasks_that_never_get_healthy_are_replaced() {
    let stage = Stage::new(6, checked("good"), 1, json!({}));
    stage.image("sick", 'e', Behaviour::NeverHealthy);
    stage.deploy(&checked("sick")).await;
    stage.wait(200).await;
    let view = stage.view();
    assert!(view.tasks.iter().any(|task| matches!(task.stopped, Some((crate::ecs::StopCause::Health, false)))));
    assert_eq!(view.new_and_old().1, 1);
    assert!(stage.events().await.iter().any(|event| event.ends_with("failed container health checks.")));
}

#[tokio::test(start_paused = true)]
async fn a_killed_container_and_a_wrong_processor_show_why() {
    let stage = Stage::new(6, worker("good"), 1, json!({}));
    stage.image("greedy", 'e', Behaviour::OutOfMemory { after: Duration::from_secs(20) });
    stage.image("foreign", 'f', Behaviour::WrongArchitecture);
    for (tag, code, reason) in
        [("greedy", 137, Some("OutOfMemoryError: Container killed due to memory usage")), ("foreign", 1, None)]
    {
        stage.deploy(&worker(tag)).await;
        stage.wait(120).await;
        let primary = stage.view().primary;
        let stopped = stage.view().tasks.into_iter().filter(|task| task.revision == primary);
        let id = stopped.into_iter().find(|task| task.stopped.is_some()).unwrap().id;
        let tasks = stage.client.describe_tasks().cluster("main").tasks(id).send().await.unwrap();
        let container = &tasks.tasks()[0].containers()[0];
        assert_eq!((container.exit_code(), container.reason()), (Some(code), reason));
    }
}

#[tokio::test(start_paused = true)]
async fn spot_and_pull_throttles_do_not_end_a_good_rollout() {
    let stage = Stage::new(8, worker("good"), 10, percents(90, 100));
    let arn = stage.deploy(&worker("next")).await;
    stage.wait(60).await;
    let met = stage.simulator.with_world(|world| {
        world.fail_next_pulls(2, "CannotPullContainerError: toomanyrequests: Rate exceeded");
        world.interrupt_spot("main", "app", 3)
    });
    assert_eq!(met, 3);
    stage.until(&arn, "SUCCESSFUL").await;
    assert_eq!(stage.view().new_and_old(), (10, 0));
    let spot = |task: &&crate::ecs::TaskView| matches!(task.stopped, Some((crate::ecs::StopCause::Spot, _)));
    assert_eq!(stage.view().tasks.iter().filter(spot).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn stopped_tasks_are_forgotten_after_an_hour() {
    let stage = Stage::new(6, worker("good"), 1, json!({}));
    let id = stage.view().tasks[0].id.clone();
    stage.client.stop_task().cluster("main").task(&id).reason("try").send().await.unwrap();
    stage.wait(600).await;
    let describe = || stage.client.describe_tasks().cluster("main").tasks(&id).send();
    let task = describe().await.unwrap().tasks.unwrap().remove(0);
    assert_eq!((task.last_status(), task.stopped_reason()), (Some("STOPPED"), Some("try")));
    assert_eq!(task.stop_code().unwrap().as_str(), "UserInitiated");
    stage.wait(3600).await;
    let described = describe().await.unwrap();
    assert!(described.tasks().is_empty());
    assert_eq!(described.failures()[0].reason(), Some("MISSING"));
}

fn with_alarm(rollback: bool) -> Value {
    json!({"deploymentConfiguration": {"alarms": {"alarmNames": ["errors"], "enable": true, "rollback": rollback}}})
}

fn turn(stage: &Stage, red: bool) {
    stage.simulator.with_world(|world| {
        if red { world.ecs.red_alarms.insert("errors".into()) } else { world.ecs.red_alarms.remove("errors") }
    });
}

#[tokio::test(start_paused = true)]
async fn an_alarm_during_the_bake_rolls_a_deployment_back() {
    let stage = Stage::new(3, worker("good"), 2, with_alarm(true));
    let arn = stage.deploy(&worker("next")).await;
    while stage.view().new_and_old() != (2, 0) || stage.view().healthy() < 2 {
        stage.wait(1).await;
    }
    stage.wait(60).await;
    let deployment = stage.deployment(&arn).await;
    assert_eq!(deployment.status().unwrap().as_str(), "IN_PROGRESS", "it bakes");
    assert_eq!(deployment.alarms().unwrap().status().unwrap().as_str(), "MONITORING");
    turn(&stage, true);
    stage.until(&arn, "ROLLBACK_IN_PROGRESS").await;
    stage.until(&arn, "ROLLBACK_SUCCESSFUL").await;
    let deployment = stage.deployment(&arn).await;
    assert_eq!(deployment.alarms().unwrap().triggered_alarm_names(), ["errors"]);
    assert!(stage.service().await.task_definition().unwrap().ends_with("worker:1"));
}

#[tokio::test(start_paused = true)]
async fn an_alarm_without_rollback_ends_the_deployment_failed() {
    let stage = Stage::new(3, worker("good"), 2, with_alarm(false));
    let arn = stage.deploy(&worker("next")).await;
    stage.wait(20).await;
    turn(&stage, true);
    stage.until(&arn, "STOPPED").await;
    assert_eq!(stage.service().await.deployments()[0].rollout_state().unwrap().as_str(), "FAILED");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_is_red_at_the_start_is_ignored_for_the_whole_deployment() {
    let stage = Stage::new(3, worker("good"), 2, with_alarm(true));
    turn(&stage, true);
    let arn = stage.deploy(&worker("next")).await;
    stage.wait(20).await;
    turn(&stage, false);
    stage.wait(20).await;
    turn(&stage, true);
    let waited = stage.until(&arn, "SUCCESSFUL").await;
    assert!(waited < 120, "no bake: {waited}");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_alarm_lets_a_deployment_succeed_after_the_bake() {
    let stage = Stage::new(3, worker("good"), 2, with_alarm(true));
    let arn = stage.deploy(&worker("next")).await;
    let waited = stage.until(&arn, "SUCCESSFUL").await;
    assert!((180..400).contains(&waited), "{waited}");
    let alarms = stage.deployment(&arn).await.alarms.unwrap();
    assert_eq!(alarms.status().unwrap().as_str(), "MONITORING_COMPLETE");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_fails_too_stalls() {
    let stage = Stage::new(2, worker("good"), 1, with_breaker(true));
    stage.image("bad", 'd', crashing());
    let arn = stage.deploy(&worker("bad")).await;
    // The image that it would go back to breaks, and so does the task that runs it.
    stage.image("good", 'a', crashing());
    stage.until(&arn, "ROLLBACK_REQUESTED").await;
    let old = stage.view().tasks[0].id.clone();
    stage.client.stop_task().cluster("main").task(old).send().await.unwrap();
    stage.wait(1800).await;
    assert_eq!(stage.deployment(&arn).await.status().unwrap().as_str(), "ROLLBACK_IN_PROGRESS");
    let started = stage.view().tasks.len();
    stage.wait(300).await;
    assert_eq!(stage.view().tasks.len(), started, "nothing more is started");
    // A new deployment is the way out.
    let arn = stage.deploy(&worker("next")).await;
    stage.until(&arn, "SUCCESSFUL").await;
}

#[tokio::test(start_paused = true)]
async fn the_breakers_threshold_follows_its_configuration() {
    use crate::ecs::breaker::threshold;
    let breaker = |kind: types::ThresholdType, value| {
        let threshold = types::ThresholdConfiguration::builder().r#type(kind).value(value).build().unwrap();
        types::DeploymentCircuitBreaker::builder().enable(true).threshold_configuration(threshold).build()
    };
    let standard = types::DeploymentCircuitBreaker::builder().enable(true).build();
    assert_eq!([1, 25, 400].map(|desired| threshold(&standard, desired)), [3, 13, 200]);
    assert_eq!(threshold(&breaker(types::ThresholdType::Count, 2), 100), 2);
    assert_eq!(threshold(&breaker(types::ThresholdType::UnboundedPercent, 10), 5), 1);
    assert_eq!(threshold(&breaker(types::ThresholdType::BoundedPercent, 10), 5), 3);
    assert_eq!(threshold(&breaker(types::ThresholdType::UnboundedPercent, 100), 500), 500);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_waits_for_capacity() {
    let stage = Stage::new(8, worker("good"), 3, json!({}));
    let lasting = Duration::from_secs(300);
    stage.simulator.with_world(|world| world.refuse_capacity("main", "app", lasting)).unwrap();
    let arn = stage.deploy(&worker("next")).await;
    stage.wait(250).await;
    assert_eq!(stage.view().new_and_old(), (0, 3));
    assert!(stage.events().await.last().unwrap().starts_with("(service app) was unable to place a task."));
    stage.until(&arn, "SUCCESSFUL").await;
}

fn balanced(tag: &str) -> Value {
    let mut definition = worker(tag);
    definition["containerDefinitions"][0]["portMappings"] = json!([{"containerPort": 8080}]);
    definition
}

#[tokio::test(start_paused = true)]
async fn a_target_that_never_answers_is_replaced_after_the_grace_period() {
    let group = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/app/0123456789abcdef";
    let further = json!({
        "loadBalancers": [{"targetGroupArn": group, "containerName": "app", "containerPort": 8080}],
        "healthCheckGracePeriodSeconds": 200,
    });
    let stage = Stage::new(6, balanced("good"), 1, further);
    stage.image("sick", 'e', Behaviour::NeverHealthy);
    let arn = stage.deploy(&balanced("sick")).await;
    stage.wait(210).await;
    assert!(stage.view().tasks.iter().all(|task| task.stopped.is_none()), "it has its grace");
    stage.wait(30).await;
    let view = stage.view();
    let sick = view.tasks.iter().find(|task| task.stopped.is_some()).unwrap();
    let tasks = stage.client.describe_tasks().cluster("main").tasks(&sick.id).send().await.unwrap();
    let task = &tasks.tasks()[0];
    assert_eq!(task.stop_code().unwrap().as_str(), "ServiceSchedulerInitiated");
    assert!(task.stopped_reason().unwrap().starts_with("Task failed ELB health checks in (target-group arn:aws:"));
    assert_eq!(task.last_status(), Some("DEACTIVATING"));
    // A good image goes through, slow as it may be.
    stage.image("slow", 'f', Behaviour::SlowStart(Duration::from_secs(90)));
    assert_eq!(stage.deployment(&arn).await.status().unwrap().as_str(), "IN_PROGRESS");
    let arn = stage.deploy(&balanced("slow")).await;
    assert!(stage.until(&arn, "SUCCESSFUL").await > 100);
}

#[tokio::test(start_paused = true)]
async fn a_healthy_task_resets_the_count_unless_the_breaker_says_no() {
    for (resets, left) in [(true, 0), (false, 2)] {
        let threshold = json!({"type": "COUNT", "value": 3});
        let breaker = json!({
            "enable": true, "rollback": true, "resetOnHealthyTask": resets, "thresholdConfiguration": threshold,
        });
        let further = json!({"deploymentConfiguration": {"deploymentCircuitBreaker": breaker}});
        let stage = Stage::new(8, worker("good"), 4, further);
        stage.simulator.with_world(|world| world.fail_next_pulls(2, "CannotPullContainerError: toomanyrequests"));
        let arn = stage.deploy(&worker("next")).await;
        stage.wait(30).await;
        assert_eq!(stage.service().await.deployments()[0].failed_tasks, 2);
        stage.until(&arn, "SUCCESSFUL").await;
        assert_eq!(stage.service().await.deployments()[0].failed_tasks, 0);
        let breaker = stage.deployment(&arn).await.deployment_circuit_breaker.unwrap();
        assert_eq!((breaker.failure_count, breaker.threshold), (left, 3));
        assert_eq!(breaker.status().unwrap().as_str(), "MONITORING_COMPLETE");
    }
}
