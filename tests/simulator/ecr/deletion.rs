//! `BatchDeleteImage`: what it deletes, what it refuses, and what it tells of both.
//!
//! By tag it removes that tag, and with the last tag the image; by digest it removes the image with all its tags.
//! Neither deletes an image that an index names which is still there.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::images::{ImageId, check_ids};
use super::manifests::{Failure, lookup};
use super::registry::Repository;
use super::{State, invalid, required};
use crate::{Answer, Call, World};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteInput {
    registry_id: Option<String>,
    repository_name: Option<String>,
    image_ids: Option<Vec<ImageId>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteOutput {
    image_ids: Vec<ImageId>,
    failures: Vec<Failure>,
}

pub(super) fn batch_delete(world: &mut World, _call: &Call, input: DeleteInput) -> Answer<DeleteOutput> {
    let name = required("repositoryName", input.repository_name)?;
    let ecr = &mut world.ecr;
    ecr.check_registry(input.registry_id.as_deref(), &name)?;
    let ids = input.image_ids.ok_or_else(|| invalid("imageIds", "Member must not be null"))?;
    check_ids(&ids)?;
    let pair_deletes_image = ecr.pair_deletes_image;
    let repository = ecr.repository_mut(&name)?;
    // Assumed: what an index names is protected through the whole call that deletes that index, as everybody finds who
    // deletes both at once ("several passes").
    let protected = repository.referenced();
    let mut output = DeleteOutput { image_ids: Vec::new(), failures: Vec::new() };
    for id in ids {
        match repository.delete_one(&id, &protected, pair_deletes_image) {
            Ok(deleted) => output.image_ids.extend(deleted),
            Err((failure_code, failure_reason)) => {
                output.failures.push(Failure { image_id: id, failure_code, failure_reason });
            }
        }
    }
    Ok(output)
}

impl Repository {
    /// The digests that an index of the repository names, whatever the index's status.
    pub(super) fn referenced(&self) -> BTreeSet<String> {
        self.images.values().flat_map(|image| image.kind.children()).map(|(_, digest)| digest.clone()).collect()
    }

    /// Deletes what one id names: one entry per tag that went, or one for an image that had none.
    fn delete_one(
        &mut self,
        id: &ImageId,
        protected: &BTreeSet<String>,
        pair_deletes_image: bool,
    ) -> Result<Vec<ImageId>, (&'static str, &'static str)> {
        let digest = lookup(self, id)?.to_owned();
        let tags = self.tags_of(&digest);
        let whole = match (&id.image_tag, &id.image_digest) {
            (None, _) => true,
            (Some(_), Some(_)) if pair_deletes_image => true,
            (Some(_), _) => tags.len() == 1,
        };
        let gone = |tag: Option<String>| ImageId { image_digest: Some(digest.clone()), image_tag: tag };
        if !whole {
            let tag = id.image_tag.clone().unwrap_or_default();
            self.tags.remove(&tag);
            return Ok(vec![gone(Some(tag))]);
        }
        if protected.contains(&digest) {
            return Err(("ImageReferencedByManifestList", "Requested image referenced by manifest list"));
        }
        self.images.remove(&digest);
        self.tags.retain(|_, named| *named != digest);
        Ok(if tags.is_empty() { vec![gone(None)] } else { tags.into_iter().map(|tag| gone(Some(tag))).collect() })
    }
}

impl State {
    /// Deletes one image (tag or digest) and all its tags, without asking who names it; the children of an index stay.
    ///
    /// # Errors
    /// When there is no such repository or image.
    pub fn delete(&mut self, repository: &str, image: &str) -> Answer<()> {
        let digest = self.digest(repository, image)?;
        let repository = self.repository_mut(repository)?;
        repository.images.remove(&digest);
        repository.tags.retain(|_, named| *named != digest);
        Ok(())
    }
}
