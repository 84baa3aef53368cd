//! Which calls are tried, and what came of it.

use std::collections::BTreeMap;

use simulator::Service;
use simulator::faults::SentCall;

use crate::end::{honest, same_but_for_history};
use crate::kinds::Claim;
use crate::play::Played;
use crate::stage::story::READS;

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// A few calls, of all kinds.
    Sample(usize),
    /// Every call that can tell something else than the one before it: of equal reads between two acts, the first and
    /// the last.
    Each,
    /// Every call.
    All,
}

impl Extent {
    /// As much as an environment variable says; where it says nothing, `usual` calls.
    #[expect(clippy::disallowed_methods, reason = "how long the matrices may take is the caller's to say")]
    pub(crate) fn told(variable: &str, usual: usize) -> Self {
        match std::env::var(variable) {
            Ok(all) if all == "all" => Self::All,
            Ok(each) if each == "each" => Self::Each,
            Ok(number) if !number.is_empty() => Self::Sample(
                number.parse().unwrap_or_else(|_| panic!("{variable}={number}: expected a number, each or all")),
            ),
            _ => Self::Sample(usual),
        }
    }

    /// Whether it is more than a sample.
    pub(crate) fn is_whole(self) -> bool {
        !matches!(self, Self::Sample(_))
    }

    /// Some of the calls, or all. A sample is spread over the operations, of which each counts the same, however often
    /// it is called; the seed decides which calls they are.
    pub(crate) fn of<'a>(self, calls: impl Iterator<Item = &'a SentCall>, seed: u64) -> Vec<&'a SentCall> {
        let most = match self {
            Self::All => return calls.collect(),
            Self::Each => return each(calls),
            Self::Sample(most) => most,
        };
        let mut by_operation: BTreeMap<(&str, &str), Vec<&SentCall>> = BTreeMap::new();
        for call in calls {
            by_operation.entry((call.service.name(), &call.operation)).or_default().push(call);
        }
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut piles: Vec<Vec<&SentCall>> = by_operation.into_values().collect();
        rng.shuffle(&mut piles);
        piles.iter_mut().for_each(|pile| rng.shuffle(pile));
        let mut chosen = Vec::new();
        while chosen.len() < most && piles.iter().any(|pile| !pile.is_empty()) {
            chosen.extend(piles.iter_mut().filter_map(Vec::pop).take(most - chosen.len()));
        }
        chosen
    }
}

fn each<'a>(calls: impl Iterator<Item = &'a SentCall>) -> Vec<&'a SentCall> {
    let mut chosen = BTreeMap::new();
    let mut stretch: BTreeMap<(&str, &str, &str), [&SentCall; 2]> = BTreeMap::new();
    for call in calls {
        if acts(call) {
            chosen.insert(call.number, call);
            chosen.extend(std::mem::take(&mut stretch).into_values().flatten().map(|read| (read.number, read)));
        } else {
            let kind = (call.service.name(), call.operation.as_str(), call.subject.as_str());
            stretch.entry(kind).and_modify(|[_, last]| *last = call).or_insert([call, call]);
        }
    }
    chosen.extend(stretch.into_values().flatten().map(|read| (read.number, read)));
    chosen.into_values().collect()
}

/// Whether a call changes something. The renewals of a worker's object say only that it lives, and polls that find nothing
/// are reads.
fn acts(call: &SentCall) -> bool {
    let reads = READS.iter().any(|read| call.operation.starts_with(read));
    let renewal = call.service == Service::S3 && call.operation == "PutObject" && call.subject.contains("/workers/");
    !reads && !renewal
}

/// What came of many disturbances.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How many were tried.
    pub(crate) tried: usize,
    wrong: Vec<String>,
}

impl Tally {
    /// Counts one that must end as the undisturbed tale.
    pub(crate) fn same_end(&mut self, undisturbed: &Played, disturbed: Result<Played, String>, what: &str) {
        self.count(disturbed, what, |played| {
            if played.end == undisturbed.end {
                return Ok(());
            }
            let Played { end, messages, .. } = played;
            Err(format!("undisturbed it ends as {:#?}\nbut then as {end:#?}\nsaying {messages:#?}", undisturbed.end))
        });
    }

    /// Counts one that must end as is claimed.
    pub(crate) fn as_claimed(&mut self, claim: Claim, whole: &Played, disturbed: Result<Played, String>, what: &str) {
        match claim {
            Claim::Same => self.same_end(whole, disturbed, what),
            Claim::CameBack => self.count(disturbed, what, |played| same_but_for_history(whole, played)),
            Claim::Honest => self.count(disturbed, what, |played| honest(whole, played)),
        }
    }

    /// Counts one that must end as `judge` says.
    pub(crate) fn count(
        &mut self,
        disturbed: Result<Played, String>,
        what: &str,
        judge: impl FnOnce(&Played) -> Result<(), String>,
    ) {
        self.tried += 1;
        if let Err(why) = disturbed.and_then(|played| judge(&played)) {
            eprintln!("WRONG {what}");
            self.wrong.push(format!("{what}: {why}"));
        }
    }

    /// Says how many there were, and fails where one ended otherwise.
    pub(crate) fn close(self, what: &str) {
        let Self { tried, wrong } = self;
        println!("{what}: {tried} tried, {} ended otherwise", wrong.len());
        assert!(tried > 0, "{what}: nothing was tried");
        let first: Vec<&str> = wrong.iter().take(5).map(String::as_str).collect();
        assert!(wrong.is_empty(), "{what}: {} of {tried} ended otherwise:\n{}", wrong.len(), first.join("\n\n"));
    }
}

#[test]
fn of_equal_reads_between_two_acts_the_first_and_the_last_are_tried() {
    let call = |number, operation: &str, subject: &str| SentCall {
        number,
        at: std::time::SystemTime::UNIX_EPOCH,
        service: Service::Ecs,
        operation: operation.to_owned(),
        subject: subject.to_owned(),
    };
    let calls = [
        call(1, "DescribeServices", "app"),
        call(2, "DescribeServices", "app"),
        call(3, "DescribeServices", "other"),
        call(4, "DescribeServices", "app"),
        call(5, "UpdateService", "app"),
        call(6, "UpdateService", "app"),
        call(7, "DescribeServices", "app"),
        call(8, "DescribeServices", "app"),
        call(9, "DescribeServices", "app"),
    ];
    let numbers: Vec<u64> = Extent::Each.of(calls.iter(), 0).iter().map(|call| call.number).collect();
    assert_eq!(numbers, [1, 3, 4, 5, 6, 7, 9]);
}
