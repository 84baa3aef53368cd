//! Telling a story: people push, start and approve; time passes; the worker works.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_codepipeline::types::{ActionExecutionStatus, ApprovalStatus, PipelineExecutionStatus};
use coalmine_pipeline::{action_type, contract};
use coalmine_worker::run::{self, Settings, Stopped};
use coalmine_worker::tell::Telling;
use serde_json::{Value, json};
use simulator::codepipeline::ActionRun;
use simulator::ecr::Behaviour;
use simulator::ecs::ServiceView;
use simulator::{Simulator, Skew, World};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::application::{Application, CLUSTER};
use super::invariants::Invariants;
pub(crate) use super::permissions::ledger;
use super::{permissions, recorder};

/// The access key that the worker signs with; it names the worker in the call log.
pub(crate) const WORKER_KEY: &str = "AKIAWORKER";

/// The access key of a second worker.
pub(crate) const PEER_KEY: &str = "AKIAPEER";

/// How many full services are watched at every event. A hundred of one kind do alike, and watching costs their square.
const WATCHED_MOST: usize = 10;

/// How long a story waits for something before it fails, in simulated time.
const PATIENCE: Duration = Duration::from_secs(6 * 3_600);

/// A running story.
#[derive(Debug)]
pub(crate) struct Story {
    /// The account.
    pub(crate) simulator: Simulator,
    worker: Option<Worker>,
    invariants: Invariants,
}

/// How the names of operations begin that change nothing.
pub(crate) const READS: [&str; 5] = ["Describe", "List", "Poll", "Get", "BatchGet"];

/// A worker at work, with the shipped code.
#[derive(Debug)]
pub(crate) struct Worker {
    stop: oneshot::Sender<()>,
    running: JoinHandle<Option<Stopped>>,
}

impl Worker {
    /// A worker that signs with `key`, and may do what Terraform grants it.
    pub(crate) fn start(simulator: &Simulator, key: &str, settings: Settings) -> Self {
        Self::start_skewed(simulator, key, settings, Skew::None)
    }

    /// The same where the worker's clock is off.
    pub(crate) fn start_skewed(simulator: &Simulator, key: &str, settings: Settings, skew: Skew) -> Self {
        Self::begin(simulator, key, settings, skew, None)
    }

    /// The same, with health checks answered on a socket.
    pub(crate) fn listening(simulator: &Simulator, key: &str, settings: Settings, listener: TcpListener) -> Self {
        Self::begin(simulator, key, settings, Skew::None, Some(listener))
    }

    fn begin(simulator: &Simulator, key: &str, settings: Settings, skew: Skew, listener: Option<TcpListener>) -> Self {
        simulator.permit(key, permissions::of_workers());
        let door = simulator.sdk_config_skewed(key, skew);
        let (stop, stopped) = oneshot::channel();
        let (simulator, key) = (simulator.clone(), key.to_owned());
        let running = tokio::spawn(async move {
            let told = async {
                let _ = stopped.await;
            };
            let working = async {
                match listener {
                    None => run::run(&door, &settings, told).await,
                    Some(listener) => run::run_listening(&door, &settings, listener, told).await,
                }
            };
            simulator.while_alive(&key, working).await.ok()
        });
        Self { stop, running }
    }

    /// Drops it where it stands.
    async fn drop_at_once(self) {
        self.running.abort();
        let _ = self.running.await;
    }

    /// Stops it as SIGTERM does; how it ended.
    pub(crate) async fn stop(self) -> Stopped {
        self.stop_if_alive().await.expect("the worker lives")
    }

    /// The same for a worker that may be dead, or die while it stops: then `None`.
    pub(crate) async fn stop_if_alive(self) -> Option<Stopped> {
        let _ = self.stop.send(());
        self.running.await.expect("the worker does not panic")
    }
}

