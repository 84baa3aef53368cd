//! The ledger's two places, a folder and S3, behave alike: the same conditions hold, and of two writers one wins.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Barrier;
use std::time::Duration;

use coalmine_door::clock::Clock;
use coalmine_door::store::{Condition, Location, Store, StoreError};
use coalmine_worker::ledger::Held;
use coalmine_worker::ledger::held::HeldError;
use proptest::prelude::*;
use proptest::sample::select;
use simulator::faults::{Fault, FaultPlan, Moment, Rule};
use simulator::{Service, Settings, Simulator};

use crate::stage::{Application, Story, Worker, ledger, settings};

/// Of objects that this store writes and reads, the largest.
const MOST: usize = 16;
const KEYS: [&str; 4] = ["workers/a.json", "workers/b.json", "held/main/a.json", "unreadable/1-a.json"];
const PREFIXES: [&str; 5] = ["", "workers/", "held/", "held/main/", "nothing/"];

#[derive(Clone, Debug)]
enum Op {
    Get(&'static str),
    List(&'static str),
    /// Writes so many bytes.
    Put(&'static str, usize, When),
    Delete(&'static str, usize),
    /// Somebody with another limit writes more than this store reads.
    PutLarge(&'static str, When),
}

/// On what a write depends: `Version` goes back in the versions that were written, from the newest.
#[derive(Clone, Copy, Debug)]
enum When {
    New,
    Version(usize),
}

/// What an operation came to, without what may differ: versions, words.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Found(Option<Vec<u8>>),
    Keys(Vec<String>),
    Changed,
    TooLarge,
    /// Never expected.
    Failed(String),
}

fn op() -> impl Strategy<Value = Op> {
    let key = || select(&KEYS[..]);
    let when = || prop_oneof![2 => Just(When::New), 3 => (0_usize..3).prop_map(When::Version)];
    prop_oneof![
        2 => key().prop_map(Op::Get),
        1 => select(&PREFIXES[..]).prop_map(Op::List),
        4 => (key(), select(vec![1, MOST, MOST + 1]), when()).prop_map(|(key, size, when)| Op::Put(key, size, when)),
        2 => (key(), 0_usize..3).prop_map(|(key, version)| Op::Delete(key, version)),
        1 => (key(), when()).prop_map(|(key, when)| Op::PutLarge(key, when)),
    ]
}

/// One place, and the versions that it gave.
struct Place {
    store: Store,
    large: Store,
    versions: BTreeMap<&'static str, Vec<String>>,
}

impl Place {
    fn open(location: &Location, simulator: &Simulator) -> Self {
        let open = |most| Store::open(location, &simulator.sdk_config("AKIAWORKER"), most);
        Self { store: open(MOST), large: open(MOST * 4), versions: BTreeMap::new() }
    }

    fn condition(&self, key: &str, when: When) -> Condition {
        match when {
            When::New => Condition::New,
            When::Version(back) => Condition::Unchanged(self.version(key, back)),
        }
    }

    fn version(&self, key: &str, back: usize) -> String {
        let known = self.versions.get(key).and_then(|known| known.iter().rev().nth(back));
        known.cloned().unwrap_or_else(|| "\"0123456789abcdef0123456789abcdef\"".to_owned())
    }

    async fn play(&mut self, step: u8, op: &Op) -> Outcome {
        match op {
            Op::Get(key) => match self.store.get(key).await {
                Ok(found) => {
                    let known = self.versions.get(key).and_then(|known| known.last());
                    assert!(found.as_ref().is_none_or(|found| Some(&found.version) == known), "{key}: {found:?}");
                    Outcome::Found(found.map(|found| found.body))
                }
                Err(problem) => outcome(problem),
            },
            Op::List(prefix) => self.store.list(prefix).await.map_or_else(outcome, Outcome::Keys),
            Op::Put(key, size, when) => {
                let put = self.store.put(key, vec![step; *size], &self.condition(key, *when)).await;
                self.wrote(key, put)
            }
            Op::PutLarge(key, when) => {
                let put = self.large.put(key, vec![step; MOST * 2], &self.condition(key, *when)).await;
                self.wrote(key, put)
            }
            Op::Delete(key, back) => {
                self.store.delete(key, &self.version(key, *back)).await.map_or_else(outcome, |()| Outcome::Done)
            }
        }
    }

    fn wrote(&mut self, key: &'static str, put: Result<String, StoreError>) -> Outcome {
        match put {
            Ok(version) => {
                self.versions.entry(key).or_default().push(version);
                Outcome::Done
            }
            Err(problem) => outcome(problem),
        }
    }
}

fn outcome(problem: StoreError) -> Outcome {
    match problem {
        StoreError::Changed { .. } => Outcome::Changed,
        StoreError::TooLarge { .. } => Outcome::TooLarge,
        other => Outcome::Failed(other.to_string()),
    }
}

/// What both have to do: the content, and which contents were written, each of them once.
#[derive(Default)]
struct Model {
    objects: BTreeMap<&'static str, Vec<u8>>,
    written: BTreeMap<&'static str, Vec<Vec<u8>>>,
}

impl Model {
    fn play(&mut self, step: u8, op: &Op) -> Outcome {
        match op {
            Op::Get(key) => match self.objects.get(key) {
                Some(body) if body.len() > MOST => Outcome::TooLarge,
                found => Outcome::Found(found.cloned()),
            },
            Op::List(prefix) => {
                let below = self.objects.keys().filter(|key| key.starts_with(prefix));
                Outcome::Keys(below.map(|key| (*key).to_owned()).collect())
            }
            Op::Put(_, size, _) if *size > MOST => Outcome::TooLarge,
            Op::Put(key, size, when) => self.put(key, vec![step; *size], *when),
            Op::PutLarge(key, when) => self.put(key, vec![step; MOST * 2], *when),
            Op::Delete(key, back) => match self.objects.get(key) {
                Some(body) if self.is_version(key, *back, body) => {
                    self.objects.remove(key);
                    Outcome::Done
                }
                _ => Outcome::Changed,
            },
        }
    }

    fn put(&mut self, key: &'static str, body: Vec<u8>, when: When) -> Outcome {
        let holds = match (when, self.objects.get(key)) {
            (When::New, found) => found.is_none(),
            (When::Version(back), found) => found.is_some_and(|found| self.is_version(key, back, found)),
        };
        if !holds {
            return Outcome::Changed;
        }
        self.objects.insert(key, body.clone());
        self.written.entry(key).or_default().push(body);
        Outcome::Done
    }

    fn is_version(&self, key: &str, back: usize, body: &Vec<u8>) -> bool {
        self.written.get(key).and_then(|written| written.iter().rev().nth(back)) == Some(body)
    }
}

fn folder(name: &str) -> PathBuf {
    let root = std::env::temp_dir().join(format!("coalmine-stores-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&root);
    root
}

fn on_virtual_time<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(work)
}

/// A fresh account with the ledger's bucket.
fn account(seed: u64) -> Simulator {
    let simulator = Simulator::new(Settings::seeded(seed));
    simulator.with_world(|world| {
        let now = world.now;
        world.s3.create_bucket("ledger", now);
    });
    simulator
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_folder_and_s3_answer_alike_at_every_step(ops in proptest::collection::vec(op(), 1..40)) {
        on_virtual_time(async {
            let simulator = account(1);
            let root = folder("alike");
            let mut places = [Location::Folder(root.clone()), ledger()].map(|location| Place::open(&location, &simulator));
            let mut model = Model::default();
            for (step, op) in (0..).zip(&ops) {
                let expected = model.play(step, op);
                for (name, place) in ["the folder", "S3"].into_iter().zip(&mut places) {
                    assert_eq!(place.play(step, op).await, expected, "step {step}, {op:?} in {name}, of {ops:?}");
                }
            }
            let _ = std::fs::remove_dir_all(&root);
        });
    }
}

#[test]
fn of_writers_of_one_folder_exactly_one_wins_each_race() {
    const WRITERS: usize = 4;
    let root = folder("race");
    let simulator = on_virtual_time(async { account(2) });
    // Each with a store, and so a lock, of its own, as processes have.
    let open = || Store::open(&Location::Folder(root.clone()), &simulator.sdk_config("AKIAWORKER"), MOST);
    let (first, start) = (open(), Barrier::new(WRITERS));
    let mut version = None;
    for round in 0..25_u8 {
        let condition = version.map_or(Condition::New, Condition::Unchanged);
        let race = |writer: usize| {
            let store = open();
            start.wait();
            let body = vec![round, u8::try_from(writer).unwrap()];
            on_virtual_time(store.put("workers/a.json", body, &condition))
        };
        let results: Vec<_> = std::thread::scope(|scope| {
            let racing: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || race(writer))).collect();
            racing.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        let won: Vec<&String> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
        let lost = results.iter().filter(|result| matches!(result, Err(StoreError::Changed { .. }))).count();
        assert_eq!((won.len(), lost), (1, WRITERS - 1), "round {round}: {results:?}");
        let stored = on_virtual_time(first.get("workers/a.json")).unwrap().unwrap();
        assert_eq!(&stored.version, won[0]);
        version = Some(stored.version);
    }
    // And of those that delete the same version, too.
    let version = version.unwrap();
    let delete = || {
        let store = open();
        start.wait();
        on_virtual_time(store.delete("workers/a.json", &version))
    };
    std::thread::scope(|scope| {
        let racing: Vec<_> = (0..WRITERS).map(|_| scope.spawn(delete)).collect();
        let deleted = racing.into_iter().map(|writer| writer.join().unwrap()).filter(Result::is_ok).count();
        assert_eq!(deleted, 1);
    });
    assert_eq!(on_virtual_time(first.list("workers/")).unwrap(), Vec::<String>::new());
    let _ = std::fs::remove_dir_all(&root);
}

#[tokio::test(start_paused = true)]
async fn of_writers_to_s3_exactly_one_wins_each_race() {
    let simulator = account(3);
    let stores: Vec<Store> =
        (0..4).map(|writer| Store::open(&ledger(), &simulator.sdk_config(&format!("AKIA{writer}")), MOST)).collect();
    let mut condition = Condition::New;
    for round in 0..25_u8 {
        let mut racing = tokio::task::JoinSet::new();
        for (writer, store) in (0_u8..).zip(stores.clone()) {
            let condition = condition.clone();
            racing.spawn(async move { store.put("workers/a.json", vec![round, writer], &condition).await });
        }
        let results = racing.join_all().await;
        let won: Vec<&String> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
        assert_eq!(won.len(), 1, "round {round}: {results:?}");
        condition = Condition::Unchanged(won[0].clone());
    }
}

/// Every one of a worker's turns may wait for the same write.
#[tokio::test(start_paused = true)]
async fn a_ledger_that_does_not_answer_costs_all_who_wait_for_it_one_call() {
    let simulator = account(4);
    let door = coalmine_door::limited(&simulator.sdk_config("AKIAWORKER"));
    let clock = Clock::of(&door);
    let held = std::sync::Arc::new(Held::new(Store::open(&ledger(), &door, 1 << 20), clock.clone(), "one"));
    let jobs: Vec<String> = (0..50).map(|job| format!("job{job}")).collect();
    held.intend(jobs.iter().map(|job| (job.clone(), "{}".into(), String::new())).collect()).await.unwrap();
    simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::TimeOut(Moment::BeforeTheAct)).service(Service::S3)));
    let begin = clock.now();
    let mut waiting = tokio::task::JoinSet::new();
    for job in jobs {
        let held = std::sync::Arc::clone(&held);
        waiting.spawn(async move { held.keep(&job, "{\"v\":1}").await });
    }
    let results = waiting.join_all().await;
    let took = (clock.now() - begin).to_std().unwrap();
    assert!(results.iter().all(Result::is_err));
    assert!(results.iter().any(|result| matches!(result, Err(HeldError::JustFailed))), "{results:?}");
    assert!(took <= coalmine_door::CALL * 2 + Duration::from_secs(1), "took {took:?}");
    assert!(held.is_in_trouble());
}

/// What a worker is about to note while it finds out that a peer took it for dead is noted nowhere: neither may it
/// acknowledge a new job, nor go on with an old one.
#[tokio::test(start_paused = true)]
async fn what_waits_for_a_write_that_finds_a_peer_has_taken_over_is_not_noted() {
    let simulator = account(5);
    let door = coalmine_door::limited(&simulator.sdk_config("AKIAWORKER"));
    let held = Held::new(Store::open(&ledger(), &door, 1 << 20), Clock::of(&door), "one");
    let intent = |job: &str| vec![(job.to_owned(), "{}".to_owned(), String::new())];
    held.intend(intent("old")).await.unwrap();
    let peer = held.store().get("workers/one.json").await.unwrap().unwrap();
    held.store().delete("workers/one.json", &peer.version).await.unwrap();
    let (renewed, intended, kept) =
        tokio::join!(held.renew(), held.intend(intent("new")), held.keep("old", "{\"v\":1}"));
    assert!(matches!(renewed, Err(HeldError::TakenOver)), "{renewed:?}");
    assert!(matches!(intended, Err(HeldError::TakenOver)), "{intended:?}");
    assert!(matches!(kept, Err(HeldError::TakenOver)), "{kept:?}");
    assert!(held.is_empty());
    held.intend(intent("next")).await.unwrap();
    assert!(held.holds("next") && held.may_act());
}

/// Another version's object, and one that is none at all.
#[tokio::test(start_paused = true)]
async fn an_object_that_nobody_understands_is_set_aside_unchanged_in_either_place() {
    let strange: [(&str, &[u8]); 2] =
        [("newer", br#"{"schema":2,"renewed":0,"jobs":{"j":1}}"#), ("broken", b"\xff\0 not JSON")];
    for (seed, location) in (145..).zip([ledger(), Location::Folder(folder("aside"))]) {
        let app = Application::web("app", 2);
        let mut story = Story::begin(Simulator::new(Settings::seeded(seed)), &[&app]);
        story.stop_worker().await;
        let store = Store::open(&location, &story.simulator.sdk_config("AKIASOMEBODY"), 1 << 20);
        for (name, body) in strange {
            store.put(&format!("workers/{name}.json"), body.to_vec(), &Condition::New).await.unwrap();
        }
        let settings = coalmine_worker::run::Settings { ledger: location.clone(), ..settings("default", 20) };
        let worker = Worker::start(&story.simulator, "AKIAPEER", settings);
        story.pass(Duration::from_secs(45)).await;
        assert_eq!(store.list("unreadable/").await.unwrap(), Vec::<String>::new(), "its worker may be alive");
        story.pass(Duration::from_secs(60)).await;
        assert_eq!(store.list("workers/").await.unwrap(), Vec::<String>::new(), "{location}");
        let aside = store.list("unreadable/").await.unwrap();
        assert_eq!(aside.len(), 2, "{location}: {aside:?}");
        for (name, body) in strange {
            let key = aside.iter().find(|key| key.ends_with(&format!("-{name}.json"))).unwrap();
            assert_eq!(store.get(key).await.unwrap().unwrap().body, body, "{location}");
        }
        worker.stop().await;
    }
}
