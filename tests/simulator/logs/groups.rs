//! Groups and streams: making, describing and writing to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Group, Stream, group_name, invalid, limit, millis, no_group, no_stream};
use crate::paging::page;
use crate::{Answer, Call, ErrorReply, World};

/// What an operation answers that has nothing to say.
#[derive(Debug, Serialize)]
pub(super) struct Nothing {}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateGroupInput {
    log_group_name: String,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateStreamInput {
    log_group_name: String,
    log_stream_name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PutEventsInput {
    log_group_name: String,
    log_stream_name: String,
    log_events: Vec<InputEvent>,
    /// Ignored, as AWS has done since 2023.
    #[serde(rename = "sequenceToken")]
    _sequence_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InputEvent {
    timestamp: i64,
    message: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutEventsOutput {
    next_sequence_token: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeGroupsInput {
    log_group_name_prefix: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeGroupsOutput {
    log_groups: Vec<GroupOutput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupOutput {
    log_group_name: String,
    creation_time: i64,
    metric_filter_count: u32,
    arn: String,
    stored_bytes: u64,
    log_group_class: &'static str,
    log_group_arn: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeStreamsInput {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name_prefix: Option<String>,
    order_by: Option<String>,
    descending: Option<bool>,
    next_token: Option<String>,
    limit: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeStreamsOutput {
    log_streams: Vec<StreamOutput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StreamOutput {
    log_stream_name: String,
    creation_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_event_timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event_timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_ingestion_time: Option<i64>,
    arn: String,
    /// Zero since 2019, whatever the stream holds.
    stored_bytes: u64,
}

pub(super) fn create_group(world: &mut World, call: &Call, input: CreateGroupInput) -> Answer<Nothing> {
    let name = input.log_group_name;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#".contains(&byte);
    if name.is_empty() || name.len() > 512 || !name.bytes().all(legal) {
        return Err(invalid("logGroupName", r"Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+"));
    }
    if input.tags.len() > 50 {
        return Err(invalid("tags", "Member must have length less than or equal to 50"));
    }
    if world.logs.groups.contains_key(&name) {
        return Err(ErrorReply::new("ResourceAlreadyExistsException", "The specified log group already exists"));
    }
    world.logs.groups.insert(name, Group { created: millis(call.at), streams: BTreeMap::new() });
    Ok(Nothing {})
}

pub(super) fn create_stream(world: &mut World, call: &Call, input: CreateStreamInput) -> Answer<Nothing> {
    let name = input.log_stream_name;
    if name.is_empty() || name.len() > 512 || name.contains([':', '*']) {
        return Err(invalid("logStreamName", "Member must satisfy regular expression pattern: [^:*]*"));
    }
    let group = world.logs.groups.get_mut(&input.log_group_name).ok_or_else(no_group)?;
    if group.streams.contains_key(&name) {
        return Err(ErrorReply::new("ResourceAlreadyExistsException", "The specified log stream already exists"));
    }
    group.streams.insert(name, Stream { created: millis(call.at), events: Vec::new() });
    Ok(Nothing {})
}

pub(super) fn put_events(world: &mut World, call: &Call, input: PutEventsInput) -> Answer<PutEventsOutput> {
    let events = input.log_events;
    if events.is_empty() || events.len() > 10_000 {
        return Err(invalid("logEvents", "Member must have length between 1 and 10000"));
    }
    if events.iter().any(|event| event.message.is_empty()) {
        return Err(invalid("logEvents.message", "Member must have length greater than or equal to 1"));
    }
    if events.iter().map(|event| event.message.len() + 26).sum::<usize>() > 1 << 20 {
        return Err(ErrorReply::new("InvalidParameterException", "Upload too large: exceeded limit of 1048576 bytes"));
    }
    if !events.is_sorted_by_key(|event| event.timestamp) {
        let message = "Log events in a single PutLogEvents request must be in chronological order.";
        return Err(ErrorReply::new("InvalidParameterException", message));
    }
    let logs = &mut world.logs;
    let group = logs.groups.get_mut(&input.log_group_name).ok_or_else(no_group)?;
    let stream = group.streams.get_mut(&input.log_stream_name).ok_or_else(no_stream)?;
    for event in events {
        logs.sequence += 1;
        stream.add(event.timestamp, millis(call.at), &event.message, logs.sequence);
    }
    Ok(PutEventsOutput { next_sequence_token: format!("{:056}", logs.sequence) })
}

pub(super) fn describe_groups(
    world: &mut World,
    _call: &Call,
    input: DescribeGroupsInput,
) -> Answer<DescribeGroupsOutput> {
    let size = limit(input.limit, 50)?;
    let prefix = input.log_group_name_prefix.unwrap_or_default();
    let groups = world.logs.groups.iter().filter(|(name, _)| name.starts_with(&prefix));
    let (groups, next_token) =
        page(groups, |(name, _)| (*name).clone(), input.next_token.as_deref(), size).ok_or_else(bad_token)?;
    let log_groups = groups
        .into_iter()
        .map(|(name, group)| {
            let arn = world.arn("logs", &format!("log-group:{name}"));
            let bytes = |stream: &Stream| stream.events.iter().map(|line| line.message.len() as u64).sum::<u64>();
            GroupOutput {
                log_group_name: name.clone(),
                creation_time: group.created,
                metric_filter_count: 0,
                arn: format!("{arn}:*"),
                stored_bytes: group.streams.values().map(bytes).sum(),
                log_group_class: "STANDARD",
                log_group_arn: arn,
            }
        })
        .collect();
    Ok(DescribeGroupsOutput { log_groups, next_token })
}

pub(super) fn describe_streams(
    world: &mut World,
    _call: &Call,
    input: DescribeStreamsInput,
) -> Answer<DescribeStreamsOutput> {
    let name = group_name(input.log_group_name, input.log_group_identifier)?;
    let size = limit(input.limit, 50)?;
    let by_date = match input.order_by.as_deref() {
        None | Some("LogStreamName") => false,
        Some("LastEventTime") if input.log_stream_name_prefix.is_some() => {
            let message = "Cannot order by LastEventTime with a logStreamNamePrefix.";
            return Err(ErrorReply::new("InvalidParameterException", message));
        }
        Some("LastEventTime") => true,
        Some(_) => {
            return Err(invalid("orderBy", "Member must satisfy enum value set: [LogStreamName, LastEventTime]"));
        }
    };
    let prefix = input.log_stream_name_prefix.unwrap_or_default();
    let group = world.logs.group(&name)?;
    let mut streams: Vec<_> = group.streams.iter().filter(|(name, _)| name.starts_with(&prefix)).collect();
    if by_date {
        streams.sort_by_key(|(name, stream)| (stream.events.last().map(|line| line.timestamp), *name));
    }
    if input.descending == Some(true) {
        streams.reverse();
    }
    // The order is the caller's choice, so the token is found by place, not by comparison.
    let start = match input.next_token {
        None => 0,
        Some(token) => {
            let last = streams.iter().position(|(name, _)| **name == token);
            last.ok_or_else(bad_token)? + 1
        }
    };
    let end = (start + size).min(streams.len());
    let next_token = if end < streams.len() { streams.get(end - 1).map(|(name, _)| (*name).clone()) } else { None };
    let log_streams = streams
        .into_iter()
        .take(end)
        .skip(start)
        .map(|(stream_name, stream)| StreamOutput {
            log_stream_name: stream_name.clone(),
            creation_time: stream.created,
            first_event_timestamp: stream.events.first().map(|line| line.timestamp),
            last_event_timestamp: stream.events.last().map(|line| line.timestamp),
            last_ingestion_time: stream.events.iter().map(|line| line.ingested).max(),
            arn: world.arn("logs", &format!("log-group:{name}:log-stream:{stream_name}")),
            stored_bytes: 0,
        })
        .collect();
    Ok(DescribeStreamsOutput { log_streams, next_token })
}

pub(super) fn bad_token() -> ErrorReply {
    ErrorReply::new("InvalidParameterException", "The specified nextToken is invalid.")
}
