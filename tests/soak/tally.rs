//! What there was of each, in one life or in all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aws_sdk_codepipeline::types::ActionExecutionStatus;
use simulator::World;

/// From so many lives on, a run must have met all that is usual.
const MANY: usize = 60;

/// From so many on also what is rare: one life in some two hundred rolls a stage back, where CodePipeline lets it.
const VERY_MANY: usize = 1_000;

/// Counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) lives: usize,
    /// Executions by how they ended.
    pub(crate) executions: BTreeMap<String, usize>,
    /// Canary and Full actions by how they ended.
    pub(crate) actions: BTreeMap<String, usize>,
    /// Actions that failed and put back what they had done.
    pub(crate) undone: usize,
    /// Executions that roll a stage back.
    pub(crate) rolled_back: usize,
    /// Stages that were retried.
    pub(crate) retried: usize,
    pub(crate) deaths: usize,
    /// Workers that were told to stop, and ended by themselves.
    pub(crate) drains: usize,
    pub(crate) faults: usize,
    /// How often a clock was set.
    pub(crate) clocks: usize,
    pub(crate) calls: usize,
    pub(crate) virtual_time: Duration,
}

impl Tally {
    pub(crate) fn count_executions(&mut self, world: &World) {
        for execution in world.codepipeline.pipelines().flat_map(|pipeline| &pipeline.executions) {
            *self.executions.entry(execution.status.as_str().to_owned()).or_default() += 1;
            self.rolled_back += usize::from(execution.rollback_target.is_some());
            self.retried += execution.stages.iter().filter(|stage| stage.retries > 0).count();
            for run in execution.actions.iter().filter(|run| run.action_type.owner == "Custom") {
                *self.actions.entry(format!("{} {}", run.name, run.status)).or_default() += 1;
                let undone = run.status == ActionExecutionStatus::Failed
                    && run.error.as_ref().is_some_and(|error| error.message.contains(" again"));
                self.undone += usize::from(undone);
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
        self.undone += other.undone;
        self.rolled_back += other.rolled_back;
        self.retried += other.retried;
        self.deaths += other.deaths;
        self.drains += other.drains;
        self.faults += other.faults;
        self.clocks += other.clocks;
        self.calls += other.calls;
        self.virtual_time += other.virtual_time;
    }

    /// What a run must have met; otherwise it showed little. From `VERY_MANY` lives on it is all that there is.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let met = |counts: &BTreeMap<String, usize>, name: &str| counts.contains_key(name);
        let few = [
            ("successes", met(&self.executions, "Succeeded")),
            ("failures", met(&self.executions, "Failed")),
            ("undone actions", self.undone > 0),
            ("deaths", self.deaths > 0),
            ("stopped workers", self.drains > 0),
            ("faults", self.faults > 0),
        ];
        let many = [
            ("stopped executions", met(&self.executions, "Stopped")),
            ("superseded executions", met(&self.executions, "Superseded")),
            ("abandoned actions", self.actions.keys().any(|name| name.ends_with("Abandoned"))),
            ("canaries that failed", met(&self.actions, "Canary Failed")),
            ("turnovers that failed", met(&self.actions, "Full Failed")),
            ("stages that were retried", self.retried > 0),
            ("clocks that were set", self.clocks > 0),
        ];
        let very_many = [("stages that were rolled back", self.rolled_back > 0)];
        let many = many.into_iter().filter(|_| self.lives >= MANY);
        let very_many = very_many.into_iter().filter(|_| self.lives >= VERY_MANY);
        few.into_iter().chain(many).chain(very_many).filter(|(_, met)| !met).map(|(name, _)| name).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |counts: &BTreeMap<String, usize>| {
            counts.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
        };
        write!(
            f,
            "{} lives: {} executions ({}); actions: {}; {} undone, {} stages rolled back, {} retried; {} deaths, {} drains, {} faults, {} clocks set, {} calls, {:.0} virtual hours",
            self.lives,
            self.executions.values().sum::<usize>(),
            list(&self.executions),
            list(&self.actions),
            self.undone,
            self.rolled_back,
            self.retried,
            self.deaths,
            self.drains,
            self.faults,
            self.clocks,
            self.calls,
            self.virtual_time.as_secs_f64() / 3_600.0
        )
    }
}
