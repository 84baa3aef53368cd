//! `BatchGetImage` and `PutImage`.

use serde::{Deserialize, Serialize};

use super::images::{ImageId, check_ids};
use super::registry::{Kind, Repository, Status, Unreadable};
use super::{State, invalid, manifest, required};
use crate::{Answer, Call, ErrorReply, World};

/// 4 MiB, the largest manifest.
const MANIFEST_BYTES_MAX: usize = 4_194_304;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BatchGetInput {
    registry_id: Option<String>,
    repository_name: Option<String>,
    image_ids: Option<Vec<ImageId>>,
    accepted_media_types: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchGetOutput {
    images: Vec<ImageOutput>,
    failures: Vec<Failure>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageOutput {
    registry_id: String,
    repository_name: String,
    image_id: ImageId,
    image_manifest: String,
    image_manifest_media_type: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failure {
    pub(super) image_id: ImageId,
    pub(super) failure_code: &'static str,
    pub(super) failure_reason: &'static str,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PutInput {
    registry_id: Option<String>,
    repository_name: Option<String>,
    image_manifest: Option<String>,
    image_manifest_media_type: Option<String>,
    image_tag: Option<String>,
    image_digest: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutOutput {
    image: ImageOutput,
}

pub(super) fn batch_get(world: &mut World, call: &Call, input: BatchGetInput) -> Answer<BatchGetOutput> {
    let name = required("repositoryName", input.repository_name)?;
    let ecr = &world.ecr;
    ecr.check_registry(input.registry_id.as_deref(), &name)?;
    let ids = input.image_ids.ok_or_else(|| invalid("imageIds", "Member must not be null"))?;
    check_ids(&ids)?;
    if input.accepted_media_types.as_ref().is_some_and(|types| types.is_empty() || types.len() > 100) {
        return Err(invalid("acceptedMediaTypes", "Member must have length between 1 and 100"));
    }
    let repository = ecr.repository(&name)?;
    let mut output = BatchGetOutput { images: Vec::new(), failures: Vec::new() };
    for id in ids {
        match find(repository, &id, input.accepted_media_types.as_deref()) {
            Ok(digest) => output.images.extend(ecr.image(&name, repository, digest, id.image_tag)),
            Err((failure_code, failure_reason)) => {
                output.failures.push(Failure { image_id: id, failure_code, failure_reason });
            }
        }
    }
    if ecr.batch_get_counts_as_pull {
        let digests: Vec<_> = output.images.iter().filter_map(|image| image.image_id.image_digest.clone()).collect();
        digests.iter().for_each(|digest| world.ecr.record_pull(&name, digest, call.at));
    }
    Ok(output)
}

const NOT_FOUND: (&str, &str) = ("ImageNotFound", "Requested image not found");

/// The digest that an id names, or why there is none, as code and reason.
pub(super) fn lookup<'a>(repository: &'a Repository, id: &ImageId) -> Result<&'a str, (&'static str, &'static str)> {
    let (digest, tag) = (id.image_digest.as_deref(), id.image_tag.as_deref());
    if digest.is_none() && tag.is_none() {
        return Err(("MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null"));
    }
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Err((
            "InvalidImageDigest",
            "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
        ));
    }
    let found = repository.resolve(digest, tag).ok_or(NOT_FOUND)?;
    if digest.is_some() && tag.is_some_and(|tag| repository.tags.get(tag).is_none_or(|named| named != found)) {
        return Err(("ImageTagDoesNotMatchDigest", "The image tag does not match the image digest"));
    }
    Ok(found)
}

/// The digest of an image that can be given, or why it is not.
fn find<'a>(
    repository: &'a Repository,
    id: &ImageId,
    accepted: Option<&[String]>,
) -> Result<&'a str, (&'static str, &'static str)> {
    let found = lookup(repository, id)?;
    let image = repository.images.get(found).ok_or(NOT_FOUND)?;
    if image.status != Status::Active {
        return Err(("ImageInaccessible", "The image is archived and cannot be accessed"));
    }
    // An index must be accepted by name ("pass them explicitly or an index may be refused", as clients of ECR find);
    // without the member the documented image manifests alone are. That the refusal is ImageNotFound is an assumption.
    let wanted = match accepted {
        Some(types) => types.contains(&image.media_type),
        None => matches!(image.kind, Kind::Image { .. }),
    };
    if wanted { Ok(found) } else { Err(NOT_FOUND) }
}

