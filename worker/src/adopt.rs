//! Looking after the jobs of dead workers: they are given back to CodePipeline with their last progress, and any
//! living worker polls them again.

use std::collections::BTreeMap;

use tracing::{error, info, warn};

use crate::aws::codepipeline::Received;
use crate::ledger::orphans::{Orphan, RENEWAL, SCHEMA, Seen, WorkerObject, orphans};
use crate::tools::Tools;
use coalmine_door::clock::Time;
use coalmine_door::store::{Condition, StoreError};

/// What the approver and the console see until the next turn says more.
const SUMMARY: &str = "its worker died; the job was given back and goes on from where it was";

/// One worker's eye on its peers.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    seen: BTreeMap<String, Seen>,
}

impl Peers {
    /// Looks at all peers once, and gives the jobs of the dead back.
    ///
    /// # Errors
    /// When the ledger cannot be read: an incomplete view never becomes an act.
    pub(crate) async fn look(&mut self, tools: &Tools) -> Result<(), StoreError> {
        let own = tools.held.key().await;
        let store = tools.held.store();
        let keys = store.list("workers/").await?;
        self.seen.retain(|key, _| keys.contains(key));
        for key in keys.into_iter().filter(|key| *key != own) {
            let stored = match store.get(&key).await {
                Ok(Some(stored)) => (stored.version, parse(&stored.body)),
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
            let of_peer: Vec<&Orphan> = orphans.iter().filter(|orphan| orphan.key == peer.key).collect();
            match &peer.object {
                Some(object) => bury(tools, peer, object, &of_peer).await?,
                None => set_aside(tools, peer).await?,
            }
        }
        Ok(())
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

/// A worker's object; `None` where it is of another schema, or none at all.
fn parse(body: &[u8]) -> Option<WorkerObject> {
    serde_json::from_slice::<WorkerObject>(body).ok().filter(|object| object.schema == SCHEMA)
}

/// Gives a dead worker's orphans back and strikes them from its object; an empty object is deleted.
async fn bury(tools: &Tools, peer: &Seen, object: &WorkerObject, orphans: &[&Orphan]) -> Result<(), StoreError> {
    let mut left = object.clone();
    for orphan in orphans {
        let given = tools.codepipeline.hand_back(&orphan.job, &orphan.held.token, SUMMARY, None, None).await;
        match given {
            Ok(Received::Taken) => {
                info!(
                    job = orphan.job,
                    place = orphan.held.place,
                    worker = peer.key,
                    "gave the job of a dead worker back"
                );
                tools.handed_back.tell(tools.clock.now());
            }
            // It ended, or was never acknowledged: CodePipeline offers it again by itself.
            Ok(Received::NotWanted) => {}
            Err(problem) => {
                warn!(job = orphan.job, error = %problem, "the job of a dead worker could not be given back yet");
                continue;
            }
        }
        left.jobs.remove(&orphan.job);
    }
    if left.jobs.is_empty() {
        return unless_changed(tools.held.store().delete(&peer.key, &peer.version).await);
    }
    if left == *object {
        return Ok(());
    }
    // What is left, a living worker names, too, or could not be given back: it is looked at again after a while.
    let body = serde_json::to_vec(&left).unwrap_or_default();
    let written = tools.held.store().put(&peer.key, body, &Condition::Unchanged(peer.version.clone())).await;
    unless_changed(written.map(|_| ()))
}

/// Moves an object that nobody understands out of the way, unread and unchanged.
async fn set_aside(tools: &Tools, peer: &Seen) -> Result<(), StoreError> {
    let store = tools.held.store();
    let Ok(Some(stored)) = store.get(&peer.key).await else {
        error!(object = peer.key, "an object of the ledger is too large to be read; look at it by hand");
        return Ok(());
    };
    let name = peer.key.rsplit('/').next().unwrap_or(&peer.key);
    let aside = format!("unreadable/{}-{name}", tools.clock.now().timestamp());
    error!(object = peer.key, aside, "an object of the ledger cannot be understood; it is set aside");
    store.put(&aside, stored.body, &Condition::New).await?;
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
pub(crate) async fn give_back_unsure(tools: &Tools, job: &str, token: &str) {
    loop {
        match named_by_peer(tools, job).await {
            Ok(true) => return,
            Ok(false) => {
                match tools.codepipeline.hand_back(job, token, "its acknowledgement was lost", None, None).await {
                    Ok(_) => return tools.handed_back.tell(tools.clock.now()),
                    Err(problem) => warn!(error = %problem, "the job could not be given back yet"),
                }
            }
            Err(problem) => warn!(error = %problem, "the ledger cannot be read yet"),
        }
        tools.clock.wait(RENEWAL).await;
    }
}

/// Whether any other worker's object names a job. One that cannot be understood may name any.
async fn named_by_peer(tools: &Tools, job: &str) -> Result<bool, StoreError> {
    let own = tools.held.key().await;
    let store = tools.held.store();
    for key in store.list("workers/").await?.into_iter().filter(|key| *key != own) {
        if let Some(stored) = store.get(&key).await?
            && parse(&stored.body).is_none_or(|object| object.jobs.contains_key(job))
        {
            return Ok(true);
        }
    }
    Ok(false)
}
