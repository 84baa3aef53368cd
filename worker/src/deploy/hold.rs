//! What becomes of a canary that waits for people: held on, let go, or taken back.

use std::time::Duration;

use crate::deploy::decision::Role;
use crate::deploy::message::printable;
use crate::deploy::progress::{CauseKind, Phase, Progress};
use crate::deploy::undo;
use crate::deploy::verdict::{Signals, Verdict, judge};
use crate::deploy::view::{Alarm, Deployment, Service, Task};

/// How often each held canary is looked at.
pub const LOOK: Duration = Duration::from_secs(15);
/// How many calls one look may make: one a second in all. Two of them are the ledger's.
const CALLS: usize = LOOK.as_secs() as usize - 2;
/// How many canaries are looked at as often as that; of more, each the more seldom.
const CANARIES: usize = 50;
/// How many services one call describes, and how many alarms.
const BATCHES: (usize, usize) = (10, 100);

/// How an action execution stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It goes on, or has a status that is newer than this program.
    InProgress,
    /// It ended well.
    Succeeded,
    /// It failed: an approval was rejected, or nobody answered it in time.
    Failed,
    /// Somebody stopped its execution and did not wait for it.
    Abandoned,
}

/// What an action does, as far as a held canary cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It asks people.
    Approval,
    /// It turns a full service over.
    Full {
        /// The cluster's name.
        cluster: String,
        /// The canary's name.
        canary: String,
    },
    /// Anything else.
    Other,
}

/// An action execution as CodePipeline lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub id: String,
    /// The stage's name.
    pub stage: String,
    /// The action's name.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// How it stands.
    pub status: Status,
    /// When it began, in epoch nanoseconds.
    pub started: i128,
    /// Who ended it, where AWS says so: an ARN.
    pub by: Option<String>,
    /// What it ended with, in the words of whoever ended it.
    pub said: String,
}

/// Why a canary is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// In words.
    pub text: String,
    /// Who decided it, where a person did.
    pub by: Option<String>,
    /// Whether the canary is not well: then it goes back although people have not decided.
    pub sick: bool,
}

