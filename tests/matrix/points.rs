//! Which calls are tried, and what came of it.

use std::collections::BTreeMap;

use simulator::faults::SentCall;

use crate::play::Played;

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// A few calls, of all kinds.
    Sample(usize),
    /// Every call.
    All,
}

impl Extent {
    /// As much as an environment variable says; where it says nothing, `usual` calls.
    #[expect(clippy::disallowed_methods, reason = "how long the matrices may take is the caller's to say")]
    pub(crate) fn told(variable: &str, usual: usize) -> Self {
        match std::env::var(variable) {
            Ok(all) if all == "all" => Self::All,
            Ok(number) if !number.is_empty() => {
                Self::Sample(number.parse().unwrap_or_else(|_| panic!("{variable}={number}: expected a number or all")))
            }
            _ => Self::Sample(usual),
        }
    }

    /// Some of the calls, or all. A sample is spread over the operations, of which each counts the same, however often
    /// it is called; the seed decides which calls they are.
    pub(crate) fn of<'a>(self, calls: impl Iterator<Item = &'a SentCall>, seed: u64) -> Vec<&'a SentCall> {
        let Self::Sample(most) = self else { return calls.collect() };
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
