//! Whether every part of the worker still goes on: a pure decision over when each last went round.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::deploy::view::Time;

/// A part that has not gone round for this long is stuck.
///
/// Longer than any round takes while AWS does not answer: a poll (a call of 25 s), a wait for a write of the ledger
/// that is under way and one of its own (75 s each: write, read again, write), and the longest pause (37.5 s). A part
/// that has ended, and a process that does not run at all, show at once.
pub const STUCK: Duration = Duration::from_secs(300);

/// What goes round in a worker for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The poller of one action type: provider and version.
    Poll(&'static str, &'static str),
    /// The renewal of this worker's object in the ledger.
    Renewal,
    /// The look after the jobs of dead workers.
    Peers,
    /// The shared observer.
    Observer,
    /// The watch over the canaries that wait for people.
    Watch,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poll(provider, version) => write!(f, "polling for {provider} {version}"),
            Self::Renewal => f.write_str("renewing the ledger object"),
            Self::Peers => f.write_str("looking after peers"),
            Self::Observer => f.write_str("observing services"),
            Self::Watch => f.write_str("watching held canaries"),
        }
    }
}

/// What a part did last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It goes round.
    Going,
    /// It has nothing to do, and waits until it has.
    Resting,
    /// Its task is gone.
    Ended,
}

/// A part's last sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// When.
    pub at: Time,
    /// What it did.
    pub state: State,
    /// What its last round met with: for people, nothing is decided from it.
    pub problem: Option<String>,
}

/// How one part is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartHealth {
    /// What it does.
    pub part: String,
    /// Whether it goes on.
    pub healthy: bool,
    /// Why that is said.
    pub reason: String,
    /// What its last round met with: an operation and AWS's error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// How the worker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether all its parts go on.
    pub healthy: bool,
    /// Each of them, with its reason.
    pub parts: Vec<PartHealth>,
}

/// Whether the worker is alive. One that is being stopped lets its parts end, and is well until it leaves.
#[must_use]
pub fn judge(beats: &BTreeMap<Part, Beat>, stopping: bool, now: Time) -> Health {
    let parts: Vec<PartHealth> = beats
        .iter()
        .map(|(part, beat)| {
            let (healthy, reason) = judge_part(beat, stopping, now);
            PartHealth { part: part.to_string(), healthy, reason, problem: beat.problem.clone() }
        })
        .collect();
    // Without any part there is no worker.
    Health { healthy: !parts.is_empty() && parts.iter().all(|part| part.healthy), parts }
}

fn judge_part(beat: &Beat, stopping: bool, now: Time) -> (bool, String) {
    // A clock that was set back makes no age.
    let age = (now - beat.at).to_std().unwrap_or_default();
    match beat.state {
        _ if stopping => (true, "the worker is being stopped".to_owned()),
        State::Ended => (false, format!("ended {} s ago, and does not come back by itself", age.as_secs())),
        State::Resting => (true, "has nothing to do".to_owned()),
        State::Going if age < STUCK => (true, format!("went round {} s ago", age.as_secs())),
        State::Going => (false, format!("has not gone round for {} s, {} at most", age.as_secs(), STUCK.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::fixtures::at;

    const POLL: Part = Part::Poll("Coalmine-Canary", "1");

    fn beat(seconds: i64, state: State) -> Beat {
        Beat { at: at(seconds), state, problem: None }
    }

    #[test]
    fn a_part_is_judged_by_its_age_and_by_what_it_did_last() {
        let limit = i64::try_from(STUCK.as_secs()).unwrap();
        for (state, age, stopping, healthy, reason) in [
            (State::Going, 0, false, true, "went round 0 s ago"),
            (State::Going, limit - 1, false, true, "went round 299 s ago"),
            (State::Going, limit, false, false, "has not gone round for 300 s, 300 at most"),
            (State::Going, -3_600, false, true, "went round 0 s ago"),
            (State::Going, limit, true, true, "the worker is being stopped"),
            (State::Resting, 100_000, false, true, "has nothing to do"),
            (State::Ended, 1, false, false, "ended 1 s ago, and does not come back by itself"),
            (State::Ended, 1, true, true, "the worker is being stopped"),
        ] {
            let beats = [(POLL, beat(1_000_000 - age, state))].into();
            let judged = judge(&beats, stopping, at(1_000_000));
            assert_eq!((judged.healthy, judged.parts[0].reason.as_str()), (healthy, reason), "{state:?} {age}");
        }
    }

    #[test]
    fn one_stuck_part_makes_the_worker_ill_and_a_problem_with_aws_does_not() {
        let troubled =
            Beat { problem: Some("codepipeline PollForJobs: ThrottlingException".into()), ..beat(995, State::Going) };
        let mut beats: BTreeMap<Part, Beat> =
            [(POLL, troubled), (Part::Renewal, beat(990, State::Going)), (Part::Observer, beat(0, State::Resting))]
                .into();
        let judged = judge(&beats, false, at(1_000));
        assert!(judged.healthy, "{judged:?}");
        assert_eq!(judged.parts[0].problem.as_deref(), Some("codepipeline PollForJobs: ThrottlingException"));
        beats.insert(Part::Renewal, beat(100, State::Going));
        let judged = judge(&beats, false, at(1_000));
        let ill: Vec<&str> = judged.parts.iter().filter(|part| !part.healthy).map(|part| part.part.as_str()).collect();
        assert_eq!((judged.healthy, ill), (false, vec!["renewing the ledger object"]));
    }

    #[test]
    fn a_worker_without_parts_is_none() {
        assert!(!judge(&BTreeMap::new(), false, at(0)).healthy);
    }
}
