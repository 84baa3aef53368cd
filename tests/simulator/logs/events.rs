//! `GetLogEvents` and `FilterLogEvents`.

use serde::{Deserialize, Serialize};

use super::groups::bad_token;
use super::pattern::Pattern;
use super::{Line, group_name, invalid, limit, no_stream};
use crate::paging::page;
use crate::{Answer, Call, World};

/// A reply's events hold at most 1 MiB, each counted with 26 bytes of its own.
const REPLY_BYTES_MAX: usize = 1 << 20;
const EVENT_BYTES: usize = 26;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct GetInput {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: String,
    start_time: Option<i64>,
    end_time: Option<i64>,
    next_token: Option<String>,
    limit: Option<i64>,
    start_from_head: Option<bool>,
    /// Nothing is masked here.
    #[serde(rename = "unmask")]
    _unmask: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetOutput {
    events: Vec<OutputEvent>,
    next_forward_token: String,
    next_backward_token: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OutputEvent {
    timestamp: i64,
    message: String,
    ingestion_time: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FilterInput {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_names: Option<Vec<String>>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    filter_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
    /// Ignored: events of all streams are interleaved since 2019.
    #[serde(rename = "interleaved")]
    _interleaved: Option<bool>,
    #[serde(rename = "unmask")]
    _unmask: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FilterOutput {
    events: Vec<FilteredEvent>,
    /// Always empty since 2020.
    searched_log_streams: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FilteredEvent {
    log_stream_name: String,
    timestamp: i64,
    message: String,
    ingestion_time: i64,
    event_id: String,
}

pub(super) fn get(world: &mut World, _call: &Call, input: GetInput) -> Answer<GetOutput> {
    let group = group_name(input.log_group_name, input.log_group_identifier)?;
    let size = limit(input.limit, 10_000)?;
    check_times(input.start_time, input.end_time)?;
    let stream = world.logs.stream(&group, &input.log_stream_name)?;
    let wanted = |line: &Line| within(line, input.start_time, input.end_time);
    // A token names the event beyond which the next page lies: "f/" the newer side, "b/" the older one.
    let (forward, from) = match input.next_token.as_deref() {
        None if input.start_from_head == Some(true) => (true, String::new()),
        None => (false, "~".to_owned()),
        Some(token) => match token.split_once('/') {
            Some(("f", id)) => (true, id.to_owned()),
            Some(("b", id)) => (false, id.to_owned()),
            _ => return Err(bad_token()),
        },
    };
    let lines: Vec<&Line> = if forward {
        capped(stream.events.iter().filter(|line| wanted(line) && line.id > from), size)
    } else {
        let mut lines = capped(stream.events.iter().rev().filter(|line| wanted(line) && line.id < from), size);
        lines.reverse();
        lines
    };
    // At an end of the stream the token that came goes back: that is how a reader notices.
    let edge = match from.as_str() {
        "" => format!("{:056}", 0),
        "~" => stream.events.last().map_or_else(|| format!("{:056}", 0), |line| line.id.clone()),
        id => id.to_owned(),
    };
    let newest = lines.last().map_or(&edge, |line| &line.id);
    let oldest = lines.first().map_or(&edge, |line| &line.id);
    Ok(GetOutput {
        next_forward_token: format!("f/{newest}"),
        next_backward_token: format!("b/{oldest}"),
        events: lines
            .into_iter()
            .map(|line| OutputEvent {
                timestamp: line.timestamp,
                message: line.message.clone(),
                ingestion_time: line.ingested,
            })
            .collect(),
    })
}

pub(super) fn filter(world: &mut World, _call: &Call, input: FilterInput) -> Answer<FilterOutput> {
    let group = group_name(input.log_group_name, input.log_group_identifier)?;
    let size = limit(input.limit, 10_000)?;
    check_times(input.start_time, input.end_time)?;
    let pattern = Pattern::read(input.filter_pattern.as_deref().unwrap_or_default())?;
    let group = world.logs.group(&group)?;
    if let Some(names) = &input.log_stream_names {
        if input.log_stream_name_prefix.is_some() {
            return Err(invalid("logStreamNames", "logStreamNamePrefix and logStreamNames cannot be used together"));
        }
        if names.is_empty() || names.len() > 100 {
            return Err(invalid("logStreamNames", "Member must have length between 1 and 100"));
        }
        if names.iter().any(|name| !group.streams.contains_key(name)) {
            return Err(no_stream());
        }
    }
    let prefix = input.log_stream_name_prefix.unwrap_or_default();
    let chosen = |name: &String| match &input.log_stream_names {
        Some(names) => names.contains(name),
        None => name.starts_with(&prefix),
    };
    let mut lines: Vec<(&String, &Line)> = group
        .streams
        .iter()
        .filter(|(name, _)| chosen(name))
        .flat_map(|(name, stream)| stream.events.iter().map(move |line| (name, line)))
        .filter(|(_, line)| within(line, input.start_time, input.end_time) && pattern.admits(&line.message))
        .collect();
    lines.sort_by_key(|(_, line)| &line.id);
    let token = input.next_token.as_deref();
    let key = |(_, line): &(&String, &Line)| line.id.clone();
    let (lines, next_token) = page(lines, key, token, size).ok_or_else(bad_token)?;
    let events = lines
        .into_iter()
        .map(|(stream, line)| FilteredEvent {
            log_stream_name: stream.clone(),
            timestamp: line.timestamp,
            message: line.message.clone(),
            ingestion_time: line.ingested,
            event_id: line.id.clone(),
        })
        .collect();
    Ok(FilterOutput { events, searched_log_streams: [], next_token })
}

/// From `start` on, before `end`.
fn within(line: &Line, start: Option<i64>, end: Option<i64>) -> bool {
    start.is_none_or(|start| line.timestamp >= start) && end.is_none_or(|end| line.timestamp < end)
}

fn check_times(start: Option<i64>, end: Option<i64>) -> Answer<()> {
    match [("startTime", start), ("endTime", end)].into_iter().find(|(_, time)| time.is_some_and(|time| time < 0)) {
        Some((member, _)) => Err(invalid(member, "Member must have value greater than or equal to 0")),
        None => Ok(()),
    }
}

/// As many lines as fit into a reply.
fn capped<'a>(lines: impl Iterator<Item = &'a Line>, size: usize) -> Vec<&'a Line> {
    let mut bytes = 0;
    lines
        .take(size)
        .take_while(|line| {
            bytes += line.message.len() + EVENT_BYTES;
            bytes <= REPLY_BYTES_MAX
        })
        .collect()
}
