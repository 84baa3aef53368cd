//! From roots to the images that they keep.

use std::collections::HashMap;

use coalmine_pipeline::Digest;

use crate::in_use::{Referred, Registries, Root, Wanted};
use crate::inventory::Images;

/// What the roots come to in one repository, or in a registry.
#[derive(Debug, Default)]
pub(super) struct Aimed {
    /// Per repository, what is hit. An image may be hit several times.
    pub(super) hits: Vec<Vec<Hit>>,
    /// Per repository: roots that keep all of it.
    pub(super) whole: Vec<Vec<u32>>,
    /// Per repository: roots that are not understood, with what is wrong; `None` for those that may mean any.
    pub(super) unclear: Vec<(Option<u32>, u32, String)>,
    /// Roots that lead to nothing.
    pub(super) dangling: Vec<u32>,
}

/// A root that leads to an image, both by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    pub(super) image: u32,
    pub(super) root: u32,
    /// Whether AWS told the digest as the one that runs. For an index it does not document whether that is the index's
    /// own digest or a child's, so the indexes that list such an image are in use as well.
    pub(super) is_running: bool,
}

/// A repository to be aimed at.
pub(super) struct Target<'a> {
    pub(super) name: &'a str,
    /// `None` if it was not listed.
    pub(super) images: Option<&'a Images>,
    /// Image by tag, made when the first root asks.
    tags: Option<Vec<(&'a str, u32)>>,
}

impl<'a> Target<'a> {
    pub(super) fn new(name: &'a str, images: Option<&'a Images>) -> Self {
        Self { name, images, tags: None }
    }

    /// The images with a tag: one, or two where it was moved between two pages.
    fn tagged(&mut self, tag: &str) -> impl Iterator<Item = u32> {
        let images = self.images;
        let tags = self.tags.get_or_insert_with(|| {
            let images = images.map_or(&[][..], |images| images);
            let all = (0..).zip(images).flat_map(|(at, image)| image.tags.iter().map(move |tag| (&**tag, at)));
            let mut all: Vec<(&str, u32)> = all.collect();
            all.sort_unstable();
            all
        });
        let begin = tags.partition_point(|(this, _)| *this < tag);
        tags[begin..].iter().take_while(move |(this, _)| *this == tag).map(|(_, at)| *at)
    }

    fn digest(&self, digest: &Digest) -> Option<u32> {
        self.images?.position(digest).and_then(|at| u32::try_from(at).ok())
    }
}

/// Finds what each root keeps. `targets` are sorted by name.
pub(super) fn aim(roots: &[Root<'_>], registries: Registries<'_>, targets: &mut [Target<'_>]) -> Aimed {
    let mut aimed =
        Aimed { hits: vec![Vec::new(); targets.len()], whole: vec![Vec::new(); targets.len()], ..Aimed::default() };
    let mut anywhere: HashMap<Digest, u32> = HashMap::new();
    for (root, at) in roots.iter().zip(0_u32..) {
        match root.wanted {
            Wanted::Digest(text) => match Digest::parse(text) {
                Ok(digest) => {
                    anywhere.entry(digest).or_insert(at);
                }
                Err(wrong) => aimed.unclear.push((None, at, wrong.to_string())),
            },
            Wanted::Repository(name) => match targets.binary_search_by(|target| target.name.cmp(name)) {
                Ok(target) => aimed.whole[target].push(at),
                Err(_) => aimed.dangling.push(at),
            },
            Wanted::Image(text, running) => {
                let referred = registries.read(text);
                let running = running.map(Digest::parse);
                if let Some(Err(wrong)) = &running {
                    // A digest of another algorithm, or a text that AWS never wrote before.
                    if !matches!(referred, Referred::OtherRegistry { .. } | Referred::Elsewhere { .. }) {
                        aimed.unclear.push((None, at, wrong.to_string()));
                    }
                }
                let running = running.and_then(Result::ok);
                aimed.image(at, referred, running, targets, &mut anywhere);
            }
        }
    }
    aimed.digests_anywhere(&anywhere, targets);
    aimed
}

impl Aimed {
    fn image(
        &mut self,
        root: u32,
        referred: Referred,
        running: Option<Digest>,
        targets: &mut [Target<'_>],
        anywhere: &mut HashMap<Digest, u32>,
    ) {
        match referred {
            Referred::OtherRegistry { digest } | Referred::Elsewhere { digest } => {
                for digest in digest.into_iter().chain(running) {
                    anywhere.entry(digest).or_insert(root);
                }
            }
            Referred::Unclear { repository, why } => {
                let place = |name: &String| targets.binary_search_by(|target| target.name.cmp(name)).ok();
                match repository.as_ref().map(|name| place(name).and_then(|at| u32::try_from(at).ok())) {
                    None => self.unclear.push((None, root, why)),
                    Some(Some(at)) => self.unclear.push((Some(at), root, why)),
                    // It names a repository that does not exist.
                    Some(None) => self.dangling.push(root),
                }
                if let Some(digest) = running {
                    anywhere.entry(digest).or_insert(root);
                }
            }
            Referred::Image { repository, tag, digest, is_copy } => {
                // Of another registry only a digest says for certain which image it is, and that it may be anywhere.
                for digest in digest.into_iter().chain(running).filter(|_| is_copy) {
                    anywhere.entry(digest).or_insert(root);
                }
                let found = targets.binary_search_by(|target| target.name.cmp(&repository));
                let Some((at, target)) = found.ok().and_then(|at| Some((at, targets.get_mut(at)?))) else {
                    self.dangling.push(root);
                    return;
                };
                let hits = &mut self.hits[at];
                let mut is_missing = false;
                for (digest, is_running) in
                    digest.map(|digest| (digest, false)).into_iter().chain(running.map(|digest| (digest, true)))
                {
                    match target.digest(&digest) {
                        Some(image) => hits.push(Hit { image, root, is_running }),
                        None => is_missing = true,
                    }
                }
                if let Some(tag) = &tag {
                    let before = hits.len();
                    hits.extend(target.tagged(tag).map(|image| Hit { image, root, is_running: false }));
                    // A digest beside the tag is what gets pulled.
                    let is_unknown = digest.is_none() && hits.len() == before;
                    is_missing |= is_unknown;
                    if is_unknown && is_copy && target.images.is_some() {
                        let why =
                            format!("only its copy has the tag {tag}, so it may mean any image that deletions reach");
                        self.unclear.push((u32::try_from(at).ok(), root, why));
                    }
                }
                if is_missing && target.images.is_some() {
                    self.dangling.push(root);
                }
            }
        }
    }

    /// Digests that were told without a name of ours count wherever they are.
    fn digests_anywhere(&mut self, anywhere: &HashMap<Digest, u32>, targets: &[Target<'_>]) {
        if anywhere.is_empty() {
            return;
        }
        for (target, hits) in targets.iter().zip(&mut self.hits) {
            let images = target.images.map_or(&[][..], |images| images);
            let found = (0..).zip(images).filter_map(|(at, image)| Some((at, *anywhere.get(&image.digest)?)));
            hits.extend(found.map(|(image, root)| Hit { image, root, is_running: true }));
        }
    }
}
