//! What ECS needs of registries: the images that tasks run, that services may start, and that may be started by hand.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::images::with_digest;
use super::model::{Definition, Service, ServiceStatus, TaskStatus};
use super::{State, rollback};

/// Successful deployments of a service that people may want to go back to.
const DEPLOYMENTS: usize = 3;

impl State {
    /// Every reference to an image that somebody needs, by who needs it: tasks that are not STOPPED; services by their
    /// deployments and their last three that were successful; ACTIVE task definitions that are among the `newest` of
    /// their family, or registered within `window`.
    pub(crate) fn needed(&self, newest: usize, window: Duration, now: SystemTime) -> Vec<(String, String)> {
        let mut needed = Vec::new();
        for task in self.tasks.values().filter(|task| task.status != TaskStatus::Stopped) {
            let by = format!("task {}", task.id);
            let images = task.containers.iter().map(|container| match &container.digest {
                Some(digest) => with_digest(&container.image, digest),
                None => container.image.clone(),
            });
            needed.extend(images.map(|image| (by.clone(), image)));
        }
        for service in self.services.values().filter(|service| service.status != ServiceStatus::Inactive) {
            self.needed_by(service, &mut needed);
        }
        for revisions in self.families.values() {
            let active = revisions.values().rev().filter(|definition| definition.active);
            for (place, definition) in active.enumerate() {
                let age = now.duration_since(definition.registered_at).unwrap_or_default();
                if place < newest || age <= window {
                    let by = format!("task definition {}", definition.arn);
                    needed.extend(images_of(definition, &BTreeMap::new()).map(|image| (by.clone(), image)));
                }
            }
        }
        needed
    }

    fn needed_by(&self, service: &Service, needed: &mut Vec<(String, String)>) {
        let successful = rollback::successful(service).take(DEPLOYMENTS);
        let current = service.deployments.iter().map(|deployment| deployment.number.as_str());
        for number in current.chain(successful) {
            let Some(revision) = service.revisions.get(number) else { continue };
            let Some(definition) = self.definition(&revision.task_definition) else { continue };
            let by = format!("service {} by {}", service.key.service, revision.arn);
            needed.extend(images_of(definition, &revision.pins).map(|image| (by.clone(), image)));
        }
    }
}

/// The images of a task definition's containers, pinned where they are.
fn images_of<'a>(
    definition: &'a Definition,
    pins: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = String> + use<'a> {
    definition.known.container_definitions().iter().filter_map(|container| {
        let image = container.image.as_ref()?;
        let pin = container.name.as_ref().and_then(|name| pins.get(name));
        Some(pin.map_or_else(|| image.clone(), |digest| with_digest(image, digest)))
    })
}
