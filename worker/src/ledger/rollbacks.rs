//! What a rollback action decided, for its later turns: `rollbacks/<action execution>.json`. Where each service stands, AWS
//! tells; what was decided it does not, because the releases that a service came from look otherwise afterwards.

use coalmine_door::store::{Condition, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::deploy::rollback::course::Course;

/// The version of these records that this program writes and reads.
const SCHEMA: u32 = 1;
/// How many are kept: who looks for one of an action that is over finds it for a while.
const KEPT: usize = 100;

/// A decided rollback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decided {
    schema: u32,
    /// When the action began, in epoch seconds.
    pub(crate) began: i64,
    /// The courses of all services, each canary before its full service.
    pub(crate) courses: Vec<Course>,
    /// Services that were left out, each with the reason.
    pub(crate) left_out: Vec<String>,
}

impl Decided {
    pub(crate) fn new(began: i64, courses: Vec<Course>, left_out: Vec<String>) -> Self {
        Self { schema: SCHEMA, began, courses, left_out }
    }

    fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(body).ok().filter(|decided| decided.schema == SCHEMA)
    }
}

/// Reads what was decided; `None` where nothing was yet.
///
/// # Errors
/// When the ledger cannot be read.
pub(crate) async fn read(store: &Store, action: &str) -> Result<Option<Decided>, StoreError> {
    Ok(store.get(&key(action)).await?.and_then(|stored| Decided::parse(&stored.body)))
}

/// Writes what was decided, once: what another turn of the action decided first stays, and is given back.
///
/// # Errors
/// When the ledger cannot be written.
pub(crate) async fn decide(store: &Store, action: &str, decided: Decided) -> Result<Decided, StoreError> {
    // A struct of strings and numbers always serializes.
    let body = serde_json::to_vec(&decided).unwrap_or_default();
    match store.put(&key(action), body, &Condition::New).await {
        Ok(_) => {
            forget_old(store).await?;
            Ok(decided)
        }
        Err(StoreError::Changed { key }) => match read(store, action).await? {
            Some(first) => Ok(first),
            None => Err(StoreError::Changed { key }),
        },
        Err(problem) => Err(problem),
    }
}

/// Lets the oldest records go. Their keys do not tell their age, so any beyond the limit are looked at.
async fn forget_old(store: &Store) -> Result<(), StoreError> {
    let keys = store.list("rollbacks/").await?;
    if keys.len() <= KEPT {
        return Ok(());
    }
    let mut dated = Vec::new();
    for key in keys {
        // What cannot be understood is not forgotten, either.
        if let Some(stored) = store.get(&key).await?
            && let Some(decided) = Decided::parse(&stored.body)
        {
            dated.push((decided.began, key, stored.version));
        }
    }
    dated.sort();
    let excess = dated.len().saturating_sub(KEPT / 2);
    for (_, key, version) in dated.into_iter().take(excess) {
        match store.delete(&key, &version).await {
            Ok(()) | Err(StoreError::Changed { .. }) => {}
            Err(problem) => return Err(problem),
        }
    }
    Ok(())
}

fn key(action: &str) -> String {
    format!("rollbacks/{action}.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::Index;

    #[test]
    fn a_record_of_another_schema_is_none_of_ours() {
        let decided = Decided::new(5, Vec::new(), vec!["main/app: no release ever succeeded on it".into()]);
        let body = serde_json::to_vec(&decided).unwrap();
        assert_eq!(Decided::parse(&body), Some(decided.clone()));
        assert_eq!(Decided::parse(&serde_json::to_vec(&Decided { schema: 2, ..decided }).unwrap()), None);
        assert_eq!(Decided::parse(b"{}"), None);
    }

    proptest! {
        #[test]
        fn a_record_with_a_damaged_byte_is_none_or_one_that_is_written_as_it_is_read(place: Index, byte: u8) {
            let decided = Decided::new(5, Vec::new(), vec!["main/app: no release ever succeeded on it".into()]);
            let mut body = serde_json::to_vec(&decided).unwrap();
            let at = place.index(body.len());
            body[at] = byte;
            if let Some(decided) = Decided::parse(&body) {
                prop_assert_eq!(Decided::parse(&serde_json::to_vec(&decided).unwrap()), Some(decided));
            }
        }
    }
}
