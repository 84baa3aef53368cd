//! `DescribeAlarms` and what the AWS CLI's users change alarms with.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::{Alarm, AlarmSpec, AlarmState, Composite, Current, set_alarm_state};
use crate::paging::page;
use crate::{Answer, Call, ErrorReply, World};

/// Alarms a page unless the caller says so. AWS documents only the most, 100; 50 is what it gives.
const PAGE: i64 = 50;

/// What `PutMetricAlarm` takes and `DescribeAlarms` gives back. Alarms on metric math, queries and anomaly bands are
/// not simulated: their members are refused by name.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Definition {
    alarm_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    alarm_description: Option<String>,
    #[serde(default = "yes")]
    actions_enabled: bool,
    #[serde(default, rename = "OKActions")]
    ok_actions: Vec<String>,
    #[serde(default)]
    alarm_actions: Vec<String>,
    #[serde(default)]
    insufficient_data_actions: Vec<String>,
    metric_name: String,
    namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extended_statistic: Option<String>,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    period: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    evaluation_periods: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    datapoints_to_alarm: Option<i64>,
    threshold: f64,
    comparison_operator: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    treat_missing_data: Option<String>,
    #[serde(default, skip_serializing)]
    tags: Vec<Tag>,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Dimension {
    name: String,
    value: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Tag {
    #[expect(dead_code, reason = "read for its form alone: no simulated operation gives alarm tags back")]
    key: String,
    #[expect(dead_code, reason = "as above")]
    value: String,
}

impl Definition {
    pub(super) fn of(spec: &AlarmSpec) -> Self {
        let dimension = |(name, value): &(String, String)| Dimension { name: name.clone(), value: value.clone() };
        Self {
            alarm_name: spec.name.clone(),
            alarm_description: None,
            actions_enabled: true,
            ok_actions: Vec::new(),
            alarm_actions: Vec::new(),
            insufficient_data_actions: Vec::new(),
            metric_name: spec.metric.clone(),
            namespace: spec.namespace.clone(),
            statistic: Some("Sum".to_owned()),
            extended_statistic: None,
            dimensions: spec.dimensions.iter().map(dimension).collect(),
            period: 10,
            unit: None,
            evaluation_periods: 1,
            datapoints_to_alarm: Some(1),
            threshold: 5.0,
            comparison_operator: "GreaterThanThreshold".to_owned(),
            treat_missing_data: Some("notBreaching".to_owned()),
            tags: Vec::new(),
        }
    }

    /// The reason and its data as CloudWatch words them when a threshold is crossed, this way or that.
    pub(super) fn crossing(&self, state: AlarmState, now: SystemTime) -> (String, String) {
        let (value, word) = match state {
            AlarmState::Alarm => (self.threshold * 2.0 + 2.0, "was"),
            _ => (0.0, "was not"),
        };
        let start = now - Duration::from_secs(self.period.unsigned_abs());
        let date = DateTime::<Utc>::from(start);
        let reason = format!(
            "Threshold Crossed: 1 out of the last 1 datapoints [{value:.1} ({})] {word} greater than the threshold ({:.1}).",
            date.format("%d/%m/%y %H:%M:%S"),
            self.threshold
        );
        let at = |date: DateTime<Utc>| date.to_rfc3339_opts(SecondsFormat::Millis, false).replace("+00:00", "+0000");
        let data = serde_json::json!({
            "version": "1.0",
            "queryDate": at(now.into()),
            "startDate": at(date),
            "statistic": self.statistic,
            "period": self.period,
            "recentDatapoints": [value],
            "threshold": self.threshold,
        });
        (reason, data.to_string())
    }

    fn check(&self) -> Answer<()> {
        length("AlarmName", &self.alarm_name, 1..=255)?;
        length("AlarmDescription", self.alarm_description.as_deref().unwrap_or_default(), 0..=1024)?;
        length("MetricName", &self.metric_name, 1..=255)?;
        length("Namespace", &self.namespace, 1..=255)?;
        if self.namespace.starts_with(':') {
            return Err(invalid("Namespace", "must not begin with a colon"));
        }
        for (member, actions) in [
            ("OKActions", &self.ok_actions),
            ("AlarmActions", &self.alarm_actions),
            ("InsufficientDataActions", &self.insufficient_data_actions),
        ] {
            if actions.len() > 5 {
                return Err(invalid(member, "Member must have length less than or equal to 5"));
            }
        }
        if self.tags.len() > 50 {
            return Err(invalid("Tags", "Member must have length less than or equal to 50"));
        }
        if self.dimensions.len() > 30 {
            return Err(invalid("Dimensions", "Member must have length less than or equal to 30"));
        }
        for Dimension { name, value } in &self.dimensions {
            length("Dimensions.Name", name, 1..=255)?;
            length("Dimensions.Value", value, 1..=1024)?;
        }
        match (&self.statistic, &self.extended_statistic) {
            (Some(statistic), None) => {
                one_of("Statistic", statistic, &["SampleCount", "Average", "Sum", "Minimum", "Maximum"])?;
            }
            (None, Some(_)) => {}
            _ => return Err(invalid("Statistic", "Exactly one of Statistic and ExtendedStatistic must be given")),
        }
        one_of(
            "ComparisonOperator",
            &self.comparison_operator,
            &[
                "GreaterThanOrEqualToThreshold",
                "GreaterThanThreshold",
                "LessThanThreshold",
                "LessThanOrEqualToThreshold",
            ],
        )?;
        if let Some(treat) = &self.treat_missing_data {
            one_of("TreatMissingData", treat, &["breaching", "notBreaching", "ignore", "missing"])?;
        }
        if !matches!(self.period, 10 | 20 | 30) && (self.period < 60 || self.period % 60 != 0) {
            return Err(invalid("Period", "must be 10, 20, 30 or a multiple of 60"));
        }
        if self.evaluation_periods < 1 || self.datapoints_to_alarm.is_some_and(|m| m < 1 || m > self.evaluation_periods)
        {
            return Err(invalid("EvaluationPeriods", "must be 1 or more, and no less than DatapointsToAlarm"));
        }
        Ok(())
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DescribeInput {
    alarm_names: Option<Vec<String>>,
    alarm_name_prefix: Option<String>,
    alarm_types: Option<Vec<String>>,
    state_value: Option<String>,
    max_records: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeOutput {
    composite_alarms: Vec<CompositeOutput>,
    metric_alarms: Vec<MetricOutput>,
    /// Alarms on log queries: not simulated, so there are none.
    log_alarms: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct MetricOutput {
    alarm_arn: String,
    #[serde(flatten)]
    definition: Definition,
    #[serde(flatten)]
    current: Current,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct CompositeOutput {
    actions_enabled: bool,
    alarm_actions: [String; 0],
    alarm_arn: String,
    alarm_name: String,
    alarm_rule: String,
    insufficient_data_actions: [String; 0],
    #[serde(rename = "OKActions")]
    ok_actions: [String; 0],
    #[serde(flatten)]
    current: Current,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct SetStateInput {
    alarm_name: String,
    state_value: String,
    state_reason: String,
    #[serde(default)]
    state_reason_data: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DeleteInput {
    alarm_names: Vec<String>,
}

/// What an operation answers that has nothing to say.
#[derive(Debug, Serialize)]
pub(super) struct Nothing {}

enum Either<'a> {
    Metric(&'a Alarm),
    Composite(&'a Composite),
}

pub(super) fn describe(world: &mut World, _call: &Call, input: DescribeInput) -> Answer<DescribeOutput> {
    let size = match input.max_records.unwrap_or(PAGE) {
        size @ 1..=100 => usize::try_from(size).unwrap_or(1),
        _ => return Err(invalid("MaxRecords", "Member must have value between 1 and 100")),
    };
    if let Some(state) = &input.state_value {
        one_of("StateValue", state, &["OK", "ALARM", "INSUFFICIENT_DATA"])?;
    }
    // "If you omit this parameter, only metric alarms are returned."
    let types = input.alarm_types.unwrap_or_else(|| vec!["MetricAlarm".to_owned()]);
    for kind in &types {
        one_of("AlarmTypes", kind, &["CompositeAlarm", "MetricAlarm", "LogAlarm"])?;
    }
    let wanted = |kind: &str| types.iter().any(|wanted| wanted == kind);
    let names: Option<BTreeSet<String>> = match input.alarm_names {
        Some(names) if names.len() > 100 => {
            return Err(invalid("AlarmNames", "Member must have length less than or equal to 100"));
        }
        Some(_) if input.alarm_name_prefix.is_some() => {
            return Err(invalid("AlarmNamePrefix", "AlarmNames and AlarmNamePrefix cannot be used together"));
        }
        // An empty list asks for all, as a missing one does.
        names => names.filter(|names| !names.is_empty()).map(|names| names.into_iter().collect()),
    };
    let prefix = input.alarm_name_prefix.unwrap_or_default();
    let chosen = |name: &str, current: &Current| {
        names.as_ref().is_none_or(|names| names.contains(name))
            && name.starts_with(&prefix)
            && input.state_value.as_ref().is_none_or(|state| state == current.state_value)
    };
    let composites = world
        .cloudwatch
        .composites
        .iter()
        .filter(|(name, alarm)| wanted("CompositeAlarm") && chosen(name, &alarm.current))
        .map(|(name, alarm)| (format!("composite {name}"), name, Either::Composite(alarm)));
    let metrics = world
        .cloudwatch
        .alarms
        .iter()
        .filter(|(name, alarm)| wanted("MetricAlarm") && chosen(name, &alarm.current))
        .map(|(name, alarm)| (format!("metric {name}"), name, Either::Metric(alarm)));
    let (alarms, next_token) =
        page(composites.chain(metrics), |(key, ..)| key.clone(), input.next_token.as_deref(), size)
            .ok_or_else(|| ErrorReply::new("InvalidNextToken", "The next token specified is invalid."))?;
    let mut output =
        DescribeOutput { composite_alarms: Vec::new(), metric_alarms: Vec::new(), log_alarms: [], next_token };
    for (_, name, alarm) in alarms {
        let alarm_arn = world.arn("cloudwatch", &format!("alarm:{name}"));
        match alarm {
            Either::Metric(Alarm { definition, current, .. }) => {
                let (definition, current) = (definition.clone(), current.clone());
                output.metric_alarms.push(MetricOutput { alarm_arn, definition, current });
            }
            Either::Composite(Composite { children, current }) => output.composite_alarms.push(CompositeOutput {
                actions_enabled: true,
                alarm_actions: [],
                alarm_arn,
                alarm_name: name.clone(),
                alarm_rule: children.iter().map(|child| format!("ALARM(\"{child}\")")).collect::<Vec<_>>().join(" OR "),
                insufficient_data_actions: [],
                ok_actions: [],
                current: current.clone(),
            }),
        }
    }
    Ok(output)
}

pub(super) fn set_state(world: &mut World, _call: &Call, input: SetStateInput) -> Answer<Nothing> {
    length("AlarmName", &input.alarm_name, 1..=255)?;
    length("StateReason", &input.state_reason, 0..=1023)?;
    if let Some(data) = &input.state_reason_data {
        length("StateReasonData", data, 0..=4000)?;
        if serde_json::from_str::<serde_json::Value>(data).is_err() {
            return Err(ErrorReply::new("InvalidFormat", "StateReasonData is not valid JSON"));
        }
    }
    let state = AlarmState::of_name(&input.state_value)
        .ok_or_else(|| invalid("StateValue", "Member must satisfy enum value set: [INSUFFICIENT_DATA, ALARM, OK]"))?;
    set_alarm_state(world, &input.alarm_name, state, &input.state_reason)?;
    if let Some(alarm) = world.cloudwatch.alarms.get_mut(&input.alarm_name) {
        alarm.current.state_reason_data = input.state_reason_data;
    }
    Ok(Nothing {})
}

pub(super) fn put(world: &mut World, call: &Call, input: Definition) -> Answer<Nothing> {
    input.check()?;
    if world.cloudwatch.composites.contains_key(&input.alarm_name) {
        return Err(invalid("AlarmName", "A composite alarm has this name"));
    }
    match world.cloudwatch.alarms.get_mut(&input.alarm_name) {
        // "When you update an existing alarm, its state is left unchanged."
        Some(alarm) => {
            alarm.definition = input;
            alarm.current.alarm_configuration_updated_timestamp = crate::Timestamp(call.at);
        }
        None => {
            let current = Current::new(AlarmState::InsufficientData, "Unchecked: Initial alarm creation", call.at);
            let name = input.alarm_name.clone();
            let delay = Duration::from_secs(60);
            let alarm = Alarm { definition: input, current, watches: None, delay, last_bad: None };
            world.cloudwatch.alarms.insert(name, alarm);
        }
    }
    Ok(Nothing {})
}

pub(super) fn delete(world: &mut World, call: &Call, input: DeleteInput) -> Answer<Nothing> {
    let cloudwatch = &mut world.cloudwatch;
    if input.alarm_names.len() > 100 {
        return Err(invalid("AlarmNames", "Member must have length less than or equal to 100"));
    }
    // All or none.
    for name in &input.alarm_names {
        if cloudwatch.state(name).is_none() {
            return Err(ErrorReply::new("ResourceNotFound", format!("Alarm {name} does not exist")).with_status(404));
        }
    }
    for name in &input.alarm_names {
        cloudwatch.alarms.remove(name);
        cloudwatch.composites.remove(name);
    }
    cloudwatch.settle_composites(call.at);
    Ok(Nothing {})
}

/// CloudWatch keeps the query protocol's `ValidationError` where other services say `ValidationException`.
fn invalid(member: &str, constraint: &str) -> ErrorReply {
    ErrorReply::new(
        "ValidationError",
        format!("1 validation error detected: Value at '{member}' failed to satisfy constraint: {constraint}"),
    )
}

fn length(member: &str, value: &str, legal: std::ops::RangeInclusive<usize>) -> Answer<()> {
    if legal.contains(&value.chars().count()) {
        return Ok(());
    }
    Err(invalid(member, &format!("Member must have length between {} and {}", legal.start(), legal.end())))
}

fn one_of(member: &str, value: &str, values: &[&str]) -> Answer<()> {
    if values.contains(&value) {
        return Ok(());
    }
    Err(invalid(member, &format!("Member must satisfy enum value set: [{}]", values.join(", "))))
}
