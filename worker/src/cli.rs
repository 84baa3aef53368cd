//! The command line: flags with their environment twins, logging, and exit codes. The only reader of the environment.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use aws_types::SdkConfig;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use tokio::net::TcpListener;
use tracing::error;

use crate::commands::common::TellingArguments;
use crate::commands::desk::Desk;
use crate::commands::question::Question;
use crate::commands::rollback::RollbackArguments;
use crate::commands::trouble::Trouble;
use crate::commands::{answer, drift};
use crate::health::ask;
use crate::run::{self, Settings, Stopped};
use coalmine_door::clock::Clock;
use coalmine_door::logging::{self, LogFormat};
use coalmine_door::store::Location;
use coalmine_door::told_to_stop;

/// Everything went well.
pub const EXIT_OK: u8 = 0;
/// `health` alone: the worker is not well, or nobody answers.
pub const EXIT_UNHEALTHY: u8 = 1;
/// The command line is wrong; nothing was done. (clap's own code.)
pub const EXIT_USAGE: u8 = 2;
/// The surroundings are wrong: no region, no runtime, an address that is taken. Nothing was done.
pub const EXIT_SURROUNDINGS: u8 = 3;
/// The worker stopped, but could not hand all its jobs back in time.
pub const EXIT_JOBS_LEFT: u8 = 4;
/// `approve` and `reject`: no approval waits, or somebody else has answered it; these and `rollback`: the question was
/// answered with no.
pub const EXIT_NOTHING_WAITS: u8 = 5;
/// `drift` alone: something differs that no release explains.
pub const EXIT_DIFFERS: u8 = 10;
/// `drift` alone: something could not be read, so not everything is told.
pub const EXIT_INCOMPLETE: u8 = 12;

/// `rollback` alone: something that was asked for cannot be done; nothing was. Also `--dry-run --partial` says so.
pub const EXIT_NOT_POSSIBLE: u8 = 20;
/// `rollback` alone: services were told to go back, and some are not back; with `--partial` also those that were left out.
pub const EXIT_NOT_BACK: u8 = 21;
/// `rollback` alone: interrupted before every service was back.
pub const EXIT_INTERRUPTED: u8 = 22;
/// `doctor`: something is to be mended.
pub const EXIT_FINDINGS: u8 = 10;
/// `diff`, `verify`: the release cannot be deployed now; the reasons are said.
pub const EXIT_NOT_DEPLOYABLE: u8 = 11;

/// Deploys releases to Amazon ECS in stages, as a CodePipeline custom-action worker.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Exit codes:
  0  all went well
  1  health: the worker is not well, or nobody answers
  2  the command line is wrong
  3  the surroundings are wrong (no AWS region, an address for health checks that is taken)
  4  stopped, but some jobs could not be handed back in time
  5  approve, reject: no approval waits, somebody else has answered it, or the question was answered with no;
     rollback: the question was answered with no
  10, 12  drift: something differs; something could not be read
 20  rollback: some service cannot be rolled back; nothing was done
 21  rollback: services were told to go back, and some are not back, or were left out (--partial)
 22  rollback: interrupted before every service was back
  10 doctor: something is to be mended
  11 diff, verify: the release cannot be deployed now

AWS credentials, region and endpoint come from where the AWS CLI takes them: AWS_REGION, AWS_PROFILE,
AWS_ENDPOINT_URL, the task's role, …"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How much is logged: error, warn, info, debug, or per module: `coalmine_worker=debug,warn`
    #[arg(long, env = "COALMINE_LOG", default_value = "info", value_name = "FILTER", value_parser = logging::filter, global = true)]
    log: String,
    /// How log lines look; they go to stderr
    #[arg(long, env = "COALMINE_LOG_FORMAT", default_value = "text", global = true)]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take jobs until SIGTERM or Ctrl-C, then hand them back and leave within ten seconds
    ///
    /// Several workers may run on one pool: each job goes to one of them, and what one hands back any other takes up.
    Run(RunArguments),
    /// Ask a running worker whether it is well: exit code 0 if so, 1 if not or if nobody answers within 3 s
    ///
    /// For the health check of a container that has no shell. The worker's answer is printed; it is well while it goes
    /// on working, whatever AWS answers.
    Health {
        /// The address that the worker listens on
        #[arg(long, env = "COALMINE_LISTEN", value_name = "ADDRESS", value_parser = address)]
        listen: SocketAddr,
    },
    /// Approve the release that waits in a pipeline, with your own credentials
    ///
    /// Shows the release and its canary's summary first. For example: coalmine-worker approve shop --reason "looks good"
    Approve(answer::Args),
    /// Reject the release that waits in a pipeline, with your own credentials; its canary goes back by itself
    ///
    /// For example: coalmine-worker reject shop --reason "error rate doubled"
    Reject(answer::Args),
    /// Tell whether services run what Terraform describes; changes nothing
    ///
    /// A release changes images, and nothing else that Terraform owns. Everything else that differs is a change of the
    /// template, which the next release brings, or was made by hand.
    Drift(drift::Arguments),
    /// Return services, with their canaries, to the last release that succeeded on them, all at once
    ///
    /// Shows what would change, asks once, tells all services, and follows them until every task is counted. What they
    /// leave is refused by the pipelines' checks from then on, until `allow=<digest>` in an action's Options allows it.
    /// Works in the middle of a canary, a turnover or another rollback; run again, it goes on from where things are.
    Rollback(Box<RollbackArguments>),
    #[command(flatten)]
    Ask(Question),
    /// Print a completion script for a shell
    ///
    /// For example: coalmine-worker completions bash > /etc/bash_completion.d/coalmine-worker
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, clap::Args)]
struct RunArguments {
    /// The pool whose jobs are taken: the value of the actions' Pool property
    #[arg(long, env = "COALMINE_POOL", default_value = "default", value_parser = pool)]
    pool: String,
    /// How many jobs are held at a time
    #[arg(long, env = "COALMINE_JOBS", default_value_t = 50, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    jobs: u16,
    /// How long a job is held before it is handed back, so that its progress shows in the console
    #[arg(long, env = "COALMINE_LINGER", default_value = "60s", value_name = "DURATION", value_parser = linger)]
    linger: Duration,
    /// Where workers note which jobs they hold, so that a dead one's jobs go on: `s3://bucket/prefix` or `dir:PATH`
    ///
    /// A folder serves one worker on one machine that comes back after a crash. Several workers, or a container whose
    /// disk goes with it, need S3. By default a folder in the user's state directory.
    #[arg(long, env = "COALMINE_LEDGER", value_name = "LOCATION", default_value_t = default_ledger(), value_parser = clap::value_parser!(Location))]
    ledger: Location,
    #[command(flatten)]
    telling: TellingArguments,
    /// Answer health checks (`GET /healthz`) on this address, such as 127.0.0.1:8080; by default none are answered
    #[arg(long, env = "COALMINE_LISTEN", value_name = "ADDRESS", value_parser = address)]
    listen: Option<SocketAddr>,
}

