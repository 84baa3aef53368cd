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
    /// From keepers to what they keep.
    kept: Bonds,
    /// From what is kept to its keepers.
    keepers: Bonds,
    /// Images whose manifest would have to be read.
    pub(super) unread: Vec<u32>,
    /// Images whose manifest cannot be read, so that any image may be their child.
    pub(super) unreadable: Vec<u32>,
}

/// Bonds in one direction: those of image `n` stand from `first[n]` to `first[n + 1]`.
#[derive(Debug, Default)]
struct Bonds {
    first: Vec<u32>,
    to: Vec<(u32, Bond)>,
}

impl Bonds {
    /// Of bonds that are sorted by where they begin.
    fn new(images: usize, bonds: &[(u32, u32, Bond)]) -> Self {
        let mut first = vec![0; images + 1];
        for (from, ..) in bonds {
            first[*from as usize + 1] += 1;
        }
        for at in 1..first.len() {
            first[at] += first[at - 1];
        }
        Self { first, to: bonds.iter().map(|(_, to, bond)| (*to, *bond)).collect() }
    }

    fn of(&self, from: u32) -> impl Iterator<Item = (u32, Bond)> {
        let bounds = self.first.get(from as usize).zip(self.first.get(from as usize + 1));
        let (begin, end) = bounds.map_or((0, 0), |(begin, end)| (*begin as usize, *end as usize));
        self.to[begin..end].iter().copied()
    }
}

impl Graph {
    pub(super) fn new(images: &Images, manifests: &Manifests) -> Self {
        let mut graph = Self::default();
        let mut bonds: Vec<(u32, u32, Bond)> = Vec::new();
        for (at, image) in (0_u32..).zip(images.iter()) {
            let mut bind = |keeper: u32, kept: u32, bond| {
                // Nothing keeps itself: a tag may name its own image.
                if keeper != kept {
                    bonds.push((keeper, kept, bond));
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
            let subjects = image
                .subject
                .as_deref()
                .copied()
                .into_iter()
                .chain(image.tags.iter().filter_map(|tag| subject_of_tag(tag)));
            subjects
                .filter_map(|subject| place(images, &subject))
                .for_each(|subject| bind(subject, at, Bond::Referrer));
        }
        bonds.sort_unstable();
        bonds.dedup();
        graph.kept = Bonds::new(images.len(), &bonds);
        for (keeper, kept, _) in &mut bonds {
            std::mem::swap(keeper, kept);
        }
        bonds.sort_unstable();
        graph.keepers = Bonds::new(images.len(), &bonds);
        graph
    }

    /// What an image keeps directly.
    pub(super) fn kept_by(&self, keeper: u32) -> impl Iterator<Item = (u32, Bond)> {
        self.kept.of(keeper)
    }

    /// What keeps an image directly.
    pub(super) fn keepers_of(&self, kept: u32) -> impl Iterator<Item = (u32, Bond)> {
        self.keepers.of(kept)
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

    /// Everything that these images keep, directly or not. `reach` is told of each image, its keeper and their bond,
    /// and answers whether the image is new to it: only from such ones it goes on.
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

fn place(images: &Images, digest: &Digest) -> Option<u32> {
    images.position(digest).and_then(|at| u32::try_from(at).ok())
}

/// The digest that a tag of the older convention is about: `sha256-<64 digits>`, followed by `.sig`, `.att`, `.sbom` or
/// anything else. Registries without referrers keep signatures, SBOMs and SOCI indexes under such tags.
pub(super) fn subject_of_tag(tag: &str) -> Option<Digest> {
    tag.strip_prefix("sha256-")?.get(..64).and_then(Digest::from_hex)
}
