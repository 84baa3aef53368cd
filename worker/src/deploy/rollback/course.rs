//! The course of one service: what it is told, and how it is followed until every task is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::deploy::batch::{CANARY_PERCENTS, Percents, Room, percents};
use crate::deploy::decision::elapsed;
use crate::deploy::release::{Count, Image};
use crate::deploy::revision::Revision;
use crate::deploy::undo::STALE_READ;
use crate::deploy::view::{Deployment, DeploymentStatus, Rollout, Service};

/// How often a service is told again that was brought back to what it is to leave: by a release that was under way, whose
/// last call came after ours. The next one is refused by its checks.
const TOLD_MOST: u32 = 3;
/// The part of the tasks that is replaced at a time where old tasks have to stop first.
const QUARTER: u32 = 4;

/// Where one service comes from, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Course {
    /// The cluster's name.
    pub cluster: String,
    /// The service's name.
    pub service: String,
    /// The full service, where this is the canary beside one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_of: Option<String>,
    /// The canary beside it, where this is a full service that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
    /// What it was told to run when the rollback began.
    pub from: Revision,
    /// The release that this is, with its pipeline, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<(String, String)>,
    /// Container → digest of what is left, as far as they are known.
    #[serde(default)]
    pub left_digests: BTreeMap<String, String>,
    /// What it goes back to.
    pub to: Revision,
    /// The release that that is, with its pipeline, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<(String, String)>,
    /// The release's images.
    pub images: Vec<Image>,
    /// The service's own percents, which it has again at the end.
    pub own: Percents,
    /// The option `surge`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surge: Option<bool>,
}

impl Course {
    /// `cluster/service`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}/{}", self.cluster, self.service)
    }

    /// Whether the service leaves something: otherwise it runs what it is to run already, or is on its way there.
    #[must_use]
    pub fn leaves(&self) -> bool {
        self.from != self.to
    }

    /// How the service makes room: all new tasks start beside the old ones, unless its owner lets never more than the
    /// desired count run.
    #[must_use]
    pub fn room(&self, service: &Service) -> Room {
        let never_more = self.own.maximum <= 100;
        match self.surge {
            None if !never_more => Room::Surge,
            None => Room::choose(service.desired, service.rebalancing, None),
            wished => Room::choose(service.desired, service.rebalancing, wished),
        }
    }

    /// How many tasks are replaced at a time.
    #[must_use]
    pub fn batch(&self, service: &Service) -> u32 {
        match self.room(service) {
            Room::Surge => service.desired.max(1),
            Room::InPlace => (service.desired / QUARTER).max(1),
        }
    }

    /// The percents for the way back.
    #[must_use]
    pub fn percents(&self, service: &Service) -> Percents {
        match self.room(service) {
            Room::Surge => CANARY_PERCENTS,
            Room::InPlace => percents(service.desired, self.batch(service), Room::InPlace),
        }
    }
}

/// What this program did so far, as far as it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// When the service was last told to run the target, in epoch seconds.
    pub told: Option<i64>,
    /// How often.
    pub times: u32,
    /// Whether a deployment of ours was looked for: a turn before this one may have told the service.
    pub searched: bool,
    /// Whether one was found.
    pub found: bool,
    /// The rollout that ECS had given up when the service was last told.
    pub given_up: Option<String>,
    /// The ARN of the service deployment that brings the target, once it was seen.
    pub deployment: Option<String>,
}

/// What is seen of the service.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The service.
    pub service: &'a Service,
    /// The deployment that brings the target, if it is known and was looked at.
    pub deployment: Option<&'a Deployment>,
    /// Its tasks, freshly counted.
    pub count: Option<&'a Count>,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Look for a deployment that an earlier turn began.
    Search,
    /// Tell it to run the target, with these percents.
    Tell(Percents),
    /// Give it other percents alone.
    Percents(Percents),
    /// Look at the deployment that brings the target.
    Look,
    /// Count its tasks by digest.
    Count,
    /// Wait.
    Wait,
    /// It is back: every task was counted.
    Back,
    /// It does not come back by this rollback.
    Lost,
}

/// Decides the next step of one service, with its reason.
#[must_use]
pub fn next(course: &Course, done: &Done, seen: Seen<'_>, now: i64) -> (Next, String) {
    let (service, to) = (seen.service, &course.to);
    if ["DRAINING", "INACTIVE"].contains(&service.status.as_str()) {
        return (Next::Lost, format!("the service became {}", service.status));
    }
    if service.revision == *to { arriving(course, done, seen, now) } else { elsewhere(course, done, seen, now) }
}

