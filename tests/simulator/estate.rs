//! A large account, built at once: repositories full of old releases, and services that run the newest of them.
//!
//! Each release is an index over two architectures with an attestation each, five images. Each repository serves some
//! families of task definitions, and each family's revisions name the repository's last releases, one each; its newest
//! revision runs as a service of its own.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::ecr::ImageSpec;
use crate::ecs::ServiceSpec;
use crate::{Answer, World};

/// Images that one release brings.
const IMAGES_OF_A_RELEASE: usize = 5;

/// How large an account is.
#[derive(Clone, Copy, Debug)]
pub struct Estate {
    /// Repositories.
    pub repositories: usize,
    /// Images in each, a multiple of five.
    pub images: usize,
    /// Families of task definitions, each with one service.
    pub families: usize,
    /// ACTIVE revisions of each family.
    pub revisions: usize,
    /// RUNNING tasks of all services together.
    pub tasks: usize,
    /// Clusters.
    pub clusters: usize,
    /// Time between two releases of a repository; the last is as old. Repositories take turns: each released a little
    /// before the last one.
    pub between_releases: Duration,
}

impl Estate {
    /// 20,000 images in 50 repositories, 3,000 task definitions in 300 families, 300 services with 2,000 tasks in
    /// 5 clusters; a release every nine days.
    #[must_use]
    pub const fn large() -> Self {
        Self {
            repositories: 50,
            images: 400,
            families: 300,
            revisions: 10,
            tasks: 2_000,
            clusters: 5,
            between_releases: Duration::from_secs(9 * 24 * 60 * 60),
        }
    }

    /// 1,000,000 images in 2,000 repositories, 75,000 task definitions in 7,500 families, 7,500 services with 10,000 tasks
    /// in 20 clusters; a release every nine days.
    #[must_use]
    pub const fn huge() -> Self {
        Self {
            repositories: 2_000,
            images: 500,
            families: 7_500,
            revisions: 10,
            tasks: 10_000,
            clusters: 20,
            between_releases: Duration::from_secs(9 * 24 * 60 * 60),
        }
    }

    /// One of so many equal parts of it: its repositories, families, tasks and clusters divided.
    #[must_use]
    pub const fn part(mut self, of: usize) -> Self {
        self.repositories /= of;
        self.families /= of;
        self.tasks /= of;
        self.clusters = self.clusters.div_ceil(of);
        self
    }

    /// The name of a repository, by number.
    #[must_use]
    pub fn repository(&self, number: usize) -> String {
        format!("repository-{:04}", number % self.repositories)
    }

    /// The name of a family and of its service, by number.
    #[must_use]
    pub fn family(&self, number: usize) -> String {
        format!("family-{:04}", number % self.families)
    }

    /// The name of the cluster that a family's service is in.
    #[must_use]
    pub fn cluster(&self, family: usize) -> String {
        format!("cluster-{}", family % self.clusters)
    }

    /// Builds it, as if it had grown over years and were quiet now.
    ///
    /// # Errors
    /// What the calls of AWS would refuse that build it.
    pub fn build(&self, world: &mut World) -> Answer<()> {
        let releases = self.images / IMAGES_OF_A_RELEASE;
        for repository in 0..self.repositories {
            for release in 0..releases {
                let pushed_at = self.released_at(world.now, repository, releases - release);
                world.ecr.push(ImageSpec::new(&self.repository(repository), &tag(release), pushed_at));
            }
        }
        for cluster in 0..self.clusters {
            world.add_cluster(&self.cluster(cluster))?;
        }
        for family in 0..self.families {
            let first = releases.saturating_sub(self.revisions);
            for revision in 1..self.revisions {
                let definition = self.definition(world, family, first + revision - 1);
                let registered_at = self.released_at(world.now, family, self.revisions - revision + 1);
                world.add_task_definition_at(&definition, registered_at)?;
            }
            let newest = self.definition(world, family, releases.saturating_sub(1));
            let more = usize::from(family < self.tasks % self.families);
            let desired = i32::try_from(self.tasks / self.families + more).unwrap_or(i32::MAX);
            world.add_service(ServiceSpec::new(&self.cluster(family), &self.family(family), newest, desired))?;
        }
        Ok(())
    }

    /// Pushes one more release of a family's repository and registers it in the family; the task definition's ARN. The
    /// family's service goes on running what it ran.
    ///
    /// # Errors
    /// What `RegisterTaskDefinition` refuses.
    pub fn release(&self, world: &mut World, family: usize, tag: &str) -> Answer<String> {
        world.ecr.push(ImageSpec::new(&self.repository(family), tag, world.now));
        let definition = self.definition_of(world, family, tag);
        world.add_task_definition(&definition)
    }

    /// When the repository of that number, or of the family of that number, was so many releases ago.
    fn released_at(&self, now: SystemTime, number: usize, releases_ago: usize) -> SystemTime {
        let turn = (number % self.repositories) as f64 / self.repositories as f64;
        now - self.between_releases.mul_f64(releases_ago as f64 + turn)
    }

    fn definition(&self, world: &World, family: usize, release: usize) -> Value {
        self.definition_of(world, family, &tag(release))
    }

    fn definition_of(&self, world: &World, family: usize, tag: &str) -> Value {
        let image = format!("{}:{tag}", world.ecr.uri(&self.repository(family)));
        json!({
            "family": self.family(family), "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
            "cpu": "256", "memory": "512",
            "containerDefinitions": [{ "name": "app", "image": image, "essential": true }],
        })
    }
}

fn tag(release: usize) -> String {
    format!("r{release:04}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Settings, Simulator};

    #[tokio::test(start_paused = true)]
    async fn a_large_estate_has_what_it_says() {
        let simulator = Simulator::new(Settings::seeded(70));
        let estate = Estate::large();
        simulator.with_world(|world| estate.build(world)).unwrap();
        let config = simulator.sdk_config("AKIATEST");
        let (ecr, ecs) = (aws_sdk_ecr::Client::new(&config), aws_sdk_ecs::Client::new(&config));
        let images =
            ecr.describe_images().repository_name(estate.repository(7)).max_results(1000).send().await.unwrap();
        assert_eq!(images.image_details().len(), 400);
        assert_eq!(simulator.with_world(|world| world.ecr.repository_names().len()), 50);
        let mut definitions = 0;
        let mut pages = ecs.list_task_definitions().into_paginator().send();
        while let Some(page) = pages.next().await {
            definitions += page.unwrap().task_definition_arns().len();
        }
        let (mut services, mut tasks) = (0, 0);
        for cluster in ecs.list_clusters().send().await.unwrap().cluster_arns() {
            let found = ecs.describe_clusters().clusters(cluster).send().await.unwrap();
            services += found.clusters()[0].active_services_count;
            tasks += found.clusters()[0].running_tasks_count;
        }
        assert_eq!((definitions, services, tasks), (3_000, 300, 2_000));
        let service = ecs.describe_services().cluster("cluster-2").services("family-0007").send().await.unwrap();
        assert_eq!(service.services()[0].deployments().len(), 1);
        let old = ecs.describe_task_definition().task_definition("family-0007:1").send().await.unwrap();
        let old = old.task_definition.unwrap();
        let age = simulator
            .with_world(|world| world.now)
            .duration_since(SystemTime::try_from(*old.registered_at().unwrap()).unwrap());
        // Ten releases ago, and the repository's turn: a seventh of fifty.
        assert_eq!(age.unwrap().as_secs() / (60 * 60), 90 * 24 + 30);
        let arn = simulator.with_world(|world| estate.release(world, 7, "next")).unwrap();
        assert!(arn.ends_with("family-0007:11"));
    }
}
