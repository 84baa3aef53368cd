//! A step makes at most one deployment, and nothing is deployed but by an action in progress, or by the watch that returns
//! a canary.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use simulator::World;

use super::changes::Seen;
use super::{Finding, Names, UNDER_WAY, may_act, runs};
use crate::stage::application::CLUSTER;

/// Which action brought what to which service: run, service, task definition.
#[derive(Debug, Default)]
pub(super) struct Steps(BTreeSet<(String, String, String)>);

impl Steps {
    pub(super) fn look(&mut self, world: &World, names: &Names, changes: &BTreeMap<String, Seen>) -> Option<Finding> {
        let mut found = None;
        let new = changes.values().filter(|seen| seen.before.is_some() && seen.is_new && !seen.by_hand);
        for seen in new {
            let (service, brought) = (&seen.view.service, &seen.shape.task_definition);
            let acting: Vec<String> =
                runs(world, names).filter(|(_, run)| may_act(world, run)).map(|(_, run)| run.id.clone()).collect();
            let watch = (*service == names.canary).then(|| returned_by_the_watch(world, service, brought)).flatten();
            // With two pipelines on one service either may have done it.
            let first = watch
                .into_iter()
                .chain(acting)
                .find(|run| !self.0.contains(&(run.clone(), service.clone(), brought.clone())));
            match first {
                Some(run) => {
                    self.0.insert((run, service.clone(), brought.clone()));
                }
                None => {
                    let what = format!("{brought} was deployed to {service} once more, or by no action in progress");
                    found = found.or(Some(Finding::of(service, what)));
                }
            }
        }
        found
    }
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
