//! Amazon ECS, as far as a deployment needs it.

use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::{
    ServiceDeploymentRollbackMonitorsStatus, ServiceDeploymentStatus, ServiceField, StopServiceDeploymentStopType,
    TaskField,
};
use aws_smithy_types::retry::RetryConfig;
use aws_types::SdkConfig;
use serde_json::{Value, json};

use crate::aws::ecs_views;
use crate::aws::once::Once;
use crate::deploy::batch::Percents;
use crate::deploy::revision::Revision;
use crate::deploy::task_definition::{Copy, TaskDefinition};
use crate::deploy::view::{Deployment, DeploymentStatus, Service, ServiceRevision, Task};
use coalmine_door::AwsError;
use coalmine_door::clock::Time;
use coalmine_door::raw::{self, Reply};

/// The operation that tells a service what to run, as errors name it.
pub const UPDATE: &str = "ecs UpdateService";
/// `DescribeServices` takes at most ten names.
pub const SERVICES_PER_CALL: usize = 10;
/// `DescribeServiceDeployments` takes at most twenty ARNs.
pub const DEPLOYMENTS_PER_CALL: usize = 20;
/// `DescribeServiceRevisions` takes at most twenty ARNs.
pub const REVISIONS_PER_CALL: usize = 20;
/// `DescribeTasks` takes at most a hundred tasks.
const TASKS_PER_CALL: usize = 100;
/// How many of a family's revisions are searched for a copy that was registered before.
const REVISIONS_SEARCHED: usize = 5;
/// Pages read of one list before it is called endless: 100 × 100 tasks is twice ECS's limit for a service.
const PAGES_MAX: usize = 100;

/// One account's ECS in one region.
#[derive(Clone, Debug)]
pub struct Ecs {
    pub(super) client: Client,
}

/// A resource's tags.
pub type Tags = std::collections::BTreeMap<String, String>;

/// A service deployment in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its ARN.
    pub arn: String,
    /// The ARN of the service revision it brings.
    pub target: String,
    /// Where it stands.
    pub status: DeploymentStatus,
    /// When it was created.
    pub created: Option<Time>,
}

/// What `UpdateService` is to change; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The task definition to run, as a full ARN: a family alone would mean its newest revision.
    pub task_definition: Option<String>,
    /// The desired count.
    pub desired: Option<u32>,
    /// The percents, put into this deployment configuration as it was read.
    pub percents: Option<(Percents, Value)>,
}

impl Ecs {
    /// An adapter on a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The same behind a door of its own.
    #[must_use]
    pub fn behind(door: &SdkConfig) -> Self {
        Self::new(Client::new(door))
    }

    /// Describes at most ten services of a cluster. Those that ECS calls MISSING are not in the answer.
    ///
    /// # Errors
    /// When the call fails, or ECS fails a service for another reason than MISSING.
    pub async fn services(&self, cluster: &str, names: &[String]) -> Result<Vec<Service>, AwsError> {
        let described = self.described(cluster, names, None).await?;
        Ok(described.into_iter().map(|(service, _)| service).collect())
    }

    /// The same with the services' tags.
    ///
    /// # Errors
    /// When the call fails, or ECS fails a service for another reason than MISSING.
    pub async fn services_with_tags(&self, cluster: &str, names: &[String]) -> Result<Vec<(Service, Tags)>, AwsError> {
        self.described(cluster, names, Some(vec![ServiceField::Tags])).await
    }

    async fn described(
        &self,
        cluster: &str,
        names: &[String],
        include: Option<Vec<ServiceField>>,
    ) -> Result<Vec<(Service, Tags)>, AwsError> {
        const OPERATION: &str = "ecs DescribeServices";
        let reply = Reply::default();
        let output = self
            .client
            .describe_services()
            .cluster(cluster)
            .set_services(Some(names.to_vec()))
            .set_include(include)
            .customize()
            .interceptor(reply.clone())
            .send()
            .await
            .map_err(|error| AwsError::of(OPERATION, &error))?;
        if let Some(failure) = output.failures().iter().find(|failure| failure.reason() != Some("MISSING")) {
            let (arn, reason) = (failure.arn().unwrap_or_default(), failure.reason().unwrap_or_default());
            return Err(AwsError::unusable(OPERATION, format!("{arn}: {reason}")));
        }
        let raw = reply.take().unwrap_or(Value::Null);
        let raw = raw.get("services").and_then(Value::as_array).cloned().unwrap_or_default();
        output
            .services()
            .iter()
            .enumerate()
            .map(|(place, service)| {
                Ok((ecs_views::service(cluster, service, raw.get(place))?, ecs_views::tags(service)))
            })
            .collect::<Result<_, _>>()
            .map_err(|problem: String| AwsError::unusable(OPERATION, problem))
    }