/// A story that fails shows its seed and its picture; one that ends was watched to its end.
impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the story's seed is {}\n{}", self.simulator.settings().seed, self.picture());
        } else {
            self.simulator.with_world(|world| self.invariants.assert_all_answered(world));
            assert_eq!(self.simulator.take_refusals(), [""; 0], "the worker's policy lacks something");
        }
    }
}

impl Story {
    /// A story with applications that run `v1`, the action types provisioned, and a worker at work.
    pub(crate) fn begin(simulator: Simulator, applications: &[&Application]) -> Self {
        let built: Vec<Application> = applications.iter().map(|application| (*application).clone()).collect();
        let mut story = Self::without_worker(simulator, applications, |world| prepare(world, &built, true));
        story.start_worker();
        story
    }

    /// A story on an account that is made otherwise, and is watched as if the applications were in it.
    pub(crate) fn without_worker(
        simulator: Simulator,
        watched: &[&Application],
        make: impl FnOnce(&mut World),
    ) -> Self {
        // The programs' own jitter comes from this thread's generator: the seed repeats the whole story.
        fastrand::seed(simulator.settings().seed);
        recorder::record(&simulator);
        simulator.with_world(make);
        let watched = &watched[..watched.len().min(WATCHED_MOST)];
        let invariants = Invariants::watch(&simulator, watched);
        Self { simulator, worker: None, invariants }
    }

    /// Starts a worker with the shipped code and settings of its own.
    pub(crate) fn start_worker_with(&mut self, settings: Settings) {
        self.worker = Some(Worker::start(&self.simulator, WORKER_KEY, settings));
    }

    /// Starts a worker with the shipped code and its default settings.
    pub(crate) fn start_worker(&mut self) {
        self.worker = Some(Worker::start(&self.simulator, WORKER_KEY, settings("default", 20)));
    }

    /// Starts a worker whose turns hold their jobs for longer.
    pub(crate) fn start_lingering_worker(&mut self, linger: Duration) {
        let settings = Settings { linger, ..settings("default", 20) };
        self.worker = Some(Worker::start(&self.simulator, WORKER_KEY, settings));
    }

    /// Stops the worker as SIGTERM does; how it ended.
    pub(crate) async fn stop_worker(&mut self) -> Stopped {
        self.worker.take().expect("a running worker").stop().await
    }

    /// Drops the worker's program where it stands.
    pub(crate) async fn drop_worker(&mut self) {
        self.worker.take().expect("a running worker").drop_at_once().await;
    }

    /// A call as raw JSON, which also shows what the SDK does not know; the reply.
    pub(crate) async fn raw(&self, target: &str, request: &Value) -> Value {
        let request = http::Request::post("/").header("x-amz-target", target).body(request.to_string().into());
        let reply = self.simulator.handle(request.expect("a request")).await;
        serde_json::from_slice(reply.body()).expect("JSON")
    }

    /// The task definition that a service runs, as ECS describes it, and its tags.
    pub(crate) async fn definition(&self, service: &str) -> (Value, BTreeMap<String, String>) {
        let asked = json!({"taskDefinition": self.runs(service), "include": ["TAGS"]});
        let reply = self.raw("AmazonEC2ContainerServiceV20141113.DescribeTaskDefinition", &asked).await;
        let tag = |tag: &Value| Some((tag["key"].as_str()?.to_owned(), tag["value"].as_str()?.to_owned()));
        let tags = reply["tags"].as_array().into_iter().flatten().filter_map(tag).collect();
        (reply["taskDefinition"].clone(), tags)
    }

    /// The simulated date.
    pub(crate) fn now(&self) -> SystemTime {
        self.simulator.clock().now()
    }

