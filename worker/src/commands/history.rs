//! `coalmine-worker history` and `coalmine-worker releases`: what the ledger has on record.

use std::collections::BTreeSet;
use std::io::Write;

use serde::Serialize;
use tokio::task::JoinSet;

use crate::commands::common::LedgerArgument;
use crate::commands::desk::{ClusterArgument, Desk, OutputArgument, write_json};
use crate::commands::table::{age, date, print, row, short, table};
use crate::commands::trouble::Trouble;
use crate::deploy::happening::State;
use crate::deploy::nearest::unknown;
use crate::ledger::history::{self, Entry, Ran};
use crate::ledger::releases::{self, Release};

/// How many records are read at a time.
const AT_ONCE: usize = 16;

/// What `history` is asked.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
The ledger keeps the newest 50 releases of a service. Where it has none of a service, the successful deployments that
ECS remembers (90 days) are shown, without their releases.

Needs: to read the ledger; else ecs:ListClusters, ecs:ListServices, ecs:ListServiceDeployments,
ecs:DescribeServiceRevisions.")]
pub struct Args {
    /// The service: full service or canary
    service: String,
    /// How many releases are shown, newest first
    #[arg(long, env = "COALMINE_MOST", default_value_t = 10, value_name = "COUNT")]
    most: usize,
    #[command(flatten)]
    cluster: ClusterArgument,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgument,
    #[command(flatten)]
    output: OutputArgument,
}

/// What `releases` is asked.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Needs: to read the ledger. What became of one release, and why: coalmine-worker explain RELEASE")]
pub struct ReleasesArgs {
    /// Only those of one pipeline
    #[arg(long, env = "COALMINE_PIPELINE", value_name = "NAME")]
    pipeline: Option<String>,
    /// How many releases are shown, newest first
    #[arg(long, env = "COALMINE_MOST", default_value_t = 20, value_name = "COUNT")]
    most: usize,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgument,
    #[command(flatten)]
    output: OutputArgument,
}

/// A release that a service ran, in the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// `cluster/service`.
    pub service: String,
    /// The release; nothing where only ECS remembers it.
    pub release: Option<String>,
    /// The pipeline.
    pub pipeline: Option<String>,
    /// When its action began, in epoch seconds.
    pub began: i64,
    /// When it had ended well.
    pub at: Option<i64>,
    /// The task definition.
    pub revision: String,
    /// `container=digest`.
    pub images: Vec<String>,
    /// Whether it was the way back from another release.
    pub rollback: bool,
}

/// Shows what a service ran, newest first.
///
/// # Errors
/// When the ledger or AWS cannot be read, or there is no such service.
pub async fn run(desk: &Desk, args: &Args, out: &mut impl Write) -> Result<(), Trouble> {
    let all = history::all(desk.store()).await?;
    let is_meant = |entry: &&Entry| {
        entry.service == args.service && args.cluster.cluster.as_ref().is_none_or(|cluster| entry.cluster == *cluster)
    };
    let mut entries: Vec<Entry> = all.iter().filter(is_meant).cloned().collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.began));
    entries.truncate(args.most);
    let lines = if entries.is_empty() {
        remembered_by_ecs(desk, args, &all).await?
    } else {
        let mut lines = Vec::with_capacity(entries.len());
        for entry in entries {
            let ran = history::read(desk.store(), &entry).await?;
            lines.extend(ran.map(|ran| line(&entry, ran)));
        }
        lines
    };
    if args.output.json {
        return Ok(write_json(out, &lines)?);
    }
    Ok(show(out, &lines, desk.now().timestamp())?)
}

fn line(entry: &Entry, ran: Ran) -> Line {
    Line {
        service: format!("{}/{}", entry.cluster, entry.service),
        release: Some(ran.release),
        pipeline: Some(ran.pipeline).filter(|pipeline| !pipeline.is_empty()),
        began: ran.began,
        at: Some(ran.at),
        revision: ran.revision.to_string(),
        images: ran.digests.into_iter().map(|(container, digest)| format!("{container}={digest}")).collect(),
        rollback: ran.rollback,
    }
}

/// A service without history in the ledger: what ECS remembers of it, where there is such a service.
async fn remembered_by_ecs(desk: &Desk, args: &Args, known: &[Entry]) -> Result<Vec<Line>, Trouble> {
    let clusters = match &args.cluster.cluster {
        Some(cluster) => vec![cluster.clone()],
        None => desk.calls.clusters().await.map_err(Trouble::while_("listing clusters"))?,
    };
    let mut names: BTreeSet<String> = known.iter().map(|entry| entry.service.clone()).collect();
    for cluster in &clusters {
        let listed = desk.calls.services(cluster).await;
        let listed = listed.map_err(Trouble::while_(format!("listing the services of {cluster}")))?;
        if !listed.contains(&args.service) {
            names.extend(listed);
            continue;
        }
        let ecs = &desk.tools.ecs;
        let what = || Trouble::while_(format!("reading the deployments of {cluster}/{}", args.service));
        let mut deployments = ecs.list_deployments(cluster, &args.service, None, true).await.map_err(what())?;
        deployments.truncate(args.most.min(crate::aws::ecs::REVISIONS_PER_CALL));
        let targets: Vec<String> = deployments.iter().map(|deployment| deployment.target.clone()).collect();
        let revisions =
            if targets.is_empty() { Vec::new() } else { ecs.service_revisions(&targets).await.map_err(what())? };
        return Ok(deployments
            .iter()
            .filter_map(|deployment| {
                let brought = revisions.iter().find(|revision| revision.arn == deployment.target)?;
                let images = brought.digests.iter().map(|(container, digest)| format!("{container}={digest}"));
                Some(Line {
                    service: format!("{cluster}/{}", args.service),
                    release: None,
                    pipeline: None,
                    began: deployment.created.map(|created| created.timestamp()).unwrap_or_default(),
                    at: None,
                    revision: brought.revision.to_string(),
                    images: images.collect(),
                    rollback: false,
                })
            })
            .collect());
    }
    Err(Trouble::Unknown(unknown("service", &args.service, names.iter().map(String::as_str))))
}