/// Where ECS gave the deployment of the target up, and stays there: without a breaker that rolls back. What it lacked may be
/// there by now, so each rollback tells the service once.
fn given_up(course: &Course, done: &Done, seen: Seen<'_>, primary: &Rollout, now: i64) -> (Next, String) {
    let to = &course.to;
    let reason = with(&format!("ECS gave the deployment of {to} up"), &primary.reason);
    match done.told {
        Some(at) if done.given_up.as_ref() == Some(&primary.id) && elapsed(at, now) < STALE_READ => {
            return (Next::Wait, "waiting for ECS to show the deployment".to_owned());
        }
        Some(_) => return (Next::Lost, reason),
        None if done.found => return (Next::Lost, reason),
        None => {}
    }
    if done.deployment.is_some() && seen.deployment.is_none() {
        return (Next::Look, format!("looking what became of the deployment of {to}"));
    }
    if let Some(DeploymentStatus::RollingBack | DeploymentStatus::RolledBack) =
        seen.deployment.map(|deployment| &deployment.status)
    {
        return (Next::Lost, format!("{reason}, and takes it back"));
    }
    if !done.searched {
        return (Next::Search, format!("looking whether it was told to run {to} already"));
    }
    (Next::Tell(course.percents(seen.service)), format!("{reason}: telling it once more to run {to}"))
}

fn arriving(course: &Course, done: &Done, seen: Seen<'_>, now: i64) -> (Next, String) {
    let (service, to) = (seen.service, &course.to);
    if let Some(primary) = service.primary().filter(|primary| primary.state == "FAILED") {
        return given_up(course, done, seen, primary, now);
    }
    if service.is_rolling() {
        // Percents that a turnover left are not those of the way back.
        let wanted = course.percents(service);
        let ours = done.told.is_some() || course.leaves();
        if ours && service.percents != wanted {
            let Percents { minimum, maximum } = wanted;
            return (Next::Percents(wanted), format!("going on with percents {minimum}/{maximum}"));
        }
        return (
            Next::Wait,
            format!("{} of {} tasks run {to}{}", arrived(service), service.desired, obstacle(service)),
        );
    }
    match seen.count {
        _ if service.running < service.desired => {
            (Next::Wait, format!("{} of {} tasks run", service.running, service.desired))
        }
        None => (Next::Count, format!("ECS is done; counting the tasks of {to} by digest")),
        Some(count) if !count.is_complete(service.desired) => {
            let other = count.others.first().map(|other| format!("; task {other}")).unwrap_or_default();
            (Next::Wait, format!("{} of {} tasks run {to}{other}", count.new, service.desired))
        }
        Some(_) if service.percents != course.own => {
            let Percents { minimum, maximum } = course.own;
            (Next::Percents(course.own), format!("giving its own percents back: {minimum}/{maximum}"))
        }
        Some(count) => (Next::Back, format!("{} of {} tasks run {to}", count.new, service.desired)),
    }
}

fn elsewhere(course: &Course, done: &Done, seen: Seen<'_>, now: i64) -> (Next, String) {
    let (service, to) = (seen.service, &course.to);
    let tell = |why: String| (Next::Tell(course.percents(service)), why);
    if done.told.is_none() && !done.searched {
        return (Next::Search, format!("looking whether it was told to run {to} already"));
    }
    if done.deployment.is_some() && seen.deployment.is_none() {
        return (Next::Look, format!("looking what became of the deployment of {to}"));
    }
    if let Some(deployment) = seen.deployment
        && let DeploymentStatus::RollingBack | DeploymentStatus::RolledBack | DeploymentStatus::RollbackFailed =
            deployment.status
    {
        let reason = deployment.rollback_reason.as_deref().unwrap_or(&deployment.reason);
        return (Next::Lost, with(&format!("ECS took it from {to} to {}", service.revision), reason));
    }
    if seen.deployment.is_some_and(|deployment| deployment.status == DeploymentStatus::Running) {
        return (Next::Wait, "waiting for ECS to show the service as it is now".to_owned());
    }
    match done.told {
        None if done.deployment.is_none() && service.revision == course.from => tell(format!("telling it to run {to}")),
        None if done.deployment.is_none() => {
            (Next::Lost, format!("it was told to run {} after the rollback was decided", service.revision))
        }
        Some(at) if done.deployment.is_none() && elapsed(at, now) < STALE_READ => {
            (Next::Wait, "waiting for ECS to show the deployment".to_owned())
        }
        _ if service.revision == course.from && done.times < TOLD_MOST => {
            tell(format!("it was brought to {} once more: telling it again to run {to}", service.revision))
        }
        _ => (Next::Lost, format!("somebody else told it to run {}", service.revision)),
    }
}

/// How many tasks of the target run.
fn arrived(service: &Service) -> u32 {
    service.rollout_of(&service.revision).map_or(0, |rollout| rollout.running)
}

/// ECS's word on why nothing moves.
fn obstacle(service: &Service) -> String {
    let told = service.events.first().filter(|event| event.contains("unable to") || event.contains("insufficient"));
    told.map(|event| format!("; ECS says: {event}")).unwrap_or_default()
}

fn with(opening: &str, reason: &str) -> String {
    if reason.is_empty() { opening.to_owned() } else { format!("{opening} ({})", reason.trim_end_matches('.')) }
}

/// How long a rollback that nobody stops is followed by an operator's command.
pub const PATIENCE: Duration = Duration::from_secs(3_600);

#[cfg(test)]
#[path = "course_tests.rs"]
mod tests;
