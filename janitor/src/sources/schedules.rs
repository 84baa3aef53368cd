//! EventBridge Scheduler's schedules that run ECS tasks.

use coalmine_door::AwsError;

use super::{Found, From};
use crate::in_use::Step;

pub(super) async fn read(from: From<'_>) -> Result<Found, AwsError> {
    let mut found = Found::default();
    for trigger in from.place.schedules().await? {
        found.definition(&[Step::Schedule(trigger.group.into(), trigger.name.into())], &trigger.definition);
    }
    Ok(found)
}
