//! Task definitions: registered, described and deregistered as raw JSON; listed by name.

use aws_sdk_ecs::operation::deregister_task_definition::DeregisterTaskDefinitionInput;
use aws_sdk_ecs::operation::describe_task_definition::DescribeTaskDefinitionInput;
use aws_sdk_ecs::operation::list_task_definition_families::{
    ListTaskDefinitionFamiliesInput, ListTaskDefinitionFamiliesOutput,
};
use aws_sdk_ecs::operation::list_task_definitions::{ListTaskDefinitionsInput, ListTaskDefinitionsOutput};
use aws_sdk_ecs::operation::register_task_definition::RegisterTaskDefinitionInput;
use aws_sdk_ecs::types;
use serde_json::{Map, Value, json};

use super::model::Definition;
use super::rules::{client_error, invalid_parameter};
use super::{definition_rules, paging};
use crate::{Answer, Call, Timestamp, World, wire};

/// `RegisterTaskDefinition`. Not idempotent: the same request makes another revision.
pub(super) fn register(world: &mut World, call: &Call) -> Answer<Value> {
    let (family, revision) = add(world, &call.raw, &call.access_key)?;
    let definition = world
        .ecs
        .families
        .get(&family)
        .and_then(|revisions| revisions.get(&revision))
        .map(|definition| (shape(definition), &definition.tags));
    let Some((shape, tags)) = definition else { return Err(client_error("Unable to register task definition.")) };
    let mut reply = Map::from_iter([("taskDefinition".to_owned(), shape)]);
    if !tags.is_empty() {
        reply.insert("tags".into(), tags_value(tags));
    }
    Ok(Value::Object(reply))
}

/// Keeps a new revision; the family and revision it got.
pub(super) fn add(world: &mut World, raw: &Value, caller: &str) -> Answer<(String, i32)> {
    let known = wire::lenient_from_value(raw, |d| RegisterTaskDefinitionInput::deserialize(d))?;
    definition_rules::check(&known, raw)?;
    let mut raw = raw.as_object().cloned().unwrap_or_default();
    raw.remove("tags");
    let family = known.family.clone().unwrap_or_default();
    // Deregistered revisions stay, so that numbers only ever rise.
    let revision = world
        .ecs
        .families
        .get(&family)
        .and_then(|revisions| revisions.keys().next_back())
        .map_or(1, |last| last.saturating_add(1));
    let caller = if caller.is_empty() { "root" } else { caller };
    let definition = Definition {
        arn: world.arn("ecs", &format!("task-definition/{family}:{revision}")),
        revision,
        active: true,
        raw,
        tags: known.tags.clone().unwrap_or_default(),
        known,
        registered_at: world.now,
        deregistered_at: None,
        registered_by: format!("arn:aws:iam::{}:user/{caller}", world.account),
    };
    world.ecs.families.entry(family.clone()).or_default().insert(revision, definition);
    Ok((family, revision))
}

/// `DescribeTaskDefinition`: the tags stand beside the definition, and only where they were asked for.
pub(super) fn describe(world: &mut World, call: &Call) -> Answer<Value> {
    let input: DescribeTaskDefinitionInput = wire::from_value(&call.raw, DescribeTaskDefinitionInput::SCHEMA, |d| {
        DescribeTaskDefinitionInput::deserialize(d)
    })?;
    let definition = input
        .task_definition()
        .and_then(|given| world.ecs.definition(given))
        .ok_or_else(|| client_error("Unable to describe task definition."))?;
    let mut reply = Map::from_iter([("taskDefinition".to_owned(), shape(definition))]);
    if input.include().contains(&types::TaskDefinitionField::Tags) {
        reply.insert("tags".into(), tags_value(&definition.tags));
    }
    Ok(Value::Object(reply))
}

/// `DeregisterTaskDefinition`: services that use it keep scaling; nothing new can be started from it.
pub(super) fn deregister(world: &mut World, call: &Call) -> Answer<Value> {
    let input: DeregisterTaskDefinitionInput =
        wire::from_value(&call.raw, DeregisterTaskDefinitionInput::SCHEMA, |d| {
            DeregisterTaskDefinitionInput::deserialize(d)
        })?;
    let given = input.task_definition.unwrap_or_default();
    let name = given.rsplit_once(":task-definition/").map_or(given.as_str(), |(_, name)| name);
    let (family, revision) =
        name.split_once(':').ok_or_else(|| invalid_parameter("Invalid revision number. Number: null"))?;
    let revision: i32 =
        revision.parse().map_err(|_| invalid_parameter(format!("Invalid revision number. Number: {revision}")))?;
    let now = world.now;
    let definition = world
        .ecs
        .families
        .get_mut(family)
        .and_then(|revisions| revisions.get_mut(&revision))
        .ok_or_else(|| client_error("The specified task definition does not exist."))?;
    if definition.active {
        definition.active = false;
        definition.deregistered_at = Some(now);
    }
    Ok(json!({ "taskDefinition": shape(definition) }))
}

