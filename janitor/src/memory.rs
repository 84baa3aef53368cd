//! What is remembered from one scan to the next.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use coalmine_pipeline::Digest;
use serde::{Deserialize, Serialize};

use crate::in_use::Arn;

/// How long a revision counts that is not listed as ACTIVE any more. Deregistration takes up to ten minutes to be seen
/// everywhere, and a deployment may begin in between; a day lies beyond both, and within every sensible schedule.
pub const ACTIVE_FOR: TimeDelta = TimeDelta::hours(24);

/// What the plan of one registry needs to know of earlier scans. To lose it only delays deletions.
///
/// The state store keeps it, next to the caches of task definitions and manifests, which are not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// `now` of the last complete scan.
    pub scanned: Option<DateTime<Utc>>,
    /// Since when an image has been found old and unreferenced, in every complete scan: repository → digest → first
    /// scan. An image that was found in use in between is not in here.
    pub condemned: BTreeMap<String, BTreeMap<Digest, DateTime<Utc>>>,
    /// When a task definition was last listed as ACTIVE, for the last day. The scan has to keep the content of these,
    /// for a revision that was deregistered a moment ago stays a root.
    pub active: BTreeMap<Arn, DateTime<Utc>>,
}
