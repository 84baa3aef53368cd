//! How tests and the demo set CodePipeline up, and what they read of it.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_codepipeline::operation::create_custom_action_type::CreateCustomActionTypeInput;
use aws_sdk_codepipeline::operation::create_pipeline::CreatePipelineInput;
use aws_sdk_codepipeline::operation::put_approval_result::PutApprovalResultInput;
use aws_sdk_codepipeline::operation::retry_stage_execution::RetryStageExecutionInput;
use aws_sdk_codepipeline::operation::rollback_stage::RollbackStageInput;
use aws_sdk_codepipeline::operation::stop_pipeline_execution::StopPipelineExecutionInput;
use aws_sdk_codepipeline::types::{ActionExecutionStatus, ApprovalResult, ApprovalStatus, StageRetryMode, TriggerType};
use serde_json::{Value, json};

use super::errors::{built, internal};
use super::state::{ActionRun, Execution, Job, Pipeline, State};
use super::{action_types, approvals, executions, inputs, pipelines, retry, rollback, shapes, stop};
use crate::call::{Call, Service};
use crate::{Answer, ErrorReply, World, wire};

/// Who acts in the call log and in ARNs where a function of this file does.
const SETUP: &str = "setup";

fn call(world: &World) -> Call {
    Call::from_inside(world, Service::CodePipeline, "", SETUP, Value::Null)
}

fn parsed(json: &str, operation: &str, wrap: impl FnOnce(Value) -> Value) -> Answer<Value> {
    let raw: Value =
        serde_json::from_str(json).map_err(|problem| ErrorReply::new("SerializationException", problem.to_string()))?;
    let raw = wrap(raw);
    shapes::check(&raw, inputs::of(operation).ok_or_else(|| internal(operation))?)?;
    Ok(raw)
}

impl World {
    /// Adds a pipeline from the JSON of `aws codepipeline create-pipeline --cli-input-json` (or what stands under its
    /// `pipeline`), as if long ago: other than by `CreatePipeline`, no execution starts. Its artifact store's bucket is
    /// made where it is missing. Gives the pipeline's name.
    ///
    /// # Errors
    /// Those of `CreatePipeline`.
    pub fn create_pipeline_from_json(&mut self, json: &str) -> Answer<String> {
        let wrap = |raw: Value| if raw.get("pipeline").is_some() { raw } else { json!({ "pipeline": raw }) };
        let raw = parsed(json, "CreatePipeline", wrap)?;
        let input = wire::from_value(&raw, CreatePipelineInput::SCHEMA, |d| CreatePipelineInput::deserialize(d))?;
        let declaration = input.pipeline.ok_or_else(|| internal("pipeline"))?;
        let own = declaration.artifact_store.iter();
        let stores: Vec<String> = own
            .chain(declaration.artifact_stores.iter().flat_map(|stores| stores.values()))
            .map(|store| store.location.clone())
            .collect();
        let name = pipelines::add(self, declaration)?;
        let now = self.now;
        for store in stores {
            self.s3.create_bucket(&store, now);
        }
        Ok(name)
    }

    /// Adds a custom action type from the JSON of `aws codepipeline create-custom-action-type --cli-input-json`.
    ///
    /// # Errors
    /// Those of `CreateCustomActionType`.
    pub fn create_action_type_from_json(&mut self, json: &str) -> Answer<()> {
        let raw = parsed(json, "CreateCustomActionType", |raw| raw)?;
        let input = wire::from_value(&raw, CreateCustomActionTypeInput::SCHEMA, |d| {
            CreateCustomActionTypeInput::deserialize(d)
        })?;
        let call = call(self);
        action_types::create(self, &call, input).map(|_| ())
    }

    /// Starts an execution as a person would; gives its id.
    ///
    /// # Errors
    /// Those of `StartPipelineExecution`.
    pub fn start_pipeline(&mut self, name: &str, variables: &BTreeMap<String, String>) -> Answer<String> {
        let who = executions::caller(self, &call(self));
        let trigger = executions::Trigger::new(TriggerType::StartPipelineExecution, who);
        executions::start(self, name, trigger, variables, Vec::new())
    }

    /// Tells CodePipeline of a new version of a source object, as an EventBridge rule would. Starts the pipelines whose
    /// source it is; gives the ids of their executions.
    ///
    /// `PutObject` tells it by itself where `PollForSourceChanges` is not `false`, within a minute.
    pub fn source_changed(&mut self, bucket: &str, key: &str) -> Vec<String> {
        executions::source_changed(self, bucket, key)
    }

