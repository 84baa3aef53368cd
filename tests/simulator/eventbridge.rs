//! Simulated Amazon EventBridge: buses, rules and their targets, which are read; and events, which are kept. None goes
//! through a rule.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::paging::keyed;
use crate::{Answer, Call, ErrorReply, World};

/// The bus that every account has.
const DEFAULT: &str = "default";

/// All rules of the account in its region.
#[derive(Clone, Debug, Default)]
pub struct State {
    buses: BTreeSet<String>,
    /// By bus and name.
    rules: BTreeMap<(String, String), Rule>,
    events: Vec<Put>,
}

/// An event that was put on a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The bus.
    pub bus: String,
    /// `source`.
    pub source: String,
    /// `detail-type`.
    pub detail_type: String,
    /// `detail`.
    pub detail: Value,
}

#[derive(Clone, Debug)]
struct Rule {
    enabled: bool,
    /// The JSON of each target, by id.
    targets: BTreeMap<String, Value>,
}

impl State {
    /// Makes a bus beside `default`.
    pub fn add_bus(&mut self, name: &str) {
        self.buses.insert(name.to_owned());
    }

    /// Makes a rule on a bus, which is made where it is missing; one that is there is only switched on or off.
    pub fn add_rule(&mut self, bus: &str, name: &str, enabled: bool) {
        if bus != DEFAULT {
            self.add_bus(bus);
        }
        let key = (bus.to_owned(), name.to_owned());
        self.rules.entry(key).or_insert_with(|| Rule { enabled, targets: BTreeMap::new() }).enabled = enabled;
    }

    /// Lets a rule, which is made where it is missing, run a task definition in a cluster, both by ARN.
    pub fn add_task_target(&mut self, bus: &str, rule: &str, cluster: &str, task_definition: &str) {
        let key = (bus.to_owned(), rule.to_owned());
        if !self.rules.contains_key(&key) {
            self.add_rule(bus, rule, true);
        }
        let Some(found) = self.rules.get_mut(&key) else { return };
        let id = format!("target-{:04}", found.targets.len() + 1);
        let parameters = json!({ "TaskDefinitionArn": task_definition, "TaskCount": 1, "LaunchType": "FARGATE" });
        let target = json!({ "Id": id, "Arn": cluster, "EcsParameters": parameters });
        found.targets.insert(id, target);
    }

    /// Deletes a rule with its targets.
    pub fn delete_rule(&mut self, bus: &str, name: &str) {
        self.rules.remove(&(bus.to_owned(), name.to_owned()));
    }

    /// The events that were put, in their order.
    #[must_use]
    pub fn events(&self) -> &[Put] {
        &self.events
    }

