//! What is remembered between runs: one object per registry, in S3 or a folder, JSON packed by gzip. To lose it only delays
//! deletions.

use std::io::{BufReader, BufWriter, Read};

use coalmine_door::store::{Condition, Store, StoreError};
use coalmine_pipeline::{Digest, Home};
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tracing::warn;

use crate::cache::Kept;
use crate::memory::Memory;

/// The largest state as it is stored, 256 MiB. A first clean-up remembers most (`cargo bench -p coalmine-janitor` says how
/// much); what is larger is not written, and without a memory nothing is ever deleted.
pub const STATE_BYTES_MAX: usize = 256 << 20;
/// The largest state as it is read, 1 GiB: what is packed may be far larger than what it is packed in.
const UNPACKED_BYTES_MAX: u64 = 1 << 30;
/// The form of what is written. Another one is set aside.
const SCHEMA: u32 = 2;
/// How often a write is tried again that another janitor came before.
const TRIES: usize = 5;

/// The state of one registry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    schema: u32,
    /// What the plan needs to know of earlier scans.
    memory: Memory,
    /// What was read before and never changes.
    cache: Kept,
}

/// What a write of the state depends on. What was read is not in here: of a large registry one copy of it is enough.
#[derive(Debug)]
pub struct Loaded {
    key: String,
    condition: Condition,
    /// Of the state as it stands in the store.
    sum: Option<Digest>,
}

/// Reads the state of a registry: the memory, and what was read before and never changes. Without a memory there was nothing, or
/// nothing that could be understood: that is set aside.
///
/// # Errors
/// When the store cannot be read.
pub async fn load(store: &Store, registry: &Home) -> Result<(Loaded, Option<Memory>, Kept), StoreError> {
    let key = format!("janitor/{}-{}.json.gz", registry.account, registry.region);
    let mut loaded = Loaded { key, condition: Condition::New, sum: None };
    let Some(stored) = store.get(&loaded.key).await? else { return Ok((loaded, None, Kept::default())) };
    loaded.condition = Condition::Unchanged(stored.version.clone());
    match read(&stored.body, UNPACKED_BYTES_MAX) {
        Ok(state) if state.schema == SCHEMA => {
            loaded.sum = Some(sum(&stored.body));
            Ok((loaded, Some(state.memory), state.cache))
        }
        found => {
            let why = found.err().unwrap_or_else(|| String::from("another schema"));
            let aside = format!("unreadable/{}-{}.json.gz", registry.account, &stored.version.replace('"', ""));
            warn!(
                key = loaded.key,
                aside, why, "the janitor's memory cannot be understood: it is set aside, and deletions are delayed"
            );
            match store.put(&aside, stored.body, &Condition::New).await {
                Ok(_) | Err(StoreError::Changed { .. }) => Ok((loaded, None, Kept::default())),
                Err(problem) => Err(problem),
            }
        }
    }
}

/// A state as it is written, equal ones as equal bytes.
#[must_use]
pub fn written(memory: &Memory, cache: &Kept) -> Vec<u8> {
    #[derive(Serialize)]
    struct State<'a> {
        schema: u32,
        memory: &'a Memory,
        cache: &'a Kept,
    }
    // Digests look like chance: to search for repetitions in them takes long and finds little.
    let packed = GzEncoder::new(Vec::new(), Compression::new(3));
    // JSON comes in scraps of a few bytes.
    let mut packed = BufWriter::with_capacity(64 << 10, packed);
    // Memory takes all that is written.
    let _ = serde_json::to_writer(&mut packed, &State { schema: SCHEMA, memory, cache });
    packed.into_inner().map_or_else(|_| Vec::new(), |packed| packed.finish().unwrap_or_default())
}

/// The other way, or why not.
fn read(body: &[u8], most: u64) -> Result<State, String> {
    let mut unpacked = GzDecoder::new(body).take(most);
    serde_json::from_reader(BufReader::new(&mut unpacked)).map_err(|problem| match unpacked.limit() {
        0 => format!("unpacked it takes more than {most} bytes, which is more than is read"),
        _ => problem.to_string(),
    })
}

fn sum(body: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(body).into())
}

