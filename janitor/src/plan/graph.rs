//! Which images of a repository keep which: an index its children, an image what is about it.

use coalmine_pipeline::Digest;

use crate::inventory::{Images, Manifest, Manifests};

/// How one image keeps another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bond {
    /// An index lists it.
    Child,
    /// It is about the other: by its subject, or by a tag such as `sha256-….sig`.
    Referrer,
}

/// The bonds within a repository. Images are named by their place in [`Images`].
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// Keeper, kept, how; sorted.
    bonds: Vec<(u32, u32, Bond)>,
    /// Kept, keeper, how; sorted.
    keepers: Vec<(u32, u32, Bond)>,
    /// Images whose manifest would have to be read.
    pub(super) unread: Vec<u32>,
    /// Images whose manifest cannot be read, so that any image may be their child.
    pub(super) unreadable: Vec<u32>,
}

impl Graph {
    pub(super) fn new(images: &Images, manifests: &Manifests) -> Self {
        let mut graph = Self::default();
        for (at, image) in (0_u32..).zip(images.iter()) {
            let mut bind = |keeper: u32, kept: u32, bond| {
                // Nothing keeps itself: a tag may name its own image.
                if keeper != kept {
                    graph.bonds.push((keeper, kept, bond));
                }
            };
            if image.media_type.may_have_children() {
                match manifests.get(&image.digest) {
                    None => graph.unread.push(at),
                    Some(Manifest::Unreadable(_)) => graph.unreadable.push(at),
                    Some(Manifest::Read(children)) => {
                        let children = children.iter().filter_map(|child| place(images, &child.digest));
                        children.for_each(|child| bind(at, child, Bond::Child));
                    }
                }
            }
            let subjects = image.subject.into_iter().chain(image.tags.iter().filter_map(|tag| subject_of_tag(tag)));
            subjects
                .filter_map(|subject| place(images, &subject))
                .for_each(|subject| bind(subject, at, Bond::Referrer));
        }
        graph.bonds.sort_unstable();
        graph.bonds.dedup();
        graph.keepers = graph.bonds.iter().map(|(keeper, kept, bond)| (*kept, *keeper, *bond)).collect();
        graph.keepers.sort_unstable();
        graph
    }

    /// What an image keeps directly.
    pub(super) fn kept_by(&self, keeper: u32) -> impl Iterator<Item = (u32, Bond)> {
        of(&self.bonds, keeper)
    }

    /// What keeps an image directly.
    pub(super) fn keepers_of(&self, kept: u32) -> impl Iterator<Item = (u32, Bond)> {
        of(&self.keepers, kept)
    }

    /// The indexes that list an image.
    pub(super) fn parents_of(&self, child: u32) -> impl Iterator<Item = u32> {
        self.keepers_of(child).filter(|(_, bond)| *bond == Bond::Child).map(|(parent, _)| parent)
    }

    /// The index that lists an image, if it is the only one.
    pub(super) fn only_parent(&self, child: u32) -> Option<u32> {
        let mut parents = self.parents_of(child);
        parents.next().filter(|_| parents.next().is_none())
    }

    /// The indexes that list some of these images, directly or not, each with what its child came with.
    pub(super) fn listing(&self, images: impl Iterator<Item = (u32, u32)>) -> Vec<(u32, u32)> {
        let mut seen = std::collections::HashSet::new();
        let mut found = Vec::new();
        let mut ahead: std::collections::VecDeque<(u32, u32)> = images.collect();
        while let Some((child, with)) = ahead.pop_front() {
            for parent in self.parents_of(child).filter(|parent| seen.insert(*parent)) {
                found.push((parent, with));
                ahead.push_back((parent, with));
            }
        }
        found
    }

    /// Everything that the marked images keep, directly or not. `reach` is told of each image once, with its keeper, and
    /// answers whether to go on from there; what it was not asked about before is reached from the marked ones first.
    pub(super) fn spread(&self, from: Vec<u32>, mut reach: impl FnMut(u32, u32, Bond) -> bool) {
        let mut ahead = std::collections::VecDeque::from(from);
        while let Some(keeper) = ahead.pop_front() {
            for (kept, bond) in self.kept_by(keeper) {
                if reach(kept, keeper, bond) {
                    ahead.push_back(kept);
                }
            }
        }
    }
}

fn of(bonds: &[(u32, u32, Bond)], first: u32) -> impl Iterator<Item = (u32, Bond)> {
    let begin = bonds.partition_point(|(this, ..)| *this < first);
    bonds[begin..].iter().take_while(move |(this, ..)| *this == first).map(|(_, other, bond)| (*other, *bond))
}

fn place(images: &Images, digest: &Digest) -> Option<u32> {
    images.position(digest).and_then(|at| u32::try_from(at).ok())
}

/// The digest that a tag of the older convention is about: `sha256-<64 digits>`, followed by `.sig`, `.att`, `.sbom` or
/// anything else. Registries without referrers keep signatures, SBOMs and SOCI indexes under such tags.
pub(super) fn subject_of_tag(tag: &str) -> Option<Digest> {
    tag.strip_prefix("sha256-")?.get(..64).and_then(Digest::from_hex)
}
