//! `ListImageReferrers`: signatures, SBOMs and whatever else names an image as its subject.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::registry::Image;
use super::{invalid, one_of, required};
use crate::paging::page;
use crate::{Answer, Call, World};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ReferrersInput {
    registry_id: Option<String>,
    repository_name: Option<String>,
    subject_id: Option<Subject>,
    filter: Option<Filter>,
    next_token: Option<String>,
    max_results: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Subject {
    image_digest: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Filter {
    artifact_types: Option<Vec<String>>,
    artifact_status: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReferrersOutput {
    referrers: Vec<Referrer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Referrer {
    digest: String,
    media_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    size: usize,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    artifact_status: &'static str,
}

/// Pages of 1 to 50, 20 where it is not said. Assumed: a subject that is not there has referrers, too, if any are left.
pub(super) fn list(world: &mut World, _call: &Call, input: ReferrersInput) -> Answer<ReferrersOutput> {
    let name = required("repositoryName", input.repository_name)?;
    let ecr = &world.ecr;
    ecr.check_registry(input.registry_id.as_deref(), &name)?;
    let subject = input.subject_id.ok_or_else(|| invalid("subjectId", "Member must not be null"))?.image_digest;
    let filter = input.filter.unwrap_or_default();
    let status = filter.artifact_status.as_deref().unwrap_or("ACTIVE");
    one_of("filter.artifactStatus", status, &["ACTIVE", "ARCHIVED", "ACTIVATING", "ANY"])?;
    let types = filter.artifact_types.unwrap_or_default();
    if types.len() > 5 {
        return Err(invalid("filter.artifactTypes", "Member must have length between 0 and 5"));
    }
    let size = match input.max_results.unwrap_or(20) {
        size @ 1..=50 => usize::try_from(size).unwrap_or_default(),
        _ => return Err(invalid("maxResults", "Member must be between 1 and 50")),
    };
    let wanted = |image: &Image| {
        image.subject.as_ref() == Some(&subject)
            && (status == "ANY" || status == image.status.name())
            && (types.is_empty() || image.artifact_media_type.as_ref().is_some_and(|kind| types.contains(kind)))
    };
    let referrers = ecr.repository(&name)?.images.iter().filter(|(_, image)| wanted(image));
    let (referrers, next_token) = page(referrers, |(digest, _)| (*digest).clone(), input.next_token.as_deref(), size)
        .ok_or_else(|| invalid("nextToken", "Member must be a token of an earlier reply"))?;
    let referrers = referrers.into_iter().map(|(digest, image)| referrer(digest, image)).collect();
    Ok(ReferrersOutput { referrers, next_token })
}

fn referrer(digest: &str, image: &Image) -> Referrer {
    let manifest: Value = serde_json::from_str(&image.manifest).unwrap_or_default();
    let annotations = manifest.get("annotations").and_then(Value::as_object);
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    Referrer {
        digest: digest.to_owned(),
        media_type: image.media_type.clone(),
        artifact_type: image.artifact_media_type.clone(),
        size: image.manifest.len(),
        annotations: annotations.into_iter().flatten().filter_map(text).collect(),
        artifact_status: image.status.name(),
    }
}
