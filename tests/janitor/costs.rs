//! What runs of the janitor cost: calls by what they are for, and time beside what AWS's rates allow.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use simulator::{Estate, Service};

use crate::yard::{Ended, JANITOR_KEY, Yard};

/// Calls by operation.
pub(crate) type Calls = BTreeMap<String, usize>;

/// What two runs in an account cost: the first of all, and one some days later that deletes.
#[derive(Debug)]
pub(crate) struct Costs {
    /// Calls to ECS and ECR of the first run.
    pub(crate) cold: Calls,
    /// How long the first run took.
    pub(crate) took: Duration,
    /// Calls to ECS and ECR of the last run, before it began to delete.
    pub(crate) steady: Calls,
    /// Those from then on.
    pub(crate) acting: Calls,
    /// How many calls those were, to all services.
    acting_at_all: usize,
    /// Repositories from which something was deleted.
    repositories: usize,
    /// Images that were.
    pub(crate) deleted: usize,
    /// The last run's exit code.
    pub(crate) code: u8,
}

impl Costs {
    /// Plays it: the account is built, scanned, left for a day in which there are some new revisions, and swept.
    pub(crate) async fn of(yard: &Yard, estate: &Estate, revisions: usize) -> Self {
        Self::after(yard, estate, revisions, 1).await
    }

    /// The same after so many days, on each of which it is swept.
    pub(crate) async fn after(yard: &Yard, estate: &Estate, revisions: usize, days: usize) -> Self {
        yard.build(estate);
        let begin = yard.simulator.clock().now();
        let first = yard.plan().await;
        assert_eq!(first.head()["complete"], true, "{:#}", first.head());
        let took = yard.simulator.clock().now().duration_since(begin).expect("time passes");
        let (cold, _) = calls_since(yard, 0);
        for _ in 1..days {
            yard.pass(1).await;
            yard.sweep().await;
        }
        yard.pass(1).await;
        yard.world(|world| (0..revisions).try_for_each(|family| estate.release(world, family * 7, "next").map(drop)))
            .expect("releases");
        let begin = calls_so_far(yard);
        let (ended, begin_of_deletes) = sweep(yard).await;
        let (mut steady, _) = calls_since(yard, begin);
        let (acting, acting_at_all) = calls_since(yard, begin_of_deletes);
        for (operation, count) in &acting {
            *steady.get_mut(operation).expect("one of all") -= count;
        }
        steady.retain(|_, count| *count > 0);
        let outcomes = || ended.lines.iter().filter(|line| line["outcome"] == "deleted");
        let repositories: std::collections::BTreeSet<&str> =
            outcomes().filter_map(|line| line["repository"].as_str()).collect();
        let (repositories, deleted) = (repositories.len(), outcomes().count());
        Self { cold, took, steady, acting, acting_at_all, repositories, deleted, code: ended.code }
    }

    /// Calls that the first run reads with.
    pub(crate) fn cold(&self) -> usize {
        self.cold.values().sum()
    }

    /// Calls that the last run reads with.
    pub(crate) fn steady(&self) -> usize {
        self.steady.values().sum()
    }

    /// Seconds that AWS's slowest bucket takes for the first run, at half of its rate: that of task definitions (burst 50,
    /// 20 a second). The others are read meanwhile.
    pub(crate) fn allowed(&self) -> f64 {
        let calls = self.cold["DescribeTaskDefinition"] + self.cold["ListTaskDefinitions"];
        calls.saturating_sub(25) as f64 / 10.0
    }

    /// Calls that delete, and one for each repository that confirms that its indexes are gone.
    pub(crate) fn deletes(&self) -> usize {
        self.acting["BatchDeleteImage"] + self.repositories
    }

    /// Calls, to all services, for the last look before the deletes.
    pub(crate) fn last_looks(&self) -> usize {
        self.acting_at_all - self.deletes()
    }
}

/// The janitor's calls to ECS and ECR from a call on, and how many they are with those to all other services.
pub(crate) fn calls_since(yard: &Yard, from: usize) -> (Calls, usize) {
    yard.simulator.with_calls(|calls| {
        let mut counts = Calls::new();
        let made = calls.records.iter().skip(from).filter(|call| call.access_key == JANITOR_KEY);
        let made = made.filter(|call| call.service != Service::S3);
        for call in made.clone().filter(|call| matches!(call.service, Service::Ecs | Service::Ecr)) {
            *counts.entry(call.operation.clone()).or_default() += 1;
        }
        (counts, made.count())
    })
}

fn calls_so_far(yard: &Yard) -> usize {
    yard.simulator.with_calls(|calls| calls.records.len())
}

/// `coalmine-janitor sweep --yes --json`, and how many calls there had been when it began to delete.
pub(crate) async fn sweep(yard: &Yard) -> (Ended, usize) {
    let begin_of_deletes = Cell::new(usize::MAX);
    let ended = yard
        .sweep_asking(&|_| {
            begin_of_deletes.set(calls_so_far(yard));
            true
        })
        .await;
    (ended, begin_of_deletes.get())
}
