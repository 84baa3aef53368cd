//! The percents that a service had before a turnover changed them, on record until they are back: an action that is
//! abandoned half-way leaves its own, which the next release must not take for the service's.

use coalmine_door::clock::Time;
use coalmine_door::store::{Condition, Store, StoreError};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::deploy::batch::Percents;

/// The version of these records that this program writes and reads.
const SCHEMA: u32 = 1;

/// `services/<cluster>/<service>/percents.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    schema: u32,
    /// What the service had.
    former: Percents,
    /// What it was given since, or was about to be given.
    given: Vec<Percents>,
    /// When the first of them was noted, in epoch seconds; for people.
    noted: i64,
}

impl Record {
    /// The service's own percents, where it has `present` now. Percents that nobody noted were set by somebody else,
    /// who meant them.
    fn own(self, present: Percents) -> Percents {
        if self.given.contains(&present) { self.former } else { present }
    }

    /// The record that is to be there before a service whose own percents are `former` is given others; `None` where it
    /// is there already. A record of other percents is of a turnover that was abandoned, before somebody set new ones.
    fn noting(known: Option<Self>, former: Percents, given: Percents, now: Time) -> Option<Self> {
        let fresh = Self { schema: SCHEMA, former, given: Vec::new(), noted: now.timestamp() };
        let mut record = known.filter(|record| record.former == former).unwrap_or(fresh);
        if record.given.contains(&given) {
            return None;
        }
        record.given.push(given);
        Some(record)
    }
}

/// A service's own percents, where it has `present` now.
///
/// # Errors
/// When the ledger cannot be read. A record that cannot be understood is as good as none.
pub(crate) async fn own(
    store: &Store,
    cluster: &str,
    service: &str,
    present: Percents,
) -> Result<Percents, StoreError> {
    let stored = store.get(&key(cluster, service)).await?;
    Ok(stored.and_then(|stored| parse(&stored.body)).map_or(present, |record| record.own(present)))
}

/// The services, as `cluster/service`, of which percents are on record, among the keys of all records about services.
pub(crate) fn noted(keys: &[String]) -> Vec<String> {
    let label = |key: &String| Some(key.strip_prefix("services/")?.strip_suffix("/percents.json")?.to_owned());
    keys.iter().filter_map(label).collect()
}

/// Notes a service's own percents before it is given others.
///
/// # Errors
/// When the ledger cannot be written: then they must not be changed.
pub(crate) async fn note(
    store: &Store,
    (cluster, service): (&str, &str),
    (former, given): (Percents, Percents),
    now: Time,
) -> Result<(), StoreError> {
    let key = key(cluster, service);
    let stored = store.get(&key).await?;
    let condition = stored.as_ref().map_or(Condition::New, |stored| Condition::Unchanged(stored.version.clone()));
    let known = stored.and_then(|stored| parse(&stored.body));
    let Some(record) = Record::noting(known, former, given, now) else { return Ok(()) };
    // A struct of numbers always serializes.
    let body = serde_json::to_vec(&record).unwrap_or_default();
    store.put(&key, body, &condition).await.map(|_| ())
}

/// Strikes the record once the service has its own percents again. One that is left behind by mistake does no harm: it
/// is only believed of a service that has what it was given.
pub(crate) async fn strike(store: &Store, cluster: &str, service: &str, back: Percents) {
    let key = key(cluster, service);
    let struck = match store.get(&key).await {
        Ok(Some(stored)) if parse(&stored.body).is_some_and(|record| record.former == back) => {
            store.delete(&key, &stored.version).await
        }
        Ok(_) => Ok(()),
        Err(problem) => Err(problem),
    };
    if let Err(problem) = struck {
        warn!(error = %problem, "the record of a service's former percents could not be struck");
    }
}

fn parse(body: &[u8]) -> Option<Record> {
    serde_json::from_slice::<Record>(body).ok().filter(|record| record.schema == SCHEMA)
}

fn key(cluster: &str, service: &str) -> String {
    format!("services/{cluster}/{service}/percents.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Percents = Percents { minimum: 100, maximum: 200 };
    const BATCH: Percents = Percents { minimum: 90, maximum: 100 };
    const LATER: Percents = Percents { minimum: 91, maximum: 100 };
    const BY_HAND: Percents = Percents { minimum: 50, maximum: 150 };

    fn noting(known: Option<Record>, former: Percents, given: Percents) -> Option<Record> {
        Record::noting(known, former, given, Time::UNIX_EPOCH)
    }

    #[test]
    fn percents_that_a_turnover_gave_lead_back_to_the_former_ones_and_others_do_not() {
        let record = noting(None, OWN, BATCH).unwrap();
        assert_eq!(noting(Some(record.clone()), OWN, BATCH), None, "noted already");
        let record = noting(Some(record), OWN, LATER).unwrap();
        for (present, expected) in [(BATCH, OWN), (LATER, OWN), (OWN, OWN), (BY_HAND, BY_HAND)] {
            assert_eq!(record.clone().own(present), expected);
        }
    }

    #[test]
    fn what_somebody_set_after_an_abandoned_turnover_takes_the_place_of_its_record() {
        let abandoned = noting(None, OWN, BATCH).unwrap();
        let record = noting(Some(abandoned), BY_HAND, BATCH).unwrap();
        assert_eq!(record.own(BATCH), BY_HAND);
    }

    #[test]
    fn a_record_of_another_schema_is_as_good_as_none() {
        let record = noting(None, OWN, BATCH).unwrap();
        let body = serde_json::to_vec(&record).unwrap();
        assert_eq!(parse(&body), Some(record.clone()));
        assert_eq!(parse(&serde_json::to_vec(&Record { schema: 9, ..record }).unwrap()), None);
        assert_eq!(parse(b"{}"), None);
    }
}
