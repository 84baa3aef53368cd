//! Amazon ECS: task definitions, services and tasks.

use std::sync::Arc;

use aws_sdk_ecs::types::{
    Failure, ResourceManagementType, Service as Described, Task as DescribedTask, TaskDefinitionStatus,
};
use coalmine_door::AwsError;

use super::buckets::Bucket;
use super::{Place, time};
use crate::in_use::{Arn, Content, family_and_revision};

/// What a task definition says.
const DESCRIBE: &str = "ecs DescribeTaskDefinition";
/// Services that `DescribeServices` takes in one call.
const SERVICES_PER_CALL: usize = 10;
/// Tasks that `DescribeTasks` takes in one call.
const TASKS_PER_CALL: usize = 100;
/// Items of a page of every list of ECS's.
const PAGE: i32 = 100;

/// A service as it is now.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: Arc<str>,
    /// The name of its cluster.
    pub cluster: Arc<str>,
    /// Whether ECS manages it for an Express service.
    pub is_express: bool,
    /// The task definition that it is told to run.
    pub definition: Option<Arn>,
    /// Its deployments: id and task definition.
    pub deployments: Vec<(Box<str>, Arn)>,
    /// Its task sets: id and task definition.
    pub task_sets: Vec<(Box<str>, Arn)>,
    /// ARNs of the service revisions that it runs now.
    pub revisions: Vec<String>,
    /// ARN of the service deployment that is under way, or was the last.
    pub service_deployment: Option<String>,
    /// Changes whenever a deployment begins or ends.
    pub generation: String,
}

/// A task as it is now.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its ARN.
    pub arn: Box<str>,
    /// Its task definition.
    pub definition: Option<Arn>,
    /// Name, image and digest of its containers.
    pub containers: Vec<ContainerImage>,
}

/// What a container runs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ContainerImage {
    /// The container's name.
    pub container: Arc<str>,
    /// The image, as it was written.
    pub image: Box<str>,
    /// The digest that really runs, once it is pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Box<str>>,
}

impl Place {
    /// ARNs of all ACTIVE task definitions.
    ///
    /// # Errors
    /// When not every page can be read.
    pub async fn active_definitions(&self) -> Result<Vec<Arn>, AwsError> {
        const OPERATION: &str = "ecs ListTaskDefinitions";
        let pages = self.calls.pages(Bucket::TaskDefinitionRead, OPERATION, |token| async {
            let request = self.ecs.list_task_definitions().status(TaskDefinitionStatus::Active);
            let output = request.max_results(PAGE).set_next_token(token).send().await;
            let output = output.map_err(|error| AwsError::of(OPERATION, &error))?;
            Ok((output.task_definition_arns.unwrap_or_default(), output.next_token))
        });
        Ok(pages.await?.into_iter().map(Arn::from).collect())
    }

    /// What a task definition says, ACTIVE or not.
    ///
    /// # Errors
    /// When ECS cannot be asked.
    pub async fn definition(&self, arn: &str) -> Result<Content, AwsError> {
        Ok(self.described(arn).await?.map_or(Content::Gone, |(_, content)| content))
    }

    /// The revision that ECS would start now of a task definition that is named without one, the newest ACTIVE one; `None`
    /// if there is none.
    ///
    /// # Errors
    /// When ECS cannot be asked, or does not say which revision it is.
    pub async fn newest_definition(&self, family: &str) -> Result<Option<(Arn, Content)>, AwsError> {
        let Some((arn, content)) = self.described(family).await? else { return Ok(None) };
        let arn = arn.filter(|arn| family_and_revision(arn).is_some());
        let arn = arn.ok_or_else(|| AwsError::unusable(DESCRIBE, format!("no revision of {family}")))?;
        Ok(Some((arn, content)))
    }

    /// The ARN of a task definition and what it says; `None` if there is none.
    async fn described(&self, named: &str) -> Result<Option<(Option<Arn>, Content)>, AwsError> {
        let asked = self.calls.one(Bucket::TaskDefinitionRead, DESCRIBE, || async {
            let request = self.ecs.describe_task_definition().task_definition(named);
            request.send().await.map_err(|error| AwsError::of(DESCRIBE, &error))
        });
        let output = match asked.await {
            Ok(output) => output,
            // ECS's words for a revision that was deleted, and for a family without an ACTIVE one: there is no error code
            // for it.
            Err(error) if error.message.contains("Unable to describe task definition") => return Ok(None),
            Err(error) => return Err(error),
        };
        let described = output.task_definition();
        let described = described.ok_or_else(|| AwsError::unusable(DESCRIBE, format!("nothing about {named}")))?;
        let containers = described.container_definitions().iter();
        let containers = containers.map(|container| {
            (container.name().unwrap_or_default().into(), container.image().unwrap_or_default().into())
        });
        let registered = described.registered_at().and_then(time);
        let content = Content::Read { registered, containers: containers.collect() };
        Ok(Some((described.task_definition_arn().map(Arn::from), content)))
    }

