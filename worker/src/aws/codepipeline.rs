//! CodePipeline: jobs and their results.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_codepipeline::Client;
use aws_sdk_codepipeline::types::{
    ActionCategory, ActionOwner, ActionTypeId, ExecutionDetails, FailureDetails, FailureType, JobData, JobStatus,
};
use aws_smithy_types::retry::RetryConfig;
use coalmine_pipeline::ActionType;
use coalmine_pipeline::limits::{EXTERNAL_EXECUTION_ID_CHARS, FAILURE_MESSAGE_CHARS, cut};
use serde::{Deserialize, Serialize};

use crate::aws::pipelines::{self, Definition};
use crate::deploy::message;
use coalmine_door::AwsError;
use coalmine_door::clock::Clock;
use coalmine_door::dated::Dated;

/// One account's CodePipeline in one region.
#[derive(Clone, Debug)]
pub struct CodePipeline {
    pub(super) client: Client,
    clock: Clock,
}

/// A job that was polled. Its `Debug` names it and shows nothing of its configuration or credentials.
#[derive(Clone)]
pub struct Job {
    /// The job's id. A hand-back ends it; the continuation has another one.
    pub id: String,
    /// Proves, once, that this worker was given the job.
    pub nonce: String,
    /// The action type, one of ours.
    pub action_type: &'static ActionType,
    /// Where in which pipeline it runs.
    pub context: Context,
    /// The resolved configuration. It may hold secrets: never logged.
    pub configuration: BTreeMap<String, String>,
    /// The input artifacts.
    pub artifacts: Vec<Artifact>,
    /// Credentials for the artifacts, for 15 minutes.
    pub credentials: Option<JobCredentials>,
    /// The progress of the turn before.
    pub token: Option<String>,
}

/// Where a job runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The pipeline's name.
    pub pipeline: String,
    /// The pipeline's ARN.
    pub pipeline_arn: String,
    /// The pipeline execution's id.
    pub execution: String,
    /// The stage's name.
    pub stage: String,
    /// The action's name.
    pub action: String,
    /// The action execution's id; the same for all continuations of a job.
    pub action_execution: String,
}

/// An action execution and where it stands: who gives a service other percents can be asked for with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionExecution {
    /// The pipeline's name.
    pub pipeline: String,
    /// The pipeline execution's id.
    pub execution: String,
    /// The stage's name.
    pub stage: String,
    /// The action's name.
    pub action: String,
    /// The action execution's id.
    pub action_execution: String,
}

impl ActionExecution {
    /// The action execution of a job.
    pub(crate) fn of(context: &Context) -> Self {
        Self {
            pipeline: context.pipeline.clone(),
            execution: context.execution.clone(),
            stage: context.stage.clone(),
            action: context.action.clone(),
            action_execution: context.action_execution.clone(),
        }
    }
}

/// An input artifact's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its name in the pipeline.
    pub name: String,
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
}

/// Credentials for a job's artifacts. Not printable.
#[derive(Clone)]
pub struct JobCredentials {
    /// The access key id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
    /// The session token.
    pub session_token: String,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("id", &self.id).field("context", &self.context).finish_non_exhaustive()
    }
}

impl fmt::Debug for JobCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JobCredentials(…)")
    }
}

/// What CodePipeline made of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It took it.
    Taken,
    /// It does not want it any more: the job was abandoned, timed out, or somebody else has answered.
    NotWanted,
}

/// The kinds of failure that CodePipeline tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The work failed.
    Job,
    /// The action's configuration, artifact or surroundings are wrong.
    Configuration,
    /// The worker may not do what it has to.
    Permission,
    /// The worker itself failed.
    System,
}

impl CodePipeline {
    /// An adapter on a client; by the date of its replies the clock is set right.
    #[must_use]
    pub fn new(client: Client, clock: Clock) -> Self {
        Self { client, clock }
    }

