//! The order of a repository's deletes: what may be sent next, given what has happened so far.

use std::collections::{BTreeMap, BTreeSet};

use coalmine_pipeline::Digest;

use super::reply::identifiers;
use super::{Answer, Deletion, Identifier, Outcome, Reply, RepositoryPlan};

/// `imageIds` of one call (ECR: `BatchDeleteImage`, `DescribeImages`).
const IDENTIFIERS: usize = 100;

/// A call of `BatchDeleteImage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// At most 100.
    pub identifiers: Vec<Identifier>,
}

/// A repository's deletes under way.
///
/// What has to go after another image waits until `DescribeImages` has confirmed that this one is gone: AWS keeps
/// children of an index that exists, but not what is about an image, and an answer that lists an image's last known tag
/// does not say that there was no newer one.
#[derive(Debug)]
pub struct Sweep<'p> {
    plan: &'p RepositoryPlan,
    states: BTreeMap<Digest, State>,
}

#[derive(Debug, Default)]
struct State {
    /// Not sent yet.
    ahead: Vec<Identifier>,
    /// What is known of what was sent.
    outcomes: Vec<Outcome>,
    /// Whether it is certainly gone.
    is_confirmed: bool,
    /// Whether nothing of it is sent any more, and why.
    stays: Option<Outcome>,
}

impl<'p> Sweep<'p> {
    /// Begins with the answers of the last look. What that did not answer stays.
    pub fn begin(plan: &'p RepositoryPlan, answers: &[(Digest, Answer)]) -> Self {
        let answers: BTreeMap<Digest, &Answer> = answers.iter().map(|(digest, answer)| (*digest, answer)).collect();
        let state = |deletion: &Deletion| match answers.get(&deletion.digest) {
            Some(Answer::Go) => State { ahead: identifiers(deletion), ..State::default() },
            Some(Answer::Gone) => State { outcomes: vec![Outcome::Gone], is_confirmed: true, ..State::default() },
            Some(Answer::Keep { why }) => State { stays: Some(Outcome::Kept { why: why.clone() }), ..State::default() },
            None => State {
                stays: Some(Outcome::Kept { why: "it was not looked at once more".to_owned() }),
                ..State::default()
            },
        };
        let states = plan.deletions.iter().map(|deletion| (deletion.digest, state(deletion))).collect();
        let mut sweep = Self { plan, states };
        sweep.settle();
        sweep
    }

    /// The next call to make. `None`: nothing more to send before [`Sweep::to_confirm`] is answered, or at all.
    pub fn next_batch(&self) -> Option<Batch> {
        let ready = self.plan.deletions.iter().filter(|deletion| self.is_ready(deletion));
        let ahead = ready.filter_map(|deletion| self.states.get(&deletion.digest)).flat_map(|state| &state.ahead);
        let identifiers: Vec<Identifier> = ahead.take(IDENTIFIERS).cloned().collect();
        (!identifiers.is_empty()).then_some(Batch { identifiers })
    }

    /// What the answer to a batch says.
    pub fn record(&mut self, batch: &Batch, reply: &Reply) {
        self.note(batch, |sent| reply.outcome(sent));
    }

    /// A batch whose call failed: nothing is known of its images.
    pub fn failed(&mut self, batch: &Batch, why: &str) {
        self.note(batch, |_| Outcome::Later { why: why.to_owned() });
    }

    /// Images on whose absence others wait, and which AWS said it deleted: ask `DescribeImages` for them by digest,
    /// with `imageStatus` ANY, at most 100 in a call.
    pub fn to_confirm(&self) -> Vec<Digest> {
        let waited_for: BTreeSet<&Digest> = self
            .plan
            .deletions
            .iter()
            .filter(|deletion| self.states.get(&deletion.digest).is_some_and(|state| !state.ahead.is_empty()))
            .flat_map(|deletion| &deletion.after)
            .collect();
        let is_unsure = |digest: &Digest| {
            self.states.get(digest).is_some_and(|state| {
                !state.is_confirmed && matches!(state.outcome(), Some(Outcome::Deleted | Outcome::Gone))
            })
        };
        waited_for.into_iter().filter(|digest| is_unsure(digest)).take(IDENTIFIERS).copied().collect()
    }

