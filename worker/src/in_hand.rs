//! Which jobs this process is at, from the poll that brought them to the end of their turns.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The jobs of one poller. AWS does not say how soon it offers a job again that nobody has acknowledged yet, nor that it
/// spares whom it offered it to: a worker whose acknowledgement takes a while may be given the same job twice, with two
/// nonces. Of two turns at it one would be told that it is not the holder's, and strike the other one's record.
#[derive(Clone, Debug, Default)]
pub(crate) struct InHand(Arc<Mutex<BTreeSet<String>>>);

/// A job in hand, until this is dropped.
#[derive(Debug)]
pub(crate) struct Grip {
    job: String,
    of: InHand,
}

impl InHand {
    /// Takes a job in hand; `None` where it is already.
    pub(crate) fn take(&self, job: &str) -> Option<Grip> {
        self.jobs().insert(job.to_owned()).then(|| Grip { job: job.to_owned(), of: self.clone() })
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Grip {
    fn drop(&mut self) {
        self.of.jobs().remove(&self.job);
    }
}
