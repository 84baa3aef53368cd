//! `coalmine-worker status`: what every service runs, and how it is.

pub mod fleet;
pub mod show;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use coalmine_door::store::Listed;

use crate::aws::approvals::Waiting;
use crate::aws::cloudwatch::ALARMS_PER_CALL;
use crate::aws::ecs::{DEPLOYMENTS_PER_CALL, REVISIONS_PER_CALL, SERVICES_PER_CALL};
use crate::commands::common::LedgerArgument;
use crate::commands::desk::{ClusterArgument, Desk, OutputArgument, write_json};
use crate::commands::trouble::Trouble;
use crate::deploy::nearest::unknown;
use crate::deploy::view::{Alarm, Deployment, Service, ServiceRevision};
use crate::ledger::canaries::{self, Glimpse};
use crate::ledger::{history, percents};
use fleet::{Hold, Holds, Seen};

/// From so many held canaries on what the watch tells of all of them is read, and only the records that changed since.
const GLIMPSED_FROM: usize = 3;
/// How many pipelines are asked whom they ask. Of the others' approvals the watch tells, as it saw them last.
const PIPELINES_ASKED: usize = 5;

/// What is asked.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
A release is the id of a pipeline execution. \"—\" stands where no release on record brought what the service runs:
somebody deployed by other means, or the ledger does not reach back. A canary is known by the releases that went
through it to its full service, else by its name. Where more than five pipelines hold canaries, the approvals of the
others are told as the watching worker saw them last: a minute ago, or a few where many are held.

Needs: ecs:ListClusters, ecs:ListServices, ecs:DescribeServices, ecs:DescribeServiceDeployments,
ecs:DescribeServiceRevisions, cloudwatch:DescribeAlarms, codepipeline:GetPipelineState, and to read the ledger.")]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgument,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgument,
    #[command(flatten)]
    output: OutputArgument,
}

/// Shows every service.
///
/// # Errors
/// When AWS or the ledger cannot be read, or there is no such cluster.
pub async fn run(desk: &Desk, args: &Args, out: &mut impl Write) -> Result<(), Trouble> {
    let services = services(desk, args.cluster.cluster.as_deref()).await?;
    // One list: what each service ran, and whose percents are on record.
    let keys = desk.store().list(history::PREFIX).await?;
    let history = history::of_keys(&keys);
    let seen = look_closer(desk, services, &percents::noted(&keys)).await?;
    let holds = holds(desk, &seen).await?;
    let rows = fleet::rows(&seen, &history, &holds);
    if args.output.json {
        return Ok(write_json(out, &rows)?);
    }
    Ok(show::fleet(out, &rows, desk.now().timestamp())?)
}

/// All services of one cluster, or of every one.
///
/// # Errors
/// When a call fails, or there is no such cluster.
pub async fn services(desk: &Desk, cluster: Option<&str>) -> Result<Vec<Service>, Trouble> {
    let clusters = match cluster {
        Some(cluster) => vec![cluster.to_owned()],
        None => desk.calls.clusters().await.map_err(Trouble::while_("listing clusters"))?,
    };
    let mut services = Vec::new();
    for cluster in &clusters {
        let names = match desk.calls.services(cluster).await {
            Ok(names) => names,
            Err(problem) if problem.is("ClusterNotFoundException") => {
                let all = desk.calls.clusters().await.unwrap_or_default();
                return Err(Trouble::Unknown(unknown("cluster", cluster, all.iter().map(String::as_str))));
            }
            Err(problem) => {
                return Err(Trouble::Aws { what: format!("listing the services of {cluster}"), problem });
            }
        };
        for chunk in names.chunks(SERVICES_PER_CALL) {
            let described = desk.tools.ecs.services(cluster, chunk).await;
            services.extend(described.map_err(Trouble::while_(format!("describing services of {cluster}")))?);
        }
    }
    services.sort_by(|a, b| (&a.cluster, &a.name).cmp(&(&b.cluster, &b.name)));
    Ok(services)
}

