//! Whatever goes wrong with a call, at whatever call: what passes changes no end, and what does not pass ends honestly.

use std::time::Duration;

use simulator::faults::{Fault, FaultPlan, Freeze, Moment, Rule, SentCall};
use simulator::{ErrorReply, Service, Skew};

use crate::end::honest;
use crate::play::{Cast, Disturbance, LAG, Played, play, undisturbed};
use crate::points::{Extent, Tally};
use crate::stage::WORKER_KEY;
use crate::tales::Tale;

/// How many attempts the SDK makes before it gives a call up.
const ATTEMPTS: u64 = 3;

/// How long a worker is frozen: longer than its peers take to call it dead, with their looks every ten seconds.
const FREEZE: Duration = Duration::from_secs(80);

/// How a tale may end with a fault in it.
#[derive(Clone, Copy, Debug)]
enum Claim {
    /// As without.
    Same,
    /// As without, or given up: the action failed and says so, and both services are as they were.
    Honest,
}

/// Tries one fault at the calls of the tales that it can happen to; in a sample, in one tale.
#[expect(clippy::disallowed_methods, reason = "how long the matrices may take is the caller's to say")]
fn each_call(name: &str, cast: Cast, claim: Claim, fault: impl Fn(&SentCall) -> Option<Rule>) {
    // What tells one fault's sample from another's.
    let seed: u64 = name.bytes().map(u64::from).sum();
    let usual = std::env::var_os("COALMINE_FAULTS").is_none();
    let extent = Extent::told("COALMINE_FAULTS", 1);
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut tales = Tale::ALL;
    rng.shuffle(&mut tales);
    let mut tally = Tally::default();
    for tale in tales {
        if usual && tally.tried > 0 {
            break;
        }
        let whole = undisturbed(tale, cast);
        let possible = whole.calls.iter().filter(|call| fault(call).is_some());
        for call in extent.of(possible, seed + tale as u64) {
            let Some(rule) = fault(call) else { continue };
            let plan = FaultPlan::seeded(seed).rule(rule.caller(WORKER_KEY));
            let what = format!("{tale:?}, {cast:?}, {name} at {call}");
            let played = play(tale, cast, &Disturbance::of(plan));
            match claim {
                Claim::Same => tally.same_end(&whole, played, &what),
                Claim::Honest => tally.count(played, &what, |played: &Played| honest(&whole, played)),
            }
        }
    }
    tally.close(name);
}

/// A fault at one call, which the SDK's next attempt may mend.
fn once(fault: Fault) -> impl Fn(&SentCall) -> Option<Rule> {
    move |call| Some(Rule::new(fault.clone()).call(call.number))
}

/// A fault at one call and at every further attempt of it, so that the worker learns of it.
fn lasting(fault: Fault) -> impl Fn(&SentCall) -> Option<Rule> {
    move |call| {
        let rule = Rule::new(fault.clone()).from_call(call.number).operation(&call.operation).subject(&call.subject);
        Some(rule.times(ATTEMPTS))
    }
}

/// A fault at one call of an operation that it can happen to.
fn of_operations<'a>(fault: Fault, operations: &'a [&str]) -> impl Fn(&SentCall) -> Option<Rule> + 'a {
    move |call| {
        let possible = call.service != Service::S3 && operations.contains(&call.operation.as_str());
        possible.then(|| Rule::new(fault.clone()).call(call.number))
    }
}

/// The reads that S3 is not: they may lag behind a write.
fn may_lag(call: &SentCall) -> bool {
    call.service != Service::S3
        && ["Describe", "List", "Get", "BatchGet"].iter().any(|read| call.operation.starts_with(read))
}

/// The lists that a worker reads.
const LISTS: [&str; 5] =
    ["ListTasks", "ListTaskDefinitions", "ListServiceDeployments", "ListActionExecutions", "DescribeAlarms"];

/// The answers in which single items can fail.
const BATCHES: [&str; 5] =
    ["DescribeServices", "DescribeTasks", "DescribeServiceDeployments", "DescribeServiceRevisions", "BatchGetImage"];

/// The members of replies that a worker makes something of.
const MEMBERS: [(&str, &str); 11] = [
    ("AcknowledgeJob", "status"),
    ("GetPipelineExecution", "pipelineExecution.executionMode"),
    ("ListActionExecutions", "actionExecutionDetails[].status"),
    ("DescribeServices", "services[].status"),
    ("DescribeServiceDeployments", "serviceDeployments[].status"),
    ("ListServiceDeployments", "serviceDeployments[].status"),
    ("DescribeTaskDefinition", "taskDefinition.status"),
    ("DescribeTasks", "tasks[].lastStatus"),
    ("UpdateService", "service.status"),
    ("DescribeImages", "imageDetails[].imageStatus"),
    ("DescribeAlarms", "MetricAlarms[].StateValue"),
];

#[test]
fn throttling_changes_no_end() {
    each_call("throttled", Cast::One, Claim::Same, lasting(Fault::Throttle));
}

#[test]
fn a_failure_of_the_service_before_it_acted_changes_no_end() {
    each_call("500 before the act", Cast::One, Claim::Same, lasting(Fault::ServerError(Moment::BeforeTheAct)));
}

#[test]
fn a_failure_of_the_service_after_it_acted_changes_no_end() {
    each_call("500 after the act", Cast::One, Claim::Same, lasting(Fault::ServerError(Moment::AfterTheAct)));
}

