//! The percents that a service had before a turnover changed them, on record until they are back: an action that is
//! abandoned half-way leaves its own, which the next release must not take for the service's. When they are back, the
//! record goes under another name: a view of the service that is a moment older still shows the others.

use std::time::Duration;

use coalmine_door::clock::Time;
use coalmine_door::store::{Condition, Store, StoreError};
use coalmine_pipeline::limits::CUSTOM_ACTION_TIMEOUT;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::aws::codepipeline::ActionExecution;
use crate::deploy::batch::Percents;
use crate::deploy::decision::elapsed;
use crate::deploy::undo::STALE_READ;
use crate::deploy::view::Service;
use crate::ledger::aside::keep_a_copy;

/// The version of these records that this program writes and reads.
const SCHEMA: u32 = 1;
/// How long a command is taken to be at work after it noted percents: nobody can be asked whether it still is.
const COMMAND_AT_WORK: Duration = Duration::from_secs(600);
/// How long after a service has its own percents again somebody may still see the others: an observation, of a read that
/// lags.
const SEEN_LATE: Duration = STALE_READ.saturating_mul(2);

/// That a service has percents that are not its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lent {
    /// Its own.
    pub(crate) own: Percents,
    /// Who gave it the others; `None` where an operator's command did, or a worker that did not say.
    pub(crate) by: Option<ActionExecution>,
    /// When, in epoch seconds.
    noted: i64,
}

impl Lent {
    /// Whether they were given so long ago that whoever did it is not at work any more, whatever AWS says.
    pub(crate) fn is_left_behind(&self, now: i64) -> bool {
        let longest = if self.by.is_some() { CUSTOM_ACTION_TIMEOUT } else { COMMAND_AT_WORK };
        elapsed(self.noted, now) >= longest
    }
}

/// `services/<cluster>/<service>/percents.json`, and `returned.json` when they are back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    schema: u32,
    /// What the service had.
    former: Percents,
    /// What it was given since, or was about to be given.
    given: Vec<Percents>,
    /// Who gave it the last of them.
    #[serde(default)]
    by: Option<ActionExecution>,
    /// When that was noted, in epoch seconds; when they came back.
    noted: i64,
}

impl Record {
    /// What is known of a service that has `present` now. Percents that nobody noted were set by somebody else, who
    /// meant them.
    fn lent(self, present: Percents) -> Option<Lent> {
        self.given.contains(&present).then_some(Lent { own: self.former, by: self.by, noted: self.noted })
    }

