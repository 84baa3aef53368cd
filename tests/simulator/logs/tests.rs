//! Logs, driven through the real SDK.

use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::error::ProvideErrorMetadata;
use aws_sdk_cloudwatchlogs::types::InputLogEvent;

use crate::{Settings, Simulator};

fn account() -> (Simulator, Client) {
    let simulator = Simulator::new(Settings::seeded(7));
    let client = Client::new(&simulator.sdk_config("AKIATEST"));
    simulator.with_world(|world| {
        for number in 0..5 {
            let at = world.now + Duration::from_secs(number);
            world.logs.put("/ecs/app", "app/web/1", at, &format!("line {number}"));
        }
        let at = world.now + Duration::from_secs(2);
        world.logs.put("/ecs/app", "app/web/2", at, "ERROR no database");
    });
    (simulator, client)
}

fn messages(events: &[aws_sdk_cloudwatchlogs::types::OutputLogEvent]) -> Vec<&str> {
    events.iter().filter_map(|event| event.message()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_latest_lines_come_first_unless_the_head_is_asked_for() {
    let (_, client) = account();
    let ask = || client.get_log_events().log_group_name("/ecs/app").log_stream_name("app/web/1").limit(2);
    let tail = ask().send().await.unwrap();
    assert_eq!(messages(tail.events()), ["line 3", "line 4"]);
    let older = ask().next_token(tail.next_backward_token().unwrap()).send().await.unwrap();
    assert_eq!(messages(older.events()), ["line 1", "line 2"]);
    let head = ask().start_from_head(true).send().await.unwrap();
    assert_eq!(messages(head.events()), ["line 0", "line 1"]);
    let next = ask().next_token(head.next_forward_token().unwrap()).send().await.unwrap();
    assert_eq!(messages(next.events()), ["line 2", "line 3"]);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_of_a_stream_the_same_token_comes_back_and_later_lines_follow_it() {
    let (simulator, client) = account();
    let ask = || client.get_log_events().log_group_name("/ecs/app").log_stream_name("app/web/1");
    let all = ask().start_from_head(true).send().await.unwrap();
    let token = all.next_forward_token().unwrap();
    let end = ask().next_token(token).send().await.unwrap();
    assert!(end.events().is_empty());
    assert_eq!(end.next_forward_token(), Some(token));
    simulator.with_world(|world| {
        world.logs.put("/ecs/app", "app/web/1", world.now + Duration::from_secs(9), "line 5");
    });
    assert_eq!(messages(ask().next_token(token).send().await.unwrap().events()), ["line 5"]);
}

#[tokio::test(start_paused = true)]
async fn filtering_merges_streams_and_pages() {
    let (_, client) = account();
    let ask = || client.filter_log_events().log_group_name("/ecs/app");
    let errors = ask().filter_pattern("ERROR").send().await.unwrap();
    assert_eq!(errors.events()[0].log_stream_name(), Some("app/web/2"));
    let mut pages = ask().limit(4).into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().events().len());
    }
    assert_eq!(sizes, [4, 2]);
    let one = ask().log_stream_names("app/web/2").send().await.unwrap();
    assert_eq!(one.events().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_or_too_much_is_refused_by_name() {
    let (_, client) = account();
    let get = |group: &str, stream: &str| client.get_log_events().log_group_name(group).log_stream_name(stream);
    let error = get("/nowhere", "x").send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception());
    assert_eq!(error.message(), Some("The specified log group does not exist."));
    let error = get("/ecs/app", "x").send().await.unwrap_err().into_service_error();
    assert_eq!(error.message(), Some("The specified log stream does not exist."));
    let error = get("/ecs/app", "app/web/1").limit(10_001).send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_parameter_exception());
}

#[tokio::test(start_paused = true)]
async fn a_group_a_stream_and_lines_can_be_written_by_hand() {
    let (_, client) = account();
    client.create_log_group().log_group_name("/mine").send().await.unwrap();
    assert!(client.create_log_group().log_group_name("/mine").send().await.is_err());
    client.create_log_stream().log_group_name("/mine").log_stream_name("one").send().await.unwrap();
    let event = |at, text: &str| InputLogEvent::builder().timestamp(at).message(text).build().unwrap();
    let put = || client.put_log_events().log_group_name("/mine").log_stream_name("one");
    put().log_events(event(1, "a")).log_events(event(2, "b")).send().await.unwrap();
    assert!(put().log_events(event(2, "b")).log_events(event(1, "a")).send().await.is_err());
    let streams = client.describe_log_streams().log_group_name("/mine").send().await.unwrap();
    assert_eq!(streams.log_streams()[0].last_event_timestamp(), Some(2));
    let groups = client.describe_log_groups().log_group_name_prefix("/m").send().await.unwrap();
    assert_eq!(groups.log_groups()[0].log_group_name(), Some("/mine"));
}
