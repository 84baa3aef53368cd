//! What the shipped program costs, beside what it may cost. Prints, never fails:
//!
//! ```text
//! cargo build --release --package coalmine-worker
//! cargo run --package coalmine-tests --example bench -- target/release/coalmine-worker
//! ```
//!
//! Calls per action, the cost of observation and the delay of a report are counted on virtual time, where they can be
//! exact: `cargo test --test scenarios budgets`.

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use simulator::{Settings, Simulator};

/// How often `--help` is timed, after one run that is not.
const HELPS: usize = 20;
/// How long the worker idles before its memory is read.
const IDLE: Duration = Duration::from_secs(15);
/// What the program may take.
const HELP_MAX: Duration = Duration::from_millis(20);
const IDLE_KIB_MAX: u64 = 30 * 1024;

#[tokio::main]
async fn main() -> ExitCode {
    let Some(program) = std::env::args().nth(1) else {
        eprintln!("expected the path of a release build of coalmine-worker");
        return ExitCode::from(2);
    };
    match measure(&program).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{program} could not be measured: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(program: &str) -> std::io::Result<()> {
    let mut helps = Vec::new();
    for _ in 0..=HELPS {
        helps.push(help(program)?);
    }
    helps.remove(0);
    helps.sort();
    let (least, median, most) = (helps[0], helps[HELPS / 2], helps[HELPS - 1]);
    println!("{:<24} {:>12} {:>28}", "", "may take", "takes (median, least to most)");
    println!(
        "{:<24} {:>12} {:>28}",
        "--help",
        format!("{HELP_MAX:?}"),
        format!("{median:.1?}, {least:.1?} to {most:.1?}")
    );
    let idle = idle_kib(program).await?;
    println!("{:<24} {:>12} {:>28}", "idle memory (RSS)", format!("{IDLE_KIB_MAX} KiB"), format!("{idle} KiB"));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the real time")]
fn help(program: &str) -> std::io::Result<Duration> {
    let begin = Instant::now();
    Command::new(program).args(["run", "--help"]).stdout(Stdio::null()).status()?;
    Ok(begin.elapsed())
}

/// The resident memory of a worker that polls an account without jobs.
#[expect(clippy::disallowed_methods, reason = "a benchmark waits in real time")]
async fn idle_kib(program: &str) -> std::io::Result<u64> {
    let address = Simulator::new(Settings::seeded(1)).serve(0).await?;
    let ledger = std::env::temp_dir().join(format!("coalmine-bench-{}", std::process::id()));
    let mut worker = Command::new(program)
        .args(["run", "--log", "error", "--ledger", &format!("dir:{}", ledger.display())])
        .env("AWS_ENDPOINT_URL", format!("http://{address}"))
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "AKIABENCH")
        .env("AWS_SECRET_ACCESS_KEY", "any")
        .stderr(Stdio::null())
        .spawn()?;
    tokio::time::sleep(IDLE).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.id()));
    worker.kill()?;
    worker.wait()?;
    let _ = std::fs::remove_dir_all(ledger);
    let resident =
        status?.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    resident.ok_or_else(|| std::io::Error::other("the system tells no resident memory"))
}
