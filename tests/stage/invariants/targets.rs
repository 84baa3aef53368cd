//! What a rollback would go back to can still be deployed.

use std::collections::BTreeMap;

use simulator::World;

use super::changes::Seen;
use super::{Finding, Names};
use crate::stage::application::CLUSTER;

/// Looks whenever a service was deployed to: only then its target can be another one, or be needed.
#[derive(Debug)]
pub(super) struct Targets;

impl Targets {
    pub(super) fn look(&self, world: &World, names: &Names, changes: &BTreeMap<String, Seen>) -> Option<Finding> {
        let changed = changes.values().filter(|seen| seen.before.is_some());
        for seen in changed {
            let service = &seen.view.service;
            // A service that never had a successful deployment has none.
            let Some(target) = world.ecs.rollback_target(CLUSTER, service) else { continue };
            if !target.active {
                let what = format!("{}, the rollback target of {service}, is not ACTIVE", target.task_definition);
                return Some(Finding::of(service, what));
            }
            // Those of other registries are nobody's here to keep.
            let ours = |image: &&String| image.split_once('/').is_some_and(|(host, _)| host.contains(".dkr.ecr."));
            let gone = target.images.iter().filter(ours).find(|image| {
                let name = image.split_once('/').map_or(image.as_str(), |(_, name)| name);
                let split = name.split_once('@').or_else(|| name.split_once(':'));
                split.is_none_or(|(repository, image)| world.ecr.digest(repository, image).is_err())
            });
            if let Some(image) = gone {
                let what = format!("{image}, which the rollback target of {} runs, is not in ECR", names.full);
                return Some(Finding::of(service, what));
            }
        }
        None
    }
}
