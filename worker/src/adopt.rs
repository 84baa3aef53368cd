//! Looking after the jobs of dead workers: they are given back to CodePipeline with their last progress, and any
//! living worker polls them again.

use std::collections::BTreeMap;

use tracing::{error, info, warn};

use crate::aws::codepipeline::{Job, Received};
use crate::health::pulse::PartPulse;
use crate::ledger::aside::keep_a_copy;
use crate::ledger::orphans::{DEATH, HeldJob, HeldState, RENEWAL, Seen, WorkerObject, leap, orphans};
use crate::tools::Tools;
use coalmine_door::clock::Time;
use coalmine_door::store::{Condition, StoreError};

/// Of how many jobs a worker's object may tell when it takes more over: with the longest tokens it stays below
/// [`OBJECT_BYTES_MAX`](crate::ledger::OBJECT_BYTES_MAX).
const ADOPTED_MOST: usize = 350;

/// What the approver and the console see until the next turn says more.
const SUMMARY: &str = "its worker died; the job was given back and goes on from where it was";

/// One worker's eye on its peers.
#[derive(Debug)]
pub(crate) struct Peers {
    pulse: PartPulse,
    seen: BTreeMap<String, Seen>,
    /// When it looked last.
    looked: Option<Time>,
    /// Jobs of dead workers that stand in this worker's object now, and are to be given back.
    adopted: BTreeMap<String, HeldJob>,
    /// Those that a peer has adopted, too, since when: it is the peer that gives them back.
    shared: BTreeMap<String, (HeldJob, Time)>,
}

/// How another worker names a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    /// It is about to give it back.
    Adopted,
    /// It has acknowledged it, or is about to.
    Held,
}

impl Peers {
    /// An eye that has seen nobody yet.
    pub(crate) fn new(pulse: PartPulse) -> Self {
        Self { pulse, seen: BTreeMap::new(), looked: None, adopted: BTreeMap::new(), shared: BTreeMap::new() }
    }

    /// Looks at all peers once, and gives the jobs of the dead back. Where the ledger cannot be read no job is taken over:
    /// an incomplete view never becomes an act.
    pub(crate) async fn look(&mut self, tools: &Tools) {
        let looked = self.try_look(tools).await;
        if let Err(problem) = &looked {
            warn!(error = %problem, "the ledger cannot be read: no job of a dead worker is given back");
        }
        self.pulse.went_round(looked.err().map(|problem| problem.brief()));
    }

    async fn try_look(&mut self, tools: &Tools) -> Result<(), StoreError> {
        self.give_back(tools).await;
        let own = tools.held.key().await;
        let store = tools.held.store();
        let keys = store.list("workers/").await?;
        self.seen.retain(|key, _| keys.contains(key));
        self.bear_leaps(tools.clock.now());
        self.look_after_shared(tools).await?;
        for key in keys.into_iter().filter(|key| *key != own) {
            let stored = match store.get(&key).await {
                Ok(Some(stored)) => (stored.version, WorkerObject::parse(&stored.body)),
                Ok(None) => continue,
                Err(StoreError::TooLarge { .. }) => (String::from("too large"), None),
                Err(other) => return Err(other),
            };
            self.note(key, stored, tools.clock.now());
        }
        let now = tools.clock.now();
        let peers: Vec<Seen> = self.seen.values().cloned().collect();
        let orphans = orphans(&tools.held.object(), &peers, now);
        for peer in peers.iter().filter(|peer| peer.is_dead(now)) {
            self.pulse.beat();
            match &peer.object {
                Some(object) => {
                    // The rest is found when its object has not changed for a while again.
                    let room = ADOPTED_MOST.saturating_sub(tools.held.jobs().len());
                    let of_peer = orphans.iter().filter(|orphan| orphan.key == peer.key).take(room);
                    let jobs = of_peer.map(|orphan| (orphan.job.clone(), orphan.held.clone())).collect();
                    self.adopt(tools, peer, object, jobs).await?;
                }
                None => set_aside(tools, peer).await?,
            }
        }
        self.give_back(tools).await;
        Ok(())
    }

