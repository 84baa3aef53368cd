//! `UpdateImageStorageClass`: into the archive, and back within minutes.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::images::{ImageId, check_ids};
use super::manifests::lookup;
use super::registry::Status;
use super::{Event, State, invalid, one_of, required};
use crate::{Answer, Call, ErrorReply, World};

/// How long a restore takes: "up to 20 minutes".
const RESTORE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20 * 60));

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UpdateInput {
    registry_id: Option<String>,
    repository_name: Option<String>,
    image_id: Option<ImageId>,
    target_storage_class: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdateOutput {
    registry_id: String,
    repository_name: String,
    image_id: ImageId,
    image_status: &'static str,
}

pub(super) fn update(world: &mut World, _call: &Call, input: UpdateInput) -> Answer<UpdateOutput> {
    let name = required("repositoryName", input.repository_name)?;
    world.ecr.check_registry(input.registry_id.as_deref(), &name)?;
    let id = input.image_id.ok_or_else(|| invalid("imageId", "Member must not be null"))?;
    check_ids(std::slice::from_ref(&id))?;
    let class = required("targetStorageClass", input.target_storage_class)?;
    one_of("targetStorageClass", &class, &["STANDARD", "ARCHIVE"])?;
    let repository = world.ecr.repository(&name)?;
    let missing = || world.ecr.image_not_found(&name, id.image_digest.as_deref(), id.image_tag.as_deref());
    let digest = lookup(repository, &id).map_err(|_| missing())?.to_owned();
    let status = repository.images.get(&digest).map(|image| image.status).ok_or_else(missing)?;
    let now = world.now;
    match (class.as_str(), status) {
        ("ARCHIVE", Status::Active) => {
            // Assumed: as a deletion, so an archiving of what an index names is refused.
            if repository.referenced().contains(&digest) {
                return Err(not_supported("the image is referenced by a manifest list"));
            }
            world.ecr.archive(&name, &digest, now)?;
        }
        ("STANDARD", Status::Archived) => {
            world.ecr.each(&name, &digest, |image| image.status = Status::Activating)?;
            let after = world.between(RESTORE.0, RESTORE.1);
            let event = Event::Restored { repository: name.clone(), digest: digest.clone() };
            world.schedule(after, crate::Event::Ecr(event));
        }
        ("ARCHIVE", Status::Activating) => return Err(not_supported("the image is being restored")),
        _ => {}
    }
    let status = world.ecr.repository(&name)?.images.get(&digest).map_or(status, |image| image.status);
    let image_id = ImageId { image_digest: Some(digest), image_tag: id.image_tag };
    let registry_id = world.account.clone();
    Ok(UpdateOutput { registry_id, repository_name: name, image_id, image_status: status.name() })
}

fn not_supported(why: &str) -> ErrorReply {
    ErrorReply::new(
        "ImageStorageClassUpdateNotSupportedException",
        format!("The storage class of the image cannot be updated: {why}"),
    )
}

/// An image is back from the archive, unless it was deleted or archived again meanwhile.
pub(crate) fn happen(world: &mut World, event: Event) {
    let Event::Restored { repository, digest } = event;
    let now = world.now;
    let activating = |state: &State| {
        let found = state.repositories.get(&repository)?.images.get(&digest)?;
        Some(found.status == Status::Activating)
    };
    if activating(&world.ecr) == Some(true) {
        // It was there a line ago.
        let _ = world.ecr.restore(&repository, &digest, now);
    }
}

impl State {
    /// Moves an image (tag or digest), with the children of an index, into the archive class.
    ///
    /// # Errors
    /// When there is no such repository or image.
    pub fn archive(&mut self, repository: &str, image: &str, at: SystemTime) -> Answer<()> {
        self.each(repository, image, |image| {
            image.status = Status::Archived;
            image.archived_at = Some(at);
        })
    }

    /// Brings an archived image back at once.
    ///
    /// # Errors
    /// When there is no such repository or image.
    pub fn restore(&mut self, repository: &str, image: &str, at: SystemTime) -> Answer<()> {
        self.each(repository, image, |image| {
            image.status = Status::Active;
            image.activated_at = Some(at);
        })
    }
}
