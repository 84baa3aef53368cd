//! A step makes at most one deployment, and nothing is deployed but by an action in progress.

use std::collections::{BTreeMap, BTreeSet};

use simulator::World;

use super::changes::Seen;
use super::{Finding, Names, may_act, runs};

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
            // With two pipelines on one service either may have done it.
            let first =
                acting.into_iter().find(|run| !self.0.contains(&(run.clone(), service.clone(), brought.clone())));
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
