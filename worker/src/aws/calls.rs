//! The calls that operators alone make, with their own credentials; the worker's role needs none of them.

use aws_sdk_codepipeline::types::{ActionExecutionDetail, ActionExecutionFilter, ActionExecutionStatus};
use aws_types::SdkConfig;
use coalmine_door::AwsError;

use crate::aws::pipelines::{self, Definition};

/// Pages read of one list before it is called endless.
const PAGES_MAX: usize = 100;

/// The clients of those calls.
#[derive(Clone, Debug)]
pub struct Calls {
    ecs: aws_sdk_ecs::Client,
    codepipeline: aws_sdk_codepipeline::Client,
    /// CloudWatch's alarms.
    pub alarms: crate::aws::cloudwatch::Alarms,
}

/// A manual approval that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenApproval {
    /// The pipeline.
    pub pipeline: String,
    /// The stage.
    pub stage: String,
    /// The action.
    pub action: String,
    /// The execution that waits in the stage.
    pub execution: String,
}

/// An action execution: one run of an action in one pipeline execution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionRun {
    /// The pipeline execution.
    pub execution: String,
    /// The stage.
    pub stage: String,
    /// The action's name.
    pub action: String,
    /// The provider of its action type.
    pub provider: String,
    /// `InProgress`, `Succeeded`, `Failed`, `Abandoned`.
    pub status: String,
    /// When it began, in epoch seconds.
    pub began: i64,
    /// When it was last updated, in epoch seconds.
    pub updated: i64,
    /// Who updated it last, where that was a person.
    pub by: Option<String>,
    /// What it or AWS says of its result.
    pub summary: String,
    /// Its artifacts, in and out: name, bucket, key.
    pub artifacts: Vec<(String, String, String)>,
}

/// A job, as `GetJobDetails` knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPlace {
    /// The pipeline.
    pub pipeline: String,
    /// The pipeline execution.
    pub execution: String,
    /// The stage.
    pub stage: String,
    /// The action.
    pub action: String,
    /// The token with which it continues an earlier one.
    pub token: Option<String>,
}

impl Calls {
    /// The clients behind a door.
    #[must_use]
    pub fn new(door: &SdkConfig) -> Self {
        Self {
            ecs: aws_sdk_ecs::Client::new(door),
            codepipeline: aws_sdk_codepipeline::Client::new(door),
            alarms: crate::aws::cloudwatch::Alarms::new(aws_sdk_cloudwatch::Client::new(door)),
        }
    }

