//! The calls that operators alone make, with their own credentials; the worker's role needs none of them.

use aws_sdk_codepipeline::types::{
    ActionExecutionDetail, ActionExecutionFilter, ActionExecutionStatus, PipelineExecutionStatus,
};
use aws_types::SdkConfig;
use coalmine_door::AwsError;
use coalmine_pipeline::limits::cut;

use crate::aws::approvals::Approvals;
use crate::aws::cloudwatch::Alarms;
use crate::aws::pipelines::{self, Definition};
use crate::deploy::message;

/// Pages read of one list before it is called endless: a cluster has at most 5,000 services.
const PAGES_MAX: usize = 100;
/// Names on a page of ECS's lists, at most.
const PAGE: i32 = 100;
/// Characters of a stop's reason (CodePipeline: `StopPipelineExecutionReason` ≤ 200).
const REASON_CHARS: usize = 200;

/// The clients of those calls.
#[derive(Clone, Debug)]
pub struct Calls {
    ecs: aws_sdk_ecs::Client,
    codepipeline: aws_sdk_codepipeline::Client,
    /// CloudWatch's alarms.
    pub alarms: Alarms,
    /// CodePipeline's manual approvals.
    pub approvals: Approvals,
}

/// An execution that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its id.
    pub id: String,
    /// Whether it is being stopped already.
    pub stopping: bool,
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
            alarms: Alarms::new(aws_sdk_cloudwatch::Client::new(door)),
            approvals: Approvals::new(door),
        }
    }

    /// The names of all clusters.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn clusters(&self) -> Result<Vec<String>, AwsError> {
        let page = async |token| {
            let sent = self.ecs.list_clusters().max_results(PAGE).set_next_token(token).send().await;
            let page = sent.map_err(|error| AwsError::of("ecs ListClusters", &error))?;
            Ok((page.cluster_arns().iter().map(|arn| last(arn)).collect(), page.next_token))
        };
        all("ecs ListClusters", page).await
    }

    /// The names of all services of a cluster, in order.
    ///
    /// # Errors
    /// When a call fails; `ClusterNotFoundException` where there is no such cluster.
    pub async fn services(&self, cluster: &str) -> Result<Vec<String>, AwsError> {
        let page = async |token| {
            let asked = self.ecs.list_services().cluster(cluster).max_results(PAGE).set_next_token(token);
            let page = asked.send().await.map_err(|error| AwsError::of("ecs ListServices", &error))?;
            Ok((page.service_arns().iter().map(|arn| last(arn)).collect(), page.next_token))
        };
        let mut names = all("ecs ListServices", page).await?;
        names.sort();
        Ok(names)
    }

    /// The names of all pipelines.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn pipelines(&self) -> Result<Vec<String>, AwsError> {
        let page = async |token| {
            let sent = self.codepipeline.list_pipelines().set_next_token(token).send().await;
            let page = sent.map_err(|error| AwsError::of("codepipeline ListPipelines", &error))?;
            let names = page.pipelines().iter().filter_map(|summary| summary.name().map(str::to_owned));
            Ok((names.collect(), page.next_token))
        };
        all("codepipeline ListPipelines", page).await
    }

    /// A pipeline's definition; `None` where there is no such pipeline.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn pipeline(&self, name: &str) -> Result<Option<Definition>, AwsError> {
        pipelines::read(&self.codepipeline, name).await
    }

    /// The executions of a pipeline that have not ended, of the newest hundred.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn running(&self, pipeline: &str) -> Result<Vec<Running>, AwsError> {
        let asked = self.codepipeline.list_pipeline_executions().pipeline_name(pipeline).max_results(100);
        let page = asked.send().await.map_err(|error| AwsError::of("codepipeline ListPipelineExecutions", &error))?;
        let running = page.pipeline_execution_summaries().iter().filter_map(|execution| {
            let stopping = match execution.status()? {
                PipelineExecutionStatus::InProgress => false,
                PipelineExecutionStatus::Stopping => true,
                _ => return None,
            };
            Some(Running { id: execution.pipeline_execution_id()?.to_owned(), stopping })
        });
        Ok(running.collect())
    }

    /// Stops an execution; the action that is in progress goes to its end.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn stop(&self, pipeline: &str, execution: &str, reason: &str) -> Result<(), AwsError> {
        self.codepipeline
            .stop_pipeline_execution()
            .pipeline_name(pipeline)
            .pipeline_execution_id(execution)
            .reason(cut(&message::printable(reason), REASON_CHARS))
            .send()
            .await
            .map_err(|error| AwsError::of("codepipeline StopPipelineExecution", &error))?;
        Ok(())
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

/// Everything of a list, page by page: a list without its last page is none.
async fn all<T>(
    operation: &'static str,
    page: impl AsyncFn(Option<String>) -> Result<(Vec<T>, Option<String>), AwsError>,
) -> Result<Vec<T>, AwsError> {
    let (mut found, mut token) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let (more, next) = page(token).await?;
        found.extend(more);
        token = next;
        if token.is_none() {
            return Ok(found);
        }
    }
    Err(AwsError::unusable(operation, format!("the list did not end after {PAGES_MAX} pages")))
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
