//! Verdicts.

use chrono::{DateTime, Utc};

use crate::inventory::Life;

/// What is to be done with an image. Other images are named by their place in the repository's
/// [`Images`](crate::inventory::Images).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It stays.
    Keep(Kept),
    /// It goes.
    Delete(Condemned),
}

/// Why an image stays: the strongest reason there is, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// A root names it; the number is the root's place in [`Roots::roots`](crate::in_use::Roots::roots).
    Root(u32),
    /// It is a child of this kept index.
    Child(u32),
    /// It is about this kept image: a signature, an SBOM, an attestation.
    Referrer(u32),
    /// No rule names its repository.
    Untouched,
    /// Its repository is frozen.
    Frozen,
    /// It is in the archive, or being restored from it.
    Archived,
    /// Its status, media type or age is not known.
    Unknown,
    /// It carries a protected tag.
    ProtectedTag,
    /// It is among the newest of its repository.
    Newest,
    /// It is too young.
    Young(Life, DateTime<Utc>),
    /// It is old and unreferenced, but not for long enough yet: since then.
    Quarantined(DateTime<Utc>),
    /// It would go, but a guard says that this is enough for one run.
    Guarded,
    /// It would go, but the scan was incomplete.
    Incomplete,
}

impl Kept {
    /// The reason as reports count it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Root(_) | Self::Child(_) | Self::Referrer(_) => "in_use",
            Self::Untouched => "no_rule",
            Self::Frozen => "frozen",
            Self::Archived => "archived",
            Self::Unknown => "unknown",
            Self::ProtectedTag => "protected_tag",
            Self::Newest => "newest",
            Self::Young(..) => "young",
            Self::Quarantined(_) => "waiting",
            Self::Guarded => "guarded",
            Self::Incomplete => "incomplete",
        }
    }
}

/// Why an image goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condemned {
    /// Its last sign of life.
    pub life: (Life, DateTime<Utc>),
    /// Since when it is known to be old and unreferenced.
    pub since: DateTime<Utc>,
}
