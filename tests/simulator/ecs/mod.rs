//! Simulated ecs.

use crate::{Answer, Call, ErrorReply, World};
use serde_json::Value;

/// What happens by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {}

/// All state.
#[derive(Debug, Default)]
pub struct State {}

/// A running task, as the alarms see it.
#[derive(Clone, Debug)]
pub struct RunningTask {
    /// Since when it has been RUNNING.
    pub since: std::time::SystemTime,
    /// How its containers' images behave.
    pub behaviours: Vec<crate::ecr::Behaviour>,
}

impl State {
    /// The RUNNING tasks of a service.
    #[must_use]
    pub fn running_tasks(&self, _cluster: &str, _service: &str) -> Vec<RunningTask> {
        Vec::new()
    }
}

pub(crate) fn happen(_world: &mut World, event: Event) {
    match event {}
}

fn dispatch_other(_world: &mut World, call: &Call) -> Answer<Value> {
    Err(ErrorReply::unknown_operation(call.service.name(), &call.operation))
}
crate::wire::typed_operations! { aws_sdk_ecs: }
