//! The verdict on our deployment: well, ill, or not yet known, always with its reason.

use crate::deploy::decision::Role;
use crate::deploy::progress::{Cause, CauseKind};
use crate::deploy::revision::Revision;
use crate::deploy::stops::{Blame, Fault, blame};
use crate::deploy::view::Time;
use crate::deploy::view::{Alarm, Deployment, DeploymentStatus, Service, Task};

/// What the signals say, strongest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// ECS calls the deployment successful and nothing speaks against it. The tasks are still to be counted.
    Well,
    /// It has to be undone, or is being undone.
    Ill(Cause),
    /// Nothing is decided; what it waits for.
    NotYet(String),
}

/// The signals that a verdict rests on.
#[derive(Clone, Copy, Debug)]
pub struct Signals<'a> {
    /// Which action it is.
    pub role: Role,
    /// The service that is deployed to.
    pub service: &'a Service,
    /// The other one of the pair, where it is looked at.
    pub partner: Option<&'a Service>,
    /// Our revision.
    pub revision: &'a Revision,
    /// Our service deployment, once AWS shows it.
    pub deployment: Option<&'a Deployment>,
    /// Stopped tasks of the service.
    pub stopped: &'a [Task],
    /// The alarms that count: not those that were red before and are ignored.
    pub alarms: &'a [&'a Alarm],
    /// How many tasks are replaced at a time.
    pub batch: u32,
}

/// Judges our deployment.
#[must_use]
pub fn judge(signals: &Signals<'_>) -> Verdict {
    let Some(deployment) = signals.deployment else {
        return Verdict::NotYet("waiting for ECS to show the deployment".to_owned());
    };
    let ended = matches!(deployment.status, DeploymentStatus::Stopped | DeploymentStatus::Successful);
    if ended && signals.service.predates(deployment, signals.revision) {
        return Verdict::NotYet("waiting for ECS to show the service as it is now".to_owned());
    }
    if let Some(cause) = by_deployment(signals, deployment) {
        return Verdict::Ill(cause);
    }
    if let Some(cause) = by_tasks(signals, deployment.created) {
        return Verdict::Ill(cause);
    }
    if let Some(cause) = by_alarms(signals) {
        return Verdict::Ill(cause);
    }
    match &deployment.status {
        DeploymentStatus::Successful => Verdict::Well,
        DeploymentStatus::Other(status) => {
            Verdict::NotYet(format!("ECS reports a status that is newer than this worker: {status}"))
        }
        _ => Verdict::NotYet(under_way(signals)),
    }
}

fn under_way(signals: &Signals<'_>) -> String {
    let service = signals.service;
    let new = service.rollout_of(signals.revision).map_or(0, |rollout| rollout.running);
    let mut text = format!("{new} of {} tasks run {}", service.desired, signals.revision);
    if let Some(event) = service.events.first().filter(|event| is_obstacle(event)) {
        text = format!("{text}; ECS says: {event}");
    }
    text
}

/// Events that explain why nothing moves ("Service event messages", Amazon ECS).
fn is_obstacle(event: &str) -> bool {
    ["unable to", "throttled", "not enough", "insufficient"].iter().any(|sign| event.contains(sign))
}

/// ECS's own word: rolled back, superseded, stopped.
fn by_deployment(signals: &Signals<'_>, deployment: &Deployment) -> Option<Cause> {
    let service = signals.service;
    let elsewhere = service.revision != *signals.revision;
    let (kind, text) = match deployment.status {
        DeploymentStatus::RollingBack | DeploymentStatus::RolledBack | DeploymentStatus::RollbackFailed => {
            rolled_back(service, deployment)
        }
        DeploymentStatus::Stopped if elsewhere => (
            CauseKind::Superseded,
            format!("another deployment took its place: {} now runs {}", service.label(), service.revision),
        ),
        DeploymentStatus::Stopped => match monitor(deployment) {
            // The service's owner wants no rollback by ECS.
            Some(monitor) => {
                (CauseKind::Tasks, with_reason(&format!("ECS stopped it because of {monitor}"), &deployment.reason))
            }
            None => (CauseKind::Stopped, with_reason("the deployment was stopped", &deployment.reason)),
        },
        DeploymentStatus::Successful if elsewhere => (
            CauseKind::Superseded,
            format!("it was successful, but {} has since been told to run {}", service.label(), service.revision),
        ),
        _ => return None,
    };
    let cause = Cause { kind, text, witness: None };
    Some(with_tasks(cause, signals.stopped, signals.revision, deployment.created))
}