    /// Looks at or changes the world.
    pub(crate) fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        let answer = self.simulator.with_world(look);
        self.invariants.assert_held();
        answer
    }

    /// Somebody is about to roll an application back: its services may return to what they ran before, and to nothing
    /// else.
    pub(crate) fn expect_rollback(&self, app: &Application) {
        for service in [app.name.clone(), app.canary_name()] {
            self.invariants.expect_rollback(&service);
        }
    }

    /// Workers are about to die.
    pub(crate) fn expect_deaths(&self) {
        self.invariants.expect_deaths();
    }

    /// A worker that was frozen may wake and send what it meant to do to a service long ago: from now on that counts as
    /// somebody's doing.
    pub(crate) fn expect_late_calls(&self, service: &str) {
        self.invariants.expect_late_calls(service);
    }

    /// Waits until the worker stands still.
    pub(crate) async fn frozen(&self) {
        let simulator = self.simulator.clone();
        self.until("a frozen worker", |_| simulator.is_frozen(WORKER_KEY)).await;
    }

    /// A person is about to change a service on purpose.
    pub(crate) fn expect_change(&self, service: &str) {
        self.invariants.expect_change(service);
    }

    /// A build pushes an image, uploads its `imagedefinitions.json` and starts the pipeline; the execution's id.
    pub(crate) fn release(&self, application: &Application, tag: &str, behaviour: Behaviour) -> String {
        self.world(|world| {
            application.push(world, tag, behaviour);
            let definitions = application.image_definitions(world, tag);
            upload(world, application, definitions.as_bytes());
            world.start_pipeline(&application.pipeline, &Default::default()).expect("an execution")
        })
    }

    /// Lets simulated time pass.
    pub(crate) async fn pass(&self, duration: Duration) {
        self.simulator.clock().wait(duration).await;
    }

    /// Waits, a second at a time, until something is so.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&World) -> bool) {
        let begin = self.now();
        while !self.world(|world| holds(world)) {
            let waited = self.now().duration_since(begin).unwrap_or_default();
            let seed = self.simulator.settings().seed;
            assert!(waited < PATIENCE, "{what} did not come about within {waited:?} (seed {seed})\n{}", self.picture());
            self.pass(Duration::from_secs(1)).await;
        }
    }

    /// The same for what a story itself can tell.
    pub(crate) async fn until_so(&self, what: &str, holds: impl Fn() -> bool) {
        let begin = self.now();
        while !holds() {
            let waited = self.now().duration_since(begin).unwrap_or_default();
            let seed = self.simulator.settings().seed;
            assert!(waited < PATIENCE, "{what} did not come about within {waited:?} (seed {seed})\n{}", self.picture());
            self.pass(Duration::from_secs(1)).await;
        }
    }

    /// Waits for an approval and answers it.
    pub(crate) async fn answer(&self, pipeline: &str, stage: &str, status: ApprovalStatus) {
        let what = format!("the approval in stage {stage} of {pipeline}");
        self.until(&what, |world| world.codepipeline.open_approvals(pipeline).iter().any(|run| run.stage == stage))
            .await;
        self.world(|world| world.answer_approval(pipeline, stage, "Approve", status, "looks good")).expect("an answer");
    }

    /// Approves both approvals of a release.
    pub(crate) async fn approve_all(&self, pipeline: &str) {
        for stage in ["Approve", "Release"] {
            self.answer(pipeline, stage, ApprovalStatus::Approved).await;
        }
    }

    /// Waits until an execution has ended; how.
    pub(crate) async fn ended(&self, pipeline: &str, execution: &str) -> PipelineExecutionStatus {
        self.until(&format!("the end of execution {execution}"), |world| {
            status(world, pipeline, execution) != PipelineExecutionStatus::InProgress
        })
        .await;
        self.world(|world| status(world, pipeline, execution))
    }

    /// The last run of an action of an execution.
    pub(crate) fn action(&self, pipeline: &str, execution: &str, action: &str) -> ActionRun {
        self.world(|world| {
            let found = world.codepipeline.execution(pipeline, execution).expect("an execution");
            let mut runs = found.actions.iter().rev();
            runs.find(|run| run.stage == "Release" && run.name == action).expect("an action run").clone()
        })
    }

    /// The message with which an action failed.
    pub(crate) fn failure(&self, pipeline: &str, execution: &str, action: &str) -> String {
        let run = self.action(pipeline, execution, action);
        assert_eq!(run.status, ActionExecutionStatus::Failed, "{action} should have failed");
        run.error.map(|error| error.message).unwrap_or_default()
    }

    /// A service as it is now.
    pub(crate) fn view(&self, service: &str) -> ServiceView {
        self.world(|world| world.ecs.view(CLUSTER, service)).expect("a service")
    }

    /// The task definition (family:revision) that a service is told to run.
    pub(crate) fn runs(&self, service: &str) -> String {
        self.world(|world| {
            let view = world.ecs.view(CLUSTER, service).expect("a service");
            view.task_definition.rsplit('/').next().unwrap_or_default().to_owned()
        })
    }

    /// The digests that a service's running tasks run, each once.
    pub(crate) fn digests(&self, service: &str) -> Vec<String> {
        self.world(|world| {
            let view = world.ecs.view(CLUSTER, service).expect("a service");
            let running = view.tasks.iter().filter(|task| task.stopped.is_none());
            let mut digests: Vec<String> =
                running.flat_map(|task| &task.digests).filter_map(|(_, digest)| digest.clone()).collect();
            digests.sort();
            digests.dedup();
            digests
        })
    }

    /// The requests that the workers sent of one operation, in their order, without those that were refused.
    pub(crate) fn requests(&self, service: &str, operation: &str) -> Vec<Value> {
        self.simulator.with_calls(|calls| {
            let sent = calls.records.iter().filter(|call| {
                call.service.name() == service
                    && call.operation == operation
                    && call.access_key.starts_with(WORKER_KEY)
                    && call.error.is_none()
            });
            sent.map(|call| call.request.clone()).collect()
        })
    }

    /// The worker's calls that change something, as a picture; without those to its ledger.
    pub(crate) fn picture(&self) -> String {
        let start = self.simulator.settings().epoch;
        self.simulator.with_calls(|calls| {
            calls.picture(start, |call| {
                call.access_key == WORKER_KEY
                    && call.service != simulator::Service::S3
                    && !READS.iter().any(|read| call.operation.starts_with(read))
            })
        })
    }
}

