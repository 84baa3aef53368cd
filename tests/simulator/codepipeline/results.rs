//! Results of jobs.

use std::collections::BTreeMap;

use aws_sdk_codepipeline::operation::put_job_failure_result::{PutJobFailureResultInput, PutJobFailureResultOutput};
use aws_sdk_codepipeline::operation::put_job_success_result::{PutJobSuccessResultInput, PutJobSuccessResultOutput};
use aws_sdk_codepipeline::types::{ExecutionDetails, JobStatus};

use super::errors::{self, internal};
use super::state::{ActionError, JobResult, Place};
use super::{actions, jobs};
use crate::{Answer, Call, ErrorReply, World};

/// The most bytes of all output variables of an action, names and values.
const OUTPUT_BYTES_MAX: usize = 122_880;

pub(super) fn put_job_success_result(
    world: &mut World,
    _call: &Call,
    input: PutJobSuccessResultInput,
) -> Answer<PutJobSuccessResultOutput> {
    let id = input.job_id.unwrap_or_default();
    let variables: BTreeMap<String, String> = input.output_variables.unwrap_or_default().into_iter().collect();
    if input.continuation_token.is_some() && !variables.is_empty() {
        let message = "Output variables can be supplied only when there is no continuation token in the request";
        return Err(ErrorReply::validation(message));
    }
    if variables.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > OUTPUT_BYTES_MAX {
        let message = format!("The total size of output variables exceeds the limit of {OUTPUT_BYTES_MAX} bytes");
        return Err(ErrorReply::new("OutputVariablesSizeExceededException", message));
    }
    let continued = input.continuation_token.is_some();
    let place = take(world, &id, if continued { JobResult::Continued } else { JobResult::Succeeded })?;
    actions::change(world, &place, |run| {
        let details = input.execution_details.unwrap_or_else(|| ExecutionDetails::builder().build());
        run.summary = details.summary.or(run.summary.take());
        run.percent = details.percent_complete.or(run.percent);
        run.external_execution_id = details.external_execution_id.or(run.external_execution_id.take());
        run.revision = input.current_revision.or(run.revision.take());
    });
    match input.continuation_token {
        // The job is over; what it handed over rides in a new one, which any worker may get.
        Some(token) => jobs::create(world, &place, Some(token)),
        None => actions::succeed(world, &place, variables),
    }
    Ok(PutJobSuccessResultOutput::builder().build())
}

pub(super) fn put_job_failure_result(
    world: &mut World,
    _call: &Call,
    input: PutJobFailureResultInput,
) -> Answer<PutJobFailureResultOutput> {
    let details = input.failure_details.ok_or_else(|| internal("failureDetails"))?;
    let place = take(world, &input.job_id.unwrap_or_default(), JobResult::Failed)?;
    actions::change(world, &place, |run| {
        run.external_execution_id = details.external_execution_id.or(run.external_execution_id.take());
    });
    actions::fail(world, &place, ActionError::of(&details.r#type, &details.message));
    Ok(PutJobFailureResultOutput::builder().build())
}

/// Takes a result, or answers `InvalidJobStateException` where the job is not in progress.
fn take(world: &mut World, id: &str, result: JobResult) -> Answer<Place> {
    let job = errors::job(world, id)?;
    if job.status != JobStatus::InProgress {
        job.refused_results += 1;
        let message =
            format!("The job {id} is in state {}; a result can be put only for a job in progress", job.status);
        return Err(ErrorReply::new("InvalidJobStateException", message));
    }
    job.status = if result == JobResult::Failed { JobStatus::Failed } else { JobStatus::Succeeded };
    job.results.push(result);
    Ok(job.place())
}
