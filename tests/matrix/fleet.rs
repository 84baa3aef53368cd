//! A fleet is rolled back, in a world of its own: by a pipeline's action, or by an operator's command.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use coalmine_worker::cli::{EXIT_NOT_BACK, EXIT_NOT_POSSIBLE, EXIT_OK, EXIT_SURROUNDINGS};
use simulator::faults::{Fault, FaultPlan, Rule};
use simulator::{Settings, Simulator};
use tokio::runtime::Builder;

use crate::play::{Calls, Cast, LAG, PEER_KEY, calls_of, said};
use crate::stage::story::prepare;
use crate::stage::{Application, OPERATOR_KEY, Story, WORKER_KEY, Worker, order, settings};

/// How soon who died is started again.
const RESTART: Duration = Duration::from_secs(5);

/// How long what comes late may take: longer than the longest freeze.
const AFTERWARDS: Duration = Duration::from_secs(150);

/// How often a rollback that was given up is begun again, before it counts as one that cannot be done.
const AGAIN: usize = 2;

/// Who rolls back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Roller {
    /// A worker, told by a pipeline.
    Action,
    /// An operator, with the command.
    Operator,
}

impl Roller {
    /// The access key of the first of them.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Action => WORKER_KEY,
            Self::Operator => OPERATOR_KEY,
        }
    }
}

/// What a service is at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceEnd {
    /// Its name.
    pub(crate) name: String,
    runs: String,
    images: Vec<String>,
    tasks: usize,
    percents: (i32, i32),
    deployments: usize,
}

impl fmt::Display for ServiceEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, tasks, percents: (minimum, maximum), deployments, .. } = self;
        write!(f, "{tasks} x {runs} at {minimum}/{maximum} after {deployments}")
    }
}

/// A rollback that was told to its end.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    /// What its tries came to, each but the last given up.
    pub(crate) tries: Vec<String>,
    /// The services at the end.
    pub(crate) services: Vec<ServiceEnd>,
    /// The calls of who rolled back: of both workers, and of the first operator.
    pub(crate) calls: Calls,
}

/// Applications ran `v1`, `v2` and `v3`, and are returned to `v2`. Every other one has percents of its own.
///
/// # Errors
/// What it failed with, where it did not come to an end or broke what must always hold.
pub(crate) fn play(roller: Roller, size: usize, cast: Cast, plan: Option<FaultPlan>) -> Result<Played, String> {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    catch_unwind(AssertUnwindSafe(|| runtime.block_on(tell(roller, size, cast, plan)))).map_err(said)
}

async fn tell(roller: Roller, size: usize, cast: Cast, plan: Option<FaultPlan>) -> Played {
    let simulator = Simulator::new(Settings::seeded(41));
    let apps: Vec<Application> = (0..size).map(application).collect();
    let watched: Vec<&Application> = apps.iter().collect();
    let story = Story::without_worker(simulator.clone(), &watched, |world| prepare(world, &apps, true));
    story.expect_deaths();
    story.at_the_third_release(&apps).await;
    // What was done just now may not be seen yet.
    story.pass(LAG).await;
    if let Some(plan) = plan {
        simulator.inject(plan);
    }
    if cast == Cast::OneOnShortPages {
        simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::ShortPage(1)).caller(roller.key())));
    }
    let tries = match roller {
        Roller::Action => by_action(&story, &apps, cast).await,
        Roller::Operator => by_operators(&story, &apps, cast).await,
    };
    let rollers = [roller.key(), PEER_KEY];
    let calls = calls_of(&simulator, if roller == Roller::Action { &rollers } else { &rollers[..1] });
    story.pass(AFTERWARDS).await;
    let mut services = Vec::new();
    for app in &apps {
        for name in [app.name.clone(), app.canary_name()] {
            services.push(ServiceEnd {
                runs: story.runs(&name),
                images: story.digests(&name),
                tasks: story.tasks(&name),
                percents: story.percents(&name),
                deployments: story.deployments(&name).await,
                name,
            });
        }
    }
    Played { tries, services, calls }
}

fn application(number: usize) -> Application {
    let mut app = Application::web(&format!("s{number}"), 3);
    if number % 2 == 1 {
        app.deployment = serde_json::json!({"minimumHealthyPercent": 50, "maximumPercent": 200});
    }
    app
}

/// A pipeline's button is pressed, and once more where that was given up.
async fn by_action(story: &Story, apps: &[Application], cast: Cast) -> Vec<String> {
    let names: Vec<&str> = apps.iter().map(|app| app.name.as_str()).collect();
    story.rollback_pipeline(&apps[0], &names.join(","), &[]);
    let simulator = &story.simulator;
    let mut tries = Vec::new();
    let mut execution = story.press();
    let _worker = Worker::start(simulator, WORKER_KEY, settings("default", 20));
    let _peer = (cast == Cast::Two).then(|| Worker::start(simulator, PEER_KEY, settings("default", 20)));
    let again = simulator.clone();
    let _restarted = tokio::spawn(async move {
        if cast == Cast::Two {
            return None;
        }
        again.until_death(WORKER_KEY).await;
        again.clock().wait(RESTART).await;
        Some(Worker::start(&again, PEER_KEY, settings("default", 20)))
    });
    loop {
        let status = story.ended("rollback", &execution).await;
        if status == PipelineExecutionStatus::Succeeded {
            tries.push("succeeded".to_owned());
            return tries;
        }
        tries.push(format!("{status}: {}", story.failure("rollback", &execution, "Rollback")));
        assert!(tries.len() <= AGAIN, "the rollback cannot be done: {tries:#?}");
        execution = story.press();
    }
}

/// Operators roll back; who dies, or is told that it is not done, gives the same command again.
async fn by_operators(story: &Story, apps: &[Application], cast: Cast) -> Vec<String> {
    apps.iter().for_each(|app| story.expect_rollback(app));
    let alone = cast != Cast::Two;
    let second = async {
        if !alone {
            by_operator(story, apps, (PEER_KEY, alone)).await;
        }
    };
    tokio::join!(by_operator(story, apps, (OPERATOR_KEY, alone)), second).0
}

async fn by_operator(story: &Story, apps: &[Application], (key, alone): (&str, bool)) -> Vec<String> {
    let names: Vec<&str> = apps.iter().map(|app| app.name.as_str()).collect();
    let mut tries = Vec::new();
    let mut key = key.to_owned();
    loop {
        let before: Vec<String> = names.iter().map(|name| story.runs(name)).collect();
        let command = story.roll_back_until(order(&names), &key, std::future::pending());
        match story.simulator.while_alive(&key, command).await {
            Err(death) => tries.push(format!("died at {}", death.call)),
            Ok(rolled) if rolled.code == EXIT_OK => {
                tries.push("succeeded".to_owned());
                return tries;
            }
            Ok(rolled) => {
                assert!([EXIT_SURROUNDINGS, EXIT_NOT_POSSIBLE, EXIT_NOT_BACK].contains(&rolled.code), "{rolled:?}");
                let nothing = rolled.code != EXIT_NOT_BACK && alone;
                let after: Vec<String> = names.iter().map(|name| story.runs(name)).collect();
                assert!(!nothing || before == after, "something was done: {rolled:?}");
                tries.push(format!("{}: {}{}", rolled.code, rolled.words, rolled.out));
            }
        }
        assert!(tries.len() <= AGAIN, "the rollback cannot be done: {tries:#?}");
        story.pass(RESTART).await;
        // Another process.
        key.push('A');
    }
}