/// What becomes of a held canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// People have not decided, or something is at work: it is left alone.
    Hold(&'static str),
    /// It is nobody's to take back any more.
    LetGo(&'static str),
    /// Nobody will turn its release over any more.
    Restore(Why),
    /// The actions alone do not tell: the execution's own status does.
    Ask,
}

/// The fate of a canary by the actions of its execution. `own` is the action execution that deployed it.
///
/// Only the newest execution of each action counts: a stage may be retried. What could still turn this canary over, or
/// deploy it anew, comes first; then an approval that was not given, whatever else the stage is doing.
#[must_use]
pub fn fate((cluster, canary): (&str, &str), own: &str, actions: &[Seen]) -> Fate {
    let newest: Vec<&Seen> = actions.iter().filter(|seen| is_newest(seen, actions)).collect();
    let mine =
        |seen: &&&Seen| matches!(&seen.kind, Kind::Full { cluster: its, canary: of } if its == cluster && of == canary);
    for full in newest.iter().filter(mine) {
        match full.status {
            Status::InProgress => return Fate::Hold("its turnover is at work"),
            Status::Succeeded => return Fate::LetGo("its release was turned over"),
            Status::Failed | Status::Abandoned => {}
        }
    }
    let deployed = actions.iter().find(|seen| seen.id == own);
    let again = |seen: &&&Seen| deployed.is_some_and(|own| own.stage == seen.stage && own.name == seen.name);
    if newest.iter().filter(again).any(|seen| seen.status == Status::InProgress) {
        return Fate::Hold("its canary action is at work");
    }
    let ended = |seen: &&&Seen| matches!(seen.status, Status::Failed | Status::Abandoned);
    if let Some(refused) = newest.iter().filter(ended).find(|seen| seen.kind == Kind::Approval) {
        return Fate::Restore(refusal(refused));
    }
    if newest.iter().any(|seen| seen.status == Status::InProgress) {
        return Fate::Hold("its execution goes on");
    }
    match newest.iter().find(ended) {
        Some(failed) => Fate::Restore(refusal(failed)),
        None => Fate::Ask,
    }
}

/// The same where nothing is in progress and nothing has failed, by the execution's status in AWS's word; `None`: it is
/// not there any more.
#[must_use]
pub fn fate_by(status: Option<&str>) -> Fate {
    let why = |text: &str| Fate::Restore(Why { text: text.to_owned(), by: None, sick: false });
    match status {
        Some("Succeeded") => Fate::LetGo("its execution ended well"),
        Some("Stopped") => why("its execution was stopped"),
        Some("Superseded") => why("its execution was superseded by a newer one"),
        Some("Cancelled") => why("its execution was cancelled, as the pipeline was changed"),
        Some("Failed") => why("its execution failed"),
        Some(_) => Fate::Hold("its execution goes on"),
        None => why("its pipeline or its execution is gone"),
    }
}

/// Whether the execution's own status has to be asked for: to decide, or because a stage that is retried shows for a
/// moment nothing but what failed.
#[must_use]
pub fn is_unsure(fate: &Fate, actions: &[Seen]) -> bool {
    let at_work = actions.iter().any(|seen| seen.status == Status::InProgress);
    *fate == Fate::Ask || (matches!(fate, Fate::Restore(_)) && !at_work)
}

/// A fate that was not sure, with the execution's status in AWS's word; `None`: it is not there any more.
#[must_use]
pub fn made_sure(fate: Fate, status: Option<&str>) -> Fate {
    match fate {
        Fate::Restore(why) if status != Some("InProgress") => Fate::Restore(why),
        _ => fate_by(status),
    }
}

/// Where people are asked about an execution: its open approvals, each as `Stage/Action`.
#[must_use]
pub fn asks(actions: &[Seen]) -> Vec<String> {
    let open = actions.iter().filter(|seen| seen.kind == Kind::Approval && seen.status == Status::InProgress);
    open.filter(|seen| is_newest(seen, actions)).map(|seen| format!("{}/{}", seen.stage, seen.name)).collect()
}

fn is_newest(seen: &Seen, actions: &[Seen]) -> bool {
    let same = actions.iter().filter(|other| other.stage == seen.stage && other.name == seen.name);
    !same.into_iter().any(|other| other.started > seen.started)
}

fn refusal(seen: &Seen) -> Why {
    let place = format!("{}/{}", seen.stage, seen.name);
    let said = printable(&seen.said);
    let said = if said.is_empty() { said } else { format!(": {said}") };
    let text = match (&seen.kind, seen.status, &seen.by) {
        (_, Status::Abandoned, _) => format!("its execution was stopped, and {place} abandoned"),
        (Kind::Approval, _, Some(by)) => format!("{place} was rejected by {}{said}", name_of(by)),
        (Kind::Approval, ..) => format!("{place} was not approved{said}"),
        _ => format!("{place} failed{said}"),
    };
    Why { text, by: seen.by.clone().filter(|_| seen.kind == Kind::Approval), sick: false }
}

/// The last parts of an ARN: `user/ada`, `assumed-role/deployers/ada`.
fn name_of(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

/// What is seen of a held canary's service.
#[derive(Clone, Debug)]
pub struct Health<'a> {
    /// The canary service.
    pub service: &'a Service,
    /// Its deployment of the release, once it was looked at.
    pub deployment: Option<&'a Deployment>,
    /// Stopped tasks of the service.
    pub stopped: &'a [Task],
    /// The alarms that count.
    pub alarms: &'a [&'a Alarm],
}

