//! `coalmine-worker doctor`: what is to be mended before it hurts.

pub mod judge;
pub mod permissions;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use coalmine_door::store::{Location, StoreError};
use coalmine_pipeline::ImageReference;
use coalmine_pipeline::action_type::{CANARY, FULL};
use serde::Serialize;

use crate::aws::cloudwatch::ALARMS_PER_CALL;
use crate::aws::pipelines::Definition;
use crate::cli::{EXIT_FINDINGS, EXIT_OK};
use crate::commands::common::LedgerArgument;
use crate::commands::desk::{ClusterArgument, Desk, OutputArgument, write_json};
use crate::commands::status::{alarms_of, services};
use crate::commands::table::{print, row, table};
use crate::commands::trouble::Trouble;
use crate::deploy::action::Action;
use crate::deploy::message::counted;
use crate::ledger::{history, percents};
use judge::{Finding, Line, Patient, Seen};
use permissions::{ACTIONS, Trial, Tried};

/// What is asked.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Looks at every service of the cluster (or of all clusters), at every pipeline with an action of ours, and tries what the
worker needs to read. Run it with the worker's credentials to learn what its role lacks. Nothing is changed; permissions
to change something cannot be tried, and are listed, as are those for which there was nothing to read.

Exit codes: 0 nothing is to be mended; 10 something is; 3 AWS or the ledger cannot be read at all.

Needs what the worker reads, and ecs:ListClusters, ecs:ListServices, codepipeline:ListPipelines.")]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgument,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgument,
    #[command(flatten)]
    output: OutputArgument,
}

/// What the doctor says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Report {
    findings: Vec<Finding>,
    services: usize,
    pipelines: usize,
    /// The permissions that cannot be tried without changing something.
    untried: Vec<&'static str>,
    /// The permissions that a read would have shown, had there been something to read.
    nothing_to_try: Vec<&'static str>,
}

/// Looks, and says what is to be mended. The exit code.
///
/// # Errors
/// When services cannot be listed: then there is nothing to look at.
pub async fn run(desk: &Desk, args: &Args, out: &mut impl Write) -> Result<u8, Trouble> {
    let mut trial = Trial::default();
    let seen = look(desk, args, &mut trial).await?;
    permissions::rest(desk, &seen, &mut trial).await;
    let nothing_to_try = trial.missed();
    let mut findings = trial.findings;
    findings.extend(judge::findings(&seen));
    let untried = ACTIONS.iter().filter(|(_, tried)| *tried == Tried::Never).map(|(action, _)| *action).collect();
    let report =
        Report { findings, services: seen.patients.len(), pipelines: seen.lines.len(), untried, nothing_to_try };
    if args.output.json {
        write_json(out, &report)?;
    } else {
        show(out, &report)?;
    }
    Ok(if report.findings.is_empty() { EXIT_OK } else { EXIT_FINDINGS })
}

async fn look(desk: &Desk, args: &Args, trial: &mut Trial) -> Result<Seen, Trouble> {
    let mut seen = Seen::default();
    let noted = match ledger(desk, &args.ledger.ledger, trial).await {
        Ok(keys) => percents::noted(&keys),
        Err(problem) => {
            let remedy = "give --ledger (COALMINE_LEDGER) the workers' value, and s3:ListBucket, s3:GetObject on it";
            trial.find(Finding::new("the ledger", format!("it cannot be read: {}", problem.brief()), remedy));
            Vec::new()
        }
    };
    for service in services(desk, args.cluster.cluster.as_deref()).await? {
        trial.sent(&["ecs:DescribeServices"]);
        let runs = desk.tools.ecs.task_definition(&service.revision.to_string()).await;
        let runs = trial.note("ecs:DescribeTaskDefinition", runs).flatten();
        let own_percents = percents::left(desk.store(), &service, &noted, desk.tools.clock.now()).await?;
        seen.patients.push(Patient { service, runs, own_percents });
    }
    for name in trial.note("codepipeline:ListPipelines", desk.calls.pipelines().await).unwrap_or_default() {
        let definition = trial.note("codepipeline:GetPipeline", desk.calls.pipeline(&name).await).flatten();
        seen.lines.extend(definition.and_then(line));
    }
    let of_actions = seen.lines.iter().flat_map(|line| &line.actions).flat_map(|action| action.alarms.clone());
    let of_services = seen.patients.iter().flat_map(|patient| alarms_of(&patient.service));
    let names: BTreeSet<String> = of_actions.chain(of_services).collect();
    let names: Vec<String> = names.into_iter().collect();
    for chunk in names.chunks(ALARMS_PER_CALL) {
        let alarms = trial.note("cloudwatch:DescribeAlarms", desk.calls.alarms.describe(chunk).await);
        seen.alarms.extend(alarms.unwrap_or_default().into_iter().map(|alarm| (alarm.name.clone(), alarm)));
    }
    seen.movable = movable(desk, &seen.patients, trial).await;
    Ok(seen)
}

