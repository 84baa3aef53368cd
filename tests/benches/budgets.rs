//! Prints what the worker costs beside what it may cost. It asserts nothing: a slow machine is no defect.
//!
//! ```text
//! cargo bench -p coalmine-tests
//! ```
//!
//! The calls and the delays are those of the simulated account on virtual time, and are the same on every machine; a
//! rollback is measured over a socket in real time. The program's own time and memory are those of the release build, which
//! `cargo build --release` makes or finds.

#[path = "../stage/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    clippy::expect_used,
    reason = "made for the scenarios; the bench measures a part of it"
)]
mod stage;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use simulator::{Settings, Simulator};
use stage::{Application, Story, rollback_over_a_socket, ten_quiet_minutes};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How often the program is started for its time.
const STARTS: usize = 25;
/// How long a worker is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(10);

fn main() -> Outcome<()> {
    let virtual_time = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    let real_time = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("{:<52} {:>12} {:>12}", "", "measured", "target");
    virtual_time.block_on(calls_and_delays());
    virtual_time.block_on(quiet_services());
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(rollback());
    let worker = release_build()?;
    let help = median_start(&worker)?;
    line("coalmine-worker --help, median", &format!("{:.1} ms", help.as_secs_f64() * 1e3), "≤ 20 ms");
    line("memory of an idle worker", &real_time.block_on(idle_memory(&worker))?, "≤ 30 MB");
    Ok(())
}

fn line(what: &str, measured: &str, target: &str) {
    println!("{what:<52} {measured:>12} {target:>12}");
}

async fn calls_and_delays() {
    let app = Application::web("app", 10).canary_with("BakeTime", "0s").full_with("BakeTime", "0s");
    let (mut calls, mut longest) = ([0, 0], [Duration::ZERO; 2]);
    for seed in 0..10 {
        let story = Story::begin(Simulator::new(Settings::seeded(seed)), &[&app]);
        for (place, cost) in story.cost_of_a_release(&app).await.into_iter().enumerate() {
            calls[place] = calls[place].max(cost.sum());
            longest[place] = longest[place].max(cost.delay.told);
        }
    }
    for (place, action) in ["Canary", "Full"].into_iter().enumerate() {
        line(&format!("calls of {action}, most of 10 releases"), &calls[place].to_string(), "≤ 20");
    }
    for (place, action) in ["Canary", "Full"].into_iter().enumerate() {
        let seconds = format!("{:.2} s", longest[place].as_secs_f64());
        line(&format!("{action}: from ECS's end to the result, longest"), &seconds, "≤ 2 s + calls");
    }
}

async fn quiet_services() {
    let counts = ten_quiet_minutes().await;
    line("calls to look at 10 quiet services for 60 s", &(counts.values().sum::<usize>() / 10).to_string(), "≤ 60");
}

async fn rollback() {
    let cost = rollback_over_a_socket(1).await;
    let seconds = |duration: Duration| format!("{:.2} s", duration.as_secs_f64());
    line("rollback of 10 applications: calls for a service", &cost.calls.to_string(), "≤ 8");
    line("  from the confirmation until ECS was told all", &seconds(cost.told), "≤ 2 s");
    line("  from ECS's end until every task was counted", &seconds(cost.verified), "≤ 2 s");
}

/// Builds the program and asks Cargo where it is.
fn release_build() -> Outcome<PathBuf> {
    let build = ["build", "--release", "-p", "coalmine-worker", "--message-format", "json"];
    let output = Command::new(env!("CARGO")).args(build).stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let messages = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut found = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    found.next().ok_or_else(|| "cargo built no coalmine-worker".into())
}

#[expect(clippy::disallowed_methods, reason = "the bench measures real time")]
fn median_start(worker: &Path) -> Outcome<Duration> {
    let mut times = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let begin = std::time::Instant::now();
        Command::new(worker).arg("--help").stdout(Stdio::null()).status()?;
        times.push(begin.elapsed());
    }
    times.sort();
    Ok(times[STARTS / 2])
}

/// The resident memory of a worker that polls an account without jobs (Linux).
async fn idle_memory(worker: &Path) -> Outcome<String> {
    let simulator = Simulator::new(Settings::seeded(1));
    let app = Application::web("app", 3);
    simulator.with_world(|world| stage::story::prepare(world, &[app], true));
    let address = simulator.serve(0).await?;
    let mut running = Command::new(worker)
        .args(["run", "--ledger", "s3://ledger/coalmine"])
        .env("AWS_ENDPOINT_URL", format!("http://{address}"))
        .envs([("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "AKIAWORKER"), ("AWS_SECRET_ACCESS_KEY", "none")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    simulator.clock().wait(IDLE).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.id()));
    let alive = running.try_wait()?.is_none();
    running.kill()?;
    running.wait()?;
    if !alive {
        return Err("the worker ended by itself".into());
    }
    let Ok(status) = status else { return Ok("not on Linux".to_owned()) };
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kilobytes: f64 = resident.trim().trim_end_matches(" kB").parse()?;
    Ok(format!("{:.1} MB", kilobytes * 1_024.0 / 1e6))
}
