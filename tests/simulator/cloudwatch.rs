//! Simulated CloudWatch: alarms.

use crate::World;

/// What happens by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {}

/// All alarms.
#[derive(Debug, Default)]
pub struct State {}

pub(crate) fn happen(_world: &mut World, event: Event) {
    match event {}
}

impl State {
    /// The state of an alarm: `OK`, `ALARM`, `INSUFFICIENT_DATA`; `None` where there is no such alarm.
    #[must_use]
    pub fn state(&self, _alarm: &str) -> Option<&str> {
        None
    }
}

crate::wire::json_operations! { dispatch: }
