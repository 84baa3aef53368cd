//! Numbers about a run, as one line in CloudWatch's embedded metric format: the log group turns it into metrics.

use coalmine_door::clock::Time;
use coalmine_pipeline::Home;
use serde_json::{Value, json};

use crate::in_use::Reach;
use crate::plan::{Outcome, Plan};
use crate::report::deletions;
use crate::sweep::Swept;

/// The namespace of all metrics.
pub const NAMESPACE: &str = "Coalmine/Janitor";

/// What is counted, in this order.
const NAMES: [&str; 21] = [
    "ImagesInUse",
    "ImagesNewest",
    "ImagesYoung",
    "ImagesWaiting",
    "ImagesProtected",
    "ImagesFrozen",
    "ImagesArchived",
    "ImagesUnknown",
    "ImagesKept",
    "ImagesPlanned",
    "ImagesDeleted",
    "DeletesRefused",
    "ImagesHeldBack",
    "GuardTripped",
    "Incomplete",
    "IncompleteSources",
    "RepositoriesFrozen",
    "DanglingReferences",
    "ArchivedInUse",
    "BytesFreedAtLeast",
    "BytesFreedAtMost",
];

/// The numbers of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics([u64; NAMES.len()]);

impl Metrics {
    /// Counts.
    #[must_use]
    pub fn of(plan: &Plan<'_>, swept: Option<&Swept>) -> Self {
        let ruled = || plan.repositories.iter().filter(|judged| judged.rule.is_some());
        let kept = plan.kept_by_reason();
        let by = |reasons: &[&str]| reasons.iter().filter_map(|reason| kept.get(reason)).sum::<usize>();
        let outcomes = || swept.into_iter().flat_map(|swept| swept.outcomes.values().flatten());
        let outcome = |is_meant: fn(&Outcome) -> bool| outcomes().filter(|(_, outcome)| is_meant(outcome)).count();
        let guards = || ruled().filter_map(|judged| judged.guard);
        let sources = plan.snapshot.in_use.sources.iter();
        let incomplete = sources.filter(|report| matches!(report.reach, Reach::Incomplete { .. })).count();
        let is_incomplete = !plan.is_complete() || swept.is_some_and(|swept| swept.stopped.is_some());
        let counts = [
            by(&["in_use"]),
            by(&["newest"]),
            by(&["young"]),
            by(&["waiting", "incomplete"]),
            by(&["protected_tag"]),
            by(&["frozen"]),
            by(&["archived"]),
            by(&["unknown"]),
            kept.values().sum(),
            ruled().map(deletions).sum(),
            outcome(|outcome| matches!(outcome, Outcome::Deleted)),
            outcome(|outcome| matches!(outcome, Outcome::Later { .. })),
            guards().map(|guard| guard.held_back).sum(),
            guards().count(),
            usize::from(is_incomplete),
            incomplete,
            ruled().filter(|judged| !judged.frozen.is_empty()).count(),
            plan.dangling.len(),
            plan.archived_in_use().count(),
        ];
        let mut numbers = [0; NAMES.len()];
        for (number, count) in numbers.iter_mut().zip(counts) {
            *number = count as u64;
        }
        let freed = plan.freed();
        for (number, bytes) in numbers.iter_mut().rev().zip([freed.high, freed.low]) {
            *number = bytes;
        }
        Self(numbers)
    }

    /// The line ("Specification: Embedded metric format", Amazon CloudWatch).
    #[must_use]
    pub fn line(&self, registry: &Home, now: Time) -> String {
        let metrics: Vec<Value> = NAMES
            .iter()
            .map(|name| json!({"Name": name, "Unit": if name.starts_with("Bytes") { "Bytes" } else { "Count" }}))
            .collect();
        let mut line = json!({
            "_aws": {
                "Timestamp": now.timestamp_millis(),
                "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [["Registry"]], "Metrics": metrics}],
            },
            "Registry": registry.to_string(),
        });
        for (name, number) in NAMES.iter().zip(self.0) {
            line[*name] = Value::from(number);
        }
        line.to_string()
    }
}
