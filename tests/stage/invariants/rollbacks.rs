//! After the success of a rollback all tasks of each service run what it decided, and the service has its own percents.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_codepipeline::types::ActionExecutionStatus;
use serde_json::Value;
use simulator::World;
use simulator::codepipeline::ActionRun;
use simulator::ecs::TaskStatus;

use super::changes::Seen;
use super::success::WORD;
use super::{Finding, Names};
use crate::stage::application::CLUSTER;
use crate::stage::permissions::in_ledger;

/// What each rollback decided, and which successes were looked at.
#[derive(Debug, Default)]
pub(super) struct Rollbacks {
    /// The courses of each action in progress, by its id: the ledger may lose them.
    decided: BTreeMap<String, Value>,
    proven: BTreeSet<String>,
}

impl Rollbacks {
    pub(super) fn look(
        &mut self,
        world: &World,
        names: &Names,
        changes: &BTreeMap<String, Seen>,
        deadly: bool,
    ) -> Option<Finding> {
        for run in runs(world) {
            if self.proven.contains(&run.id) {
                continue;
            }
            if !self.decided.contains_key(&run.id) {
                self.decided.extend(decided(world, run).map(|decided| (run.id.clone(), decided)));
            }
            if run.status != ActionExecutionStatus::Succeeded {
                continue;
            }
            self.proven.insert(run.id.clone());
            let Some(decided) = self.decided.get(&run.id) else {
                return Some(Finding::new(format!("{} succeeded, but nothing was ever decided", run.name)));
            };
            let word = if deadly { WORD.1 } else { WORD.0 };
            for seen in [&names.full, &names.canary].into_iter().filter_map(|name| changes.get(name)) {
                // One that was left out stands in no course.
                let Some(course) = course(decided, &seen.view.service) else { continue };
                let lately = world.now.duration_since(seen.since).is_ok_and(|passed| passed <= word);
                let told = seen.shape.task_definition.rsplit('/').next() == course["to"].as_str();
                let wrong = if told { astray(world, seen, course) } else { Some(seen.shape.task_definition.clone()) };
                // Somebody may tell it otherwise between the last count and the worker's word.
                if let Some(wrong) = wrong.filter(|_| told || !lately) {
                    let service = &seen.view.service;
                    let what = format!("{} succeeded, but {service} has {wrong}, not {}", run.name, course["to"]);
                    return Some(Finding::of(service, what));
                }
            }
        }
        None
    }
}

fn runs(world: &World) -> impl Iterator<Item = &ActionRun> {
    let executions = world.codepipeline.pipelines().flat_map(|pipeline| &pipeline.executions);
    let runs = executions.flat_map(|execution| &execution.actions);
    runs.filter(|run| run.action_type.provider == "Coalmine-Rollback")
}

fn decided(world: &World, run: &ActionRun) -> Option<Value> {
    serde_json::from_slice(in_ledger(world, &format!("rollbacks/{}.json", run.id))?).ok()
}

fn course<'a>(decided: &'a Value, service: &str) -> Option<&'a Value> {
    decided["courses"].as_array()?.iter().find(|course| course["service"] == service)
}

/// What a service that was told to run the target has that is not of it.
fn astray(world: &World, seen: &Seen, course: &Value) -> Option<String> {
    let (minimum, maximum) = seen.shape.percents;
    let own = [&course["own"]["minimum"], &course["own"]["maximum"]].map(Value::as_i64);
    if own != [Some(minimum.into()), Some(maximum.into())] {
        return Some(format!("percents {minimum}/{maximum}"));
    }
    let view = world.ecs.view(CLUSTER, &seen.view.service)?;
    let counts = |container: &str, digest: &str| {
        let images = course["images"].as_array().into_iter().flatten();
        images.filter(|image| image["container"] == container).all(|image| {
            let digests = image["digests"].as_array();
            digests.is_some_and(|digests| digests.iter().any(|counts| counts == digest))
        })
    };
    let going = view.tasks.iter().filter(|task| task.stopped.is_none());
    let foreign = going.clone().find(|task| {
        let mut digests = task.digests.iter().filter_map(|(name, digest)| Some((name, digest.as_ref()?)));
        task.task_definition != seen.shape.task_definition || digests.any(|(name, digest)| !counts(name, digest))
    });
    if let Some(task) = foreign {
        return Some(format!("task {} of {} with {:?}", task.id, task.task_definition, task.digests));
    }
    let running = going.filter(|task| task.status == TaskStatus::Running).count();
    (running == 0 && view.desired > 0).then(|| "no running task".to_owned())
}
