//! Whole operations that fail for minutes, reads that lag all the time, and a ledger that is away: none of it is a
//! verdict, and none of it leads to a second deployment.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use simulator::Service;
use simulator::faults::{Fault, FaultPlan, Moment, Rule, SentCall};

use crate::kinds::may_lag;
use crate::play::{Cast, Disturbance, LAG, play, undisturbed};
use crate::points::{Extent, Tally};
use crate::stage::WORKER_KEY;
use crate::tales::Tale;

/// How long an operation is out.
const OUTAGE: Duration = Duration::from_secs(5 * 60);

/// Two tales that take every way through the worker between them, and one with alarms.
const TALES: [Tale; 3] = [Tale::TurnoverCrashes, Tale::RedInTheBake, Tale::Good];

/// Tries one disturbance of each operation in turn, told apart by service and name. In a sample, of some operations of
/// the first tales; at all, also in every tale and from the operation's middle and last call on.
fn each_operation(
    name: &str,
    possible: impl Fn(&SentCall) -> bool,
    disturb: impl Fn(&SentCall, SystemTime) -> FaultPlan,
    moments: &[Moments],
) {
    let extent = Extent::told("COALMINE_FAULTS", 1);
    let tales = if extent.is_whole() { &Tale::ALL[..] } else { &TALES[..2] };
    let mut tally = Tally::default();
    let mut done = BTreeSet::new();
    for tale in tales {
        let whole = undisturbed(*tale, Cast::One);
        for moment in moments.iter().take(if extent.is_whole() { moments.len() } else { 1 }) {
            let mut calls: Vec<&SentCall> = Vec::new();
            for call in whole.calls_of_one().iter().filter(|call| possible(call)) {
                let of_its_kind: Vec<&SentCall> =
                    whole.calls_of_one().iter().filter(|other| is_same(call, other)).collect();
                let chosen = moment.of(&of_its_kind);
                let new = extent.is_whole() || done.insert((call.service.name(), call.operation.clone()));
                if !calls.iter().any(|other| is_same(call, other)) && new {
                    calls.push(chosen);
                }
            }
            for call in extent.of(calls.into_iter(), *tale as u64) {
                let what = format!("{tale:?}, {name} {} {} from {call} on", call.service.name(), call.operation);
                let plan = disturb(call, call.at);
                tally.same_end(&whole, play(*tale, Cast::One, &Disturbance::of(plan)), &what);
            }
        }
    }
    tally.close(name);
}

fn is_same(one: &SentCall, other: &SentCall) -> bool {
    (one.service, &one.operation) == (other.service, &other.operation)
}

/// Which of an operation's calls an outage begins with.
#[derive(Clone, Copy, Debug)]
enum Moments {
    First,
    Middle,
    Last,
}

impl Moments {
    fn of<'a>(self, calls: &[&'a SentCall]) -> &'a SentCall {
        match self {
            Self::First => calls[0],
            Self::Middle => calls[calls.len() / 2],
            Self::Last => calls[calls.len() - 1],
        }
    }
}

const ANY_MOMENT: [Moments; 3] = [Moments::First, Moments::Middle, Moments::Last];

/// A rule about all of a worker's calls of one operation.
fn all_of(fault: Fault, call: &SentCall) -> Rule {
    Rule::new(fault).caller(WORKER_KEY).service(call.service).operation(&call.operation)
}

/// A rule about all of a worker's calls to S3, its artifacts among them.
fn all_of_s3(fault: Fault) -> Rule {
    Rule::new(fault).caller(WORKER_KEY).service(Service::S3)
}

#[test]
fn five_minutes_of_throttling_of_any_operation_change_no_end() {
    let throttled =
        |call: &SentCall, at| FaultPlan::seeded(1).rule(all_of(Fault::Throttle, call).from(at).until(at + OUTAGE));
    each_operation("throttled for five minutes:", |_| true, throttled, &ANY_MOMENT);
}

#[test]
fn five_minutes_of_silence_of_any_operation_change_no_end() {
    let silent = |call: &SentCall, at| {
        let rule = all_of(Fault::TimeOut(Moment::BeforeTheAct), call);
        FaultPlan::seeded(1).rule(rule.from(at).until(at + OUTAGE))
    };
    each_operation("silent for five minutes:", |_| true, silent, &ANY_MOMENT);
}

#[test]
fn a_read_that_always_lags_half_a_minute_changes_no_end() {
    let stale = |call: &SentCall, _| FaultPlan::seeded(1).rule(all_of(Fault::stale(LAG), call));
    each_operation("always read as of 30 s ago:", may_lag, stale, &[Moments::First]);
}

#[test]
fn reads_that_lag_at_random_change_no_end() {
    let all = Extent::told("COALMINE_FAULTS", 1).is_whole();
    let mut tally = Tally::default();
    for (place, tale) in Tale::ALL.into_iter().enumerate() {
        if !all && place % 10 != 3 {
            continue;
        }
        let whole = undisturbed(tale, Cast::One);
        for seed in 0..if all { 5 } else { 1 } {
            let lag = Rule::new(Fault::eventual_consistency(LAG)).caller(WORKER_KEY);
            let played = play(tale, Cast::One, &Disturbance::of(FaultPlan::seeded(seed).rule(lag)));
            tally.same_end(&whole, played, &format!("{tale:?}, eventual consistency by seed {seed}"));
        }
    }
    tally.close("eventual consistency of half a minute");
}

/// No job is taken, no act begins; what is held is handed back, and it goes on when the ledger is there again.
#[test]
fn a_ledger_that_is_away_for_a_while_changes_no_end() {
    let all = Extent::told("COALMINE_FAULTS", 1).is_whole();
    let mut tally = Tally::default();
    for tale in if all { &Tale::ALL[..] } else { &[Tale::RedInTheBake] } {
        let whole = undisturbed(*tale, Cast::One);
        let took = whole.calls_of_one().last().map(|last| last.at.duration_since(whole.begin).unwrap_or_default());
        let took = took.unwrap_or_default();
        let faults = [Fault::Throttle, Fault::TimeOut(Moment::BeforeTheAct), Fault::AccessDenied];
        for (part, fault) in (1..).zip(faults).skip(if all { 0 } else { 2 }) {
            // Of a sample only the longer absence, which outlasts every undo, and the refusal, which is told at once.
            for away in [Duration::from_secs(2 * 3_600), OUTAGE].into_iter().take(if all { 2 } else { 1 }) {
                let at = whole.begin + took * part / 4;
                let plan = FaultPlan::seeded(1).rule(all_of_s3(fault.clone()).from(at).until(at + away));
                let what = format!("{tale:?}, S3 {fault} for {} s", away.as_secs());
                tally.same_end(&whole, play(*tale, Cast::One, &Disturbance::of(plan)), &what);
            }
        }
    }
    tally.close("the ledger is away");
}
