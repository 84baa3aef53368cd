//! What a fleet of services looks like: which release each one runs, how its canary stands against it, whether it is
//! well. Pure decisions over what was seen.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::deploy::batch::Percents;
use crate::deploy::message::counted;
use crate::deploy::view::{Alarm, Deployment, DeploymentStatus, Service, ServiceRevision};
use crate::ledger::history::Entry;

/// How far the clocks of AWS and of a worker may differ, in seconds.
const SKEW: i64 = 120;
/// An action lasts at most a day: a deployment that was created later after its begin is another's.
const ACTION: i64 = 24 * 3_600;

/// A service as it was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The service.
    pub service: Service,
    /// Its newest deployment, where AWS knows it.
    pub deployment: Option<Deployment>,
    /// What that deployment brings.
    pub brings: Option<ServiceRevision>,
    /// The alarms of its deployment configuration.
    pub alarms: Vec<Alarm>,
    /// Its own percents, where a turnover left others.
    pub own_percents: Option<Percents>,
}

/// A canary that waits for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// `cluster/service` of the canary.
    pub canary: String,
    /// The release.
    pub release: String,
    /// Since when, in epoch seconds.
    pub since: i64,
    /// Where people are asked: `pipeline: Stage/Action`; empty where nobody asks any more.
    pub asks: String,
    /// Why it goes back, where it does.
    pub restoring: Option<String>,
}

/// The canaries that the ledger says are held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// Those whose records can be understood.
    pub known: Vec<Hold>,
    /// The others, each as `cluster/service`: another version of the worker wrote their records.
    pub unread: BTreeSet<String>,
}

/// A service in the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The cluster.
    pub cluster: String,
    /// The service.
    pub service: String,
    /// The release that it runs, where the ledger tells.
    pub release: Option<String>,
    /// Since when it has been told to run what it runs, in epoch seconds.
    pub since: Option<i64>,
    /// The task definition.
    pub revision: String,
    /// Tasks wanted.
    pub desired: u32,
    /// Tasks that run.
    pub running: u32,
    /// Its canary, or the full service whose canary it is.
    pub pair: Option<Pair>,
    /// Whether nothing is wrong with it.
    pub well: bool,
    /// What is wrong, or under way, in words; empty where all is quiet.
    pub health: Vec<String>,
    /// The release that is held on it, and for whom it waits.
    pub held: Option<Held>,
}

/// How a service stands to the other one of its application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pair {
    /// It is the full service.
    Full {
        /// Its canary.
        canary: String,
        /// Whether both run the same images; not known where AWS has not recorded them.
        same: Option<bool>,
    },
    /// It is the canary.
    Canary {
        /// Its full service.
        full: String,
        /// Whether both run the same images.
        same: Option<bool>,
    },
}

/// A release that is held on a canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The release.
    pub release: String,
    /// Since when, in epoch seconds.
    pub since: i64,
    /// Where people are asked; empty where nobody asks any more.
    pub asks: String,
    /// Why it goes back, where it does.
    pub restoring: Option<String>,
}

/// Which services are the canary and the full service of one application: full → canary, each as `cluster/service`.
///
/// A release that ended well on two services began on its canary first. Where an execution releases several
/// applications, the names tell which belong together. A service that no release was ever held on may be called after
/// its full service.
#[must_use]
pub fn pairs(services: &BTreeSet<String>, history: &[Entry]) -> BTreeMap<String, String> {
    let mut begun: BTreeMap<(&str, &str), Vec<(i64, String)>> = BTreeMap::new();
    for entry in history {
        let label = format!("{}/{}", entry.cluster, entry.service);
        if services.contains(&label) {
            begun.entry((&entry.cluster, &entry.release)).or_default().push((entry.began, label));
        }
    }
    let mut shared: BTreeMap<(String, String), usize> = BTreeMap::new();
    for told in begun.values() {
        for (canary_began, canary) in told {
            for (_, full) in told.iter().filter(|(began, full)| began > canary_began && full != canary) {
                *shared.entry((full.clone(), canary.clone())).or_default() += 1;
            }
        }
    }
    let mut candidates: Vec<(usize, usize, String, String)> = shared
        .into_iter()
        .map(|((full, canary), releases)| (common_prefix(&full, &canary), releases, full, canary))
        .collect();
    candidates.extend(services.iter().filter_map(|canary| {
        let full = canary.strip_suffix("-canary").filter(|full| services.contains(*full))?;
        Some((full.len(), 0, full.to_owned(), canary.clone()))
    }));
    candidates.sort_by(|a, b| (b.0, b.1, &a.2, &a.3).cmp(&(a.0, a.1, &b.2, &b.3)));
    let mut found = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for (.., full, canary) in candidates {
        if !taken.contains(&full) && !taken.contains(&canary) {
            taken.extend([full.clone(), canary.clone()]);
            found.insert(full, canary);
        }
    }
    found
}

