//! Pulling a task's images, and pinning their digests to the service revision (version consistency).

use super::model::Container;
use crate::World;
use crate::ecr::{Behaviour, Pulled};

/// Pulls all images of a task.
///
/// The first task of a service revision that pulls resolves the tags; every later one pulls the digests found then, even
/// where a tag moved meanwhile. A container with `versionConsistency: disabled` is resolved anew by each task.
///
/// # Errors
/// The text of `stoppedReason`.
pub(super) fn pull(world: &mut World, number: u64) -> Result<(), String> {
    if let Some(reason) = world.ecs.pulls_to_fail.pop_front() {
        return Err(reason);
    }
    let Some(task) = world.ecs.tasks.get(&number) else { return Ok(()) };
    let (key, revision) = (task.service.clone(), task.revision.clone());
    let architecture = task.architecture.of_images();
    let pins = key
        .as_ref()
        .and_then(|key| world.ecs.services.get(key)?.revisions.get(&revision))
        .map(|revision| revision.pins.clone())
        .unwrap_or_default();
    let pulled = task
        .containers
        .iter()
        .map(|container| {
            let reference = match pins.get(&container.name).filter(|_| container.pinned) {
                Some(digest) => with_digest(&container.image, digest),
                None => container.image.clone(),
            };
            pull_one(world, &reference, architecture).map_err(|reason| (container.name.clone(), reason))
        })
        .collect::<Result<Vec<_>, _>>();
    let pulled = match pulled {
        Ok(pulled) => pulled,
        Err((name, reason)) => {
            let containers = world.ecs.tasks.get_mut(&number).map(|task| &mut task.containers);
            for container in containers.into_iter().flatten().filter(|container| container.name == name) {
                container.reason = Some(reason.clone());
            }
            return Err(reason);
        }
    };
    let now = world.now;
    let World { ecs, ecr, .. } = &mut *world;
    let containers = ecs.tasks.get(&number).map(|task| task.containers.as_slice()).unwrap_or_default();
    for (container, pulled) in containers.iter().zip(&pulled) {
        ecr.record_reference(&container.image, [&pulled.digest, &pulled.platform_digest], now);
    }
    let report_platform = world.ecs.tasks_report_platform_digest;
    let runtime_ids: Vec<String> = pulled.iter().map(|_| world.hex(32)).collect();
    let Some(task) = world.ecs.tasks.get_mut(&number) else { return Ok(()) };
    let mut new_pins = Vec::new();
    for ((container, pulled), runtime) in task.containers.iter_mut().zip(pulled).zip(runtime_ids) {
        if container.pinned {
            new_pins.push((container.name.clone(), pulled.digest.clone()));
        }
        fill(container, pulled, format!("{}-{runtime}", task.id), report_platform);
    }
    let service = key.and_then(|key| world.ecs.services.get_mut(&key));
    if let Some(revision) = service.and_then(|service| service.revisions.get_mut(&revision)) {
        for (name, digest) in new_pins {
            revision.pins.entry(name).or_insert(digest);
        }
    }
    Ok(())
}

fn fill(container: &mut Container, pulled: Pulled, runtime_id: String, report_platform: bool) {
    container.digest = Some(if report_platform { pulled.platform_digest } else { pulled.digest });
    container.behaviour = pulled.behaviour;
    container.runtime_id = Some(runtime_id);
}

pub(super) fn pull_one(world: &World, reference: &str, architecture: &str) -> Result<Pulled, String> {
    let pulled = match world.ecs.public_images.get(reference) {
        Some(pulled) => pulled.clone(),
        None => world.ecr.pull(reference, architecture)?,
    };
    if pulled.behaviour == Behaviour::CannotBePulled {
        return Err(format!(
            "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to copy: httpReadSeeker: \
             failed open: unexpected status code for {reference}: 403 Forbidden"
        ));
    }
    Ok(pulled)
}

/// `host/repository:tag` → `host/repository@sha256:…`.
pub(crate) fn with_digest(image: &str, digest: &str) -> String {
    let image = image.split_once('@').map_or(image, |(before, _)| before);
    let name = image.rfind('/').map_or(0, |slash| slash + 1);
    let end = image.get(name..).and_then(|last| last.find(':')).map_or(image.len(), |colon| name + colon);
    format!("{}@{digest}", image.get(..end).unwrap_or(image))
}
