//! ECS daemons: a namespace of their own, which no list of task definitions or services shows.

use coalmine_door::AwsError;

use super::{Found, From};
use crate::aws::ecs::last_part;
use crate::in_use::Step;

pub(super) async fn read(from: From<'_>) -> Result<Found, AwsError> {
    let mut found = Found { active: from.place.active_daemon_definitions().await?, uses: Vec::new() };
    for cluster in from.place.clusters().await? {
        for daemon in from.place.daemons(&cluster).await? {
            let first = Step::Daemon(last_part(&cluster).into(), last_part(&daemon.arn).into());
            for revision in from.place.daemon_revisions(&daemon.revisions).await? {
                found.revision(&[first.clone(), Step::DaemonRevision(last_part(&revision.arn).into())], &revision);
            }
        }
    }
    Ok(found)
}
