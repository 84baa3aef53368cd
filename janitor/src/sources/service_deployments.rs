//! The last successful deployments of each service: what a rollback returns to.

use coalmine_door::AwsError;

use super::{Found, From, services};
use crate::aws::ecs::{last_part, still_listed};
use crate::in_use::Step;

pub(super) async fn read(from: From<'_>) -> Result<Found, AwsError> {
    let mut found = Found::default();
    let mut kept = Vec::new();
    // Those that the source before this one has seen.
    for service in from.cache.services(&from.place.home) {
        let deployments = from.cache.deployments(from.place, &service, from.deployments).await?;
        kept.extend(deployments.into_iter().map(|deployment| (service.clone(), deployment)));
    }
    let arns: Vec<String> = kept.iter().map(|(_, deployment)| deployment.revision.clone()).collect();
    let revisions = from.cache.revisions(from.place, &arns).await?;
    let mut again = Vec::new();
    for (service, deployment) in &kept {
        if let Some(revision) = revisions.get(&deployment.revision) {
            let step = Step::ServiceDeployment(last_part(&deployment.arn).into(), deployment.finished);
            found.revision(&[services::step(service), step], revision);
        } else {
            // What is remembered here may be what ECS has forgotten since; what it lists has to be there.
            from.cache.forget_deployments(service);
            let listed = from.cache.deployments(from.place, service, from.deployments).await?;
            again.extend(listed.into_iter().map(|deployment| deployment.revision));
        }
    }
    let missing = arns.iter().filter(|arn| !revisions.contains_key(*arn));
    still_listed("ecs DescribeServiceRevisions", missing, &again)?;
    Ok(found)
}
