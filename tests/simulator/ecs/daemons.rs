//! ECS daemons: one task per container instance, outside of all that services and task definitions list.
//!
//! They are read, not run: no task of theirs is simulated. Each revision of a daemon has a daemon task definition of its
//! own, of the family `CLUSTER-NAME`.

use std::time::SystemTime;

use aws_sdk_ecs::operation::describe_daemon::{DescribeDaemonInput, DescribeDaemonOutput};
use aws_sdk_ecs::operation::describe_daemon_deployments::{
    DescribeDaemonDeploymentsInput, DescribeDaemonDeploymentsOutput,
};
use aws_sdk_ecs::operation::describe_daemon_revisions::{DescribeDaemonRevisionsInput, DescribeDaemonRevisionsOutput};
use aws_sdk_ecs::operation::describe_daemon_task_definition::{
    DescribeDaemonTaskDefinitionInput, DescribeDaemonTaskDefinitionOutput,
};
use aws_sdk_ecs::operation::list_daemon_task_definitions::{
    ListDaemonTaskDefinitionsInput, ListDaemonTaskDefinitionsOutput,
};
use aws_sdk_ecs::operation::list_daemons::{ListDaemonsInput, ListDaemonsOutput};
use aws_sdk_ecs::types::{self, error};

use super::lookup::short;
use super::rules::{self, client_error, date, not_simulated};
use super::{images, paging};
use crate::{Answer, Call, ErrorReply, World};

/// Assumed: as many as service revisions.
const REVISIONS_MAX: usize = 20;

/// A daemon.
#[derive(Clone, Debug)]
pub(super) struct Daemon {
    arn: String,
    cluster: String,
    name: String,
    created_at: SystemTime,
    /// Oldest first.
    revisions: Vec<Revision>,
    /// How many of the last revisions run.
    current: usize,
}

#[derive(Clone, Debug)]
struct Revision {
    arn: String,
    definition: String,
    created_at: SystemTime,
    /// Container, image, digest.
    images: Vec<(String, String, Option<String>)>,
}

impl World {
    /// Makes a daemon with containers (name and image), or rolls one that is there to a new revision; the former one
    /// counts as current until [`World::settle_daemon`]. The daemon's ARN.
    ///
    /// # Errors
    /// When there is no such cluster, or an image cannot be pulled.
    pub fn add_daemon(&mut self, cluster: &str, name: &str, containers: &[(&str, &str)]) -> Answer<String> {
        self.ecs.cluster_name(Some(cluster))?;
        let images = containers.iter().map(|(container, image)| {
            let pulled = images::pull_one(self, image, "amd64").map_err(client_error)?;
            Ok(((*container).to_owned(), (*image).to_owned(), Some(pulled.digest)))
        });
        let images = images.collect::<Answer<Vec<_>>>()?;
        let arn = self.arn("ecs", &format!("daemon/{cluster}/{name}"));
        let number = self.rng.u64(1_000_000_000_000_000_000..=9_223_372_036_854_775_807);
        let revision_arn = self.arn("ecs", &format!("daemon-revision/{cluster}/{name}/{number}"));
        let created_at = self.now;
        let place = self.ecs.daemons.iter().position(|daemon| daemon.arn == arn);
        let count = place.and_then(|place| self.ecs.daemons.get(place)).map_or(0, |daemon| daemon.revisions.len());
        let definition = self.arn("ecs", &format!("daemon-task-definition/{cluster}-{name}:{}", count + 1));
        let revision = Revision { arn: revision_arn, definition, created_at, images };
        match place.and_then(|place| self.ecs.daemons.get_mut(place)) {
            Some(daemon) => {
                daemon.revisions.push(revision);
                daemon.current = 2;
            }
            None => self.ecs.daemons.push(Daemon {
                arn: arn.clone(),
                cluster: cluster.to_owned(),
                name: name.to_owned(),
                created_at,
                revisions: vec![revision],
                current: 1,
            }),
        }
        Ok(arn)
    }

    /// Ends a daemon's roll: only its newest revision runs.
    pub fn settle_daemon(&mut self, arn: &str) {
        for daemon in self.ecs.daemons.iter_mut().filter(|daemon| daemon.arn == arn) {
            daemon.current = 1;
        }
    }
}

impl Daemon {
    fn current(&self) -> &[Revision] {
        self.revisions.get(self.revisions.len().saturating_sub(self.current)..).unwrap_or_default()
    }

    fn updated_at(&self) -> SystemTime {
        self.revisions.last().map_or(self.created_at, |revision| revision.created_at)
    }

