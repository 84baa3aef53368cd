//! `approve` and `reject`: an operator answers the approval that waits, with credentials of their own and a reason.

use std::io::{self, IsTerminal, Write};

use aws_types::SdkConfig;
use coalmine_door::store::{Location, Store};
use serde::Serialize;

use crate::aws::approvals::{Answered, Approvals, Waiting};
use crate::cli::EXIT_OK;
use crate::commands::trouble::Trouble;
use crate::deploy::message::printable;
use crate::ledger::{OBJECT_BYTES_MAX, canaries};

/// The longest reason that `PutApprovalResult` takes (`ApprovalSummary`), in characters.
const REASON_CHARS_MAX: usize = 512;

/// What is answered.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The pipeline, or a service of a canary that waits: the canary service or its full service
    pub name: String,
    /// Why; CodePipeline keeps it beside your name, and the release's record shows it
    #[arg(long, env = "COALMINE_REASON", value_parser = reason)]
    pub reason: String,
    /// The stage, where approvals of several stages wait
    #[arg(long, env = "COALMINE_STAGE")]
    pub stage: Option<String>,
    /// Do not ask; needed where nobody can be asked
    #[arg(long, env = "COALMINE_YES")]
    pub yes: bool,
    /// Write JSON for machines
    #[arg(long, env = "COALMINE_JSON")]
    pub json: bool,
    /// Where the workers' ledger is; read only where a service is named
    #[arg(long, env = "COALMINE_LEDGER", value_name = "LOCATION", default_value_t = crate::cli::default_ledger(), value_parser = clap::value_parser!(Location))]
    pub ledger: Location,
}

/// What was answered, for machines.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    approval: &'a Waiting,
    answer: &'a str,
    reason: &'a str,
}

fn reason(text: &str) -> Result<String, String> {
    let text = printable(text);
    match text.chars().count() {
        0 => Err("expected a reason".to_owned()),
        count if count > REASON_CHARS_MAX => {
            Err(format!("{count} characters, CodePipeline takes at most {REASON_CHARS_MAX}"))
        }
        _ => Ok(text),
    }
}

/// Answers on a terminal's or a machine's behalf; the exit code.
pub async fn run(door: &SdkConfig, args: &Args, approve: bool) -> u8 {
    let ask = |question: &str| {
        if !io::stdin().is_terminal() {
            return Err(Trouble::Unknown("nobody can be asked here: give --yes to answer without asking".to_owned()));
        }
        eprint!("{question} [y/N] ");
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        Ok(["y", "yes"].contains(&line.trim().to_lowercase().as_str()))
    };
    match answer(door, args, approve, ask, &mut io::stdout(), &mut io::stderr()).await {
        Ok(()) => EXIT_OK,
        Err(trouble) => {
            tracing::error!("{trouble}");
            trouble.code()
        }
    }
}

/// Shows what waits, asks, and answers. Data goes to `out`, words to `told`.
///
/// # Errors
/// When nothing was answered: why.
pub async fn answer(
    door: &SdkConfig,
    args: &Args,
    approve: bool,
    ask: impl FnOnce(&str) -> Result<bool, Trouble>,
    out: &mut impl Write,
    told: &mut impl Write,
) -> Result<(), Trouble> {
    let door = coalmine_door::limited(door);
    let approvals = Approvals::new(&door);
    let waiting = waiting(&door, &approvals, args).await?;
    let approval = one(waiting, args)?;
    let (verb, answer) = if approve { ("Approve", "Approved") } else { ("Reject", "Rejected") };
    let Waiting { pipeline, stage, action, release, text, .. } = &approval;
    writeln!(told, "Pipeline {pipeline}, {stage}/{action}, release {release}:\n  {}", printable(text))?;
    if !args.yes && !ask(&format!("{verb} this, because: {}?", args.reason))? {
        return Err(Trouble::NothingWaits("nothing was answered".to_owned()));
    }
    match approvals.answer(&approval, approve, &args.reason).await {
        Ok(Answered::Taken) => {}
        Ok(Answered::TooLate) => {
            let text = format!("{stage}/{action} of {pipeline} was answered by somebody else, or its time is over");
            return Err(Trouble::NothingWaits(text));
        }
        // The answer may have arrived: whether it did, the next look shows.
        Err(problem) => {
            return Err(Trouble::Aws { what: format!("answering {stage}/{action} of {pipeline}"), problem });
        }
    }
    if args.json {
        let value = Answer { approval: &approval, answer, reason: &args.reason };
        writeln!(out, "{}", serde_json::to_string(&value).unwrap_or_default())?;
    } else {
        let then = if approve { "" } else { "; the watch returns its canary" };
        writeln!(out, "{answer}: {stage}/{action} of {pipeline}, release {release}{then}")?;
    }
    Ok(())
}

/// What waits in the pipeline that is named, or in those of a service's canary.
async fn waiting(door: &SdkConfig, approvals: &Approvals, args: &Args) -> Result<Vec<Waiting>, Trouble> {
    let of = async |pipeline: &str| {
        let waiting = approvals.waiting(pipeline).await;
        waiting.map_err(Trouble::while_(format!("looking for approvals of {pipeline}")))
    };
    if let Some(waiting) = of(&args.name).await? {
        return Ok(waiting);
    }
    let store = Store::open(&args.ledger, door, OBJECT_BYTES_MAX);
    let mut found = Vec::new();
    for key in canaries::keys(&store).await? {
        let Some((_, Some(canary))) = canaries::read(&store, &key).await? else { continue };
        let named = [canary.service.as_str(), canary.full.as_str()].contains(&args.name.as_str());
        if named || canary.label() == args.name {
            let waiting = of(&canary.pipeline).await?.unwrap_or_default();
            found.extend(waiting.into_iter().filter(|approval| approval.release == canary.release));
        }
    }
    if found.is_empty() {
        let name = &args.name;
        return Err(Trouble::NothingWaits(format!(
            "there is no pipeline {name}, and no canary of a service {name} waits"
        )));
    }
    Ok(found)
}

fn one(mut waiting: Vec<Waiting>, args: &Args) -> Result<Waiting, Trouble> {
    if let Some(stage) = &args.stage {
        waiting.retain(|approval| approval.stage == *stage);
    }
    let places =
        waiting.iter().map(|approval| format!("{}/{} of {}", approval.stage, approval.action, approval.pipeline));
    let places: Vec<String> = places.collect();
    match (waiting.pop(), places.len()) {
        (Some(only), 1) => Ok(only),
        (None, _) => Err(Trouble::NothingWaits(format!("no approval waits in {}", args.name))),
        (Some(_), _) => Err(Trouble::Unknown(format!(
            "several approvals wait, give --stage or the pipeline: {}",
            places.join(", ")
        ))),
    }
}
