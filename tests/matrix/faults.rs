//! Whatever goes wrong with a call, at whatever call: what passes changes no end, and what does not pass ends honestly.

use std::time::Duration;

use simulator::Skew;
use simulator::faults::FaultPlan;

use crate::kinds::{ALL, Kind};
use crate::play::{Cast, Disturbance, play, undisturbed};
use crate::points::{Extent, Tally};
use crate::tales::Tale;

/// Tries one kind of fault at the calls of the tales that it can happen to; in a sample, in one tale.
#[expect(clippy::disallowed_methods, reason = "how long the matrices may take is the caller's to say")]
fn each_call(kind: Kind, seed: u64) {
    let Kind { name, cast, rule, .. } = kind;
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
        for (worker, calls) in &whole.calls {
            let possible = calls.iter().filter(|call| rule(call).is_some());
            for call in extent.of(possible, seed + tale as u64) {
                let Some(rule) = rule(call) else { continue };
                let plan = FaultPlan::seeded(seed).rule(rule.caller(*worker));
                let what = format!("{tale:?}, {cast:?}, {name} at {worker}'s {call}");
                let played = play(tale, cast, &Disturbance::of(plan));
                tally.as_claimed(kind.claim_of(tale), &whole, played, &what);
            }
        }
    }
    tally.close(name);
}

macro_rules! faults {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                let kind = ALL.into_iter().find(|kind| kind.name == $name).expect("a kind");
                each_call(kind, kind.seed());
            }
        )*

        #[test]
        fn every_kind_of_fault_is_tried() {
            assert_eq!([$($name),*], ALL.map(|kind| kind.name));
        }
    };
}

faults! {
    throttling_changes_no_end: "throttled",
    a_failure_of_the_service_before_it_acted_changes_no_end: "500 before the act",
    a_failure_of_the_service_after_it_acted_changes_no_end: "500 after the act",
    an_act_that_the_sdk_repeats_after_a_500_changes_no_end: "500 after the act, once",
    a_connection_that_breaks_before_the_act_changes_no_end: "reset before the act",
    a_connection_that_breaks_after_the_act_changes_no_end: "reset after the act",
    an_act_that_the_sdk_repeats_after_a_reset_changes_no_end: "reset after the act, once",
    a_time_out_before_the_act_changes_no_end: "time-out before the act",
    a_time_out_after_the_act_changes_no_end: "time-out after the act",
    an_act_that_the_sdk_repeats_after_a_time_out_changes_no_end: "time-out after the act, once",
    a_permission_that_is_missing_for_a_moment_ends_honestly: "access denied",
    a_crowd_of_registrations_changes_no_end: "too many concurrent attempts",
    a_read_that_lags_changes_no_end: "read as of 30 s ago",
    a_page_that_comes_twice_changes_no_end: "repeated page",
    items_that_come_twice_change_no_end: "repeated items",
    an_item_that_fails_in_a_good_answer_changes_no_end: "failures[] OTHER",
    an_item_that_is_missing_from_a_good_answer_ends_honestly: "failures[] MISSING",
    a_value_that_nobody_knows_yet_ends_honestly: "unknown value",
    a_refusal_that_nobody_knows_yet_ends_honestly: "an unknown refusal",
    an_answer_that_is_late_changes_no_end: "5 s late",
    a_worker_that_freezes_before_it_sends_changes_no_end: "frozen before sending",
    a_worker_that_freezes_while_it_sends_changes_no_end: "frozen while sending",
    a_worker_that_freezes_after_it_sent_changes_no_end: "frozen after sending",
}

/// AWS refuses signatures that are more than five minutes off.
#[test]
fn clocks_that_are_four_minutes_off_change_no_end() {
    let off = Duration::from_secs(4 * 60);
    let mut tally = Tally::default();
    let all = Extent::told("COALMINE_FAULTS", 0).is_whole();
    for (place, tale) in Tale::ALL.into_iter().enumerate() {
        for (which, skew) in [Skew::Ahead(off), Skew::Behind(off)].into_iter().enumerate() {
            // A retry is where a date of AWS's and one of the worker's could be mistaken for each other.
            if !all && ![(0, 0), (3, 1), (20, 1)].contains(&(place, which)) {
                continue;
            }
            let played = play(tale, Cast::One, &Disturbance { plan: None, skew });
            tally.same_end(&undisturbed(tale, Cast::One), played, &format!("{tale:?}, {skew:?}"));
        }
    }
    tally.close("clocks that are off");
}
