//! A lease that one worker has at a time: an object that its holder renews, and that others take over when they have
//! seen it unchanged for long enough. No two clocks have to agree.

use std::sync::{Mutex, MutexGuard, PoisonError};

use coalmine_door::clock::{Clock, Moment, Time};
use coalmine_door::store::{Condition, Store, StoreError};
use serde::Serialize;
use tokio::sync::Mutex as AsyncMutex;

use super::canaries::Glimpse;
use super::orphans::{DEATH, FENCE, leap};

/// The version of these objects that this program writes. Only whether they change is looked at.
const SCHEMA: u32 = 1;

/// One worker's hold on a lease, or its eye on the holder.
#[derive(Debug)]
pub struct Lease {
    store: Store,
    clock: Clock,
    key: &'static str,
    worker: String,
    written: AsyncMutex<Written>,
    /// When the last successful write began: the lease counts from then. `None`: somebody else has it.
    renewed: Mutex<Option<Moment>>,
    /// What its holder tells whoever reads it.
    told: Mutex<Vec<Glimpse>>,
}

#[derive(Debug, Default)]
struct Written {
    /// The version that this worker wrote last, while it has the lease.
    version: Option<String>,
    /// A body whose write was not answered.
    attempted: Option<Vec<u8>>,
    /// Another holder's version.
    other: Option<Other>,
}

#[derive(Debug)]
struct Other {
    version: String,
    /// Since when it has been seen.
    since: Time,
    /// When it was looked at last.
    looked: Time,
}

#[derive(Serialize)]
struct Object<'a> {
    schema: u32,
    worker: &'a str,
    /// In epoch milliseconds; for people, and to make every renewal differ.
    renewed: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    held: Vec<Glimpse>,
}

impl Lease {
    /// A lease that this worker does not have.
    #[must_use]
    pub fn new(store: Store, clock: Clock, key: &'static str, worker: &str) -> Self {
        let (written, renewed, told) = (AsyncMutex::default(), Mutex::default(), Mutex::default());
        Self { store, clock, key, worker: worker.to_owned(), written, renewed, told }
    }

    /// What its holder knows of the held canaries, for whoever reads the lease after its next renewal.
    pub fn tell(&self, held: Vec<Glimpse>) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = held;
    }

    /// Whether this worker may act under it: its last renewal is so recent that nobody can have taken it over.
    #[must_use]
    pub fn may_act(&self) -> bool {
        let renewed = *self.renewed();
        renewed.is_some_and(|at| self.clock.age(at) < FENCE)
    }

    /// Takes the lease where nobody has it, renews it where this worker has it; whether it has it now.
    ///
    /// # Errors
    /// When the ledger cannot be read or written: whose it is, is not known then.
    pub async fn keep(&self) -> Result<bool, StoreError> {
        let mut written = self.written.lock().await;
        let begin = self.clock.moment();
        let condition = match written.version.clone() {
            Some(version) => Condition::Unchanged(version),
            None => match self.vacant(&mut written).await? {
                Some(condition) => condition,
                None => return Ok(false),
            },
        };
        let body = self.body();
        match self.store.put(self.key, body.clone(), &condition).await {
            Ok(version) => self.has(&mut written, version, begin),
            Err(StoreError::Changed { .. }) => {
                let known = [Some(body), written.attempted.take()];
                match self.store.get(self.key).await? {
                    // A write of this worker's own, whose reply was lost.
                    Some(stored) if known.contains(&Some(stored.body.clone())) => {
                        self.has(&mut written, stored.version, begin);
                    }
                    _ => {
                        *written = Written::default();
                        *self.renewed() = None;
                        return Ok(false);
                    }
                }
            }
            Err(other) => {
                // It may have been written all the same.
                written.attempted = Some(body);
                return Err(other);
            }
        }
        Ok(true)
    }

    /// Gives the lease up, so that the next worker need not wait.
    ///
    /// # Errors
    /// When the ledger cannot be written: then it is vacant after a while by itself.
    pub async fn give_up(&self) -> Result<(), StoreError> {
        let mut written = self.written.lock().await;
        *self.renewed() = None;
        let Written { version, .. } = std::mem::take(&mut *written);
        let Some(version) = version else { return Ok(()) };
        match self.store.delete(self.key, &version).await {
            Ok(()) | Err(StoreError::Changed { .. }) => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    /// On which condition it may be taken: nobody has it, or its holder has not renewed it for long.
    async fn vacant(&self, written: &mut Written) -> Result<Option<Condition>, StoreError> {
        let now = self.clock.now();
        let Some(stored) = self.store.get(self.key).await? else {
            written.other = None;
            return Ok(Some(Condition::New));
        };
        let own = written.attempted.as_ref() == Some(&stored.body);
        let known = written.other.take().filter(|other| other.version == stored.version);
        let since = known.map_or(now, |other| other.since + leap(other.looked, now));
        let dead = (now - since).to_std().unwrap_or_default() >= DEATH;
        written.other = Some(Other { version: stored.version.clone(), since, looked: now });
        Ok((own || dead).then_some(Condition::Unchanged(stored.version)))
    }

    fn has(&self, written: &mut Written, version: String, begin: Moment) {
        *written = Written { version: Some(version), ..Written::default() };
        *self.renewed() = Some(begin);
    }

    fn body(&self) -> Vec<u8> {
        let renewed = self.clock.now().timestamp_millis();
        let held = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // A struct of strings and numbers always serializes.
        serde_json::to_vec(&Object { schema: SCHEMA, worker: &self.worker, renewed, held }).unwrap_or_default()
    }

    fn renewed(&self) -> MutexGuard<'_, Option<Moment>> {
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