/// The keys of the services' records. One record is read, whichever: who may list may not be allowed to read.
async fn ledger(desk: &Desk, location: &Location, trial: &mut Trial) -> Result<Vec<String>, StoreError> {
    let in_s3 = matches!(location, Location::S3 { .. });
    if in_s3 {
        trial.sent(&["s3:ListBucket"]);
    }
    let keys = desk.store().list(history::PREFIX).await?;
    if let Some(key) = keys.first() {
        if in_s3 {
            // Where the bucket has a key of KMS, S3 uses it for these credentials.
            trial.sent(&["s3:GetObject", "kms:Decrypt"]);
        }
        desk.store().get(key).await?;
    }
    Ok(keys)
}

/// The images that services run by a tag that can be moved.
async fn movable(desk: &Desk, patients: &[Patient], trial: &mut Trial) -> BTreeSet<String> {
    let images = patients.iter().filter_map(|patient| patient.runs.as_ref()).flat_map(|runs| runs.images());
    let images: BTreeSet<String> = images.map(|(_, image)| image).collect();
    let mut movable = BTreeSet::new();
    for image in images {
        let Ok(reference) = ImageReference::parse(&image) else { continue };
        // By digest it is certain which image it is.
        if reference.digest().is_some() {
            continue;
        }
        if trial.portrait(desk, &reference).await.is_some_and(|portrait| portrait.movable) {
            movable.insert(image);
        }
    }
    movable
}

/// A pipeline with actions of ours; `None` for others.
fn line(definition: Definition) -> Option<Line> {
    let (mut actions, mut broken) = (Vec::new(), Vec::new());
    for declared in &definition.actions {
        let Some(action_type) = [&CANARY, &FULL].into_iter().find(|known| known.provider == declared.provider) else {
            continue;
        };
        let configuration: BTreeMap<String, String> = definition
            .resolved(&declared.configuration)
            .into_iter()
            // What only an execution resolves cannot be judged here.
            .filter(|(property, value)| {
                !value.contains("#{") || action_type.property(property).is_none_or(|p| p.required)
            })
            .collect();
        if configuration.values().any(|value| value.contains("#{")) {
            continue;
        }
        match Action::parse(action_type, &configuration) {
            Ok(action) => actions.extend(action),
            Err(problems) => broken.push(format!("{}/{}: {problems}", declared.stage, declared.name)),
        }
    }
    (!actions.is_empty() || !broken.is_empty()).then_some(Line { definition, actions, broken })
}

fn show(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let looked = format!(
        "{} and {}",
        counted(number(report.services), "service"),
        counted(number(report.pipelines), "pipeline")
    );
    if report.findings.is_empty() {
        writeln!(out, "Nothing is to be mended at {looked}.")?;
    } else {
        let mut shown = table(&["About", "Found", "What to do"]);
        for finding in &report.findings {
            row(&mut shown, [finding.about.clone(), finding.found.clone(), finding.remedy.clone()]);
        }
        print(out, &shown)?;
        writeln!(out, "{} at {looked}.", counted(number(report.findings.len()), "finding"))?;
    }
    if !report.nothing_to_try.is_empty() {
        writeln!(out, "Not tried, because there was nothing to read: {}.", report.nothing_to_try.join(", "))?;
    }
    writeln!(out, "Not tried, because it would change something: {}.", report.untried.join(", "))
}
