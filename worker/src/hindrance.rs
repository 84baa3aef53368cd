//! Right before an act: whether this worker may do it.

use tracing::warn;

use crate::aws::codepipeline::Job;
use crate::aws::executions::ActionState;
use crate::ledger::held::HeldError;
use crate::tools::Tools;
use coalmine_door::AwsError;

/// What keeps a turn from acting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hindrance {
    /// Another worker may have the job, or the ledger does not answer: it is handed back, with this reason.
    HandBack(String),
    /// The execution does not want the job any more.
    NotWanted,
}

/// Whether the progress is on record, this worker's lease holds, and the execution still wants the job; else what is not so.
///
/// # Errors
/// When CodePipeline cannot be asked.
pub(crate) async fn hindrance(tools: &Tools, job: &Job, token: &str) -> Result<Option<Hindrance>, AwsError> {
    allowed(tools, job, token).await.map(Result::err)
}

/// The same; where nothing keeps it from acting, with the date of the action's begin, in epoch seconds by AWS's clock.
///
/// # Errors
/// When CodePipeline cannot be asked.
pub(crate) async fn allowed(tools: &Tools, job: &Job, token: &str) -> Result<Result<Option<i64>, Hindrance>, AwsError> {
    // Whoever answers slowly is asked first: the lease is looked at last, since it says for how long an act may begin.
    let (state, since) = tools.codepipeline.action_since(&job.context).await?;
    if state != ActionState::Wanted {
        return Ok(Err(Hindrance::NotWanted));
    }
    let held = &tools.held;
    let mut kept = held.keep(&job.id, token).await;
    if kept.is_ok() && !held.may_act() {
        kept = held.renew().await;
    }
    match kept {
        Ok(()) if held.may_act() => Ok(Ok(since)),
        Ok(()) => Ok(Err(Hindrance::HandBack("the ledger answers too slowly".to_owned()))),
        Err(problem @ HeldError::TakenOver) => {
            warn!("a peer has taken this worker's jobs over, or the ledger was lost: the job is handed back");
            Ok(Err(Hindrance::HandBack(problem.to_string())))
        }
        Err(problem) => {
            warn!(error = %problem, "the ledger cannot be written: the job is handed back");
            Ok(Err(Hindrance::HandBack(format!("waiting for the ledger: {problem}"))))
        }
    }
}
