//! `CreateCluster`, `DescribeClusters`, `ListClusters`.

use aws_sdk_ecs::operation::create_cluster::{CreateClusterInput, CreateClusterOutput};
use aws_sdk_ecs::operation::describe_clusters::{DescribeClustersInput, DescribeClustersOutput};
use aws_sdk_ecs::operation::list_clusters::{ListClustersInput, ListClustersOutput};
use aws_sdk_ecs::types;

use super::lookup::short;
use super::model::{Cluster, ServiceStatus, TaskStatus};
use super::rules::{self, invalid_parameter};
use super::{State, paging};
use crate::{Answer, Call, World};

/// Creating a cluster that is there answers with it, as AWS does.
pub(super) fn create(world: &mut World, _call: &Call, input: CreateClusterInput) -> Answer<CreateClusterOutput> {
    let name = input.cluster_name.unwrap_or_else(|| "default".into());
    if !rules::is_name(&name) {
        return Err(invalid_parameter("Cluster name should match the pattern [a-zA-Z0-9-_]{1,255}."));
    }
    let tags = input.tags.unwrap_or_default();
    rules::tags(&tags)?;
    if !world.ecs.clusters.contains_key(&name) {
        let arn = world.arn("ecs", &format!("cluster/{name}"));
        let echo = types::Cluster::builder()
            .cluster_arn(&arn)
            .cluster_name(&name)
            .set_settings(Some(input.settings.unwrap_or_default()))
            .set_configuration(input.configuration)
            .set_capacity_providers(Some(input.capacity_providers.unwrap_or_default()))
            .set_default_capacity_provider_strategy(Some(input.default_capacity_provider_strategy.unwrap_or_default()))
            .build();
        world.ecs.clusters.insert(name.clone(), Cluster { arn, echo, tags });
    }
    let cluster = world.ecs.cluster_shape(&name, true);
    Ok(CreateClusterOutput::builder().set_cluster(cluster).build())
}

pub(super) fn describe(
    world: &mut World,
    _call: &Call,
    input: DescribeClustersInput,
) -> Answer<DescribeClustersOutput> {
    let with_tags = input.include().contains(&types::ClusterField::Tags);
    let asked = input.clusters.unwrap_or_else(|| vec!["default".into()]);
    rules::count("Clusters", asked.len(), 100)?;
    let (mut clusters, mut failures) = (Vec::new(), Vec::new());
    for given in asked {
        let name = short(&given);
        match world.ecs.cluster_shape(name, with_tags) {
            Some(cluster) => clusters.push(cluster),
            None => {
                let arn = world.arn("ecs", &format!("cluster/{name}"));
                failures.push(types::Failure::builder().arn(arn).reason("MISSING").build());
            }
        }
    }
    Ok(DescribeClustersOutput::builder().set_clusters(Some(clusters)).set_failures(Some(failures)).build())
}

pub(super) fn list(world: &mut World, _call: &Call, input: ListClustersInput) -> Answer<ListClustersOutput> {
    let arns = world.ecs.clusters.values().map(|cluster| (cluster.arn.clone(), cluster.arn.clone())).collect();
    let (arns, next) = paging::page(arns, input.next_token.as_deref(), input.max_results, 100, 100)?;
    Ok(ListClustersOutput::builder().set_cluster_arns(Some(arns)).set_next_token(next).build())
}

impl State {
    fn cluster_shape(&self, name: &str, with_tags: bool) -> Option<types::Cluster> {
        let cluster = self.clusters.get(name)?;
        let mut shape = cluster.echo.clone();
        let tasks = || self.tasks.values().filter(|task| task.cluster == name);
        let count = |items: usize| i32::try_from(items).unwrap_or(i32::MAX);
        shape.status = Some("ACTIVE".into());
        shape.running_tasks_count = count(tasks().filter(|task| task.status == TaskStatus::Running).count());
        shape.pending_tasks_count = count(tasks().filter(|task| task.status < TaskStatus::Running).count());
        let active = |status| status != ServiceStatus::Inactive;
        shape.active_services_count = count(
            self.services.values().filter(|service| service.key.cluster == name && active(service.status)).count(),
        );
        shape.statistics = Some(Vec::new());
        shape.tags = Some(if with_tags { cluster.tags.clone() } else { Vec::new() });
        Some(shape)
    }
}
