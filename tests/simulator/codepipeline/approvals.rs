//! Manual approvals.

use std::time::Duration;

use aws_sdk_codepipeline::operation::put_approval_result::{PutApprovalResultInput, PutApprovalResultOutput};
use aws_sdk_codepipeline::types::{ActionExecutionStatus, ApprovalStatus, ExecutionMode};

use super::date;
use super::errors::{self, internal};
use super::state::{ActionError, Place};
use super::{Event, actions, executions};
use crate::{Answer, Call, ErrorReply, World};

/// How long people have where `timeoutInMinutes` is not said.
const DEFAULT_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);

/// An approval action starts: people can be asked.
pub(super) fn ask(world: &mut World, place: &Place) {
    let token = world.uuid();
    let minutes = world.codepipeline.execution_mut(&place.pipeline, &place.execution).and_then(|execution| {
        let run = execution.action(&place.action)?;
        execution.declared_action(&run.stage, &run.name)?.timeout_in_minutes
    });
    let minutes = minutes.and_then(|minutes| u64::try_from(minutes).ok());
    let limit = minutes.map(|minutes| Duration::from_secs(minutes * 60)).unwrap_or(DEFAULT_LIMIT);
    actions::change(world, place, |run| {
        // In PARALLEL mode the token can be had only as the external id: it is both in all modes.
        run.external_execution_id = Some(token.clone());
        run.token = Some(token);
    });
    world.schedule(limit, Event::world(Event::ApprovalExpires(place.clone())));
}

/// Nobody answered.
pub(super) fn expired(world: &mut World, place: &Place) {
    // AWS documents that the action fails, not with which words.
    let error = ActionError::new("TimedOut", "The approval request expired before it was approved or rejected");
    actions::fail(world, place, error);
}

pub(super) fn put_approval_result(
    world: &mut World,
    call: &Call,
    input: PutApprovalResultInput,
) -> Answer<PutApprovalResultOutput> {
    let name = input.pipeline_name.unwrap_or_default();
    let (stage, action) = (input.stage_name.unwrap_or_default(), input.action_name.unwrap_or_default());
    let token = input.token.unwrap_or_default();
    let result = input.result.ok_or_else(|| internal("result"))?;
    let pipeline = errors::pipeline(world, &name)?;
    // An execution in PARALLEL mode may run a structure that is no longer the newest.
    let own = pipeline.executions.iter().find(|execution| {
        execution.mode == ExecutionMode::Parallel
            && execution.actions.iter().any(|run| run.token.as_deref() == Some(token.as_str()))
    });
    let declared = errors::stage(pipeline, own, &stage)?;
    if !declared.actions.iter().any(|found| found.name == action) {
        let message = format!("The action '{action}' was not found in stage '{stage}' of pipeline '{name}'");
        return Err(ErrorReply::new("ActionNotFoundException", message));
    }
    let runs = pipeline.executions.iter().flat_map(|execution| {
        execution.actions.iter().filter(|run| run.stage == stage && run.name == action).map(move |run| (execution, run))
    });
    let mut asked = runs.filter(|(_, run)| run.token.as_deref() == Some(token.as_str()));
    let Some((execution, run)) = asked.next() else {
        let message = "The approval token is not valid for this action";
        return Err(ErrorReply::new("InvalidApprovalTokenException", message));
    };
    if run.status != ActionExecutionStatus::InProgress {
        return Err(match run.updated_by {
            Some(_) => {
                let message = "The approval action has already been approved or rejected.";
                ErrorReply::new("ApprovalAlreadyCompletedException", message)
            }
            None => {
                let message = "The approval request already received a response or has expired.";
                ErrorReply::new("InvalidApprovalTokenException", message)
            }
        });
    }
    let place = Place { pipeline: name, execution: execution.id.clone(), action: run.id.clone() };
    let who = executions::caller(world, call);
    actions::change(world, &place, |run| {
        // The model admits an empty summary on the way in, but not on the way out.
        run.summary = Some(result.summary).filter(|summary| !summary.is_empty());
        run.updated_by = Some(who.clone());
    });
    match result.status {
        ApprovalStatus::Approved => actions::succeed(world, &place, Default::default()),
        _ => actions::fail(world, &place, ActionError::new("Rejected", format!("Rejected by {who}"))),
    }
    Ok(PutApprovalResultOutput::builder().approved_at(date(world.now)).build())
}
