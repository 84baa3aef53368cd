//! What the observer knows of one service, and for whom it looks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::watch;

use crate::deploy::view::{Deployment, Service, Task};
use coalmine_door::AwsError;
use coalmine_door::clock::Time;

/// How long a service is still looked at when no job asks for it: the time between a hand-back and the next turn.
const AFTERGLOW: Duration = Duration::from_secs(30);

/// What was last seen of a service.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// When.
    pub at: Option<Time>,
    /// The service; `None` where ECS has none of that name.
    pub service: Option<Service>,
    /// The service deployments that somebody follows, by ARN.
    pub deployments: BTreeMap<String, Deployment>,
    /// Its stopped tasks of the last hour, and those on their way down, as of the last time that something changed.
    pub stopped: Vec<Task>,
    /// Why nothing newer was seen.
    pub problem: Option<AwsError>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) watchers: usize,
    /// Those who are content with a look now and then.
    pub(super) calm: usize,
    pub(super) left_at: Option<Time>,
    pub(super) sender: watch::Sender<Seen>,
    pub(super) followed: BTreeSet<String>,
    pub(super) deployments_at: Option<Time>,
    pub(super) tasks_at: Option<Time>,
    pub(super) tasks_due: bool,
    /// Tasks that have stopped: they do not change any more.
    pub(super) ended: BTreeMap<String, Task>,
    /// Tasks on their way down, as of the last look.
    pub(super) ending: Vec<Task>,
}

impl Entry {
    pub(super) fn new() -> Self {
        Self {
            watchers: 0,
            calm: 0,
            left_at: None,
            sender: watch::Sender::new(Seen::default()),
            followed: BTreeSet::new(),
            deployments_at: None,
            tasks_at: None,
            tasks_due: true,
            ended: BTreeMap::new(),
            ending: Vec::new(),
        }
    }

    /// Whether a job looks at it, or did so just now.
    pub(super) fn is_eager(&self, now: Time) -> bool {
        let glows = |left: Time| (now - left).to_std().unwrap_or_default() < AFTERGLOW;
        self.watchers > 0 || self.left_at.is_some_and(glows)
    }

    /// Whether it is to be looked at now: somebody waits for it, or nobody has seen it yet.
    pub(super) fn is_urgent(&self, now: Time) -> bool {
        self.is_eager(now) || self.sender.borrow().at.is_none()
    }
}
