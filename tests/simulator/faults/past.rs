//! The world as it was, for reads that lag behind writes.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use crate::world::World;

/// Copies of the world: after each change from outside, and before things happen by themselves. What happens between two
/// of them follows from the earlier one, because its events and its chance are in it.
#[derive(Default)]
pub(crate) struct Past {
    lag: Duration,
    copies: VecDeque<World>,
}

impl Past {
    /// Remembers from now on, for reads up to `lag` back.
    pub(crate) fn keep(&mut self, lag: Duration, world: &World) {
        self.lag = self.lag.max(lag);
        self.remember(world);
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Keeps a copy, if reads may lag.
    pub(crate) fn remember(&mut self, world: &World) {
        if self.lag.is_zero() {
            return;
        }
        // Of one date the last copy counts, and the one before the oldest date that may be asked for is still needed.
        self.copies.pop_back_if(|last| last.now == world.now);
        self.copies.push_back(world.copy());
        while self.copies.get(1).is_some_and(|second| second.now + self.lag <= world.now) {
            self.copies.pop_front();
        }
    }

    /// The world as of `lag` ago, or as far back as is known. `None`: nothing is.
    pub(crate) fn as_of(&self, lag: Duration, now: SystemTime) -> Option<World> {
        let date = now.checked_sub(lag)?;
        let copy = self.copies.iter().rev().find(|copy| copy.now <= date).or_else(|| self.copies.front())?;
        let mut world = copy.copy();
        world.advance(date);
        Some(world)
    }
}
