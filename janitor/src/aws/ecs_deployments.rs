//! Amazon ECS: service deployments, service revisions, daemons.

use aws_sdk_ecs::types::{DaemonTaskDefinitionStatusFilter, ServiceDeploymentStatus};
use coalmine_door::AwsError;
use coalmine_door::clock::Time;

use super::buckets::Bucket;
use super::ecs::{ContainerImage, no_failures, still_listed};
use super::{Place, time};
use crate::in_use::{Arn, Content};

/// Service deployments, service revisions and daemon revisions that are described in one call.
const PER_CALL: usize = 20;
/// Items of a page.
const PAGE: i32 = 100;
/// What a daemon is.
const DESCRIBE_DAEMON: &str = "ecs DescribeDaemon";

/// A service revision, or a daemon's: what a deployment brings. It never changes once its digests are known.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Revision {
    /// Its ARN.
    pub arn: String,
    /// Its task definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Arn>,
    /// Its images, with the digests that ECS resolved.
    pub images: Vec<ContainerImage>,
}

/// A service deployment that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Successful {
    /// Its ARN.
    pub arn: String,
    /// When it ended.
    pub finished: Option<Time>,
    /// ARN of the service revision that it brought.
    pub revision: String,
}

/// A daemon as it is now.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// Its ARN.
    pub arn: String,
    /// The revisions that it runs.
    pub current: Vec<String>,
    /// These, and those that a deployment under way comes from or goes to.
    pub revisions: Vec<String>,
}

impl Place {
    /// Service revisions. One that is gone is left out.
    ///
    /// # Errors
    /// When ECS cannot be asked, or says nothing of one.
    pub async fn service_revisions(&self, arns: &[String]) -> Result<Vec<Revision>, AwsError> {
        const OPERATION: &str = "ecs DescribeServiceRevisions";
        let mut found = Vec::new();
        for chunk in arns.chunks(PER_CALL) {
            let output = self.calls.one(Bucket::ServiceRevision, OPERATION, || async {
                let request = self.ecs.describe_service_revisions().set_service_revision_arns(Some(chunk.to_vec()));
                request.send().await.map_err(|error| AwsError::of(OPERATION, &error))
            });
            let output = output.await?;
            no_failures(OPERATION, output.failures())?;
            all_answered(OPERATION, chunk.len(), output.service_revisions().len() + output.failures().len())?;
            for revision in output.service_revisions() {
                let images = revision.container_images().iter().map(|image| ContainerImage {
                    container: image.container_name().unwrap_or_default().into(),
                    image: image.image().unwrap_or_default().into(),
                    digest: image.image_digest().map(Into::into),
                });
                found.push(Revision {
                    arn: revision.service_revision_arn().unwrap_or_default().to_owned(),
                    definition: revision.task_definition().map(Arn::from),
                    images: images.collect(),
                });
            }
        }
        Ok(found)
    }

    /// The service revisions that some service deployments come from and go to, and the deployments that are MISSING.
    ///
    /// # Errors
    /// When ECS cannot be asked, or says nothing of one.
    pub async fn deployed_revisions(&self, deployments: &[String]) -> Result<(Vec<String>, Vec<String>), AwsError> {
        const OPERATION: &str = "ecs DescribeServiceDeployments";
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for chunk in deployments.chunks(PER_CALL) {
            let output = self.calls.one(Bucket::ServiceDeployment, OPERATION, || async {
                let request = self.ecs.describe_service_deployments();
                let request = request.set_service_deployment_arns(Some(chunk.to_vec()));
                request.send().await.map_err(|error| AwsError::of(OPERATION, &error))
            });
            let output = output.await?;
            no_failures(OPERATION, output.failures())?;
            all_answered(OPERATION, chunk.len(), output.service_deployments().len() + output.failures().len())?;
            for deployment in output.service_deployments() {
                let ends = deployment.source_service_revisions().iter().chain(deployment.target_service_revision());
                found.extend(ends.filter_map(|revision| revision.arn.clone()));
            }
            missing.extend(output.failures().iter().filter_map(|failure| failure.arn.clone()));
        }
        Ok((found, missing))
    }

