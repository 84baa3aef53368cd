//! How many bytes deletions free, as honestly as sizes allow.

use std::iter::Sum;
use std::num::NonZeroU64;
use std::ops::Add;

use serde::{Deserialize, Serialize};

use super::verdict::Verdict;
use crate::inventory::{Image, Images};

/// Bytes that are freed: at least, at most.
///
/// ECR tells each image's size but not its layers, and images share layers. At most all bytes of all images go that are
/// no index, for an index reports the size of its largest child. At least those of the largest one go that not even all
/// images that stay could share with it. While anything of about that size stays, this is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Freed {
    /// At least so many bytes.
    pub low: u64,
    /// At most so many bytes.
    pub high: u64,
    /// Images of unknown size; with any, `high` is too low.
    pub unknown: usize,
}

impl Freed {
    /// What the deletions of a repository free.
    pub(super) fn of(images: &Images, verdicts: &[Verdict]) -> Self {
        let leaves = || images.iter().zip(verdicts).filter(|(image, _)| !image.media_type.is_index());
        let sizes = |goes: bool| {
            let these = leaves().filter(move |(_, verdict)| matches!(verdict, Verdict::Delete(_)) == goes);
            these.map(|(image, _): (&Image, _)| image.size_bytes.map(NonZeroU64::get))
        };
        let stays = sizes(false).try_fold(0_u64, |sum, size| sum.checked_add(size?));
        let largest = sizes(true).flatten().max().unwrap_or(0);
        Self {
            low: stays.map_or(0, |stays| largest.saturating_sub(stays)),
            high: sizes(true).flatten().fold(0, u64::saturating_add),
            unknown: sizes(true).filter(Option::is_none).count(),
        }
    }
}

impl Add for Freed {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            low: self.low.saturating_add(other.low),
            high: self.high.saturating_add(other.high),
            unknown: self.unknown + other.unknown,
        }
    }
}

impl Sum for Freed {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}
