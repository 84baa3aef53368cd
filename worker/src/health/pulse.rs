//! The signs of life of a worker's parts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::judge::{Beat, Health, Part, State, judge};
use coalmine_door::clock::Clock;

/// What all parts last did; clones are the same one.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    beats: Mutex<BTreeMap<Part, Beat>>,
    stopping: AtomicBool,
}

impl Pulse {
    /// A worker without parts.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner { clock, beats: Mutex::default(), stopping: AtomicBool::new(false) }))
    }

    /// A part begins. Its task keeps what this gives: with it the part ends.
    #[must_use]
    pub fn of(&self, part: Part) -> PartPulse {
        let begun = PartPulse { pulse: self.clone(), part };
        begun.went_round(None);
        begun
    }

    /// From now on parts may end.
    pub fn stops(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    /// How the worker is now.
    #[must_use]
    pub fn health(&self) -> Health {
        judge(&self.lock(), self.0.stopping.load(Ordering::Relaxed), self.0.clock.now())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Part, Beat>> {
        self.0.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pulse of one part; dropping it is the part's end.
#[derive(Debug)]
pub struct PartPulse {
    pulse: Pulse,
    part: Part,
}

impl PartPulse {
    /// The part goes on: within a round that may take long.
    pub fn beat(&self) {
        self.set(State::Going);
    }

    /// The part went round; what it met with, if anything.
    pub fn went_round(&self, problem: Option<String>) {
        let beat = Beat { at: self.pulse.0.clock.now(), state: State::Going, problem };
        self.pulse.lock().insert(self.part, beat);
    }

    /// The part has nothing to do, until its next beat.
    pub fn rest(&self) {
        self.set(State::Resting);
    }

    fn set(&self, state: State) {
        let now = self.pulse.0.clock.now();
        if let Some(beat) = self.pulse.lock().get_mut(&self.part) {
            (beat.at, beat.state) = (now, state);
        }
    }
}

impl Drop for PartPulse {
    fn drop(&mut self) {
        self.set(State::Ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_types::SdkConfig;

    #[test]
    fn a_part_whose_task_is_gone_makes_the_worker_ill_at_once_unless_it_is_being_stopped() {
        let pulse = Pulse::new(Clock::of(&SdkConfig::builder().build()));
        let (renewal, observer) = (pulse.of(Part::Renewal), pulse.of(Part::Observer));
        observer.rest();
        assert!(pulse.health().healthy);
        drop(renewal);
        let health = pulse.health();
        assert!(!health.healthy && health.parts[0].reason.starts_with("ended"), "{health:?}");
        pulse.stops();
        assert!(pulse.health().healthy);
    }
}
