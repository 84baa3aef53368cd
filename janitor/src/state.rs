//! What is remembered between runs: one object per registry, in S3 or a folder. To lose it only delays deletions.

use coalmine_door::store::{Condition, Store, StoreError};
use coalmine_pipeline::Home;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::cache::Kept;
use crate::memory::Memory;

/// The largest state, 128 MiB: 75,000 task definitions and 200,000 indexes take about a third of it.
pub const STATE_BYTES_MAX: usize = 128 << 20;
/// The form of what is written. Another one is set aside.
const SCHEMA: u32 = 1;
/// How often a write is tried again that another janitor came before.
const TRIES: usize = 5;

/// The state of one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    schema: u32,
    /// What the plan needs to know of earlier scans.
    pub memory: Memory,
    /// What was read before and never changes.
    pub cache: Kept,
}

/// A state as it was read, and what a write of it depends on.
#[derive(Debug)]
pub struct Loaded {
    /// The state; empty where there is none.
    pub state: State,
    key: String,
    condition: Condition,
}

/// Reads the state of a registry. One that cannot be understood is set aside, and the run begins without.
///
/// # Errors
/// When the store cannot be read.
pub async fn load(store: &Store, registry: &Home) -> Result<Loaded, StoreError> {
    let key = format!("janitor/{}-{}.json", registry.account, registry.region);
    let Some(stored) = store.get(&key).await? else {
        return Ok(Loaded { state: State::default(), key, condition: Condition::New });
    };
    let condition = Condition::Unchanged(stored.version.clone());
    match serde_json::from_slice::<State>(&stored.body) {
        Ok(state) if state.schema == SCHEMA => Ok(Loaded { state, key, condition }),
        found => {
            let why = found.err().map_or_else(|| String::from("another schema"), |problem| problem.to_string());
            let aside = format!("unreadable/{}-{}.json", registry.account, &stored.version.replace('"', ""));
            warn!(
                key,
                aside, why, "the janitor's memory cannot be understood: it is set aside, and deletions are delayed"
            );
            match store.put(&aside, stored.body, &Condition::New).await {
                Ok(_) | Err(StoreError::Changed { .. }) => Ok(Loaded { state: State::default(), key, condition }),
                Err(problem) => Err(problem),
            }
        }
    }
}

impl Loaded {
    /// Writes a new state in the place of what was read. Where another janitor has written meanwhile, both memories become
    /// one: an image that either found in use is not condemned any more.
    ///
    /// # Errors
    /// When the store cannot be read or written, or others write again and again.
    pub async fn save(
        &mut self,
        store: &Store,
        registry: &Home,
        memory: Memory,
        cache: Kept,
    ) -> Result<(), StoreError> {
        let mut state = State { schema: SCHEMA, memory, cache };
        for _ in 0..TRIES {
            if state == self.state {
                return Ok(());
            }
            let body = serde_json::to_vec(&state).unwrap_or_default();
            match store.put(&self.key, body, &self.condition).await {
                Ok(version) => {
                    self.condition = Condition::Unchanged(version);
                    self.state = state;
                    return Ok(());
                }
                Err(StoreError::Changed { key }) => {
                    warn!(key, "another janitor has written its memory meanwhile: both become one");
                    *self = load(store, registry).await?;
                    // Where it is gone, or was set aside, there is nothing of another's to keep.
                    if self.state.schema == SCHEMA {
                        state.memory = state.memory.with(&self.state.memory);
                    }
                }
                Err(problem) => return Err(problem),
            }
        }
        Err(StoreError::Changed { key: self.key.clone() })
    }
}