/// What the service itself says of its fate: judged as the canary action judged it. `None`: nothing that matters.
#[must_use]
pub fn sick(progress: &Progress, health: &Health<'_>) -> Option<Fate> {
    let revision = progress.revision.as_ref()?;
    let verdict = judge(&Signals {
        role: Role::Canary,
        service: health.service,
        partner: None,
        revision,
        deployment: health.deployment,
        stopped: health.stopped,
        alarms: health.alarms,
        batch: health.service.desired.max(1),
    });
    match verdict {
        Verdict::Well | Verdict::NotYet(_) => None,
        Verdict::Ill(cause) if cause.kind == CauseKind::Superseded => {
            Some(Fate::LetGo("somebody else has deployed to it since"))
        }
        Verdict::Ill(cause) => {
            Some(Fate::Restore(Why { text: format!("it is not well any more: {}", cause.text), by: None, sick: true }))
        }
    }
}

/// The progress with which a held canary begins its way back. The percents that it has by now are its own: people may
/// have changed them while it was held.
#[must_use]
pub fn way_back(held: &Progress, canary: &Service, now: i64) -> Progress {
    let mut progress = held.clone();
    progress.phase = undo::restore(now);
    progress.percents_are_back(false);
    if let Some(former) = &mut progress.former {
        former.percents = canary.percents;
    }
    progress
}

/// Whether a canary's way back was told to ECS: from then on it is followed, whatever people decide.
#[must_use]
pub fn is_told(progress: &Progress) -> bool {
    matches!(progress.phase, Phase::RestoreCanary { told: Some(_), .. })
}

