//! Which revisions of a task definition count as recent, and so are roots of their own.

use std::fmt;

use chrono::{DateTime, Utc};

use super::{Arn, Content, Definition, InUse};
use crate::memory::{ACTIVE_FOR, Memory};
use crate::policy::Recent;

/// Why a revision counts though nothing that runs refers to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recency {
    /// ACTIVE, and among the newest of its family.
    Newest,
    /// ACTIVE, and registered within the window; without a date it counts as registered just now.
    Registered(Option<DateTime<Utc>>),
    /// ACTIVE, and the policy keeps all of these.
    Active,
    /// It was ACTIVE within the last day: whoever deregisters may be about to start the last task from it.
    WasActive(DateTime<Utc>),
}

impl fmt::Display for Recency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest => f.write_str("one of the newest of its family"),
            Self::Registered(Some(at)) => write!(f, "registered {}", at.format("%Y-%m-%d")),
            Self::Registered(None) => f.write_str("no date of registration"),
            Self::Active => f.write_str("ACTIVE"),
            Self::WasActive(at) => write!(f, "ACTIVE until {} or later", at.format("%Y-%m-%d %H:%M")),
        }
    }
}

impl InUse {
    /// Tells `found` of every recent revision, in an order of its own, with what is known of it: `None` for one that is
    /// remembered as ACTIVE and was not given at all.
    pub(super) fn recent<'a>(
        &'a self,
        recent: &Recent,
        memory: &'a Memory,
        now: DateTime<Utc>,
        mut found: impl FnMut(&'a Arn, Option<&'a Definition>, Recency),
    ) {
        let mut family: Vec<(&Arn, &Definition)> = Vec::new();
        let mut prefix = "";
        // ARNs of one family follow each other: all that differs is what stands behind the last colon.
        for (arn, definition) in &self.definitions {
            let this = arn.rsplit_once(':').map_or(&**arn, |(prefix, _)| prefix);
            if this != prefix {
                recent_of_family(&mut family, recent, now, &mut found);
                prefix = this;
            }
            if definition.is_active {
                family.push((arn, definition));
            }
        }
        recent_of_family(&mut family, recent, now, &mut found);
        for (arn, at) in &memory.active {
            let definition = self.definitions.get(arn);
            if !definition.is_some_and(|definition| definition.is_active) && now - *at <= ACTIVE_FOR {
                found(arn, definition, Recency::WasActive(*at));
            }
        }
    }
}

/// The recent ones of a family's ACTIVE revisions. Empties `family`.
fn recent_of_family<'a>(
    family: &mut Vec<(&'a Arn, &'a Definition)>,
    recent: &Recent,
    now: DateTime<Utc>,
    found: &mut impl FnMut(&'a Arn, Option<&'a Definition>, Recency),
) {
    family.sort_unstable_by(|a, b| b.1.revision.cmp(&a.1.revision).then_with(|| a.0.cmp(b.0)));
    // Revisions only ever grow: below one that was registered too long ago, none has to be described.
    let mut is_beyond = false;
    for (rank, (arn, definition)) in family.drain(..).enumerate() {
        let recency = match &definition.content {
            _ if recent.all_active => Some(Recency::Active),
            _ if rank < usize::try_from(recent.keep_revisions.max(1)).unwrap_or(usize::MAX) => Some(Recency::Newest),
            Content::Read { registered: Some(at), .. } if now - *at > recent.window => {
                is_beyond = true;
                None
            }
            Content::Read { registered, .. } => Some(Recency::Registered(*registered)),
            Content::NotRead | Content::Gone => (!is_beyond).then_some(Recency::Registered(None)),
        };
        if let Some(recency) = recency {
            found(arn, Some(definition), recency);
        }
    }
}