    /// Describes at most twenty service deployments. Those that are gone are not in the answer.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn deployments(&self, arns: &[String]) -> Result<Vec<Deployment>, AwsError> {
        let output = self
            .client
            .describe_service_deployments()
            .set_service_deployment_arns(Some(arns.to_vec()))
            .send()
            .await
            .map_err(|error| AwsError::of("ecs DescribeServiceDeployments", &error))?;
        Ok(output
            .service_deployments()
            .iter()
            .map(|deployment| {
                let breaker = deployment.deployment_circuit_breaker().and_then(|breaker| breaker.status());
                ecs_views::deployment(deployment, breaker == Some(&ServiceDeploymentRollbackMonitorsStatus::Triggered))
            })
            .collect())
    }

    /// A service's deployments that were created since `since`, or its successful ones, newest first, every page.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn list_deployments(
        &self,
        cluster: &str,
        service: &str,
        since: Option<Time>,
        successful: bool,
    ) -> Result<Vec<Listed>, AwsError> {
        const OPERATION: &str = "ecs ListServiceDeployments";
        let created =
            since.map(|since| aws_sdk_ecs::types::CreatedAt::builder().after(ecs_views::sdk_date(since)).build());
        let mut listed = Vec::new();
        let mut token = None;
        for _ in 0..PAGES_MAX {
            let page = self
                .client
                .list_service_deployments()
                .cluster(cluster)
                .service(service)
                .set_created_at(created.clone())
                .set_status(successful.then(|| vec![ServiceDeploymentStatus::Successful]))
                .max_results(100)
                .set_next_token(token)
                .send()
                .await
                .map_err(|error| AwsError::of(OPERATION, &error))?;
            listed.extend(page.service_deployments().iter().filter_map(|brief| {
                Some(Listed {
                    arn: brief.service_deployment_arn()?.to_owned(),
                    target: brief.target_service_revision_arn()?.to_owned(),
                    status: brief.status().map(|status| status.as_str()).unwrap_or_default().into(),
                    created: brief.created_at().and_then(ecs_views::date),
                })
            }));
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        if token.is_some() {
            return Err(AwsError::unusable(OPERATION, format!("the list did not end after {PAGES_MAX} pages")));
        }
        // The order is not documented.
        listed.sort_by_key(|deployment| std::cmp::Reverse(deployment.created));
        Ok(listed)
    }

    /// Describes one service revision.
    ///
    /// # Errors
    /// When the call fails, or the revision is gone (they are kept for 90 days).
    pub async fn service_revision(&self, arn: &str) -> Result<ServiceRevision, AwsError> {
        let gone = || AwsError::unusable("ecs DescribeServiceRevisions", format!("{arn} is gone"));
        self.service_revisions(&[arn.to_owned()]).await?.pop().ok_or_else(gone)
    }

    /// Describes at most twenty service revisions. Those that are gone are not in the answer.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn service_revisions(&self, arns: &[String]) -> Result<Vec<ServiceRevision>, AwsError> {
        let output = self
            .client
            .describe_service_revisions()
            .set_service_revision_arns(Some(arns.to_vec()))
            .send()
            .await
            .map_err(|error| AwsError::of("ecs DescribeServiceRevisions", &error))?;
        Ok(output.service_revisions().iter().filter_map(ecs_views::service_revision).collect())
    }

    /// Describes a task definition with its tags: `family:revision`, an ARN, or a family for its newest ACTIVE one.
    /// `None` where there is none.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn task_definition(&self, name: &str) -> Result<Option<TaskDefinition>, AwsError> {
        const OPERATION: &str = "ecs DescribeTaskDefinition";
        let reply = Reply::default();
        let sent = self
            .client
            .describe_task_definition()
            .task_definition(name)
            .include(TaskField::Tags.as_str().into())
            .customize()
            .interceptor(reply.clone())
            .send()
            .await;
        match sent.map_err(|error| AwsError::of(OPERATION, &error)) {
            Ok(_) => {
                reply.take().and_then(ecs_views::task_definition).map(Some).ok_or_else(|| {
                    AwsError::unusable(OPERATION, format!("the reply for {name} names no task definition"))
                })
            }
            // ECS has no error of its own for "there is none".
            Err(error) if error.is("ClientException") && error.message.contains("Unable to describe") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The newest ACTIVE revisions of a family, newest first, at most five.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn newest_revisions(&self, family: &str) -> Result<Vec<Revision>, AwsError> {
        let mut found: Vec<Revision> = Vec::new();
        let mut token = None;
        // A page may hold fewer revisions than were asked for.
        for _ in 0..REVISIONS_SEARCHED {
            let page = self
                .client
                .list_task_definitions()
                .family_prefix(family)
                .sort(aws_sdk_ecs::types::SortOrder::Desc)
                .max_results(i32::try_from(REVISIONS_SEARCHED - found.len()).unwrap_or(1))
                .set_next_token(token)
                .send()
                .await
                .map_err(|error| AwsError::of("ecs ListTaskDefinitions", &error))?;
            found.extend(page.task_definition_arns().iter().filter_map(|arn| arn.parse::<Revision>().ok()));
            token = page.next_token().map(str::to_owned);
            if token.is_none() || found.len() >= REVISIONS_SEARCHED {
                break;
            }
        }
        Ok(found)
    }

    /// Registers a copy.
    ///
    /// # Errors
    /// When the call fails. It may have been carried out all the same: look before trying again.
    pub async fn register(&self, copy: &Copy) -> Result<Revision, AwsError> {
        const OPERATION: &str = "ecs RegisterTaskDefinition";
        let request = copy.request.clone();
        let output = self
            .client
            .register_task_definition()
            .family(&copy.family)
            // The SDK wants its required member; the body is replaced as a whole.
            .set_container_definitions(Some(Vec::new()))
            .customize()
            // A registration that is sent again is another one: after a lost reply it is searched for first.
            .config_override(aws_sdk_ecs::config::Builder::new().retry_config(RetryConfig::disabled()))
            .mutate_request(move |http| raw::send(http, &request))
            .send()
            .await
            .map_err(|error| AwsError::of(OPERATION, &error))?;
        output
            .task_definition()
            .and_then(|definition| definition.task_definition_arn())
            .and_then(|arn| arn.parse().ok())
            .ok_or_else(|| AwsError::unusable(OPERATION, "the reply names no task definition"))
    }

    /// Changes a service.
    ///
    /// # Errors
    /// When the call fails. It may have been carried out all the same.
    pub async fn update(&self, cluster: &str, service: &str, change: Change) -> Result<(), AwsError> {
        self.tell(cluster, service, change, None).await
    }

    /// The same, with a new deployment also where the service runs what it is told to run.
    ///
    /// # Errors
    /// When the call fails. It may have been carried out all the same.
    pub async fn update_anew(&self, cluster: &str, service: &str, change: Change) -> Result<(), AwsError> {
        self.tell(cluster, service, change, Some(true)).await
    }

    async fn tell(&self, cluster: &str, service: &str, change: Change, force: Option<bool>) -> Result<(), AwsError> {
        let desired = change.desired.map(|desired| i32::try_from(desired).unwrap_or(i32::MAX));
        let configuration = change.percents.map(|(percents, read)| with_percents(read, percents));
        self.client
            .update_service()
            .cluster(cluster)
            .service(service)
            .set_task_definition(change.task_definition)
            .set_desired_count(desired)
            .set_force_new_deployment(force)
            .customize()
            .mutate_request(move |http| {
                if let Some(configuration) = &configuration {
                    raw::edit(http, |body| body["deploymentConfiguration"] = configuration.clone());
                }
            })
            .config_override(aws_sdk_ecs::config::Builder::new().retry_classifier(Once))
            .send()
            .await
            .map_err(|error| AwsError::of(UPDATE, &error))?;
        Ok(())
    }

    /// Tells ECS to roll a running deployment back.
    ///
    /// # Errors
    /// When the call fails; `ConflictException` where the deployment is not running any more.
    pub async fn roll_back(&self, deployment: &str) -> Result<(), AwsError> {
        self.client
            .stop_service_deployment()
            .service_deployment_arn(deployment)
            .stop_type(StopServiceDeploymentStopType::Rollback)
            .send()
            .await
            .map_err(|error| AwsError::of("ecs StopServiceDeployment", &error))?;
        Ok(())
    }

    /// The ARNs of a service's running or stopped tasks, every page.
    ///
    /// # Errors
    /// When a call fails: a list without its last page is none.
    pub async fn task_arns(&self, cluster: &str, service: &str, stopped: bool) -> Result<Vec<String>, AwsError> {
        const OPERATION: &str = "ecs ListTasks";
        let status = if stopped {
            aws_sdk_ecs::types::DesiredStatus::Stopped
        } else {
            aws_sdk_ecs::types::DesiredStatus::Running
        };
        let mut arns = Vec::new();
        let mut token = None;
        for _ in 0..PAGES_MAX {
            let page = self
                .client
                .list_tasks()
                .cluster(cluster)
                .service_name(service)
                .desired_status(status.clone())
                .set_next_token(token)
                .send()
                .await
                .map_err(|error| AwsError::of(OPERATION, &error))?;
            arns.extend(page.task_arns().iter().cloned());
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(arns);
            }
        }
        Err(AwsError::unusable(OPERATION, format!("the list did not end after {PAGES_MAX} pages")))
    }

    /// Describes tasks, a hundred a call. Those that are gone meanwhile are not in the answer.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn tasks(&self, cluster: &str, arns: &[String]) -> Result<Vec<Task>, AwsError> {
        let mut tasks = Vec::with_capacity(arns.len());
        for chunk in arns.chunks(TASKS_PER_CALL) {
            let output = self
                .client
                .describe_tasks()
                .cluster(cluster)
                .set_tasks(Some(chunk.to_vec()))
                .send()
                .await
                .map_err(|error| AwsError::of("ecs DescribeTasks", &error))?;
            tasks.extend(output.tasks().iter().filter_map(ecs_views::task));
        }
        Ok(tasks)
    }
}

/// The whole configuration that was read, with other percents: what is left out of it would fall back to defaults.
fn with_percents(mut configuration: Value, percents: Percents) -> Value {
    if !configuration.is_object() {
        configuration = json!({});
    }
    configuration["minimumHealthyPercent"] = json!(percents.minimum);
    configuration["maximumPercent"] = json!(percents.maximum);
    configuration
}