    /// The ARN of the deployment that rolls it, by its newest revision's number.
    fn deployment(&self) -> Option<String> {
        let newest = self.revisions.last().filter(|_| self.current > 1)?;
        Some(newest.arn.replace(":daemon-revision/", ":daemon-deployment/"))
    }

    fn family(&self) -> String {
        format!("{}-{}", self.cluster, self.name)
    }
}

pub(super) fn list(world: &mut World, _call: &Call, input: ListDaemonsInput) -> Answer<ListDaemonsOutput> {
    if input.capacity_provider_arns.is_some() {
        return Err(not_simulated("filter of daemons by capacity provider"));
    }
    // Assumed: without a cluster all daemons are listed.
    let cluster = input.cluster_arn.as_deref().map(|given| world.ecs.cluster_name(Some(given))).transpose()?;
    let summary = |daemon: &Daemon| {
        types::DaemonSummary::builder()
            .daemon_arn(&daemon.arn)
            .status(types::DaemonStatus::Active)
            .created_at(date(daemon.created_at))
            .updated_at(date(daemon.updated_at()))
            .build()
    };
    let shown = world.ecs.daemons.iter().filter(|daemon| cluster.as_ref().is_none_or(|name| *name == daemon.cluster));
    let mut items: Vec<_> = shown.map(|daemon| (daemon.arn.clone(), summary(daemon))).collect();
    items.sort_by(|one, other| one.0.cmp(&other.0));
    let (page, next) = paging::page(items, input.next_token.as_deref(), input.max_results, 100, 100)?;
    Ok(ListDaemonsOutput::builder().set_daemon_summaries_list(Some(page)).set_next_token(next).build())
}

pub(super) fn describe(world: &mut World, _call: &Call, input: DescribeDaemonInput) -> Answer<DescribeDaemonOutput> {
    let asked = input.daemon_arn.unwrap_or_default();
    let missing = || {
        let refusal = error::DaemonNotFoundException::builder().message("Daemon not found.").build();
        ErrorReply::of(&refusal)
    };
    let daemon = world.ecs.daemons.iter().find(|daemon| daemon.arn == asked).ok_or_else(missing)?;
    let detail = |revision: &Revision| {
        types::DaemonRevisionDetail::builder()
            .arn(&revision.arn)
            .set_capacity_providers(Some(Vec::new()))
            .total_running_count(1)
            .total_without_daemon_count(0)
            .build()
    };
    let daemon = types::DaemonDetail::builder()
        .daemon_arn(&daemon.arn)
        .cluster_arn(world.arn("ecs", &format!("cluster/{}", daemon.cluster)))
        .status(types::DaemonStatus::Active)
        .set_current_revisions(Some(daemon.current().iter().map(detail).collect()))
        .set_deployment_arn(daemon.deployment())
        .created_at(date(daemon.created_at))
        .updated_at(date(daemon.updated_at()))
        .build();
    Ok(DescribeDaemonOutput::builder().daemon(daemon).build())
}

pub(super) fn describe_deployments(
    world: &mut World,
    _call: &Call,
    input: DescribeDaemonDeploymentsInput,
) -> Answer<DescribeDaemonDeploymentsOutput> {
    let asked = input.daemon_deployment_arns.unwrap_or_default();
    rules::count("Daemon deployments", asked.len(), REVISIONS_MAX)?;
    let (mut deployments, mut failures) = (Vec::new(), Vec::new());
    for arn in asked {
        let found = world.ecs.daemons.iter().find(|daemon| daemon.deployment().as_ref() == Some(&arn));
        match found.and_then(|daemon| daemon.current().split_last()) {
            Some((target, sources)) => {
                let detail = |one: &Revision| types::DaemonDeploymentRevisionDetail::builder().arn(&one.arn).build();
                let deployment = types::DaemonDeployment::builder()
                    .daemon_deployment_arn(arn)
                    .status(types::DaemonDeploymentStatus::InProgress)
                    .target_daemon_revision(detail(target))
                    .set_source_daemon_revisions(Some(sources.iter().map(detail).collect()))
                    .created_at(date(target.created_at));
                deployments.push(deployment.build());
            }
            None => failures.push(types::Failure::builder().arn(arn).reason("MISSING").build()),
        }
    }
    let output = DescribeDaemonDeploymentsOutput::builder().set_daemon_deployments(Some(deployments));
    Ok(output.set_failures(Some(failures)).build())
}