    /// `DescribeImages`' answer to [`Sweep::to_confirm`]: which of these digests still exist.
    pub fn confirm(&mut self, asked: &[Digest], existing: &[Digest]) {
        for digest in asked {
            let Some(state) = self.states.get_mut(digest) else { continue };
            if existing.contains(digest) {
                let why = "it still exists: somebody has just given it a tag".to_owned();
                state.stays = Some(Outcome::Kept { why });
            } else {
                state.is_confirmed = true;
            }
        }
        self.settle();
    }

    /// A confirmation that failed: what waits for it stays.
    pub fn unconfirmed(&mut self, asked: &[Digest], why: &str) {
        let waits = |deletion: &&Deletion| deletion.after.iter().any(|digest| asked.contains(digest));
        for deletion in self.plan.deletions.iter().filter(waits) {
            if let Some(state) = self.states.get_mut(&deletion.digest) {
                state.ahead.clear();
                state.stays.get_or_insert(Outcome::Later { why: why.to_owned() });
            }
        }
        self.settle();
    }

    /// What became of every image, in the plan's order.
    pub fn outcomes(&self) -> Vec<(Digest, Outcome)> {
        let unsent = || Outcome::Later { why: "it was not its turn before the run ended".to_owned() };
        let outcome = |digest| self.states.get(digest).and_then(State::outcome).unwrap_or_else(unsent);
        self.plan.deletions.iter().map(|deletion| (deletion.digest, outcome(&deletion.digest))).collect()
    }

    fn is_ready(&self, deletion: &Deletion) -> bool {
        deletion.after.iter().all(|digest| self.states.get(digest).is_some_and(|state| state.is_confirmed))
    }

    fn note(&mut self, batch: &Batch, outcome: impl Fn(&Identifier) -> Outcome) {
        for sent in &batch.identifiers {
            if let Some(state) = self.states.get_mut(&sent.digest) {
                state.ahead.retain(|ahead| ahead != sent);
                state.outcomes.push(outcome(sent));
            }
        }
        self.settle();
    }

    /// Lets what cannot go any more stay: after a refusal the rest of an image's tags, and what belongs to it.
    fn settle(&mut self) {
        for deletion in &self.plan.deletions {
            let keeper = deletion.after.iter().find_map(|digest| {
                let outcome = self.states.get(digest)?.outcome()?;
                let stays = |why: String| match &outcome {
                    Outcome::Later { .. } => Outcome::Later { why },
                    _ => Outcome::Kept { why },
                };
                matches!(outcome, Outcome::Kept { .. } | Outcome::Later { .. })
                    .then(|| stays(format!("it belongs to {digest}, which is still there")))
            });
            let Some(state) = self.states.get_mut(&deletion.digest) else { continue };
            if let Some(keeper) = keeper.filter(|_| state.outcomes.is_empty()) {
                state.stays.get_or_insert(keeper);
            }
            let is_refused = |outcome: &Outcome| matches!(outcome, Outcome::Kept { .. } | Outcome::Later { .. });
            if state.stays.is_some() || state.outcomes.iter().any(is_refused) {
                state.ahead.clear();
            }
        }
    }
}

impl State {
    /// What became of the image; `None` while something of it is to be sent.
    fn outcome(&self) -> Option<Outcome> {
        if let Some(stays) = &self.stays {
            return Some(stays.clone());
        }
        let worst = |wanted: fn(&Outcome) -> bool| self.outcomes.iter().find(|outcome| wanted(outcome)).cloned();
        worst(|outcome| matches!(outcome, Outcome::Kept { .. }))
            .or_else(|| worst(|outcome| matches!(outcome, Outcome::Later { .. })))
            .or_else(|| {
                if !self.ahead.is_empty() {
                    return None;
                }
                worst(|outcome| *outcome == Outcome::Deleted).or_else(|| worst(|outcome| *outcome == Outcome::Gone))
            })
    }
}
