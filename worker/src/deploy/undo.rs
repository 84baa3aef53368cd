//! Undoing: the full service goes back to what it ran, the canary to the images of the full service.

use std::time::Duration;

use crate::deploy::batch::{CANARY_PERCENTS, Percents};
use crate::deploy::decision::{Decision, Role, Sight, Step, Update, Which, elapsed};
use crate::deploy::progress::{Cause, CauseKind, Former, Phase, Progress, Target};
use crate::deploy::rollout::settle;
use crate::deploy::view::{DeploymentStatus, Service};

/// How long one undo is followed before the failure is told anyway. ECS goes on by itself, and a stage that stays
/// locked helps nobody.
pub const UNDO_LIMIT: Duration = Duration::from_secs(30 * 60);

/// How long a read may lag behind our own write before it is believed.
const STALE_READ: Duration = Duration::from_secs(30);

/// The first phase of the undo, by who failed and why; `None` where there is nothing of ours left to undo.
#[must_use]
pub fn begin(role: Role, cause: &Cause, now: i64) -> Option<Phase> {
    let restore = Phase::RestoreCanary { since: now, target: Target::Unknown, told: None };
    match (role, cause.kind) {
        // Somebody else is deploying to it now.
        (Role::Canary, CauseKind::Superseded) => None,
        (Role::Canary, _) | (Role::Full, CauseKind::Superseded) => Some(restore),
        (Role::Full, _) => Some(Phase::UndoFull { since: now, stopped: false }),
    }
}

/// Decides the next step of a phase `UndoFull`.
pub fn full(progress: &Progress, sight: &Sight<'_>, since: i64, stopped: bool, now: i64) -> Decision {
    let restore = Phase::RestoreCanary { since: now, target: Target::Unknown, told: None };
    let (Some(former), Some(revision)) = (&progress.former, &progress.revision) else {
        return Decision::new(Step::Enter(restore), "nothing was deployed");
    };
    let service = sight.service;
    if elapsed(since, now) >= UNDO_LIMIT {
        return Decision::new(Step::Enter(restore), format!("{} is still on its way back", service.label()));
    }
    if service.revision == former.revision && !service.is_rolling() {
        return settle(former, sight).unwrap_or_else(|| {
            Decision::new(Step::Enter(restore), format!("{} runs {} again", service.label(), former.revision))
        });
    }
    if service.revision != *revision {
        let who =
            if service.revision == former.revision { "is going back to" } else { "was told by somebody else to run" };
        if service.revision != former.revision {
            return Decision::new(Step::Enter(restore), format!("{} {who} {}", service.label(), service.revision));
        }
        return Decision::new(Step::Wait, format!("{} {who} {}: {}", service.label(), former.revision, tasks(service)));
    }
    if former.first {
        return to_zero(service, Which::Own, restore);
    }
    match sight.deployment.map(|deployment| &deployment.status) {
        Some(DeploymentStatus::Running) if !stopped => Decision::new(
            Step::RollBack,
            format!("telling ECS to roll {} back to {}", service.label(), former.revision),
        ),
        Some(DeploymentStatus::Running | DeploymentStatus::RollingBack | DeploymentStatus::Other(_)) => {
            Decision::new(Step::Wait, format!("ECS is rolling {} back to {}", service.label(), former.revision))
        }
        _ => {
            let update =
                Update { which: Which::Own, revision: Some(former.revision.clone()), desired: None, percents: None };
            Decision::new(Step::Update(update), format!("returning {} to {}", service.label(), former.revision))
        }
    }
}

/// A first deployment has nothing to go back to: its tasks stop.
fn to_zero(service: &Service, which: Which, next: Phase) -> Decision {
    if service.desired > 0 {
        let update = Update { which, revision: None, desired: Some(0), percents: None };
        return Decision::new(
            Step::Update(update),
            format!("{} has no successful deployment to return to: stopping its tasks", service.label()),
        );
    }
    Decision::new(
        Step::Enter(next),
        format!("{} has no successful deployment to return to: it is at 0 tasks", service.label()),
    )
}

