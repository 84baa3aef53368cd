//! One simulated account: the world behind one `handle`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::accounts::{Place, Worlds};
use crate::call::Call;
use crate::calls::CallLog;
use crate::clock::Clock;
use crate::error::ErrorReply;
use crate::faults::{Fault, Faults};
use crate::incoming::Incoming;
use crate::permissions::Permissions;
use crate::world::World;

/// How a simulated account is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The seed of all chance.
    pub seed: u64,
    /// The date at which it starts.
    pub epoch: SystemTime,
    /// Simulated seconds per second of tokio's time; 1 where that is paused.
    pub speed: u32,
    /// The bounds of one call's way to the service and back.
    pub latency: (Duration, Duration),
    /// Whether AWS's token buckets hold.
    pub throttling: bool,
}

impl Settings {
    /// Virtual time's defaults: 2026-01-05 (a Monday) 09:00 UTC, 20 to 80 ms a call, throttling as AWS does.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            epoch: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_600),
            speed: 1,
            latency: (Duration::from_millis(20), Duration::from_millis(80)),
            throttling: true,
        }
    }
}

/// A request and its reply, as values; what the judges outside of this program are shown.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The service's name, as botocore has it.
    pub service: &'static str,
    /// The operation's name.
    pub operation: String,
    /// The request's JSON.
    pub request: Value,
    /// The HTTP status.
    pub status: u16,
    /// The reply's JSON; an error has `__type` and `message`.
    pub reply: Value,
}

type Listener = Box<dyn FnMut(&Exchange) + Send>;

type Intruder = Box<dyn FnMut(&mut Worlds, &Call) + Send>;

/// What the lock guards.
pub(crate) struct Inside {
    pub(crate) worlds: Worlds,
    pub(crate) calls: CallLog,
    pub(crate) permissions: Permissions,
    pub(crate) listeners: Vec<Listener>,
    intruders: Vec<Intruder>,
}

impl Inside {
    /// Why a call may not be made, if so.
    pub(crate) fn not_permitted(&mut self, incoming: &Incoming) -> Option<ErrorReply> {
        let place = self.worlds.place(&incoming.call.account, &incoming.call.region);
        self.permissions.refuse(&place.world, incoming)
    }

    /// Lets those act who act right before a call.
    pub(crate) fn intrude(&mut self, call: &Call) {
        for intruder in &mut self.intruders {
            intruder(&mut self.worlds, call);
        }
        if !self.intruders.is_empty() {
            self.worlds.places.values_mut().for_each(Place::changed);
        }
    }
}

/// A handle on one simulated account; clones are the same account.
#[derive(Clone)]
pub struct Simulator {
    inside: Arc<Mutex<Inside>>,
    /// Never locked while `inside` is being asked for.
    faults: Arc<Mutex<Faults>>,
    clock: Clock,
    settings: Settings,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Simulator {
    /// An empty account, `123456789012` in `eu-central-1`. Needs a tokio runtime with time enabled.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let clock = Clock::starting_at(settings.epoch, settings.speed);
        let worlds = Worlds::new(settings.epoch, settings.seed, "123456789012", "eu-central-1");
        let inside = Inside {
            worlds,
            calls: CallLog::default(),
            permissions: Permissions::default(),
            listeners: Vec::new(),
            intruders: Vec::new(),
        };
        Self { inside: Arc::new(Mutex::new(inside)), faults: Arc::default(), clock, settings }
    }

    /// The account's clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// How it was set up.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Looks at or changes the home account's world, brought up to now.
    pub fn with_world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        let home = self.lock().worlds.home_address();
        self.with_world_of(&home.account, &home.region, look)
    }

    /// The same for another account or region, which comes into being when it is looked at for the first time.
    pub fn with_world_of<T>(&self, account: &str, region: &str, look: impl FnOnce(&mut World) -> T) -> T {
        let mut inside = self.lock();
        inside.worlds.advance(self.clock.now());
        let place = inside.worlds.place(account, region);
        let answer = look(&mut place.world);
        place.changed();
        answer
    }

    /// Lets somebody act right before each call that arrives: a deployer between any two calls of a janitor. Which world
    /// is meant the call says (`account`, `region`).
    pub fn before_call(&self, intruder: impl FnMut(&mut Worlds, &Call) + Send + 'static) {
        self.lock().intruders.push(Box::new(intruder));
    }

    /// Looks at the call log.
    pub fn with_calls<T>(&self, look: impl FnOnce(&CallLog) -> T) -> T {
        look(&self.lock().calls)
    }

    /// Adds a listener to every exchange.
    pub fn listen(&self, listener: impl FnMut(&Exchange) + Send + 'static) {
        self.lock().listeners.push(Box::new(listener));
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inside> {
        // A watcher that panicked in another test thread must not hide its own message behind a poisoned lock.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers how the world was, for reads up to `lag` back; `None`: forgets it.
    pub(crate) fn remember(&self, lag: Option<Duration>) {
        let mut inside = self.lock();
        inside.worlds.advance(self.clock.now());
        inside.worlds.remember(lag);
    }

    /// One way to the service, by chance.
    pub(crate) fn way(&self) -> Duration {
        let (least, most) = self.settings.latency;
        self.lock().worlds.home().between(least, most) / 2
    }

    /// Finds out where a call goes and whose it is; what cannot be found out it is refused for.
    pub(crate) fn route(&self, incoming: &mut Incoming) {
        let Incoming { call, region, refused, .. } = incoming;
        let inside = self.lock();
        let address = inside.worlds.route(&call.access_key, region, call.service, call.at).unwrap_or_else(|error| {
            refused.get_or_insert(error);
            inside.worlds.home_address()
        });
        call.account = address.account;
        call.region = address.region;
        call.principal = address.principal;
    }

    /// Logs a call that does not reach the service.
    pub(crate) fn log_lost(&self, incoming: &Incoming, fault: &Fault) {
        self.lock().calls.add(&incoming.call, incoming.subject.clone(), None, Some(fault));
    }
}
