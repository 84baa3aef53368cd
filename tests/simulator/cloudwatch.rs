//! Simulated CloudWatch: alarms.
//!
//! ```text
//!   cloudwatch::add_alarm(world, AlarmSpec::watching("app-canary-5xx", "main", "app-canary"));
//!   cloudwatch::set_alarm_state(world, "app-5xx", AlarmState::Alarm, "a test says so")?;
//! ```
//!
//! An alarm that watches a service looks at its running tasks every ten seconds: one that raises 5xx for longer than
//! the alarm's delay makes it ALARM; when none has for as long, it is OK again. Metrics themselves are not simulated.
//!
//! Operations: `DescribeAlarms`, `SetAlarmState`, `PutMetricAlarm`, `DeleteAlarms`; CBOR (the Rust SDK) and
//! JSON 1.0 (others).

mod operations;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::ecr::Behaviour;
use crate::ecs::RunningTask;
use crate::{Answer, ErrorReply, Timestamp, World};
use operations::Definition;

/// How often alarms look at the services that they watch.
const EVALUATION: Duration = Duration::from_secs(10);

/// What happens by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// All alarms that watch a service are evaluated.
    Evaluate,
}

/// All alarms.
#[derive(Clone, Debug, Default)]
pub struct State {
    alarms: BTreeMap<String, Alarm>,
    composites: BTreeMap<String, Composite>,
    /// Whether an evaluation is in the event queue.
    evaluating: bool,
}

/// An alarm's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmState {
    /// Within its threshold.
    Ok,
    /// Beyond it.
    Alarm,
    /// Just created, or its metric has no data.
    InsufficientData,
}

impl AlarmState {
    /// CloudWatch's name: `OK`, `ALARM`, `INSUFFICIENT_DATA`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        [Self::Ok, Self::Alarm, Self::InsufficientData].into_iter().find(|state| state.name() == name)
    }
}

/// A metric alarm to be added.
#[derive(Clone, Debug)]
pub struct AlarmSpec {
    /// The alarm's name.
    pub name: String,
    /// The namespace of its metric.
    pub namespace: String,
    /// Its metric.
    pub metric: String,
    /// The dimensions of its metric, name and value: they say whose alarm it is.
    pub dimensions: Vec<(String, String)>,
    /// The state at the start.
    pub state: AlarmState,
    /// The cluster and the service whose tasks it watches. Such an alarm goes its own way: what is set by hand lasts
    /// until the next evaluation, as at AWS.
    pub watches: Option<(String, String)>,
    /// How long a task must raise 5xx until the alarm notices, and how long none must until it is OK again.
    pub delay: Duration,
}

impl AlarmSpec {
    /// An alarm that is OK and stays as it is set: no dimensions, watches nothing.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            namespace: "AWS/ApplicationELB".to_owned(),
            metric: "HTTPCode_Target_5XX_Count".to_owned(),
            dimensions: Vec::new(),
            state: AlarmState::Ok,
            watches: None,
            delay: Duration::from_secs(60),
        }
    }

    /// An alarm of one service alone: its dimensions name the service, and it watches its tasks.
    #[must_use]
    pub fn watching(name: &str, cluster: &str, service: &str) -> Self {
        Self {
            namespace: "Application".to_owned(),
            metric: "Http5xx".to_owned(),
            dimensions: [("ClusterName", cluster), ("ServiceName", service)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            watches: Some((cluster.to_owned(), service.to_owned())),
            ..Self::new(name)
        }
    }
}

#[derive(Clone, Debug)]
struct Alarm {
    definition: Definition,
    current: Current,
    watches: Option<(String, String)>,
    delay: Duration,
    /// When a task that raises 5xx was last seen.
    last_bad: Option<SystemTime>,
}

#[derive(Clone, Debug)]
struct Composite {
    children: Vec<String>,
    current: Current,
}

/// The members of a reply that tell an alarm's state.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Current {
    alarm_configuration_updated_timestamp: Timestamp,
    state_value: &'static str,
    state_reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_reason_data: Option<String>,
    state_updated_timestamp: Timestamp,
    state_transitioned_timestamp: Timestamp,
}

impl Current {
    fn new(state: AlarmState, reason: &str, now: SystemTime) -> Self {
        let now = Timestamp(now);
        Self {
            alarm_configuration_updated_timestamp: now,
            state_value: state.name(),
            state_reason: reason.to_owned(),
            state_reason_data: None,
            state_updated_timestamp: now,
            state_transitioned_timestamp: now,
        }
    }

    fn set(&mut self, state: AlarmState, reason: &str, now: SystemTime) {
        if self.state_value != state.name() {
            self.state_transitioned_timestamp = Timestamp(now);
        }
        self.state_value = state.name();
        self.state_reason = reason.to_owned();
        self.state_reason_data = None;
        self.state_updated_timestamp = Timestamp(now);
    }
}