    /// Takes at most `most` jobs of one action type and pool. What a worker does most often also tells it AWS's date: what one
    /// notes others read, and machines may be minutes apart.
    ///
    /// # Errors
    /// When the call fails; `ActionTypeNotFoundException` where the type was not provisioned.
    pub async fn poll(&self, action_type: &'static ActionType, pool: &str, most: i32) -> Result<Vec<Job>, AwsError> {
        const OPERATION: &str = "codepipeline PollForJobs";
        let id = ActionTypeId::builder()
            .category(ActionCategory::Deploy)
            .owner(ActionOwner::Custom)
            .provider(action_type.provider)
            .version(action_type.version)
            .build()
            .map_err(|problem| AwsError::unusable(OPERATION, problem.to_string()))?;
        let (dated, sent) = (Dated::default(), self.clock.of_machine());
        let polled = self
            .client
            .poll_for_jobs()
            .action_type_id(id)
            .query_param("Pool", pool)
            .max_batch_size(most)
            .customize()
            .interceptor(dated.clone())
            .send()
            .await;
        if let Some(aws) = dated.date() {
            self.clock.hear(aws, sent);
        }
        let output = polled.map_err(|error| AwsError::of(OPERATION, &error))?;
        Ok(output
            .jobs
            .unwrap_or_default()
            .into_iter()
            .filter_map(|job| Some(job_of(action_type, job.id?, job.nonce?, job.data?)))
            .collect())
    }

