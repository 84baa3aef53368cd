//! Telling others what happens to releases: one event on an EventBridge bus, one call of a webhook. Both are sent beside
//! the work, and hold nothing up: what cannot be sent is logged, once, and left.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coalmine_door::AwsError;
use coalmine_door::clock::Clock;
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::aws::events::Bus;
use crate::aws::webhook::Webhook;
use crate::deploy::happening::Event;

/// How many events may wait to be sent: more than a fleet's releases come to in minutes.
const WAITING_MOST: usize = 1_000;
/// How long one of them may take.
const SENDING: Duration = Duration::from_secs(5);

/// Who is told what happens to releases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telling {
    /// The name or ARN of an event bus.
    pub bus: Option<String>,
    /// The address of a webhook.
    pub webhook: Option<String>,
}

/// Where events are handed in.
#[derive(Debug)]
pub struct Teller {
    sender: Mutex<Option<mpsc::Sender<Event>>>,
}

/// Where they go.
#[derive(Debug)]
pub struct Errands {
    clock: Clock,
    bus: Option<Bus>,
    webhook: Option<Webhook>,
    waiting: mpsc::Receiver<Event>,
    failing: AtomicBool,
}

impl Teller {
    /// A teller whom nobody hears.
    #[must_use]
    pub fn mute() -> Self {
        Self { sender: Mutex::new(None) }
    }

    /// A teller, and what carries out its errands.
    #[must_use]
    pub fn to(clock: Clock, bus: Option<Bus>, webhook: Option<Webhook>) -> (Self, Errands) {
        let (sender, waiting) = mpsc::channel(WAITING_MOST);
        let errands = Errands { clock, bus, webhook, waiting, failing: AtomicBool::new(false) };
        (Self { sender: Mutex::new(Some(sender)) }, errands)
    }

    /// Tells it, soon.
    pub fn tell(&self, event: Event) {
        let sender = self.sender.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(sender) = &*sender
            && sender.try_send(event).is_err()
        {
            warn!("too many events wait to be sent: one is left out");
        }
    }

    /// Tells nothing more: the errands end when they have been run.
    pub fn end(&self) {
        *self.sender.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }
}

impl Errands {
    /// Runs errands until there will be no more.
    pub async fn run(mut self) {
        while let Some(event) = self.waiting.recv().await {
            if let Some(bus) = &self.bus {
                self.note("the event bus", self.clock.limit(SENDING, bus.put(&event)).await);
            }
            if let Some(webhook) = &self.webhook {
                self.note("the webhook", self.clock.limit(SENDING, webhook.call(&event)).await);
            }
        }
    }

    /// The first failure of a row is logged, and its end.
    fn note(&self, whom: &str, sent: Option<Result<(), AwsError>>) {
        let problem = match sent {
            Some(Ok(())) => None,
            Some(Err(problem)) => Some(problem.to_string()),
            None => Some(format!("no answer within {} s", SENDING.as_secs())),
        };
        match (problem, self.failing.load(Ordering::Relaxed)) {
            (Some(problem), false) => {
                self.failing.store(true, Ordering::Relaxed);
                warn!(problem, "{whom} could not be told what happened to a release; releases go on");
            }
            (None, true) => {
                self.failing.store(false, Ordering::Relaxed);
                info!("{whom} can be told again");
            }
            _ => {}
        }
    }
}
