//! Undoing: the full service goes back to what it ran, the canary to the images of the full service.

use std::time::Duration;

use crate::deploy::batch::{CANARY_PERCENTS, Percents};
use crate::deploy::decision::{Decision, Role, Sight, Step, Terms, Update, Which, elapsed};
use crate::deploy::overtaken;
use crate::deploy::progress::{Cause, CauseKind, Former, Phase, Progress, Target};
use crate::deploy::rollout::{keep_percents, settle};
use crate::deploy::view::{DeploymentStatus, Service};

/// How long one undo is followed before the failure is told anyway. ECS goes on by itself, and a stage that stays
/// locked helps nobody.
pub const UNDO_LIMIT: Duration = Duration::from_secs(30 * 60);

/// How long a read may lag behind our own write before it is believed.
pub const STALE_READ: Duration = Duration::from_secs(30);

/// The first phase of the undo, by who failed and why.
#[must_use]
pub fn begin(role: Role, cause: &Cause, now: i64) -> Phase {
    match (role, cause.kind) {
        // Somebody else is deploying to it now.
        (Role::Canary, CauseKind::Superseded) => Phase::LeaveCanary,
        (Role::Canary, _) | (Role::Full, CauseKind::Superseded | CauseKind::Refused | CauseKind::Denied) => {
            restore(now)
        }
        (Role::Full, _) => Phase::UndoFull { since: now, stopped: false },
    }
}

/// The phase in which a canary goes back; of a turnover that did not touch the full service, the only one.
#[must_use]
pub fn restore(now: i64) -> Phase {
    Phase::RestoreCanary { since: now, target: Target::Unknown, told: None, own: None }
}

/// Decides the next step of a phase `UndoFull`, whose way back was told at `since`, or began then.
pub fn full(
    terms: &Terms,
    progress: &Progress,
    sight: &Sight<'_>,
    (since, stopped): (i64, bool),
    now: i64,
) -> Decision {
    let decision = full_back(terms, progress, sight, stopped, now);
    // Only waiting has its limit: a worker that was away for longer has yet to tell ECS anything.
    if decision.step == Step::Wait && elapsed(since, now) >= UNDO_LIMIT {
        return Decision::new(Step::Enter(restore(now)), format!("{} is still on its way back", sight.service.label()));
    }
    decision
}

fn full_back(terms: &Terms, progress: &Progress, sight: &Sight<'_>, stopped: bool, now: i64) -> Decision {
    let restore = restore(now);
    let (Some(former), Some(revision)) = (&progress.former, &progress.revision) else {
        return Decision::new(Step::Enter(restore), "nothing was deployed");
    };
    let service = sight.service;
    if is_unseen(progress, sight) {
        return Decision::new(Step::Wait, "waiting for ECS to show the deployment");
    }
    let status = sight.deployment.map(|deployment| &deployment.status);
    match status {
        // Whatever the view of the service says: it may be older than the deployment.
        Some(DeploymentStatus::Running) if former.first => return to_zero(service, Which::Own, restore),
        Some(DeploymentStatus::Running) if !stopped => {
            let reason = format!("telling ECS to roll {} back to {}", service.label(), former.revision);
            return Decision::new(Step::RollBack, reason);
        }
        Some(DeploymentStatus::Running | DeploymentStatus::RollingBack | DeploymentStatus::Other(_)) => {
            // The way back is a turnover, too: batch by batch, whatever autoscaling makes of the desired count.
            let reason = format!("ECS is rolling {} back to {}: {}", service.label(), former.revision, tasks(service));
            return batch_by_batch(terms, sight, reason);
        }
        _ => {}
    }
    // ECS goes back to the last successful deployment: not to what ran before, where that had failed itself.
    let taken_back = status == Some(&DeploymentStatus::RolledBack) && service.revision != *revision;
    let going_back = service.revision == former.revision || taken_back;
    let (label, runs) = (service.label(), &service.revision);
    if going_back && service.is_rolling() {
        return batch_by_batch(terms, sight, format!("{label} is going back to {runs}: {}", tasks(service)));
    }
    if going_back {
        return settle(former, sight)
            .unwrap_or_else(|| Decision::new(Step::Enter(restore), format!("{label} runs {runs} again")));
    }
    if service.revision != *revision {
        return Decision::new(Step::Enter(restore), format!("{label} was told by somebody else to run {runs}"));
    }
    if former.first {
        return to_zero(service, Which::Own, restore);
    }
    let wanted = terms.percents(service);
    let percents = (wanted != service.percents).then_some(wanted);
    let update = Update { which: Which::Own, revision: Some(former.revision.clone()), desired: None, percents };
    Decision::new(Step::Update(update), format!("returning {} to {}", service.label(), former.revision))
}

