//! An account with a registry, and a janitor that works in it with the shipped code.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_types::SdkConfig;
use coalmine_janitor::policy::Policy;
use coalmine_janitor::progress::Progress;
use coalmine_janitor::run::{Run, RunError};
use serde_json::{Value, json};
use simulator::ecr::ImageSpec;
use simulator::ecs::ServiceSpec;
use simulator::{Estate, Service, Settings, Simulator, Skew, World};

use crate::grants;

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
    /// How far the janitor's clock is off.
    pub(crate) skew: Skew,
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
            grants::create_state(world);
            // The janitor's role is registered as a pull-time exclusion, as README.md says.
            world.ecr.batch_get_counts_as_pull = false;
        });
        // All janitors of the stories run under the policy that Terraform renders.
        simulator.permit(JANITOR_KEY, grants::of_sweeps());
        Self { simulator, skew: Skew::None, policy: Policy::parse(policy).expect("a policy") }
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
        self.world(|world| {
            let digest = world.ecr.push(ImageSpec::new(repository, tag, at));
            world.ecr.tag_repository(repository, grants::TAG.0, grants::TAG.1).expect("a repository");
            digest
        })
    }

    /// A service that runs an image.
    pub(crate) fn run(&self, service: &str, image: &str) {
        self.add(ServiceSpec::new("prod", service, definition(service, image), 2));
    }

    /// A service that was made this moment, and is to run an image.
    pub(crate) fn begin_service(&self, service: &str, image: &str) {
        self.add(ServiceSpec::new("prod", service, definition(service, image), 2).just_made());
    }

    fn add(&self, service: ServiceSpec) {
        self.world(|world| world.add_service(service).expect("a service"));
    }

    /// Lets days pass.
    pub(crate) async fn pass(&self, days: u32) {
        self.simulator.clock().wait(DAY * days).await;
    }

    async fn begin(&self) -> Result<Run<'_>, RunError> {
        self.begin_through(&self.simulator.sdk_config_skewed(JANITOR_KEY, self.skew)).await
    }

    /// Builds a large account, whose repositories may be swept.
    pub(crate) fn build(&self, estate: &Estate) {
        self.world(|world| {
            estate.build(world).expect("an account");
            for repository in world.ecr.repository_names() {
                world.ecr.tag_repository(&repository, grants::TAG.0, grants::TAG.1).expect("a repository");
            }
        });
    }

    /// A run through a door of another kind.
    pub(crate) async fn begin_through(&self, door: &SdkConfig) -> Result<Run<'_>, RunError> {
        Run::begin(door, &self.policy, &grants::state(), self.policy.run.budget, Progress::new(false)).await
    }

    /// `coalmine-janitor plan --json`.
    pub(crate) async fn plan(&self) -> Ended {
        self.try_plan().await.expect("a plan")
    }

    /// The same where it may go wrong.
    pub(crate) async fn try_plan(&self) -> Result<Ended, RunError> {
        let mut out = Vec::new();
        let code = self.begin().await?.plan(&mut out, true, None).await?;
        Ok(Ended::of(code, &out))
    }

    /// `coalmine-janitor plan --json --out FILE`.
    pub(crate) async fn plan_to(&self, file: &Path) -> Ended {
        let mut out = Vec::new();
        let code = self.begin().await.expect("a run").plan(&mut out, true, Some(file)).await.expect("a plan");
        Ended::of(code, &out)
    }

    /// `coalmine-janitor sweep --plan FILE --yes --json`.
    pub(crate) async fn sweep_plan(&self, file: &Path) -> Result<Ended, RunError> {
        let mut out = Vec::new();
        let code = self.begin().await?.sweep(&mut out, true, Some(file), false, &|_| true).await?;
        Ok(Ended::of(code, &out))
    }

    /// `coalmine-janitor sweep --yes --json`.
    pub(crate) async fn sweep(&self) -> Ended {
        self.try_sweep().await.expect("a sweep")
    }

    /// The same where it may go wrong.
    pub(crate) async fn try_sweep(&self) -> Result<Ended, RunError> {
        let mut out = Vec::new();
        let code = self.begin().await?.sweep(&mut out, true, None, false, &|_| true).await?;
        Ok(Ended::of(code, &out))
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

    /// Works by another policy from now on.
    pub(crate) fn change_policy(&mut self, policy: &str) {
        self.policy = Policy::parse(policy).expect("a policy");
    }

    /// `coalmine-janitor plan`, for people.
    pub(crate) async fn told(&self) -> String {
        let mut out = Vec::new();
        self.begin().await.expect("a run").plan(&mut out, false, None).await.expect("a plan");
        String::from_utf8(out).expect("text")
    }

    /// `coalmine-janitor scan --json --metrics`: how it ended, and the metrics.
    pub(crate) async fn scan(&self) -> (Ended, Option<Value>) {
        let mut out = Vec::new();
        let run = self.begin().await.expect("a run");
        let code = run.scan(&mut out, true).await.expect("a scan");
        (Ended::of(code, &out), numbers(&run))
    }

    /// `coalmine-janitor sweep --yes --json --metrics`, with `--dry-run` or without.
    pub(crate) async fn sweep_counted(&self, is_dry: bool) -> (Ended, Option<Value>) {
        let mut out = Vec::new();
        let run = self.begin().await.expect("a run");
        let code = run.sweep(&mut out, true, None, is_dry, &|_| true).await.expect("a sweep");
        (Ended::of(code, &out), numbers(&run))
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

    /// What the janitor remembers, as JSON.
    pub(crate) fn memory(&self) -> Value {
        let body = self.world(|world| world.s3.get(grants::BUCKET, grants::MEMORY).expect("a memory").body.clone());
        serde_json::from_reader(flate2::read::GzDecoder::new(&body[..])).expect("packed JSON")
    }

    /// Lets it remember something else.
    pub(crate) fn set_memory(&self, memory: &Value) {
        self.world(|world| world.s3.put(grants::BUCKET, grants::MEMORY, packed(memory).into(), world.now));
    }

    /// All images of all repositories, by digest.
    pub(crate) fn all(&self) -> BTreeMap<String, Vec<String>> {
        self.world(|world| {
            let names = world.ecr.repository_names().into_iter();
            names.map(|name| (name.clone(), world.ecr.digests(&name))).collect()
        })
    }

    /// How often the janitor called an operation.
    pub(crate) fn calls(&self, service: Service, operation: &str) -> usize {
        self.simulator.with_calls(|calls| {
            let made = calls.records.iter().filter(|call| call.service == service && call.operation == operation);
            made.filter(|call| call.access_key.starts_with(JANITOR_KEY)).count()
        })
    }
}

fn numbers(run: &Run<'_>) -> Option<Value> {
    run.metrics().map(|line| serde_json::from_str(&line).expect("JSON"))
}

/// A task definition of one container.
pub(crate) fn definition(family: &str, image: &str) -> Value {
    json!({"family": family, "containerDefinitions": [{"name": "web", "image": image, "memory": 128}]})
}

impl Ended {
    pub(crate) fn of(code: u8, out: &[u8]) -> Self {
        let text = std::str::from_utf8(out).expect("text");
        Self { code, lines: text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect() }
    }

    /// What the first line says, about the run as a whole.
    pub(crate) fn head(&self) -> &Value {
        &self.lines[0]
    }
}

/// No story may end with a call that the policy refused, unless it took the refusal.
impl Drop for Yard {
    fn drop(&mut self) {
        let refused = self.simulator.take_refusals();
        assert!(refused.is_empty() || std::thread::panicking(), "refused by the policy: {refused:#?}");
    }
}

/// A memory as it is kept.
pub(crate) fn packed(memory: &Value) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    serde_json::to_writer(&mut packed, memory)
        .and_then(|()| packed.finish().map_err(serde_json::Error::io))
        .expect("memory")
}

/// The lists of images of a repository that a memory condemns, one for each date.
pub(crate) fn condemned<'m>(memory: &'m mut Value, repository: &str) -> impl Iterator<Item = &'m mut Vec<Value>> {
    let by_date = memory["memory"]["condemned"][repository].as_object_mut().expect("dates");
    by_date.values_mut().map(|digests| digests.as_array_mut().expect("digests"))
}
