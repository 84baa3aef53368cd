//! Bringing a revision to a service, and watching it: the phases Deploy and Bake of both actions.

use coalmine_pipeline::duration;

use crate::deploy::decision::{Decision, Role, Sight, Step, Terms, Update, Which, elapsed, is_overdue};
use crate::deploy::message::counted;
use crate::deploy::progress::{Cause, CauseKind, Former, Phase, Progress};
use crate::deploy::revision::Revision;
use crate::deploy::verdict::{Signals, Verdict, judge};

/// Decides the next step of a phase Deploy: the service is told to run `revision`, then followed.
pub fn deploy(terms: &Terms, progress: &Progress, sight: &Sight<'_>, now: i64) -> Decision {
    let (Some(former), Some(revision)) = (&progress.former, &progress.revision) else {
        return Decision::new(Step::Fail, "the continuation token names no revision to deploy");
    };
    // A status that is newer than this worker is no verdict.
    if ["DRAINING", "INACTIVE"].contains(&sight.service.status.as_str()) {
        let text = format!("service {} became {}", sight.service.label(), sight.service.status);
        return ill(Cause { kind: CauseKind::Changed, text, witness: None });
    }
    if is_overdue(progress, terms, now) {
        return ill(timed_out(terms, sight));
    }
    if progress.deployment.is_none() {
        return start(terms, former, revision, sight);
    }
    match judge(&signals(terms, revision, sight)) {
        Verdict::Ill(cause) => ill(cause),
        Verdict::NotYet(reason) => {
            // Who has just taken the job over does not know yet whether ECS still replaces tasks. If it is done, what is
            // missing is on its way beside the others, and the percents may be the service's own again.
            let kept = sight.deployment.and_then(|_| keep_percents(terms, sight, revision));
            kept.unwrap_or_else(|| Decision::new(Step::Wait, reason))
        }
        Verdict::Well => match sight.count {
            None => Decision::new(Step::Count, "ECS calls the deployment successful; counting its tasks by digest"),
            // The percents go back before the bake: only a turnover needs them, and whoever deploys next while this
            // release is still watched must find the service as it was.
            Some(count) if count.is_complete(sight.service.desired) => settle(former, sight).unwrap_or_else(|| {
                Decision::new(Step::Enter(Phase::Bake { since: now }), format!("{} {revision}", all_run(count.new, "")))
            }),
            Some(count) => Decision::new(Step::Wait, not_all(count, sight, revision)),
        },
    }
}

/// Decides the next step of a phase Bake: the deployed tasks are watched for the bake time.
pub fn bake(terms: &Terms, progress: &Progress, sight: &Sight<'_>, since: i64, now: i64) -> Decision {
    let Some(revision) = &progress.revision else {
        return Decision::new(Step::Fail, "the continuation token names no revision to watch");
    };
    match judge(&signals(terms, revision, sight)) {
        Verdict::Ill(cause) => return ill(cause),
        Verdict::NotYet(reason) => return Decision::new(Step::Wait, reason),
        Verdict::Well => {}
    }
    // A late duplicate of one of our own calls may have brought the turnover's percents once more.
    let ours_again = sight.service.percents == terms.percents(sight.service);
    if let Some(settling) = progress.former.as_ref().filter(|_| ours_again).and_then(|former| settle(former, sight)) {
        return settling;
    }
    let watched = elapsed(since, now);
    if watched < terms.bake {
        let left = duration::show(terms.bake - watched);
        return Decision::new(
            Step::Wait,
            format!("{} {revision}, watching for another {left}", run(sight.service.running)),
        );
    }
    if is_overdue(progress, terms, now) {
        return ill(timed_out(terms, sight));
    }
    match sight.count {
        None => Decision::new(Step::Count, "the bake time is over; counting the tasks by digest once more"),
        Some(count) if !count.is_complete(sight.service.desired) => {
            Decision::new(Step::Wait, not_all(count, sight, revision))
        }
        Some(count) => {
            let baked = if terms.bake.is_zero() {
                String::new()
            } else {
                format!(" and stayed well for {}", duration::show(terms.bake))
            };
            Decision::new(
                Step::Succeed,
                format!("{} {revision}{baked}", all_run(count.new, &format!(" of {}", sight.service.label()))),
            )
        }
    }
}

/// Gives the former percents back, where they differ. Changing them alone starts no deployment.
pub(crate) fn settle(former: &Former, sight: &Sight<'_>) -> Option<Decision> {
    (sight.service.percents != former.percents).then(|| {
        let update = Update { which: Which::Own, revision: None, desired: None, percents: Some(former.percents) };
        let reason = format!("giving {} its former percents back: {}", sight.service.label(), former.percents);
        Decision::new(Step::Update(update), reason)
    })
}

