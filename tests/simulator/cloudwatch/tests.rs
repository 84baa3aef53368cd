//! Alarms, driven through the real SDK (CBOR) and as older clients ask (JSON 1.0).

use std::time::Duration;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::error::ProvideErrorMetadata;
use aws_sdk_cloudwatch::types::{AlarmType, ComparisonOperator, StateValue, Statistic};

use super::{AlarmSpec, AlarmState, add_alarm, add_composite_alarm, set_alarm_state};
use crate::ecr::Behaviour;
use crate::ecs::RunningTask;
use crate::{Settings, Simulator};

fn account() -> (Simulator, Client) {
    let simulator = Simulator::new(Settings::seeded(7));
    let client = Client::new(&simulator.sdk_config("AKIATEST"));
    (simulator, client)
}

#[tokio::test(start_paused = true)]
async fn an_alarm_tells_its_state_since_when_and_whose_it_is() {
    let (simulator, client) = account();
    simulator.with_world(|world| {
        add_alarm(world, AlarmSpec::watching("canary-5xx", "main", "app-canary"));
        add_alarm(world, AlarmSpec::new("other"));
    });
    let found = client.describe_alarms().alarm_names("canary-5xx").alarm_names("missing").send().await.unwrap();
    let [alarm] = found.metric_alarms() else { panic!("{found:?}") };
    assert_eq!(alarm.state_value(), Some(&StateValue::Ok));
    assert_eq!(alarm.state_updated_timestamp().unwrap().secs(), 1_767_603_600);
    let dimensions: Vec<_> = alarm.dimensions().iter().map(|d| (d.name().unwrap(), d.value().unwrap())).collect();
    assert_eq!(dimensions, [("ClusterName", "main"), ("ServiceName", "app-canary")]);
    assert_eq!(alarm.alarm_arn(), Some("arn:aws:cloudwatch:eu-central-1:123456789012:alarm:canary-5xx"));
    assert_eq!((alarm.threshold(), alarm.period()), (Some(5.0), Some(10)));
}

#[tokio::test(start_paused = true)]
async fn composite_alarms_show_only_to_those_who_ask() {
    let (simulator, client) = account();
    simulator.with_world(|world| {
        add_alarm(world, AlarmSpec::new("a"));
        add_composite_alarm(world, "any", &["a"]);
        set_alarm_state(world, "a", AlarmState::Alarm, "a test says so").unwrap();
        assert_eq!(world.cloudwatch.state("any"), Some("ALARM"));
    });
    let all = client.describe_alarms().send().await.unwrap();
    assert_eq!((all.metric_alarms().len(), all.composite_alarms().len()), (1, 0));
    let composite = client.describe_alarms().alarm_types(AlarmType::CompositeAlarm).send().await.unwrap();
    assert_eq!((composite.metric_alarms().len(), composite.composite_alarms().len()), (0, 1));
    assert_eq!(composite.composite_alarms()[0].alarm_rule(), Some("ALARM(\"a\")"));
}

#[tokio::test(start_paused = true)]
async fn alarms_come_in_pages() {
    let (simulator, client) = account();
    simulator
        .with_world(|world| (0..120).for_each(|number| add_alarm(world, AlarmSpec::new(&format!("a{number:03}")))));
    let mut pages = client.describe_alarms().into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().metric_alarms().len());
    }
    assert_eq!(sizes, [50, 50, 20]);
    let error = client.describe_alarms().max_records(101).send().await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationError"));
    let error = client.describe_alarms().next_token("nonsense!").send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_next_token());
}

#[tokio::test(start_paused = true)]
async fn an_alarm_can_be_put_set_and_deleted_by_hand() {
    let (simulator, client) = account();
    let put = client
        .put_metric_alarm()
        .alarm_name("mine")
        .namespace("App")
        .metric_name("Errors")
        .statistic(Statistic::Sum)
        .period(60)
        .evaluation_periods(1)
        .threshold(1.0)
        .comparison_operator(ComparisonOperator::GreaterThanThreshold);
    put.send().await.unwrap();
    assert_eq!(
        simulator.with_world(|world| world.cloudwatch.state("mine").map(str::to_owned)).unwrap(),
        "INSUFFICIENT_DATA"
    );
    let set = |name: &str| client.set_alarm_state().alarm_name(name).state_value(StateValue::Alarm).state_reason("so");
    set("mine").send().await.unwrap();
    assert!(set("missing").send().await.unwrap_err().into_service_error().is_resource_not_found());
    let red = client.describe_alarms().state_value(StateValue::Alarm).send().await.unwrap();
    assert_eq!(red.metric_alarms()[0].state_reason(), Some("so"));
    client.delete_alarms().alarm_names("mine").send().await.unwrap();
    assert!(client.describe_alarms().send().await.unwrap().metric_alarms().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_set_by_hand_on_a_watching_alarm_lasts_until_the_next_look() {
    let (simulator, _) = account();
    let state = || simulator.with_world(|world| world.cloudwatch.state("watch").map(str::to_owned)).unwrap();
    simulator.with_world(|world| {
        add_alarm(world, AlarmSpec::watching("watch", "main", "app"));
        set_alarm_state(world, "watch", AlarmState::Alarm, "a test says so").unwrap();
    });
    assert_eq!(state(), "ALARM");
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(state(), "OK");
}

#[tokio::test(start_paused = true)]
async fn older_clients_ask_in_json_and_get_dates_as_numbers() {
    let (simulator, _) = account();
    simulator.with_world(|world| add_alarm(world, AlarmSpec::new("a")));
    let request = http::Request::post("/")
        .header("x-amz-target", "GraniteServiceVersion20100801.DescribeAlarms")
        .header("content-type", "application/x-amz-json-1.0")
        .body(bytes::Bytes::from("{}"))
        .unwrap();
    let reply = simulator.handle(request).await;
    let reply: serde_json::Value = serde_json::from_slice(reply.body()).unwrap();
    assert_eq!(reply["MetricAlarms"][0]["StateUpdatedTimestamp"], 1_767_603_600.0);
    assert_eq!(reply["CompositeAlarms"], serde_json::json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_raises_5xx_long_enough_turns_its_alarm_red_and_its_end_turns_it_back() {
    let (simulator, _) = account();
    simulator.with_world(|world| {
        add_alarm(world, AlarmSpec::watching("watch", "main", "app"));
        let start = world.now;
        let at = |seconds| start + Duration::from_secs(seconds);
        let alarm = world.cloudwatch.alarms.get_mut("watch").unwrap();
        let good = RunningTask { since: start, behaviours: vec![Behaviour::Good] };
        let bad = RunningTask { since: start, behaviours: vec![Behaviour::Good, Behaviour::Raises5xx] };
        let mut look = |seconds, tasks: &[RunningTask]| {
            alarm.look(tasks, at(seconds));
            alarm.current.state_value
        };
        assert_eq!(look(60, &[good.clone(), bad.clone()]), "OK");
        assert_eq!(look(70, &[good.clone(), bad]), "ALARM");
        assert_eq!(look(130, std::slice::from_ref(&good)), "ALARM");
        assert_eq!(look(140, &[good]), "OK");
        assert!(alarm.current.state_reason.starts_with("Threshold Crossed: 1 out of the last 1 datapoints"));
    });
}
