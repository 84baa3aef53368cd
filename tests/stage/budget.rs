//! What a story cost: calls of actions, calls of observation, and how soon an end was told.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_codepipeline::types::JobStatus;
use simulator::codepipeline::ActionRun;
use simulator::{CallRecord, Service};

use super::application::CLUSTER;
use super::story::{Story, WORKER_KEY};

/// How soon the end of an action was told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delay {
    /// From ECS's end to the job's being there again, where it was handed back just then: CodePipeline takes its time
    /// to offer a job again.
    pub(crate) away: Option<Duration>,
    /// From ECS's end, or from the job's being there again, to the result.
    pub(crate) told: Duration,
}

impl Story {
    /// The calls of one action, by operation: of everybody, for an artifact is read with credentials of its own. One
    /// look whether the execution still wants the job is free every 30 seconds; those before each act are charged.
    pub(crate) fn charged(&self, run: &ActionRun) -> BTreeMap<String, usize> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        self.simulator.with_calls(|calls| {
            let during = calls.records.iter().filter(|call| call.at >= run.started && call.at <= run.updated);
            for call in during.filter(|call| !is_free(call)) {
                *counts.entry(call.operation.clone()).or_default() += if call.operation == "ListTasks" { 2 } else { 1 };
            }
        });
        let took = run.updated.duration_since(run.started).unwrap_or_default();
        if let Some(looks) = counts.get_mut("ListActionExecutions") {
            *looks = looks.saturating_sub(usize::try_from(took.as_secs() / 30).expect("a number of looks"));
        }
        counts
    }

    /// Waits until so many jobs only watch what they deployed.
    pub(crate) async fn bakes(&self, jobs: usize) {
        self.until(&format!("{jobs} bakes"), |world| {
            let held = world.codepipeline.jobs().iter().filter(|job| job.status == JobStatus::InProgress);
            let tokens = held.filter_map(|job| job.continuation_token.as_deref());
            tokens.filter(|token| token.contains("\"bake\"")).count() == jobs
        })
        .await;
    }

    /// The calls of observation while time passes, by operation.
    pub(crate) async fn observation_for(&self, duration: Duration) -> BTreeMap<String, usize> {
        let begin = self.now();
        self.pass(duration).await;
        let mut counts = BTreeMap::new();
        self.simulator.with_calls(|calls| {
            let since = calls.records.iter().filter(|call| call.at >= begin);
            for call in since.filter(|call| matches!(call.service, Service::Ecs | Service::CloudWatch)) {
                *counts.entry(call.operation.clone()).or_default() += 1;
            }
        });
        counts
    }

    /// How soon the end of an action was told after ECS was done with the newest deployment of its service.
    pub(crate) async fn delay(&self, pipeline: &str, execution: &str, action: &str, service: &str) -> Delay {
        let ecs = self.somebody();
        let listed = ecs.list_service_deployments().cluster(CLUSTER).service(service).send().await.expect("a list");
        let newest = listed.service_deployments().iter().max_by_key(|brief| brief.created_at().map(|at| at.as_nanos()));
        let done = newest.and_then(|newest| newest.finished_at()).expect("a finished deployment");
        let done = SystemTime::try_from(*done).expect("a date");
        let run = self.action(pipeline, execution, action);
        let taken = self.world(|world| {
            let mut jobs = world.codepipeline.jobs().iter().rev().filter(|job| job.action_execution == run.id);
            jobs.find_map(|job| job.acknowledged.as_ref()).expect("a job").at
        });
        let told = run.updated.duration_since(done.max(taken)).expect("a result after its reason");
        Delay { away: taken.duration_since(done).ok(), told }
    }
}

/// Whether a call is polling, observation or a hand-back, which a release is not charged for:
///
/// - `PollForJobs`, `AcknowledgeJob`, and `PutJobSuccessResult` with a continuation token;
/// - the observer's `DescribeServices`, `DescribeServiceDeployments`, `DescribeAlarms`, and the stopped tasks of a
///   service that changed: `ListTasks(STOPPED)` and `DescribeTasks`. The running tasks are counted by a turn, not by the
///   observer: each page of `ListTasks(RUNNING)` is charged, with the `DescribeTasks` that follows from it;
/// - the ledger, which a worker keeps for all of its jobs together. (Artifacts are read with credentials of their own.)
fn is_free(call: &CallRecord) -> bool {
    match call.operation.as_str() {
        "PollForJobs" | "AcknowledgeJob" => true,
        "PutJobSuccessResult" => call.request.get("continuationToken").is_some(),
        "DescribeServices" | "DescribeServiceDeployments" | "DescribeAlarms" | "DescribeTasks" => true,
        "ListTasks" => call.request["desiredStatus"] == "STOPPED",
        _ => call.service == Service::S3 && call.access_key == WORKER_KEY,
    }
}
