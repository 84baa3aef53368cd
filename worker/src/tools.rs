//! What every turn works with: the adapters, made once from the one door to the world.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_types::SdkConfig;
use coalmine_pipeline::{ActionType, action_type};
use tokio::sync::Notify;

use crate::aws::cloudwatch::Alarms;
use crate::aws::codepipeline::CodePipeline;
use crate::aws::ecr::Registries;
use crate::aws::ecs::Ecs;
use crate::aws::events::Bus;
use crate::aws::logs::Logs;
use crate::aws::observer::Observer;
use crate::aws::webhook::Webhook;
use crate::deploy::release::Image;
use crate::health::pulse::Pulse;
use crate::ledger::{Held, OBJECT_BYTES_MAX};
use crate::tell::{Errands, Teller, Telling};
use coalmine_door::clock::{Clock, Time, fresh_name};
use coalmine_door::store::{Location, Store};

/// The adapters and the clock of one worker.
#[derive(Debug)]
pub struct Tools {
    /// The door itself, for clients with other credentials.
    pub door: SdkConfig,
    /// The date and how to wait.
    pub clock: Clock,
    /// Jobs and their results.
    pub codepipeline: CodePipeline,
    /// Services and task definitions.
    pub ecs: Ecs,
    /// What image references name.
    pub registries: Registries,
    /// Log tails.
    pub logs: Logs,
    /// The shared observer.
    pub observer: Observer,
    /// The jobs that this worker holds, as the ledger knows them.
    pub held: Held,
    /// The signs of life of its parts.
    pub pulse: Pulse,
    /// How long a turn holds its job before it hands it back.
    pub linger: Duration,
    /// The hand-backs whose continuations can be expected.
    pub handed_back: HandedBack,
    /// The releases that this worker has looked up.
    pub releases: Releases,
    /// Where others are told what happens to releases.
    pub teller: Teller,
}

/// The images of the releases that this worker has looked up, by action execution: the next turn of an action need not
/// read its artifact again. They never change; whoever has not got them reads them again.
#[derive(Debug, Default)]
pub struct Releases(Mutex<BTreeMap<String, Vec<Image>>>);

impl Releases {
    /// More actions than a worker is at. Above it all are forgotten.
    const MOST: usize = 200;

    /// Remembers a release.
    pub fn keep(&self, action_execution: &str, images: &[Image]) {
        let mut known = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.len() >= Self::MOST {
            known.clear();
        }
        known.insert(action_execution.to_owned(), images.to_vec());
    }

    /// A release that was looked up before.
    #[must_use]
    pub fn get(&self, action_execution: &str) -> Option<Vec<Image>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(action_execution).cloned()
    }
}

/// The hand-backs of this worker, by action type: their continuations are polled for at once, not at leisure, because
/// nobody observes a deployment between two turns.
#[derive(Debug)]
pub struct HandedBack(Vec<(&'static ActionType, Arc<Continuations>)>);

/// The continuations of one action type that can be expected.
#[derive(Debug, Default)]
pub struct Continuations {
    last: Mutex<Option<Time>>,
    told: Notify,
}

impl Default for HandedBack {
    fn default() -> Self {
        Self(action_type::implemented().map(|action_type| (action_type, Arc::default())).collect())
    }
}

impl HandedBack {
    /// A job was handed back. Of a dead worker's job the action type is not known: then it may be any.
    pub fn tell(&self, of: Option<&ActionType>, now: Time) {
        for (action_type, continuations) in &self.0 {
            if of.is_none_or(|of| of == *action_type) {
                continuations.tell(now);
            }
        }
    }

    /// Those of one action type.
    #[must_use]
    pub fn of(&self, of: &ActionType) -> Arc<Continuations> {
        let known = self.0.iter().find(|(action_type, _)| *action_type == of);
        known.map(|(_, continuations)| Arc::clone(continuations)).unwrap_or_default()
    }
}

impl Continuations {
    fn tell(&self, now: Time) {
        *self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(now);
        self.told.notify_waiters();
    }

    /// Whether a job was handed back less than `window` ago.
    #[must_use]
    pub fn within(&self, window: Duration, now: Time) -> bool {
        let last = *self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        last.is_some_and(|last| (now - last).to_std().unwrap_or_default() < window)
    }

    /// Waits for the next hand-back.
    pub async fn next(&self) {
        self.told.notified().await;
    }
}

impl Tools {
    /// Makes all adapters.
    #[must_use]
    pub fn new(door: &SdkConfig, linger: Duration, ledger: &Location) -> Self {
        let door = coalmine_door::limited(door);
        let clock = Clock::of(&door);
        let door = clock.dating(&door);
        let held = Held::new(Store::open(ledger, &door, OBJECT_BYTES_MAX), clock.clone(), &fresh_name());
        let ecs = Ecs::new(aws_sdk_ecs::Client::new(&door));
        let alarms = Alarms::new(aws_sdk_cloudwatch::Client::new(&door));
        Self {
            codepipeline: CodePipeline::new(aws_sdk_codepipeline::Client::new(&door), clock.clone()),
            registries: Registries::new(&door, &clock),
            logs: Logs::new(aws_sdk_cloudwatchlogs::Client::new(&door)),
            observer: Observer::new(ecs.clone(), alarms, clock.clone()),
            held,
            pulse: Pulse::new(clock.clone()),
            ecs,
            clock,
            door,
            linger,
            handed_back: HandedBack::default(),
            releases: Releases::default(),
            teller: Teller::mute(),
        }
    }

    /// The same, telling others on a bus and by a webhook; what carries that out is to be run.
    #[must_use]
    pub fn telling(mut self, whom: &Telling) -> (Self, Option<Errands>) {
        let Telling { bus, webhook } = whom;
        if bus.is_none() && webhook.is_none() {
            return (self, None);
        }
        let bus = bus.as_deref().map(|name| Bus::new(aws_sdk_eventbridge::Client::new(&self.door), name));
        let webhook = webhook.as_deref().and_then(|address| Webhook::new(&self.door, address));
        let (teller, errands) = Teller::to(self.clock.clone(), bus, webhook);
        self.teller = teller;
        (self, Some(errands))
    }
}