/// A folder in the user's state directory (XDG Base Directory Specification), or in the working directory of a user
/// without a home.
#[expect(clippy::disallowed_methods, reason = "this file owns the environment")]
pub(crate) fn default_ledger() -> Location {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = state.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")));
    Location::Folder(state.unwrap_or_default().join("coalmine"))
}

/// Who works here, as the environment says.
#[expect(clippy::disallowed_methods, reason = "this file owns the environment")]
pub(crate) fn somebody() -> String {
    let names = ["USER", "LOGNAME", "USERNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| "an operator".to_owned())
}

fn pool(text: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if (1..=20).contains(&text.chars().count()) && text.chars().all(legal) {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 20 letters, digits, hyphens and underscores".to_owned())
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an IP address and a port, such as 127.0.0.1:8080".to_owned())
}

fn linger(text: &str) -> Result<Duration, String> {
    let duration = coalmine_pipeline::duration::parse(text).map_err(|problem| problem.to_string())?;
    if (Duration::from_secs(5)..=Duration::from_secs(600)).contains(&duration) {
        Ok(duration)
    } else {
        Err("expected 5s to 10m".to_owned())
    }
}

impl Cli {
    /// Answers the operator's question that a command line asks, at any door; the exit code.
    ///
    /// # Errors
    /// [`Trouble::Unknown`] also where the command line is wrong, or asks nothing.
    pub async fn ask(door: &SdkConfig, line: &[&str], out: &mut impl Write) -> Result<u8, Trouble> {
        let cli = Self::try_parse_from(line).map_err(|problem| Trouble::Unknown(problem.to_string()))?;
        match cli.command {
            Command::Ask(question) => question.answer(&Desk::new(door, &question.ledger().ledger), out).await,
            _ => Err(Trouble::Unknown("that is no question".to_owned())),
        }
    }

    /// Reads the command line and does what it says.
    #[must_use]
    pub fn parse_and_run() -> ExitCode {
        let cli = Self::parse();
        match cli.command {
            Command::Completions { shell } => {
                clap_complete::generate(shell, &mut Self::command(), "coalmine-worker", &mut io::stdout());
                ExitCode::from(EXIT_OK)
            }
            Command::Run(arguments) => {
                logging::to_stderr(&cli.log, cli.log_format);
                block_on(take_jobs(&arguments))
            }
            Command::Approve(arguments) => {
                logging::to_stderr(&cli.log, cli.log_format);
                block_on(answered(&arguments, true))
            }
            Command::Reject(arguments) => {
                logging::to_stderr(&cli.log, cli.log_format);
                block_on(answered(&arguments, false))
            }
            Command::Rollback(arguments) => {
                logging::to_stderr(&cli.log, cli.log_format);
                block_on(async { arguments.run(&coalmine_door::open().await).await })
            }
            Command::Health { listen } => {
                logging::to_stderr(&cli.log, cli.log_format);
                block_on(ask_for_health(listen))
            }
            Command::Drift(arguments) => {
                logging::to_stderr(&cli.log, cli.log_format);
                block_on(tell_drift(&arguments))
            }
            Command::Ask(question) => {
                logging::to_stderr(&cli.log, cli.log_format);
                block_on(answer(&question))
            }
        }
    }
}

/// Answers an operator's question.
async fn answer(question: &Question) -> ExitCode {
    let door = coalmine_door::open().await;
    if is_nowhere(&door) {
        return ExitCode::from(EXIT_SURROUNDINGS);
    }
    match question.answer(&Desk::new(&door, &question.ledger().ledger), &mut io::stdout()).await {
        Ok(code) => ExitCode::from(code),
        // A reader that is gone already has seen what it wanted.
        Err(Trouble::Io(problem)) if problem.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(EXIT_OK),
        Err(problem) => {
            error!("{problem}");
            ExitCode::from(problem.code())
        }
    }
}

/// Whether no region is configured; then it says so.
fn is_nowhere(door: &SdkConfig) -> bool {
    let nowhere = door.region().is_none_or(|region| region.as_ref().is_empty());
    if nowhere {
        error!("no AWS region is configured: set AWS_REGION, or a region in the AWS profile");
    }
    nowhere
}

fn block_on(work: impl Future<Output = ExitCode>) -> ExitCode {
    // One thread: the work is waiting for AWS.
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(problem) => {
            error!(error = %problem, "the program cannot start its runtime");
            ExitCode::from(EXIT_SURROUNDINGS)
        }
    }
}

/// Needs no AWS, and therefore no door: only a clock.
async fn ask_for_health(address: SocketAddr) -> ExitCode {
    let clock = Clock::of(&SdkConfig::builder().build());
    match ask::ask(&clock, address).await {
        Ok(said) => {
            // A reader that is gone already does not change how the worker is.
            let _ = writeln!(io::stdout(), "{}", said.page);
            ExitCode::from(if said.healthy { EXIT_OK } else { EXIT_UNHEALTHY })
        }
        Err(problem) => {
            error!("the worker's health is not known: {problem}");
            ExitCode::from(EXIT_UNHEALTHY)
        }
    }
}

/// The door to the world; without a region there is none, which is said.
async fn door() -> Option<SdkConfig> {
    let door = coalmine_door::open().await;
    if is_nowhere(&door) {
        return None;
    }
    Some(door)
}

async fn tell_drift(arguments: &drift::Arguments) -> ExitCode {
    let told = async {
        // Before AWS is asked for anything: a file that cannot be used is said at once.
        let described = drift::read(arguments)?;
        let Some(door) = door().await else { return Ok(EXIT_SURROUNDINGS) };
        drift::tell(&door, described, arguments, &mut io::stdout().lock(), &mut io::stderr().lock()).await
    };
    ExitCode::from(told.await.unwrap_or_else(|problem: drift::DriftError| {
        error!("{problem}");
        EXIT_SURROUNDINGS
    }))
}

async fn answered(arguments: &answer::Args, approve: bool) -> ExitCode {
    match door().await {
        Some(door) => ExitCode::from(answer::run(&door, arguments, approve).await),
        None => ExitCode::from(EXIT_SURROUNDINGS),
    }
}

async fn take_jobs(arguments: &RunArguments) -> ExitCode {
    let Some(door) = door().await else { return ExitCode::from(EXIT_SURROUNDINGS) };
    let settings = Settings {
        pool: arguments.pool.clone(),
        slots: usize::from(arguments.jobs),
        linger: arguments.linger,
        ledger: arguments.ledger.clone(),
        telling: arguments.telling.telling(),
    };
    let stopped = match arguments.listen {
        None => run::run(&door, &settings, told_to_stop()).await,
        Some(address) => match TcpListener::bind(address).await {
            Ok(listener) => run::run_listening(&door, &settings, listener, told_to_stop()).await,
            Err(problem) => {
                error!(
                    "health checks cannot be answered on {address}: {problem}; give --listen another address, or none"
                );
                return ExitCode::from(EXIT_SURROUNDINGS);
            }
        },
    };
    match stopped {
        Stopped::Drained => ExitCode::from(EXIT_OK),
        Stopped::Left(jobs) => {
            error!(jobs, "the worker leaves jobs behind that it could not hand back in time");
            ExitCode::from(EXIT_JOBS_LEFT)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn values_out_of_bounds_are_refused() {
        for wrong in [
            &["coalmine-worker", "run", "--pool", "a b"][..],
            &["coalmine-worker", "run", "--pool", "abcdefghijklmnopqrstu"],
            &["coalmine-worker", "run", "--jobs", "0"],
            &["coalmine-worker", "run", "--linger", "1s"],
            &["coalmine-worker", "run", "--linger", "yes"],
            &["coalmine-worker", "run", "--listen", "8080"],
            &["coalmine-worker", "run", "--webhook", "ftp://example.com"],
            &["coalmine-worker", "run", "--events", ""],
            &["coalmine-worker", "rollback", "--services", "app", "--webhook", "ftp://example.com"],
            &["coalmine-worker", "run", "--listen", "localhost"],
        ] {
            assert!(Cli::try_parse_from(wrong).is_err(), "{wrong:?}");
        }
        assert!(Cli::try_parse_from(["coalmine-worker", "run", "--pool", "prod_1", "--linger", "90s"]).is_ok());
    }
}
