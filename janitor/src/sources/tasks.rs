//! Tasks: whatever runs, will run, or was stopped a moment ago, by name and by the digest that really runs.

use coalmine_door::AwsError;

use super::{Found, From};
use crate::aws::ecs::last_part;
use crate::in_use::Step;

pub(super) async fn read(from: From<'_>) -> Result<Found, AwsError> {
    let mut found = Found::default();
    for cluster in from.place.clusters().await? {
        let listed = from.place.task_arns(&cluster).await?;
        for task in from.cache.tasks(from.place, &cluster, &listed).await? {
            let by = [Step::Task(last_part(&cluster).into(), last_part(&task.arn).into())];
            if let Some(definition) = &task.definition {
                found.definition(&by, definition);
            }
            for image in &task.containers {
                found.image(&by, image);
            }
        }
    }
    Ok(found)
}
