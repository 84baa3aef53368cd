//! The workers of a life: started, dead, frozen, told to stop, and back again.

use std::time::Duration;

use coalmine_worker::run::{Settings, Stopped};
use simulator::Simulator;
use tokio::task::JoinHandle;

use crate::life::{End, Hand};
use crate::play::Play;
use crate::stage::{Worker, settings};
use crate::tally::Tally;

/// What a worker may take to end when it is told to.
const EXIT: Duration = Duration::from_secs(10);

/// All workers of a life.
pub(crate) struct Crew {
    hands: Vec<State>,
    /// How many were stopped and ended by themselves.
    drains: usize,
}

enum State {
    Works(Worker),
    /// Told to stop: how it ended, and how long it took.
    Stops(JoinHandle<(Option<Stopped>, Duration)>),
    /// Comes back at this age.
    Away(Duration),
}

impl Crew {
    pub(crate) fn begin(play: &Play<'_>) -> Self {
        let hands = play.life.workers.iter().map(|hand| State::Works(start(&play.simulator, hand)));
        Self { hands: hands.collect(), drains: 0 }
    }

    /// Whether all are at work.
    pub(crate) fn is_steady(&self) -> bool {
        self.hands.iter().all(|hand| matches!(hand, State::Works(_)))
    }

    /// Tells a worker to stop, as ECS does with SIGTERM.
    pub(crate) fn terminate(&mut self, play: &Play<'_>, place: usize) {
        let Some(state) = self.hands.get_mut(place) else { return };
        // One that is away, or told already, is not told.
        if !matches!(state, State::Works(_)) {
            return;
        }
        if let State::Works(worker) = std::mem::replace(state, State::Away(Duration::MAX)) {
            *state = State::Stops(stop(&play.simulator, worker));
        }
    }

    /// Lets those come back whose time it is.
    pub(crate) async fn look(&mut self, play: &Play<'_>) -> Result<(), String> {
        let age = play.age();
        for (state, hand) in self.hands.iter_mut().zip(&play.life.workers) {
            match state {
                State::Works(_) if play.simulator.is_dead(&hand.key) => *state = State::Away(age + hand.back),
                State::Stops(stopping) if stopping.is_finished() => {
                    let (stopped, took) = stopping.await.expect("no panic");
                    in_time(hand, stopped, took)?;
                    self.drains += usize::from(stopped.is_some());
                    *state = State::Away(age + hand.back);
                }
                State::Away(back) if age >= *back => *state = State::Works(start(&play.simulator, hand)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Stops them all at the end.
    pub(crate) async fn dismiss(mut self, play: &Play<'_>, tally: &mut Tally) -> Result<(), String> {
        for (state, hand) in std::mem::take(&mut self.hands).into_iter().zip(&play.life.workers) {
            if let State::Works(worker) = state {
                let (stopped, took) = stop(&play.simulator, worker).await.expect("no panic");
                in_time(hand, stopped, took)?;
                self.drains += usize::from(stopped.is_some());
            }
        }
        tally.drains = self.drains;
        Ok(())
    }
}

fn start(simulator: &Simulator, hand: &Hand) -> Worker {
    let settings = Settings { slots: hand.slots, ..settings("default", hand.slots) };
    Worker::start_skewed(simulator, &hand.key, settings, hand.skew)
}

fn stop(simulator: &Simulator, worker: Worker) -> JoinHandle<(Option<Stopped>, Duration)> {
    let clock = simulator.clock();
    tokio::spawn(async move {
        let told = clock.now();
        let stopped = worker.stop_if_alive().await;
        (stopped, clock.now().duration_since(told).unwrap_or_default())
    })
}

/// A worker that was told to stop ends in time, unless it dies; one that freezes at times cannot help it.
fn in_time(hand: &Hand, stopped: Option<Stopped>, took: Duration) -> Result<(), String> {
    let freezes = hand.mishaps.iter().any(|mishap| matches!(mishap.what, End::Freezes(..)));
    if stopped.is_some() && took > EXIT && !freezes {
        return Err(format!("worker {} took {took:?} to stop", hand.key));
    }
    Ok(())
}