fn start(terms: &Terms, former: &Former, revision: &Revision, sight: &Sight<'_>) -> Decision {
    let service = sight.service;
    if !sight.searched {
        return Decision::new(Step::Bind, format!("looking for the deployment of {revision}"));
    }
    if service.revision == *revision {
        return Decision::new(Step::Wait, "waiting for ECS to show the deployment");
    }
    if service.revision != former.revision {
        let text = format!("{} was told to run {} before {revision} was deployed", service.label(), service.revision);
        return ill(Cause { kind: CauseKind::Superseded, text, witness: None });
    }
    let percents = terms.percents(service);
    let update = Update {
        which: Which::Own,
        revision: Some(revision.clone()),
        desired: terms.desired.filter(|desired| *desired != service.desired),
        percents: (percents != service.percents).then_some(percents),
    };
    let tasks = terms.desired.unwrap_or(service.desired);
    let batch = match terms.role {
        Role::Canary => String::new(),
        Role::Full => format!(", {} at a time", terms.batch(tasks)),
    };
    Decision::new(
        Step::Update(update),
        format!("deploying {revision} to {}: {}{batch}", service.label(), counted(tasks, "task")),
    )
}

/// The desired count may change while tasks are turned over; the percents follow it, so that the batch stays.
pub(crate) fn keep_percents(terms: &Terms, sight: &Sight<'_>, revision: &Revision) -> Option<Decision> {
    let service = sight.service;
    let wanted = terms.percents(service);
    (service.revision == *revision && service.percents != wanted).then(|| {
        let update = Update { which: Which::Own, revision: None, desired: None, percents: Some(wanted) };
        let batch = terms.batch(service.desired);
        Decision::new(
            Step::Update(update),
            format!("the desired count is {} now: {batch} at a time means percents {wanted}", service.desired),
        )
    })
}

fn signals<'a>(terms: &Terms, revision: &'a Revision, sight: &'a Sight<'a>) -> Signals<'a> {
    Signals {
        role: terms.role,
        service: sight.service,
        partner: Some(sight.partner),
        revision,
        deployment: sight.deployment,
        stopped: sight.stopped,
        alarms: &sight.alarms,
        batch: terms.batch(sight.service.desired),
    }
}

/// `3 tasks run`.
fn run(tasks: u32) -> String {
    format!("{} {}", counted(tasks, "task"), if tasks == 1 { "runs" } else { "run" })
}

/// `all 3 tasks of main/app run`; `of` begins with a space or is empty.
fn all_run(tasks: u32, of: &str) -> String {
    if tasks == 1 { format!("the only task{of} runs") } else { format!("all {tasks} tasks{of} run") }
}

fn not_all(count: &crate::deploy::release::Count, sight: &Sight<'_>, revision: &Revision) -> String {
    let other = count.others.first().map(|other| format!("; task {other}")).unwrap_or_default();
    let unknown = if count.unknown > 0 {
        format!("; of {} the digest is not known", counted(count.unknown, "task"))
    } else {
        String::new()
    };
    format!("{} of {} tasks run {revision}{other}{unknown}", count.new, sight.service.desired)
}

fn timed_out(terms: &Terms, sight: &Sight<'_>) -> Cause {
    let event = sight.service.events.first().map(|event| format!("; ECS's last word: {event}")).unwrap_or_default();
    let text = format!("not done within {}{event}", duration::show(terms.deadline));
    Cause { kind: CauseKind::TimedOut, text, witness: None }
}

fn ill(cause: Cause) -> Decision {
    let reason = cause.text.clone();
    Decision::new(Step::Undo(cause), reason)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::deploy::batch::Percents;
    use crate::deploy::fixtures::{deployment, rollout, service};
    use coalmine_pipeline::Share;

    /// Autoscaling asks for more tasks while ECS turns the service over, or when it has just done so; a worker that has
    /// taken the job over sees the service before the deployment.
    #[test]
    fn percents_follow_the_desired_count_only_where_ecs_is_seen_to_replace_tasks() {
        let terms = Terms {
            role: Role::Full,
            batch: Some(Share::parse("10%").unwrap()),
            surge: None,
            desired: None,
            bake: Duration::from_secs(60),
            deadline: Duration::from_secs(3_600),
            patient: false,
        };
        let mut progress = Progress::begin(0);
        progress.former = Some(Former {
            revision: "app:1".parse().unwrap(),
            desired: 10,
            percents: Percents { minimum: 50, maximum: 150 },
            first: false,
            percents_back: false,
            at: None,
            red: Default::default(),
        });
        progress.revision = Some("app:2".parse().unwrap());
        progress.deployment = Some("ours".into());
        let canary = service("app-canary", 1, "app-canary:2");
        for (status, state, follows) in [
            (Some("IN_PROGRESS"), "IN_PROGRESS", true),
            (None, "IN_PROGRESS", false),
            (None, "COMPLETED", false),
            (Some("SUCCESSFUL"), "COMPLETED", false),
        ] {
            let mut app = service("app", 17, "app:2");
            (app.running, app.percents) = (10, Percents { minimum: 50, maximum: 150 });
            app.rollouts = vec![rollout("PRIMARY", state, "app:2", 10)];
            let ours = status.map(deployment);
            let sight = Sight {
                service: &app,
                partner: &canary,
                deployment: ours.as_ref(),
                searched: true,
                stopped: &[],
                alarms: Vec::new(),
                count: None,
            };
            let step = deploy(&terms, &progress, &sight, 60).step;
            let kept = matches!(&step, Step::Update(update) if update.percents == Some(terms.percents(&app)));
            assert_eq!(kept, follows, "{status:?}: {step:?}");
            assert!(kept || matches!(step, Step::Wait | Step::Count), "{status:?}: {step:?}");
        }
    }
}
