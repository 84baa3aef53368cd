//! What a call that a frozen process sent late explains of what broke, and what it does not.
//!
//! A process that was frozen inside of a call sends it at the very moment at which it wakes, however late: such an act
//! cannot be kept from happening. It must be harmless, or be corrected, which may be a deployment more. That the service
//! is right in the end is claimed of the world at rest; here everything is a failure but
//!
//! ```text
//!   the call itself         what breaks at that moment, on the service that it is about
//!   what follows from it    for a minute: tasks that are missing, a success that was counted before it came;
//!                           and its percents, until somebody gives others
//!   what puts it right      a call that changes a service of the application: by anybody within a minute, who sees it; by
//!                           the frozen worker itself from the end of the action on. One deployment a service, no more
//! ```

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use simulator::{CallRecord, Service};

/// How soon what a call did is seen in the world.
const MOMENT: Duration = Duration::from_secs(2);

/// How soon whoever has the job corrects what was sent too late.
const CORRECTION: Duration = Duration::from_secs(60);

/// How long the worker that sent it follows the undo of what it did, from the end of its action on.
const UNDO: Duration = Duration::from_secs(30 * 60);

/// What broke, about a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finding<'a> {
    pub(crate) at: SystemTime,
    pub(crate) service: &'a str,
    pub(crate) what: &'a str,
}

impl Finding<'_> {
    fn is_of_a_deployment(&self) -> bool {
        self.what.contains(" was deployed to ")
    }

    /// What comes of a change, and not the change itself.
    fn follows(&self) -> bool {
        self.what.contains(" missing because of the turnover") || self.what.contains(" succeeded, but ")
    }
}

/// What was excused in a life so far.
#[derive(Debug, Default)]
pub(crate) struct Excuses {
    /// The deployments that put a late call right: the call's place in the log, and the service.
    deployed: BTreeSet<(usize, String)>,
}

impl Excuses {
    /// Whether a late call explains what broke. `ends`: when actions on the application ended.
    pub(crate) fn explain(&mut self, finding: &Finding<'_>, calls: &[CallRecord], ends: &[SystemTime]) -> bool {
        let late: Vec<usize> = (0..calls.len()).filter(|place| is_late(&calls[*place])).collect();
        late.into_iter().any(|place| {
            did_it(&calls[place], finding)
                || left_its_percents(place, finding, calls)
                || self.puts_right(place, finding, calls, ends)
        })
    }

    /// Whether it broke by a call that corrects the late one.
    fn puts_right(&mut self, place: usize, finding: &Finding<'_>, calls: &[CallRecord], ends: &[SystemTime]) -> bool {
        let late = &calls[place];
        let of_application = changed(late).is_some_and(|service| application(service) == application(finding.service));
        // From then on nobody but the worker that sent it looks.
        let ended = ends.iter().filter(|end| **end >= late.at).min();
        let corrects = |call: &CallRecord| {
            is_carried_out(call)
                && changed(call) == Some(finding.service)
                && within(MOMENT, call.at, finding.at)
                && (within(CORRECTION, late.at, call.at)
                    || call.access_key == late.access_key && ended.is_some_and(|end| within(UNDO, *end, call.at)))
        };
        of_application
            && calls[place + 1..].iter().any(corrects)
            && (!finding.is_of_a_deployment() || self.deployed.insert((place, finding.service.to_owned())))
    }
}

/// Whether it broke by the late call itself.
fn did_it(late: &CallRecord, finding: &Finding<'_>) -> bool {
    let long = if finding.follows() { CORRECTION } else { MOMENT };
    changed(late) == Some(finding.service) && within(long, late.at, finding.at)
}

