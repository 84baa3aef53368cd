//! What is remembered between runs: one object per registry, in S3 or a folder. To lose it only delays deletions.

use coalmine_door::store::{Condition, Store, StoreError};
use coalmine_pipeline::{Digest, Home};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tracing::warn;

use crate::cache::Kept;
use crate::memory::Memory;

/// The largest state, 512 MiB. A first clean-up remembers most: with a million images, of which 850,000 are condemned, 75,000
/// task definitions and 200,000 indexes it takes 218 MB (`cargo bench -p coalmine-janitor` says so); what is larger is not
/// written, and without a memory nothing is ever deleted.
pub const STATE_BYTES_MAX: usize = 512 << 20;
/// The form of what is written. Another one is set aside.
const SCHEMA: u32 = 1;
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

/// The memory as it was read, and what a write of it depends on. What was read before and never changes is not in here: of a
/// large registry one copy of it is enough.
#[derive(Debug)]
pub struct Loaded {
    /// What was remembered; `None` where there is nothing, or nothing that can be understood.
    pub memory: Option<Memory>,
    key: String,
    condition: Condition,
    /// Of the state as it stands in the store.
    sum: Option<Digest>,
}

/// Reads the state of a registry: the memory, and what was read before and never changes. One that cannot be understood is
/// set aside, and the run begins without.
///
/// # Errors
/// When the store cannot be read.
pub async fn load(store: &Store, registry: &Home) -> Result<(Loaded, Kept), StoreError> {
    let key = format!("janitor/{}-{}.json", registry.account, registry.region);
    let mut loaded = Loaded { memory: None, key, condition: Condition::New, sum: None };
    let Some(stored) = store.get(&loaded.key).await? else { return Ok((loaded, Kept::default())) };
    loaded.condition = Condition::Unchanged(stored.version.clone());
    match serde_json::from_slice::<State>(&stored.body) {
        Ok(state) if state.schema == SCHEMA => {
            loaded.sum = Some(sum(&stored.body));
            loaded.memory = Some(state.memory);
            Ok((loaded, state.cache))
        }
        found => {
            let why = found.err().map_or_else(|| String::from("another schema"), |problem| problem.to_string());
            let aside = format!("unreadable/{}-{}.json", registry.account, &stored.version.replace('"', ""));
            warn!(
                key = loaded.key,
                aside, why, "the janitor's memory cannot be understood: it is set aside, and deletions are delayed"
            );
            match store.put(&aside, stored.body, &Condition::New).await {
                Ok(_) | Err(StoreError::Changed { .. }) => Ok((loaded, Kept::default())),
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
    serde_json::to_vec(&State { schema: SCHEMA, memory, cache }).unwrap_or_default()
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
                    self.memory = Some(memory.clone());
                    return Ok(memory);
                }
                Err(StoreError::Changed { key }) => {
                    warn!(key, "another janitor has written its memory meanwhile: both become one");
                    (*self, _) = load(store, registry).await?;
                    // Where it is gone, or was set aside, there is nothing of another's to keep.
                    if let Some(theirs) = &self.memory {
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

    /// What cannot be written is never remembered, and what is not remembered never goes.
    #[test]
    fn the_memory_of_a_first_clean_up_of_a_million_images_can_be_written() {
        let digest = |kind: u8, n: u8| Digest::from_bytes([[kind; 16], [n; 16]].concat().try_into().unwrap());
        let since = "2026-11-20T12:00:00.123456789Z".parse().unwrap();
        let children =
            |n: u8| (1..=4).map(move |kind| Child { digest: digest(kind, n), platform: Some("linux/arm64".into()) });
        let (name, image) = (
            "some-team/some-service",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com/some-team/some-service:build-00123",
        );
        let mut memory = Memory::default();
        let mut size = |kept: Kept, condemned: u8| {
            memory.condemned = [(name.to_owned(), (0..condemned).map(|n| (digest(5, n), since)).collect())].into();
            written(&memory, &kept).len() / 100
        };
        let manifests = (0..100).map(|n| (digest(0, n), Manifest::Read(children(n).collect()))).collect();
        let definitions = (0..100).map(|n| {
            let containers: Arc<[(Arc<str>, Box<str>)]> =
                [("web".into(), image.into()), ("proxy".into(), image.into())].into();
            let arn = format!("arn:aws:ecs:eu-central-1:123456789012:task-definition/some-service:{n}");
            (Arc::from(arn), Content::Read { registered: Some(since), containers })
        });
        let of_image = size(Kept::default(), 100);
        let of_index = size(Kept { manifests, ..Kept::default() }, 0);
        let of_definition = size(Kept { definitions: definitions.collect(), ..Kept::default() }, 0);
        let all = 1_000_000 * of_image + 200_000 * of_index + 75_000 * of_definition;
        assert!(all <= STATE_BYTES_MAX, "{all}: {of_image}, {of_index}, {of_definition}");
    }
}
