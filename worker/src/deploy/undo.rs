//! Undoing: the full service goes back to what it ran, the canary to the images of the full service.

use std::time::Duration;

use crate::deploy::batch::{CANARY_PERCENTS, Percents};
use crate::deploy::decision::{Decision, Role, Sight, Step, Terms, Update, Which, elapsed};
use crate::deploy::progress::{Cause, CauseKind, Phase, Progress, Target};
use crate::deploy::rollout::{keep_percents, settle};
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
pub fn full(
    terms: &Terms,
    progress: &Progress,
    sight: &Sight<'_>,
    (since, stopped): (i64, bool),
    now: i64,
) -> Decision {
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
        // The way back is a turnover, too: batch by batch, whatever autoscaling makes of the desired count.
        return keep_percents(terms, sight, &former.revision).unwrap_or_else(|| {
            Decision::new(Step::Wait, format!("{} {who} {}: {}", service.label(), former.revision, tasks(service)))
        });
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
            let wanted = terms.percents(service);
            let percents = (wanted != service.percents).then_some(wanted);
            let update = Update { which: Which::Own, revision: Some(former.revision.clone()), desired: None, percents };
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
        Target::Left => {
            let done = format!("canary {} runs another release by now, and is left at it", canary.label());
            end(role, progress, sight, done)
        }
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
fn end(role: Role, progress: &Progress, sight: &Sight<'_>, done: String) -> Decision {
    let ours = progress.former.as_ref().filter(|former| {
        let revision = &sight.service.revision;
        role == Role::Canary || *revision == former.revision || Some(revision) == progress.revision.as_ref()
    });
    ours.and_then(|former| settle(former, sight)).unwrap_or_else(|| Decision::new(Step::Fail, done))
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
