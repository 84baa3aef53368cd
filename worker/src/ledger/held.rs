//! The jobs that this worker holds, as the ledger knows them: its lease on acting.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Mutex as AsyncMutex;

use super::orphans::{FENCE, HeldJob, HeldState, SCHEMA, WorkerObject};
use coalmine_door::clock::{Clock, Moment, Time, fresh_name};
use coalmine_door::store::{Condition, Store, StoreError};

/// This worker's object, and whether its worker may act.
#[derive(Debug)]
pub struct Held {
    store: Store,
    clock: Clock,
    /// What should be written.
    wanted: Mutex<Wanted>,
    /// What was written. Held while a write is under way, so that writes follow each other.
    written: AsyncMutex<Written>,
    /// When the last successful write began: the lease counts from then.
    renewed: Mutex<Option<Moment>>,
    /// Whether the last write failed.
    in_trouble: AtomicBool,
}

#[derive(Debug, Default)]
struct Wanted {
    jobs: BTreeMap<String, HeldJob>,
    /// Counts changes, so that one write serves all that waited for it.
    change: u64,
}

#[derive(Debug)]
struct Written {
    key: String,
    version: Option<String>,
    /// A body whose write was not answered.
    attempted: Option<Vec<u8>>,
    /// When the last write began, where it failed.
    failed: Option<Time>,
    change: u64,
}

/// Why a worker may not go on with the jobs it held.
#[derive(Debug, thiserror::Error)]
pub enum HeldError {
    /// A peer took this worker for dead and gave its jobs back.
    #[error("a peer has taken this worker's jobs over")]
    TakenOver,
    /// The ledger cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another write, which would have brought this one's news, has just failed.
    #[error("the ledger could not be written a moment ago")]
    JustFailed,
}

impl Held {
    /// A worker that holds nothing, under an id that no other has.
    #[must_use]
    pub fn new(store: Store, clock: Clock, id: &str) -> Self {
        Self {
            store,
            clock,
            wanted: Mutex::default(),
            written: AsyncMutex::new(Written { key: key(id), version: None, attempted: None, failed: None, change: 0 }),
            renewed: Mutex::new(None),
            in_trouble: AtomicBool::new(false),
        }
    }

    /// Whether the last write failed: then no further job may be taken.
    #[must_use]
    pub fn is_in_trouble(&self) -> bool {
        self.in_trouble.load(Ordering::Relaxed)
    }

    /// Whether this worker still holds a job: not if a peer has taken over.
    #[must_use]
    pub fn holds(&self, job: &str) -> bool {
        self.wanted().jobs.contains_key(job)
    }

    /// The store, for looking at peers.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// This worker's key.
    pub async fn key(&self) -> String {
        self.written.lock().await.key.clone()
    }

    /// What this worker's object says or is about to say.
    #[must_use]
    pub fn object(&self) -> WorkerObject {
        WorkerObject { schema: SCHEMA, renewed: self.clock.now().timestamp_millis(), jobs: self.wanted().jobs.clone() }
    }

    /// Whether this worker may act: its last renewal is so recent that no peer can have taken it for dead.
    #[must_use]
    pub fn may_act(&self) -> bool {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        renewed.is_some_and(|at| self.clock.age(at) < FENCE)
    }

    /// The ids of the jobs that this worker holds or is about to acknowledge.
    #[must_use]
    pub fn jobs(&self) -> Vec<String> {
        self.wanted().jobs.keys().cloned().collect()
    }

