//! What a story cost: calls of actions, calls of observation, and how soon an end was told.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_codepipeline::types::{ApprovalStatus, JobStatus, PipelineExecutionStatus};
use simulator::codepipeline::ActionRun;
use simulator::ecr::Behaviour;
use simulator::{CallRecord, Service, Settings, Simulator};

use super::application::{Application, CLUSTER};
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

/// What one action cost.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    /// `Canary` or `Full`.
    pub(crate) action: &'static str,
    /// Its calls, by operation.
    pub(crate) calls: BTreeMap<String, usize>,
    /// How soon its end was told.
    pub(crate) delay: Delay,
}

impl Cost {
    /// All its calls.
    pub(crate) fn sum(&self) -> usize {
        self.calls.values().sum()
    }
}

/// How many services ten minutes of observation are measured on: a canary and a full one of each application.
const QUIET_APPLICATIONS: usize = 5;

/// The calls of ten minutes of looking at ten services in which nothing happens, by operation.
pub(crate) async fn ten_quiet_minutes() -> BTreeMap<String, usize> {
    let apps: Vec<Application> = (1..=QUIET_APPLICATIONS)
        .map(|number| Application::web(&format!("app{number}"), 5).with_alarm(&format!("errors{number}")))
        .map(|app| app.canary_with("BakeTime", "20m"))
        .collect();
    let story = Story::begin(Simulator::new(Settings::seeded(1)), &apps.iter().collect::<Vec<_>>());
    for app in &apps {
        story.release_to_canary(app, "v2", Behaviour::Good).await;
    }
    story.bakes(apps.len()).await;
    story.pass(Duration::from_secs(60)).await;
    let counts = story.observation_for(Duration::from_secs(600)).await;
    for app in &apps {
        story.answer(&app.name, "Release", ApprovalStatus::Rejected).await;
    }
    counts
}

impl Story {
    /// Releases a good image all the way; what each of its actions cost.
    pub(crate) async fn cost_of_a_release(&self, app: &Application) -> [Cost; 2] {
        let execution = self.release(app, "v2", Behaviour::Good);
        self.approve_all(&app.pipeline).await;
        assert_eq!(self.ended(&app.pipeline, &execution).await, PipelineExecutionStatus::Succeeded);
        let cost = async |action: &'static str, service: &str| {
            let calls = self.charged(&self.action(&app.pipeline, &execution, action));
            Cost { action, calls, delay: self.delay(&app.pipeline, &execution, action, service).await }
        };
        [cost("Canary", &app.canary_name()).await, cost("Full", &app.name).await]
    }

    /// The calls of one action, by operation: of everybody, for an artifact is read with credentials of its own. One
    /// look whether the execution still wants the job is free every 30 seconds; those before each act are charged.
    fn charged(&self, run: &ActionRun) -> BTreeMap<String, usize> {
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
    async fn bakes(&self, jobs: usize) {
        self.until(&format!("{jobs} bakes"), |world| {
            let held = world.codepipeline.jobs().iter().filter(|job| job.status == JobStatus::InProgress);
            let tokens = held.filter_map(|job| job.continuation_token.as_deref());
            tokens.filter(|token| token.contains("\"bake\"")).count() == jobs
        })
        .await;
    }

    /// The calls of observation while time passes, by operation.
    async fn observation_for(&self, duration: Duration) -> BTreeMap<String, usize> {
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
