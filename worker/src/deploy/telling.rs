//! Progress in words: what a continuation token says to people.

use chrono::{DateTime, Utc};

use crate::deploy::message::counted;
use crate::deploy::progress::{CauseKind, Phase, Progress, Target, TokenError};
use crate::deploy::rollback::aim::{Aim, Aims};
use crate::deploy::rollback::token::Token;

/// What the text of a token says, whichever action wrote it.
///
/// # Errors
/// When no action of this version wrote it.
pub fn of_token(text: &str) -> Result<Vec<String>, TokenError> {
    match Token::own(text) {
        Some(token) => Ok(of_rollback(&token)),
        None => Progress::from_token(text).map(|progress| sentences(&progress)),
    }
}

/// What the token of a rollback says.
fn of_rollback(token: &Token) -> Vec<String> {
    let mut told = vec![format!("The rollback began on {}.", date(token.began))];
    if !token.decided {
        told.push("It is not decided yet where the services go: nothing has been touched.".to_owned());
        return told;
    }
    let aims = token.aims.parse::<Aims>().unwrap_or_default().0;
    if aims.is_empty() {
        told.push("It is decided where the services go: that stands in the ledger, under rollbacks/.".to_owned());
    } else {
        told.push(format!("It is decided where {} go:", counted(aims.len().try_into().unwrap_or(u32::MAX), "service")));
    }
    for Aim { service, canary_of, from, to, own } in aims {
        let role = canary_of.map(|full| format!(" (canary of {full})")).unwrap_or_default();
        let way =
            if from == to { format!("stays at {to}, or is on its way there") } else { format!("from {from} to {to}") };
        told.push(format!("- {service}{role}: {way}; its own percents are {own}"));
    }
    told.push("Now: the services are told, and followed until every task is counted.".to_owned());
    told
}

/// What progress says, a sentence each, in the order in which it happened.
#[must_use]
pub fn sentences(progress: &Progress) -> Vec<String> {
    let mut told = vec![format!("The action began on {}.", date(progress.started))];
    if let Some(former) = &progress.former {
        let percents = former.percents;
        let tasks = counted(former.desired, "task");
        told.push(format!(
            "Before it, the service was to run {tasks} of {}, with percents {percents}.",
            former.revision
        ));
        if former.first {
            told.push("No deployment of the service had ever succeeded: there is nothing to go back to.".to_owned());
        }
        if former.percents_back {
            told.push("It has these percents again.".to_owned());
        }
    } else {
        told.push("Nothing has been touched.".to_owned());
    }
    if let Some(revision) = &progress.revision {
        told.push(match &progress.deployment {
            Some(deployment) => format!("It brings {revision}, by service deployment {deployment}."),
            None => format!("It brings {revision}; its service deployment has not been found yet."),
        });
    }
    if let Some(cause) = &progress.cause {
        told.push(format!("It is being undone: {}. {}", why(cause.kind), cause.text));
        if let Some((task, container)) = &cause.witness {
            told.push(format!("Container {container} of task {task} shows it: its log is worth reading."));
        }
    }
    told.push(format!("Now: {}.", now(&progress.phase)));
    told
}

fn now(phase: &Phase) -> String {
    match phase {
        Phase::Check { busy_since: None } => "everything is checked before anything is touched".to_owned(),
        Phase::Check { busy_since: Some(since) } => {
            format!("it waits for the end of another deployment of the service, since {}", date(*since))
        }
        Phase::Deploy => "the service is told to run it, and followed".to_owned(),
        Phase::Bake { since } => format!("all tasks run it; they are watched since {}", date(*since)),
        Phase::UndoFull { since, stopped: false } => {
            format!("the full service goes back to what it ran, since {}", date(*since))
        }
        Phase::UndoFull { since, stopped: true } => {
            format!("ECS rolls the full service back, told so on {}", date(*since))
        }
        Phase::LeaveCanary => {
            "the canary is somebody else's by now and left alone; only percents are still to be given back".to_owned()
        }
        Phase::RestoreCanary { since, target, told, own: _ } => {
            let goal = match target {
                Target::Unknown => "to what is being found out".to_owned(),
                Target::Revision(revision) => format!("to {revision}"),
                Target::Zero => "to no task, as the full service never had a deployment that succeeded".to_owned(),
                Target::Left => "nowhere: it runs another release by now".to_owned(),
            };
            let told = told.map_or_else(|| "not told yet".to_owned(), |told| format!("told so on {}", date(told)));
            format!("the canary goes back {goal}, since {} ({told})", date(*since))
        }
    }
}