/// What of ECS's own triggered.
fn monitor(deployment: &Deployment) -> Option<String> {
    if deployment.breaker_triggered {
        Some("its deployment circuit breaker".to_owned())
    } else if deployment.alarms_triggered.is_empty() {
        None
    } else {
        Some(format!("alarm {}", deployment.alarms_triggered.join(", ")))
    }
}

fn rolled_back(service: &Service, deployment: &Deployment) -> (CauseKind, String) {
    let (kind, opening) = match monitor(deployment) {
        Some(monitor) => (CauseKind::RolledBack, format!("ECS rolled it back because of {monitor}")),
        None if service.has_hooks() => (CauseKind::RolledBack, "ECS rolled it back".to_owned()),
        // Nothing of ECS's own triggered: that leaves StopServiceDeployment.
        None => (CauseKind::Stopped, "somebody stopped it, and ECS rolled it back".to_owned()),
    };
    (kind, with_reason(&opening, deployment.rollback_reason.as_deref().unwrap_or(&deployment.reason)))
}

/// A cause that is ECS's word or the clock's, with what became of the deployment's tasks. At the moment of the verdict
/// they may still be on their way down, so this is also asked when the failure is told.
#[must_use]
pub fn with_tasks(cause: Cause, stopped: &[Task], revision: &Revision, since: Option<Time>) -> Cause {
    let speaks = matches!(cause.kind, CauseKind::RolledBack | CauseKind::Stopped | CauseKind::TimedOut)
        || (cause.kind == CauseKind::Tasks && cause.witness.is_none());
    let Some((fault, count)) = worst(stopped, revision, since).filter(|_| speaks && cause.witness.is_none()) else {
        return cause;
    };
    let text = format!("{}; {count} of its tasks stopped: {}", cause.text, fault.reason);
    Cause { text, witness: witness(stopped, revision, since, &fault), ..cause }
}

fn with_reason(opening: &str, reason: &str) -> String {
    if reason.is_empty() { opening.to_owned() } else { format!("{opening} ({})", reason.trim_end_matches('.')) }
}

/// A fault of the release that enough tasks of a revision share, for people; for a look at a canary that is not being
/// deployed any more.
#[must_use]
pub fn repeated_fault(stopped: &[Task], revision: &Revision, batch: u32) -> Option<String> {
    let (fault, count) = worst(stopped, revision, None)?;
    (count >= needed(batch)).then(|| format!("{count} tasks stopped for the same reason: {}", fault.reason))
}

fn needed(batch: u32) -> u32 {
    batch.div_ceil(2).max(2)
}

/// The same reason on `max(2, ceil(batch / 2))` tasks of this deployment, if it lies in the release.
fn by_tasks(signals: &Signals<'_>, since: Option<Time>) -> Option<Cause> {
    let (fault, count) = worst(signals.stopped, signals.revision, since)?;
    (count >= needed(signals.batch)).then(|| Cause {
        kind: CauseKind::Tasks,
        text: format!("{count} tasks stopped for the same reason: {}", fault.reason),
        witness: witness(signals.stopped, signals.revision, since, &fault),
    })
}

/// The stopped tasks of our deployment: those of our revision that were created since it began. (A retried stage
/// may use the same revision again, and the tasks of its first try are described for an hour.)
fn of_ours<'a>(stopped: &'a [Task], revision: &Revision, since: Option<Time>) -> impl Iterator<Item = &'a Task> {
    stopped
        .iter()
        .filter(move |task| task.revision == *revision)
        .filter(move |task| since.is_none() || task.created.is_none() || task.created >= since)
}

fn worst(stopped: &[Task], revision: &Revision, since: Option<Time>) -> Option<(Fault, u32)> {
    let mut faults: Vec<(Fault, u32)> = Vec::new();
    for task in of_ours(stopped, revision, since) {
        if let Blame::Release(fault) = blame(task) {
            match faults.iter_mut().find(|(known, _)| known.reason == fault.reason) {
                Some((_, count)) => *count += 1,
                None => faults.push((fault, 1)),
            }
        }
    }
    faults.into_iter().reduce(|most, next| if next.1 > most.1 { next } else { most })
}

fn witness(stopped: &[Task], revision: &Revision, since: Option<Time>, fault: &Fault) -> Option<(String, String)> {
    of_ours(stopped, revision, since)
        .find(|task| matches!(blame(task), Blame::Release(found) if found.reason == fault.reason))
        .map(|task| (task.id.clone(), fault.container.clone()))
}

