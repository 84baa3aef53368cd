//! Whoever dies while it watches, and whatever goes wrong with a call of the watch: the canary goes back as it would have.

use simulator::faults::{Fault, FaultPlan, Moment, SentCall};

use crate::kinds::{ALL, Kind};
use crate::play::{Cast, Disturbance, Played, play, undisturbed};
use crate::points::{Extent, Tally};
use crate::stage::WORKER_KEY;
use crate::tales::Tale;

/// The tales in which the watch returns the canary.
const TALES: [Tale; 3] = [Tale::Rejected, Tale::AbandonedWhileHeld, Tale::RedWhileHeld];

/// The calls that the first worker makes once nobody holds a job any more.
fn of_the_watch(whole: &Played) -> &[SentCall] {
    let told = whole.calls.iter().rposition(|call| call.operation == "PutJobSuccessResult");
    told.and_then(|told| whole.calls.get(told + 1..)).unwrap_or_default()
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
            for call in extent.of(of_the_watch(&whole).iter(), seed) {
                let plan = FaultPlan::at(WORKER_KEY, call.number, Fault::Kill(moment));
                let what = format!("{tale:?}, {cast:?}, killed {moment} {call}");
                tally.same_end(&whole, play(tale, cast, &Disturbance::of(plan)), &what);
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
        let possible = of_the_watch(&whole).iter().filter(|call| rule(call).is_some());
        for call in Extent::told("COALMINE_FAULTS", 1).of(possible, seed) {
            let Some(rule) = rule(call) else { continue };
            let played = play(tale, cast, &Disturbance::of(FaultPlan::seeded(seed).rule(rule.caller(WORKER_KEY))));
            let what = format!("{tale:?}, {cast:?}, {name} at {call}");
            tally.as_claimed(claim, &whole, played, &what);
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
