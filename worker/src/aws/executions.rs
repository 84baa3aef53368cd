//! CodePipeline: pipeline executions and their actions, as those see them who look from outside of a job.

use aws_sdk_codepipeline::types::{ActionExecutionDetail, ActionExecutionFilter, ExecutionType};
use coalmine_pipeline::action_type::FULL;

use crate::aws::codepipeline::{ActionExecution, CodePipeline, Context};
use crate::deploy::hold::{Kind, Seen, Status};
use coalmine_door::AwsError;
use coalmine_door::clock::Time;

/// How many action executions are looked through for a job's own, newest first: more than a stage can have
/// (`ListActionExecutions` gives 100 a page), since those of later stages begin when it is over.
const ACTIONS_MAX: usize = 100;
/// How many of one execution are read for the fate of its canaries: a pipeline of a thousand actions, retried once.
const HISTORY_MAX: usize = 2_000;

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
    Ended {
        /// When, by AWS's clock, where AWS says.
        at: Option<Time>,
    },
}

impl CodePipeline {
    /// How the job's action execution stands. Abandoned and stopped ones never tell the worker; and after a stage was
    /// retried its pipeline execution is in progress again, under the same id, with another action execution.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn action(&self, context: &Context) -> Result<ActionState, AwsError> {
        self.action_since(context).await.map(|(state, _)| state)
    }

    /// The same with the date of its begin, in epoch seconds by AWS's clock, once it is listed.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn action_since(&self, context: &Context) -> Result<(ActionState, Option<i64>), AwsError> {
        let actions = self.actions(context, ACTIONS_MAX).await.map_err(not_seen_yet)?;
        let own = actions.iter().find(|action| action.action_execution_id() == Some(&context.action_execution));
        let start = own.and_then(|action| action.start_time()).map(|start| start.secs());
        Ok((state(own), start))
    }

    /// Whether an action, or its retry, is not over yet.
    ///
    /// # Errors
    /// When the call fails.
    pub(crate) async fn goes_on(&self, action: &ActionExecution) -> Result<bool, AwsError> {
        let ActionExecution { pipeline, execution, stage, action, action_execution } = action.clone();
        let context = Context { pipeline, execution, stage, action, action_execution, ..Context::default() };
        match self.newest(&context).await {
            Ok(state) => Ok(state == ActionState::Wanted),
            Err(gone) if is_gone(&gone) => Ok(false),
            Err(problem) => Err(problem),
        }
    }

    /// How the newest execution of the job's action in this pipeline execution stands: the job's own, or that of a
    /// retry.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn newest(&self, context: &Context) -> Result<ActionState, AwsError> {
        let actions = self.actions(context, ACTIONS_MAX).await.map_err(not_seen_yet)?;
        let of_action = actions.iter().filter(|action| {
            action.stage_name() == Some(&context.stage) && action.action_name() == Some(&context.action)
        });
        Ok(state(of_action.max_by_key(|action| action.start_time().map(|start| start.as_nanos()))))
    }

    /// All actions of an execution, newest first; `None` where there is no such execution any more, or no such pipeline.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn history(&self, context: &Context) -> Result<Option<Vec<Seen>>, AwsError> {
        match self.actions(context, HISTORY_MAX).await {
            Ok(actions) => Ok(Some(actions.into_iter().map(seen).collect())),
            Err(gone) if is_gone(&gone) => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// The status of a pipeline execution, in AWS's word; `None` where it is gone.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn status(&self, context: &Context) -> Result<Option<String>, AwsError> {
        let asked = self.client.get_pipeline_execution().pipeline_name(&context.pipeline);
        let sent = asked.pipeline_execution_id(&context.execution).send().await;
        match sent.map_err(|error| AwsError::of("codepipeline GetPipelineExecution", &error)) {
            Ok(output) => Ok(Some(
                output
                    .pipeline_execution
                    .and_then(|execution| execution.status)
                    .map(|status| status.as_str().to_owned())
                    .unwrap_or_default(),
            )),
            Err(gone) if is_gone(&gone) => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    async fn actions(&self, context: &Context, most: usize) -> Result<Vec<ActionExecutionDetail>, AwsError> {
        let filter = ActionExecutionFilter::builder().pipeline_execution_id(&context.execution).build();
        let mut found = Vec::new();
        let mut token = None;
        // A page may hold fewer actions than were asked for.
        for _ in 0..most {
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
            if token.is_none() || found.len() >= most {
                break;
            }
        }
        Ok(found)
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
            .map_err(|error| not_seen_yet(AwsError::of("codepipeline GetPipelineExecution", &error)))?;
        let found = output.pipeline_execution.as_ref();
        let mode = found.and_then(|execution| execution.execution_mode()).map(|mode| mode.as_str().to_owned());
        let rolls_back = found.and_then(|execution| execution.execution_type()) == Some(&ExecutionType::Rollback);
        Ok(Execution { mode: mode.unwrap_or_default(), rolls_back })
    }
}

fn state(action: Option<&ActionExecutionDetail>) -> ActionState {
    match action.and_then(|action| action.status()).map(|status| status.as_str()) {
        Some("Abandoned" | "Failed") => {
            // Nothing changes in it any more.
            let at = action.and_then(|action| action.last_update_time());
            ActionState::Ended { at: at.and_then(|at| Time::from_timestamp(at.secs(), at.subsec_nanos())) }
        }
        Some("Succeeded") => ActionState::Succeeded,
        _ => ActionState::Wanted,
    }
}

/// An execution whose job is at hand is there: a read that does not find it lags behind its start.
fn not_seen_yet(problem: AwsError) -> AwsError {
    let lags = problem.is("PipelineExecutionNotFoundException");
    if lags { AwsError { kind: coalmine_door::Kind::Unavailable, ..problem } } else { problem }
}

fn is_gone(problem: &AwsError) -> bool {
    problem.is("PipelineNotFoundException") || problem.is("PipelineExecutionNotFoundException")
}

fn seen(detail: ActionExecutionDetail) -> Seen {
    let status = match detail.status.as_ref().map(|status| status.as_str()) {
        Some("Succeeded") => Status::Succeeded,
        Some("Failed") => Status::Failed,
        Some("Abandoned") => Status::Abandoned,
        // In progress, or in a status of a newer AWS: nothing is decided yet.
        _ => Status::InProgress,
    };
    let (mut kind, mut said) = (Kind::Other, String::new());
    if let Some(input) = detail.input {
        let id = input.action_type_id.as_ref();
        let configuration = input.resolved_configuration.or(input.configuration).unwrap_or_default();
        // An ARN, or the name alone.
        let named = |property: &str| {
            configuration.get(property).map(|name| name.rsplit('/').next().unwrap_or(name).trim().to_owned())
        };
        if id.is_some_and(|id| id.category.as_str() == "Approval") {
            kind = Kind::Approval;
        } else if let Some((cluster, canary)) = named("Cluster").zip(named("CanaryService"))
            && id.is_some_and(|id| id.provider == FULL.provider)
        {
            kind = Kind::Full { cluster, canary };
        }
    }
    if let Some(result) = detail.output.and_then(|output| output.execution_result) {
        let words = result.external_execution_summary.filter(|summary| !summary.is_empty());
        let message = result.error_details.and_then(|error| error.message);
        said = words.or(message).unwrap_or_default();
    }
    Seen {
        id: detail.action_execution_id.unwrap_or_default(),
        stage: detail.stage_name.unwrap_or_default(),
        name: detail.action_name.unwrap_or_default(),
        kind,
        status,
        started: detail.start_time.map(|start| start.as_nanos()).unwrap_or_default(),
        by: detail.updated_by.filter(|by| !by.is_empty()),
        said,
    }
}