fn is_digest(text: &str) -> bool {
    let hex = |hex: &str| !hex.is_empty() && hex.bytes().all(|digit| digit.is_ascii_hexdigit());
    text.split_once(':').is_some_and(|(algorithm, digits)| !algorithm.is_empty() && hex(digits))
}

pub(super) fn put(world: &mut World, call: &Call, input: PutInput) -> Answer<PutOutput> {
    let name = required("repositoryName", input.repository_name)?;
    world.ecr.check_registry(input.registry_id.as_deref(), &name)?;
    let text = required("imageManifest", input.image_manifest)?;
    if text.is_empty() || text.len() > MANIFEST_BYTES_MAX {
        return Err(invalid("imageManifest", "Member must have length between 1 and 4194304"));
    }
    if input.image_tag.as_ref().is_some_and(|tag| !is_tag(tag)) {
        return Err(invalid("imageTag", "must satisfy regular expression '[a-zA-Z0-9_][a-zA-Z0-9-_.]{0,299}'"));
    }
    let digest = manifest::digest(text.as_bytes());
    if input.image_digest.is_some_and(|given| given != digest) {
        let message = "The specified image digest does not match the digest calculated from the image manifest";
        return Err(ErrorReply::new("ImageDigestDoesNotMatchException", message));
    }
    let registry = world.account.clone();
    let repository = world.ecr.repository_mut(&name)?;
    let read =
        repository.read(&text, input.image_manifest_media_type.as_deref()).map_err(|problem| refused(&problem))?;
    let named = input.image_tag.as_deref().and_then(|tag| repository.tags.get(tag));
    let same = named.is_some_and(|named| *named == digest);
    if same || (input.image_tag.is_none() && repository.images.contains_key(&digest)) {
        let tag = input.image_tag.map(|tag| format!(" and tag '{tag}'")).unwrap_or_default();
        return Err(ErrorReply::new(
            "ImageAlreadyExistsException",
            format!(
                "Image with digest '{digest}'{tag} already exists in the repository with name '{name}' in registry with id '{registry}'"
            ),
        ));
    }
    if let Some(tag) = &input.image_tag {
        if named.is_some() && !repository.mutability.may_move(tag) {
            return Err(ErrorReply::new(
                "ImageTagAlreadyExistsException",
                format!(
                    "The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because the tag is immutable."
                ),
            ));
        }
        repository.tags.insert(tag.clone(), digest.clone());
    }
    repository.store(&text, read, call.at);
    let repository = world.ecr.repository(&name)?;
    let image = world.ecr.image(&name, repository, &digest, input.image_tag);
    image.map(|image| PutOutput { image }).ok_or_else(|| world.ecr.image_not_found(&name, Some(&digest), None))
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=300).contains(&tag.len())
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || b"-.".contains(&byte))
}

fn refused(problem: &Unreadable) -> ErrorReply {
    match problem {
        Unreadable::NotAManifest => ErrorReply::new(
            "InvalidParameterException",
            "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'",
        ),
        Unreadable::MissingImage(digest) => ErrorReply::new(
            "ReferencedImagesNotFoundException",
            format!("Images with digests '[{digest}]' required for pushing image into repository do not exist"),
        ),
        Unreadable::MissingLayer(digest) => ErrorReply::new(
            "LayersNotFoundException",
            format!("Layers with digests '[{digest}]' required for pushing image into repository do not exist"),
        ),
    }
}

impl State {
    fn image(&self, name: &str, repository: &Repository, digest: &str, tag: Option<String>) -> Option<ImageOutput> {
        let image = repository.images.get(digest)?;
        Some(ImageOutput {
            registry_id: self.account.clone(),
            repository_name: name.to_owned(),
            image_id: ImageId { image_digest: Some(digest.to_owned()), image_tag: tag },
            image_manifest: image.manifest.clone(),
            image_manifest_media_type: image.media_type.clone(),
        })
    }
}
