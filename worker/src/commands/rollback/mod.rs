//! `coalmine-worker rollback`: several services at once, back to the last release that succeeded on each.

mod carriers;
mod run;
mod view;

pub use run::{Order, roll_back};

use std::collections::BTreeMap;
use std::io;
use std::process::ExitCode;

use aws_types::SdkConfig;
use coalmine_door::told_to_stop;
use coalmine_pipeline::Back;
use coalmine_pipeline::names::is_ecs_name;

use crate::cli::somebody;
use crate::commands::common::{LedgerArgument, Screen, TellingArguments, ask, is_terminal};

/// The flags of `rollback`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Needs, beside the worker's permissions on ecs, ecr and the ledger: ecs:ListServices (--group, and to suggest names),
codepipeline:ListPipelineExecutions; for --stop-pipelines codepipeline:StopPipelineExecution; for --events
events:PutEvents on the bus.")]
#[command(group = clap::ArgGroup::new("which").required(true).args(["services", "group"]))]
pub struct RollbackArguments {
    /// The full services to roll back, separated by commas; their canaries go with them
    #[arg(long, env = "COALMINE_SERVICES", value_name = "NAMES", value_delimiter = ',', value_parser = name)]
    services: Vec<String>,
    /// All services of the cluster that have this tag, such as team=shop, instead of --services
    #[arg(long, env = "COALMINE_GROUP", value_name = "TAG=VALUE", value_parser = pair)]
    group: Option<(String, String)>,
    /// The ECS cluster; by default the one in which the ledger knows the services
    #[arg(long, env = "COALMINE_CLUSTER", value_name = "NAME", value_parser = name)]
    cluster: Option<String>,
    /// Where to: `last`, the last release that succeeded on each service before what it runs; -2, the one before that; or a
    /// release's id
    #[arg(long, env = "COALMINE_TO", value_name = "RELEASE|-N", default_value = "last", allow_hyphen_values = true, value_parser = back)]
    to: Back,
    /// The canary of a service, where the ledger, the service's tag `coalmine:canary` and the name `SERVICE-canary` do not
    /// tell it; `none` for a service that has none. Can be repeated
    #[arg(long = "canary", env = "COALMINE_CANARY", value_name = "SERVICE=CANARY", value_delimiter = ',', value_parser = canary)]
    canaries: Vec<(String, Option<String>)>,
    /// `true` replaces all tasks at once, new ones first; `false` a quarter at a time, old ones first. By default at once,
    /// but where a service's own maximum percent is 100
    #[arg(long, env = "COALMINE_SURGE", value_name = "true|false")]
    surge: Option<bool>,
    /// Show what would be done, and change nothing
    #[arg(long, env = "COALMINE_DRY_RUN")]
    dry_run: bool,
    /// Do not ask; needed where nobody can be asked
    #[arg(long, env = "COALMINE_YES")]
    yes: bool,
    /// Stop the pipeline executions that still carry what is rolled back, instead of listing them
    #[arg(long, env = "COALMINE_STOP_PIPELINES")]
    stop_pipelines: bool,
    /// Go on with the services that can be rolled back where others cannot; the exit code is 21 then, as not all are back
    #[arg(long, env = "COALMINE_PARTIAL")]
    partial: bool,
    /// Who rolls back, for the record
    #[arg(long, env = "COALMINE_BY", value_name = "NAME", default_value_t = somebody())]
    by: String,
    /// Why, for the record
    #[arg(long, env = "COALMINE_REASON", value_name = "TEXT", default_value = "")]
    reason: String,
    /// JSON on stdout instead of a table
    #[arg(long, env = "COALMINE_JSON")]
    json: bool,
    #[command(flatten)]
    ledger: LedgerArgument,
    #[command(flatten)]
    telling: TellingArguments,
}

impl RollbackArguments {
    /// Rolls back.
    pub(crate) async fn run(self, door: &SdkConfig) -> ExitCode {
        let order = Order {
            services: self.services,
            group: self.group,
            cluster: self.cluster,
            to: self.to,
            canaries: self.canaries.into_iter().collect::<BTreeMap<_, _>>(),
            surge: self.surge,
            dry_run: self.dry_run,
            yes: self.yes,
            stop_pipelines: self.stop_pipelines,
            partial: self.partial,
            json: self.json,
            by: self.by,
            why: self.reason,
            ledger: self.ledger.ledger,
            telling: self.telling.telling(),
        };
        let (mut out, mut words, mut asks) = (io::stdout(), io::stderr(), ask);
        let mut screen = Screen { out: &mut out, words: &mut words, is_terminal: is_terminal(), ask: &mut asks };
        ExitCode::from(roll_back(door, order, &mut screen, told_to_stop()).await)
    }
}

fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    if is_ecs_name(text) { Ok(text.to_owned()) } else { Err("expected 1 to 255 letters, digits, _ or -".to_owned()) }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((tag, value)) if !tag.is_empty() => Ok((tag.to_owned(), value.to_owned())),
        _ => Err("expected TAG=VALUE, such as team=shop".to_owned()),
    }
}

fn canary(text: &str) -> Result<(String, Option<String>), String> {
    let expected = || "expected SERVICE=CANARY, such as shop=shop-canary, or SERVICE=none".to_owned();
    let (service, canary) = text.split_once('=').ok_or_else(expected)?;
    if !is_ecs_name(service) || !is_ecs_name(canary) || service == canary {
        return Err(expected());
    }
    Ok((service.to_owned(), (canary != "none").then(|| canary.to_owned())))
}

fn back(text: &str) -> Result<Back, String> {
    text.parse().map_err(|_| "expected last, -1, -2 and so on, or the id of a release".to_owned())
}