fn show(out: &mut impl Write, lines: &[Line], now: i64) -> std::io::Result<()> {
    let Some(first) = lines.first() else {
        return writeln!(out, "Nothing is on record, and ECS remembers no deployment that succeeded.");
    };
    if first.release.is_none() {
        writeln!(out, "The ledger has no release of {}; ECS remembers these deployments:", first.service)?;
    }
    let mut shown = table(&["Since", "Age", "Release", "Pipeline", "Service", "Runs", "Images"]);
    for line in lines {
        let release = line.release.as_deref().map_or("—", short);
        row(
            &mut shown,
            [
                date(line.at.unwrap_or(line.began)),
                age(now - line.at.unwrap_or(line.began)),
                if line.rollback { format!("{release} (rollback)") } else { release.to_owned() },
                line.pipeline.clone().unwrap_or_default(),
                line.service.clone(),
                line.revision.clone(),
                images(&line.images),
            ],
        );
    }
    print(out, &shown)
}

/// Digests as people read them.
fn images(images: &[String]) -> String {
    let brief = |image: &String| match image.split_once("=sha256:") {
        Some((container, digest)) => format!("{container}={}", digest.chars().take(12).collect::<String>()),
        None => image.clone(),
    };
    images.iter().map(brief).collect::<Vec<_>>().join("\n")
}

/// Shows the releases on record, newest first.
///
/// # Errors
/// When the ledger cannot be read, or has no release of the pipeline that is asked for.
pub async fn releases(desk: &Desk, args: &ReleasesArgs, out: &mut impl Write) -> Result<(), Trouble> {
    let mut records = read_all(desk, releases::all(desk.store()).await?).await?;
    if let Some(pipeline) = &args.pipeline {
        let known: BTreeSet<String> = records.iter().map(|record| record.pipeline.clone()).collect();
        records.retain(|record| record.pipeline == *pipeline);
        if records.is_empty() {
            return Err(Trouble::Unknown(unknown("pipeline", pipeline, known.iter().map(String::as_str))));
        }
    }
    records.sort_by_key(|record| std::cmp::Reverse(began(record)));
    let left = records.len().saturating_sub(args.most);
    records.truncate(args.most);
    if args.output.json {
        return Ok(write_json(out, &records)?);
    }
    let now = desk.now().timestamp();
    let mut shown = table(&["Began", "Age", "Release", "Pipeline", "Images", "Where it stands"]);
    for record in &records {
        let digests: Vec<String> =
            record.digests.iter().map(|(container, digest)| format!("{container}={digest}")).collect();
        row(
            &mut shown,
            [
                date(began(record)),
                age(now - began(record)),
                short(&record.release).to_owned(),
                record.pipeline.clone(),
                images(&digests),
                stands(record).join("\n"),
            ],
        );
    }
    print(out, &shown)?;
    if left > 0 {
        writeln!(out, "{left} older ones are on record; --most shows more.")?;
    }
    Ok(())
}

fn began(record: &Release) -> i64 {
    record.timeline.first().map(|happening| happening.at).unwrap_or_default()
}

/// The last that happened on each service, in the order in which the release came to them.
fn stands(record: &Release) -> Vec<String> {
    let mut services: Vec<&str> = Vec::new();
    for happening in &record.timeline {
        if !services.contains(&happening.service.as_str()) {
            services.push(&happening.service);
        }
    }
    let stands = |service: &&str| {
        let last = record.last_of(service)?;
        // Nobody tells a canary that its release was turned over.
        let went_on = last.state == State::Held
            && record.timeline.iter().any(|other| other.state == State::Deployed && other.at >= last.at);
        let word = if went_on { "approved" } else { last.state.word() };
        Some(format!("{service}: {word}"))
    };
    services.iter().filter_map(stands).collect()
}

/// Reads records, a few at a time; those that cannot be understood are left out.
async fn read_all(desk: &Desk, ids: Vec<String>) -> Result<Vec<Release>, Trouble> {
    let mut records = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(AT_ONCE) {
        let mut reads = JoinSet::new();
        for id in chunk {
            let (store, id) = (desk.store().clone(), id.clone());
            reads.spawn(async move { releases::read(&store, &id).await });
        }
        while let Some(read) = reads.join_next().await {
            // A read that panicked has no record; it says so itself.
            if let Ok(read) = read {
                records.extend(read?);
            }
        }
    }
    Ok(records)
}
