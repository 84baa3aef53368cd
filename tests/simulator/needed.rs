//! What an account needs of its registry, from its state alone: what nobody may delete.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::{Answer, Call, Service, World, ecs};

/// An image that somebody needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Needed {
    /// Who: a task, a service by its revision, a task definition, a version of a function.
    pub by: String,
    /// The repository.
    pub repository: String,
    /// The digest: of the image, or of a child of an index.
    pub digest: String,
}

impl World {
    /// The images, with all children of an index, that tasks run, that services may start by their deployments and by
    /// their last three successful ones, that versions of functions run, and that somebody may start from an ACTIVE task
    /// definition which is among the `newest` of its family or was registered within `window`. A tag counts as what it
    /// names now.
    #[must_use]
    pub fn needed(&self, newest: usize, window: Duration) -> BTreeSet<Needed> {
        let references = self.ecs.needed(newest, window, self.now).into_iter().chain(self.lambda.needed());
        let images = references.flat_map(|(by, reference)| {
            let images = self.ecr.with_children(&reference);
            images.into_iter().map(move |(repository, digest)| Needed { by: by.clone(), repository, digest })
        });
        images.collect()
    }

    /// Does what a person or a tool asks of ECS, at once: the JSON of an operation, and of its answer.
    ///
    /// # Errors
    /// What the operation refuses.
    pub fn operate(&mut self, operation: &str, raw: Value) -> Answer<Value> {
        let call = Call::from_inside(self, Service::Ecs, operation, "operator", raw);
        ecs::dispatch(self, &call)
    }
}