/// Whether an action ended under percents that the late call gave, and nobody has given others since.
fn left_its_percents(place: usize, finding: &Finding<'_>, calls: &[CallRecord]) -> bool {
    let gives = |call: &CallRecord| changed(call) == Some(finding.service) && percents(call).is_some();
    let mut since = calls[place + 1..].iter().filter(|call| call.at <= finding.at);
    let (late, given) = (&calls[place], percents(&calls[place]));
    given.is_some_and(|(minimum, maximum)| {
        finding.what.contains(&format!("but its percents are ({minimum}, {maximum});"))
    }) && gives(late)
        && late.at <= finding.at
        && !since.any(|call| is_carried_out(call) && gives(call))
}

/// Whether a process sent a call when it woke, and it was carried out.
fn is_late(call: &CallRecord) -> bool {
    let frozen =
        call.error.as_ref().is_some_and(|error| error.starts_with("fault: ") && error.contains("while sending"));
    frozen && changed(call).is_some()
}

/// Whether a call did what it was to do, whatever became of its reply.
fn is_carried_out(call: &CallRecord) -> bool {
    call.error.as_ref().is_none_or(|error| {
        error.contains("after the act") || (error.starts_with("fault: ") && !error.contains("before"))
    })
}

/// The service that a call changes, if it does.
fn changed(call: &CallRecord) -> Option<&str> {
    match (call.service, call.operation.as_str()) {
        (Service::Ecs, "UpdateService") => Some(&call.subject),
        (Service::Ecs, "StopServiceDeployment") => {
            // `…:service-deployment/cluster/service/id`
            call.request["serviceDeploymentArn"].as_str()?.rsplit('/').nth(1)
        }
        _ => None,
    }
}

fn percents(call: &CallRecord) -> Option<(i64, i64)> {
    let given = &call.request["deploymentConfiguration"];
    Some((given["minimumHealthyPercent"].as_i64()?, given["maximumPercent"].as_i64()?))
}

fn application(service: &str) -> &str {
    service.trim_end_matches("-canary")
}