/// How often the services of so many held canaries are looked at, and how many executions may be asked for at each
/// look, so that all of it stays within one call a second.
#[must_use]
pub fn pace(canaries: usize, alarms: usize) -> (Duration, usize) {
    let rounds = canaries.div_ceil(CANARIES).max(1);
    let services = canaries.div_ceil(BATCHES.0).div_ceil(rounds);
    // The observer asks for alarms every ten seconds.
    let alarms = alarms.div_ceil(BATCHES.1) * 2;
    let round = u32::try_from(rounds).unwrap_or(u32::MAX);
    (LOOK * round, CALLS.saturating_sub(services + alarms).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::batch::Percents;
    use crate::deploy::fixtures::{alarm, deployment, service, stopped};
    use crate::deploy::progress::Former;

    fn seen(name: &str, kind: Kind, status: Status, started: i128) -> Seen {
        let (id, stage) = (format!("{name}-{started}"), "Release".to_owned());
        Seen { id, stage, name: name.to_owned(), kind, status, started, by: None, said: String::new() }
    }

    fn canary(status: Status, started: i128) -> Seen {
        seen("Canary", Kind::Other, status, started)
    }

    fn approval(status: Status, started: i128) -> Seen {
        seen("Approve", Kind::Approval, status, started)
    }

    fn full(status: Status, started: i128) -> Seen {
        seen("Full", turnover("main", "shop-canary"), status, started)
    }

    fn turnover(cluster: &str, canary: &str) -> Kind {
        Kind::Full { cluster: cluster.into(), canary: canary.into() }
    }

    fn word(actions: &[Seen]) -> String {
        match fate(("main", "shop-canary"), "Canary-1", actions) {
            Fate::Hold(why) => format!("hold: {why}"),
            Fate::LetGo(why) => format!("let go: {why}"),
            Fate::Restore(why) => format!("restore: {}", why.text),
            Fate::Ask => "ask".to_owned(),
        }
    }

    #[test]
    fn the_newest_of_each_action_decides_and_what_is_at_work_on_the_canary_comes_first() {
        use Status::{Abandoned, Failed, InProgress, Succeeded};
        let deployed = canary(Succeeded, 1);
        let other = |status| seen("Other", turnover("main", "other-canary"), status, 5);
        let elsewhere = |status| seen("Elsewhere", turnover("staging", "shop-canary"), status, 1);
        for (actions, expected) in [
            (vec![canary(InProgress, 1)], "hold: its canary action is at work"),
            (vec![deployed.clone(), approval(InProgress, 2)], "hold: its execution goes on"),
            (vec![deployed.clone(), approval(Failed, 2)], "restore: Release/Approve was not approved"),
            (
                vec![deployed.clone(), approval(Abandoned, 2)],
                "restore: its execution was stopped, and Release/Approve abandoned",
            ),
            (vec![deployed.clone(), approval(Succeeded, 2)], "ask"),
            (vec![deployed.clone(), approval(Succeeded, 2), full(InProgress, 3)], "hold: its turnover is at work"),
            (vec![deployed.clone(), approval(Succeeded, 2), full(Succeeded, 3)], "let go: its release was turned over"),
            (vec![deployed.clone(), approval(Succeeded, 2), full(Failed, 3)], "restore: Release/Full failed"),
            // Retried.
            (vec![deployed.clone(), approval(Failed, 2), approval(InProgress, 3)], "hold: its execution goes on"),
            (vec![deployed.clone(), approval(Failed, 2), approval(Succeeded, 3)], "ask"),
            (vec![deployed.clone(), approval(Failed, 2), canary(InProgress, 3)], "hold: its canary action is at work"),
            // Another application of the same stage is none of its business.
            (
                vec![deployed.clone(), approval(Failed, 2), other(InProgress)],
                "restore: Release/Approve was not approved",
            ),
            // Nor is a service of the same name in another cluster.
            (
                vec![elsewhere(Succeeded), deployed.clone(), approval(Failed, 2)],
                "restore: Release/Approve was not approved",
            ),
            (vec![deployed, approval(Succeeded, 2), other(InProgress)], "hold: its execution goes on"),
        ] {
            assert_eq!(word(&actions), expected, "{actions:?}");
            let mut newest_first = actions;
            newest_first.reverse();
            assert_eq!(word(&newest_first), expected);
        }
    }

    #[test]
    fn a_stage_that_is_being_retried_is_waited_for_although_all_that_shows_has_failed() {
        let actions = [canary(Status::Succeeded, 1), approval(Status::Failed, 2)];
        let fate = || fate(("main", "shop-canary"), "Canary-1", &actions);
        assert!(is_unsure(&fate(), &actions));
        assert_eq!(made_sure(fate(), Some("Failed")), fate());
        assert_eq!(made_sure(fate(), Some("Stopping")), fate());
        assert!(matches!(made_sure(fate(), Some("InProgress")), Fate::Hold(_)));
        // Where another action of the stage is at work, the execution's status says nothing of this one.
        let busy = [
            canary(Status::Succeeded, 1),
            approval(Status::Failed, 2),
            seen("Other", Kind::Other, Status::InProgress, 2),
        ];
        assert!(!is_unsure(&super::fate(("main", "shop-canary"), "Canary-1", &busy), &busy));
    }

    #[test]
    fn people_are_asked_where_an_approval_is_open() {
        use Status::{Failed, InProgress, Succeeded};
        for (actions, expected) in [
            (vec![canary(Succeeded, 1), approval(InProgress, 2)], &["Release/Approve"][..]),
            (vec![canary(Succeeded, 1), approval(Failed, 2), approval(InProgress, 3)], &["Release/Approve"]),
            (vec![canary(InProgress, 1)], &[]),
            (vec![canary(Succeeded, 1), approval(Succeeded, 2), full(InProgress, 3)], &[]),
        ] {
            assert_eq!(asks(&actions), expected, "{actions:?}");
        }
    }

    #[test]
    fn who_rejected_it_is_told_with_what_they_said() {
        let by = "arn:aws:sts::123456789012:assumed-role/deployers/ada";
        let rejected = Seen { by: Some(by.into()), said: "too slow\u{1b}[31m".into(), ..approval(Status::Failed, 2) };
        let Fate::Restore(why) = fate(("main", "shop-canary"), "Canary-1", &[canary(Status::Succeeded, 1), rejected])
        else {
            panic!("expected a restore")
        };
        assert_eq!(why.text, "Release/Approve was rejected by assumed-role/deployers/ada: too slow [31m");
        assert_eq!((why.by.as_deref(), why.sick), (Some(by), false));
    }

    #[test]
    fn the_status_of_an_execution_decides_where_its_actions_do_not() {
        for (status, restores) in [
            (Some("InProgress"), false),
            (Some("Stopping"), false),
            (Some("Paused"), false),
            (Some("Succeeded"), false),
            (Some("Stopped"), true),
            (Some("Superseded"), true),
            (Some("Cancelled"), true),
            (Some("Failed"), true),
            (None, true),
        ] {
            assert_eq!(matches!(fate_by(status), Fate::Restore(_)), restores, "{status:?}");
        }
        assert!(matches!(fate_by(Some("Succeeded")), Fate::LetGo(_)));
    }

    fn progress() -> Progress {
        let mut progress = Progress::begin(0);
        progress.revision = Some("app:2".parse().unwrap());
        progress.deployment = Some("ours".into());
        progress.former = Some(Former {
            revision: "app:1".parse().unwrap(),
            desired: 1,
            percents: Percents { minimum: 100, maximum: 200 },
            first: false,
            percents_back: true,
            at: None,
            red: Default::default(),
        });
        progress
    }

    #[test]
    fn a_canary_is_judged_as_its_action_judged_it_and_somebody_elses_is_let_go() {
        let (ours, theirs) = (service("app", 1, "app:2"), service("app", 1, "app:9"));
        let (successful, red, green) = (deployment("SUCCESSFUL"), alarm("errors", "ALARM"), alarm("errors", "OK"));
        let crash = || stopped("app:2", "EssentialContainerExited", 3);
        let look = |service: &Service, stopped: &[Task], alarm: &Alarm, deployment: Option<&Deployment>| {
            sick(&progress(), &Health { service, deployment, stopped, alarms: &[alarm] })
        };
        assert_eq!(look(&ours, &[], &green, Some(&successful)), None);
        assert_eq!(look(&ours, &[crash()], &green, Some(&successful)), None, "one crash is none");
        for fate in
            [look(&ours, &[crash(), crash()], &green, Some(&successful)), look(&ours, &[], &red, Some(&successful))]
        {
            assert!(matches!(&fate, Some(Fate::Restore(why)) if why.sick), "{fate:?}");
        }
        assert!(matches!(look(&theirs, &[], &red, Some(&successful)), Some(Fate::LetGo(_))));
        // Its deployment was not looked at yet.
        assert_eq!(look(&ours, &[], &red, None), None);
    }

    #[test]
    fn the_way_back_leaves_the_percents_that_people_gave_the_canary() {
        let mut canary = service("app", 1, "app:2");
        canary.percents = Percents { minimum: 0, maximum: 100 };
        let back = way_back(&progress(), &canary, 7);
        assert_eq!(back.phase, undo::restore(7));
        assert_eq!(back.former.unwrap().percents, canary.percents);
        assert!(!is_told(&progress()));
    }

    #[test]
    fn the_watch_stays_within_a_call_a_second() {
        for canaries in [1, 9, 10, 50, 51, 100, 250, 1_000] {
            let (pace, asks) = pace(canaries, canaries);
            let looks = pace.as_secs_f64() / LOOK.as_secs_f64();
            let services = canaries.div_ceil(10) as f64 / looks;
            let alarms = canaries.div_ceil(100) as f64 * 1.5;
            let calls = 2.0 + asks as f64 + services + alarms;
            assert!(canaries > 500 || calls <= LOOK.as_secs_f64(), "{canaries}: {calls} calls each look");
            assert!(canaries > 10 || asks >= canaries, "{canaries}: each is asked for at each look");
        }
    }
}
