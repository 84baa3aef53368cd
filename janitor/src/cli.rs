//! The command line: flags with their environment twins, and exit codes. The only reader of the environment.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use coalmine_door::logging::{self, LogFormat};
use coalmine_door::store::Location;
use tracing::error;

use crate::policy::{self, Policy};
use crate::progress::Progress;
use crate::run::{Run, RunError};

/// Nothing to delete, or all of it was deleted but for what the last look kept.
pub const EXIT_OK: u8 = 0;
/// The command line is wrong; nothing was done. (clap's own code.)
pub const EXIT_USAGE: u8 = 2;
/// The surroundings are wrong: policy, Region, credentials, clock, plan file. Nothing was deleted.
pub const EXIT_SURROUNDINGS: u8 = 3;
/// There is something to delete.
pub const EXIT_PLANNED: u8 = 10;
/// A guard held something back.
pub const EXIT_GUARDED: u8 = 11;
/// Something could not be read: nothing was deleted, or nothing more.
pub const EXIT_INCOMPLETE: u8 = 12;
/// AWS refused some deletions.
pub const EXIT_REFUSED: u8 = 13;

/// Deletes ECR images that are both old and unreferenced, and nothing else.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
A first look:
  coalmine-janitor init > janitor.toml      the policy, with every key explained; add rules
  coalmine-janitor plan                     what would go, and why; deletes nothing
  coalmine-janitor why shop/app:v41         what keeps an image
  coalmine-janitor sweep                    asks, and deletes what two scans at least 20 hours apart have condemned

Exit codes:
  0   nothing to delete, or all of it was deleted but for what the last look kept
  2   the command line is wrong
  3   the surroundings are wrong (policy, AWS Region, credentials, clock, plan file); nothing was deleted
  10  there is something to delete
  11  a guard held something back: the rest of the plan is carried out
  12  something could not be read: nothing was deleted, or nothing more
  13  AWS refused some deletions

AWS credentials, region and endpoint come from where the AWS CLI takes them: AWS_REGION, AWS_PROFILE,
AWS_ENDPOINT_URL, the task's role, …"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How much is logged: error, warn, info, debug, or per module: `coalmine_janitor=debug,warn`
    #[arg(long, env = "COALMINE_LOG", default_value = "warn", value_name = "FILTER", value_parser = logging::filter, global = true)]
    log: String,
    /// How log lines look; they go to stderr
    #[arg(long, env = "COALMINE_LOG_FORMAT", default_value = "text", global = true)]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what is there and what refers to it; changes nothing, remembers nothing
    Scan(Arguments),
    /// Decide every image, and write what is to be deleted; deletes nothing
    Plan {
        #[command(flatten)]
        arguments: Arguments,
        /// Where the plan is written, with a verdict for every image
        #[arg(long, env = "COALMINE_PLAN", value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Delete what a plan says, after a last look at everything that refers to images
    ///
    /// Without --plan a plan is made. With one, only what it names and is still condemned goes.
    Sweep {
        #[command(flatten)]
        arguments: Arguments,
        /// A plan that was written by `plan --out`
        #[arg(long, env = "COALMINE_PLAN", value_name = "FILE")]
        plan: Option<PathBuf>,
        /// Do not ask. Needed where there is no terminal
        #[arg(long, env = "COALMINE_YES")]
        yes: bool,
        /// Go all the way but for the deletions
        #[arg(long, env = "COALMINE_DRY_RUN")]
        dry_run: bool,
    },
    /// Tell the path from something that runs to an image, or the rule that condemns it
    Why {
        #[command(flatten)]
        arguments: Arguments,
        /// The image: `repository:tag`, `repository@sha256:…`, or the beginning of a digest; with or without a host
        image: String,
    },
    /// Print the policy with every key explained
    Init,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// What all runs take.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The policy
    #[arg(long, env = "COALMINE_POLICY", default_value = "janitor.toml", value_name = "FILE")]
    policy: PathBuf,
    /// The policy itself, for a container that holds no file; goes before --policy
    #[arg(long, env = "COALMINE_POLICY_TEXT", value_name = "TOML")]
    policy_text: Option<String>,
    /// Where the janitor remembers what it has seen: `s3://bucket/prefix` or `dir:PATH`
    ///
    /// To lose it only delays deletions. By default a folder in the user's state directory.
    #[arg(long, env = "COALMINE_STATE", value_name = "LOCATION", default_value_t = default_state(), value_parser = clap::value_parser!(Location))]
    state: Location,
    /// How long to read; what is not read by then is read by the next run, and nothing is deleted [default: the policy's]
    #[arg(long, env = "COALMINE_BUDGET", value_name = "DURATION", value_parser = budget)]
    budget: Option<Duration>,
    /// Print JSON, for machines
    #[arg(long, env = "COALMINE_JSON")]
    json: bool,
    /// Print one line of metrics in CloudWatch's embedded metric format at the end
    #[arg(long, env = "COALMINE_METRICS")]
    metrics: bool,
}

