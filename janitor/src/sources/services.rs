//! Services: what they are told to run, what their deployments and task sets bring, and the digests that ECS resolved.

use coalmine_door::AwsError;

use super::{Found, From};
use crate::aws::ecs::{Service, last_part};
use crate::in_use::Step;

pub(super) async fn read(from: From<'_>) -> Result<Found, AwsError> {
    let mut found = Found::default();
    let mut services = Vec::new();
    for cluster in from.place.clusters().await? {
        services.extend(from.place.services(&cluster).await?);
    }
    for service in &services {
        mention(service, &mut found);
    }
    // A deployment under way also has revisions that it comes from, which a rollback returns to.
    let under_way: Vec<String> =
        services.iter().filter(|service| is_moving(service)).filter_map(|one| one.service_deployment.clone()).collect();
    let mut wanted: Vec<(usize, String)> = Vec::new();
    for (at, service) in services.iter().enumerate() {
        wanted.extend(service.revisions.iter().map(|arn| (at, arn.clone())));
    }
    for arn in from.place.deployed_revisions(&under_way).await? {
        let of = services.iter().position(|service| is_of(&arn, service));
        wanted.extend(of.map(|at| (at, arn)));
    }
    wanted.sort();
    wanted.dedup();
    let arns: Vec<String> = wanted.iter().map(|(_, arn)| arn.clone()).collect();
    let revisions = from.cache.revisions(from.place, &arns).await?;
    for (at, arn) in &wanted {
        if let (Some(service), Some(revision)) = (services.get(*at), revisions.get(arn)) {
            let by = [step(service), Step::ServiceRevision(last_part(arn).into())];
            found.revision(&by, revision);
        }
    }
    from.cache.set_services(&from.place.home, services);
    Ok(found)
}

/// How a path begins that leads over a service.
pub(super) fn step(service: &Service) -> Step {
    if service.is_express {
        Step::ExpressService(service.name.clone())
    } else {
        Step::Service(service.cluster.clone(), service.name.clone())
    }
}

fn mention(service: &Service, found: &mut Found) {
    let first = step(service);
    if let Some(definition) = &service.definition {
        found.definition(std::slice::from_ref(&first), definition);
    }
    for (id, definition) in &service.deployments {
        found.definition(&[first.clone(), Step::Deployment(id.clone())], definition);
    }
    for (id, definition) in &service.task_sets {
        found.definition(&[first.clone(), Step::TaskSet(id.clone())], definition);
    }
}

/// Whether a deployment is under way.
fn is_moving(service: &Service) -> bool {
    service.deployments.len() > 1 || service.revisions.len() > 1 || !service.generation.ends_with("COMPLETED")
}

/// A service revision's ARN is `…:service-revision/<cluster>/<service>/<id>`.
fn is_of(revision: &str, service: &Service) -> bool {
    let mut parts = revision.rsplit('/').skip(1);
    parts.next() == Some(&*service.name) && parts.next() == Some(&*service.cluster)
}