/// `ListTaskDefinitions`. `familyPrefix` is the family's full name here, as AWS documents it.
pub(super) fn list(
    world: &mut World,
    _call: &Call,
    input: ListTaskDefinitionsInput,
) -> Answer<ListTaskDefinitionsOutput> {
    let active = match input.status.as_ref().unwrap_or(&types::TaskDefinitionStatus::Active) {
        types::TaskDefinitionStatus::Active => true,
        types::TaskDefinitionStatus::Inactive => false,
        types::TaskDefinitionStatus::DeleteInProgress => {
            return Ok(ListTaskDefinitionsOutput::builder().set_task_definition_arns(Some(Vec::new())).build());
        }
        other => return Err(invalid_parameter(format!("Invalid status: {other}."))),
    };
    let descends = input.sort == Some(types::SortOrder::Desc);
    // What was given is passed over here, because the list may descend; whole families first, because there may be tens of
    // thousands of revisions.
    let last = input.next_token.as_deref().map(paging::last_given).transpose()?;
    let is_over = |family: &str| {
        let last = last.as_deref().and_then(|last| last.split('\0').next());
        last.is_some_and(|last| if descends { family > last } else { family < last })
    };
    let mut arns: Vec<(String, String)> = world
        .ecs
        .families
        .iter()
        .filter(|(family, _)| input.family_prefix.as_ref().is_none_or(|asked| asked == *family) && !is_over(family))
        .flat_map(|(family, revisions)| revisions.values().map(move |definition| (family, definition)))
        .filter(|(_, definition)| definition.active == active)
        // Families by letter, revisions by number; the separator is less than all letters, as the end of a name is.
        .map(|(family, definition)| (format!("{family}\0{:010}", definition.revision), definition.arn.clone()))
        .filter(|(key, _)| last.as_ref().is_none_or(|last| if descends { key < last } else { key > last }))
        .collect();
    if descends {
        arns.reverse();
    }
    let (arns, next) = paging::page(arns, None, input.max_results, 100, 100)?;
    Ok(ListTaskDefinitionsOutput::builder().set_task_definition_arns(Some(arns)).set_next_token(next).build())
}

/// `ListTaskDefinitionFamilies`. Here `familyPrefix` really is a prefix.
pub(super) fn list_families(
    world: &mut World,
    _call: &Call,
    input: ListTaskDefinitionFamiliesInput,
) -> Answer<ListTaskDefinitionFamiliesOutput> {
    // Without a status AWS lists both kinds.
    let wanted = |revisions: &std::collections::BTreeMap<i32, Definition>| {
        let active = revisions.values().any(|definition| definition.active);
        match &input.status {
            Some(types::TaskDefinitionFamilyStatus::Active) => active,
            Some(types::TaskDefinitionFamilyStatus::Inactive) => !active,
            _ => true,
        }
    };
    let prefix = input.family_prefix.as_deref().unwrap_or_default();
    let families = world
        .ecs
        .families
        .iter()
        .filter(|(family, revisions)| family.starts_with(prefix) && wanted(revisions))
        .map(|(family, _)| (family.clone(), family.clone()))
        .collect();
    let (families, next) = paging::page(families, input.next_token.as_deref(), input.max_results, 100, 100)?;
    Ok(ListTaskDefinitionFamiliesOutput::builder().set_families(Some(families)).set_next_token(next).build())
}

/// The request as it came, and what AWS adds to it.
fn shape(definition: &Definition) -> Value {
    let mut members = definition.raw.clone();
    let attributes: Vec<Value> =
        definition_rules::attributes(&definition.known).into_iter().map(|name| json!({ "name": name })).collect();
    members.insert("taskDefinitionArn".into(), definition.arn.clone().into());
    members.insert("revision".into(), definition.revision.into());
    members.insert("status".into(), if definition.active { "ACTIVE" } else { "INACTIVE" }.into());
    members.insert("requiresAttributes".into(), attributes.into());
    members.insert("compatibilities".into(), definition_rules::compatibilities(&definition.known).into());
    members.insert("registeredAt".into(), timestamp(definition.registered_at));
    if let Some(at) = definition.deregistered_at {
        members.insert("deregisteredAt".into(), timestamp(at));
    }
    members.insert("registeredBy".into(), definition.registered_by.clone().into());
    Value::Object(members)
}

fn timestamp(at: std::time::SystemTime) -> Value {
    wire::to_json(&Timestamp(at)).unwrap_or_default()
}

fn tags_value(tags: &[types::Tag]) -> Value {
    tags.iter().map(wire::to_value).collect()
}
