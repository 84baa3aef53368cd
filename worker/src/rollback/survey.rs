//! What is known of services before a rollback: what they are told to run, which releases they had, and their canaries.

use std::collections::{BTreeMap, BTreeSet};

use coalmine_door::AwsError;
use coalmine_door::clock::Time;
use coalmine_door::store::StoreError;
use coalmine_pipeline::tags;
use futures_util::future::try_join_all;
use tracing::warn;

use crate::aws::ecs::{DEPLOYMENTS_PER_CALL, REVISIONS_PER_CALL, SERVICES_PER_CALL, Tags};
use crate::deploy::batch::Percents;
use crate::deploy::decision::elapsed;
use crate::deploy::rollback::pair::Hints;
use crate::deploy::rollback::way::{Good, JUST_NOW, Present};
use crate::deploy::view::{Deployment, DeploymentStatus, Service, ServiceRevision};
use crate::ledger::history::{self, Ran};
use crate::ledger::{percents, releases};
use crate::tools::Tools;

/// How many entries of a service's history are read, newest first; a release that is named is looked for in all.
const ENTRIES_READ: usize = 15;

/// A ledger that knows fewer entries of a service was begun not long ago: what ECS remembers is added.
const ENTRIES_FEW: usize = 5;

/// How much trouble with the ledger a survey bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ledger {
    /// None: it is tried again.
    Needed,
    /// Any: what ECS knows has to do.
    Wished,
}

/// One service.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The service as ECS describes it.
    pub service: Service,
    /// The releases that ended well on it, newest first.
    pub history: Vec<Good>,
    /// Whether the ledger knows them, or only ECS.
    pub on_record: bool,
    /// What it is told to run.
    pub present: Present,
    /// What is known of its canary.
    pub hints: Hints,
    /// Its own percents.
    pub own: Percents,
}

/// The services of these names that there are.
///
/// # Errors
/// When a call fails.
pub async fn of_services(
    tools: &Tools,
    cluster: &str,
    names: &[String],
    named: Option<&str>,
    ledger: Ledger,
) -> Result<BTreeMap<String, Facts>, AwsError> {
    let mut asked = Vec::new();
    for names in names.chunks(SERVICES_PER_CALL) {
        asked.push(tools.ecs.services_with_tags(cluster, names));
    }
    let described: Vec<(Service, Tags)> = try_join_all(asked).await?.into_iter().flatten().collect();
    let deployments = newest_deployments(tools, &described).await?;
    let revisions = revisions_of(tools, &deployments).await?;
    let mut facts = Vec::new();
    for (service, tags) in described {
        let deployment = service.current_deployment.as_ref().and_then(|arn| deployments.get(arn));
        let revision = deployment.and_then(|deployment| revisions.get(&deployment.target));
        facts.push(Box::pin(of_service(tools, service, tags, (deployment, revision), (named, ledger))));
    }
    let facts = try_join_all(facts).await?;
    Ok(facts.into_iter().map(|facts| (facts.service.name.clone(), facts)).collect())
}

async fn of_service(
    tools: &Tools,
    service: Service,
    tags: Tags,
    (deployment, revision): (Option<&Deployment>, Option<&ServiceRevision>),
    (named, ledger): (Option<&str>, Ledger),
) -> Result<Facts, AwsError> {
    let past = past(tools, &service, named, ledger).await?;
    let own = own_percents(tools, &service, ledger).await?;
    let digests = digests_of_present(&service, &past.history, revision);
    let now = tools.clock.now();
    let taken_back = deployment.filter(|deployment| is_taken_back(deployment, now)).and(revision);
    let reverted = taken_back.map(|revision| revision.revision.clone()).filter(|from| *from != service.revision);
    Ok(Facts {
        present: Present::of(&service, digests, reverted, now.timestamp()),
        hints: Hints { asked: None, history: past.canary, tag: tags.get(tags::CANARY).cloned() },
        history: past.history,
        on_record: past.on_record,
        own,
        service,
    })
}

/// Whether ECS is taking a deployment back, or did so just now: then that release is meant, which is left already.
fn is_taken_back(deployment: &Deployment, now: Time) -> bool {
    match deployment.status {
        DeploymentStatus::RollingBack => true,
        DeploymentStatus::RolledBack => {
            let ended = deployment.finished.or(deployment.created);
            ended.is_some_and(|ended| elapsed(ended.timestamp(), now.timestamp()) < JUST_NOW)
        }
        _ => false,
    }
}

async fn newest_deployments(
    tools: &Tools,
    described: &[(Service, Tags)],
) -> Result<BTreeMap<String, Deployment>, AwsError> {
    let arns: Vec<String> = described.iter().filter_map(|(service, _)| service.current_deployment.clone()).collect();
    let mut found = BTreeMap::new();
    for arns in arns.chunks(DEPLOYMENTS_PER_CALL) {
        for deployment in tools.ecs.deployments(arns).await? {
            found.insert(deployment.arn.clone(), deployment);
        }
    }
    Ok(found)
}

async fn revisions_of(
    tools: &Tools,
    deployments: &BTreeMap<String, Deployment>,
) -> Result<BTreeMap<String, ServiceRevision>, AwsError> {
    let targets: BTreeSet<String> = deployments.values().map(|deployment| deployment.target.clone()).collect();
    let targets: Vec<String> = targets.into_iter().filter(|target| !target.is_empty()).collect();
    let mut found = BTreeMap::new();
    for arns in targets.chunks(REVISIONS_PER_CALL) {
        for revision in tools.ecs.service_revisions(arns).await? {
            found.insert(revision.arn.clone(), revision);
        }
    }
    Ok(found)
}