    /// The bus of a name or ARN.
    fn bus(&self, given: Option<String>) -> Answer<String> {
        let given = given.unwrap_or_else(|| DEFAULT.to_owned());
        let name = given.rsplit(":event-bus/").next().unwrap_or(&given);
        if name == DEFAULT || self.buses.contains(name) {
            return Ok(name.to_owned());
        }
        Err(not_found(format!("Event bus {name} does not exist.")))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct BusesInput {
    name_prefix: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct BusesOutput {
    event_buses: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct RulesInput {
    name_prefix: Option<String>,
    event_bus_name: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RulesOutput {
    rules: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TargetsInput {
    rule: String,
    event_bus_name: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TargetsOutput {
    targets: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PutInput {
    entries: Vec<EntryInput>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct EntryInput {
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
    event_bus_name: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PutOutput {
    failed_entry_count: usize,
    entries: Vec<Value>,
}

/// Each entry succeeds or fails by itself. Assumed: one for a bus that is not there fails.
fn put_events(world: &mut World, _call: &Call, input: PutInput) -> Answer<PutOutput> {
    let size: usize = input.entries.iter().filter_map(|entry| entry.detail.as_ref()).map(String::len).sum();
    if !(1..=10).contains(&input.entries.len()) || size > 256 * 1024 {
        return Err(ErrorReply::validation("1 to 10 entries of together at most 256 KB"));
    }
    let mut entries = Vec::new();
    for entry in input.entries {
        entries.push(match put(world, entry) {
            Ok(()) => json!({ "EventId": world.uuid() }),
            Err((code, message)) => json!({ "ErrorCode": code, "ErrorMessage": message }),
        });
    }
    let failed_entry_count = entries.iter().filter(|entry| entry.get("ErrorCode").is_some()).count();
    Ok(PutOutput { failed_entry_count, entries })
}

fn put(world: &mut World, entry: EntryInput) -> Result<(), (&'static str, String)> {
    let missing = |name: &str| {
        ("InvalidArgument", format!("Parameter {name} is not valid. Reason: {name} is a required argument."))
    };
    let source = entry.source.filter(|source| !source.is_empty()).ok_or_else(|| missing("Source"))?;
    let detail_type = entry.detail_type.filter(|kind| !kind.is_empty()).ok_or_else(|| missing("DetailType"))?;
    let detail = entry.detail.ok_or_else(|| missing("Detail"))?;
    let detail: Value =
        serde_json::from_str(&detail).map_err(|_| ("MalformedDetail", "Detail is malformed.".to_owned()))?;
    if source.starts_with("aws.") || !detail.is_object() {
        return Err(("NotAuthorizedForSourceException", "Not authorized for the source.".to_owned()));
    }
    let bus = world.eventbridge.bus(entry.event_bus_name);
    let bus = bus.map_err(|problem| ("ResourceNotFoundException", format!("{problem:?}")))?;
    world.eventbridge.events.push(Put { bus, source, detail_type, detail });
    Ok(())
}

fn list_buses(world: &mut World, _call: &Call, input: BusesInput) -> Answer<BusesOutput> {
    let prefix = input.name_prefix.unwrap_or_default();
    let names: BTreeSet<&str> = world.eventbridge.buses.iter().map(String::as_str).chain([DEFAULT]).collect();
    let buses = names.into_iter().filter(|name| name.starts_with(&prefix)).map(|name| {
        (name.to_owned(), json!({ "Name": name, "Arn": world.arn("events", &format!("event-bus/{name}")) }))
    });
    let (event_buses, next_token) = keyed(buses, input.next_token.as_deref(), input.limit, 100).ok_or_else(bad_page)?;
    Ok(BusesOutput { event_buses, next_token })
}

fn list_rules(world: &mut World, _call: &Call, input: RulesInput) -> Answer<RulesOutput> {
    let bus = world.eventbridge.bus(input.event_bus_name)?;
    let prefix = input.name_prefix.unwrap_or_default();
    let rules = world.eventbridge.rules.iter();
    let rules =
        rules.filter(|((owner, name), _)| *owner == bus && name.starts_with(&prefix)).map(|((_, name), rule)| {
            let path = if bus == DEFAULT { format!("rule/{name}") } else { format!("rule/{bus}/{name}") };
            let state = if rule.enabled { "ENABLED" } else { "DISABLED" };
            let arn = world.arn("events", &path);
            let shape = json!({
                "Name": name, "Arn": arn, "State": state, "EventBusName": bus, "ScheduleExpression": "rate(1 hour)",
            });
            (name.clone(), shape)
        });
    let (rules, next_token) = keyed(rules, input.next_token.as_deref(), input.limit, 100).ok_or_else(bad_page)?;
    Ok(RulesOutput { rules, next_token })
}

fn list_targets(world: &mut World, _call: &Call, input: TargetsInput) -> Answer<TargetsOutput> {
    let bus = world.eventbridge.bus(input.event_bus_name)?;
    let missing = || not_found(format!("Rule {} does not exist on EventBus {bus}.", input.rule));
    let rule = world.eventbridge.rules.get(&(bus.clone(), input.rule.clone())).ok_or_else(missing)?;
    let role = format!("arn:aws:iam::{}:role/events", world.account);
    let targets = rule.targets.iter().map(|(id, target)| {
        let mut target = target.clone();
        if let Some(members) = target.as_object_mut() {
            members.insert("RoleArn".into(), role.clone().into());
        }
        (id.clone(), target)
    });
    let (targets, next_token) = keyed(targets, input.next_token.as_deref(), input.limit, 100).ok_or_else(bad_page)?;
    Ok(TargetsOutput { targets, next_token })
}

fn bad_page() -> ErrorReply {
    ErrorReply::validation("NextToken is none of ours, or the size of the page is not between 1 and 100")
}

fn not_found(message: String) -> ErrorReply {
    ErrorReply::new("ResourceNotFoundException", message)
}

crate::wire::json_operations! { dispatch:
    "ListEventBuses" => list_buses,
    "ListRules" => list_rules,
    "ListTargetsByRule" => list_targets,
    "PutEvents" => put_events,
}
