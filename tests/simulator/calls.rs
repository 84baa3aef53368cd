//! The call log, and the short picture that it prints as.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::SystemTime;

use serde_json::Value;

use crate::call::{Call, Service};
use crate::error::ErrorReply;
use crate::faults::Fault;

/// One call and its outcome.
#[derive(Clone, Debug)]
pub struct CallRecord {
    /// When it reached the service.
    pub at: SystemTime,
    /// The service.
    pub service: Service,
    /// The operation.
    pub operation: String,
    /// Who called: the access key.
    pub access_key: String,
    /// The account that was called.
    pub account: String,
    /// The region that was called.
    pub region: String,
    /// What it was about: a service, a family, a pipeline, a key.
    pub subject: String,
    /// The request's JSON; `Null` for S3.
    pub request: Value,
    /// The error code, where there was one; where a fault was injected, `fault: …` stands here, too.
    pub error: Option<String>,
}

/// All calls since the start.
#[derive(Debug, Default)]
pub struct CallLog {
    /// Oldest first.
    pub records: Vec<CallRecord>,
}

impl CallLog {
    pub(crate) fn add(&mut self, call: &Call, subject: String, error: Option<&ErrorReply>, fault: Option<&Fault>) {
        let code = error.map(|error| error.code.clone());
        self.records.push(CallRecord {
            at: call.at,
            service: call.service,
            operation: call.operation.clone(),
            access_key: call.access_key.clone(),
            account: call.account.clone(),
            region: call.region.clone(),
            subject,
            request: call.raw.clone(),
            error: match (code, fault) {
                (Some(code), Some(fault)) => Some(format!("{code}, fault: {fault}")),
                (None, Some(fault)) => Some(format!("fault: {fault}")),
                (code, None) => code,
            },
        });
    }

    /// How many calls there were of each operation, `ecs UpdateService` → 3.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for record in &self.records {
            *counts.entry(format!("{} {}", record.service.name(), record.operation)).or_default() += 1;
        }
        counts
    }

    /// The calls that `keep` wants, one a line: seconds since `start`, operation, subject, error. Equal neighbours
    /// become one line with a count, so that the picture of a whole release stays short.
    #[must_use]
    pub fn picture(&self, start: SystemTime, keep: impl Fn(&CallRecord) -> bool) -> String {
        let mut lines: Vec<(u64, String, usize)> = Vec::new();
        for record in self.records.iter().filter(|record| keep(record)) {
            let mut line = format!("{} {}", record.service.name(), record.operation);
            if !record.subject.is_empty() {
                let _ = write!(line, " {}", record.subject);
            }
            if let Some(error) = &record.error {
                let _ = write!(line, " ✗ {error}");
            }
            match lines.last_mut() {
                Some((_, last, count)) if *last == line => *count += 1,
                _ => {
                    let seconds = record.at.duration_since(start).unwrap_or_default().as_secs();
                    lines.push((seconds, line, 1));
                }
            }
        }
        lines.iter().fold(String::new(), |mut picture, (seconds, line, count)| {
            let times = if *count > 1 { format!(" ×{count}") } else { String::new() };
            let _ = writeln!(picture, "{:02}:{:02} {line}{times}", seconds / 60, seconds % 60);
            picture
        })
    }
}

/// What a request is about, for the log: the first of these members that it has.
pub(crate) fn subject(raw: &Value) -> String {
    const MEMBERS: [&str; 19] = [
        "service",
        "services",
        "serviceName",
        "family",
        "taskDefinition",
        "familyPrefix",
        "pipelineName",
        "repositoryName",
        "actionTypeId",
        "logStreamName",
        "AlarmNames",
        "clusterName",
        "resourceArn",
        "FunctionName",
        "names",
        "Rule",
        "EventBusName",
        "Name",
        "RoleArn",
    ];
    let name = |value: &Value| match value {
        Value::String(text) => Some(text.rsplit('/').next().unwrap_or(text).to_owned()),
        Value::Object(members) => members.get("provider").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    MEMBERS
        .iter()
        .find_map(|member| match raw.get(member)? {
            Value::Array(items) => Some(items.iter().filter_map(name).collect::<Vec<_>>().join(",")),
            other => name(other),
        })
        .unwrap_or_default()
}