    /// Takes a dead worker's jobs into this worker's own object, then strikes them from the dead one's. Only who did
    /// both gives them back: at every moment one object at least names them, and a worker that wakes finds its object
    /// changed before anybody else can be given its jobs.
    async fn adopt(
        &mut self,
        tools: &Tools,
        peer: &Seen,
        object: &WorkerObject,
        jobs: BTreeMap<String, HeldJob>,
    ) -> Result<(), StoreError> {
        if jobs.is_empty() && !object.jobs.is_empty() {
            // A living worker names them, too: they are looked at again after a while.
            return Ok(());
        }
        if let Err(problem) = tools.held.adopt(&jobs).await {
            warn!(error = %problem, "the jobs of a dead worker could not be taken over yet");
            return Ok(());
        }
        match strike(tools, peer, object, &jobs).await {
            Ok(()) => {
                for (job, held) in &jobs {
                    info!(job, place = held.place, worker = peer.key, "took the job of a dead worker over");
                }
                self.adopted.extend(jobs);
                Ok(())
            }
            // Another peer was quicker, or the worker has woken up: then another object names the jobs. Or this answers
            // the repetition of a strike whose first reply was lost: then they are this worker's, also where a peer that was
            // slower names them. Both may have been told so: neither lets go before the other one has given them back.
            Err(StoreError::Changed { .. }) => match named_by_others(tools).await {
                Ok(named) => {
                    let now = tools.clock.now();
                    for (job, held) in jobs {
                        match named.get(&job) {
                            Some(Named::Held) => tools.held.release(&job),
                            Some(Named::Adopted) => drop(self.shared.insert(job, (held, now))),
                            None => drop(self.adopted.insert(job, held)),
                        }
                    }
                    Ok(())
                }
                Err(problem) => self.go_on_with(jobs, problem),
            },
            // Whether it was struck is not known: whoever has it, the job is to go on.
            Err(problem) => self.go_on_with(jobs, problem),
        }
    }

    fn go_on_with(&mut self, jobs: BTreeMap<String, HeldJob>, problem: StoreError) -> Result<(), StoreError> {
        self.adopted.extend(jobs);
        Err(problem)
    }

    /// Lets go of what a peer has given back meanwhile. What it has not for long is given back by both: CodePipeline takes one.
    async fn look_after_shared(&mut self, tools: &Tools) -> Result<(), StoreError> {
        if self.shared.is_empty() {
            return Ok(());
        }
        let named = named_by_others(tools).await?;
        let now = tools.clock.now();
        for (job, (held, since)) in std::mem::take(&mut self.shared) {
            // It was offered again, and this worker has it: what the object says of it is its holder's.
            if !tools.held.has_adopted(&job) {
                continue;
            }
            match named.get(&job) {
                None | Some(Named::Held) => tools.held.release(&job),
                Some(Named::Adopted) if (now - since).to_std().unwrap_or_default() < DEATH => {
                    self.shared.insert(job, (held, since));
                }
                Some(Named::Adopted) => drop(self.adopted.insert(job, held)),
            }
        }
        Ok(())
    }

    /// Gives back what was adopted, as its worker would have done.
    async fn give_back(&mut self, tools: &Tools) {
        for (job, held) in std::mem::take(&mut self.adopted) {
            self.pulse.beat();
            // This worker was taken for dead itself meanwhile: the jobs in its object are its peers' now. Or it was offered the
            // job again, and has it.
            if !tools.held.has_adopted(&job) {
                continue;
            }
            if held.state == HeldState::Intent {
                match named_by_peer(tools, &job).await {
                    Ok(false) => {}
                    // It was offered again, and a peer is about to acknowledge it, or has.
                    Ok(true) => {
                        tools.held.release(&job);
                        continue;
                    }
                    Err(problem) => {
                        warn!(job, error = %problem, "whether a peer has the job of a dead worker is not known yet");
                        self.adopted.insert(job, held);
                        continue;
                    }
                }
            }
            self.pulse.beat();
            let given_back = match held.state {
                HeldState::Intent => tools.codepipeline.give_back(&job, &held.token, SUMMARY).await,
                HeldState::Held => tools.codepipeline.hand_back(&job, &held.token, SUMMARY, None, None).await,
            };
            match given_back {
                Ok(Received::Taken) => {
                    info!(job, place = held.place, "gave the job of a dead worker back");
                    tools.handed_back.tell(None, tools.clock.now());
                }
                // It ended, or was never acknowledged: CodePipeline offers it again by itself.
                Ok(Received::NotWanted) => {}
                Err(problem) => {
                    warn!(job, error = %problem, "the job of a dead worker could not be given back yet");
                    self.adopted.insert(job, held);
                    continue;
                }
            }
            tools.held.release(&job);
        }
    }

