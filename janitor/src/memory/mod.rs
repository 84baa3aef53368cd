//! What is remembered from one scan to the next.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::in_use::Arn;

mod waiting;

pub use waiting::Waiting;

/// How long a revision counts that is not listed as ACTIVE any more. Deregistration takes up to ten minutes to be seen
/// everywhere, and a deployment may begin in between; a day lies beyond both, and within every sensible schedule.
pub const ACTIVE_FOR: TimeDelta = TimeDelta::hours(24);

/// How long it counts that a repository's policy let in nobody whose uses are not read. While it does, the policy is not
/// asked for where all that is condemned only waits: it is read again by the scan that lets anything go. So a repository
/// whose policy is missing for a moment, because somebody replaces it, loses nothing to that moment: what goes has been
/// found unshared by two scans. A fortnight, because what is released weekly then costs one call for each release, not two.
pub const ACCESS_FOR: TimeDelta = TimeDelta::days(14);

/// What the plan of one registry needs to know of earlier scans. To lose it only delays deletions.
///
/// The state store keeps it, next to the caches of task definitions and manifests, which are not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// `now` of the last complete scan.
    pub scanned: Option<DateTime<Utc>>,
    /// What these scans looked at, as [`Policy::looks`](crate::policy::Policy::looks) tells it. By another look nothing is
    /// known of what they found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looks: Option<String>,
    /// Since when images of a repository have been found old and unreferenced, in every complete scan. An image that was
    /// found in use in between is not in here.
    pub condemned: BTreeMap<String, Waiting>,
    /// When a task definition was last listed as ACTIVE, for the last day. The scan has to keep the content of these,
    /// for a revision that was deregistered a moment ago stays a root.
    pub active: BTreeMap<Arn, DateTime<Utc>>,
    /// When the policies of a repository and the registry were last found to let in nobody whose uses are not read, for the
    /// time of [`ACCESS_FOR`]. What was found otherwise is not in here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unshared: BTreeMap<String, DateTime<Utc>>,
}

impl Memory {
    /// When it was last found, not too long ago, that nobody else may pull from a repository.
    #[must_use]
    pub fn unshared(&self, repository: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.unshared.get(repository).copied().filter(|at| now - *at <= ACCESS_FOR)
    }

    /// What a scan may know of earlier ones that looks at `looks`. What others found that looked at something else was not
    /// looked for where this one looks, so all images begin to wait anew.
    #[must_use]
    pub fn looking_at(mut self, looks: &str) -> Self {
        if self.looks.as_deref() != Some(looks) {
            self.condemned.clear();
            self.unshared.clear();
            self.looks = Some(looks.to_owned());
        }
        self
    }

    /// What two scans of about the same time, which did not know of each other, have to hand on: only what both found old
    /// and unreferenced is so, since the later of both dates, and what either found ACTIVE was it.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        if self.looks != other.looks {
            self.condemned.clear();
            self.unshared.clear();
        }
        self.condemned.retain(|repository, images| {
            *images = other.condemned.get(repository).map(|others| images.with(others)).unwrap_or_default();
            !images.is_empty()
        });
        for (arn, at) in &other.active {
            let ours = self.active.entry(arn.clone()).or_insert(*at);
            *ours = *at.max(ours);
        }
        // What one has found shared since is missing from its memory; to ask once more costs a call.
        self.unshared.retain(|repository, at| {
            let theirs = other.unshared.get(repository);
            *at = theirs.map_or(*at, |theirs| *theirs.min(at));
            theirs.is_some()
        });
        self.scanned = self.scanned.max(other.scanned);
        self
    }
}

#[cfg(test)]
mod tests {
    use coalmine_pipeline::Digest;

    use super::*;

    #[test]
    fn of_two_memories_either_acquits_and_either_shows_what_was_active() {
        let at = |day: u32| format!("2026-11-{day:02}T12:00:00Z").parse::<DateTime<Utc>>().unwrap();
        let waiting = |images: &[(u8, u32)]| -> Waiting {
            images.iter().map(|(n, day)| (Digest::from_bytes([*n; 32]), at(*day))).collect()
        };
        let ours = Memory {
            scanned: Some(at(20)),
            looks: None,
            condemned: [
                ("app".to_owned(), waiting(&[(1, 10), (2, 11), (3, 12)])),
                ("base".to_owned(), waiting(&[(4, 12)])),
            ]
            .into(),
            active: [(Arn::from("a"), at(19)), (Arn::from("b"), at(20))].into(),
            unshared: [("app".to_owned(), at(18)), ("base".to_owned(), at(20))].into(),
        };
        let theirs = Memory {
            scanned: Some(at(21)),
            looks: None,
            condemned: [("app".to_owned(), waiting(&[(1, 13), (3, 9), (5, 9)]))].into(),
            active: [(Arn::from("b"), at(19)), (Arn::from("c"), at(21))].into(),
            unshared: [("app".to_owned(), at(21)), ("web".to_owned(), at(21))].into(),
        };
        let both = Memory {
            scanned: Some(at(21)),
            looks: None,
            condemned: [("app".to_owned(), waiting(&[(1, 13), (3, 12)]))].into(),
            active: [(Arn::from("a"), at(19)), (Arn::from("b"), at(20)), (Arn::from("c"), at(21))].into(),
            unshared: [("app".to_owned(), at(18))].into(),
        };
        assert_eq!(ours.clone().with(&theirs), both);
        assert_eq!(theirs.with(&ours), both);
    }

    #[test]
    fn what_another_look_has_found_is_not_known() {
        let since = "2026-11-10T12:00:00Z".parse::<DateTime<Utc>>().unwrap();
        let condemned: BTreeMap<_, _> =
            [("app".to_owned(), [(Digest::from_bytes([1; 32]), since)].into_iter().collect())].into();
        let unshared: BTreeMap<_, _> = [("app".to_owned(), since)].into();
        let found = |looks: &str| Memory {
            condemned: condemned.clone(),
            unshared: unshared.clone(),
            ..Memory::default().looking_at(looks)
        };
        assert_eq!(found("a").looking_at("a"), found("a"));
        assert_eq!(found("a").looking_at("b"), Memory::default().looking_at("b"));
        let unnamed = Memory { condemned: condemned.clone(), ..Memory::default() };
        assert_eq!(unnamed.looking_at("a"), Memory::default().looking_at("a"));
        // Two janitors, each by another policy.
        assert_eq!(found("a").with(&found("b")), Memory::default().looking_at("a"));
        assert_eq!(found("a").with(&found("a")), found("a"));
    }
}
