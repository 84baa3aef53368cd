//! Jobs of custom actions: created, polled, acknowledged, described.

use std::time::Duration;

use aws_sdk_codepipeline::operation::acknowledge_job::{AcknowledgeJobInput, AcknowledgeJobOutput};
use aws_sdk_codepipeline::operation::get_job_details::{GetJobDetailsInput, GetJobDetailsOutput};
use aws_sdk_codepipeline::operation::poll_for_jobs::{PollForJobsInput, PollForJobsOutput};
use aws_sdk_codepipeline::types::{
    ActionConfiguration, ActionContext, ActionOwner, ActionTypeId, Artifact, ArtifactLocation, ArtifactLocationType,
    Job as WireJob, JobData, JobDetails, JobStatus, PipelineContext, S3ArtifactLocation, StageContext,
};

use super::errors::{self, built, internal};
use super::state::{ActionError, ActionTypeKey, ArtifactCopy, Job, Offer, Place};
use super::{Event, actions, artifacts};
use crate::{Answer, Call, ErrorReply, World};

/// How long a custom action may take. Fixed; assumed to span all jobs of an action execution (UNSURE).
const ACTION_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// When a job that was handed out but not acknowledged is offered again, and for how long its offer can be acknowledged. AWS
/// does not say whether and when (UNSURE); [`super::State::set_offered_again`] makes it sooner.
pub(super) const OFFER_LIFE: Duration = Duration::from_secs(60);

/// The bounds of the time until a new job can be polled; how long AWS takes is not documented (UNSURE).
const FIRST_DELAY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(1000));
const NEXT_DELAY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_millis(3000));

/// `maxBatchSize` where it is not given; AWS does not say (UNSURE).
const BATCH: usize = 1;

/// A custom action starts: its first job, and its clock.
pub(super) fn first(world: &mut World, place: &Place) {
    create(world, place, None);
    world.schedule(ACTION_LIMIT, Event::world(Event::ActionTimesOut(place.clone())));
}

/// Creates a job of an action; with a token where it continues another one.
pub(super) fn create(world: &mut World, place: &Place, continuation_token: Option<String>) {
    let (least, most) = if continuation_token.is_some() { NEXT_DELAY } else { FIRST_DELAY };
    let available = world.now + world.between(least, most);
    let id = world.uuid();
    let created = world.now;
    let Some(run) = world.codepipeline.action_mut(place) else { return };
    let job = Job {
        id,
        action_type: run.action_type.clone(),
        pipeline: place.pipeline.clone(),
        stage: run.stage.clone(),
        action: run.name.clone(),
        execution: place.execution.clone(),
        action_execution: place.action.clone(),
        continuation_token,
        status: JobStatus::Queued,
        created,
        available,
        offers: Vec::new(),
        acknowledged: None,
        abandoned: None,
        results: Vec::new(),
        refused_results: 0,
    };
    world.codepipeline.jobs.push(job);
}

/// The 24 hours are over.
pub(super) fn timed_out(world: &mut World, place: &Place) {
    for job in &mut world.codepipeline.jobs {
        if job.action_execution == place.action && job.is_open() {
            job.status = JobStatus::TimedOut;
        }
    }
    // AWS documents that the action fails, not with which words.
    let message = "The action did not complete within the timeout of 1440 minutes";
    actions::fail(world, place, ActionError::new("TimedOut", message));
}

/// The action was abandoned: its open job is not handed out any more, and a result for it is refused. AWS documents
/// that the worker is not told; that a result is answered with `InvalidJobStateException`, and an acknowledgement with
/// a status other than `InProgress`, is assumed.
pub(super) fn abandoned(world: &mut World, place: &Place) {
    let now = world.now;
    let mut jobs = world.codepipeline.jobs.iter_mut();
    if let Some(job) = jobs.find(|job| job.action_execution == place.action && job.is_open()) {
        job.status = JobStatus::Failed;
        job.abandoned = Some(now);
    }
}