    /// ARNs of all clusters.
    ///
    /// # Errors
    /// When not every page can be read.
    pub async fn clusters(&self) -> Result<Vec<String>, AwsError> {
        const OPERATION: &str = "ecs ListClusters";
        self.calls
            .pages(Bucket::ClusterRead, OPERATION, |token| async {
                let output = self.ecs.list_clusters().max_results(PAGE).set_next_token(token).send().await;
                let output = output.map_err(|error| AwsError::of(OPERATION, &error))?;
                Ok((output.cluster_arns.unwrap_or_default(), output.next_token))
            })
            .await
    }

    /// ARNs of all services of a cluster. Whether the list has Express services where nothing is said of who manages what is
    /// not documented: these are asked for once more.
    pub(super) async fn service_arns(&self, cluster: &str) -> Result<Vec<String>, AwsError> {
        const OPERATION: &str = "ecs ListServices";
        let mut arns = Vec::new();
        for managed_by in [None, Some(ResourceManagementType::Ecs)] {
            let pages = self.calls.pages(Bucket::ServiceRead, OPERATION, |token| {
                let request = self.ecs.list_services().cluster(cluster).max_results(PAGE).set_next_token(token);
                let request = request.set_resource_management_type(managed_by.clone());
                async {
                    let output = request.send().await.map_err(|error| AwsError::of(OPERATION, &error))?;
                    Ok((output.service_arns.unwrap_or_default(), output.next_token))
                }
            });
            arns.extend(pages.await?);
        }
        Ok(arns)
    }

    /// All services of a cluster, DRAINING ones too.
    ///
    /// # Errors
    /// When not every page can be read, or a service that is listed cannot be described.
    pub async fn services(&self, cluster: &str) -> Result<Vec<Service>, AwsError> {
        const OPERATION: &str = "ecs DescribeServices";
        let mut arns = self.service_arns(cluster).await?;
        arns.sort();
        arns.dedup();
        let mut found = Vec::new();
        let mut missing = Vec::new();
        for chunk in arns.chunks(SERVICES_PER_CALL) {
            let output = self.calls.one(Bucket::ServiceRead, OPERATION, || async {
                let request = self.ecs.describe_services().cluster(cluster).set_services(Some(chunk.to_vec()));
                request.send().await.map_err(|error| AwsError::of(OPERATION, &error))
            });
            let output = output.await?;
            no_failures(OPERATION, output.failures())?;
            found.extend(output.services().iter().filter_map(|described| service(cluster, described)));
            missing.extend(chunk.iter().filter(|arn| {
                !output.services().iter().any(|described| described.service_arn() == Some(arn.as_str()))
            }));
        }
        // A service that was deleted since it was listed is missing for good; one that is still listed is not.
        if !missing.is_empty() {
            let again = self.service_arns(cluster).await?;
            still_listed(OPERATION, missing, &again)?;
        }
        Ok(found)
    }

    /// ARNs of all tasks of a cluster that run, will run, or stopped a moment ago.
    ///
    /// # Errors
    /// When not every page can be read.
    pub async fn task_arns(&self, cluster: &str) -> Result<Vec<String>, AwsError> {
        const LIST: &str = "ecs ListTasks";
        use aws_sdk_ecs::types::DesiredStatus;
        let mut arns = Vec::new();
        // RUNNING includes what is pending; a task that is being stopped is told to be STOPPED, and still runs.
        for status in [DesiredStatus::Running, DesiredStatus::Stopped] {
            let pages = self.calls.pages(Bucket::ClusterResourceRead, LIST, |token| {
                let request = self.ecs.list_tasks().cluster(cluster).desired_status(status.clone());
                async {
                    let output = request.max_results(PAGE).set_next_token(token).send().await;
                    let output = output.map_err(|error| AwsError::of(LIST, &error))?;
                    Ok((output.task_arns.unwrap_or_default(), output.next_token))
                }
            });
            arns.extend(pages.await?);
        }
        arns.sort();
        arns.dedup();
        Ok(arns)
    }

