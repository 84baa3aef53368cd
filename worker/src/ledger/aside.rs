//! Objects of the ledger that nobody understands: another version's, or damaged. They are kept in `unreadable/`, unchanged, to
//! be looked at by hand, before anything else is written in their place.

use coalmine_door::store::{Condition, Store, StoreError, Stored};
use tracing::error;

/// Keeps what stands at a key, where something does, before it is written over or deleted. `now` is in epoch seconds.
///
/// # Errors
/// When the copy cannot be written: then the object must stay as it is.
pub(crate) async fn keep_a_copy(store: &Store, key: &str, stored: &Option<Stored>, now: i64) -> Result<(), StoreError> {
    let Some(stored) = stored else { return Ok(()) };
    let aside = format!("unreadable/{now}-{}", key.replace('/', "-"));
    error!(object = key, aside, "an object of the ledger cannot be understood; a copy of it is kept aside");
    match store.put(&aside, stored.body.clone(), &Condition::New).await {
        // Whoever came to it at the same moment has kept the same.
        Err(StoreError::Changed { key }) => match store.get(&key).await? {
            Some(kept) if kept.body == stored.body => Ok(()),
            _ => Err(StoreError::Changed { key }),
        },
        other => other.map(|_| ()),
    }
}