impl Loaded {
    /// Writes a new state in the place of what was read, and tells what is remembered now; `written` makes its bytes. Where
    /// another janitor has written meanwhile, both memories become one: an image that either found in use is not condemned
    /// any more.
    ///
    /// # Errors
    /// When the store cannot be read or written, or others write again and again.
    pub async fn save(
        &mut self,
        store: &Store,
        registry: &Home,
        mut memory: Memory,
        written: impl Fn(&Memory) -> Vec<u8>,
    ) -> Result<Memory, StoreError> {
        for _ in 0..TRIES {
            let body = written(&memory);
            let sum = sum(&body);
            if self.sum == Some(sum) {
                return Ok(memory);
            }
            match store.put(&self.key, body, &self.condition).await {
                Ok(version) => {
                    self.condition = Condition::Unchanged(version);
                    self.sum = Some(sum);
                    return Ok(memory);
                }
                Err(StoreError::Changed { key }) => {
                    warn!(key, "another janitor has written its memory meanwhile: both become one");
                    let (now, theirs, _) = load(store, registry).await?;
                    *self = now;
                    // Where it is gone, or was set aside, there is nothing of another's to keep.
                    if let Some(theirs) = &theirs {
                        memory = memory.with(theirs);
                    }
                }
                Err(problem) => return Err(problem),
            }
        }
        Err(StoreError::Changed { key: self.key.clone() })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::in_use::Content;
    use crate::inventory::{Child, Manifest};
    use crate::memory::Waiting;

    /// A state of about so many images as a first clean-up leaves it: all are condemned.
    fn large(images: u64) -> (Memory, Kept) {
        let digest =
            |kind: u64, n: u64| Digest::from_bytes(Sha256::digest([kind, n].map(u64::to_be_bytes).concat()).into());
        let since = "2026-11-20T12:00:00.123456789Z".parse().unwrap();
        let image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/some-team/some-service:build-00123";
        let releases = 0..images / 5;
        let children = |n| {
            let child = |kind| Child { digest: digest(kind, n), platform: Some("linux/arm64".into()) };
            Manifest::Read((1..5).map(child).collect())
        };
        let definitions = releases.clone().step_by(3).map(|n| {
            let containers: Arc<[(Arc<str>, Box<str>)]> =
                [("web".into(), image.into()), ("proxy".into(), image.into())].into();
            let arn = format!("arn:aws:ecs:eu-central-1:123456789012:task-definition/some-service:{n}");
            (Arc::from(arn), Content::Read { registered: Some(since), containers })
        });
        let cache = Kept {
            manifests: releases.clone().map(|n| (digest(0, n), children(n))).collect(),
            definitions: definitions.collect(),
            ..Kept::default()
        };
        let waiting: Waiting = releases.flat_map(|n| (0..5).map(move |kind| (digest(kind, n), since))).collect();
        (Memory { condemned: [("some-team/some-service".to_owned(), waiting)].into(), ..Memory::default() }, cache)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let (memory, cache) = large(100);
        let body = written(&memory, &cache);
        assert_eq!(body, written(&memory, &cache));
        let state = read(&body, UNPACKED_BYTES_MAX).unwrap();
        assert_eq!((state.schema, state.memory, state.cache), (SCHEMA, memory, cache));
        // A part of it is nothing, and neither is what was never packed.
        for part in [&body[..body.len() - 1], &body[..body.len() / 2], b"", b"{}"] {
            assert!(read(part, UNPACKED_BYTES_MAX).is_err());
        }
    }

    #[test]
    fn a_state_that_is_too_large_is_told_from_a_broken_one() {
        let (memory, cache) = large(100);
        let body = written(&memory, &cache);
        assert_eq!(read(&body, 99).unwrap_err(), "unpacked it takes more than 99 bytes, which is more than is read");
        let broken = read(&body[..body.len() / 2], UNPACKED_BYTES_MAX).unwrap_err();
        assert!(!broken.contains("unpacked"), "{broken}");
    }

    /// What cannot be written is never remembered, and what is not remembered never goes.
    #[test]
    fn the_memory_of_a_first_clean_up_of_a_million_images_can_be_written() {
        const PART: usize = 1_000;
        let (memory, cache) = large(1_000_000 / PART as u64);
        let all = written(&memory, &cache).len() * PART;
        assert!(all <= STATE_BYTES_MAX, "{all}");
        let unpacked = serde_json::to_vec(&memory).unwrap().len() + serde_json::to_vec(&cache).unwrap().len();
        assert!((unpacked * PART) as u64 <= UNPACKED_BYTES_MAX, "{unpacked}");
    }
}