impl Job {
    fn is_open(&self) -> bool {
        matches!(self.status, JobStatus::Queued | JobStatus::Dispatched | JobStatus::InProgress)
    }

    pub(super) fn place(&self) -> Place {
        Place {
            pipeline: self.pipeline.clone(),
            execution: self.execution.clone(),
            action: self.action_execution.clone(),
        }
    }
}

pub(super) fn poll_for_jobs(world: &mut World, call: &Call, input: PollForJobsInput) -> Answer<PollForJobsOutput> {
    let id = input.action_type_id.ok_or_else(|| internal("actionTypeId"))?;
    if id.owner != ActionOwner::Custom {
        return Err(ErrorReply::validation(format!("ActionType with owner '{}' is not supported", id.owner)));
    }
    let key = ActionTypeKey::from(&id);
    let Some(definition) = world.codepipeline.action_type(&key) else {
        let message = format!("The specified action type cannot be found: {key}");
        return Err(ErrorReply::new("ActionTypeNotFoundException", message));
    };
    let mut queryable = definition.action_configuration_properties().iter().filter(|property| property.queryable);
    let query = input.query_param.unwrap_or_default().into_iter().next();
    match (queryable.next(), &query) {
        (Some(property), Some((name, _))) if property.name == *name => {}
        (None, None) => {}
        (Some(property), _) => {
            let message = format!("Query parameter {} must be supplied for action type {key}", property.name);
            return Err(ErrorReply::validation(message));
        }
        (None, Some(_)) => {
            let message = format!("Action type {key} has no queryable property; query parameters must be empty");
            return Err(ErrorReply::validation(message));
        }
    }
    let most = input.max_batch_size.and_then(|most| usize::try_from(most).ok()).unwrap_or(BATCH);
    let offered: Vec<String> = world
        .codepipeline
        .jobs
        .iter()
        .filter(|job| job.action_type == key && can_be_offered(world, job, &call.access_key))
        .filter(|job| query.as_ref().is_none_or(|(name, value)| configured(world, job, name) == Some(value)))
        .take(most)
        .map(|job| job.id.clone())
        .collect();
    let jobs = offered.iter().map(|id| offer(world, call, id)).collect::<Answer<Vec<_>>>()?;
    Ok(PollForJobsOutput::builder().set_jobs(Some(jobs)).build())
}

/// Whether a poll may find a job: it waits, or nobody acknowledged it in time, or two polls are at once (which tests
/// set up with [`super::State::set_offer_overlap`]).
fn can_be_offered(world: &World, job: &Job, poller: &str) -> bool {
    let since = |offer: &Offer| world.now.duration_since(offer.at).unwrap_or_default();
    match job.status {
        JobStatus::Queued => job.available <= world.now,
        JobStatus::Dispatched => {
            let again = world.codepipeline.offered_again.unwrap_or(OFFER_LIFE);
            let expired = job.offers.iter().all(|offer| since(offer) >= again);
            let first = job.offers.first();
            let raced = first.is_some_and(|first| since(first) < world.codepipeline.offer_overlap)
                && job.offers.iter().all(|offer| offer.to != poller);
            expired || raced
        }
        _ => false,
    }
}

fn configured<'a>(world: &'a World, job: &Job, name: &str) -> Option<&'a String> {
    let execution = world.codepipeline.pipelines.get(&job.pipeline)?.execution(&job.execution)?;
    execution.action(&job.action_execution)?.resolved.get(name)
}

fn offer(world: &mut World, call: &Call, id: &str) -> Answer<WireJob> {
    let data = data(world, id)?;
    // A small number, as AWS's are.
    let nonce = world.rng.u32(1..1_000_000).to_string();
    let (now, account) = (world.now, world.account.clone());
    let job = errors::job(world, id)?;
    job.status = JobStatus::Dispatched;
    job.offers.retain(|offer| now.duration_since(offer.at).unwrap_or_default() < OFFER_LIFE);
    job.offers.push(Offer { nonce: nonce.clone(), at: now, to: call.access_key.clone() });
    Ok(WireJob::builder().id(id).data(data).nonce(nonce).account_id(account).build())
}

