//! Rules with a seed.

use std::time::Duration;

use super::rule::{Fault, Freeze, Moment, Rule};

/// Rules in order; of those that are due for a call the first happens. The seed is the plan's own, so that a world
/// with faults and one without draw the same chance.
#[derive(Clone, Debug)]
pub struct FaultPlan {
    pub(super) seed: u64,
    pub(super) rules: Vec<Rule>,
}

impl FaultPlan {
    /// No faults yet. The seed serves [`Rule::chance`] and stale reads.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { seed, rules: Vec::new() }
    }

    /// Adds a rule.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// One fault at one call of one caller.
    #[must_use]
    pub fn at(access_key: &str, call: u64, fault: Fault) -> Self {
        Self::seeded(call).rule(Rule::new(fault).caller(access_key).call(call))
    }

    /// The caller dies when it sends its `call`th call, which does not arrive.
    #[must_use]
    pub fn kill_before(access_key: &str, call: u64) -> Self {
        Self::at(access_key, call, Fault::Kill(Moment::BeforeTheAct))
    }

    /// The caller dies when its `call`th call was carried out, before the reply reaches it.
    #[must_use]
    pub fn kill_after(access_key: &str, call: u64) -> Self {
        Self::at(access_key, call, Fault::Kill(Moment::AfterTheAct))
    }

    /// The caller stops for `length` at its `call`th call.
    #[must_use]
    pub fn freeze(access_key: &str, call: u64, moment: Freeze, length: Duration) -> Self {
        Self::at(access_key, call, Fault::Freeze(moment, length))
    }

    /// How far back reads of this plan may look.
    pub(crate) fn lag(&self) -> Option<Duration> {
        let lags = self.rules.iter().filter_map(|rule| match rule.fault {
            Fault::StaleRead(_, most) => Some(most),
            _ => None,
        });
        lags.max()
    }
}
