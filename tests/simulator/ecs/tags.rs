//! `TagResource`, `UntagResource`, `ListTagsForResource`: of clusters, services, task definitions and tasks.

use aws_sdk_ecs::operation::list_tags_for_resource::{ListTagsForResourceInput, ListTagsForResourceOutput};
use aws_sdk_ecs::operation::tag_resource::{TagResourceInput, TagResourceOutput};
use aws_sdk_ecs::operation::untag_resource::{UntagResourceInput, UntagResourceOutput};
use aws_sdk_ecs::types::Tag;

use super::State;
use super::lookup::short;
use super::model::ServiceKey;
use super::rules::{self, invalid_parameter};
use crate::{Answer, Call, World};

pub(super) fn tag(world: &mut World, _call: &Call, input: TagResourceInput) -> Answer<TagResourceOutput> {
    let new = input.tags.unwrap_or_default();
    let tags = world.ecs.tags_of(input.resource_arn.as_deref().unwrap_or_default())?;
    let mut all: Vec<Tag> = tags.iter().filter(|tag| !new.iter().any(|other| other.key == tag.key)).cloned().collect();
    all.extend(new);
    rules::tags(&all)?;
    *tags = all;
    Ok(TagResourceOutput::builder().build())
}

pub(super) fn untag(world: &mut World, _call: &Call, input: UntagResourceInput) -> Answer<UntagResourceOutput> {
    let keys = input.tag_keys.unwrap_or_default();
    let tags = world.ecs.tags_of(input.resource_arn.as_deref().unwrap_or_default())?;
    tags.retain(|tag| tag.key.as_ref().is_none_or(|key| !keys.contains(key)));
    Ok(UntagResourceOutput::builder().build())
}

pub(super) fn list(
    world: &mut World,
    _call: &Call,
    input: ListTagsForResourceInput,
) -> Answer<ListTagsForResourceOutput> {
    let tags = world.ecs.tags_of(input.resource_arn.as_deref().unwrap_or_default())?;
    Ok(ListTagsForResourceOutput::builder().set_tags(Some(tags.clone())).build())
}

impl State {
    fn tags_of(&mut self, arn: &str) -> Answer<&mut Vec<Tag>> {
        let missing = || invalid_parameter("The specified resource is not found.");
        let resource = arn.splitn(6, ':').nth(5).ok_or_else(|| invalid_parameter(format!("Invalid ARN: {arn}.")))?;
        let (kind, path) = resource.split_once('/').ok_or_else(missing)?;
        let found = match kind {
            "cluster" => self.clusters.get_mut(path).map(|cluster| &mut cluster.tags),
            "service" => path.split_once('/').and_then(|(cluster, service)| {
                self.services.get_mut(&ServiceKey::new(cluster, service)).map(|service| &mut service.tags)
            }),
            "task-definition" => path.split_once(':').and_then(|(family, revision)| {
                self.families.get_mut(family)?.get_mut(&revision.parse().ok()?).map(|definition| &mut definition.tags)
            }),
            "task" => self
                .task_numbers
                .get(short(path))
                .and_then(|number| self.tasks.get_mut(number))
                .map(|task| &mut task.tags),
            _ => None,
        };
        found.ok_or_else(missing)
    }
}