/// Decides the next step of a phase `RestoreCanary`.
pub fn canary(
    role: Role,
    progress: &Progress,
    sight: &Sight<'_>,
    (since, target, told): (i64, &Target, Option<i64>),
    now: i64,
) -> Decision {
    let (canary, which) = match role {
        Role::Canary => (sight.service, Which::Own),
        Role::Full => (sight.partner, Which::Partner),
    };
    if elapsed(since, now) >= UNDO_LIMIT {
        return end(
            role,
            progress,
            sight,
            format!("canary {} is still on its way back: {}", canary.label(), tasks(canary)),
        );
    }
    let following = role == Role::Canary
        && sight.deployment.is_some_and(|deployment| deployment.status == DeploymentStatus::RollingBack);
    match target {
        Target::Unknown if following => {
            Decision::new(Step::Wait, format!("ECS is rolling canary {} back: {}", canary.label(), tasks(canary)))
        }
        Target::Unknown => {
            Decision::new(Step::PlanRestore, format!("finding what canary {} goes back to", canary.label()))
        }
        Target::Zero if canary.desired > 0 => {
            let update = Update { which, revision: None, desired: Some(0), percents: None };
            Decision::new(
                Step::Update(update),
                format!("the full service has no successful deployment yet: stopping canary {}", canary.label()),
            )
        }
        Target::Zero => end(role, progress, sight, format!("canary {} is at 0 tasks", canary.label())),
        Target::Revision(revision) if canary.revision == *revision => {
            if canary.is_rolling() {
                Decision::new(
                    Step::Wait,
                    format!("canary {} is going back to {revision}: {}", canary.label(), tasks(canary)),
                )
            } else {
                end(role, progress, sight, format!("canary {} runs {revision} again", canary.label()))
            }
        }
        Target::Revision(revision) => match told {
            None => {
                let percents = (!can_progress(canary)).then_some(CANARY_PERCENTS);
                let update = Update { which, revision: Some(revision.clone()), desired: None, percents };
                Decision::new(Step::Update(update), format!("returning canary {} to {revision}", canary.label()))
            }
            Some(at) if elapsed(at, now) < STALE_READ => {
                Decision::new(Step::Wait, format!("canary {} is told to run {revision}", canary.label()))
            }
            Some(_) => end(
                role,
                progress,
                sight,
                format!("canary {} was told by somebody else to run {}", canary.label(), canary.revision),
            ),
        },
    }
}

/// All is undone: the action's own service gets its percents back, then the failure is told.
fn end(role: Role, progress: &Progress, sight: &Sight<'_>, canary: String) -> Decision {
    let done = match (role, &progress.former) {
        (Role::Full, Some(former)) => format!("{}; {canary}", whereabouts(sight.service, former)),
        _ => canary,
    };
    let ours = progress.former.as_ref().filter(|former| {
        let revision = &sight.service.revision;
        role == Role::Canary || *revision == former.revision || Some(revision) == progress.revision.as_ref()
    });
    ours.and_then(|former| settle(former, sight)).unwrap_or_else(|| Decision::new(Step::Fail, done))
}

/// What became of a full service, for the failure's message.
fn whereabouts(full: &Service, former: &Former) -> String {
    let label = full.label();
    match (full.revision == former.revision, full.is_rolling()) {
        _ if former.first && full.desired == 0 => format!("{label} is at 0 tasks"),
        (true, false) => format!("{label} runs {} again", former.revision),
        (true, true) => format!("{label} is still on its way back to {}: {}", former.revision, tasks(full)),
        (false, _) => format!("{label} is told to run {}", full.revision),
    }
}

/// Whether a service's own percents let at least one task be replaced.
fn can_progress(service: &Service) -> bool {
    let Percents { minimum, maximum } = service.percents;
    let desired = u64::from(service.desired);
    let lower = (desired * u64::from(minimum)).div_ceil(100);
    let upper = desired * u64::from(maximum) / 100;
    desired == 0 || lower < desired || upper > desired
}

fn tasks(service: &Service) -> String {
    let new = service.primary().map_or(0, |primary| primary.running);
    format!("{new} of {} tasks", service.desired)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::fixtures::service;

    fn progress() -> Progress {
        let former = Former {
            revision: "app:1".parse().unwrap(),
            desired: 10,
            percents: Percents { minimum: 100, maximum: 200 },
            first: false,
            red: Default::default(),
        };
        let mut progress = Progress::begin(0);
        (progress.former, progress.revision) = (Some(former), Some("app:2".parse().unwrap()));
        progress
    }

    fn sight<'a>(service: &'a Service, partner: &'a Service) -> Sight<'a> {
        let alarms = Vec::new();
        Sight { service, partner, deployment: None, searched: true, stopped: &[], alarms, count: None }
    }

    #[test]
    fn a_turnover_ends_with_a_word_on_both_services() {
        let (full, canary) = (service("app", 10, "app:1"), service("app-canary", 1, "app-canary:1"));
        let target = Target::Revision("app-canary:1".parse().unwrap());
        let decision = super::canary(Role::Full, &progress(), &sight(&full, &canary), (0, &target, Some(1)), 60);
        let words = "main/app runs app:1 again; canary main/app-canary runs app-canary:1 again";
        assert_eq!(decision, Decision::new(Step::Fail, words));
        let elsewhere = service("app", 10, "app:7");
        let decision = super::canary(Role::Full, &progress(), &sight(&elsewhere, &canary), (0, &target, Some(1)), 60);
        assert!(decision.reason.starts_with("main/app is told to run app:7; "), "{}", decision.reason);
    }
}
