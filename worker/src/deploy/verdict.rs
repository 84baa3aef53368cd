//! The verdict on our deployment: well, ill, or not yet known, always with its reason.

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
    /// The service that is deployed to.
    pub service: &'a Service,
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
            (CauseKind::RolledBack, rolled_back(deployment))
        }
        DeploymentStatus::Stopped if elsewhere => (
            CauseKind::Superseded,
            format!("another deployment took its place: {} now runs {}", service.label(), service.revision),
        ),
        DeploymentStatus::Stopped => {
            (CauseKind::Stopped, with_reason("the deployment was stopped", &deployment.reason))
        }
        DeploymentStatus::Successful if elsewhere => (
            CauseKind::Superseded,
            format!("it was successful, but {} has since been told to run {}", service.label(), service.revision),
        ),
        _ => return None,
    };
    let worst = worst(signals.stopped, signals.revision, deployment.created);
    let text = match &worst {
        Some((fault, count)) => format!("{text}; {count} of its tasks stopped: {}", fault.reason),
        None => text,
    };
    let witness = worst.map(|(fault, _)| fault).and_then(|fault| witness(signals, deployment.created, &fault));
    Some(Cause { kind, text, witness })
}

fn rolled_back(deployment: &Deployment) -> String {
    let opening = if deployment.breaker_triggered {
        "ECS's deployment circuit breaker rolled it back".to_owned()
    } else if deployment.alarms_triggered.is_empty() {
        "ECS rolled it back".to_owned()
    } else {
        format!("ECS rolled it back because of alarm {}", deployment.alarms_triggered.join(", "))
    };
    with_reason(&opening, deployment.rollback_reason.as_deref().unwrap_or(&deployment.reason))
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
        witness: witness(signals, since, &fault),
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

fn witness(signals: &Signals<'_>, since: Option<Time>, fault: &Fault) -> Option<(String, String)> {
    of_ours(signals.stopped, signals.revision, since)
        .find(|task| matches!(blame(task), Blame::Release(found) if found.reason == fault.reason))
        .map(|task| (task.id.clone(), fault.container.clone()))
}

fn by_alarms(signals: &Signals<'_>) -> Option<Cause> {
    let red: Vec<String> =
        signals.alarms.iter().filter(|alarm| alarm.is_red()).map(|alarm| red(alarm, signals.service)).collect();
    (!red.is_empty()).then(|| Cause { kind: CauseKind::Alarm, text: red.join("; "), witness: None })
}

/// One red alarm, for people. Red shared alarms stop a deployment, too, but they may have another cause.
#[must_use]
pub fn red(alarm: &Alarm, service: &Service) -> String {
    let whose = if alarm.is_own(service) { "" } else { ", shared with the partner service" };
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
                service: &self.service,
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
            ("ROLLBACK_IN_PROGRESS", "app:1", CauseKind::RolledBack),
            ("ROLLBACK_SUCCESSFUL", "app:1", CauseKind::RolledBack),
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
    fn a_red_alarm_is_told_as_own_or_shared() {
        let mut world = World::rolling();
        world.alarms = vec![alarm("errors", "ALARM")];
        let Verdict::Ill(cause) = world.verdict() else { panic!("expected ill") };
        assert!(cause.text.contains("shared with the partner service"), "{}", cause.text);
        world.alarms[0].dimensions = vec![("ServiceName".into(), "app".into())];
        let Verdict::Ill(cause) = world.verdict() else { panic!("expected ill") };
        assert!(!cause.text.contains("shared"), "{}", cause.text);
        world.alarms = vec![alarm("errors", "INSUFFICIENT_DATA")];
        assert!(matches!(world.verdict(), Verdict::NotYet(_)));
    }
}
