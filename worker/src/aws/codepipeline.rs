//! CodePipeline: jobs and their results.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_codepipeline::Client;
use aws_sdk_codepipeline::types::{
    ActionCategory, ActionExecutionDetail, ActionExecutionFilter, ActionOwner, ActionTypeId, ExecutionDetails,
    ExecutionType, FailureDetails, FailureType, JobData, JobStatus,
};
use coalmine_pipeline::ActionType;
use coalmine_pipeline::limits::{EXTERNAL_EXECUTION_ID_CHARS, FAILURE_MESSAGE_CHARS, cut};

use crate::aws::pipelines::{self, Definition};
use crate::deploy::message;
use coalmine_door::AwsError;

/// How many action executions are looked through for a job's own, newest first: more than a stage can have
/// (`ListActionExecutions` gives 100 a page), since those of later stages begin when it is over.
const ACTIONS_MAX: usize = 100;

/// One account's CodePipeline in one region.
#[derive(Clone, Debug)]
pub struct CodePipeline {
    client: Client,
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

/// A pipeline execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The pipeline's mode: `SUPERSEDED`, `QUEUED`, `PARALLEL`; empty where AWS does not say.
    pub mode: String,
    /// Whether it rolls a stage back to what an earlier execution did there.
    pub rolls_back: bool,
}

/// How an action execution stands, as far as its job cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionState {
    /// It goes on: in progress, not listed yet, or in a status of a newer AWS.
    Wanted,
    /// It ended well.
    Succeeded,
    /// It ended otherwise: abandoned, failed, timed out. What its job would still do, nobody wants.
    Ended,
}

impl CodePipeline {
    /// An adapter on a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Takes at most `most` jobs of one action type and pool.
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
        let output = self
            .client
            .poll_for_jobs()
            .action_type_id(id)
            .query_param("Pool", pool)
            .max_batch_size(most)
            .send()
            .await
            .map_err(|error| AwsError::of(OPERATION, &error))?;
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

    /// How the job's action execution stands. Abandoned and stopped ones never tell the worker; and after a stage was
    /// retried its pipeline execution is in progress again, under the same id, with another action execution.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn action(&self, context: &Context) -> Result<ActionState, AwsError> {
        let actions = self.actions(context).await?;
        let own = actions.iter().find(|action| action.action_execution_id() == Some(&context.action_execution));
        Ok(state(own))
    }

    /// How the newest execution of the job's action in this pipeline execution stands: the job's own, or that of a
    /// retry.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn newest(&self, context: &Context) -> Result<ActionState, AwsError> {
        let actions = self.actions(context).await?;
        let of_action = actions.iter().filter(|action| {
            action.stage_name() == Some(&context.stage) && action.action_name() == Some(&context.action)
        });
        Ok(state(of_action.max_by_key(|action| action.start_time().map(|start| start.as_nanos()))))
    }

    async fn actions(&self, context: &Context) -> Result<Vec<ActionExecutionDetail>, AwsError> {
        let filter = ActionExecutionFilter::builder().pipeline_execution_id(&context.execution).build();
        let mut found = Vec::new();
        let mut token = None;
        // A page may hold fewer actions than were asked for.
        for _ in 0..ACTIONS_MAX {
            let page = self
                .client
                .list_action_executions()
                .pipeline_name(&context.pipeline)
                .filter(filter.clone())
                .max_results(i32::try_from(ACTIONS_MAX).unwrap_or(100))
                .set_next_token(token)
                .send()
                .await
                .map_err(|error| AwsError::of("codepipeline ListActionExecutions", &error))?;
            token = page.next_token().map(str::to_owned);
            found.extend(page.action_execution_details.unwrap_or_default());
            if token.is_none() || found.len() >= ACTIONS_MAX {
                break;
            }
        }
        Ok(found)
    }

    /// A pipeline's definition; `None` where there is no such pipeline.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn definition(&self, pipeline: &str) -> Result<Option<Definition>, AwsError> {
        pipelines::read(&self.client, pipeline).await
    }

    /// The pipeline execution that a job belongs to.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn execution(&self, context: &Context) -> Result<Execution, AwsError> {
        let output = self
            .client
            .get_pipeline_execution()
            .pipeline_name(&context.pipeline)
            .pipeline_execution_id(&context.execution)
            .send()
            .await
            .map_err(|error| AwsError::of("codepipeline GetPipelineExecution", &error))?;
        let found = output.pipeline_execution.as_ref();
        let mode = found.and_then(|execution| execution.execution_mode()).map(|mode| mode.as_str().to_owned());
        let rolls_back = found.and_then(|execution| execution.execution_type()) == Some(&ExecutionType::Rollback);
        Ok(Execution { mode: mode.unwrap_or_default(), rolls_back })
    }
}

fn state(action: Option<&ActionExecutionDetail>) -> ActionState {
    match action.and_then(|action| action.status()).map(|status| status.as_str()) {
        Some("Abandoned" | "Failed") => ActionState::Ended,
        Some("Succeeded") => ActionState::Succeeded,
        _ => ActionState::Wanted,
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
