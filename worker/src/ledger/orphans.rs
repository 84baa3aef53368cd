//! Which jobs nobody holds any more: a pure decision over what the ledger says.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use chrono::TimeDelta;
use coalmine_pipeline::limits::CONTINUATION_TOKEN_CHARS;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::deploy::view::Time;

/// The version of worker objects that this program writes and reads.
pub const SCHEMA: u32 = 1;

/// How often a worker renews its object.
pub const RENEWAL: Duration = Duration::from_secs(10);
/// A worker whose last renewal is older than this does not act any more.
pub const FENCE: Duration = Duration::from_secs(20);
/// A worker whose object has not changed for this long, by the observer's own clock, is dead. Between [`FENCE`] and
/// this lie 40 seconds, more than any mutating call may take (25 s, `aws::limited`): what a worker began before its
/// fence is over before a peer acts.
pub const DEATH: Duration = Duration::from_secs(60);
/// What the time between two looks counts for at most. Two looks at peers are 7.5 s apart at least, so an observer whose
/// clock is set ahead between two takes a worker for dead at most 12.5 s too early: that still leaves room for a call that
/// began before the fence.
const LOOK_MOST: TimeDelta = TimeDelta::seconds(20);

/// `workers/<id>.json`: the jobs that one worker holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerObject {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When it was written, in epoch milliseconds of the worker's clock; for people, and to make every renewal differ.
    pub renewed: i64,
    /// The jobs by id.
    #[serde(deserialize_with = "each_once")]
    pub jobs: BTreeMap<String, HeldJob>,
}

impl WorkerObject {
    /// Reads an object; `None` where it is of another schema or anything in it cannot be understood. What is understood
    /// in part would be written back in part, and a job in the other part be lost.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let object: Self = serde_json::from_slice(body).ok()?;
        // Another token CodePipeline would refuse, at every attempt to give the job back.
        let usable = |held: &HeldJob| (1..=CONTINUATION_TOKEN_CHARS).contains(&held.token.chars().count());
        (object.schema == SCHEMA && object.jobs.values().all(usable)).then_some(object)
    }
}

/// JSON may name a job twice; a map would keep one of the two.
fn each_once<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, HeldJob>, D::Error> {
    struct Jobs;

    impl<'de> Visitor<'de> for Jobs {
        type Value = BTreeMap<String, HeldJob>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("jobs by id")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut jobs = BTreeMap::new();
            while let Some((job, held)) = map.next_entry::<String, HeldJob>()? {
                if jobs.contains_key(&job) {
                    return Err(A::Error::custom(format_args!("job {job} stands in it twice")));
                }
                jobs.insert(job, held);
            }
            Ok(jobs)
        }
    }

    deserializer.deserialize_map(Jobs)
}

/// One job in a worker's object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldJob {
    /// Whether the worker only meant to acknowledge it, or holds it.
    pub state: HeldState,
    /// Its last progress; the continuation token that gives it back.
    pub token: String,
    /// Pipeline and action, for people.
    pub place: String,
    /// Whether a dead worker had it, and this one is about to give it back: it acknowledges nothing by it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
}

impl HeldJob {
    /// Which of two records of one job knows more: a holder's own more than an adopter's copy of it, and that more than the
    /// intent of whoever may have lost the race for it.
    fn rank(&self) -> (HeldState, bool) {
        (self.state, !self.adopted)
    }
}

/// How sure it is that the worker holds a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldState {
    /// Written before the acknowledgement: it may hold it.
    Intent,
    /// Written after the acknowledgement: it holds it.
    Held,
}

/// A worker's object as a peer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The object's key.
    pub key: String,
    /// Its version.
    pub version: String,
    /// Since when the observer has seen this version.
    pub since: Time,
    /// What it says; `None` where it cannot be understood.
    pub object: Option<WorkerObject>,
}

impl Seen {
    /// Whether the worker is dead by now.
    #[must_use]
    pub fn is_dead(&self, now: Time) -> bool {
        (now - self.since).to_std().unwrap_or_default() >= DEATH
    }
}