#[test]
fn an_act_that_the_sdk_repeats_after_a_500_changes_no_end() {
    each_call("500 after the act, once", Cast::One, Claim::Same, once(Fault::ServerError(Moment::AfterTheAct)));
}

#[test]
fn a_connection_that_breaks_before_the_act_changes_no_end() {
    each_call("reset before the act", Cast::One, Claim::Same, lasting(Fault::Reset(Moment::BeforeTheAct)));
}

#[test]
fn a_connection_that_breaks_after_the_act_changes_no_end() {
    each_call("reset after the act", Cast::One, Claim::Same, lasting(Fault::Reset(Moment::AfterTheAct)));
}

#[test]
fn an_act_that_the_sdk_repeats_after_a_reset_changes_no_end() {
    each_call("reset after the act, once", Cast::One, Claim::Same, once(Fault::Reset(Moment::AfterTheAct)));
}

#[test]
fn a_time_out_before_the_act_changes_no_end() {
    each_call("time-out before the act", Cast::One, Claim::Same, lasting(Fault::TimeOut(Moment::BeforeTheAct)));
}

#[test]
fn a_time_out_after_the_act_changes_no_end() {
    each_call("time-out after the act", Cast::One, Claim::Same, lasting(Fault::TimeOut(Moment::AfterTheAct)));
}

#[test]
fn an_act_that_the_sdk_repeats_after_a_time_out_changes_no_end() {
    each_call("time-out after the act, once", Cast::One, Claim::Same, once(Fault::TimeOut(Moment::AfterTheAct)));
}

#[test]
fn a_permission_that_is_missing_for_a_moment_ends_honestly() {
    each_call("access denied", Cast::One, Claim::Honest, once(Fault::AccessDenied));
}

#[test]
fn a_crowd_of_registrations_changes_no_end() {
    let crowded = of_operations(Fault::Crowded, &["RegisterTaskDefinition"]);
    each_call("too many concurrent attempts", Cast::One, Claim::Same, crowded);
}

#[test]
fn a_read_that_lags_changes_no_end() {
    let stale = |call: &SentCall| may_lag(call).then(|| Rule::new(Fault::stale(LAG)).call(call.number));
    each_call("read as of 30 s ago", Cast::One, Claim::Same, stale);
}

#[test]
fn a_page_that_comes_twice_changes_no_end() {
    each_call("repeated page", Cast::OneOnShortPages, Claim::Same, of_operations(Fault::RepeatedPage, &LISTS));
}

#[test]
fn items_that_come_twice_change_no_end() {
    each_call("repeated items", Cast::OneOnShortPages, Claim::Same, of_operations(Fault::RepeatedItems, &LISTS));
}

#[test]
fn an_item_that_fails_in_a_good_answer_changes_no_end() {
    each_call(
        "failures[] OTHER",
        Cast::One,
        Claim::Same,
        of_operations(Fault::Failures("OTHER".into()), &BATCHES[..4]),
    );
}

#[test]
fn an_item_that_is_missing_from_a_good_answer_ends_honestly() {
    each_call(
        "failures[] MISSING",
        Cast::One,
        Claim::Honest,
        of_operations(Fault::Failures("MISSING".into()), &BATCHES),
    );
}

#[test]
fn a_value_that_nobody_knows_yet_ends_honestly() {
    let unknown = |call: &SentCall| {
        let (_, member) = MEMBERS.iter().find(|(operation, _)| *operation == call.operation)?;
        Some(Rule::new(Fault::UnknownValue((*member).to_owned())).call(call.number))
    };
    each_call("unknown value", Cast::One, Claim::Honest, unknown);
}

#[test]
fn a_refusal_that_nobody_knows_yet_ends_honestly() {
    let refusal = Fault::Refuse(ErrorReply::new("SomethingNewException", "Something new is not as it should be."));
    each_call("an unknown refusal", Cast::One, Claim::Honest, once(refusal));
}

#[test]
fn an_answer_that_is_late_changes_no_end() {
    each_call("5 s late", Cast::One, Claim::Same, once(Fault::Delay(Duration::from_secs(5))));
}

#[test]
fn a_worker_that_freezes_before_it_sends_changes_no_end() {
    each_call("frozen before sending", Cast::Two, Claim::Same, once(Fault::Freeze(Freeze::BeforeSending, FREEZE)));
}

#[test]
fn a_worker_that_freezes_while_it_sends_changes_no_end() {
    each_call("frozen while sending", Cast::Two, Claim::Same, once(Fault::Freeze(Freeze::WhileSending, FREEZE)));
}

#[test]
fn a_worker_that_freezes_after_it_sent_changes_no_end() {
    each_call("frozen after sending", Cast::Two, Claim::Same, once(Fault::Freeze(Freeze::AfterSending, FREEZE)));
}

/// AWS refuses signatures that are more than five minutes off.
#[test]
fn clocks_that_are_four_minutes_off_change_no_end() {
    let off = Duration::from_secs(4 * 60);
    let mut tally = Tally::default();
    let all = Extent::told("COALMINE_FAULTS", 0).is_whole();
    for (place, tale) in Tale::ALL.into_iter().enumerate() {
        for (which, skew) in [Skew::Ahead(off), Skew::Behind(off)].into_iter().enumerate() {
            if !all && place != 3 * which {
                continue;
            }
            let played = play(tale, Cast::One, &Disturbance { plan: None, skew });
            tally.same_end(&undisturbed(tale, Cast::One), played, &format!("{tale:?}, {skew:?}"));
        }
    }
    tally.close("clocks that are off");
}
