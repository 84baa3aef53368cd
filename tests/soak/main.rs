//! The seeded soak: random lives of a few pipelines, with the shipped worker code, on virtual time.
//!
//! ```text
//! cargo test -p coalmine-tests --test soak                          a short run
//! COALMINE_SEEDS=1..1000 cargo test -p coalmine-tests --test soak   a longer one
//! COALMINE_SEEDS=17 cargo test -p coalmine-tests --test soak        one life once more
//! ```
//!
//! A life is made of one seed (`chance.rs`) as a plain value (`life.rs`) and played (`play.rs`): people (`people.rs`)
//! release, approve, reject, stop and retry, workers (`crew.rs`) die, freeze and come back, and calls go wrong. What
//! must always hold is looked at after every event and every call (`stage/invariants.rs`; what a frozen worker sent late
//! explains of it, `late.rs` says), and at the end the world must be at rest (`rest.rs`). A life that fails prints its
//! seed, what happens in it, and the calls that changed something.
#![expect(clippy::expect_used, reason = "a life that cannot go on fails")]

#[path = "../stage/mod.rs"]
#[expect(dead_code, unused_imports, reason = "made for the scenarios; the soak needs a part of it")]
mod stage;

mod chance;
mod crew;
mod late;
mod life;
mod people;
mod play;
mod rest;
mod tally;
mod verdicts;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use life::Life;
use play::{Played, play};
use tally::Tally;

/// The lives of a short run.
const SHORT: std::ops::RangeInclusive<u64> = 1..=5;

/// How many lives are played at a time.
const THREADS: usize = 2;

/// From so many lives on, a run must have met something of each.
const FEW: usize = 5;

/// The SDK's retries draw on buckets that a whole process shares: lives that run beside each other may empty them for one
/// another. Who compares two lives call by call plays them alone.
static ALONE: Mutex<()> = Mutex::new(());

/// A short life with deaths and faults.
const REPLAYED: u64 = 6;

/// How many failures are shown in full.
const SHOWN: usize = 2;

/// `1..1000` (both included), `17`, `3,9`.
fn seeds(text: &str) -> Vec<u64> {
    let number = |text: &str| text.trim().parse::<u64>().expect("COALMINE_SEEDS: a number, as in 1..1000 or 17 or 3,9");
    let mut seeds = Vec::new();
    for part in text.split(',') {
        match part.split_once("..") {
            Some((first, last)) => seeds.extend(number(first)..=number(last.trim_start_matches('='))),
            None => seeds.push(number(part)),
        }
    }
    seeds
}

fn asked_for() -> Vec<u64> {
    #[expect(clippy::disallowed_methods, reason = "how many lives are played is the caller's to say")]
    let asked = std::env::var("COALMINE_SEEDS");
    asked.map_or_else(|_| SHORT.collect(), |text| seeds(&text))
}

/// Plays a life; a panic in it is a failure, too.
fn outcome(seed: u64) -> Result<Tally, String> {
    let life = Life::of(seed);
    let told = |what: &str, picture: &str| {
        format!(
            "{what}\n\n{life}\n{picture}\nto play it once more: COALMINE_SEEDS={seed} cargo test -p coalmine-tests --test soak"
        )
    };
    match catch_unwind(AssertUnwindSafe(|| play(&life))) {
        Ok(Played { broken: None, tally, .. }) => Ok(tally),
        Ok(Played { broken: Some(what), picture, .. }) => Err(told(&what, &picture)),
        Err(_) => Err(told("the life panicked, see above", "")),
    }
}

#[test]
fn whatever_happens_the_invariants_hold() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let seeds = asked_for();
    let next = AtomicUsize::new(0);
    let (tally, failures) = (Mutex::new(Tally::default()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match outcome(*seed) {
                        Ok(one) => {
                            println!("life {seed}: {one}");
                            tally.lock().unwrap_or_else(PoisonError::into_inner).add(&one);
                        }
                        Err(what) => {
                            println!("life {seed} failed: {}", what.lines().next().unwrap_or_default());
                            failures.lock().unwrap_or_else(PoisonError::into_inner).push((*seed, what));
                        }
                    }
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut failures: Vec<(u64, String)> = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    failures.sort();
    println!("{tally}");
    for (seed, what) in failures.iter().take(SHOWN) {
        println!("\nlife {seed} failed: {what}");
    }
    let first_lines: Vec<String> =
        failures.iter().map(|(seed, what)| format!("{seed}: {}", what.lines().next().unwrap_or_default())).collect();
    assert!(failures.is_empty(), "{} of {} lives failed:\n{}", failures.len(), seeds.len(), first_lines.join("\n"));
    if tally.lives >= FEW {
        assert_eq!(tally.missing(), Vec::<&str>::new(), "a run of {} lives must have met these", seeds.len());
    }
}

#[test]
fn a_seed_plays_the_same_life_again() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (first, second) = (play(&Life::of(REPLAYED)), play(&Life::of(REPLAYED)));
    assert!(first.tally.deaths > 0 && first.tally.faults > 0, "{}", first.tally);
    let parts = first.calls.iter().zip(&second.calls).position(|(one, other)| one != other);
    let at = parts.unwrap_or_default();
    assert_eq!(parts, None, "{} and then {}", first.calls[at], second.calls[at]);
    assert_eq!(first.calls.len(), second.calls.len());
}

#[test]
fn seeds_are_a_range_a_number_or_a_list() {
    assert_eq!(seeds("3..6"), [3, 4, 5, 6]);
    assert_eq!(seeds("17"), [17]);
    assert_eq!(seeds("3, 9,11..12"), [3, 9, 11, 12]);
}