impl State {
    /// The state of an alarm, metric or composite: `OK`, `ALARM`, `INSUFFICIENT_DATA`; `None` where there is no such
    /// alarm.
    #[must_use]
    pub fn state(&self, alarm: &str) -> Option<&str> {
        let metric = self.alarms.get(alarm).map(|alarm| &alarm.current);
        metric.or_else(|| self.composites.get(alarm).map(|composite| &composite.current)).map(|now| now.state_value)
    }

    /// Brings the composite alarms in line with their children.
    fn settle_composites(&mut self, now: SystemTime) {
        let red: Vec<&String> = self
            .alarms
            .iter()
            .filter(|(_, alarm)| alarm.current.state_value == AlarmState::Alarm.name())
            .map(|(name, _)| name)
            .collect();
        for composite in self.composites.values_mut() {
            let cause = composite.children.iter().find(|child| red.contains(child));
            let state = if cause.is_some() { AlarmState::Alarm } else { AlarmState::Ok };
            if composite.current.state_value != state.name() {
                let reason = match cause {
                    Some(child) => format!("{child} transitioned to ALARM"),
                    None => "none of its alarms is in ALARM".to_owned(),
                };
                composite.current.set(state, &reason, now);
            }
        }
    }
}

/// Adds an alarm, or replaces one of the same name.
pub fn add_alarm(world: &mut World, spec: AlarmSpec) {
    let definition = Definition::of(&spec);
    let current = Current::new(spec.state, "Unchecked: Initial alarm creation", world.now);
    let watching = spec.watches.is_some();
    let alarm = Alarm { definition, current, watches: spec.watches, delay: spec.delay, last_bad: None };
    world.cloudwatch.alarms.insert(spec.name, alarm);
    world.cloudwatch.settle_composites(world.now);
    if watching && !world.cloudwatch.evaluating {
        world.cloudwatch.evaluating = true;
        world.schedule(EVALUATION, crate::Event::CloudWatch(Event::Evaluate));
    }
}

/// Adds a composite alarm: ALARM while any of the metric alarms named is.
pub fn add_composite_alarm(world: &mut World, name: &str, children: &[&str]) {
    let children = children.iter().map(|child| (*child).to_owned()).collect();
    let current = Current::new(AlarmState::Ok, "none of its alarms is in ALARM", world.now);
    world.cloudwatch.composites.insert(name.to_owned(), Composite { children, current });
    world.cloudwatch.settle_composites(world.now);
}

/// Sets the state of a metric alarm, as `aws cloudwatch set-alarm-state` does. One that watches a service goes its own
/// way again at the next evaluation.
///
/// # Errors
/// When there is no such alarm.
pub fn set_alarm_state(world: &mut World, name: &str, state: AlarmState, reason: &str) -> Answer<()> {
    let now = world.now;
    let alarm =
        world.cloudwatch.alarms.get_mut(name).ok_or_else(|| {
            ErrorReply::new("ResourceNotFound", format!("Alarm {name} does not exist")).with_status(404)
        })?;
    alarm.current.set(state, reason, now);
    world.cloudwatch.settle_composites(now);
    Ok(())
}

pub(crate) fn happen(world: &mut World, event: Event) {
    match event {
        Event::Evaluate => evaluate(world),
    }
}

fn evaluate(world: &mut World) {
    let World { ecs, cloudwatch, now, .. } = world;
    let mut watching = false;
    for alarm in cloudwatch.alarms.values_mut() {
        if let Some((cluster, service)) = &alarm.watches {
            watching = true;
            let tasks = ecs.running_tasks(cluster, service);
            alarm.look(&tasks, *now);
        }
    }
    cloudwatch.settle_composites(*now);
    cloudwatch.evaluating = watching;
    if watching {
        world.schedule(EVALUATION, crate::Event::CloudWatch(Event::Evaluate));
    }
}

impl Alarm {
    /// One evaluation, with the running tasks of the service that is watched.
    fn look(&mut self, tasks: &[RunningTask], now: SystemTime) {
        let age = |since| now.duration_since(since).unwrap_or_default();
        let raising = tasks.iter().filter(|task| task.behaviours.contains(&Behaviour::Raises5xx));
        let longest = raising.map(|task| age(task.since)).max();
        if longest.is_some() {
            self.last_bad = Some(now);
        }
        let state = match (longest, self.last_bad) {
            (Some(longest), _) if longest > self.delay => AlarmState::Alarm,
            (None, None) => AlarmState::Ok,
            (None, Some(last)) if age(last) > self.delay => AlarmState::Ok,
            _ => return,
        };
        if self.current.state_value != state.name() {
            let (reason, data) = self.definition.crossing(state, now);
            self.current.set(state, &reason, now);
            self.current.state_reason_data = Some(data);
        }
    }
}

crate::wire::json_operations! { dispatch:
    "DescribeAlarms" => operations::describe,
    "SetAlarmState" => operations::set_state,
    "PutMetricAlarm" => operations::put,
    "DeleteAlarms" => operations::delete,
}