fn common_prefix(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count()
}

/// The answer, service by service.
#[must_use]
pub fn rows(seen: &[Seen], history: &[Entry], holds: &Holds) -> Vec<Row> {
    let labels: BTreeSet<String> = seen.iter().map(|seen| seen.service.label()).collect();
    let pairs = pairs(&labels, history);
    let images: BTreeMap<String, &BTreeMap<String, String>> = seen
        .iter()
        .filter_map(|seen| Some((seen.service.label(), &seen.brings.as_ref()?.digests)))
        .filter(|(_, digests)| !digests.is_empty())
        .collect();
    let same = |a: &str, b: &str| Some(same_images(images.get(a)?, images.get(b)?));
    seen.iter()
        .map(|seen| {
            let service = &seen.service;
            let label = service.label();
            let name = |label: &str| label.rsplit('/').next().unwrap_or(label).to_owned();
            let pair = match (pairs.get(&label), pairs.iter().find(|(_, canary)| **canary == label)) {
                (Some(canary), _) => Some(Pair::Full { canary: name(canary), same: same(&label, canary) }),
                (None, Some((full, _))) => Some(Pair::Canary { full: name(full), same: same(&label, full) }),
                (None, None) => None,
            };
            let created = seen.deployment.as_ref().and_then(|deployment| deployment.created);
            let held = holds.known.iter().find(|hold| hold.canary == label);
            let (well, mut health) = health(seen);
            if holds.unread.contains(&label) {
                health
                    .push("its record is another version's: update this program to see what is held on it".to_owned());
            }
            Row {
                cluster: service.cluster.clone(),
                service: service.name.clone(),
                release: release(seen, history),
                since: created.map(|created| created.timestamp()),
                revision: service.revision.to_string(),
                desired: service.desired,
                running: service.running,
                pair,
                well,
                health,
                held: held.map(|hold| Held {
                    release: hold.release.clone(),
                    since: hold.since,
                    asks: hold.asks.clone(),
                    restoring: hold.restoring.clone(),
                }),
            }
        })
        .collect()
}

/// The release that a service runs: the newest on record, where the deployment that brought what it runs can have been
/// that one's. What was deployed since by other means has no release.
fn release(seen: &Seen, history: &[Entry]) -> Option<String> {
    let service = &seen.service;
    let newest = history.iter().find(|entry| entry.cluster == service.cluster && entry.service == service.name)?;
    let created = seen.deployment.as_ref().and_then(|deployment| deployment.created)?.timestamp();
    let of_it = (newest.began - SKEW..=newest.began + ACTION).contains(&created);
    (of_it && !service.is_rolling()).then(|| newest.release.clone())
}

/// Containers that both have, by digest; a container of one alone is no difference of a release.
fn same_images(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> bool {
    a.iter().all(|(container, digest)| b.get(container).is_none_or(|other| other == digest))
}

/// Whether a service is well, and what there is to say.
fn health(seen: &Seen) -> (bool, Vec<String>) {
    let service = &seen.service;
    let (mut wrong, mut said) = (Vec::new(), Vec::new());
    if service.status != "ACTIVE" {
        wrong.push(format!("is {}", service.status));
    }
    let failed: u32 = service.rollouts.iter().map(|rollout| rollout.failed).sum();
    if service.is_rolling() {
        let new = service.primary().map_or(0, |primary| primary.running);
        said.push(format!("deploying: {new} of {}", counted(service.desired, "task")));
    } else if service.running < service.desired {
        wrong.push(format!("{} of {} run", service.running, counted(service.desired, "task")));
    }
    if failed > 0 {
        wrong.push(format!("{} failed since the last that ran", counted(failed, "task")));
    }
    if let Some(deployment) = &seen.deployment {
        let id = deployment.arn.rsplit('/').next().unwrap_or(&deployment.arn);
        match &deployment.status {
            DeploymentStatus::Running | DeploymentStatus::Successful => {}
            DeploymentStatus::Stopped => wrong.push(format!("deployment {id} was stopped")),
            DeploymentStatus::RollingBack => wrong.push(format!("deployment {id} is being rolled back")),
            DeploymentStatus::RolledBack => wrong.push(format!("deployment {id} was rolled back")),
            DeploymentStatus::RollbackFailed => wrong.push(format!("the rollback of deployment {id} failed")),
            DeploymentStatus::Other(status) => said.push(format!("deployment {id} is {status}")),
        }
    }
    wrong.extend(seen.alarms.iter().filter(|alarm| alarm.is_red()).map(|alarm| format!("alarm {} is red", alarm.name)));
    if let Some(own) = seen.own_percents {
        let now = service.percents;
        wrong.push(format!(
            "a turnover left percents {}/{}; its own are {}/{}: the next release gives them back",
            now.minimum, now.maximum, own.minimum, own.maximum
        ));
    }
    let well = wrong.is_empty();
    wrong.extend(said);
    (well, wrong)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
