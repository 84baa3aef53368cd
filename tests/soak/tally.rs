//! What there was of each, in one life or in all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aws_sdk_codepipeline::types::ActionExecutionStatus;
use simulator::World;

/// Counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) lives: usize,
    /// Executions by how they ended.
    pub(crate) executions: BTreeMap<String, usize>,
    /// Canary and Full actions by how they ended.
    pub(crate) actions: BTreeMap<String, usize>,
    /// Service deployments that ECS took back.
    pub(crate) rollbacks: usize,
    pub(crate) deaths: usize,
    /// Workers that were told to stop, and ended by themselves.
    pub(crate) drains: usize,
    pub(crate) faults: usize,
    pub(crate) calls: usize,
    pub(crate) virtual_time: Duration,
}

impl Tally {
    pub(crate) fn count_executions(&mut self, world: &World) {
        for execution in world.codepipeline.pipelines().flat_map(|pipeline| &pipeline.executions) {
            *self.executions.entry(execution.status.as_str().to_owned()).or_default() += 1;
            for run in execution.actions.iter().filter(|run| run.action_type.owner == "Custom") {
                *self.actions.entry(format!("{} {}", run.name, run.status)).or_default() += 1;
                let undone = run.status == ActionExecutionStatus::Failed
                    && run.error.as_ref().is_some_and(|error| error.message.contains(" again"));
                self.rollbacks += usize::from(undone);
            }
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.lives += other.lives;
        for (name, count) in &other.executions {
            *self.executions.entry(name.clone()).or_default() += count;
        }
        for (name, count) in &other.actions {
            *self.actions.entry(name.clone()).or_default() += count;
        }
        self.rollbacks += other.rollbacks;
        self.deaths += other.deaths;
        self.drains += other.drains;
        self.faults += other.faults;
        self.calls += other.calls;
        self.virtual_time += other.virtual_time;
    }

    /// What a run of many lives must have met; otherwise it showed nothing.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let met = |counts: &BTreeMap<String, usize>, name: &str| counts.contains_key(name);
        let wanted = [
            ("successes", met(&self.executions, "Succeeded")),
            ("failures", met(&self.executions, "Failed")),
            ("stops", met(&self.executions, "Stopped")),
            ("superseded executions", met(&self.executions, "Superseded")),
            ("abandoned actions", self.actions.keys().any(|name| name.ends_with("Abandoned"))),
            ("canaries that failed", met(&self.actions, "Canary Failed")),
            ("turnovers that failed", met(&self.actions, "Full Failed")),
            ("rollbacks", self.rollbacks > 0),
            ("deaths", self.deaths > 0),
            ("faults", self.faults > 0),
        ];
        wanted.into_iter().filter(|(_, met)| !met).map(|(name, _)| name).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |counts: &BTreeMap<String, usize>| {
            counts.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
        };
        write!(
            f,
            "{} lives: {} executions ({}); actions: {}; {} undone; {} deaths, {} drains, {} faults, {} calls, {:.0} virtual hours",
            self.lives,
            self.executions.values().sum::<usize>(),
            list(&self.executions),
            list(&self.actions),
            self.rollbacks,
            self.deaths,
            self.drains,
            self.faults,
            self.calls,
            self.virtual_time.as_secs_f64() / 3_600.0
        )
    }
}
