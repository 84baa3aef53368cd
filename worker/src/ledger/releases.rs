//! What became of a release, in order: `releases/<release>.json`. History: losing it costs nobody a deployment.
//!
//! ```text
//!   {"schema":1, "release":"<execution>", "pipeline":"shop",
//!    "images":["…/shop@sha256:…"], "digests":{"shop":"sha256:…"},
//!    "timeline":[{"at":…, "service":"main/shop-canary", "state":"held", "reason":"…", "revision":"shop-canary:7"}, …]}
//! ```
//!
//! The janitor reads `images` of the recent records, and keeps them: a rollback may return to these releases.

use std::collections::BTreeMap;

use coalmine_door::store::{Condition, Store, StoreError};
use coalmine_pipeline::ledger::{RELEASE_SCHEMA as SCHEMA, RELEASES, release_key, release_of};
use serde::{Deserialize, Serialize};

use crate::deploy::happening::{Happening, State, told};
use crate::deploy::release::Image;

/// The longest timeline: the oldest happenings fall out, but for the first.
const TIMELINE_MOST: usize = 200;
/// How often a write is tried again that somebody else came before.
const TRIES: usize = 5;

/// A release on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    schema: u32,
    /// The id of its pipeline execution.
    pub release: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// Its images: each reference as it was written into task definitions, and pinned by digest.
    pub images: Vec<String>,
    /// Container → the digest that its image named: an index's, where it is one.
    pub digests: BTreeMap<String, String>,
    /// What happened, oldest first.
    pub timeline: Vec<Happening>,
}

impl Release {
    /// A release of which nothing is known yet.
    #[must_use]
    pub fn new(release: &str, pipeline: &str) -> Self {
        Self {
            schema: SCHEMA,
            release: release.to_owned(),
            pipeline: pipeline.to_owned(),
            images: Vec::new(),
            digests: BTreeMap::new(),
            timeline: Vec::new(),
        }
    }

    /// Reads a record; `None` where it is another version's, or none of ours.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(body).ok().filter(|record| record.schema == SCHEMA)
    }

    /// The last that happened on a service (`cluster/service`).
    #[must_use]
    pub fn last_of(&self, service: &str) -> Option<&Happening> {
        self.timeline.iter().rev().find(|happening| happening.service == service)
    }

    /// Notes the images, where the caller knows them.
    fn bring(&mut self, images: &[Image]) {
        for image in images {
            self.digests.insert(image.container.clone(), image.digest.to_string());
            let pinned = coalmine_pipeline::ImageReference::parse(&image.reference)
                .map(|reference| reference.without_tag().with_digest(image.digest).to_string());
            for reference in [Some(image.reference.clone()), pinned.ok()].into_iter().flatten() {
                if !self.images.contains(&reference) {
                    self.images.push(reference);
                }
            }
        }
    }

    /// Notes what happened; `false` where it is on record already: a repeated turn tells the same again.
    fn add(&mut self, mut happening: Happening) -> bool {
        happening.reason = told(&happening.reason);
        let known = self.last_of(&happening.service).is_some_and(|last| last.is_told_by(&happening));
        if known {
            return false;
        }
        self.timeline.push(happening);
        if self.timeline.len() > TIMELINE_MOST {
            self.timeline.remove(1);
        }
        true
    }
}

/// Notes what happened to a release, with its images where they are known; whether that was news.
///
/// # Errors
/// When the ledger cannot be read or written. A record that cannot be understood stays as it is, and nothing is noted.
pub async fn note(
    store: &Store,
    (release, pipeline): (&str, &str),
    images: &[Image],
    happening: &Happening,
) -> Result<bool, StoreError> {
    let key = release_key(release);
    for _ in 0..TRIES {
        let stored = store.get(&key).await?;
        let condition = stored.as_ref().map_or(Condition::New, |stored| Condition::Unchanged(stored.version.clone()));
        let mut record = match stored.as_ref().map(|stored| Release::parse(&stored.body)) {
            None => Release::new(release, pipeline),
            Some(Some(record)) => record,
            Some(None) => return Ok(false),
        };
        record.bring(images);
        if !record.add(happening.clone()) {
            return Ok(false);
        }
        // A struct of strings and numbers always serializes.
        let body = serde_json::to_vec(&record).unwrap_or_default();
        match store.put(&key, body, &condition).await {
            Ok(_) => return Ok(true),
            Err(StoreError::Changed { .. }) => {}
            Err(problem) => return Err(problem),
        }
    }
    Err(StoreError::Changed { key })
}

/// Reads a release's record; `None` where there is none, or none that can be understood.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn read(store: &Store, release: &str) -> Result<Option<Release>, StoreError> {
    let stored = store.get(&release_key(release)).await?;
    Ok(stored.and_then(|stored| Release::parse(&stored.body)))
}

/// The ids of all releases on record, in no order that means anything.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn all(store: &Store) -> Result<Vec<String>, StoreError> {
    let keys = store.list(RELEASES).await?;
    Ok(keys.iter().filter_map(|key| release_of(key)).map(str::to_owned).collect())
}

/// Whether a release, as far as it is on record, ended well on a service.
#[must_use]
pub fn succeeded_on(record: &Release, service: &str) -> bool {
    record.last_of(service).is_some_and(|last| last.state == State::Deployed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happening(at: i64, service: &str, state: State) -> Happening {
        Happening { at, service: service.into(), state, reason: "r".into(), ..Happening::default() }
    }

    #[test]
    fn what_is_told_twice_is_noted_once_and_what_comes_again_later_is_noted_again() {
        let mut record = Release::new("e-1", "shop");
        assert!(record.add(happening(1, "main/shop", State::Deploying)));
        assert!(!record.add(happening(5, "main/shop", State::Deploying)), "a repeated turn");
        assert!(record.add(happening(6, "main/shop-canary", State::Held)));
        assert!(record.add(happening(7, "main/shop", State::Failed)));
        assert!(record.add(happening(8, "main/shop", State::Deploying)), "a retry");
        let states: Vec<State> = record.timeline.iter().map(|happening| happening.state).collect();
        assert_eq!(states, [State::Deploying, State::Held, State::Failed, State::Deploying]);
    }

    #[test]
    fn a_long_story_keeps_its_begin_and_its_end_and_a_long_reason_its_begin() {
        let mut record = Release::new("e-1", "shop");
        for at in 0..500 {
            let state = if at % 2 == 0 { State::Deploying } else { State::Failed };
            let reason = "x".repeat(5_000);
            assert!(record.add(Happening { reason, ..happening(at, "main/shop", state) }));
        }
        assert_eq!(record.timeline.len(), TIMELINE_MOST);
        assert_eq!((record.timeline[0].at, record.timeline[TIMELINE_MOST - 1].at), (0, 499));
        let body = serde_json::to_vec(&record).unwrap();
        assert!(body.len() < super::super::OBJECT_BYTES_MAX, "{}", body.len());
        assert_eq!(Release::parse(&body), Some(record));
    }

    #[test]
    fn a_record_of_another_schema_is_none_of_ours() {
        let record = Release { schema: 9, ..Release::new("e-1", "shop") };
        assert_eq!(Release::parse(&serde_json::to_vec(&record).unwrap()), None);
        assert_eq!(Release::parse(b"{}"), None);
    }
}
