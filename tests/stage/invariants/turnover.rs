//! The full service changes only when the canary is well and people approved, and then batch by batch.

use std::collections::BTreeMap;

use aws_sdk_codepipeline::types::ActionExecutionStatus;
use simulator::World;
use simulator::codepipeline::ActionRun;

use super::changes::Seen;
use super::{Finding, Names, is_approved, may_act, runs};
use crate::stage::application::Application;

/// Watches the full service of one application.
#[derive(Debug)]
pub(super) struct Turnover {
    rebalancing: bool,
    /// The percents, and the desired count at which they were set.
    counted: Option<((i32, i32), u32)>,
    desired: u32,
    /// Tasks that were missing when the desired count or the percents changed, and still are.
    carried: u32,
}

impl Turnover {
    pub(super) fn of(application: &Application) -> Self {
        Self { rebalancing: application.rebalancing, counted: None, desired: 0, carried: 0 }
    }

    pub(super) fn look(
        &mut self,
        world: &World,
        names: &Names,
        changes: &BTreeMap<String, Seen>,
    ) -> Result<(), Finding> {
        let Some(seen) = changes.get(&names.full) else { return Ok(()) };
        let of_full = || runs(world, names).filter(|(_, run)| run.action_type.provider == "Coalmine-Full");
        let acting = of_full().find(|(execution, run)| may_act(world, run) && is_approved(execution, run));
        if let Some(before) = &seen.before
            && acting.is_none()
            // A person's doing, and ECS's own (a circuit breaker after the action was abandoned), are not the release's.
            && !seen.by_hand
            && !seen.taken_back
        {
            let what = format!(
                "full service {} was changed without an approval: from {before:?} to {:?}",
                names.full, seen.shape
            );
            return Err(Finding::of(&names.full, what));
        }
        // An abandoned turnover goes on by itself, under the percents that it was given.
        let abandoned = || of_full().last().filter(|(_, run)| run.status == ActionExecutionStatus::Abandoned);
        match acting.or_else(abandoned) {
            // What a person deploys is not the turnover's.
            Some((_, run)) if !seen.by_hand => self.no_more_than_a_batch(run, names, seen),
            _ => Ok(()),
        }
    }

    fn no_more_than_a_batch(&mut self, run: &ActionRun, names: &Names, seen: &Seen) -> Result<(), Finding> {
        let (desired, missing) = (seen.view.desired, seen.view.shortfall.turnover);
        let is_new = self.counted.is_none_or(|(percents, _)| percents != seen.shape.percents);
        if is_new {
            self.counted = Some((seen.shape.percents, desired));
        }
        let counted = self.counted.map_or(desired, |(_, desired)| desired);
        // A worker whose calls time out follows late: what the percents let ECS take before then comes back task by task.
        self.carried = if desired == self.desired && !is_new { self.carried.min(missing) } else { missing };
        self.desired = desired;
        let mut batch = self.batch(run, desired).max(self.batch(run, counted)).max(self.carried);
        if desired != counted {
            // Autoscaling changed the count under percents that were made for another one. A worker that lives follows
            // within seconds; until then ECS goes by what the percents make of the new count.
            batch = batch.max(desired.saturating_sub(u32::try_from(seen.view.bounds.0).unwrap_or(u32::MAX)));
        }
        if missing <= batch {
            return Ok(());
        }
        let full = &names.full;
        Err(Finding::of(
            full,
            format!(
                "{missing} of {desired} tasks of {full} are missing because of the turnover, at most {batch} may be"
            ),
        ))
    }

    /// How many tasks may be missing: `max(1, floor(N × batch))`, and none where new tasks come first.
    fn batch(&self, full: &ActionRun, desired: u32) -> u32 {
        let options = full.resolved.get("Options").map(String::as_str).unwrap_or_default();
        if desired <= 1 || self.rebalancing || options.replace(' ', "").contains("surge=true") {
            return 0;
        }
        let percent = full
            .resolved
            .get("Batch")
            .map_or(10, |batch| batch.trim_end_matches('%').parse().expect("the stories' batches are whole percents"));
        (desired * percent / 100).max(1)
    }
}
