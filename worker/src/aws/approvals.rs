//! Manual approvals: which wait, and how an operator answers one. The worker calls none of this.

use aws_sdk_codepipeline::Client;
use aws_sdk_codepipeline::types::{ActionExecutionFilter, ApprovalResult, ApprovalStatus};
use aws_types::SdkConfig;
use coalmine_door::AwsError;

/// An approval that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Waiting {
    /// The pipeline.
    pub pipeline: String,
    /// The stage.
    pub stage: String,
    /// The action.
    pub action: String,
    /// The execution: the release's id.
    pub release: String,
    /// What the approver is shown, where it was asked for.
    pub text: String,
    /// What the answer has to name.
    #[serde(skip)]
    token: String,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It was taken.
    Taken,
    /// Somebody else was quicker, or the time was over.
    TooLate,
}

/// The approvals of one account and region.
#[derive(Clone, Debug)]
pub struct Approvals {
    client: Client,
}

impl Approvals {
    /// An adapter on the door.
    #[must_use]
    pub fn new(door: &SdkConfig) -> Self {
        Self { client: Client::new(door) }
    }

    /// The approvals of a pipeline that wait, with their texts; `None`: there is no such pipeline.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn waiting(&self, pipeline: &str) -> Result<Option<Vec<Waiting>>, AwsError> {
        let Some(mut waiting) = self.open(pipeline).await? else { return Ok(None) };
        for approval in &mut waiting {
            approval.text = self.text(approval).await?;
        }
        Ok(Some(waiting))
    }

    /// The same without their texts, in one call.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn open(&self, pipeline: &str) -> Result<Option<Vec<Waiting>>, AwsError> {
        let sent = self.client.get_pipeline_state().name(pipeline).send().await;
        let state = match sent.map_err(|error| AwsError::of("codepipeline GetPipelineState", &error)) {
            Ok(state) => state,
            Err(gone) if gone.is("PipelineNotFoundException") => return Ok(None),
            Err(problem) => return Err(problem),
        };
        let mut waiting = Vec::new();
        for stage in state.stage_states() {
            let release = stage.latest_execution().map(|execution| execution.pipeline_execution_id().to_owned());
            for action in stage.action_states() {
                let Some(latest) = action.latest_execution() else { continue };
                let open = latest.status().is_some_and(|status| status.as_str() == "InProgress");
                if let Some(token) = latest.token().filter(|token| open && !token.is_empty()) {
                    waiting.push(Waiting {
                        pipeline: pipeline.to_owned(),
                        stage: stage.stage_name().unwrap_or_default().to_owned(),
                        action: action.action_name().unwrap_or_default().to_owned(),
                        release: release.clone().unwrap_or_default(),
                        text: String::new(),
                        token: token.to_owned(),
                    });
                }
            }
        }
        Ok(Some(waiting))
    }

    /// What the console shows the approver, with its variables resolved.
    async fn text(&self, approval: &Waiting) -> Result<String, AwsError> {
        let filter = ActionExecutionFilter::builder().pipeline_execution_id(&approval.release).build();
        let asked = self.client.list_action_executions().pipeline_name(&approval.pipeline).filter(filter);
        let listed = asked.send().await.map_err(|error| AwsError::of("codepipeline ListActionExecutions", &error))?;
        let own = listed.action_execution_details().iter().find(|detail| {
            detail.stage_name() == Some(&approval.stage) && detail.action_name() == Some(&approval.action)
        });
        let input = own.and_then(|detail| detail.input());
        let text = input.and_then(|input| input.resolved_configuration()).and_then(|values| values.get("CustomData"));
        Ok(text.cloned().unwrap_or_default())
    }

    /// Answers one.
    ///
    /// # Errors
    /// When the call fails. It may have been carried out all the same.
    pub async fn answer(&self, approval: &Waiting, approve: bool, reason: &str) -> Result<Answered, AwsError> {
        const OPERATION: &str = "codepipeline PutApprovalResult";
        let status = if approve { ApprovalStatus::Approved } else { ApprovalStatus::Rejected };
        let result = ApprovalResult::builder().summary(reason).status(status).build();
        let result = result.map_err(|problem| AwsError::unusable(OPERATION, problem.to_string()))?;
        let asked = self.client.put_approval_result().pipeline_name(&approval.pipeline).stage_name(&approval.stage);
        let sent = asked.action_name(&approval.action).result(result).token(&approval.token).send().await;
        match sent.map_err(|error| AwsError::of(OPERATION, &error)) {
            Ok(_) => Ok(Answered::Taken),
            Err(late) if late.is("ApprovalAlreadyCompletedException") || late.is("InvalidApprovalTokenException") => {
                Ok(Answered::TooLate)
            }
            Err(problem) => Err(problem),
        }
    }
}