fn by_alarms(signals: &Signals<'_>) -> Option<Cause> {
    let Signals { role, service, partner, .. } = signals;
    let red: Vec<String> = signals
        .alarms
        .iter()
        .filter(|alarm| alarm.is_red())
        .map(|alarm| red(alarm, *role, service, *partner))
        .collect();
    (!red.is_empty()).then(|| Cause { kind: CauseKind::Alarm, text: red.join("; "), witness: None })
}

/// One red alarm, for people. An alarm is the service's own if it names that service and not its partner, too (the two
/// may share a target group). Red shared alarms stop a deployment, too, but they may have another cause.
#[must_use]
pub fn red(alarm: &Alarm, role: Role, service: &Service, partner: Option<&Service>) -> String {
    let of_partner = partner.is_some_and(|partner| alarm.names(partner));
    let whose = match (role, alarm.names(service), of_partner) {
        _ if partner.is_none() => "",
        (_, true, false) => "",
        (Role::Canary, false, true) => ", of the full service",
        (Role::Full, false, true) => ", of the canary",
        (Role::Canary, ..) => ", shared with the full service",
        (Role::Full, ..) => ", shared with the canary",
    };
    with_reason(&format!("alarm {} is in ALARM{whose}", alarm.name), &alarm.reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::fixtures::{alarm, deployment, service, stopped};

    struct World {
        service: Service,
        deployment: Deployment,
        stopped: Vec<Task>,
        alarms: Vec<Alarm>,
        batch: u32,
    }

    impl World {
        fn rolling() -> Self {
            Self {
                service: service("app", 10, "app:2"),
                deployment: deployment("IN_PROGRESS"),
                stopped: Vec::new(),
                alarms: vec![alarm("errors", "OK")],
                batch: 1,
            }
        }

        fn verdict(&self) -> Verdict {
            let alarms: Vec<&Alarm> = self.alarms.iter().collect();
            judge(&Signals {
                role: Role::Canary,
                service: &self.service,
                partner: Some(&service("full", 10, "full:1")),
                revision: &"app:2".parse().unwrap(),
                deployment: Some(&self.deployment),
                stopped: &self.stopped,
                alarms: &alarms,
                batch: self.batch,
            })
        }

        fn kind(&self) -> Option<CauseKind> {
            match self.verdict() {
                Verdict::Ill(cause) => Some(cause.kind),
                _ => None,
            }
        }
    }

    #[test]
    fn two_crashes_are_a_verdict_and_one_is_not() {
        let mut world = World::rolling();
        world.stopped = vec![stopped("app:2", "EssentialContainerExited", 1)];
        assert!(matches!(world.verdict(), Verdict::NotYet(_)));
        world.stopped.push(stopped("app:2", "EssentialContainerExited", 1));
        assert_eq!(world.kind(), Some(CauseKind::Tasks));
    }

    #[test]
    fn half_a_batch_of_crashes_is_needed() {
        let mut world = World::rolling();
        world.batch = 10;
        world.stopped = vec![stopped("app:2", "EssentialContainerExited", 1); 4];
        assert_eq!(world.kind(), None);
        world.stopped.push(stopped("app:2", "EssentialContainerExited", 1));
        assert_eq!(world.kind(), Some(CauseKind::Tasks));
    }

    #[test]
    fn other_revisions_other_reasons_and_spot_do_not_add_up() {
        let mut world = World::rolling();
        world.stopped = vec![
            stopped("app:1", "EssentialContainerExited", 1),
            stopped("app:2", "EssentialContainerExited", 1),
            stopped("app:2", "EssentialContainerExited", 2),
            stopped("app:2", "SpotInterruption", 143),
            stopped("app:2", "SpotInterruption", 143),
        ];
        assert_eq!(world.kind(), None);
    }

    #[test]
    fn the_four_other_ends_are_told_apart() {
        let mut world = World::rolling();
        for (status, revision, expected) in [
            ("ROLLBACK_IN_PROGRESS", "app:1", CauseKind::Stopped),
            ("ROLLBACK_SUCCESSFUL", "app:1", CauseKind::Stopped),
            ("STOPPED", "app:3", CauseKind::Superseded),
            ("STOPPED", "app:2", CauseKind::Stopped),
            ("SUCCESSFUL", "app:3", CauseKind::Superseded),
        ] {
            world.deployment = deployment(status);
            world.service.revision = revision.parse().unwrap();
            assert_eq!(world.kind(), Some(expected), "{status} {revision}");
        }
        world.service.revision = "app:2".parse().unwrap();
        world.deployment = deployment("SUCCESSFUL");
        assert_eq!(world.verdict(), Verdict::Well);
        world.deployment = deployment("A_NEW_STATUS");
        assert!(matches!(world.verdict(), Verdict::NotYet(_)));
    }

    #[test]
    fn a_view_that_is_older_than_the_deployment_is_no_verdict() {
        let mut world = World::rolling();
        world.deployment = deployment("SUCCESSFUL");
        world.service = service("app", 10, "app:1");
        for (created, expected) in [(-5, None), (5, Some(CauseKind::Superseded))] {
            world.service.rollouts[0].created = Some(crate::deploy::fixtures::at(created));
            assert_eq!(world.kind(), expected, "{created}");
        }
    }

    #[test]
    fn what_the_breaker_or_an_alarm_of_ecs_ended_was_not_stopped_by_a_person() {
        let mut world = World::rolling();
        for (status, expected) in [("ROLLBACK_IN_PROGRESS", CauseKind::RolledBack), ("STOPPED", CauseKind::Tasks)] {
            world.deployment = deployment(status);
            world.deployment.breaker_triggered = true;
            assert_eq!(world.kind(), Some(expected), "{status}");
            world.deployment.breaker_triggered = false;
            assert_eq!(world.kind(), Some(CauseKind::Stopped), "{status}");
            world.deployment.alarms_triggered = vec!["errors".into()];
            assert_eq!(world.kind(), Some(expected), "{status}");
        }
        world.deployment = deployment("ROLLBACK_IN_PROGRESS");
        world.service.configuration["lifecycleHooks"] = serde_json::json!([{"targetType": "PAUSE"}]);
        assert_eq!(world.kind(), Some(CauseKind::RolledBack), "a hook may have asked for it");
    }

    #[test]
    fn a_task_that_stops_after_the_verdict_is_told_all_the_same() {
        let revision = "app:2".parse().unwrap();
        let rolled_back = Cause { kind: CauseKind::RolledBack, text: "ECS rolled it back".into(), witness: None };
        let crashed = [stopped("app:2", "EssentialContainerExited", 3)];
        let told = with_tasks(rolled_back.clone(), &crashed, &revision, None);
        assert_eq!(told.text, "ECS rolled it back; 1 of its tasks stopped: container app ended with exit code 3");
        assert!(told.witness.is_some());
        assert_eq!(with_tasks(told.clone(), &crashed, &revision, None), told, "told once");
        assert_eq!(with_tasks(rolled_back.clone(), &[], &revision, None), rolled_back);
    }

    #[test]
    fn a_red_alarm_is_told_as_own_or_shared() {
        let mut canary = service("app-canary", 1, "app-canary:2");
        let mut full = service("app", 10, "app:1");
        full.cluster = "app".into();
        let group = "targetgroup/app/0123456789abcdef";
        canary.target_groups = vec![format!("arn:aws:elasticloadbalancing:eu-central-1:123456789012:{group}")];
        full.target_groups.clone_from(&canary.target_groups);
        for (dimensions, expected) in [
            (vec![], ", shared with the full service"),
            (vec![("ClusterName", "app"), ("ServiceName", "app-canary")], ""),
            (vec![("ClusterName", "app"), ("ServiceName", "app")], ", of the full service"),
            (vec![("ClusterName", "app")], ", shared with the full service"),
            (vec![("TargetGroup", group)], ", shared with the full service"),
        ] {
            let mut alarm = alarm("errors", "ALARM");
            alarm.dimensions = dimensions.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            let text = red(&alarm, Role::Canary, &canary, Some(&full));
            assert_eq!(text, format!("alarm errors is in ALARM{expected}"), "{dimensions:?}");
        }
    }

    #[test]
    fn a_red_alarm_is_a_verdict_and_one_without_data_is_none() {
        let mut world = World::rolling();
        world.alarms = vec![alarm("errors", "ALARM")];
        assert_eq!(world.kind(), Some(CauseKind::Alarm));
        world.alarms = vec![alarm("errors", "INSUFFICIENT_DATA")];
        assert!(matches!(world.verdict(), Verdict::NotYet(_)));
    }
}
