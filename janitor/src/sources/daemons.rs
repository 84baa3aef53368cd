//! ECS daemons: a namespace of their own, which no list of task definitions or services shows.

use coalmine_door::AwsError;

use super::{Found, From};
use crate::aws::ecs::{last_part, still_listed};
use crate::in_use::Step;

pub(super) async fn read(from: From<'_>) -> Result<Found, AwsError> {
    let mut found = Found { active: from.place.active_daemon_definitions().await?, uses: Vec::new() };
    for cluster in from.place.clusters().await? {
        let mut missing: Vec<String> = Vec::new();
        for daemon in from.place.daemons(&cluster).await? {
            let first = Step::Daemon(last_part(&cluster).into(), last_part(&daemon.arn).into());
            let revisions = from.place.daemon_revisions(&daemon.revisions).await?;
            for revision in &revisions {
                found.revision(&[first.clone(), Step::DaemonRevision(last_part(&revision.arn).into())], revision);
            }
            missing.extend(daemon.current.into_iter().filter(|arn| revisions.iter().all(|one| one.arn != *arn)));
        }
        // What a daemon ran a moment ago may be forgotten, but not what it still runs.
        if !missing.is_empty() {
            let again = from.place.daemons(&cluster).await?.into_iter();
            let again: Vec<String> = again.flat_map(|daemon| daemon.current).collect();
            still_listed("ecs DescribeDaemonRevisions", &missing, &again)?;
        }
    }
    Ok(found)
}