/// A folder in the user's state directory (XDG Base Directory Specification), or in the working directory of a user
/// without a home.
#[expect(clippy::disallowed_methods, reason = "this file owns the environment")]
fn default_state() -> Location {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = state.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")));
    Location::Folder(state.unwrap_or_default().join("coalmine"))
}

fn budget(text: &str) -> Result<Duration, String> {
    coalmine_pipeline::duration::parse(text).map_err(|problem| problem.to_string())
}

impl Cli {
    /// Reads the command line and does what it says.
    #[must_use]
    pub fn parse_and_run() -> ExitCode {
        let cli = Self::parse();
        logging::to_stderr(&cli.log, cli.log_format);
        match cli.command {
            Command::Init => {
                print!("{}", policy::DEFAULT);
                ExitCode::from(EXIT_OK)
            }
            Command::Completions { shell } => {
                clap_complete::generate(shell, &mut Self::command(), "coalmine-janitor", &mut io::stdout());
                ExitCode::from(EXIT_OK)
            }
            command => match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => ExitCode::from(runtime.block_on(run(&command))),
                Err(problem) => {
                    error!(error = %problem, "the janitor cannot start its runtime");
                    ExitCode::from(EXIT_SURROUNDINGS)
                }
            },
        }
    }
}

async fn run(command: &Command) -> u8 {
    match carry_out(command).await {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("coalmine-janitor: {problem}");
            EXIT_SURROUNDINGS
        }
    }
}

async fn carry_out(command: &Command) -> Result<u8, RunError> {
    let (Command::Scan(arguments)
    | Command::Plan { arguments, .. }
    | Command::Sweep { arguments, .. }
    | Command::Why { arguments, .. }) = command
    else {
        return Ok(EXIT_OK);
    };
    let policy = read_policy(arguments)?;
    let door = coalmine_door::open().await;
    let budget = arguments.budget.unwrap_or(policy.run.budget);
    let progress = Progress::new(io::stderr().is_terminal() && !arguments.json);
    let run = Run::begin(&door, &policy, &arguments.state, budget, progress).await?;
    let mut out = io::stdout().lock();
    let code = match command {
        Command::Plan { out: file, .. } => run.plan(&mut out, arguments.json, file.as_deref()).await?,
        Command::Sweep { plan, yes, dry_run, .. } => {
            let ask = |question: &str| *yes || is_confirmed(question);
            run.sweep(&mut out, arguments.json, plan.as_deref(), *dry_run, &ask).await?
        }
        Command::Why { image, .. } => run.why(&mut out, arguments.json, image).await?,
        _ => run.scan(&mut out, arguments.json).await?,
    };
    if let Some(line) = run.metrics().filter(|_| arguments.metrics) {
        writeln!(out, "{line}").map_err(RunError::Output)?;
    }
    Ok(code)
}

fn read_policy(Arguments { policy: path, policy_text, .. }: &Arguments) -> Result<Policy, RunError> {
    let (name, text) = match policy_text {
        Some(text) => (Path::new("COALMINE_POLICY_TEXT"), text.clone()),
        None => {
            let text = fs::read_to_string(path).map_err(|problem| RunError::PolicyFile(path.to_owned(), problem))?;
            (path.as_path(), text)
        }
    };
    Policy::parse(&text).map_err(|problems| RunError::Policy(name.to_owned(), problems))
}

/// Asks a person; without a terminal nobody can answer.
fn is_confirmed(question: &str) -> bool {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        eprintln!("{question}: nobody can be asked here; say --yes");
        return false;
    }
    eprint!("{question}? Type yes: ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).is_ok() && answer.trim() == "yes"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_policy_may_come_as_text_instead_of_a_file() {
        let arguments = |text: &str| match Cli::try_parse_from(["coalmine-janitor", "scan", "--policy-text", text]) {
            Ok(Cli { command: Command::Scan(arguments), .. }) => arguments,
            other => panic!("{other:?}"),
        };
        assert!(read_policy(&arguments(policy::DEFAULT)).is_ok());
        let problem = read_policy(&arguments("[nonsense]")).unwrap_err().to_string();
        assert!(problem.contains("COALMINE_POLICY_TEXT"), "{problem}");
    }
}
