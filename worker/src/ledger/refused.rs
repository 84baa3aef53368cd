//! Digests that a service was rolled back from: `services/<cluster>/<service>/refused.json`. Canary and Full refuse them
//! until somebody allows them.

use std::collections::BTreeMap;

use coalmine_door::store::{Condition, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::deploy::rollback::refused::Refused;
use crate::ledger::aside::keep_a_copy;

/// The version of these records that this program writes and reads.
const SCHEMA: u32 = 1;
/// How many digests of a service are kept, the newest.
const KEPT: usize = 100;
/// How often a write is tried again that somebody else came before.
const TRIES: usize = 5;

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    schema: u32,
    /// Oldest first.
    refused: Vec<Refused>,
}

/// The digests that a service was rolled back from, oldest first. A record that cannot be understood is as good as none.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn read(store: &Store, (cluster, service): (&str, &str)) -> Result<Vec<Refused>, StoreError> {
    let stored = store.get(&key(cluster, service)).await?;
    Ok(stored.and_then(|stored| parse(&stored.body)).unwrap_or_default())
}

/// Notes that a service is rolled back from `left` (container → digest), and that what it returns to is not refused any
/// more: somebody wants it.
///
/// # Errors
/// When the ledger cannot be written.
pub async fn note(
    store: &Store,
    (cluster, service): (&str, &str),
    left: &[Refused],
    returned: &BTreeMap<String, String>,
) -> Result<(), StoreError> {
    let key = key(cluster, service);
    for _ in 0..TRIES {
        let stored = store.get(&key).await?;
        let condition = stored.as_ref().map_or(Condition::New, |stored| Condition::Unchanged(stored.version.clone()));
        let known = stored.as_ref().and_then(|stored| parse(&stored.body));
        if known.is_none() {
            keep_a_copy(store, &key, &stored, left.first().map_or(0, |refused| refused.at)).await?;
        }
        let known = known.unwrap_or_default();
        let refused = noting(known.clone(), left, returned);
        if refused == known {
            return Ok(());
        }
        // A struct of strings and numbers always serializes.
        let body = serde_json::to_vec(&Record { schema: SCHEMA, refused }).unwrap_or_default();
        match store.put(&key, body, &condition).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Changed { .. }) => {}
            Err(problem) => return Err(problem),
        }
    }
    Err(StoreError::Changed { key })
}

/// What is refused from now on. A digest that was refused before keeps its first story.
fn noting(mut known: Vec<Refused>, left: &[Refused], returned: &BTreeMap<String, String>) -> Vec<Refused> {
    let wanted = |digest: &String| returned.values().any(|returned| returned == digest);
    known.retain(|refused| !wanted(&refused.digest));
    for refused in left {
        if !wanted(&refused.digest) && !known.iter().any(|known| known.digest == refused.digest) {
            known.push(refused.clone());
        }
    }
    let excess = known.len().saturating_sub(KEPT);
    known.drain(..excess);
    known
}

fn parse(body: &[u8]) -> Option<Vec<Refused>> {
    serde_json::from_slice::<Record>(body).ok().filter(|record| record.schema == SCHEMA).map(|record| record.refused)
}

fn key(cluster: &str, service: &str) -> String {
    format!("services/{cluster}/{service}/refused.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::Index;

    fn refused(digest: &str, by: &str) -> Refused {
        Refused { digest: digest.into(), release: "e-1".into(), at: 1, by: by.into(), why: String::new() }
    }

    fn returned(digest: &str) -> BTreeMap<String, String> {
        [("app".to_owned(), digest.to_owned())].into()
    }

    #[test]
    fn what_was_left_is_refused_once_and_what_is_returned_to_no_more() {
        let known = noting(Vec::new(), &[refused("b", "ann")], &returned("a"));
        assert_eq!(known, [refused("b", "ann")]);
        assert_eq!(noting(known.clone(), &[refused("b", "bob")], &returned("a")), known, "it keeps its first story");
        assert_eq!(noting(known, &[refused("c", "bob")], &returned("b")), [refused("c", "bob")]);
        // A sidecar that both releases have is not what was wrong.
        assert_eq!(noting(Vec::new(), &[refused("s", "ann")], &returned("s")), []);
    }

    #[test]
    fn the_newest_hundred_are_kept() {
        let mut known = Vec::new();
        for number in 0..150 {
            known = noting(known, &[refused(&number.to_string(), "ann")], &BTreeMap::new());
        }
        assert_eq!((known.len(), known[0].digest.as_str(), known[99].digest.as_str()), (100, "50", "149"));
    }

    #[test]
    fn a_record_of_another_schema_is_as_good_as_none() {
        let body = serde_json::to_vec(&Record { schema: SCHEMA, refused: vec![refused("b", "ann")] }).unwrap();
        assert_eq!(parse(&body), Some(vec![refused("b", "ann")]));
        assert_eq!(parse(br#"{"schema":9,"refused":[]}"#), None);
        assert_eq!(parse(b"[]"), None);
    }

    proptest! {
        #[test]
        fn a_record_with_a_damaged_byte_is_none_or_one_that_is_written_as_it_is_read(place: Index, byte: u8) {
            let record = Record { schema: SCHEMA, refused: vec![refused("b", "ann"), refused("c", "bob")] };
            let mut body = serde_json::to_vec(&record).unwrap();
            let at = place.index(body.len());
            body[at] = byte;
            if let Some(refused) = parse(&body) {
                let again = serde_json::to_vec(&Record { schema: SCHEMA, refused: refused.clone() }).unwrap();
                prop_assert_eq!(parse(&again), Some(refused));
            }
        }
    }
}