/// The digests of what a service is told to run, from its history, else from ECS.
fn digests_of_present(
    service: &Service,
    history: &[Good],
    revision: Option<&ServiceRevision>,
) -> BTreeMap<String, String> {
    let known = history.iter().find(|good| good.revision == service.revision).map(|good| good.digests.clone());
    let pinned = || revision.filter(|found| found.revision == service.revision).map(|found| found.digests.clone());
    known.filter(|digests| !digests.is_empty()).or_else(pinned).unwrap_or_default()
}

async fn own_percents(tools: &Tools, service: &Service, ledger: Ledger) -> Result<Percents, AwsError> {
    let own =
        percents::own(tools.held.store(), &service.cluster, &service.name, service.percents, tools.clock.now()).await;
    bearing(own, ledger).map(|own| own.unwrap_or(service.percents))
}

/// What the ledger does not tell is missing where the ledger is only wished for.
fn bearing<T>(read: Result<T, StoreError>, ledger: Ledger) -> Result<Option<T>, AwsError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(problem) if ledger == Ledger::Wished => {
            warn!(error = %problem, "the ledger cannot be read: what ECS remembers has to do");
            Ok(None)
        }
        Err(problem) => Err(AwsError::unusable("reading the ledger", problem.to_string())),
    }
}

struct Past {
    history: Vec<Good>,
    on_record: bool,
    canary: Option<String>,
}

/// The releases that ended well on a service, newest first: those of the ledger, and, where it knows few, those before them
/// that ECS remembers (90 days).
async fn past(tools: &Tools, service: &Service, named: Option<&str>, ledger: Ledger) -> Result<Past, AwsError> {
    let recorded = bearing(recorded(tools, service, named).await, ledger)?.unwrap_or_default();
    let canary = recorded.iter().find_map(|ran| ran.canary.clone());
    let oldest = recorded.iter().map(|ran| ran.began).min();
    let few = recorded.len() < ENTRIES_FEW;
    let mut past = Past { on_record: !recorded.is_empty(), history: recorded.into_iter().map(good).collect(), canary };
    if few {
        let before = remembered(tools, service).await?.into_iter();
        past.history.extend(before.filter(|good| oldest.is_none_or(|oldest| good.at < oldest)));
    }
    Ok(past)
}

/// The successful deployments that ECS remembers, newest first.
async fn remembered(tools: &Tools, service: &Service) -> Result<Vec<Good>, AwsError> {
    let mut listed = tools.ecs.list_deployments(&service.cluster, &service.name, None, true).await?;
    listed.truncate(REVISIONS_PER_CALL);
    let arns: Vec<String> = listed.iter().map(|listed| listed.target.clone()).collect();
    let found = if arns.is_empty() { Vec::new() } else { tools.ecs.service_revisions(&arns).await? };
    let mut history = Vec::new();
    for listed in &listed {
        let Some(revision) = found.iter().find(|revision| revision.arn == listed.target) else { continue };
        history.push(Good {
            release: None,
            pipeline: String::new(),
            at: listed.created.map_or(0, |created| created.timestamp()),
            revision: revision.revision.clone(),
            digests: revision.digests.clone(),
            returned: None,
            unfinished: false,
            over: None,
        });
    }
    Ok(history)
}

async fn recorded(tools: &Tools, service: &Service, named: Option<&str>) -> Result<Vec<Ran>, StoreError> {
    let store = tools.held.store();
    let entries = history::of_service(store, &service.cluster, &service.name).await?;
    let mut reads = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        if place < ENTRIES_READ || named.is_some_and(|named| entry.release == named) {
            reads.push(history::read(store, entry));
        }
    }
    Ok(try_join_all(reads).await?.into_iter().flatten().collect())
}

fn good(ran: Ran) -> Good {
    let release = Some(ran.release).filter(|release| !release.is_empty());
    let returned = ran.rollback.then_some(ran.began);
    let Ran { pipeline, at, revision, digests, unfinished, over, .. } = ran;
    Good { release, pipeline, at, revision, digests, returned, unfinished, over }
}

/// The release that a service is told to run, with its pipeline; and its digests, where they were not known yet. What
/// never succeeded stands in no history: its task definition names it.
///
/// # Errors
/// When a call fails.
pub async fn release_of_present(
    tools: &Tools,
    facts: &Facts,
    ledger: Ledger,
) -> Result<(Option<(String, String)>, BTreeMap<String, String>), AwsError> {
    let digests = facts.present.digests.clone();
    let known = facts.history.iter().find(|good| good.revision == facts.present.revision && good.release.is_some());
    if let Some(good) = known {
        return Ok((good.release.clone().map(|release| (release, good.pipeline.clone())), digests));
    }
    let definition = tools.ecs.task_definition(&facts.present.revision.to_string()).await?;
    let Some(release) = definition.and_then(|definition| definition.tags.get(tags::EXECUTION).cloned()) else {
        return Ok((None, digests));
    };
    let record = bearing(releases::read(tools.held.store(), &release).await, ledger)?.flatten();
    let digests = match &record {
        Some(record) if digests.is_empty() => record.digests.clone(),
        _ => digests,
    };
    Ok((Some((release, record.map(|record| record.pipeline).unwrap_or_default())), digests))
}
