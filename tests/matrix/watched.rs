//! Whoever dies while it watches, and whatever goes wrong with a call of the watch: the canary goes back as it would have.

use simulator::faults::{Fault, FaultPlan, Moment, SentCall};

use crate::kinds::{ALL, Kind};
use crate::play::{Cast, Disturbance, Played, play, undisturbed};
use crate::points::{Extent, Tally};
use crate::tales::Tale;

/// The tales in which the watch returns the canary.
const TALES: [Tale; 3] = [Tale::Rejected, Tale::AbandonedWhileHeld, Tale::RedWhileHeld];

/// The calls that each worker makes once nobody holds a job any more.
fn of_the_watch(whole: &Played) -> impl Iterator<Item = (&'static str, &[SentCall])> {
    let told = whole.calls.values().flatten().filter(|call| call.operation == "PutJobSuccessResult");
    let told = told.map(|call| call.at).max();
    whole.calls.iter().map(move |(worker, calls)| {
        let before = calls.partition_point(|call| Some(call.at) <= told);
        (*worker, calls.get(before..).unwrap_or_default())
    })
}

#[test]
fn a_canary_that_waits_goes_back_whoever_dies() {
    let extent = Extent::told("COALMINE_KILLS", 1);
    let mut tally = Tally::default();
    for (place, tale) in TALES.into_iter().enumerate() {
        for (cast, moment) in [
            (Cast::One, Moment::BeforeTheAct),
            (Cast::One, Moment::AfterTheAct),
            (Cast::Two, Moment::BeforeTheAct),
            (Cast::Two, Moment::AfterTheAct),
        ] {
            let whole = undisturbed(tale, cast);
            let seed = 10 * place as u64 + u64::from(cast == Cast::Two);
            for (worker, calls) in of_the_watch(&whole) {
                for call in extent.of(calls.iter(), seed) {
                    let plan = FaultPlan::at(worker, call.number, Fault::Kill(moment));
                    let what = format!("{tale:?}, {cast:?}, {worker} killed {moment} {call}");
                    tally.same_end(&whole, play(tale, cast, &Disturbance::of(plan)), &what);
                }
            }
        }
    }
    tally.close("deaths of who watches");
}

/// Tries one kind of fault; in a sample, in one of the tales.
#[expect(clippy::disallowed_methods, reason = "how long the matrices may take is the caller's to say")]
fn goes_wrong(tally: &mut Tally, Kind { name, cast, claim, rule }: Kind, seed: u64) {
    let usual = std::env::var_os("COALMINE_FAULTS").is_none();
    let first = usize::try_from(seed).unwrap_or_default();
    for turn in 0..if usual { 1 } else { TALES.len() } {
        let Some(tale) = TALES.get((first + turn) % TALES.len()).copied() else { continue };
        let whole = undisturbed(tale, cast);
        for (worker, calls) in of_the_watch(&whole) {
            let possible = calls.iter().filter(|call| rule(call).is_some());
            for call in Extent::told("COALMINE_FAULTS", 1).of(possible, seed) {
                let Some(rule) = rule(call) else { continue };
                let played = play(tale, cast, &Disturbance::of(FaultPlan::seeded(seed).rule(rule.caller(worker))));
                let what = format!("{tale:?}, {cast:?}, {name} at {worker}'s {call}");
                tally.as_claimed(claim, &whole, played, &what);
            }
        }
    }
}

#[test]
fn a_canary_that_waits_goes_back_whatever_call_goes_wrong() {
    let mut tally = Tally::default();
    for kind in ALL {
        goes_wrong(&mut tally, kind, kind.seed());
    }
    tally.close("faults of who watches");
}