fn why(kind: CauseKind) -> &'static str {
    match kind {
        CauseKind::Tasks => "tasks stop for a reason that lies in the release",
        CauseKind::Alarm => "an alarm went red",
        CauseKind::RolledBack => "ECS rolled the deployment back",
        CauseKind::Superseded => "another deployment took its place",
        CauseKind::Stopped => "somebody stopped it",
        CauseKind::TimedOut => "it did not end in time",
        CauseKind::Changed => "the service changed under it",
        CauseKind::Refused => "it was refused before it touched anything",
        CauseKind::Denied => "AWS refused a permission before it touched anything",
        CauseKind::Barred => "AWS refused a permission before the deployment could be followed",
        CauseKind::Unusable => "AWS refused a call before the deployment could be followed",
    }
}

fn date(seconds: i64) -> String {
    let date: Option<DateTime<Utc>> = DateTime::from_timestamp(seconds, 0);
    date.map_or_else(|| format!("second {seconds}"), |date| date.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::decision::Role;
    use crate::deploy::progress::Cause;

    fn told(token: &str) -> String {
        sentences(&Progress::from_token(token).unwrap()).join("\n")
    }

    #[test]
    fn a_token_is_told_from_its_begin_to_now() {
        assert_eq!(
            told(r#"{"v":1,"t":1796000000,"p":{"check":{}}}"#),
            "The action began on 2026-11-30 00:53:20 UTC.\nNothing has been touched.\nNow: everything is checked before anything is touched."
        );
        let deploying = r#"{"v":1,"t":1796000000,"p":{"bake":{"s":1796000100}},"f":{"r":"app:1","n":1,"p":{"minimum":100,"maximum":200}},"r":"app:2","d":"d1"}"#;
        assert_eq!(
            told(deploying),
            "The action began on 2026-11-30 00:53:20 UTC.\nBefore it, the service was to run 1 task of app:1, with percents 100/200.\nIt brings app:2, by service deployment d1.\nNow: all tasks run it; they are watched since 2026-11-30 00:55:00 UTC."
        );
        let mut undone = Progress::from_token(deploying).unwrap();
        let cause = Cause { kind: CauseKind::Alarm, text: "alarm 5xx is in ALARM".into(), witness: None };
        undone.undo(Role::Full, cause, 1_796_000_200);
        let said = sentences(&undone).join("\n");
        assert!(said.contains("It is being undone: an alarm went red. alarm 5xx is in ALARM\n"), "{said}");
        assert!(
            said.ends_with("Now: the full service goes back to what it ran, since 2026-11-30 00:56:40 UTC."),
            "{said}"
        );
    }

    #[test]
    fn the_token_of_a_rollback_is_told_with_where_each_service_goes() {
        let told = |token: &str| of_token(token).unwrap().join("\n");
        assert_eq!(
            told(r#"{"v":1,"t":1796000000,"d":false}"#),
            "The rollback began on 2026-11-30 00:53:20 UTC.\nIt is not decided yet where the services go: nothing has been touched."
        );
        assert_eq!(
            told(r#"{"v":1,"t":1796000000,"d":true,"a":"+ 3 2,shop 3 2 50/200"}"#),
            "The rollback began on 2026-11-30 00:53:20 UTC.\nIt is decided where 2 services go:\n- shop-canary (canary of shop): from shop-canary:3 to shop-canary:2; its own percents are 100/200\n- shop: from shop:3 to shop:2; its own percents are 50/200\nNow: the services are told, and followed until every task is counted."
        );
        assert!(told(r#"{"v":1,"t":1796000000,"d":true}"#).contains("that stands in the ledger"));
        assert_eq!(
            told(r#"{"v":1,"t":1796000000,"p":{"check":{}}}"#),
            self::told(r#"{"v":1,"t":1796000000,"p":{"check":{}}}"#)
        );
        assert!(of_token(r#"{"v":1,"t":1796000000}"#).is_err());
    }

    #[test]
    fn a_date_that_is_none_is_shown_as_it_is() {
        assert_eq!(date(i64::MAX), format!("second {}", i64::MAX));
    }
}