    /// Answers the open approval of an action, as a person would in the console.
    ///
    /// Where several executions ask at once (PARALLEL mode), it is the oldest one's.
    ///
    /// # Errors
    /// Those of `PutApprovalResult`; `InvalidApprovalTokenException` where no approval is open.
    pub fn answer_approval(
        &mut self,
        pipeline: &str,
        stage: &str,
        action: &str,
        status: ApprovalStatus,
        summary: &str,
    ) -> Answer<()> {
        let open = self.codepipeline.open_approvals(pipeline);
        let token = open.into_iter().find(|run| run.stage == stage && run.name == action);
        let token = token.and_then(|run| run.token.clone()).ok_or_else(|| {
            ErrorReply::new("InvalidApprovalTokenException", format!("{stage}/{action} waits for no approval"))
        })?;
        let result = built(ApprovalResult::builder().status(status).summary(summary).build())?;
        let input = PutApprovalResultInput::builder()
            .pipeline_name(pipeline)
            .stage_name(stage)
            .action_name(action)
            .result(result)
            .token(token);
        let call = call(self);
        approvals::put_approval_result(self, &call, built(input.build())?).map(|_| ())
    }
}

impl World {
    /// Stops an execution as a person would; `abandon` leaves its actions in progress to themselves.
    ///
    /// # Errors
    /// Those of `StopPipelineExecution`.
    pub fn stop_execution(&mut self, pipeline: &str, execution: &str, abandon: bool) -> Answer<()> {
        let input = StopPipelineExecutionInput::builder().pipeline_name(pipeline).pipeline_execution_id(execution);
        let call = call(self);
        stop::stop_pipeline_execution(self, &call, built(input.abandon(abandon).build())?).map(|_| ())
    }

    /// Retries a stage of an execution as a person would.
    ///
    /// # Errors
    /// Those of `RetryStageExecution`.
    pub fn retry_stage(&mut self, pipeline: &str, stage: &str, execution: &str, mode: StageRetryMode) -> Answer<()> {
        let input = RetryStageExecutionInput::builder()
            .pipeline_name(pipeline)
            .stage_name(stage)
            .pipeline_execution_id(execution)
            .retry_mode(mode);
        let call = call(self);
        retry::retry_stage_execution(self, &call, built(input.build())?).map(|_| ())
    }

    /// Rolls a stage back to what the execution `target` did there, as a person would; gives the id of the new
    /// execution.
    ///
    /// # Errors
    /// Those of `RollbackStage`.
    pub fn rollback_stage(&mut self, pipeline: &str, stage: &str, target: &str) -> Answer<String> {
        let input = RollbackStageInput::builder()
            .pipeline_name(pipeline)
            .stage_name(stage)
            .target_pipeline_execution_id(target);
        let call = call(self);
        let output = rollback::rollback_stage(self, &call, built(input.build())?)?;
        Ok(output.pipeline_execution_id)
    }
}

impl State {
    /// All pipelines by name.
    pub fn pipelines(&self) -> impl Iterator<Item = &Pipeline> {
        self.pipelines.values()
    }

    /// A pipeline: its versions, executions and locks.
    #[must_use]
    pub fn pipeline(&self, name: &str) -> Option<&Pipeline> {
        self.pipelines.get(name)
    }

    /// An execution with its stages and actions.
    #[must_use]
    pub fn execution(&self, pipeline: &str, id: &str) -> Option<&Execution> {
        self.pipelines.get(pipeline)?.execution(id)
    }

    /// All executions of all pipelines that are in progress, or have yet to stop.
    pub fn active_executions(&self) -> impl Iterator<Item = &Execution> {
        let executions = self.pipelines.values().flat_map(|pipeline| &pipeline.executions);
        executions.filter(|execution| execution.is_active())
    }

    /// The approvals of a pipeline that wait for a person.
    #[must_use]
    pub fn open_approvals(&self, pipeline: &str) -> Vec<&ActionRun> {
        let executions = self.pipelines.get(pipeline).into_iter().flat_map(|pipeline| &pipeline.executions);
        let runs = executions.flat_map(|execution| &execution.actions);
        runs.filter(|run| run.token.is_some() && run.status == ActionExecutionStatus::InProgress).collect()
    }

    /// Every job there has been, oldest first, each with the results that came for it.
    #[must_use]
    pub fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    /// A job.
    #[must_use]
    pub fn job(&self, id: &str) -> Option<&Job> {
        self.jobs.iter().rev().find(|job| job.id == id)
    }

    /// Makes races: a job that was handed out less than `overlap` ago is also handed out to other pollers (callers
    /// with another access key), each with a nonce of its own. The first acknowledgement wins; the others are
    /// answered with `InvalidNonceException`. Zero, the default, hands each job out to one poller at a time.
    pub fn set_offer_overlap(&mut self, overlap: Duration) {
        self.offer_overlap = overlap;
    }

    /// Offers a job that was handed out so long ago and is not acknowledged yet once more, also to the same poller; the older
    /// offers stay good for a minute, and the first acknowledgement wins. Not set, it takes that minute.
    pub fn set_offered_again(&mut self, after: Duration) {
        self.offered_again = Some(after);
    }
}
