//! Simulated CloudWatch Logs.
//!
//! Simulated services write with [`State::put`]; programs read with `GetLogEvents` and `FilterLogEvents`.
//!
//! Operations: `CreateLogGroup`, `CreateLogStream`, `PutLogEvents`, `DescribeLogGroups`, `DescribeLogStreams`,
//! `GetLogEvents`, `FilterLogEvents`. cloudwatchlogs 1.162 has no schema-based serde, so the codec is hand-written.

mod events;
mod groups;
mod pattern;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::{Answer, ErrorReply};

/// All log groups.
#[derive(Clone, Debug, Default)]
pub struct State {
    groups: BTreeMap<String, Group>,
    /// Events so far: makes each event's id unique and orders those of one millisecond.
    sequence: u64,
}

#[derive(Clone, Debug)]
struct Group {
    /// Milliseconds since 1970, as all of this service's dates.
    created: i64,
    streams: BTreeMap<String, Stream>,
}

#[derive(Clone, Debug)]
struct Stream {
    created: i64,
    /// In the order of their dates.
    events: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    timestamp: i64,
    ingested: i64,
    message: String,
    /// 56 digits: date and sequence, so that ids sort as events do.
    id: String,
}

impl State {
    /// Writes one line to a stream, creating group and stream where they are missing.
    pub fn put(&mut self, group: &str, stream: &str, at: SystemTime, line: &str) {
        let now = millis(at);
        let group =
            self.groups.entry(group.to_owned()).or_insert_with(|| Group { created: now, streams: BTreeMap::new() });
        let stream =
            group.streams.entry(stream.to_owned()).or_insert_with(|| Stream { created: now, events: Vec::new() });
        self.sequence += 1;
        stream.add(now, now, line, self.sequence);
    }

    /// The lines of a stream, oldest first; none where there is no such stream.
    #[must_use]
    pub fn lines(&self, group: &str, stream: &str) -> Vec<String> {
        let stream = self.groups.get(group).and_then(|group| group.streams.get(stream));
        stream.map(|stream| stream.events.iter().map(|line| line.message.clone()).collect()).unwrap_or_default()
    }

    fn group(&self, name: &str) -> Answer<&Group> {
        self.groups.get(name).ok_or_else(no_group)
    }

    fn stream(&self, group: &str, stream: &str) -> Answer<&Stream> {
        self.group(group)?.streams.get(stream).ok_or_else(no_stream)
    }
}

impl Stream {
    fn add(&mut self, timestamp: i64, ingested: i64, message: &str, sequence: u64) {
        let id = format!("{timestamp:020}{sequence:036}");
        let at = self.events.partition_point(|line| line.id < id);
        self.events.insert(at, Line { timestamp, ingested, message: message.to_owned(), id });
    }
}

fn millis(at: SystemTime) -> i64 {
    at.duration_since(SystemTime::UNIX_EPOCH)
        .map(|age| age.as_millis())
        .unwrap_or_default()
        .try_into()
        .unwrap_or(i64::MAX)
}

fn no_group() -> ErrorReply {
    ErrorReply::new("ResourceNotFoundException", "The specified log group does not exist.")
}

fn no_stream() -> ErrorReply {
    ErrorReply::new("ResourceNotFoundException", "The specified log stream does not exist.")
}

/// `InvalidParameterException` in the service's words.
fn invalid(member: &str, constraint: &str) -> ErrorReply {
    ErrorReply::new(
        "InvalidParameterException",
        format!("1 validation error detected: Value at '{member}' failed to satisfy constraint: {constraint}"),
    )
}

/// A `limit` between 1 and `most`, which is also what a missing one means.
fn limit(value: Option<i64>, most: u16) -> Answer<usize> {
    match value {
        None => Ok(most.into()),
        Some(size) if size > i64::from(most) => {
            Err(invalid("limit", &format!("Member must have value less than or equal to {most}")))
        }
        Some(size) if size < 1 => Err(invalid("limit", "Member must have value greater than or equal to 1")),
        Some(size) => Ok(usize::try_from(size).unwrap_or_else(|_| most.into())),
    }
}

/// The group that a request names: by name, or by identifier (name or ARN).
fn group_name(name: Option<String>, identifier: Option<String>) -> Answer<String> {
    match (name, identifier) {
        (Some(name), None) => Ok(name),
        (None, Some(identifier)) => {
            let name = identifier.split_once(":log-group:").map_or(identifier.as_str(), |(_, name)| name);
            Ok(name.trim_end_matches(":*").to_owned())
        }
        _ => Err(invalid("logGroupName", "Either logGroupName or logGroupIdentifier must be given, and not both")),
    }
}

crate::wire::json_operations! { dispatch:
    "CreateLogGroup" => groups::create_group,
    "CreateLogStream" => groups::create_stream,
    "PutLogEvents" => groups::put_events,
    "DescribeLogGroups" => groups::describe_groups,
    "DescribeLogStreams" => groups::describe_streams,
    "GetLogEvents" => events::get,
    "FilterLogEvents" => events::filter,
}
