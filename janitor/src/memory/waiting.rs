//! The images of one repository that wait, by the scan since which they do.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use coalmine_pipeline::Digest;
use serde::{Deserialize, Serialize};

/// Since when images have been found old and unreferenced. In a first clean-up that is most of a registry, so it is kept by
/// date, of which there are few: 32 bytes an image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<DateTime<Utc>, Vec<Digest>>")]
pub struct Waiting(BTreeMap<DateTime<Utc>, Vec<Digest>>);

impl Waiting {
    /// Since when an image waits; the later date, should it be here twice.
    #[must_use]
    pub fn since(&self, digest: &Digest) -> Option<DateTime<Utc>> {
        let mut latest_first = self.0.iter().rev();
        latest_first.find(|(_, digests)| digests.binary_search(digest).is_ok()).map(|(since, _)| *since)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Whether none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What two scans have found that did not know of each other: what both found waits, since the later of both dates.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let all = self.0.iter().flat_map(|(since, digests)| digests.iter().map(|digest| (*digest, *since)));
        all.filter_map(|(digest, since)| Some((digest, other.since(&digest)?.max(since)))).collect()
    }
}

impl FromIterator<(Digest, DateTime<Utc>)> for Waiting {
    fn from_iter<T: IntoIterator<Item = (Digest, DateTime<Utc>)>>(images: T) -> Self {
        let mut by_date: BTreeMap<DateTime<Utc>, Vec<Digest>> = BTreeMap::new();
        for (digest, since) in images {
            by_date.entry(since).or_default().push(digest);
        }
        by_date.into()
    }
}

/// Whoever wrote it: in order, and without dates since which nothing waits.
impl From<BTreeMap<DateTime<Utc>, Vec<Digest>>> for Waiting {
    fn from(mut by_date: BTreeMap<DateTime<Utc>, Vec<Digest>>) -> Self {
        for digests in by_date.values_mut() {
            digests.sort_unstable();
            digests.dedup();
            digests.shrink_to_fit();
        }
        by_date.retain(|_, digests| !digests.is_empty());
        Self(by_date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: u32) -> DateTime<Utc> {
        format!("2026-11-{day:02}T12:00:00Z").parse().unwrap()
    }

    fn digest(n: u8) -> Digest {
        Digest::from_bytes([n; 32])
    }

    #[test]
    fn an_image_waits_since_the_date_it_is_under_in_whatever_order_it_was_written() {
        let text = format!(
            r#"{{"2026-11-20T12:00:00Z": ["{0}", "{1}", "{0}"], "2026-11-12T12:00:00Z": ["{2}", "{1}"], "2026-11-13T12:00:00Z": []}}"#,
            digest(9),
            digest(1),
            digest(5)
        );
        let waiting: Waiting = serde_json::from_str(&text).unwrap();
        let since = |n| waiting.since(&digest(n));
        assert_eq!([9, 1, 5, 7].map(since), [Some(at(20)), Some(at(20)), Some(at(12)), None]);
        let written = serde_json::to_string(&waiting).unwrap();
        assert_eq!(serde_json::from_str::<Waiting>(&written).unwrap(), waiting);
        assert_eq!((waiting.len(), waiting.0.len()), (4, 2));
        assert!(serde_json::from_str::<Waiting>(r#"{"2026-11-13T12:00:00Z": []}"#).unwrap().is_empty());
    }
}
