//! Images as `DescribeImages` tells of them.

use std::num::NonZeroU64;

use chrono::{DateTime, Utc};
use coalmine_pipeline::Digest;

use super::MediaType;

/// An image of a repository (`DescribeImages`, `ImageDetail`). An index and each of its children are images of their
/// own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `imageDigest`.
    pub digest: Digest,
    /// `imageTags`, sorted; empty for an untagged image.
    pub tags: Box<[Box<str>]>,
    /// `imagePushedAt`.
    pub pushed: Option<DateTime<Utc>>,
    /// `lastRecordedPullTime`: up to a day late, and no measure of use. It may only protect.
    pub pulled: Option<DateTime<Utc>>,
    /// `lastActivatedAt`: when it was last restored from the archive.
    pub activated: Option<DateTime<Utc>>,
    /// `imageStatus`.
    pub status: Status,
    /// `imageSizeInBytes`: of an index, the largest of its children. An image of no bytes is one of unknown size.
    pub size_bytes: Option<NonZeroU64>,
    /// `imageManifestMediaType`.
    pub media_type: MediaType,
    /// `subjectManifestDigest`: what a signature or SBOM is about. Most images have none, and a registry has a million.
    pub subject: Option<Box<Digest>>,
}

/// `imageStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It can be pulled. Also what an absent `imageStatus` means.
    Active,
    /// In the archive: it cannot be pulled before it is restored.
    Archived,
    /// Being restored.
    Activating,
    /// A status that AWS did not have when this was written.
    Unknown,
}

impl Status {
    /// Reads AWS's word.
    pub fn of(word: Option<&str>) -> Self {
        match word {
            None | Some("ACTIVE") => Self::Active,
            Some("ARCHIVED") => Self::Archived,
            Some("ACTIVATING") => Self::Activating,
            Some(_) => Self::Unknown,
        }
    }
}

impl Image {
    /// The latest sign of life, what it was, and when: pushed, pulled or activated. `None` without a push time: then
    /// the image's age is not known.
    pub fn latest(&self) -> Option<(Life, DateTime<Utc>)> {
        let pushed = (Life::Pushed, self.pushed?);
        let others = [(Life::Pulled, self.pulled), (Life::Activated, self.activated)];
        let others = others.into_iter().filter_map(|(life, at)| Some((life, at?)));
        Some(others.fold(pushed, |latest, other| if other.1 > latest.1 { other } else { latest }))
    }
}

/// Signs of life of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Life {
    /// `imagePushedAt`
    Pushed,
    /// `lastRecordedPullTime`
    Pulled,
    /// `lastActivatedAt`
    Activated,
}

/// A repository's images, sorted by digest, each once.
///
/// Collecting them is where pages meet: the order of pages means nothing, and an image that was on two pages, because
/// it was tagged between them, is one image with both pages' tags and the later of both pages' dates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Images(Vec<Image>);

impl Images {
    /// The image with this digest.
    pub fn get(&self, digest: &Digest) -> Option<&Image> {
        self.position(digest).and_then(|at| self.0.get(at))
    }

    /// The image at a place.
    pub fn get_at(&self, at: u32) -> Option<&Image> {
        self.0.get(usize::try_from(at).ok()?)
    }

    /// Where the image with this digest stands.
    pub fn position(&self, digest: &Digest) -> Option<usize> {
        self.0.binary_search_by(|image| image.digest.cmp(digest)).ok()
    }
}

impl std::ops::Deref for Images {
    type Target = [Image];

    fn deref(&self) -> &[Image] {
        &self.0
    }
}

impl FromIterator<Image> for Images {
    fn from_iter<I: IntoIterator<Item = Image>>(images: I) -> Self {
        let mut sorted: Vec<Image> = images.into_iter().collect();
        for image in &mut sorted {
            image.tags.sort_unstable();
        }
        sorted.sort_by_key(|image| image.digest);
        sorted.dedup_by(|other, first| {
            let same = other.digest == first.digest;
            if same {
                merge(first, other);
            }
            same
        });
        sorted.shrink_to_fit();
        Self(sorted)
    }
}

/// Adds what a second page says of the same image.
fn merge(first: &mut Image, other: &Image) {
    let mut tags = std::mem::take(&mut first.tags).into_vec();
    tags.extend(other.tags.iter().cloned());
    tags.sort_unstable();
    tags.dedup();
    first.tags = tags.into_boxed_slice();
    first.pushed = first.pushed.zip(other.pushed).map(|(a, b)| a.max(b));
    first.pulled = first.pulled.max(other.pulled);
    first.activated = first.activated.max(other.activated);
    first.size_bytes = first.size_bytes.max(other.size_bytes);
    first.status = first.status.max(other.status);
    if first.media_type != other.media_type {
        first.media_type = MediaType::Absent;
    }
    first.subject = first.subject.take().max(other.subject.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(n: u8, tags: &[&str]) -> Image {
        Image {
            digest: Digest::from_bytes([n; 32]),
            tags: tags.iter().map(|tag| Box::from(*tag)).collect(),
            pushed: Some("2026-01-01T00:00:00Z".parse().unwrap()),
            pulled: None,
            activated: None,
            status: Status::Active,
            size_bytes: None,
            media_type: MediaType::OciManifest,
            subject: None,
        }
    }

    #[test]
    fn an_image_on_two_pages_is_one_image_with_all_that_both_say() {
        let pulled = "2026-05-01T00:00:00Z".parse().unwrap();
        let first = image(2, &["v2", "v1"]);
        let second = Image { pulled: Some(pulled), status: Status::Archived, ..image(2, &["v3", "v1"]) };
        let images: Images = [first.clone(), image(1, &[]), second.clone()].into_iter().collect();
        assert_eq!(images.iter().map(|image| image.digest).collect::<Vec<_>>(), [image(1, &[]).digest, first.digest]);
        assert_eq!(images[1].tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["v1", "v2", "v3"]);
        assert_eq!((images[1].pulled, images[1].status), (Some(pulled), Status::Archived));
        let turned: Images = [second, image(1, &[]), first].into_iter().collect();
        assert_eq!(images, turned);
    }

    #[test]
    fn what_two_pages_disagree_on_is_not_known() {
        let other = Image { media_type: MediaType::OciIndex, pushed: None, ..image(1, &[]) };
        let images: Images = [image(1, &[]), other].into_iter().collect();
        assert_eq!((&images[0].media_type, images[0].pushed, images[0].latest()), (&MediaType::Absent, None, None));
    }
}
