//! Services: what they are told to run, what their deployments and task sets bring, and the digests that ECS resolved.

use coalmine_door::AwsError;

use super::{Found, From};
use crate::aws::Place;
use crate::aws::ecs::{Service, last_part, still_listed};
use crate::in_use::Step;

pub(super) async fn read(from: From<'_>) -> Result<Found, AwsError> {
    let mut found = Found::default();
    let services = listed(from.place).await?;
    for service in &services {
        mention(service, &mut found);
    }
    let named = named(from.place, &services).await?;
    let arns: Vec<String> = named.revisions.iter().map(|(_, arn)| arn.clone()).collect();
    let revisions = from.cache.revisions(from.place, &arns).await?;
    let unknown = arns.iter().filter(|arn| !revisions.contains_key(*arn));
    let missing: Vec<&String> = unknown.chain(&named.unknown).collect();
    // A deployment that is over since is not named any more, nor is what it came from.
    if !missing.is_empty() {
        let again = self::named(from.place, &listed(from.place).await?).await?;
        let revisions = again.revisions.into_iter().map(|(_, arn)| arn);
        let again: Vec<String> = revisions.chain(again.unknown).collect();
        still_listed("ecs DescribeServiceRevisions", missing, &again)?;
    }
    for (at, arn) in &named.revisions {
        if let (Some(service), Some(revision)) = (services.get(*at), revisions.get(arn)) {
            let by = [step(service), Step::ServiceRevision(last_part(arn).into())];
            found.revision(&by, revision);
        }
    }
    from.cache.set_services(&from.place.home, services);
    Ok(found)
}

/// What services name of what they run.
struct Named {
    /// Service revisions that they run, or that a deployment under way comes from, which a rollback returns to: the place of
    /// each one's service, and its ARN.
    revisions: Vec<(usize, String)>,
    /// Deployments under way that ECS does not know.
    unknown: Vec<String>,
}

async fn listed(place: &Place) -> Result<Vec<Service>, AwsError> {
    let mut services = Vec::new();
    for cluster in place.clusters().await? {
        services.extend(place.services(&cluster).await?);
    }
    Ok(services)
}

async fn named(place: &Place, services: &[Service]) -> Result<Named, AwsError> {
    let moving = services.iter().filter(|service| is_moving(service));
    let under_way: Vec<String> = moving.filter_map(|one| one.service_deployment.clone()).collect();
    let mut revisions: Vec<(usize, String)> = Vec::new();
    for (at, service) in services.iter().enumerate() {
        revisions.extend(service.revisions.iter().map(|arn| (at, arn.clone())));
    }
    let (deployed, mut unknown) = place.deployed_revisions(&under_way).await?;
    for arn in deployed {
        let of = services.iter().position(|service| is_of(&arn, service));
        revisions.extend(of.map(|at| (at, arn)));
    }
    revisions.sort();
    revisions.dedup();
    // Of one that failed long ago ECS may have forgotten the deployment for good.
    unknown.retain(|arn| services.iter().any(|one| one.service_deployment.as_ref() == Some(arn) && is_between(one)));
    Ok(Named { revisions, unknown })
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
    is_between(service) || !service.generation.ends_with("COMPLETED")
}

/// Whether it runs more than one release.
fn is_between(service: &Service) -> bool {
    service.deployments.len() > 1 || service.revisions.len() > 1
}

/// A service revision's ARN is `…:service-revision/<cluster>/<service>/<id>`.
fn is_of(revision: &str, service: &Service) -> bool {
    let mut parts = revision.rsplit('/').skip(1);
    parts.next() == Some(&*service.name) && parts.next() == Some(&*service.cluster)
}