/// How the stories' workers work.
pub(crate) fn settings(pool: &str, slots: usize) -> Settings {
    Settings {
        pool: pool.to_owned(),
        slots,
        linger: Duration::from_secs(60),
        ledger: ledger(),
        telling: Telling::default(),
    }
}

fn status(world: &World, pipeline: &str, execution: &str) -> PipelineExecutionStatus {
    world.codepipeline.execution(pipeline, execution).expect("an execution").status.clone()
}

/// Puts applications that run `v1` into an account. With `provisioned`, the action types and the pipelines are there,
/// too.
pub(crate) fn prepare(world: &mut World, applications: &[Application], provisioned: bool) {
    let now = world.now;
    world.s3.create_bucket("releases", now);
    permissions::create_ledger(world);
    if provisioned {
        for action_type in action_type::implemented() {
            world.create_action_type_from_json(&contract::definition(action_type).to_string()).expect("an action type");
        }
    }
    for application in applications {
        application.build(world, provisioned);
    }
}

/// Uploads a release's source object, zipped.
pub(crate) fn upload(world: &mut World, application: &Application, definitions: &[u8]) {
    put_source(world, application, zipped(&[("imagedefinitions.json", definitions)]));
}

/// Uploads a source object of any content.
pub(crate) fn put_source(world: &mut World, application: &Application, object: Vec<u8>) {
    let now = world.now;
    world.s3.put("releases", &format!("{}/imagedefinitions.zip", application.pipeline), object.into(), now);
}

/// Files in a zip.
pub(crate) fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("a zip");
        std::io::Write::write_all(&mut zip, content).expect("a zip");
    }
    zip.finish().expect("a zip").into_inner()
}