/// The newest deployment of each service, what it brings, its alarms, and percents that a turnover left.
async fn look_closer(desk: &Desk, services: Vec<Service>, noted: &[String]) -> Result<Vec<Seen>, Trouble> {
    let ecs = &desk.tools.ecs;
    let current: Vec<String> = services.iter().filter_map(|service| service.current_deployment.clone()).collect();
    let mut deployments: BTreeMap<String, Deployment> = BTreeMap::new();
    for chunk in current.chunks(DEPLOYMENTS_PER_CALL) {
        let found = ecs.deployments(chunk).await.map_err(Trouble::while_("describing service deployments"))?;
        deployments.extend(found.into_iter().map(|deployment| (deployment.arn.clone(), deployment)));
    }
    let targets: Vec<String> = deployments.values().map(|deployment| deployment.target.clone()).collect();
    let mut revisions: BTreeMap<String, ServiceRevision> = BTreeMap::new();
    for chunk in targets.chunks(REVISIONS_PER_CALL) {
        let found = ecs.service_revisions(chunk).await.map_err(Trouble::while_("describing service revisions"))?;
        revisions.extend(found.into_iter().map(|revision| (revision.arn.clone(), revision)));
    }
    let names: BTreeSet<String> = services.iter().flat_map(alarms_of).collect();
    let names: Vec<String> = names.into_iter().collect();
    let mut alarms: BTreeMap<String, Alarm> = BTreeMap::new();
    for chunk in names.chunks(ALARMS_PER_CALL) {
        let found = desk.calls.alarms.describe(chunk).await.map_err(Trouble::while_("describing alarms"))?;
        alarms.extend(found.into_iter().map(|alarm| (alarm.name.clone(), alarm)));
    }
    let mut seen = Vec::with_capacity(services.len());
    for service in services {
        let deployment = service.current_deployment.as_ref().and_then(|arn| deployments.get(arn)).cloned();
        let own_percents = percents::left(desk.store(), &service, noted, desk.tools.clock.now()).await?;
        seen.push(Seen {
            brings: deployment.as_ref().and_then(|deployment| revisions.get(&deployment.target)).cloned(),
            alarms: alarms_of(&service).iter().filter_map(|name| alarms.get(name).cloned()).collect(),
            deployment,
            own_percents,
            service,
        });
    }
    Ok(seen)
}

/// The alarms that a service's deployment configuration names.
#[must_use]
pub fn alarms_of(service: &Service) -> Vec<String> {
    let names = service.configuration.pointer("/alarms/alarmNames").and_then(serde_json::Value::as_array);
    names.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// The canaries that wait for people, as the watch knows them, and the approvals that are open in their pipelines.
async fn holds(desk: &Desk, seen: &[Seen]) -> Result<Holds, Trouble> {
    let shown: BTreeMap<String, String> = seen
        .iter()
        .map(|Seen { service, .. }| (canaries::key(&service.cluster, &service.name), service.label()))
        .collect();
    let mut holds = Holds::default();
    let listed = canaries::listed(desk.store()).await?;
    let listed: Vec<Listed> = listed.into_iter().filter(|listed| shown.contains_key(&listed.key)).collect();
    let told = match listed.len() {
        0..GLIMPSED_FROM => BTreeMap::new(),
        _ => canaries::glimpses(desk.store()).await?,
    };
    let mut known = Vec::with_capacity(listed.len());
    for Listed { key, version, .. } in listed {
        let unchanged = told.get(&key).filter(|glimpse| version.as_ref() == Some(&glimpse.version));
        if let Some(glimpse) = unchanged {
            known.push(glimpse.clone());
            continue;
        }
        match canaries::read(desk.store(), &key).await? {
            Some((version, Some(canary))) => known.push(Glimpse::of(&key, &version, &canary)),
            Some((_, None)) => holds.unread.extend(shown.get(&key).cloned()),
            None => {}
        }
    }
    let mut open: BTreeMap<String, Vec<Waiting>> = BTreeMap::new();
    for Glimpse { key, pipeline, release, since, restoring, asks, .. } in known {
        if !open.contains_key(&pipeline) && (open.len() < PIPELINES_ASKED || asks.is_none()) {
            let found = desk.calls.approvals.open(&pipeline).await;
            let found = found.map_err(Trouble::while_(format!("looking for approvals of {pipeline}")))?;
            open.insert(pipeline.clone(), found.unwrap_or_default());
        }
        let places: Vec<String> = match open.get(&pipeline) {
            Some(open) => {
                let of_it = open.iter().filter(|open| open.release == release);
                of_it.map(|open| format!("{}/{}", open.stage, open.action)).collect()
            }
            None => asks.unwrap_or_default(),
        };
        let asks: Vec<String> = places.iter().map(|place| format!("{pipeline}: {place}")).collect();
        let canary = shown.get(&key).cloned().unwrap_or_default();
        holds.known.push(Hold { canary, release, since, asks: asks.join(", "), restoring });
    }
    Ok(holds)
}