    /// Tasks of a cluster. One that is gone is left out.
    ///
    /// # Errors
    /// When ECS cannot be asked, says nothing of one, or lists one that it does not describe.
    pub async fn tasks(&self, cluster: &str, arns: &[String]) -> Result<Vec<Task>, AwsError> {
        const DESCRIBE: &str = "ecs DescribeTasks";
        let mut found = Vec::new();
        let mut missing = Vec::new();
        for chunk in arns.chunks(TASKS_PER_CALL) {
            let output = self.calls.one(Bucket::ClusterResourceRead, DESCRIBE, || async {
                let request = self.ecs.describe_tasks().cluster(cluster).set_tasks(Some(chunk.to_vec()));
                request.send().await.map_err(|error| AwsError::of(DESCRIBE, &error))
            });
            let output = output.await?;
            no_failures(DESCRIBE, output.failures())?;
            let answered = output.tasks().len() + output.failures().len();
            if answered < chunk.len() {
                let words = format!("{answered} answers for {} tasks in {cluster}", chunk.len());
                return Err(AwsError::unusable(DESCRIBE, words));
            }
            missing.extend(
                chunk
                    .iter()
                    .filter(|arn| !output.tasks().iter().any(|described| described.task_arn() == Some(arn.as_str()))),
            );
            found.extend(output.tasks().iter().map(task));
        }
        // A task that stopped an hour ago is forgotten, and not listed any more; one that is still listed is not gone:
        // another replica of ECS's has answered, which does not know of it yet.
        if !missing.is_empty() {
            let again = self.task_arns(cluster).await?;
            still_listed(DESCRIBE, missing, &again)?;
        }
        Ok(found)
    }
}

/// The part of an ARN after its last slash.
pub(crate) fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// What cannot be described and is listed all the same makes the view incomplete.
pub(crate) fn still_listed<'m>(
    operation: &'static str,
    missing: impl IntoIterator<Item = &'m String>,
    again: &[String],
) -> Result<(), AwsError> {
    match missing.into_iter().find(|arn| again.contains(arn)) {
        None => Ok(()),
        Some(arn) => Err(AwsError::unusable(operation, format!("{arn} is listed, but cannot be described"))),
    }
}

/// What is MISSING may be gone: whoever asked looks again whether it is still named. Every other failure makes the view
/// incomplete.
pub(super) fn no_failures(operation: &'static str, failures: &[Failure]) -> Result<(), AwsError> {
    match failures.iter().find(|failure| failure.reason() != Some("MISSING")) {
        None => Ok(()),
        Some(failure) => {
            let (arn, reason) = (failure.arn().unwrap_or_default(), failure.reason().unwrap_or_default());
            Err(AwsError::unusable(operation, format!("{arn}: {reason}")))
        }
    }
}

fn service(cluster: &str, described: &Described) -> Option<Service> {
    // An INACTIVE service is deleted: it runs nothing, and nothing starts from it.
    if described.status() == Some("INACTIVE") {
        return None;
    }
    let id = |id: Option<&str>| id.unwrap_or_default().into();
    let deployments = described.deployments().iter();
    let task_sets = described.task_sets().iter();
    let generation = deployments.clone().map(|deployment| {
        let state = deployment.rollout_state().map_or("", |state| state.as_str());
        format!("{} {state}", deployment.id().unwrap_or_default())
    });
    Some(Service {
        arn: described.service_arn()?.to_owned(),
        name: described.service_name()?.into(),
        cluster: last_part(cluster).into(),
        is_express: described.resource_management_type().is_some_and(|kind| kind.as_str() == "ECS"),
        definition: described.task_definition().map(Arn::from),
        generation: generation.collect::<Vec<_>>().join(", "),
        deployments: deployments.filter_map(|one| Some((id(one.id()), one.task_definition()?.into()))).collect(),
        task_sets: task_sets.filter_map(|one| Some((id(one.id()), one.task_definition()?.into()))).collect(),
        revisions: described.current_service_revisions().iter().filter_map(|one| one.arn.clone()).collect(),
        service_deployment: described.current_service_deployment().map(str::to_owned),
    })
}

fn task(described: &DescribedTask) -> Task {
    let containers = described.containers().iter().map(|container| ContainerImage {
        container: container.name().unwrap_or_default().into(),
        image: container.image().unwrap_or_default().into(),
        digest: container.image_digest().map(Into::into),
    });
    Task {
        arn: described.task_arn().unwrap_or_default().into(),
        definition: described.task_definition_arn().map(Arn::from),
        containers: containers.collect(),
    }
}
