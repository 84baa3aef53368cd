//! The roots: every image reference that counts, with the path that leads to it.

use std::fmt;

use chrono::{DateTime, Utc};

use super::{Definition, InUse, Step};
use crate::memory::Memory;
use crate::policy::Recent;

/// All roots of a scan.
#[derive(Debug)]
pub struct Roots<'a> {
    /// In an order that does not depend on the order of the input.
    pub roots: Vec<Root<'a>>,
    /// What had to be known and is not. Any of it makes the scan incomplete.
    pub trouble: Vec<Trouble>,
}

/// Something that keeps an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root<'a> {
    by: &'a [Step],
}

/// A task definition that had to be known and is not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trouble {
    /// Its ARN.
    pub arn: String,
    /// Who needs it.
    pub path: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is needed by {} and was not read", self.arn, self.path)
    }
}

impl InUse {
    /// Every root, at `now`.
    pub fn roots<'a>(&'a self, recent: &Recent, memory: &Memory, now: DateTime<Utc>) -> Roots<'a> {
        let _ = (recent, memory, now, None::<Definition>);
        todo!()
    }

    /// The ARNs whose content has to be read before [`InUse::roots`] has no trouble: recent revisions, and those that
    /// something refers to. Reading them may show that further ones are recent: ask again until the answer is empty.
    pub fn unread(&self, recent: &Recent, memory: &Memory, now: DateTime<Utc>) -> Vec<super::Arn> {
        let _ = (recent, memory, now);
        todo!()
    }
}

impl Root<'_> {
    /// The path for people: `service prod/app → deployment ecs-svc/123 → task definition app:41 → container web → …`.
    pub fn path(&self) -> String {
        todo!()
    }
}