pub(super) fn describe_revisions(
    world: &mut World,
    _call: &Call,
    input: DescribeDaemonRevisionsInput,
) -> Answer<DescribeDaemonRevisionsOutput> {
    let asked = input.daemon_revision_arns.unwrap_or_default();
    rules::count("Daemon revisions", asked.len(), REVISIONS_MAX)?;
    let (mut revisions, mut failures) = (Vec::new(), Vec::new());
    for arn in asked {
        let all = world.ecs.daemons.iter().flat_map(|daemon| daemon.revisions.iter().map(move |each| (daemon, each)));
        match all.into_iter().find(|(_, revision)| revision.arn == arn) {
            Some((daemon, revision)) => revisions.push(revision_shape(world, daemon, revision)),
            None => failures.push(types::Failure::builder().arn(arn).reason("MISSING").build()),
        }
    }
    let output = DescribeDaemonRevisionsOutput::builder().set_daemon_revisions(Some(revisions));
    Ok(output.set_failures(Some(failures)).build())
}

fn revision_shape(world: &World, daemon: &Daemon, revision: &Revision) -> types::DaemonRevision {
    let images = revision.images.iter().map(|(container, image, digest)| {
        let shape = types::DaemonContainerImage::builder().container_name(container).image(image);
        shape.set_image_digest(digest.clone()).build()
    });
    types::DaemonRevision::builder()
        .daemon_revision_arn(&revision.arn)
        .cluster_arn(world.arn("ecs", &format!("cluster/{}", daemon.cluster)))
        .daemon_arn(&daemon.arn)
        .daemon_task_definition_arn(&revision.definition)
        .created_at(date(revision.created_at))
        .set_container_images(Some(images.collect()))
        .build()
}

pub(super) fn list_definitions(
    world: &mut World,
    _call: &Call,
    input: ListDaemonTaskDefinitionsInput,
) -> Answer<ListDaemonTaskDefinitionsOutput> {
    if input.revision.is_some() || input.sort.is_some() {
        return Err(not_simulated("order or filter of daemon task definitions by revision"));
    }
    let deleted = input.status == Some(types::DaemonTaskDefinitionStatusFilter::DeleteInProgress);
    let wanted = |daemon: &&Daemon| {
        let family = daemon.family();
        !deleted
            && input.family.as_ref().is_none_or(|asked| *asked == family)
            && input.family_prefix.as_ref().is_none_or(|prefix| family.starts_with(prefix.as_str()))
    };
    let summary = |revision: &Revision| {
        types::DaemonTaskDefinitionSummary::builder()
            .arn(&revision.definition)
            .registered_at(date(revision.created_at))
            .status(types::DaemonTaskDefinitionStatus::Active)
            .build()
    };
    let revisions = world.ecs.daemons.iter().filter(wanted).flat_map(|daemon| &daemon.revisions);
    let mut items: Vec<_> = revisions.map(|revision| (revision.definition.clone(), summary(revision))).collect();
    items.sort_by(|one, other| one.0.cmp(&other.0));
    let (page, next) = paging::page(items, input.next_token.as_deref(), input.max_results, 100, 100)?;
    let output = ListDaemonTaskDefinitionsOutput::builder().set_daemon_task_definitions(Some(page));
    Ok(output.set_next_token(next).build())
}

pub(super) fn describe_definition(
    world: &mut World,
    _call: &Call,
    input: DescribeDaemonTaskDefinitionInput,
) -> Answer<DescribeDaemonTaskDefinitionOutput> {
    let asked = input.daemon_task_definition.unwrap_or_default();
    let all = world.ecs.daemons.iter().flat_map(|daemon| daemon.revisions.iter().map(move |each| (daemon, each)));
    let found = all.into_iter().find(|(_, revision)| short(&revision.definition) == short(&asked));
    let (daemon, revision) = found.ok_or_else(|| client_error("Unable to describe daemon task definition."))?;
    let containers = revision.images.iter().filter_map(|(container, image, _)| {
        types::DaemonContainerDefinition::builder().name(container).image(image).essential(true).build().ok()
    });
    let number = revision.definition.rsplit_once(':').and_then(|(_, number)| number.parse().ok());
    let definition = types::DaemonTaskDefinition::builder()
        .daemon_task_definition_arn(&revision.definition)
        .family(daemon.family())
        .set_revision(number)
        .set_container_definitions(Some(containers.collect()))
        .status(types::DaemonTaskDefinitionStatus::Active)
        .registered_at(date(revision.created_at))
        .build();
    Ok(DescribeDaemonTaskDefinitionOutput::builder().daemon_task_definition(definition).build())
}
