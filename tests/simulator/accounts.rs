//! Several accounts and regions: one world each, told apart by who signed a request and for which region.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::buckets::Buckets;
use crate::call::Service;
use crate::error::{Answer, ErrorReply};
use crate::faults::Past;
use crate::world::World;

/// An account in a region: its world, its token buckets, and its past.
pub(crate) struct Place {
    pub(crate) world: World,
    pub(crate) buckets: Buckets,
    pub(crate) past: Past,
}

impl Place {
    fn new(now: SystemTime, seed: u64, account: &str, region: &str) -> Self {
        let world = World::new(now, seed, account, region);
        Self { world, buckets: Buckets::default(), past: Past::default() }
    }

    /// Brings the world up to a date.
    pub(crate) fn advance(&mut self, date: SystemTime) {
        if self.world.next_event().is_some_and(|next| next <= date) {
            self.past.remember(&self.world);
        }
        self.world.advance(date);
    }

    /// The world was changed from outside.
    pub(crate) fn changed(&mut self) {
        self.world.changed();
        self.past.remember(&self.world);
    }
}

/// Who calls whom: what a request's signature says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Address {
    pub(crate) account: String,
    pub(crate) region: String,
    /// The caller's ARN.
    pub(crate) principal: String,
}

/// All accounts and regions of one simulator, by account and region.
///
/// The home account is there from the start. Another place comes into being when a story looks at it for the first time;
/// a call to a place that does not exist is refused by name.
pub struct Worlds {
    home: (String, String),
    seed: u64,
    now: SystemTime,
    lag: Option<Duration>,
    pub(crate) places: BTreeMap<(String, String), Place>,
}

impl Worlds {
    pub(crate) fn new(now: SystemTime, seed: u64, account: &str, region: &str) -> Self {
        let home = (account.to_owned(), region.to_owned());
        let place = Place::new(now, seed, account, region);
        Self { home: home.clone(), seed, now, lag: None, places: BTreeMap::from([(home, place)]) }
    }

    /// The home account's world.
    pub fn home(&mut self) -> &mut World {
        let (account, region) = self.home.clone();
        self.of(&account, &region)
    }

    /// The world of an account in a region; an empty one where it is looked at for the first time.
    pub fn of(&mut self, account: &str, region: &str) -> &mut World {
        &mut self.place(account, region).world
    }

    pub(crate) fn place(&mut self, account: &str, region: &str) -> &mut Place {
        let (now, lag) = (self.now, self.lag);
        // Of its name alone: in whichever order places come, each has the same chance.
        let name = account.bytes().chain(region.bytes());
        let seed = name.fold(self.seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        let place = self.places.entry((account.to_owned(), region.to_owned())).or_insert_with(|| {
            let mut place = Place::new(now, seed, account, region);
            if let Some(lag) = lag {
                place.past.keep(lag, &place.world);
            }
            place
        });
        place.advance(now);
        place
    }

    /// Remembers how the worlds were, for reads up to `lag` back; `None`: forgets it.
    pub(crate) fn remember(&mut self, lag: Option<Duration>) {
        self.lag = lag.map(|lag| lag.max(self.lag.unwrap_or_default()));
        for Place { world, past, .. } in self.places.values_mut() {
            match lag {
                Some(lag) => past.keep(lag, world),
                None => past.clear(),
            }
        }
    }

    /// Where calls go that are refused before anybody knows whose they are.
    pub(crate) fn home_address(&self) -> Address {
        Address { account: self.home.0.clone(), region: self.home.1.clone(), principal: String::new() }
    }

    /// Brings the home account up to a date; the others follow when they are looked at.
    pub(crate) fn advance(&mut self, date: SystemTime) {
        self.now = self.now.max(date);
        let (account, region) = self.home.clone();
        self.place(&account, &region);
    }

    /// Where a call goes that an access key signed for a region, and whose it is.
    pub(crate) fn route(&self, access_key: &str, region: &str, service: Service, now: SystemTime) -> Answer<Address> {
        let sessions = self.places.values().flat_map(|place| place.world.sts.session(access_key));
        let (account, principal) = match sessions.into_iter().next() {
            Some(session) if session.expires <= now => {
                let message = "The security token included in the request is expired";
                return Err(ErrorReply::new("ExpiredTokenException", message));
            }
            Some(session) => (session.account.clone(), session.principal.clone()),
            None => {
                let user = if access_key.is_empty() { "anonymous" } else { access_key };
                (self.home.0.clone(), format!("arn:aws:iam::{}:user/{user}", self.home.0))
            }
        };
        let mut regions = self.places.keys().filter(|(owner, _)| *owner == account).map(|(_, region)| region);
        // Buckets and sessions are an account's, whatever the region.
        let global = matches!(service, Service::S3 | Service::Sts) || region.is_empty();
        let found = match global {
            true if account == self.home.0 => Some(&self.home.1),
            true => regions.next(),
            false => regions.find(|open| *open == region),
        };
        match found {
            Some(region) => Ok(Address { account, region: region.clone(), principal }),
            None => Err(ErrorReply::new(
                "UnrecognizedClientException",
                format!("the simulator has no account {account} in {region}: a story has to look at it first"),
            )),
        }
    }
}