    /// Whether this worker holds anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wanted().jobs.is_empty()
    }

    /// Notes that jobs are about to be acknowledged: id, token and place of each.
    ///
    /// # Errors
    /// When it could not be written: then they must not be acknowledged, and none of them is noted.
    pub async fn intend(&self, jobs: Vec<(String, String, String)>) -> Result<(), HeldError> {
        let ids: Vec<String> = jobs.iter().map(|(job, ..)| job.clone()).collect();
        for (job, token, place) in jobs {
            self.set(&job, HeldJob { state: HeldState::Intent, token, place, adopted: false });
        }
        let written = self.write().await.and_then(|()| self.still_there(ids.iter()));
        written.inspect_err(|_| ids.iter().for_each(|job| self.release(job)))
    }

    /// Notes the jobs of a dead worker as this worker's, to be given back. One that this worker has been offered meanwhile
    /// stays as it stands.
    ///
    /// # Errors
    /// When it could not be written: then none of them is noted as adopted.
    pub async fn adopt(&self, jobs: &BTreeMap<String, HeldJob>) -> Result<(), HeldError> {
        for (job, held) in jobs.iter().filter(|(job, _)| !self.holds(job)) {
            self.set(job, HeldJob { adopted: true, ..held.clone() });
        }
        let written = self.write().await.and_then(|()| self.still_there(jobs.keys()));
        written.inspect_err(|_| jobs.keys().filter(|job| self.has_adopted(job)).for_each(|job| self.release(job)))
    }

    /// Whether a job stands here because it was adopted, and not because this worker was offered it since.
    #[must_use]
    pub fn has_adopted(&self, job: &str) -> bool {
        self.wanted().jobs.get(job).is_some_and(|held| held.adopted)
    }

    /// Notes that a job is held, with the next write; an intent protects it until then.
    pub fn hold(&self, job: &str) {
        let mut wanted = self.wanted();
        wanted.change += 1;
        if let Some(held) = wanted.jobs.get_mut(job) {
            held.state = HeldState::Held;
        }
    }

    /// Notes a job's progress and waits until it is written; nothing is written where it is known already.
    ///
    /// # Errors
    /// When it could not be written: then nothing may be done that this progress would be needed for.
    pub async fn keep(&self, job: &str, token: &str) -> Result<(), HeldError> {
        {
            let mut wanted = self.wanted();
            let Some(held) = wanted.jobs.get_mut(job) else { return Err(HeldError::TakenOver) };
            if held.token != token {
                token.clone_into(&mut held.token);
                wanted.change += 1;
            }
        }
        self.write().await?;
        self.still_there([job].into_iter())
    }

    /// Whether what was just written holds these jobs: another write may have found meanwhile that a peer has taken over,
    /// and forgotten all jobs, also those that it did not know of itself.
    fn still_there<J: AsRef<str>>(&self, mut jobs: impl Iterator<Item = J>) -> Result<(), HeldError> {
        let wanted = self.wanted();
        if jobs.all(|job| wanted.jobs.contains_key(job.as_ref())) { Ok(()) } else { Err(HeldError::TakenOver) }
    }

    /// Notes that a job is over or handed back.
    pub fn release(&self, job: &str) {
        let mut wanted = self.wanted();
        if wanted.jobs.remove(job).is_some() {
            wanted.change += 1;
        }
    }

    /// Writes what has changed since the last write, unless a write that is under way brings it already. Where that one
    /// fails, it has failed for all who waited for it: a ledger that does not answer costs them one call, not one each.
    async fn write(&self) -> Result<(), HeldError> {
        let (change, asked) = (self.wanted().change, self.clock.now());
        let mut written = self.written.lock().await;
        if written.change >= change {
            return Ok(());
        }
        if written.failed.is_some_and(|began| began > asked) {
            return Err(HeldError::JustFailed);
        }
        self.put(&mut written).await
    }

    /// Writes the object whether or not it changed: the heartbeat. An empty one is deleted instead.
    ///
    /// # Errors
    /// [`HeldError::TakenOver`] where a peer has given the jobs back; then all of them are forgotten.
    pub async fn renew(&self) -> Result<(), HeldError> {
        let mut written = self.written.lock().await;
        if !self.is_empty() || self.is_in_trouble() {
            return self.put(&mut written).await;
        }
        if let Some(version) = written.version.clone() {
            let begin = self.clock.moment();
            match self.store.delete(&written.key, &version).await {
                // A peer has cleared it away: nothing was in it.
                Ok(()) | Err(StoreError::Changed { .. }) => written.version = None,
                Err(other) => return Err(other.into()),
            }
            self.renewed_at(begin);
        }
        Ok(())
    }

    async fn put(&self, written: &mut Written) -> Result<(), HeldError> {
        let begin = self.clock.now();
        let put = self.try_put(written).await;
        written.failed = matches!(put, Err(HeldError::Store(_))).then_some(begin);
        self.in_trouble.store(matches!(put, Err(HeldError::Store(_))), Ordering::Relaxed);
        put
    }

    async fn try_put(&self, written: &mut Written) -> Result<(), HeldError> {
        let begin = self.clock.moment();
        let change = self.wanted().change;
        // Plain maps of strings always serialize.
        let body = serde_json::to_vec(&self.object()).unwrap_or_default();
        let condition = written.version.clone().map_or(Condition::New, Condition::Unchanged);
        let put = match self.store.put(&written.key, body.clone(), &condition).await {
            Err(StoreError::Changed { .. }) => self.changed(written, &body).await?,
            Err(other) => {
                // It may have been written all the same.
                written.attempted = Some(body);
                return Err(other.into());
            }
            Ok(version) => version,
        };
        written.attempted = None;
        written.version = Some(put);
        written.change = change;
        self.renewed_at(begin);
        Ok(())
    }

    /// The object is not as this worker left it: either an earlier write of its own arrived although its reply was
    /// lost, or a peer has taken over, wholly or in part.
    async fn changed(&self, written: &mut Written, body: &[u8]) -> Result<String, HeldError> {
        let attempted = written.attempted.take();
        match self.store.get(&written.key).await? {
            Some(stored) if stored.body == body => Ok(stored.version),
            Some(stored) if attempted.as_ref() == Some(&stored.body) => {
                Ok(self.store.put(&written.key, body.to_vec(), &Condition::Unchanged(stored.version)).await?)
            }
            // Nobody has written: S3 refuses a write beside another one under way with the same word.
            Some(stored) if written.version.as_ref() == Some(&stored.version) => {
                Ok(self.store.put(&written.key, body.to_vec(), &Condition::Unchanged(stored.version)).await?)
            }
            // Nothing was there that a peer could have taken over.
            None if written.version.is_none() => {
                Ok(self.store.put(&written.key, body.to_vec(), &Condition::New).await?)
            }
            found => {
                self.wanted().jobs.clear();
                written.version = None;
                // What a peer left in the old object is the peers' to bury: this worker goes on under another name.
                if found.is_some() {
                    written.key = key(&fresh_name());
                }
                *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Err(HeldError::TakenOver)
            }
        }
    }

    fn set(&self, job: &str, held: HeldJob) {
        let mut wanted = self.wanted();
        wanted.jobs.insert(job.to_owned(), held);
        wanted.change += 1;
    }

    fn renewed_at(&self, begin: Moment) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = Some(begin);
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `workers/<id>.json`.
fn key(id: &str) -> String {
    format!("workers/{id}.json")
}