/// The way back is a turnover, too: it waits with the batch's percents, whatever autoscaling makes of the desired count.
fn batch_by_batch(terms: &Terms, sight: &Sight<'_>, reason: String) -> Decision {
    keep_percents(terms, sight, &sight.service.revision).unwrap_or_else(|| Decision::new(Step::Wait, reason))
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

/// Decides the next step of a phase `LeaveCanary`.
pub fn leave(terms: &Terms, progress: &Progress, sight: &Sight<'_>) -> Decision {
    let canary = sight.service;
    let done = format!("nothing: canary {} was told by somebody else to run {}", canary.label(), canary.revision);
    end(terms, progress, sight, done)
}

/// Decides the next step of a phase `RestoreCanary`.
pub fn canary(
    terms: &Terms,
    progress: &Progress,
    sight: &Sight<'_>,
    (since, target, told, own): (i64, &Target, Option<i64>, Option<Percents>),
    now: i64,
) -> Decision {
    let (canary, which) = match terms.role {
        Role::Canary => (sight.service, Which::Own),
        Role::Full if overtaken::is_back(progress, sight.service) => {
            let (label, ours) = (sight.service.label(), &sight.service.revision);
            return Decision::new(Step::GiveWay, format!("a late call has told {label} to run {ours} once more"));
        }
        Role::Full => (sight.partner, Which::Partner),
    };
    let decision = canary_back(terms, progress, sight, (canary, which), (target, told, own), now);
    // As above. A canary whose way back does not come to its end is none that is back.
    if decision.step == Step::Wait && !terms.patient && elapsed(told.unwrap_or(since), now) >= UNDO_LIMIT {
        let done = format!("canary {} is still on its way back: {}", canary.label(), tasks(canary));
        return end(terms, progress, sight, done);
    }
    decision
}

fn canary_back(
    terms: &Terms,
    progress: &Progress,
    sight: &Sight<'_>,
    (canary, which): (&Service, Which),
    (target, told, own): (&Target, Option<i64>, Option<Percents>),
    now: i64,
) -> Decision {
    let role = terms.role;
    if role == Role::Canary && is_unseen(progress, sight) {
        return Decision::new(Step::Wait, "waiting for ECS to show the deployment");
    }
    let following = role == Role::Canary
        && sight.deployment.is_some_and(|deployment| deployment.status == DeploymentStatus::RollingBack);
    match target {
        Target::Unknown if role == Role::Canary && is_elsewhere(progress, canary) => {
            let text = format!("canary {} was told by somebody else to run {}", canary.label(), canary.revision);
            end(terms, progress, sight, text)
        }
        // Already while ECS rolls it back, so that its end can be told at once.
        Target::Unknown => {
            Decision::new(Step::PlanRestore, format!("finding what canary {} goes back to", canary.label()))
        }
        _ if following => {
            Decision::new(Step::Wait, format!("ECS is rolling canary {} back: {}", canary.label(), tasks(canary)))
        }
        Target::Zero if canary.desired > 0 => {
            let update = Update { which, revision: None, desired: Some(0), percents: None };
            Decision::new(
                Step::Update(update),
                format!("the full service has no successful deployment yet: stopping canary {}", canary.label()),
            )
        }
        Target::Zero => {
            let why = "as the full service has no successful deployment whose images it could run";
            end(terms, progress, sight, format!("canary {} is at 0 tasks, {why}", canary.label()))
        }
        Target::Left => {
            let done = format!("canary {} runs another release by now, and is left at it", canary.label());
            end(terms, progress, sight, done)
        }
        Target::Revision(revision) => {
            // While our deployment runs, a view that shows the target is older than the deployment.
            let replaced = role == Role::Full
                || sight.deployment.is_none_or(|deployment| deployment.status != DeploymentStatus::Running);
            let there = canary.revision == *revision && replaced;
            let fresh = told.is_some_and(|at| elapsed(at, now) < STALE_READ);
            let ours_again = role == Role::Canary && progress.revision.as_ref() == Some(&canary.revision);
            if there && canary.is_rolling() {
                let reason = format!("canary {} is going back to {revision}: {}", canary.label(), tasks(canary));
                Decision::new(Step::Wait, reason)
            } else if there && let Some(own) = own.filter(|own| lent(canary, *own)) {
                let update = Update { which, revision: None, desired: None, percents: Some(own) };
                let reason = format!("giving canary {} its own percents back: {own}", canary.label());
                Decision::new(Step::Update(update), reason)
            } else if there {
                end(terms, progress, sight, format!("canary {} runs {revision} again", canary.label()))
            } else if told.is_none() && role == Role::Canary && is_elsewhere(progress, canary) {
                let text = format!("canary {} was told by somebody else to run {}", canary.label(), canary.revision);
                end(terms, progress, sight, text)
            } else if fresh {
                Decision::new(Step::Wait, format!("canary {} is told to run {revision}", canary.label()))
            } else if told.is_none() || ours_again {
                // Ours again: a late duplicate of our own deployment has overtaken the restore.
                let percents = (!can_progress(canary)).then_some(CANARY_PERCENTS);
                let update = Update { which, revision: Some(revision.clone()), desired: None, percents };
                Decision::new(Step::Update(update), format!("returning canary {} to {revision}", canary.label()))
            } else {
                let text = format!("canary {} was told by somebody else to run {}", canary.label(), canary.revision);
                end(terms, progress, sight, text)
            }
        }
    }
}

/// All is undone: the action's own service gets its percents back, then the failure is told.
fn end(terms: &Terms, progress: &Progress, sight: &Sight<'_>, canary: String) -> Decision {
    let service = sight.service;
    let done = match (terms.role, &progress.former) {
        (Role::Full, Some(former)) => format!("{}; {canary}", whereabouts(service, former, progress)),
        _ => canary,
    };
    // Under somebody else's deployment only the percents that are still ours go back: those of another release that
    // began while this one was only watched are its own, and may look the same.
    let still_ours = |former: &&Former| {
        !is_elsewhere(progress, service) || (!former.percents_back && service.percents == terms.percents(service))
    };
    let former = progress.former.as_ref().filter(still_ours);
    former.and_then(|former| settle(former, sight)).unwrap_or_else(|| Decision::new(Step::Fail, done))
}

/// Whether our deployment is known, but was not looked at yet: a worker that has just taken the job over does not know
/// whether there is something to roll back.
fn is_unseen(progress: &Progress, sight: &Sight<'_>) -> bool {
    progress.deployment.is_some() && sight.deployment.is_none()
}

/// Whether a service was told to run neither what it ran before nor what we brought.
fn is_elsewhere(progress: &Progress, service: &Service) -> bool {
    let former = progress.former.as_ref().map(|former| &former.revision);
    ![former, progress.revision.as_ref()].contains(&Some(&service.revision))
}

/// What became of a full service, for the failure's message.
fn whereabouts(full: &Service, former: &Former, progress: &Progress) -> String {
    let label = full.label();
    if progress.revision.as_ref() == Some(&former.revision) {
        return format!("{label} still runs {}, as nothing is known that it ran before", former.revision);
    }
    match (full.revision == former.revision, full.is_rolling()) {
        _ if former.first && full.desired == 0 => {
            format!("{label} is at 0 tasks, as it had no successful deployment to return to")
        }
        (true, false) => format!("{label} runs {} again", former.revision),
        (true, true) => format!("{label} is still on its way back to {}: {}", former.revision, tasks(full)),
        (false, _) => format!("{label} is told to run {}", full.revision),
    }
}

/// Whether a canary has the percents that it was lent for its way back, and not its own: what somebody else gave it stays.
fn lent(canary: &Service, own: Percents) -> bool {
    canary.percents == CANARY_PERCENTS && own != CANARY_PERCENTS
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
    use crate::deploy::fixtures::{deployment, rollout, service};
    use coalmine_pipeline::Share;

    fn progress() -> Progress {
        let former = Former {
            revision: "app:1".parse().unwrap(),
            desired: 10,
            percents: Percents { minimum: 100, maximum: 200 },
            first: false,
            percents_back: false,
            at: None,
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

    fn terms(role: Role) -> Terms {
        let batch = (role == Role::Full).then(|| Share::parse("10%").unwrap());
        let (bake, deadline) = (Duration::from_secs(60), Duration::from_secs(3_600));
        Terms { role, batch, surge: None, desired: None, bake, deadline, patient: false }
    }

    #[test]
    fn a_turnover_ends_with_a_word_on_both_services() {
        let (full, canary) = (service("app", 10, "app:1"), service("app-canary", 1, "app-canary:1"));
        let target = Target::Revision("app-canary:1".parse().unwrap());
        let end = |full| {
            super::canary(&terms(Role::Full), &progress(), &sight(full, &canary), (0, &target, Some(1), None), 60)
        };
        let words = "main/app runs app:1 again; canary main/app-canary runs app-canary:1 again";
        assert_eq!(end(&full), Decision::new(Step::Fail, words));
        let elsewhere = end(&service("app", 10, "app:7")).reason;
        assert!(elsewhere.starts_with("main/app is told to run app:7; "), "{elsewhere}");
    }

    #[test]
    fn a_turnover_goes_back_to_where_ecs_takes_it() {
        let canary = service("app-canary", 1, "app-canary:1");
        let mut deployment = deployment("ROLLBACK_IN_PROGRESS");
        let mut rolling = service("app", 10, "app:1");
        rolling.percents = Percents { minimum: 90, maximum: 100 };
        rolling.rollouts = vec![rollout("PRIMARY", "IN_PROGRESS", "app:1", 3), rollout("ACTIVE", "", "app:2", 7)];
        rolling.percents = terms(Role::Full).percents(&rolling);
        // What ran before, and what was successful before that.
        for revision in ["app:1", "app-old:1"] {
            rolling.revision = revision.parse().unwrap();
            let sight = Sight { deployment: Some(&deployment), ..sight(&rolling, &canary) };
            let decision = super::full(&terms(Role::Full), &progress(), &sight, (0, true), 60);
            assert_eq!(decision.step, Step::Wait, "{revision}");
        }
        deployment = crate::deploy::fixtures::deployment("ROLLBACK_SUCCESSFUL");
        let back = service("app", 10, "app-old:1");
        let sight = Sight { deployment: Some(&deployment), ..sight(&back, &canary) };
        let decision = super::full(&terms(Role::Full), &progress(), &sight, (0, true), 60);
        assert!(matches!(decision.step, Step::Enter(Phase::RestoreCanary { .. })));
        assert_eq!(decision.reason, "main/app runs app-old:1 again");
    }

    #[test]
    fn a_way_back_that_nobody_has_told_yet_is_told_however_late() {
        let (full, canary) = (service("app", 10, "app:2"), service("app-canary", 1, "app-canary:2"));
        let running = deployment("IN_PROGRESS");
        let sight = Sight { deployment: Some(&running), ..sight(&full, &canary) };
        let (terms, progress, late) = (terms(Role::Full), progress(), 7_200);
        assert_eq!(super::full(&terms, &progress, &sight, (0, false), late).step, Step::RollBack);
        assert_eq!(
            super::canary(&terms, &progress, &sight, (0, &Target::Unknown, None, None), late).step,
            Step::PlanRestore
        );
        let target = Target::Revision("app-canary:1".parse().unwrap());
        let step = super::canary(&terms, &progress, &sight, (0, &target, None, None), late).step;
        assert!(matches!(step, Step::Update(_)), "{step:?}");
        // Told long ago, and still not there: that is waited for no longer.
        let mut rolling = service("app-canary", 1, "app-canary:1");
        rolling.rollouts = vec![rollout("PRIMARY", "IN_PROGRESS", "app-canary:1", 0)];
        let sight = Sight { partner: &rolling, ..sight };
        for (told, expected) in [(late - 60, Step::Wait), (0, Step::Fail)] {
            let step = super::canary(&terms, &progress, &sight, (0, &target, Some(told), None), late).step;
            assert_eq!(step == Step::Wait, expected == Step::Wait, "{step:?}");
        }
    }

    #[test]
    fn a_deployment_that_was_not_looked_at_yet_is_not_taken_for_over() {
        let (full, canary) = (service("app", 10, "app:2"), service("app-canary", 1, "app-canary:2"));
        let mut progress = progress();
        progress.deployment = Some("abc".to_owned());
        let running = deployment("IN_PROGRESS");
        for (seen, expected) in [(None, Step::Wait), (Some(&running), Step::RollBack)] {
            let sight = Sight { deployment: seen, ..sight(&full, &canary) };
            assert_eq!(super::full(&terms(Role::Full), &progress, &sight, (0, false), 60).step, expected);
        }
    }

    #[test]
    fn the_way_back_keeps_the_batch() {
        let canary = service("app-canary", 1, "app-canary:1");
        let percents_of = |decision: Decision| match decision.step {
            Step::Update(update) => update.percents,
            _ => None,
        };
        // From a bake, when the former percents are back already.
        let watched = deployment("SUCCESSFUL");
        let full = service("app", 10, "app:2");
        let seen = Sight { deployment: Some(&watched), ..sight(&full, &canary) };
        let decision = super::full(&terms(Role::Full), &progress(), &seen, (0, false), 60);
        assert_eq!(percents_of(decision), Some(Percents { minimum: 90, maximum: 100 }));
        // On the way, when autoscaling shrinks it: 90 of 3 tasks would be 3.
        let rolling_back = deployment("ROLLBACK_IN_PROGRESS");
        let mut full = service("app", 3, "app:1");
        full.percents = Percents { minimum: 90, maximum: 100 };
        let seen = Sight { deployment: Some(&rolling_back), ..sight(&full, &canary) };
        let decision = super::full(&terms(Role::Full), &progress(), &seen, (0, true), 60);
        assert_eq!(percents_of(decision), Some(Percents { minimum: 66, maximum: 100 }));
    }

    #[test]
    fn under_another_deployment_only_percents_that_are_still_ours_go_back() {
        let (terms, progress) = (terms(Role::Canary), progress());
        let (mut canary, full) = (service("app", 10, "app:7"), service("full", 10, "full:1"));
        for (minimum, maximum, former, goes_back) in
            [(100, 200, (50, 150), true), (0, 100, (50, 150), false), (100, 200, (100, 200), false)]
        {
            let mut progress = progress.clone();
            progress.former.as_mut().unwrap().percents = Percents { minimum: former.0, maximum: former.1 };
            canary.percents = Percents { minimum, maximum };
            let step = leave(&terms, &progress, &sight(&canary, &full)).step;
            assert_eq!(matches!(step, Step::Update(_)), goes_back, "{minimum}/{maximum}");
            assert_eq!(step == Step::Fail, !goes_back, "{minimum}/{maximum}");
        }
    }

    #[test]
    fn percents_that_went_back_before_the_bake_are_not_given_back_under_another_deployment() {
        let terms = terms(Role::Full);
        let (mut full, canary) = (service("app", 10, "app:7"), service("app-canary", 1, "app-canary:7"));
        full.percents = terms.percents(&full);
        let mut progress = progress();
        for (back, expected) in [(false, true), (true, false)] {
            progress.percents_are_back(back);
            let step = super::canary(&terms, &progress, &sight(&full, &canary), (0, &Target::Left, None, None), 1).step;
            assert_eq!(matches!(step, Step::Update(_)), expected, "{back}");
        }
    }

    #[test]
    fn a_canary_that_a_turnover_returned_gets_back_the_percents_that_it_had() {
        let (mut canary, full) = (service("app-canary", 1, "app-canary:1"), service("app", 10, "app:1"));
        let target = Target::Revision("app-canary:1".parse().unwrap());
        let (own, by_hand) = (Percents { minimum: 50, maximum: 150 }, Percents { minimum: 0, maximum: 100 });
        for (present, own, expected) in [
            (CANARY_PERCENTS, Some(own), Some(own)),
            (own, Some(own), None),
            (by_hand, Some(own), None),
            (CANARY_PERCENTS, Some(CANARY_PERCENTS), None),
            (CANARY_PERCENTS, None, None),
        ] {
            canary.percents = present;
            let phase = (0, &target, Some(1), own);
            let step = super::canary(&terms(Role::Full), &progress(), &sight(&full, &canary), phase, 60).step;
            let back = expected.map_or(Step::Fail, |own| {
                Step::Update(Update { which: Which::Partner, revision: None, desired: None, percents: Some(own) })
            });
            assert_eq!(step, back, "{present:?}, own {own:?}");
        }
    }

    #[test]
    fn a_canary_that_somebody_took_meanwhile_is_not_restored() {
        let (canary, full) = (service("app-canary", 1, "app-canary:9"), service("app", 10, "app:1"));
        let decision = super::canary(
            &terms(Role::Canary),
            &progress(),
            &sight(&canary, &full),
            (0, &Target::Unknown, None, None),
            1,
        );
        assert_eq!(decision.step, Step::Fail);
        assert!(decision.reason.contains("was told by somebody else to run app-canary:9"), "{}", decision.reason);
    }
}