pub(super) fn acknowledge_job(
    world: &mut World,
    _call: &Call,
    input: AcknowledgeJobInput,
) -> Answer<AcknowledgeJobOutput> {
    let nonce = input.nonce.unwrap_or_default();
    let job = errors::job(world, &input.job_id.unwrap_or_default())?;
    let invalid = || {
        let message = "The nonce was specified in an invalid format.";
        Err(ErrorReply::new("InvalidNonceException", message))
    };
    match &job.acknowledged {
        // Who acknowledges twice, after a lost reply, is told the status once more (UNSURE).
        Some(offer) if offer.nonce == nonce => {}
        Some(_) => return invalid(),
        None => {
            let Some(offer) = job.offers.iter().find(|offer| offer.nonce == nonce) else { return invalid() };
            if job.status == JobStatus::Dispatched {
                job.acknowledged = Some(offer.clone());
                job.status = JobStatus::InProgress;
            }
        }
    }
    Ok(AcknowledgeJobOutput::builder().status(job.status.clone()).build())
}

pub(super) fn get_job_details(
    world: &mut World,
    _call: &Call,
    input: GetJobDetailsInput,
) -> Answer<GetJobDetailsOutput> {
    let id = input.job_id.unwrap_or_default();
    let data = data(world, &id)?;
    let details = JobDetails::builder().id(id).data(data).account_id(&world.account).build();
    Ok(GetJobDetailsOutput::builder().job_details(details).build())
}

/// All that a worker learns of a job, with new credentials.
fn data(world: &mut World, id: &str) -> Answer<JobData> {
    let job = errors::job(world, id)?.clone();
    let execution = world.codepipeline.execution_mut(&job.pipeline, &job.execution);
    let execution = execution.ok_or_else(|| internal("execution"))?.clone();
    let run = execution.action(&job.action_execution).ok_or_else(|| internal("action"))?;
    let store = execution.store(&world.region).ok_or_else(|| internal("artifact store"))?;
    let key = &job.action_type;
    let type_id = ActionTypeId::builder()
        .category(key.category.as_str().into())
        .owner(key.owner.as_str().into())
        .provider(&key.provider)
        .version(&key.version);
    let context = PipelineContext::builder()
        .pipeline_name(&job.pipeline)
        .stage(StageContext::builder().name(&job.stage).build())
        .action(ActionContext::builder().name(&job.action).action_execution_id(&job.action_execution).build())
        .pipeline_arn(world.arn("codepipeline", &job.pipeline))
        .pipeline_execution_id(&job.execution);
    let configuration = run.resolved.clone().into_iter().collect();
    let credentials = artifacts::credentials(world, &store.location)?;
    Ok(JobData::builder()
        .action_type_id(built(type_id.build())?)
        .action_configuration(ActionConfiguration::builder().set_configuration(Some(configuration)).build())
        .pipeline_context(context.build())
        .set_input_artifacts(Some(run.input_artifacts.iter().map(artifact).collect::<Answer<_>>()?))
        .set_output_artifacts(Some(run.output_artifacts.iter().map(artifact).collect::<Answer<_>>()?))
        .artifact_credentials(credentials)
        .set_continuation_token(job.continuation_token)
        .set_encryption_key(store.encryption_key.clone())
        .build())
}

fn artifact(copy: &ArtifactCopy) -> Answer<Artifact> {
    let location = built(S3ArtifactLocation::builder().bucket_name(&copy.bucket).object_key(&copy.key).build())?;
    let location = ArtifactLocation::builder().r#type(ArtifactLocationType::S3).s3_location(location).build();
    Ok(Artifact::builder().name(&copy.name).set_revision(copy.revision.clone()).location(location).build())
}
