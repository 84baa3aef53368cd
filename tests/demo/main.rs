//! `cargo demo`: three pipelines take a release through two approvals, a canary and a turnover; then a release that
//! crashes is undone, and the canary of one that is rejected goes back; then one command rolls three services back, and at
//! last the janitor cleans the registry. The shipped code, against the simulated AWS on a loopback socket, in fast time.

mod approver;
mod janitor;
mod rollback;
#[path = "../stage/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    clippy::expect_used,
    reason = "made for the scenarios; the demo plays a part of it"
)]
mod stage;
mod view;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use approver::Approver;
use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use aws_types::SdkConfig;
use clap::Parser;
use coalmine_worker::run::{self, Settings};
use simulator::ecr::Behaviour;
use simulator::{Answer, Simulator, World};
use stage::loopback::loopback;
use stage::{Application, OPERATOR_KEY, WORKER_KEY};
use tokio::sync::oneshot;
use view::View;

/// Shows a release going through Approve → Canary → Approve → Full on a simulated AWS.
#[derive(Debug, Parser)]
struct Arguments {
    /// Ask you for the approvals, instead of approving everything that is well
    #[arg(long, env = "COALMINE_DEMO_INTERACTIVE")]
    interactive: bool,
    /// Leave the simulated AWS and the worker running at the end, for the AWS CLI
    #[arg(long, env = "COALMINE_DEMO_KEEP")]
    keep: bool,
    /// Play nothing: serve a prepared account on this port, with a worker, until Ctrl-C; SIGHUP makes its date this machine's
    #[arg(long, env = "COALMINE_DEMO_SERVE", value_name = "PORT")]
    serve: Option<u16>,
    /// Simulated seconds per second
    #[arg(long, env = "COALMINE_DEMO_SPEED", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=120))]
    speed: u32,
    /// The seed of all chance: the same seed tells nearly the same story (sockets are not on virtual time)
    #[arg(long, env = "COALMINE_DEMO_SEED", default_value_t = 7)]
    seed: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match play(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("the demo did not end as it should: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn play(arguments: &Arguments) -> Result<(), String> {
    let mut settings = simulator::Settings::seeded(arguments.seed);
    settings.speed = arguments.speed;
    let simulator = Simulator::new(settings);
    let address = simulator.serve(arguments.serve.unwrap_or(0)).await.map_err(|problem| problem.to_string())?;
    let endpoint = format!("http://{address}");
    let applications = [
        Application::web("app", 10).with_breaker().with_alarm("app-5xx"),
        Application::web("search", 4).with_breaker(),
        Application::queue_workers("background", 2, 18).with_breaker(),
    ];
    simulator.with_world(|world| {
        stage::story::prepare(world, &applications, arguments.serve.is_none());
        janitor::furnish(world, &applications);
    });
    let (stop, stopped) = oneshot::channel();
    let worker = tokio::spawn(work(loopback(&simulator, WORKER_KEY, &endpoint), stopped));
    if arguments.serve.is_some() {
        // What whoever drives this account from outside will release.
        for tag in ["v2", "v3"] {
            simulator.with_world(|world| applications[0].push(world, tag, Behaviour::Good));
        }
        simulator.with_world(neighbours).map_err(|problem| problem.to_string())?;
        return serve(&simulator, &endpoint).await;
    }
    let terminal = std::io::stdout().is_terminal();
    let view = View::new(&simulator, &applications, terminal);
    let approver = Approver::new(&simulator, arguments.interactive);
    good(&simulator, &applications, &view, &approver).await?;
    bad(&simulator, &applications[0], &applications[1], &view, &approver).await?;
    calls(&simulator);
    rollback::back(&loopback(&simulator, OPERATOR_KEY, &endpoint), &applications, &view).await?;
    janitor::clean(&simulator, &loopback(&simulator, janitor::KEY, &endpoint), &view).await?;
    if arguments.keep {
        return serve(&simulator, &endpoint).await;
    }
    let _ = stop.send(());
    worker.await.map_err(|problem| problem.to_string())?;
    Ok(())
}

/// What else names the application's image: a function, a build project, a rule, a schedule and a daemon.
fn neighbours(world: &mut World) -> Answer<()> {
    let image = format!("{}:v1", world.ecr.uri("app"));
    world.add_function("app", &image)?;
    world.publish_version("app");
    world.codebuild.add_project("app", &image, world.now);
    world.add_daemon(stage::CLUSTER, "app", &[("app", &image)])?;
    let cluster = world.arn("ecs", &format!("cluster/{}", stage::CLUSTER));
    let definition = world.arn("ecs", "task-definition/app:1");
    world.eventbridge.add_task_target("default", "app", &cluster, &definition);
    world.scheduler.add_task("default", "app", &cluster, &definition, world.now);
    Ok(())
}

async fn work(door: SdkConfig, stopped: oneshot::Receiver<()>) {
    let settings = Settings { linger: Duration::from_secs(30), ..stage::settings("default", 20) };
    run::run(&door, &settings, async {
        let _ = stopped.await;
    })
    .await;
}

async fn serve(simulator: &Simulator, endpoint: &str) -> Result<(), String> {
    println!("\nThe simulated AWS and a worker go on running. Point the AWS CLI at them (Ctrl-C ends both):\n");
    println!("  export AWS_ENDPOINT_URL={endpoint} AWS_REGION=eu-central-1 AWS_DEFAULT_REGION=eu-central-1");
    println!("  export AWS_ACCESS_KEY_ID=AKIAYOU AWS_SECRET_ACCESS_KEY=any");
    println!("  aws codepipeline get-pipeline-state --name app");
    let _ = std::io::stdout().flush();
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended.map_err(|problem| problem.to_string()),
        Err(problem) = follow_dates(simulator) => Err(problem.to_string()),
    }
}

/// Moves the simulated date on to this machine's whenever SIGHUP asks for it: programs that compare their clock with AWS's
/// can then look at what has become old meanwhile.
#[cfg(unix)]
#[expect(clippy::disallowed_methods, reason = "this machine's date is what is asked for")]
async fn follow_dates(simulator: &Simulator) -> std::io::Result<()> {
    let mut asked = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    while asked.recv().await.is_some() {
        let ahead = std::time::SystemTime::now().duration_since(simulator.clock().now());
        simulator.clock().move_on(ahead.unwrap_or_default());
    }
    std::future::pending().await
}

#[cfg(not(unix))]
async fn follow_dates(_: &Simulator) -> std::io::Result<()> {
    std::future::pending().await
}

async fn good(
    simulator: &Simulator,
    applications: &[Application],
    view: &View,
    approver: &Approver,
) -> Result<(), String> {
    view.title("A good release goes through three pipelines: Source → Approve → Release {Canary, Approve, Full}");
    let executions: Vec<(&Application, String)> = applications
        .iter()
        .map(|app| (app, simulator.with_world(|world| release(world, app, "v2", Behaviour::Good))))
        .collect();
    view.follow(&executions, approver).await;
    for (app, execution) in &executions {
        expect(simulator, app, execution, &PipelineExecutionStatus::Succeeded)?;
    }
    Ok(())
}

/// At the same time a release crashes, and another one is well, but not liked.
async fn bad(
    simulator: &Simulator,
    app: &Application,
    disliked: &Application,
    view: &View,
    approver: &Approver,
) -> Result<(), String> {
    view.title(
        "Two bad releases: one crashes and is undone, one is rejected by its approver, and its canary goes back",
    );
    let crash = Behaviour::CrashesAfter {
        after: Duration::from_secs(5),
        exit_code: 3,
        lines: vec!["starting app v3".into(), "error: DATABASE_URL is not set".into()],
    };
    let execution = simulator.with_world(|world| release(world, app, "v3", crash));
    let rejected = simulator.with_world(|world| release(world, disliked, "v3", Behaviour::Good));
    let executions = [(app, execution.clone()), (disliked, rejected.clone())];
    view.follow(&executions, &approver.who_dislikes(&disliked.name)).await;
    expect(simulator, app, &execution, &PipelineExecutionStatus::Failed)?;
    // You may like what the demo's approver does not.
    if !approver.asks {
        expect(simulator, disliked, &rejected, &PipelineExecutionStatus::Failed)?;
    }
    let message = simulator.with_world(|world| {
        let found = world.codepipeline.execution(&app.name, &execution)?;
        let failed = found.actions.iter().find_map(|run| run.error.as_ref())?;
        Some(failed.message.clone())
    });
    view.note("What CodePipeline's console shows:");
    view.note(&message.ok_or("the canary action shows no message")?);
    view.returned(disliked).await
}

/// What a build does: push the image, upload its definitions; the upload starts the pipeline.
fn release(world: &mut World, app: &Application, tag: &str, behaviour: Behaviour) -> String {
    app.push(world, tag, behaviour);
    let definitions = app.image_definitions(world, tag);
    stage::story::upload(world, app, definitions.as_bytes());
    world.start_pipeline(&app.name, &Default::default()).unwrap_or_default()
}

fn expect(
    simulator: &Simulator,
    app: &Application,
    execution: &str,
    wanted: &PipelineExecutionStatus,
) -> Result<(), String> {
    let found = simulator
        .with_world(|world| world.codepipeline.execution(&app.name, execution).map(|found| found.status.clone()));
    if found.as_ref() == Some(wanted) {
        return Ok(());
    }
    Err(format!("pipeline {} ended as {found:?}, expected {wanted:?}", app.name))
}

/// How many calls the worker made, by operation.
fn calls(simulator: &Simulator) {
    println!("\nCalls that the worker made, observation included:");
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    simulator.with_calls(|calls| {
        for call in calls.records.iter().filter(|call| call.access_key == WORKER_KEY) {
            *counts.entry(format!("{} {}", call.service.name(), call.operation)).or_default() += 1;
        }
    });
    for (operation, count) in &counts {
        println!("  {count:>5}  {operation}");
    }
    println!("  {:>5}  in all", counts.values().sum::<usize>());
}
