//! An account with a registry, and a janitor that works in it with the shipped code.

use std::time::{Duration, SystemTime};

use aws_types::SdkConfig;
use coalmine_door::store::Location;
use coalmine_janitor::policy::Policy;
use coalmine_janitor::progress::Progress;
use coalmine_janitor::run::{Run, RunError};
use serde_json::{Value, json};
use simulator::ecr::ImageSpec;
use simulator::ecs::ServiceSpec;
use simulator::{Service, Settings, Simulator, World};

/// The access key that the janitor signs with.
pub(crate) const JANITOR_KEY: &str = "AKIAJANITOR";
/// A day.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The registry's host.
pub(crate) const HOST: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
/// A policy that lets everything go that is old: no newest, and guards that hold nothing back.
pub(crate) const EAGER: &str = r#"
[defaults]
keep_newest = 1
[[rules]]
repositories = ["**"]
[guards]
max_percent = 100
"#;

/// A registry and its janitor.
#[derive(Debug)]
pub(crate) struct Yard {
    pub(crate) simulator: Simulator,
    policy: Policy,
}

/// How a run ended: its exit code, and what it printed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: u8,
    pub(crate) lines: Vec<Value>,
}

impl Yard {
    /// An empty account, and a policy.
    pub(crate) fn new(seed: u64, policy: &str) -> Self {
        Self::of(Simulator::new(Settings::seeded(seed)), policy)
    }

    /// An account, and a policy.
    pub(crate) fn of(simulator: Simulator, policy: &str) -> Self {
        simulator.with_world(|world| {
            let now = world.now;
            world.s3.create_bucket("state", now);
            // The janitor's role is registered as a pull-time exclusion, as README.md says.
            world.ecr.batch_get_counts_as_pull = false;
        });
        Self { simulator, policy: Policy::parse(policy).expect("a policy") }
    }

    /// Looks at or changes the world.
    pub(crate) fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        self.simulator.with_world(look)
    }

    /// The date, so many days ago.
    pub(crate) fn days_ago(&self, days: u32) -> SystemTime {
        self.simulator.clock().now() - DAY * days
    }

    /// Pushes a release of a repository, an index over two architectures; its digest.
    pub(crate) fn push(&self, repository: &str, tag: &str, days_ago: u32) -> String {
        let at = self.days_ago(days_ago);
        self.world(|world| world.ecr.push(ImageSpec::new(repository, tag, at)))
    }

    /// A service that runs an image.
    pub(crate) fn run(&self, service: &str, image: &str) {
        let definition = json!({
            "family": service,
            "containerDefinitions": [{"name": "web", "image": image, "memory": 128}],
        });
        self.world(|world| world.add_service(ServiceSpec::new("prod", service, definition, 2)).expect("a service"));
    }

    /// Lets days pass.
    pub(crate) async fn pass(&self, days: u32) {
        self.simulator.clock().wait(DAY * days).await;
    }

    async fn begin(&self) -> Result<Run<'_>, RunError> {
        self.begin_through(&self.simulator.sdk_config(JANITOR_KEY)).await
    }

    async fn begin_through(&self, door: &SdkConfig) -> Result<Run<'_>, RunError> {
        let state = Location::S3 { bucket: "state".into(), prefix: "coalmine".into() };
        Run::begin(door, &self.policy, &state, self.policy.run.budget, Progress::new(false)).await
    }

    /// `coalmine-janitor plan --json`.
    pub(crate) async fn plan(&self) -> Ended {
        self.plan_through(&self.simulator.sdk_config(JANITOR_KEY)).await
    }

    /// The same through a door of another kind.
    pub(crate) async fn plan_through(&self, door: &SdkConfig) -> Ended {
        let mut out = Vec::new();
        let run = self.begin_through(door).await.expect("a run");
        let code = run.plan(&mut out, true, None).await.expect("a plan");
        Ended::of(code, &out)
    }

    /// `coalmine-janitor sweep --yes --json`.
    pub(crate) async fn sweep(&self) -> Ended {
        self.sweep_asking(&|_| true).await
    }

    /// `coalmine-janitor sweep --json`, where somebody answers.
    pub(crate) async fn sweep_asking(&self, ask: &dyn Fn(&str) -> bool) -> Ended {
        let mut out = Vec::new();
        let run = self.begin().await.expect("a run");
        let code = run.sweep(&mut out, true, None, false, ask).await.expect("a sweep");
        Ended::of(code, &out)
    }

    /// `coalmine-janitor why IMAGE`.
    pub(crate) async fn why(&self, image: &str) -> String {
        let mut out = Vec::new();
        self.begin().await.expect("a run").why(&mut out, false, image).await.expect("an image");
        String::from_utf8(out).expect("text")
    }

    /// A plan and, a day later, a sweep: what two scans condemn is gone.
    pub(crate) async fn clean(&self) -> Ended {
        self.plan().await;
        self.pass(1).await;
        self.sweep().await
    }

    /// The tags that a repository still has.
    pub(crate) fn tags(&self, repository: &str) -> Vec<String> {
        self.world(|world| world.ecr.tags(repository).into_iter().map(|(tag, _)| tag).collect())
    }

    /// How many images a repository still has.
    pub(crate) fn images(&self, repository: &str) -> usize {
        self.world(|world| world.ecr.digests(repository).len())
    }

    /// How often the janitor called an operation.
    pub(crate) fn calls(&self, service: Service, operation: &str) -> usize {
        self.simulator.with_calls(|calls| {
            let made = calls.records.iter().filter(|call| call.service == service && call.operation == operation);
            made.filter(|call| call.access_key.starts_with(JANITOR_KEY)).count()
        })
    }
}

impl Ended {
    fn of(code: u8, out: &[u8]) -> Self {
        let text = std::str::from_utf8(out).expect("text");
        Self { code, lines: text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect() }
    }

    /// What the first line says, about the run as a whole.
    pub(crate) fn head(&self) -> &Value {
        &self.lines[0]
    }
}
