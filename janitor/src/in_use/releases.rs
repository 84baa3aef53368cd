//! Which releases of the worker's ledger a rollback may return to.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use coalmine_pipeline::ledger::Entry;

use crate::policy::Recent;

/// Of the releases on record, each with the date of its record's last change, those that count: changed within the window,
/// or among the newest that ended well on any service. One without a date counts.
pub fn recent_releases<'r>(
    records: &BTreeMap<&'r str, Option<DateTime<Utc>>>,
    entries: &[Entry],
    recent: &Recent,
    now: DateTime<Utc>,
) -> BTreeSet<&'r str> {
    let is_recent = |at: &Option<DateTime<Utc>>| at.is_none_or(|at| now - at <= recent.release_window);
    let mut found: BTreeSet<&str> =
        records.iter().filter(|(_, at)| is_recent(at)).map(|(release, _)| *release).collect();
    let mut of_services: BTreeMap<(&str, &str), Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        of_services.entry((&entry.cluster, &entry.service)).or_default().push(entry);
    }
    for mut entries in of_services.into_values() {
        entries.sort_unstable_by(|a, b| b.began.cmp(&a.began).then_with(|| b.release.cmp(&a.release)));
        // A release that a service returned to stands there twice, and counts once.
        let mut newest: BTreeSet<&str> = BTreeSet::new();
        for (release, _) in entries.iter().filter_map(|entry| records.get_key_value(entry.release.as_str())) {
            if newest.len() < usize::try_from(recent.keep_releases).unwrap_or(usize::MAX) {
                newest.insert(release);
            }
        }
        found.extend(newest);
    }
    found
}

/// Of what ended well on services, what a rollback may return to: of each service the newest, those that began within the
/// window, and those of releases that count.
pub fn recent_entries<'e>(
    entries: &'e [Entry],
    releases: &BTreeSet<&str>,
    recent: &Recent,
    now: DateTime<Utc>,
) -> Vec<&'e Entry> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_unstable_by(|a, b| {
        let service = (&a.cluster, &a.service).cmp(&(&b.cluster, &b.service));
        service.then_with(|| b.began.cmp(&a.began)).then_with(|| b.release.cmp(&a.release))
    });
    let is_recent = |entry: &Entry| {
        // What bears no date counts.
        DateTime::from_timestamp(entry.began, 0).is_none_or(|began| now - began <= recent.release_window)
    };
    let most = usize::try_from(recent.keep_releases).unwrap_or(usize::MAX);
    let of_services = sorted.chunk_by(|a, b| (&a.cluster, &a.service) == (&b.cluster, &b.service));
    let counting = of_services.flat_map(|entries| {
        let ranked = entries.iter().copied().enumerate();
        ranked.filter(|(rank, entry)| *rank < most || is_recent(entry) || releases.contains(entry.release.as_str()))
    });
    counting.map(|(_, entry)| entry).collect()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::policy::Policy;

    fn ended(service: &str, began: i64, release: &str) -> Entry {
        Entry { cluster: "prod".into(), service: service.into(), began, release: release.into() }
    }

    #[test]
    fn the_window_and_the_newest_of_each_service_count_together() {
        let policy = Policy::parse("[references]\nkeep_releases = 2\nrelease_window = \"30d\"\n").unwrap();
        let now: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
        let days = |days: i64| Some(now - TimeDelta::days(days));
        let records: BTreeMap<&str, _> =
            [("r1", days(400)), ("r2", days(300)), ("r3", days(200)), ("r4", days(100)), ("failed", days(31))].into();
        let entries = [
            ended("shop", 1, "r1"),
            ended("shop", 2, "r2"),
            ended("shop", 3, "r3"),
            // It returned to the one before, and what an operator's command brought is not on record.
            ended("shop", 4, "r2"),
            ended("shop", 5, "command"),
            // Another service of the same name in the list has its own newest.
            ended("jobs", 1, "r4"),
        ];
        let found = recent_releases(&records, &entries, &policy.recent, now);
        assert_eq!(found, ["r2", "r3", "r4"].into());
        let found = recent_releases(&[("failed", days(30)), ("undated", None)].into(), &entries, &policy.recent, now);
        assert_eq!(found, ["failed", "undated"].into());
    }

    #[test]
    fn of_what_ended_well_the_newest_of_each_service_and_the_window_and_releases_that_count_stay() {
        let policy = Policy::parse("[references]\nkeep_releases = 1\nrelease_window = \"30d\"\n").unwrap();
        let now: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
        let days = |days: i64| (now - TimeDelta::days(days)).timestamp();
        let entries = [
            ended("shop", days(400), "r1"),
            ended("shop", days(300), "r2"),
            ended("shop", days(30), "r3"),
            // An operator's command is no release on record, and can be returned to all the same.
            ended("shop", days(1), "command"),
            ended("jobs", days(500), "r0"),
        ];
        let found = recent_entries(&entries, &["r1"].into(), &policy.recent, now);
        let found: Vec<(&str, &str)> =
            found.iter().map(|entry| (entry.service.as_str(), entry.release.as_str())).collect();
        assert_eq!(found, [("jobs", "r0"), ("shop", "command"), ("shop", "r3"), ("shop", "r1")]);
    }
}
