//! Pipelines as their users drive them: the real SDK on the in-process mount, in virtual time.

mod approvals;
mod declarations;
mod jobs;
mod modes;
mod parallel;
mod release;
mod retry;
mod rollback;
mod stop;
mod storm;

use std::time::Duration;

use aws_sdk_codepipeline::Client;
use aws_sdk_codepipeline::error::ProvideErrorMetadata;
use aws_sdk_codepipeline::types::{
    ActionCategory, ActionExecutionStatus, ActionOwner, ActionTypeId, ApprovalStatus, ExecutionDetails, FailureDetails,
    FailureType, Job, JobStatus, PipelineExecutionStatus,
};
use serde_json::{Value, json};

use crate::{Settings, Simulator};

pub(super) const PIPELINE: &str = "app";

pub(super) fn action_type(provider: &str) -> Value {
    let property = |name: &str, required: bool, queryable: bool, secret: bool| json!({"name": name, "required": required, "key": queryable, "secret": secret, "queryable": queryable});
    json!({
        "category": "Deploy", "provider": provider, "version": "1",
        "settings": {"executionUrlTemplate": "https://example.com/{Config:Pool}/{ExternalExecutionId}"},
        "configurationProperties": [
            property("Pool", true, true, false),
            property("Service", true, false, false),
            property("Options", false, false, false),
            property("Password", false, false, true),
        ],
        "inputArtifactDetails": {"minimumCount": 0, "maximumCount": 2},
        "outputArtifactDetails": {"minimumCount": 0, "maximumCount": 1},
    })
}

pub(super) fn source() -> Value {
    json!({
        "name": "Source",
        "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"},
        "configuration": {"S3Bucket": "sources", "S3ObjectKey": "app.zip", "PollForSourceChanges": "false"},
        "outputArtifacts": [{"name": "Release"}],
        "namespace": "source",
    })
}

pub(super) fn approval(name: &str, run_order: u32) -> Value {
    json!({
        "name": name, "runOrder": run_order,
        "actionTypeId": {"category": "Approval", "owner": "AWS", "provider": "Manual", "version": "1"},
        "configuration": {"CustomData": "Deploy #{variables.Reason} of #{source.VersionId}?"},
    })
}

pub(super) fn deploy(provider: &str, run_order: u32, options: &str) -> Value {
    json!({
        "name": provider, "runOrder": run_order,
        "actionTypeId": {"category": "Deploy", "owner": "Custom", "provider": provider, "version": "1"},
        "configuration": {"Pool": "main", "Service": "app-canary", "Options": options, "Password": "hunter2"},
        "inputArtifacts": [{"name": "Release"}],
        "namespace": provider.to_lowercase(),
    })
}

pub(super) fn structure(mode: &str, stages: Value) -> Value {
    json!({
        "name": PIPELINE, "roleArn": "arn:aws:iam::123456789012:role/pipeline",
        "artifactStore": {"type": "S3", "location": "artifacts"},
        "pipelineType": "V2", "executionMode": mode,
        "variables": [{"name": "Reason", "defaultValue": "the daily release"}],
        "stages": stages,
    })
}

/// Source → Approve → Release{Canary, Approve, Full}.
pub(super) fn standard(mode: &str) -> Value {
    structure(
        mode,
        json!([
            {"name": "Source", "actions": [source()]},
            {"name": "Approve", "actions": [approval("Approve", 1)]},
            {"name": "Release", "actions": [
                deploy("Canary", 1, "run=#{codepipeline.PipelineExecutionId}"),
                approval("Approve", 2),
                deploy("Full", 3, "digest=#{canary.Digest}"),
            ]},
        ]),
    )
}

/// Source → Release{Canary}.
pub(super) fn short(mode: &str) -> Value {
    structure(
        mode,
        json!([
            {"name": "Source", "actions": [source()]},
            {"name": "Release", "actions": [deploy("Canary", 1, "-")]},
        ]),
    )
}

/// An account with the two action types, a source object and one pipeline.
pub(super) fn account(pipeline: &Value) -> (Simulator, Client) {
    let simulator = Simulator::new(Settings { throttling: false, ..Settings::seeded(7) });
    simulator.with_world(|world| {
        for provider in ["Canary", "Full"] {
            world.create_action_type_from_json(&action_type(provider).to_string()).unwrap();
        }
        world.s3.put("sources", "app.zip", "release 1".into(), world.now);
        world.create_pipeline_from_json(&pipeline.to_string()).unwrap();
    });
    let client = Client::new(&simulator.sdk_config("worker"));
    (simulator, client)
}