    /// The record that is to be there before a service whose own percents are `former` is given others; `None` where it
    /// is there already. A record of other percents is of a turnover that was abandoned, before somebody set new ones.
    fn noting(
        known: Option<Self>,
        (former, given): (Percents, Percents),
        by: Option<&ActionExecution>,
        now: Time,
    ) -> Option<Self> {
        let known = known.filter(|record| record.former == former);
        let mut all = known.as_ref().map(|record| record.given.clone()).unwrap_or_default();
        let is_new = !all.contains(&given);
        if is_new {
            all.push(given);
        }
        let same = known.is_some_and(|record| by.is_some() && record.by.as_ref() == by);
        let record = Self { schema: SCHEMA, former, given: all, by: by.cloned(), noted: now.timestamp() };
        (is_new || !same).then_some(record)
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
    now: Time,
) -> Result<Percents, StoreError> {
    Ok(lent(store, (cluster, service), present, now).await?.map_or(present, |lent| lent.own))
}

/// Whether a service's `present` percents are some that it was given for a time, and by whom.
///
/// # Errors
/// When the ledger cannot be read. A record that cannot be understood is as good as none.
pub(crate) async fn lent(
    store: &Store,
    (cluster, service): (&str, &str),
    present: Percents,
    now: Time,
) -> Result<Option<Lent>, StoreError> {
    let stored = store.get(&key(cluster, service)).await?;
    let lent = stored.and_then(|stored| parse(&stored.body)).and_then(|record| record.lent(present));
    if lent.is_some() {
        return Ok(lent);
    }
    // They may have come back after `present` was seen.
    let returned = store.get(&returned_key(cluster, service)).await?.and_then(|stored| parse(&stored.body));
    let fresh = returned.filter(|record| elapsed(record.noted, now.timestamp()) < SEEN_LATE);
    Ok(fresh.and_then(|record| record.lent(present)))
}

/// A service's own percents, where a turnover left it others; `noted` are the services of which percents are on record.
/// While a turnover runs, its percents are where they belong.
///
/// # Errors
/// As [`own`].
pub(crate) async fn left(
    store: &Store,
    service: &Service,
    noted: &[String],
    now: Time,
) -> Result<Option<Percents>, StoreError> {
    if service.is_rolling() || !noted.contains(&service.label()) {
        return Ok(None);
    }
    let own = own(store, &service.cluster, &service.name, service.percents, now).await?;
    Ok((own != service.percents).then_some(own))
}

/// The services, as `cluster/service`, of which percents are on record, among the keys of all records about services.
pub(crate) fn noted(keys: &[String]) -> Vec<String> {
    let label = |key: &String| Some(key.strip_prefix("services/")?.strip_suffix("/percents.json")?.to_owned());
    keys.iter().filter_map(label).collect()
}

/// Notes a service's own percents before it is given others, and who gives them.
///
/// # Errors
/// When the ledger cannot be written: then they must not be changed.
pub(crate) async fn note(
    store: &Store,
    (cluster, service): (&str, &str),
    percents: (Percents, Percents),
    by: Option<&ActionExecution>,
    now: Time,
) -> Result<(), StoreError> {
    let key = key(cluster, service);
    let stored = store.get(&key).await?;
    let condition = stored.as_ref().map_or(Condition::New, |stored| Condition::Unchanged(stored.version.clone()));
    let known = stored.as_ref().and_then(|stored| parse(&stored.body));
    if known.is_none() {
        keep_a_copy(store, &key, &stored, now.timestamp()).await?;
    }
    let Some(record) = Record::noting(known, percents, by, now) else { return Ok(()) };
    // A struct of numbers always serializes.
    let body = serde_json::to_vec(&record).unwrap_or_default();
    store.put(&key, body, &condition).await.map(|_| ())
}

/// Strikes the record once the service has its own percents again; `by` is who gave them back. One that is left behind
/// by mistake does no harm: it is only believed of a service that has what it was given.
pub(crate) async fn strike(
    store: &Store,
    service: (&str, &str),
    back: Percents,
    by: Option<&ActionExecution>,
    now: Time,
) {
    if let Err(problem) = try_strike(store, service, back, by, now).await {
        warn!(error = %problem, "the record of a service's former percents could not be struck");
    }
}

async fn try_strike(
    store: &Store,
    (cluster, service): (&str, &str),
    back: Percents,
    by: Option<&ActionExecution>,
    now: Time,
) -> Result<(), StoreError> {
    let key = key(cluster, service);
    let Some(stored) = store.get(&key).await? else { return Ok(()) };
    let is_over = |record: &Record| record.former == back && !is_of_another(record.by.as_ref(), by);
    let Some(record) = parse(&stored.body).filter(is_over) else { return Ok(()) };
    let returned = returned_key(cluster, service);
    let condition = store.get(&returned).await?.map_or(Condition::New, |stored| Condition::Unchanged(stored.version));
    // A struct of numbers and strings always serializes.
    let body = serde_json::to_vec(&Record { noted: now.timestamp(), ..record }).unwrap_or_default();
    store.put(&returned, body, &condition).await?;
    store.delete(&key, &stored.version).await
}

/// Whether percents were given by somebody else than this execution. An operator's command takes over what it finds; what
/// nobody is named for is such a command's, or an older worker's: an action leaves it on record.
fn is_of_another(given_by: Option<&ActionExecution>, by: Option<&ActionExecution>) -> bool {
    by.is_some_and(|by| given_by.is_none_or(|given_by| given_by.execution != by.execution))
}

fn parse(body: &[u8]) -> Option<Record> {
    serde_json::from_slice::<Record>(body).ok().filter(|record| record.schema == SCHEMA)
}

fn key(cluster: &str, service: &str) -> String {
    format!("services/{cluster}/{service}/percents.json")
}

fn returned_key(cluster: &str, service: &str) -> String {
    format!("services/{cluster}/{service}/returned.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::Index;

    const OWN: Percents = Percents { minimum: 100, maximum: 200 };
    const BATCH: Percents = Percents { minimum: 90, maximum: 100 };
    const LATER: Percents = Percents { minimum: 91, maximum: 100 };
    const BY_HAND: Percents = Percents { minimum: 50, maximum: 150 };

    fn by(action: &str) -> ActionExecution {
        ActionExecution {
            pipeline: "shop".into(),
            execution: format!("of {action}"),
            stage: "Release".into(),
            action: "Full".into(),
            action_execution: action.into(),
        }
    }

    #[test]
    fn an_action_strikes_its_own_executions_record_and_a_command_any() {
        let (one, retried, two) =
            (by("a-1"), ActionExecution { action_execution: "a-9".into(), ..by("a-1") }, by("a-2"));
        assert!(!is_of_another(Some(&one), Some(&retried)));
        assert!(is_of_another(Some(&one), Some(&two)));
        assert!(is_of_another(None, Some(&one)), "a command's, which may be at work");
        assert!(!is_of_another(Some(&one), None) && !is_of_another(None, None));
    }

    fn noting(known: Option<Record>, former: Percents, given: Percents) -> Option<Record> {
        Record::noting(known, (former, given), Some(&by("a-1")), Time::UNIX_EPOCH)
    }

    fn own(record: Record, present: Percents) -> Percents {
        record.lent(present).map_or(present, |lent| lent.own)
    }

    #[test]
    fn percents_that_a_turnover_gave_lead_back_to_the_former_ones_and_others_do_not() {
        let record = noting(None, OWN, BATCH).unwrap();
        assert_eq!(noting(Some(record.clone()), OWN, BATCH), None, "noted already");
        let record = noting(Some(record), OWN, LATER).unwrap();
        for (present, expected) in [(BATCH, OWN), (LATER, OWN), (OWN, OWN), (BY_HAND, BY_HAND)] {
            assert_eq!(own(record.clone(), present), expected);
        }
    }

    #[test]
    fn what_somebody_set_after_an_abandoned_turnover_takes_the_place_of_its_record() {
        let abandoned = noting(None, OWN, BATCH).unwrap();
        let record = noting(Some(abandoned), BY_HAND, BATCH).unwrap();
        assert_eq!(own(record, BATCH), BY_HAND);
    }

    #[test]
    fn a_record_names_who_gave_percents_last() {
        let record = noting(None, OWN, BATCH).unwrap();
        let next = Record::noting(Some(record), (OWN, BATCH), Some(&by("a-2")), Time::UNIX_EPOCH).unwrap();
        let lent = next.clone().lent(BATCH).unwrap();
        assert_eq!((lent.own, lent.by), (OWN, Some(by("a-2"))));
        let command = Record::noting(Some(next), (OWN, BATCH), None, Time::UNIX_EPOCH).unwrap();
        assert_eq!(command.lent(BATCH).unwrap().by, None, "nobody who can be asked");
    }

    #[test]
    fn percents_are_left_behind_when_nobody_can_be_at_work_any_more() {
        let day = 24 * 3_600;
        for (by, now, expected) in
            [(Some(by("a-1")), day - 1, false), (Some(by("a-1")), day, true), (None, 599, false), (None, 600, true)]
        {
            assert_eq!(Lent { own: OWN, by, noted: 0 }.is_left_behind(now), expected, "after {now} s");
        }
    }

    #[test]
    fn a_record_of_a_worker_that_named_nobody_is_read() {
        let body =
            br#"{"schema":1,"former":{"minimum":100,"maximum":200},"given":[{"minimum":90,"maximum":100}],"noted":7}"#;
        assert_eq!(parse(body).unwrap().lent(BATCH), Some(Lent { own: OWN, by: None, noted: 7 }));
    }

    #[test]
    fn a_record_of_another_schema_is_as_good_as_none() {
        let record = noting(None, OWN, BATCH).unwrap();
        let body = serde_json::to_vec(&record).unwrap();
        assert_eq!(parse(&body), Some(record.clone()));
        assert_eq!(parse(&serde_json::to_vec(&Record { schema: 9, ..record }).unwrap()), None);
        assert_eq!(parse(b"{}"), None);
    }

    proptest! {
        #[test]
        fn a_record_with_a_damaged_byte_is_none_or_one_that_is_written_as_it_is_read(place: Index, byte: u8) {
            let mut body = serde_json::to_vec(&noting(None, OWN, BATCH).unwrap()).unwrap();
            let at = place.index(body.len());
            body[at] = byte;
            if let Some(record) = parse(&body) {
                prop_assert_eq!(parse(&serde_json::to_vec(&record).unwrap()), Some(record));
            }
        }
    }
}
