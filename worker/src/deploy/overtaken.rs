//! A call that was frozen with its worker is sent when that wakes, whatever has happened since: it may take the place of
//! what somebody else has deployed after this very release.

use crate::deploy::progress::{CauseKind, Phase, Progress};
use crate::deploy::revision::Revision;
use crate::deploy::view::Service;

/// Whether a superseded release runs on its service once more, by a deployment that its action did not begin knowingly.
/// A view that lags shows the deployment that is known.
#[must_use]
pub fn is_back(progress: &Progress, service: &Service) -> bool {
    let (Some(former), Some(cause), Some(known)) = (&progress.former, &progress.cause, &progress.deployment) else {
        return false;
    };
    let anew = service.current_deployment.as_ref().is_some_and(|current| !current.ends_with(known.as_str()));
    cause.kind == CauseKind::Superseded
        && progress.revision.as_ref() == Some(&service.revision)
        && former.revision != service.revision
        && anew
}

/// From now on the service goes back: to what was overtaken, or, where that is not known any more, to what it ran before.
pub fn give_way(progress: &mut Progress, overtaken: Option<Revision>, now: i64) {
    if let Some(former) = &mut progress.former {
        former.percents_back = false;
        if let Some(overtaken) = overtaken {
            (former.revision, former.first) = (overtaken, false);
        }
    }
    if let (Some(cause), Some(ours)) = (&mut progress.cause, &progress.revision) {
        cause.text.push_str(&format!("; then a call of a worker that had stood still brought {ours} once more"));
    }
    // Not by rolling our deployment back: ECS would go to what was successful last, and the overtaken one was on its way.
    progress.deployment = None;
    progress.phase = Phase::UndoFull { since: now, stopped: false };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::batch::Percents;
    use crate::deploy::fixtures::service;
    use crate::deploy::progress::{Cause, Former};

    fn superseded() -> Progress {
        let former = Former {
            revision: "app:1".parse().unwrap(),
            desired: 10,
            percents: Percents { minimum: 100, maximum: 200 },
            first: false,
            percents_back: true,
            at: None,
            red: Default::default(),
        };
        let cause = Cause { kind: CauseKind::Superseded, text: "main/app now runs app:3".to_owned(), witness: None };
        let mut progress = Progress::begin(0);
        (progress.former, progress.revision) = (Some(former), Some("app:2".parse().unwrap()));
        (progress.cause, progress.deployment) = (Some(cause), Some("d2".to_owned()));
        progress
    }

    fn running(revision: &str, deployment: &str) -> Service {
        let arn = format!("arn:aws:ecs:eu-central-1:123456789012:service-deployment/main/app/{deployment}");
        Service { current_deployment: Some(arn), ..service("app", 10, revision) }
    }

    #[test]
    fn only_a_new_deployment_of_a_superseded_release_takes_anything_elses_place() {
        for (revision, deployment, expected) in [
            ("app:2", "d4", true),
            // A view from before it was superseded.
            ("app:2", "d2", false),
            ("app:3", "d3", false),
            ("app:1", "d4", false),
        ] {
            assert_eq!(is_back(&superseded(), &running(revision, deployment)), expected, "{revision} {deployment}");
        }
        let again = running("app:2", "d4");
        let mut other = superseded();
        other.cause.as_mut().unwrap().kind = CauseKind::Alarm;
        assert!(!is_back(&other, &again), "it is on its way back in any case");
        let mut other = superseded();
        other.former.as_mut().unwrap().revision = "app:2".parse().unwrap();
        assert!(!is_back(&other, &again), "it ran that before");
    }

    #[test]
    fn it_gives_way_once_to_what_it_overtook_or_to_what_ran_before() {
        for (overtaken, expected) in [(Some("app:3".parse().unwrap()), "app:3"), (None, "app:1")] {
            let mut progress = superseded();
            give_way(&mut progress, overtaken, 60);
            assert_eq!(progress.phase, Phase::UndoFull { since: 60, stopped: false });
            let former = progress.former.as_ref().unwrap();
            assert_eq!((former.revision.to_string().as_str(), former.percents_back), (expected, false));
            assert!(!is_back(&progress, &running("app:2", "d4")), "once");
            let text = &progress.cause.as_ref().unwrap().text;
            assert!(text.ends_with("brought app:2 once more"), "{text}");
        }
    }
}
