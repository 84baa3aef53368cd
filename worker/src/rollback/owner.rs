//! Whose canary a service is that was named like a full one: what was tried on it is nothing to go back to.

use std::collections::BTreeMap;

use coalmine_door::AwsError;
use coalmine_pipeline::tags;
use tracing::warn;

use crate::deploy::rollback::pair;
use crate::deploy::view::Service;
use crate::ledger::history::{self, Entry};
use crate::rollback::survey::Facts;
use crate::tools::Tools;

/// How many of a service's releases are looked for among those of others.
const RELEASES_LOOKED_FOR: usize = 3;
/// How many of these are read: one pipeline may release many services at once.
const ENTRIES_READ: usize = 20;

/// Canary → full service, of services for which nobody knows a canary of their own.
///
/// # Errors
/// When a call fails. A ledger that cannot be read tells nothing.
pub(super) async fn of_canaries(tools: &Tools, alone: &[&Facts]) -> Result<BTreeMap<String, String>, AwsError> {
    let mut entries = Vec::new();
    if alone.iter().any(|facts| facts.on_record) {
        match history::all(tools.held.store()).await {
            Ok(all) => entries = all,
            Err(problem) => {
                warn!(error = %problem, "the ledger cannot be read: it does not tell whose canary a service is");
            }
        }
    }
    let mut owners = BTreeMap::new();
    for facts in alone {
        let owner = match by_ledger(tools, facts, &entries).await {
            Some(owner) => Some(owner),
            None => by_name(tools, &facts.service).await?,
        };
        if let Some(owner) = owner {
            owners.insert(facts.service.name.clone(), owner);
        }
    }
    Ok(owners)
}

/// A service that had the same release, and says that this was its canary.
async fn by_ledger(tools: &Tools, facts: &Facts, entries: &[Entry]) -> Option<String> {
    let Service { cluster, name, .. } = &facts.service;
    let releases = facts.history.iter().filter_map(|good| good.release.as_deref());
    let releases: Vec<&str> = releases.take(RELEASES_LOOKED_FOR).collect();
    let others = entries.iter().filter(|entry| {
        entry.cluster == *cluster && entry.service != *name && releases.contains(&entry.release.as_str())
    });
    for entry in others.take(ENTRIES_READ) {
        match history::read(tools.held.store(), entry).await {
            Ok(Some(ran)) if ran.canary.as_ref() == Some(name) => return Some(entry.service.clone()),
            Ok(_) => {}
            Err(problem) => {
                warn!(error = %problem, "the ledger cannot be read: it may not tell whose canary a service is");
            }
        }
    }
    None
}

/// The full service to which the usual name belongs, if its tag names this canary, or names none and they are alike.
async fn by_name(tools: &Tools, canary: &Service) -> Result<Option<String>, AwsError> {
    let Some(name) = pair::usual_full(&canary.name) else { return Ok(None) };
    let Some((full, said)) = tools.ecs.services_with_tags(&canary.cluster, &[name.to_owned()]).await?.pop() else {
        return Ok(None);
    };
    let is_it = match said.get(tags::CANARY) {
        Some(said) => *said == canary.name,
        None => full.status == "ACTIVE" && are_alike(tools, &full, canary).await?,
    };
    Ok(is_it.then_some(full.name))
}

/// Whether two services run images of the same repositories, as a full service and its canary do.
///
/// # Errors
/// When a call fails.
pub(super) async fn are_alike(tools: &Tools, full: &Service, canary: &Service) -> Result<bool, AwsError> {
    let full = tools.ecs.task_definition(&full.revision.to_string()).await?;
    let canary = tools.ecs.task_definition(&canary.revision.to_string()).await?;
    Ok(full.zip(canary).is_some_and(|(full, canary)| pair::is_alike(&full, &canary)))
}
