//! A step makes at most one deployment, and nothing is deployed but by an action in progress, or by the watch that returns
//! a canary.

use std::collections::BTreeMap;

use serde_json::Value;
use simulator::World;

use super::changes::Seen;
use super::{Finding, Names, UNDER_WAY, may_act, runs};
use crate::stage::application::CLUSTER;

/// Which actions may have brought what to which service. With two pipelines on one service either may have done it, so
/// all that may have are kept: for each deployment of a task definition there must be one of its own.
#[derive(Debug, Default)]
pub(super) struct Steps(BTreeMap<(String, String), Vec<Vec<String>>>);

impl Steps {
    pub(super) fn look(&mut self, world: &World, names: &Names, changes: &BTreeMap<String, Seen>) -> Option<Finding> {
        let mut found = None;
        let new = changes.values().filter(|seen| seen.before.is_some() && seen.is_new && !seen.by_hand);
        for seen in new {
            let (service, brought) = (&seen.view.service, &seen.shape.task_definition);
            let acting: Vec<String> =
                runs(world, names).filter(|(_, run)| may_act(world, run)).map(|(_, run)| run.id.clone()).collect();
            let watch = (*service == names.canary).then(|| returned_by_the_watch(world, service, brought)).flatten();
            let deployments = self.0.entry((service.clone(), brought.clone())).or_default();
            deployments.push(watch.into_iter().chain(acting).collect());
            if !each_has_its_own(deployments) {
                deployments.pop();
                let what = format!("{brought} was deployed to {service} once more, or by no action in progress");
                found = found.or(Some(Finding::of(service, what)));
            }
        }
        found
    }
}

/// Whether each deployment can be given one of those who may have made it, and nobody two.
fn each_has_its_own(deployments: &[Vec<String>]) -> bool {
    let mut given: BTreeMap<&str, usize> = BTreeMap::new();
    (0..deployments.len()).all(|place| gives(deployments, place, &mut given, &mut Vec::new()))
}

/// Gives a deployment somebody, if need be by giving another deployment somebody else.
fn gives<'a>(
    deployments: &'a [Vec<String>],
    place: usize,
    given: &mut BTreeMap<&'a str, usize>,
    asked: &mut Vec<&'a str>,
) -> bool {
    deployments.get(place).into_iter().flatten().any(|run| {
        if asked.contains(&run.as_str()) {
            return false;
        }
        asked.push(run);
        let other = given.get(run.as_str()).copied();
        let free = other.is_none_or(|other| gives(deployments, other, given, asked));
        if free {
            given.insert(run, place);
        }
        free
    })
}

/// The watch's way back to what was brought: it is on record, with its target, and nobody will turn the release over any
/// more, or its canary is not well. Whose canary action it undoes.
fn returned_by_the_watch(world: &World, service: &str, brought: &str) -> Option<String> {
    let object = world.s3.get("ledger", &format!("coalmine/held/{CLUSTER}/{service}.json"))?;
    let record: Value = serde_json::from_slice(&object.body).ok()?;
    let progress: Value = serde_json::from_str(record["progress"].as_str()?).ok()?;
    let target = progress["p"]["restore-canary"]["g"]["revision"].as_str()?;
    let text = |name: &str| record[name].as_str().unwrap_or_default();
    let execution = world.codepipeline.execution(text("pipeline"), text("release"))?;
    let lately = world.now.duration_since(execution.updated).is_ok_and(|passed| passed <= UNDER_WAY);
    let unwanted = !execution.is_active() || lately || record["restoring"]["sick"] == true;
    let goes_there = record["restoring"].is_object() && brought.rsplit('/').next() == Some(target);
    (unwanted && goes_there).then(|| format!("the watch after {}", text("action_execution")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_deployment_needs_an_action_of_its_own() {
        let may = |runs: &[&[&str]]| {
            let deployments: Vec<Vec<String>> =
                runs.iter().map(|runs| runs.iter().map(|run| (*run).to_owned()).collect()).collect();
            each_has_its_own(&deployments)
        };
        assert!(may(&[&["a", "b"], &["a"]]), "the first was b's");
        assert!(may(&[&["a", "b"], &["b", "c"], &["b"]]));
        assert!(!may(&[&["a"], &["a"]]), "once more");
        assert!(!may(&[&["a", "b"], &["a", "b"], &["b"]]));
        assert!(!may(&[&[]]), "by nobody");
    }
}
