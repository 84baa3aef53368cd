//! EventBridge rules whose targets run ECS tasks.

use coalmine_door::AwsError;

use super::{Found, From};
use crate::in_use::Step;

pub(super) async fn read(from: From<'_>) -> Result<Found, AwsError> {
    let mut found = Found::default();
    for trigger in from.place.rule_targets().await? {
        let by = [Step::Rule(trigger.group.into(), trigger.name.into()), Step::Target(trigger.target.into())];
        found.definition(&by, &trigger.definition);
    }
    Ok(found)
}