pub(super) fn start(simulator: &Simulator) -> String {
    simulator.with_world(|world| world.start_pipeline(PIPELINE, &Default::default()).unwrap())
}

pub(super) fn status(simulator: &Simulator, execution: &str) -> PipelineExecutionStatus {
    simulator.with_world(|world| world.codepipeline.execution(PIPELINE, execution).unwrap().status.clone())
}

/// The status of the newest execution of an action.
pub(super) fn action_status(
    simulator: &Simulator,
    execution: &str,
    stage: &str,
    action: &str,
) -> ActionExecutionStatus {
    simulator.with_world(|world| {
        let execution = world.codepipeline.execution(PIPELINE, execution).unwrap();
        execution.latest_action(stage, action).unwrap().status.clone()
    })
}

/// The execution that a job belongs to.
pub(super) fn execution_of(job: &Job) -> &str {
    job.data().unwrap().pipeline_context().unwrap().pipeline_execution_id().unwrap()
}

/// The actionExecutionId of a job.
pub(super) fn action_execution_of(job: &Job) -> &str {
    let context = job.data().unwrap().pipeline_context().unwrap();
    context.action().unwrap().action_execution_id().unwrap()
}

pub(super) async fn wait(simulator: &Simulator, seconds: u64) {
    simulator.clock().wait(Duration::from_secs(seconds)).await;
}

/// Waits until an approval is open and answers it.
pub(super) async fn answer(simulator: &Simulator, stage: &str, status: ApprovalStatus) {
    for _ in 0..60 {
        let answered = simulator
            .with_world(|world| world.answer_approval(PIPELINE, stage, "Approve", status.clone(), "seen").is_ok());
        if answered {
            return;
        }
        wait(simulator, 1).await;
    }
    panic!("no approval came up in {stage}");
}

pub(super) fn type_id(provider: &str) -> ActionTypeId {
    let id = ActionTypeId::builder().category(ActionCategory::Deploy).owner(ActionOwner::Custom);
    id.provider(provider).version("1").build().unwrap()
}

/// Polls once.
pub(super) async fn poll(client: &Client, provider: &str) -> Vec<Job> {
    let poll = client.poll_for_jobs().action_type_id(type_id(provider)).query_param("Pool", "main").max_batch_size(5);
    poll.send().await.unwrap().jobs.unwrap_or_default()
}

/// Polls until there is a job.
pub(super) async fn next_job(simulator: &Simulator, client: &Client, provider: &str) -> Job {
    for _ in 0..120 {
        if let Some(job) = poll(client, provider).await.into_iter().next() {
            return job;
        }
        wait(simulator, 1).await;
    }
    panic!("no job of {provider}");
}

pub(super) async fn acknowledge(client: &Client, job: &Job) -> Result<JobStatus, String> {
    let call = client.acknowledge_job().job_id(job.id().unwrap()).nonce(job.nonce().unwrap());
    match call.send().await {
        Ok(reply) => Ok(reply.status.unwrap()),
        Err(error) => Err(error.code().unwrap_or_default().to_owned()),
    }
}

/// Polls until there is a job and acknowledges it.
pub(super) async fn take(simulator: &Simulator, client: &Client, provider: &str) -> Job {
    let job = next_job(simulator, client, provider).await;
    assert_eq!(acknowledge(client, &job).await.unwrap(), JobStatus::InProgress);
    job
}

pub(super) async fn hand_back(client: &Client, job: &Job, token: &str, percent: i32) {
    let details = ExecutionDetails::builder().summary("rolling").percent_complete(percent).external_execution_id("ext");
    let call = client.put_job_success_result().job_id(job.id().unwrap()).continuation_token(token);
    call.execution_details(details.build()).send().await.unwrap();
}

pub(super) async fn succeed(client: &Client, job: &Job) {
    let call = client.put_job_success_result().job_id(job.id().unwrap()).output_variables("Digest", "sha256:1");
    call.send().await.unwrap();
}

pub(super) async fn fail(client: &Client, job: &Job, message: &str) -> Result<(), String> {
    let details = FailureDetails::builder().r#type(FailureType::JobFailed).message(message).build().unwrap();
    let call = client.put_job_failure_result().job_id(job.id().unwrap()).failure_details(details);
    call.send().await.map(|_| ()).map_err(|error| error.code().unwrap_or_default().to_owned())
}
