//! How blobs come in: `InitiateLayerUpload`, `UploadLayerPart`, `CompleteLayerUpload`.
//!
//! Of blobs only the configurations are kept, because they say which architecture an image is for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{invalid, manifest, required};
use crate::{Answer, Call, ErrorReply, World};

/// What a part may hold at most, and a client is told to send.
const PART_BYTES_MAX: usize = 20 << 20;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct InitiateInput {
    registry_id: Option<String>,
    repository_name: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InitiateOutput {
    upload_id: String,
    part_size: usize,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PartInput {
    registry_id: Option<String>,
    repository_name: Option<String>,
    upload_id: Option<String>,
    part_first_byte: Option<usize>,
    part_last_byte: Option<usize>,
    layer_part_blob: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartOutput {
    registry_id: String,
    repository_name: String,
    upload_id: String,
    last_byte_received: usize,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CompleteInput {
    registry_id: Option<String>,
    repository_name: Option<String>,
    upload_id: Option<String>,
    layer_digests: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CompleteOutput {
    registry_id: String,
    repository_name: String,
    upload_id: String,
    layer_digest: String,
}

pub(super) fn initiate(world: &mut World, _call: &Call, input: InitiateInput) -> Answer<InitiateOutput> {
    let name = required("repositoryName", input.repository_name)?;
    world.ecr.check_registry(input.registry_id.as_deref(), &name)?;
    world.ecr.repository(&name)?;
    let upload_id = world.uuid();
    world.ecr.repository_mut(&name)?.uploads.insert(upload_id.clone(), Vec::new());
    Ok(InitiateOutput { upload_id, part_size: PART_BYTES_MAX })
}

pub(super) fn upload(world: &mut World, _call: &Call, input: PartInput) -> Answer<PartOutput> {
    let name = required("repositoryName", input.repository_name)?;
    world.ecr.check_registry(input.registry_id.as_deref(), &name)?;
    let upload_id = required("uploadId", input.upload_id)?;
    let blob = required("layerPartBlob", input.layer_part_blob)?;
    let bytes = STANDARD.decode(blob).map_err(|_| invalid("layerPartBlob", "Member must be base64"))?;
    let registry_id = world.account.clone();
    let received = world.ecr.repository_mut(&name)?.uploads.get_mut(&upload_id).ok_or_else(|| no_upload(&upload_id))?;
    let (first, last) = (input.part_first_byte.unwrap_or_default(), input.part_last_byte.unwrap_or_default());
    if first != received.len() || last + 1 != first + bytes.len() || bytes.is_empty() || bytes.len() > PART_BYTES_MAX {
        let message = format!("The layer part with first byte {first} and last byte {last} is invalid");
        return Err(ErrorReply::new("InvalidLayerPartException", message));
    }
    received.extend(bytes);
    let last_byte_received = received.len() - 1;
    Ok(PartOutput { registry_id, repository_name: name, upload_id, last_byte_received })
}

pub(super) fn complete(world: &mut World, _call: &Call, input: CompleteInput) -> Answer<CompleteOutput> {
    let name = required("repositoryName", input.repository_name)?;
    world.ecr.check_registry(input.registry_id.as_deref(), &name)?;
    let upload_id = required("uploadId", input.upload_id)?;
    let digests = input.layer_digests.unwrap_or_default();
    let registry_id = world.account.clone();
    let repository = world.ecr.repository_mut(&name)?;
    let received = repository.uploads.get(&upload_id).ok_or_else(|| no_upload(&upload_id))?;
    if received.is_empty() {
        return Err(ErrorReply::new("EmptyUploadException", "The specified layer upload does not contain any parts"));
    }
    let layer_digest = manifest::digest(received);
    if digests != [layer_digest.as_str()] {
        let message = format!("Calculated digest {layer_digest} does not match the provided digests {digests:?}");
        return Err(ErrorReply::new("InvalidLayerException", message));
    }
    let text = String::from_utf8_lossy(received).into_owned();
    repository.uploads.remove(&upload_id);
    if repository.configs.insert(layer_digest.clone(), text).is_some() {
        let message = format!("Layer with digest '{layer_digest}' already exists in the repository with name '{name}'");
        return Err(ErrorReply::new("LayerAlreadyExistsException", message));
    }
    Ok(CompleteOutput { registry_id, repository_name: name, upload_id, layer_digest })
}

fn no_upload(id: &str) -> ErrorReply {
    ErrorReply::new("UploadNotFoundException", format!("The upload with id '{id}' does not exist"))
}
