//! Calls that only operators' commands make, with the operator's own credentials: the worker's policy does not have them.

use aws_sdk_codepipeline::types::PipelineExecutionStatus;

use crate::aws::codepipeline::CodePipeline;
use crate::aws::ecs::Ecs;
use crate::deploy::message;
use coalmine_door::AwsError;
use coalmine_pipeline::limits::cut;

/// Pages read of one list before it is called endless: a cluster has at most 5,000 services.
const PAGES_MAX: usize = 100;
/// Characters of a stop's reason (CodePipeline: `StopPipelineExecutionReason` ≤ 200).
const REASON_CHARS: usize = 200;

/// An execution that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its id.
    pub id: String,
    /// Whether it is being stopped already.
    pub stopping: bool,
}

impl Ecs {
    /// The names of all services of a cluster.
    ///
    /// # Errors
    /// When a call fails: a list without its last page is none.
    pub async fn service_names(&self, cluster: &str) -> Result<Vec<String>, AwsError> {
        const OPERATION: &str = "ecs ListServices";
        let (mut names, mut token) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let asked = self.client.list_services().cluster(cluster).max_results(100).set_next_token(token);
            let page = asked.send().await.map_err(|error| AwsError::of(OPERATION, &error))?;
            names.extend(page.service_arns().iter().filter_map(|arn| arn.rsplit('/').next().map(str::to_owned)));
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(names);
            }
        }
        Err(AwsError::unusable(OPERATION, format!("the list did not end after {PAGES_MAX} pages")))
    }
}

impl CodePipeline {
    /// The executions of a pipeline that have not ended, of the newest hundred.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn running(&self, pipeline: &str) -> Result<Vec<Running>, AwsError> {
        let asked = self.client.list_pipeline_executions().pipeline_name(pipeline).max_results(100);
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
        self.client
            .stop_pipeline_execution()
            .pipeline_name(pipeline)
            .pipeline_execution_id(execution)
            .reason(cut(&message::printable(reason), REASON_CHARS))
            .send()
            .await
            .map_err(|error| AwsError::of("codepipeline StopPipelineExecution", &error))?;
        Ok(())
    }
}
