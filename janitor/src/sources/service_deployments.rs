//! The last successful deployments of each service: what a rollback returns to.

use coalmine_door::AwsError;

use super::{Found, From, services};
use crate::aws::ecs::last_part;
use crate::in_use::Step;

pub(super) async fn read(from: From<'_>) -> Result<Found, AwsError> {
    let mut found = Found::default();
    let mut kept = Vec::new();
    // Those that the source before this one has seen.
    for service in from.cache.services(&from.place.home) {
        let deployments = from.cache.deployments(from.place, &service, from.deployments).await?;
        kept.extend(deployments.into_iter().map(|deployment| (services::step(&service), deployment)));
    }
    let arns: Vec<String> = kept.iter().map(|(_, deployment)| deployment.revision.clone()).collect();
    let revisions = from.cache.revisions(from.place, &arns).await?;
    for (service, deployment) in kept {
        if let Some(revision) = revisions.get(&deployment.revision) {
            let step = Step::ServiceDeployment(last_part(&deployment.arn).into(), deployment.finished);
            found.revision(&[service, step], revision);
        }
    }
    Ok(found)
}