/// What an observer's clock shows between two looks beyond the time that may have passed: so much later has been seen
/// what was seen before. A clock that was set says nothing of whether others live.
#[must_use]
pub fn leap(last: Time, now: Time) -> TimeDelta {
    let shown = now - last;
    shown - shown.clamp(TimeDelta::zero(), LOOK_MOST)
}

/// A job to give back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The dead worker's object.
    pub key: String,
    /// The job's id.
    pub job: String,
    /// Its last progress.
    pub held: HeldJob,
}

/// The jobs of dead workers that no living one names.
///
/// A living worker's object that cannot be understood (a newer version's) may name any job: then nothing is an orphan.
/// An intent counts as naming: of two workers that race for a job, the loser's intent must not take it from the
/// winner, and the winner wrote its intent before it acknowledged. Where both have died, the job goes on from what its holder
/// has written: each dead object that names it is to be struck, and all with the same progress.
#[must_use]
pub fn orphans(own: &WorkerObject, peers: &[Seen], now: Time) -> Vec<Orphan> {
    let (dead, living): (Vec<&Seen>, Vec<&Seen>) = peers.iter().partition(|peer| peer.is_dead(now));
    if living.iter().any(|peer| peer.object.is_none()) {
        return Vec::new();
    }
    let named = |job: &String| {
        own.jobs.contains_key(job)
            || living.iter().any(|peer| peer.object.as_ref().is_some_and(|object| object.jobs.contains_key(job)))
    };
    let of_dead = dead.iter().flat_map(|peer| {
        let jobs = peer.object.iter().flat_map(|object| &object.jobs);
        jobs.map(|(job, held)| Orphan { key: peer.key.clone(), job: job.clone(), held: held.clone() })
    });
    let mut orphans: Vec<Orphan> = of_dead.filter(|orphan| !named(&orphan.job)).collect();
    let mut latest: BTreeMap<String, HeldJob> = BTreeMap::new();
    for Orphan { job, held, .. } in &orphans {
        let known = latest.entry(job.clone()).or_insert_with(|| held.clone());
        if held.rank() > known.rank() {
            known.clone_from(held);
        }
    }
    for orphan in &mut orphans {
        orphan.held.clone_from(&latest[&orphan.job]);
    }
    orphans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::fixtures::at;

    fn object(jobs: &[(&str, HeldState)]) -> WorkerObject {
        let held = |state| HeldJob { state, token: "{}".into(), place: "app/Canary".into(), adopted: false };
        WorkerObject {
            schema: SCHEMA,
            renewed: 0,
            jobs: jobs.iter().map(|(job, state)| ((*job).to_owned(), held(*state))).collect(),
        }
    }

    fn peer(key: &str, since: i64, jobs: &[(&str, HeldState)]) -> Seen {
        Seen { key: key.into(), version: "1".into(), since: at(since), object: Some(object(jobs)) }
    }

    fn found(own: &WorkerObject, peers: &[Seen]) -> Vec<String> {
        orphans(own, peers, at(100)).into_iter().map(|orphan| orphan.job).collect()
    }

    #[test]
    fn an_object_is_understood_wholly_or_not_at_all() {
        let object = object(&[("a", HeldState::Held), ("b", HeldState::Intent)]);
        let body = serde_json::to_string(&object).unwrap();
        assert_eq!(WorkerObject::parse(body.as_bytes()), Some(object));
        let job = r#"{"state":"held","token":"{}","place":""}"#;
        let with = |jobs: &str| format!(r#"{{"schema":1,"renewed":0,"jobs":{{{jobs}}}}}"#);
        assert!(WorkerObject::parse(with(&format!(r#""a":{job}"#)).as_bytes()).is_some());
        for wrong in [
            String::new(),
            "{}".into(),
            "[]".into(),
            body.replace(r#""schema":1"#, r#""schema":2"#),
            body.replace(r#""schema":1"#, r#""schema":1,"shard":7"#),
            body.replace(r#""schema":1"#, r#""schema":1,"schema":1"#),
            body.replace(r#""state":"held""#, r#""state":"lent""#),
            body.replace(r#""state":"held""#, r#""state":"held","since":3"#),
            body.replace(r#""token":"{}""#, r#""token":"""#),
            body.replace(r#""token":"{}""#, &format!(r#""token":"{}""#, "x".repeat(2_049))),
            with(&format!(r#""a":{job},"a":{job}"#)),
            format!("{body}{body}"),
            "[".repeat(100_000),
        ] {
            assert_eq!(WorkerObject::parse(wrong.as_bytes()), None, "{wrong:.200}");
        }
    }

    #[test]
    fn a_dead_workers_jobs_are_orphans_and_a_living_ones_are_not() {
        let peers = [peer("dead", 40, &[("a", HeldState::Held)]), peer("alive", 41, &[("b", HeldState::Held)])];
        assert_eq!(found(&object(&[]), &peers), ["a"]);
    }

    #[test]
    fn a_job_that_a_living_worker_names_is_left_alone() {
        let dead = peer("dead", 0, &[("a", HeldState::Intent), ("b", HeldState::Held), ("c", HeldState::Held)]);
        let peers = [dead, peer("alive", 90, &[("a", HeldState::Held), ("b", HeldState::Intent)])];
        assert_eq!(found(&object(&[]), &peers), ["c"]);
        assert_eq!(found(&object(&[("c", HeldState::Held)]), &peers), Vec::<String>::new());
    }

    #[test]
    fn of_two_dead_workers_that_name_a_job_its_holder_says_where_it_goes_on() {
        let record = |key: &str, state, token: &str, adopted| {
            let mut peer = peer(key, 0, &[("a", state)]);
            let held = HeldJob { state, token: token.into(), place: String::new(), adopted };
            peer.object.as_mut().unwrap().jobs.insert("a".into(), held);
            peer
        };
        let holder = record("b", HeldState::Held, "holder", false);
        for lesser in [
            record("a", HeldState::Intent, "race", false),
            record("c", HeldState::Intent, "race", false),
            record("a", HeldState::Held, "copy", true),
            record("c", HeldState::Held, "copy", true),
        ] {
            let orphans = orphans(&object(&[]), &[holder.clone(), lesser.clone()], at(100));
            let found: Vec<(&str, &str)> =
                orphans.iter().map(|orphan| (orphan.key.as_str(), orphan.held.token.as_str())).collect();
            assert_eq!(found, [("b", "holder"), (lesser.key.as_str(), "holder")]);
        }
    }

    #[test]
    fn an_object_that_cannot_be_read_freezes_adoption_while_its_worker_lives() {
        let mut peers = [peer("dead", 0, &[("a", HeldState::Held)]), peer("newer", 90, &[])];
        peers[1].object = None;
        assert_eq!(found(&object(&[]), &peers), Vec::<String>::new());
        peers[1].since = at(0);
        assert_eq!(found(&object(&[]), &peers), ["a"]);
    }

    #[test]
    fn the_times_leave_room_for_a_call_that_began_before_the_fence() {
        assert!(FENCE >= RENEWAL * 2 - Duration::from_secs(1));
        assert!(DEATH - FENCE > coalmine_door::CALL);
        // Also where an observer's clock is set between two of its looks.
        let early = LOOK_MOST.to_std().unwrap() - RENEWAL.mul_f64(0.75);
        assert!(DEATH - early - FENCE > coalmine_door::CALL);
    }

    #[test]
    fn time_that_cannot_have_passed_between_two_looks_makes_nobody_dead() {
        for (now, expected) in [(100, 0), (112, 0), (120, 0), (121, 1), (400, 280), (99, -1), (-200, -300)] {
            assert_eq!(leap(at(100), at(now)).num_seconds(), expected, "{now}");
        }
    }
}