    /// The last successful deployments of a service, newest first, at most `most`.
    ///
    /// # Errors
    /// When not every page can be read.
    pub async fn successful_deployments(&self, service: &str, most: usize) -> Result<Vec<Successful>, AwsError> {
        const OPERATION: &str = "ecs ListServiceDeployments";
        let pages = self.calls.pages(Bucket::ServiceDeployment, OPERATION, |token| async {
            let request = self.ecs.list_service_deployments().service(service);
            let request = request.cluster(cluster_of(service)).status(ServiceDeploymentStatus::Successful);
            let output = request.max_results(PAGE).set_next_token(token).send().await;
            let output = output.map_err(|error| AwsError::of(OPERATION, &error))?;
            Ok((output.service_deployments.unwrap_or_default(), output.next_token))
        });
        let listed = match pages.await {
            Ok(listed) => listed,
            // Deleted since it was listed.
            Err(error) if error.is("ServiceNotFoundException") => {
                let again = self.service_arns(&cluster_of(service)).await?;
                return still_listed(OPERATION, [&service.to_owned()], &again).map(|()| Vec::new());
            }
            Err(error) => return Err(error),
        };
        // Whatever the filter let through: what is known to be something else does not count.
        let successful = listed.iter().filter(|deployment| !deployment.status().is_some_and(is_not_successful));
        let mut found: Vec<(Option<Time>, Successful)> = successful
            .filter_map(|deployment| {
                let finished = deployment.finished_at().and_then(time);
                let order = finished.or_else(|| deployment.created_at().and_then(time));
                let arn = deployment.service_deployment_arn()?.to_owned();
                let revision = deployment.target_service_revision_arn()?.to_owned();
                Some((order, Successful { arn, finished, revision }))
            })
            .collect();
        found.sort_by_key(|(order, _)| std::cmp::Reverse(*order));
        Ok(found.into_iter().map(|(_, deployment)| deployment).take(most).collect())
    }

    /// ARNs of all daemons of a cluster.
    async fn daemon_arns(&self, cluster: &str) -> Result<Vec<String>, AwsError> {
        const LIST: &str = "ecs ListDaemons";
        let pages = self.calls.pages(Bucket::Daemon, LIST, |token| async {
            let request = self.ecs.list_daemons().cluster_arn(cluster).max_results(PAGE).set_next_token(token);
            let output = request.send().await.map_err(|error| AwsError::of(LIST, &error))?;
            Ok((output.daemon_summaries_list.unwrap_or_default(), output.next_token))
        });
        Ok(pages.await?.into_iter().filter_map(|summary| summary.daemon_arn).collect())
    }

    /// All daemons of a cluster.
    ///
    /// # Errors
    /// When not every page can be read, or a daemon that is listed cannot be described.
    pub async fn daemons(&self, cluster: &str) -> Result<Vec<Daemon>, AwsError> {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        let arns = self.daemon_arns(cluster).await?;
        for arn in &arns {
            match self.daemon(arn).await? {
                Some(daemon) => found.push(daemon),
                None => missing.push(arn),
            }
        }
        if !missing.is_empty() {
            let again = self.daemon_arns(cluster).await?;
            still_listed(DESCRIBE_DAEMON, missing, &again)?;
        }
        Ok(found)
    }

    async fn daemon(&self, arn: &str) -> Result<Option<Daemon>, AwsError> {
        let asked = self.calls.one(Bucket::Daemon, DESCRIBE_DAEMON, || async {
            let request = self.ecs.describe_daemon().daemon_arn(arn);
            request.send().await.map_err(|error| AwsError::of(DESCRIBE_DAEMON, &error))
        });
        let output = match asked.await {
            Ok(output) => output,
            Err(error) if error.is("DaemonNotFoundException") => return Ok(None),
            Err(error) => return Err(error),
        };
        let daemon = output.daemon();
        let daemon = daemon.ok_or_else(|| AwsError::unusable(DESCRIBE_DAEMON, format!("nothing about {arn}")))?;
        let current: Vec<String> = daemon.current_revisions().iter().filter_map(|one| one.arn.clone()).collect();
        let mut revisions = current.clone();
        if let Some(deployment) = daemon.deployment_arn() {
            let ends = self.daemon_deployment(deployment).await?;
            // ECS may have forgotten the last one of a daemon that runs one revision, but none that is under way.
            if ends.is_none() && current.len() > 1 {
                let words = format!("{deployment} is under way, but cannot be described");
                return Err(AwsError::unusable("ecs DescribeDaemonDeployments", words));
            }
            revisions.extend(ends.unwrap_or_default());
        }
        revisions.sort();
        revisions.dedup();
        Ok(Some(Daemon { arn: arn.to_owned(), current, revisions }))
    }

    /// The revisions that a daemon's deployment comes from and goes to; `None` if it is MISSING.
    async fn daemon_deployment(&self, arn: &str) -> Result<Option<Vec<String>>, AwsError> {
        const OPERATION: &str = "ecs DescribeDaemonDeployments";
        let output = self.calls.one(Bucket::Daemon, OPERATION, || async {
            let request = self.ecs.describe_daemon_deployments().daemon_deployment_arns(arn);
            request.send().await.map_err(|error| AwsError::of(OPERATION, &error))
        });
        let output = output.await?;
        no_failures(OPERATION, output.failures())?;
        all_answered(OPERATION, 1, output.daemon_deployments().len() + output.failures().len())?;
        let ends = output.daemon_deployments().iter().flat_map(|deployment| {
            deployment.source_daemon_revisions().iter().chain(deployment.target_daemon_revision())
        });
        let ends = ends.filter_map(|revision| revision.arn.clone()).collect();
        Ok((!output.daemon_deployments().is_empty()).then_some(ends))
    }