    /// The names of all clusters.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn clusters(&self) -> Result<Vec<String>, AwsError> {
        const OPERATION: &str = "ecs ListClusters";
        let mut names = Vec::new();
        let mut token = None;
        for _ in 0..PAGES_MAX {
            let sent = self.ecs.list_clusters().max_results(100).set_next_token(token).send().await;
            let page = sent.map_err(|error| AwsError::of(OPERATION, &error))?;
            names.extend(page.cluster_arns().iter().map(|arn| last(arn)));
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(names);
            }
        }
        Err(endless(OPERATION))
    }

    /// The names of all services of a cluster.
    ///
    /// # Errors
    /// When a call fails; `ClusterNotFoundException` where there is no such cluster.
    pub async fn services(&self, cluster: &str) -> Result<Vec<String>, AwsError> {
        const OPERATION: &str = "ecs ListServices";
        let mut names = Vec::new();
        let mut token = None;
        for _ in 0..PAGES_MAX {
            let sent = self.ecs.list_services().cluster(cluster).max_results(100).set_next_token(token).send().await;
            let page = sent.map_err(|error| AwsError::of(OPERATION, &error))?;
            names.extend(page.service_arns().iter().map(|arn| last(arn)));
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                names.sort();
                return Ok(names);
            }
        }
        Err(endless(OPERATION))
    }

    /// The names of all pipelines.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn pipelines(&self) -> Result<Vec<String>, AwsError> {
        const OPERATION: &str = "codepipeline ListPipelines";
        let mut names = Vec::new();
        let mut token = None;
        for _ in 0..PAGES_MAX {
            let sent = self.codepipeline.list_pipelines().set_next_token(token).send().await;
            let page = sent.map_err(|error| AwsError::of(OPERATION, &error))?;
            names.extend(page.pipelines().iter().filter_map(|summary| summary.name().map(str::to_owned)));
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(names);
            }
        }
        Err(endless(OPERATION))
    }

    /// A pipeline's definition; `None` where there is no such pipeline.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn pipeline(&self, name: &str) -> Result<Option<Definition>, AwsError> {
        pipelines::read(&self.codepipeline, name).await
    }

    /// The manual approvals of a pipeline that wait for an answer; none where the pipeline is gone.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn open_approvals(&self, pipeline: &str) -> Result<Vec<OpenApproval>, AwsError> {
        let sent = self.codepipeline.get_pipeline_state().name(pipeline).send().await;
        let state = match sent.map_err(|error| AwsError::of("codepipeline GetPipelineState", &error)) {
            Ok(state) => state,
            Err(error) if error.is("PipelineNotFoundException") => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut open = Vec::new();
        for stage in state.stage_states() {
            let execution = stage.latest_execution().map(|latest| latest.pipeline_execution_id().to_owned());
            for action in stage.action_states() {
                // Only a manual approval has a token while it is in progress.
                let waits = action.latest_execution().is_some_and(|latest| {
                    latest.token().is_some() && latest.status() == Some(&ActionExecutionStatus::InProgress)
                });
                if waits {
                    open.push(OpenApproval {
                        pipeline: pipeline.to_owned(),
                        stage: stage.stage_name().unwrap_or_default().to_owned(),
                        action: action.action_name().unwrap_or_default().to_owned(),
                        execution: execution.clone().unwrap_or_default(),
                    });
                }
            }
        }
        Ok(open)
    }

    /// The action executions of a pipeline, newest first: of one execution, or the newest of all.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn actions(&self, pipeline: &str, execution: Option<&str>) -> Result<Vec<ActionRun>, AwsError> {
        const OPERATION: &str = "codepipeline ListActionExecutions";
        let filter = execution.map(|id| ActionExecutionFilter::builder().pipeline_execution_id(id).build());
        let mut found = Vec::new();
        let mut token = None;
        // The newest of all are on the first page; one execution is read to its end.
        let most = if execution.is_some() { PAGES_MAX } else { 1 };
        for _ in 0..most {
            let page = self
                .codepipeline
                .list_action_executions()
                .pipeline_name(pipeline)
                .set_filter(filter.clone())
                .max_results(100)
                .set_next_token(token)
                .send()
                .await
                .map_err(|error| AwsError::of(OPERATION, &error))?;
            token = page.next_token().map(str::to_owned);
            found.extend(page.action_execution_details().iter().map(run));
            if token.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// Where a job runs; `None` where CodePipeline does not know it.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn job(&self, id: &str) -> Result<Option<JobPlace>, AwsError> {
        let sent = self.codepipeline.get_job_details().job_id(id).send().await;
        let details = match sent.map_err(|error| AwsError::of("codepipeline GetJobDetails", &error)) {
            Ok(output) => output.job_details,
            Err(error) if error.is("JobNotFoundException") || error.is("ValidationException") => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(data) = details.and_then(|details| details.data) else { return Ok(None) };
        let token = data.continuation_token;
        Ok(data.pipeline_context.map(|context| JobPlace {
            pipeline: context.pipeline_name.unwrap_or_default(),
            execution: context.pipeline_execution_id.unwrap_or_default(),
            stage: context.stage.and_then(|stage| stage.name).unwrap_or_default(),
            action: context.action.and_then(|action| action.name).unwrap_or_default(),
            token,
        }))
    }
}

fn last(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or(arn).to_owned()
}

fn endless(operation: &'static str) -> AwsError {
    AwsError::unusable(operation, format!("the list did not end after {PAGES_MAX} pages"))
}

fn run(detail: &ActionExecutionDetail) -> ActionRun {
    let seconds =
        |date: Option<&aws_smithy_types::DateTime>| date.map(aws_smithy_types::DateTime::secs).unwrap_or_default();
    let (input, output) = (detail.input(), detail.output());
    let inputs = input.map(|input| input.input_artifacts()).unwrap_or_default();
    let outputs = output.map(|output| output.output_artifacts()).unwrap_or_default();
    let artifacts = inputs.iter().chain(outputs).filter_map(|artifact| {
        let place = artifact.s3_location()?;
        Some((artifact.name()?.to_owned(), place.bucket()?.to_owned(), place.key()?.to_owned()))
    });
    let result = output.and_then(|output| output.execution_result());
    let error = result.and_then(|result| result.error_details()).and_then(|error| error.message());
    let summary = result.and_then(|result| result.external_execution_summary());
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    ActionRun {
        execution: text(detail.pipeline_execution_id()),
        stage: text(detail.stage_name()),
        action: text(detail.action_name()),
        provider: text(input.and_then(|input| input.action_type_id()).map(|id| id.provider())),
        status: text(detail.status().map(ActionExecutionStatus::as_str)),
        began: seconds(detail.start_time()),
        updated: seconds(detail.last_update_time()),
        by: detail.updated_by().map(str::to_owned),
        summary: text(error.or(summary)),
        artifacts: artifacts.collect(),
    }
}