fn within(long: Duration, since: SystemTime, at: SystemTime) -> bool {
    at.duration_since(since).is_ok_and(|passed| passed <= long)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FROZEN: Option<&str> = Some("fault: frozen for 200 s while sending");
    const ONCE_MORE: &str = "an invariant broke: app:2 was deployed to app once more, or by no action in progress";
    const UNAPPROVED: &str = "an invariant broke: full service app was changed without an approval";

    fn date(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn call(at: u64, worker: &str, service: &str, error: Option<&str>) -> CallRecord {
        CallRecord {
            at: date(at),
            service: Service::Ecs,
            operation: "UpdateService".into(),
            access_key: worker.into(),
            account: String::new(),
            region: String::new(),
            subject: service.into(),
            request: json!({"service": service}),
            error: error.map(str::to_owned),
        }
    }

    /// Which of the findings are explained, one after the other.
    fn explained(calls: &[CallRecord], ends: &[u64], findings: &[(u64, &str, &str)]) -> Vec<bool> {
        let (mut excuses, ends) = (Excuses::default(), ends.iter().map(|end| date(*end)).collect::<Vec<_>>());
        let finding = |(at, service, what)| Finding { at: date(at), service, what };
        findings.iter().map(|found| excuses.explain(&finding(*found), calls, &ends)).collect()
    }

    #[test]
    fn what_a_late_call_does_at_its_moment_is_excused_on_its_service_alone() {
        let calls = [call(100, "one", "app", FROZEN)];
        let findings = [
            (100, "app", ONCE_MORE),
            (100, "app", UNAPPROVED),
            (100, "app-canary", ONCE_MORE),
            (100, "mail", ONCE_MORE),
        ];
        assert_eq!(explained(&calls, &[], &findings), [true, true, false, false]);
    }

    #[test]
    fn a_wrong_deployment_after_a_late_call_is_no_correction() {
        // Nobody calls, an event of ECS's own would be it; a peer deploys once more, and then again, or much later.
        let late = call(100, "one", "app", FROZEN);
        for (calls, at, expected) in [
            (vec![late.clone()], vec![130], vec![false]),
            (vec![late.clone(), call(110, "two", "app", None)], vec![110], vec![true]),
            (
                vec![late.clone(), call(110, "two", "app", None), call(115, "two", "app", None)],
                vec![110, 115],
                vec![true, false],
            ),
            (vec![late.clone(), call(400, "two", "app", None)], vec![400], vec![false]),
            (vec![late.clone(), call(110, "two", "mail", None)], vec![110], vec![false]),
            (vec![call(90, "two", "app", None), late.clone()], vec![90], vec![false]),
            (
                vec![late, call(110, "two", "app", Some("ThrottlingException, fault: throttled"))],
                vec![110],
                vec![false],
            ),
        ] {
            let findings: Vec<_> = at.iter().map(|at| (*at, "app", ONCE_MORE)).collect();
            assert_eq!(explained(&calls, &[], &findings), expected, "{calls:?}");
        }
    }

    #[test]
    fn the_worker_that_woke_may_correct_itself_once_the_action_has_ended_and_nobody_else_may() {
        let ended = 1_000;
        for (worker, at, ends, expected) in [
            ("one", 1_030, &[ended][..], true),
            ("two", 1_030, &[ended][..], false),
            ("one", 1_030, &[50][..], false),
            ("one", 1_000 + 31 * 60, &[ended][..], false),
        ] {
            let calls = [call(100, "one", "app", FROZEN), call(at, worker, "app-canary", None)];
            let found = [(at, "app-canary", ONCE_MORE)];
            assert_eq!(explained(&calls, ends, &found), [expected], "{worker} {at}");
        }
    }

    #[test]
    fn calls_that_were_not_late_or_not_carried_out_or_change_no_service_excuse_nothing() {
        let other = |operation: &str| CallRecord { operation: operation.into(), ..call(100, "one", "app", FROZEN) };
        for calls in [
            call(100, "one", "app", None),
            call(100, "one", "app", Some("fault: frozen for 200 s before sending")),
            call(100, "one", "app", Some("InvalidParameterException, fault: frozen for 200 s while sending")),
            other("PutObject"),
            other("PutJobFailureResult"),
            other("RegisterTaskDefinition"),
        ] {
            let calls = [calls];
            assert_eq!(explained(&calls, &[], &[(100, "app", ONCE_MORE)]), [false], "{calls:?}");
        }
    }

    #[test]
    fn percents_are_excused_while_they_are_those_of_the_late_call() {
        const LEFT: &str =
            "an invariant broke: Full of app ended, but its percents are (90, 100); its own are (100, 200)";
        let give = |at, worker, error, minimum: i64| CallRecord {
            request: json!({"deploymentConfiguration": {"minimumHealthyPercent": minimum, "maximumPercent": 100}}),
            ..call(at, worker, "app", error)
        };
        let late = give(100, "one", FROZEN, 90);
        assert_eq!(explained(std::slice::from_ref(&late), &[], &[(900, "app", LEFT)]), [true]);
        assert_eq!(explained(&[late.clone(), give(200, "two", None, 90)], &[], &[(900, "app", LEFT)]), [false]);
        assert_eq!(explained(&[give(100, "one", FROZEN, 80)], &[], &[(900, "app", LEFT)]), [false]);
        assert_eq!(explained(&[late], &[], &[(900, "app-canary", LEFT)]), [false]);
    }

    #[test]
    fn a_rollback_is_about_the_service_whose_deployment_it_stops() {
        let stop = CallRecord {
            operation: "StopServiceDeployment".into(),
            subject: String::new(),
            request: json!({"serviceDeploymentArn": "arn:aws:ecs:eu-central-1:1:service-deployment/main/app/abc"}),
            ..call(100, "one", "", FROZEN)
        };
        let findings = [(101, "app", UNAPPROVED), (101, "app-canary", UNAPPROVED)];
        assert_eq!(explained(&[stop], &[], &findings), [true, false]);
    }
}
