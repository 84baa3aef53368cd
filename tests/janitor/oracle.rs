//! Who needs what, told from the world's state alone, and whether any of it was deleted.
//!
//! A deletion cannot be conditional at AWS, so that there is a window: what was not there when the janitor's last look
//! asked for the list of its kind (task definitions, services, tasks, functions), and needs an image by the time of the
//! deletion, may lose it. The oracle knows from the calls when each list was asked for, and since when who needs an image
//! has needed it without a break; it lets nothing else pass.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use simulator::{Call, Needed, Service, World};

use crate::yard::DAY;

/// How recent a task definition has to be to be needed: the policy's defaults.
const NEWEST: usize = 10;
const WINDOW: Duration = DAY.saturating_mul(90);

/// How those begin who need images, and the list that shows them.
const KINDS: [(&str, &str); 4] = [
    ("function ", "ListFunctions"),
    ("task definition ", "ListTaskDefinitions"),
    ("service ", "ListServices"),
    ("task ", "ListTasks"),
];

/// Watches one janitor's deletions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle(Arc<Mutex<Watch>>);

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    since: BTreeMap<Needed, SystemTime>,
    /// When the last look asked for each list. It begins with functions.
    look: BTreeMap<&'static str, SystemTime>,
    /// What was there right before a deletion.
    before: Option<(SystemTime, BTreeSet<(String, String)>)>,
    /// Images that were deleted.
    pub(crate) deleted: usize,
    /// Of these, how many somebody needed, but not yet when the last look asked for his kind.
    pub(crate) in_window: usize,
    /// The longest time between the begin of a last look and a deletion.
    pub(crate) longest: Duration,
    /// Deletions of what somebody needed whom the last look must have seen.
    pub(crate) wrong: Vec<String>,
}

impl Oracle {
    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at a call of the janitor's right before it is carried out, after whoever acts before it.
    pub(crate) fn before(&self, world: &World, call: &Call) {
        let mut watch = self.watch();
        let needed = world.needed(NEWEST, WINDOW);
        watch.since.retain(|one, _| needed.contains(one));
        for one in needed {
            watch.since.entry(one).or_insert(call.at);
        }
        if call.service == Service::Ecr && call.operation == "BatchDeleteImage" {
            watch.before = Some((call.at, images(world)));
        }
        let is_first = ["nextToken", "Marker"].iter().all(|token| call.raw.get(token).is_none());
        if let Some((_, list)) = KINDS.iter().find(|(_, list)| *list == call.operation && is_first) {
            if *list == KINDS[0].1 {
                watch.look.clear();
            }
            // Tasks are listed twice, by what they are told to be.
            watch.look.entry(list).or_insert(call.at);
        }
    }

    /// Looks at what the last call has deleted, before anybody acts again.
    pub(crate) fn after(&self, world: &World) {
        let mut watch = self.watch();
        let Some((at, before)) = watch.before.take() else { return };
        let Watch { since, look, deleted, in_window, longest, wrong, .. } = &mut *watch;
        let Some(begin) = look.get(KINDS[0].1).filter(|_| look.len() == KINDS.len()) else {
            wrong.push(format!("something was deleted after half a look: {look:?}"));
            return;
        };
        *longest = at.duration_since(*begin).unwrap_or_default().max(*longest);
        for (repository, digest) in before.difference(&images(world)) {
            *deleted += 1;
            let needed = since.iter().filter(|(one, _)| one.repository == *repository && one.digest == *digest);
            let (seen, late): (Vec<_>, Vec<_>) = needed.partition(|(one, since)| {
                let (_, list) = KINDS.iter().find(|(kind, _)| one.by.starts_with(kind)).expect("a kind");
                *since <= &look[list]
            });
            wrong.extend(seen.iter().map(|(one, _)| format!("{repository}@{digest} is needed by {}", one.by)));
            *in_window += usize::from(seen.is_empty() && !late.is_empty());
        }
    }

    /// What was seen up to now.
    pub(crate) fn seen(&self, world: &World) -> Watch {
        self.after(world);
        self.watch().clone()
    }
}

fn images(world: &World) -> BTreeSet<(String, String)> {
    let of = |name: String| world.ecr.digests(&name).into_iter().map(move |digest| (name.clone(), digest));
    world.ecr.repository_names().into_iter().flat_map(of).collect()
}
