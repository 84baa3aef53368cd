//! `DescribeImages` and `ListImages`.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::registry::{Image, Status};
use super::{State, invalid, one_of, page_size, required};
use crate::paging::page;
use crate::{Answer, Call, Timestamp, World};

/// Tags by digest.
type Tags<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// A digest, a tag, or both.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ImageId {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image_digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image_tag: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Filter {
    tag_status: Option<String>,
    image_status: Option<String>,
}

impl Filter {
    fn check(&self) -> Answer<()> {
        if let Some(status) = &self.tag_status {
            one_of("filter.tagStatus", status, &["TAGGED", "UNTAGGED", "ANY"])?;
        }
        if let Some(status) = &self.image_status {
            one_of("filter.imageStatus", status, &["ACTIVE", "ARCHIVED", "ACTIVATING", "ANY"])?;
        }
        Ok(())
    }

    /// "If not specified, only images with ACTIVE status are returned". Assumed to hold for
    /// images that the request names, too: the reference makes no exception.
    fn admits(&self, image: &Image, tagged: bool) -> bool {
        let status = self.image_status.as_deref().unwrap_or("ACTIVE");
        let tags = self.tag_status.as_deref().unwrap_or("ANY");
        (status == "ANY" || status == image.status.name()) && (tags == "ANY" || (tags == "TAGGED") == tagged)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeInput {
    registry_id: Option<String>,
    repository_name: Option<String>,
    image_ids: Option<Vec<ImageId>>,
    next_token: Option<String>,
    max_results: Option<i64>,
    filter: Option<Filter>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeOutput {
    image_details: Vec<Detail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    registry_id: String,
    repository_name: String,
    image_digest: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    image_tags: Vec<String>,
    image_size_in_bytes: u64,
    image_pushed_at: Timestamp,
    image_manifest_media_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_recorded_pull_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_manifest_digest: Option<String>,
    image_status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_archived_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_activated_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListInput {
    registry_id: Option<String>,
    repository_name: Option<String>,
    next_token: Option<String>,
    max_results: Option<i64>,
    filter: Option<Filter>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListOutput {
    image_ids: Vec<ImageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(super) fn describe(world: &mut World, _call: &Call, input: DescribeInput) -> Answer<DescribeOutput> {
    let name = required("repositoryName", input.repository_name)?;
    let (ecr, now) = (&world.ecr, world.now);
    ecr.check_registry(input.registry_id.as_deref(), &name)?;
    let filter = input.filter.unwrap_or_default();
    filter.check()?;
    let size = page_size(input.max_results)?;
    let repository = ecr.repository(&name)?;
    let tags = repository.tags_by_digest();
    if let Some(ids) = input.image_ids {
        check_ids(&ids)?;
        if input.next_token.is_some() || input.max_results.is_some() {
            return Err(invalid("maxResults", "nextToken and maxResults cannot be used with imageIds"));
        }
        let mut digests: Vec<&str> = Vec::new();
        for id in &ids {
            let (digest, tag) = (id.image_digest.as_deref(), id.image_tag.as_deref());
            let found = repository.resolve(digest, tag).filter(|found| {
                let named = tag.is_none_or(|tag| repository.tags.get(tag).is_some_and(|named| named == found));
                named
                    && repository.images.get(*found).is_some_and(|image| filter.admits(image, tags.contains_key(found)))
            });
            let found = found.ok_or_else(|| ecr.image_not_found(&name, digest, tag))?;
            if !digests.contains(&found) {
                digests.push(found);
            }
        }
        let image_details = digests
            .iter()
            .filter_map(|digest| Some(ecr.detail(&name, digest, repository.images.get(*digest)?, &tags, now)));
        return Ok(DescribeOutput { image_details: image_details.collect(), next_token: None });
    }
    let all =
        repository.images.iter().filter(|(digest, image)| filter.admits(image, tags.contains_key(digest.as_str())));
    let (images, next_token) = page(all, |(digest, _)| (*digest).clone(), input.next_token.as_deref(), size)
        .ok_or_else(|| invalid("nextToken", "Member must be a token of an earlier reply"))?;
    let image_details =
        images.into_iter().map(|(digest, image)| ecr.detail(&name, digest, image, &tags, now)).collect();
    Ok(DescribeOutput { image_details, next_token })
}

pub(super) fn list(world: &mut World, _call: &Call, input: ListInput) -> Answer<ListOutput> {
    let name = required("repositoryName", input.repository_name)?;
    let ecr = &world.ecr;
    ecr.check_registry(input.registry_id.as_deref(), &name)?;
    let filter = input.filter.unwrap_or_default();
    filter.check()?;
    let size = page_size(input.max_results)?;
    let repository = ecr.repository(&name)?;
    let tags = repository.tags_by_digest();
    // One entry per (digest, tag); an untagged image has one.
    let ids = repository.images.iter().flat_map(|(digest, image)| {
        let tags = tags.get(digest.as_str()).map(Vec::as_slice).unwrap_or_default();
        if !filter.admits(image, !tags.is_empty()) {
            return Vec::new();
        }
        let id = |tag: Option<&str>| ImageId { image_digest: Some(digest.clone()), image_tag: tag.map(str::to_owned) };
        if tags.is_empty() { vec![id(None)] } else { tags.iter().map(|tag| id(Some(tag))).collect() }
    });
    let key = |id: &ImageId| {
        format!("{} {}", id.image_digest.as_deref().unwrap_or_default(), id.image_tag.as_deref().unwrap_or_default())
    };
    let (image_ids, next_token) = page(ids, key, input.next_token.as_deref(), size)
        .ok_or_else(|| invalid("nextToken", "Member must be a token of an earlier reply"))?;
    Ok(ListOutput { image_ids, next_token })
}

impl State {
    fn detail(&self, name: &str, digest: &str, image: &Image, tags: &Tags<'_>, now: SystemTime) -> Detail {
        let tags = tags.get(digest).map(Vec::as_slice).unwrap_or_default();
        Detail {
            registry_id: self.account.clone(),
            repository_name: name.to_owned(),
            image_digest: digest.to_owned(),
            image_tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            image_size_in_bytes: image.size,
            image_pushed_at: Timestamp(image.pushed_at),
            image_manifest_media_type: image.media_type.clone(),
            artifact_media_type: image.artifact_media_type.clone(),
            last_recorded_pull_time: self.recorded_pull(image, now).map(Timestamp),
            subject_manifest_digest: image.subject.clone(),
            image_status: image.status.name(),
            last_archived_at: image.archived_at.map(Timestamp),
            last_activated_at: image.activated_at.filter(|_| image.status == Status::Active).map(Timestamp),
        }
    }
}

/// One to a hundred, each with a digest or a tag.
pub(super) fn check_ids(ids: &[ImageId]) -> Answer<()> {
    if ids.is_empty() || ids.len() > 100 {
        return Err(invalid("imageIds", "Member must have length between 1 and 100"));
    }
    for id in ids {
        if id.image_tag.as_ref().is_some_and(|tag| tag.is_empty() || tag.len() > 300) {
            return Err(invalid("imageIds.imageTag", "Member must have length between 1 and 300"));
        }
    }
    Ok(())
}
