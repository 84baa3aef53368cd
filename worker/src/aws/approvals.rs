//! Manual approvals: which wait, and how an operator answers one. The worker calls none of this.

use std::time::Duration;

use aws_sdk_codepipeline::Client;
use aws_sdk_codepipeline::types::{
    ActionExecutionDetail, ActionExecutionFilter, ActionExecutionStatus, ApprovalResult, ApprovalStatus,
};
use aws_types::SdkConfig;
use coalmine_door::AwsError;
use coalmine_door::clock::Clock;

/// How often it is looked whose answer came first, while the approval is still shown as open.
const LOOKS: usize = 4;
/// The pause between two of these looks.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

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
    clock: Clock,
}

impl Approvals {
    /// An adapter on the door.
    #[must_use]
    pub fn new(door: &SdkConfig) -> Self {
        Self { client: Client::new(door), clock: Clock::of(door) }
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
        let own = self.latest(approval).await?;
        let input = own.as_ref().and_then(|detail| detail.input());
        let text = input.and_then(|input| input.resolved_configuration()).and_then(|values| values.get("CustomData"));
        Ok(text.cloned().unwrap_or_default())
    }

    /// The newest execution of the approval's action in its release.
    async fn latest(&self, approval: &Waiting) -> Result<Option<ActionExecutionDetail>, AwsError> {
        let filter = ActionExecutionFilter::builder().pipeline_execution_id(&approval.release).build();
        let asked = self.client.list_action_executions().pipeline_name(&approval.pipeline).filter(filter);
        let listed = asked.send().await.map_err(|error| AwsError::of("codepipeline ListActionExecutions", &error))?;
        Ok(listed.action_execution_details.unwrap_or_default().into_iter().find(|detail| {
            detail.stage_name() == Some(&approval.stage) && detail.action_name() == Some(&approval.action)
        }))
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
                self.answered_before(approval, approve, reason).await
            }
            Err(problem) => Err(problem),
        }
    }

    /// Whose answer came before: where a reply was lost, the SDK sends the answer again, and is told that there is one. It was
    /// this one if it says the same.
    async fn answered_before(&self, approval: &Waiting, approve: bool, reason: &str) -> Result<Answered, AwsError> {
        let ours = if approve { ActionExecutionStatus::Succeeded } else { ActionExecutionStatus::Failed };
        for look in 1..=LOOKS {
            let Some(latest) = self.latest(approval).await? else { break };
            // The list may lag behind the answer.
            if latest.status() == Some(&ActionExecutionStatus::InProgress) && look < LOOKS {
                self.clock.wait(BETWEEN_LOOKS).await;
                continue;
            }
            let result = latest.output().and_then(|output| output.execution_result());
            let summary = result.and_then(|result| result.external_execution_summary()).unwrap_or_default();
            if latest.status() == Some(&ours) && summary.trim() == reason.trim() {
                return Ok(Answered::Taken);
            }
            break;
        }
        Ok(Answered::TooLate)
    }
}