    /// Moves the dates of what was seen along with a clock that was set since the last look.
    fn bear_leaps(&mut self, now: Time) {
        let Some(last) = self.looked.replace(now) else { return };
        let leap = leap(last, now);
        self.seen.values_mut().for_each(|seen| seen.since += leap);
        self.shared.values_mut().for_each(|(_, since)| *since += leap);
    }

    fn note(&mut self, key: String, (version, object): (String, Option<WorkerObject>), now: Time) {
        match self.seen.get_mut(&key) {
            Some(seen) if seen.version == version => {}
            _ => {
                self.seen.insert(key.clone(), Seen { key, version, since: now, object });
            }
        }
    }
}

/// The jobs that other workers' objects name now. One that cannot be understood names none here: to let go of a job that
/// nobody has would block its stage; one that is given back though somebody has it only changes hands.
async fn named_by_others(tools: &Tools) -> Result<BTreeMap<String, Named>, StoreError> {
    let own = tools.held.key().await;
    let store = tools.held.store();
    let mut named = BTreeMap::new();
    for key in store.list("workers/").await?.into_iter().filter(|key| *key != own) {
        let stored = store.get(&key).await?;
        let object = stored.and_then(|stored| WorkerObject::parse(&stored.body));
        for (job, held) in object.into_iter().flat_map(|object| object.jobs) {
            let by = if held.adopted { Named::Adopted } else { Named::Held };
            let strongest = named.entry(job).or_insert(by);
            *strongest = by.max(*strongest);
        }
    }
    Ok(named)
}

/// Strikes jobs from a dead worker's object; an empty object is deleted.
async fn strike(
    tools: &Tools,
    peer: &Seen,
    object: &WorkerObject,
    jobs: &BTreeMap<String, HeldJob>,
) -> Result<(), StoreError> {
    let mut left = object.clone();
    left.jobs.retain(|job, _| !jobs.contains_key(job));
    let store = tools.held.store();
    if left.jobs.is_empty() {
        return store.delete(&peer.key, &peer.version).await;
    }
    let body = serde_json::to_vec(&left).unwrap_or_default();
    store.put(&peer.key, body, &Condition::Unchanged(peer.version.clone())).await.map(|_| ())
}

/// Moves an object that nobody understands out of the way, unread and unchanged.
async fn set_aside(tools: &Tools, peer: &Seen) -> Result<(), StoreError> {
    let store = tools.held.store();
    let Ok(Some(stored)) = store.get(&peer.key).await else {
        error!(object = peer.key, "an object of the ledger is too large to be read; look at it by hand");
        return Ok(());
    };
    let stored = Some(stored);
    keep_a_copy(store, &peer.key, &stored, tools.clock.now().timestamp()).await?;
    let Some(stored) = stored else { return Ok(()) };
    unless_changed(store.delete(&peer.key, &stored.version).await)
}

/// That another peer was quicker is no trouble.
fn unless_changed(done: Result<(), StoreError>) -> Result<(), StoreError> {
    match done {
        Err(StoreError::Changed { .. }) => Ok(()),
        other => other,
    }
}

/// Gives a job back of which it is not known whether this worker acknowledged it, unless a living peer names it: the
/// rightful holder wrote its intent before it acknowledged. Tries until CodePipeline and the ledger have answered.
pub(crate) async fn give_back_unsure(tools: &Tools, job: &Job, token: &str) {
    loop {
        match named_by_peer(tools, &job.id).await {
            Ok(true) => return,
            Ok(false) => match tools.codepipeline.give_back(&job.id, token, "its acknowledgement was lost").await {
                Ok(_) => return tools.handed_back.tell(Some(job.action_type), tools.clock.now()),
                Err(problem) => warn!(error = %problem, "the job could not be given back yet"),
            },
            Err(problem) => warn!(error = %problem, "the ledger cannot be read yet"),
        }
        tools.clock.wait(RENEWAL).await;
    }
}

/// Whether any other worker's object names a job that it may have acknowledged. One that cannot be understood may name any.
/// Who has adopted it, too, has acknowledged nothing: two that left it to each other would lose it.
async fn named_by_peer(tools: &Tools, job: &str) -> Result<bool, StoreError> {
    let own = tools.held.key().await;
    let store = tools.held.store();
    for key in store.list("workers/").await?.into_iter().filter(|key| *key != own) {
        if let Some(stored) = store.get(&key).await?
            && WorkerObject::parse(&stored.body)
                .is_none_or(|object| object.jobs.get(job).is_some_and(|held| !held.adopted))
        {
            return Ok(true);
        }
    }
    Ok(false)
}