    /// Acknowledges a job; whether it is ours to do.
    ///
    /// # Errors
    /// When the call fails in another way than by a lost race.
    pub async fn acknowledge(&self, job: &Job) -> Result<bool, AwsError> {
        const OPERATION: &str = "codepipeline AcknowledgeJob";
        let sent = self.client.acknowledge_job().job_id(&job.id).nonce(&job.nonce).send().await;
        match sent.map_err(|error| AwsError::of(OPERATION, &error)) {
            Ok(output) => match output.status() {
                Some(JobStatus::InProgress) => Ok(true),
                Some(status) if JobStatus::values().contains(&status.as_str()) => Ok(false),
                // A status that is newer than this worker: the job may be ours.
                status => Err(AwsError::unusable(OPERATION, format!("the job's status is {status:?}"))),
            },
            Err(error) if error.is("InvalidNonceException") || error.is("JobNotFoundException") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Fresh credentials for a job's artifacts.
    ///
    /// # Errors
    /// When the call fails, or the job has no credentials.
    pub async fn credentials(&self, job: &str) -> Result<JobCredentials, AwsError> {
        const OPERATION: &str = "codepipeline GetJobDetails";
        let output =
            self.client.get_job_details().job_id(job).send().await.map_err(|error| AwsError::of(OPERATION, &error))?;
        output
            .job_details
            .and_then(|details| details.data)
            .and_then(|data| credentials_of(&data))
            .ok_or_else(|| AwsError::unusable(OPERATION, "the job has no artifact credentials"))
    }

    /// Ends a job with a token: a new job will carry it. The only way to show progress.
    ///
    /// # Errors
    /// When the call fails. It may have been carried out all the same.
    pub async fn hand_back(
        &self,
        job: &str,
        token: &str,
        summary: &str,
        percent: Option<u8>,
        external_id: Option<&str>,
    ) -> Result<Received, AwsError> {
        let details = details(summary, percent, external_id);
        let sent = self
            .client
            .put_job_success_result()
            .job_id(job)
            .continuation_token(token)
            .execution_details(details)
            .send()
            .await;
        received(sent.map_err(|error| AwsError::of("codepipeline PutJobSuccessResult", &error)))
    }

    /// The same for a job that this worker may never have had, in a single attempt: before another one whoever was given the job
    /// meanwhile may have it by right.
    ///
    /// # Errors
    /// When the call fails. It may have been carried out all the same.
    pub async fn give_back(&self, job: &str, token: &str, summary: &str) -> Result<Received, AwsError> {
        let sent = self
            .client
            .put_job_success_result()
            .job_id(job)
            .continuation_token(token)
            .execution_details(details(summary, None, None))
            .customize()
            .config_override(aws_sdk_codepipeline::config::Builder::new().retry_config(RetryConfig::disabled()))
            .send()
            .await;
        received(sent.map_err(|error| AwsError::of("codepipeline PutJobSuccessResult", &error)))
    }

    /// Ends an action well, with its output variables.
    ///
    /// # Errors
    /// When the call fails. It may have been carried out all the same.
    pub async fn succeed(
        &self,
        job: &str,
        summary: &str,
        external_id: Option<&str>,
        variables: BTreeMap<String, String>,
    ) -> Result<Received, AwsError> {
        let sent = self
            .client
            .put_job_success_result()
            .job_id(job)
            .execution_details(details(summary, Some(100), external_id))
            .set_output_variables(Some(variables.into_iter().collect()))
            .send()
            .await;
        received(sent.map_err(|error| AwsError::of("codepipeline PutJobSuccessResult", &error)))
    }

    /// Ends an action with a failure.
    ///
    /// # Errors
    /// When the call fails. It may have been carried out all the same.
    pub async fn fail(
        &self,
        job: &str,
        kind: FailureKind,
        text: &str,
        external_id: Option<&str>,
    ) -> Result<Received, AwsError> {
        let kind = match kind {
            FailureKind::Job => FailureType::JobFailed,
            FailureKind::Configuration => FailureType::ConfigurationError,
            FailureKind::Permission => FailureType::PermissionError,
            FailureKind::System => FailureType::SystemUnavailable,
        };
        let failure = FailureDetails::builder()
            .r#type(kind)
            .message(cut(&message::printable_lines(text), FAILURE_MESSAGE_CHARS))
            .set_external_execution_id(external_id.map(external))
            .build()
            .map_err(|problem| AwsError::unusable("codepipeline PutJobFailureResult", problem.to_string()))?;
        let sent = self.client.put_job_failure_result().job_id(job).failure_details(failure).send().await;
        received(sent.map_err(|error| AwsError::of("codepipeline PutJobFailureResult", &error)))
    }

    /// A pipeline's definition; `None` where there is no such pipeline.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn definition(&self, pipeline: &str) -> Result<Option<Definition>, AwsError> {
        pipelines::read(&self.client, pipeline).await
    }
}

fn details(summary: &str, percent: Option<u8>, external_id: Option<&str>) -> ExecutionDetails {
    ExecutionDetails::builder()
        .summary(message::summary(summary))
        .set_percent_complete(percent.map(|percent| i32::from(percent.min(100))))
        .set_external_execution_id(external_id.map(external))
        .build()
}

fn external(id: &str) -> String {
    cut(id, EXTERNAL_EXECUTION_ID_CHARS).into_owned()
}

fn received<T>(sent: Result<T, AwsError>) -> Result<Received, AwsError> {
    match sent {
        Ok(_) => Ok(Received::Taken),
        // Which of the two AWS answers when is not documented: both mean that nobody waits for the result.
        Err(error) if error.is("InvalidJobStateException") || error.is("JobNotFoundException") => {
            Ok(Received::NotWanted)
        }
        Err(error) => Err(error),
    }
}

fn job_of(action_type: &'static ActionType, id: String, nonce: String, data: JobData) -> Job {
    let credentials = credentials_of(&data);
    let artifacts = data
        .input_artifacts()
        .iter()
        .filter_map(|artifact| {
            let place = artifact.location()?.s3_location()?;
            Some(Artifact {
                name: artifact.name().unwrap_or_default().to_owned(),
                bucket: place.bucket_name().to_owned(),
                key: place.object_key().to_owned(),
            })
        })
        .collect();
    let context = data.pipeline_context.map(|context| Context {
        pipeline: context.pipeline_name.unwrap_or_default(),
        pipeline_arn: context.pipeline_arn.unwrap_or_default(),
        execution: context.pipeline_execution_id.unwrap_or_default(),
        stage: context.stage.and_then(|stage| stage.name).unwrap_or_default(),
        action_execution: context
            .action
            .as_ref()
            .and_then(|action| action.action_execution_id.clone())
            .unwrap_or_default(),
        action: context.action.and_then(|action| action.name).unwrap_or_default(),
    });
    Job {
        id,
        nonce,
        action_type,
        context: context.unwrap_or_default(),
        configuration: data
            .action_configuration
            .and_then(|configuration| configuration.configuration)
            .unwrap_or_default()
            .into_iter()
            .collect(),
        artifacts,
        credentials,
        token: data.continuation_token,
    }
}

fn credentials_of(data: &JobData) -> Option<JobCredentials> {
    let credentials = data.artifact_credentials()?;
    Some(JobCredentials {
        access_key: credentials.access_key_id().to_owned(),
        secret_key: credentials.secret_access_key().to_owned(),
        session_token: credentials.session_token().to_owned(),
    })
}