    /// Revisions of daemons. One that is gone is left out.
    ///
    /// # Errors
    /// When ECS cannot be asked, or says nothing of one.
    pub async fn daemon_revisions(&self, arns: &[String]) -> Result<Vec<Revision>, AwsError> {
        const OPERATION: &str = "ecs DescribeDaemonRevisions";
        let mut found = Vec::new();
        for chunk in arns.chunks(PER_CALL) {
            let output = self.calls.one(Bucket::Daemon, OPERATION, || async {
                let request = self.ecs.describe_daemon_revisions().set_daemon_revision_arns(Some(chunk.to_vec()));
                request.send().await.map_err(|error| AwsError::of(OPERATION, &error))
            });
            let output = output.await?;
            no_failures(OPERATION, output.failures())?;
            all_answered(OPERATION, chunk.len(), output.daemon_revisions().len() + output.failures().len())?;
            for revision in output.daemon_revisions() {
                let images = revision.container_images().iter().map(|image| ContainerImage {
                    container: image.container_name().unwrap_or_default().into(),
                    image: image.image().unwrap_or_default().into(),
                    digest: image.image_digest().map(Into::into),
                });
                found.push(Revision {
                    arn: revision.daemon_revision_arn().unwrap_or_default().to_owned(),
                    definition: revision.daemon_task_definition_arn().map(Arn::from),
                    images: images.collect(),
                });
            }
        }
        Ok(found)
    }

    /// ARNs of all ACTIVE daemon task definitions: a namespace of its own, which `ListTaskDefinitions` does not show.
    ///
    /// # Errors
    /// When not every page can be read.
    pub async fn active_daemon_definitions(&self) -> Result<Vec<Arn>, AwsError> {
        const OPERATION: &str = "ecs ListDaemonTaskDefinitions";
        let pages = self.calls.pages(Bucket::Daemon, OPERATION, |token| async {
            let request = self.ecs.list_daemon_task_definitions().status(DaemonTaskDefinitionStatusFilter::Active);
            let output = request.max_results(PAGE).set_next_token(token).send().await;
            let output = output.map_err(|error| AwsError::of(OPERATION, &error))?;
            Ok((output.daemon_task_definitions.unwrap_or_default(), output.next_token))
        });
        Ok(pages.await?.into_iter().filter_map(|summary| summary.arn).map(Arn::from).collect())
    }

    /// What a daemon task definition says.
    ///
    /// # Errors
    /// When ECS cannot be asked.
    pub async fn daemon_definition(&self, arn: &str) -> Result<Content, AwsError> {
        const OPERATION: &str = "ecs DescribeDaemonTaskDefinition";
        let asked = self.calls.one(Bucket::Daemon, OPERATION, || async {
            let request = self.ecs.describe_daemon_task_definition().daemon_task_definition(arn);
            request.send().await.map_err(|error| AwsError::of(OPERATION, &error))
        });
        let output = match asked.await {
            Ok(output) => output,
            Err(error) if error.message.contains("Unable to describe") => return Ok(Content::Gone),
            Err(error) => return Err(error),
        };
        let described = output.daemon_task_definition();
        let described = described.ok_or_else(|| AwsError::unusable(OPERATION, format!("nothing about {arn}")))?;
        let containers = described.container_definitions().iter();
        let containers =
            containers.map(|container| (container.name().unwrap_or_default().into(), container.image().into()));
        Ok(Content::Read { registered: described.registered_at().and_then(time), containers: containers.collect() })
    }
}

/// A service's ARN names its cluster; one of the old form does not, and belongs to the default cluster.
fn cluster_of(service: &str) -> String {
    let mut parts = service.rsplit('/');
    let (_, cluster) = (parts.next(), parts.next());
    cluster.filter(|cluster| !cluster.contains(':')).unwrap_or("default").to_owned()
}

fn all_answered(operation: &'static str, asked: usize, answered: usize) -> Result<(), AwsError> {
    if answered < asked {
        return Err(AwsError::unusable(operation, format!("{answered} answers to {asked} questions")));
    }
    Ok(())
}

fn is_not_successful(status: &ServiceDeploymentStatus) -> bool {
    use ServiceDeploymentStatus::{
        InProgress, Pending, RollbackFailed, RollbackInProgress, RollbackRequested, RollbackSuccessful, StopRequested,
        Stopped,
    };
    matches!(
        status,
        Pending
            | InProgress
            | Stopped
            | StopRequested
            | RollbackRequested
            | RollbackInProgress
            | RollbackSuccessful
            | RollbackFailed
    )
}
