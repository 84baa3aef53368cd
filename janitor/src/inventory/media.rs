//! Media types of manifests.

use std::fmt;
use std::sync::Arc;

/// `imageManifestMediaType`. What is not known here is kept as it was written, and such an image is never deleted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaType {
    /// `application/vnd.oci.image.index.v1+json`
    OciIndex,
    /// `application/vnd.docker.distribution.manifest.list.v2+json`
    DockerList,
    /// `application/vnd.oci.image.manifest.v1+json`
    OciManifest,
    /// `application/vnd.docker.distribution.manifest.v2+json`
    DockerManifest,
    /// `application/vnd.docker.distribution.manifest.v1+prettyjws`, and the unsigned form of it
    DockerSchema1,
    /// `DescribeImages` did not say, or two pages said different things.
    Absent,
    /// Any other.
    Other(Arc<str>),
}

impl MediaType {
    const KNOWN: [(Self, &str); 6] = [
        (Self::OciIndex, "application/vnd.oci.image.index.v1+json"),
        (Self::DockerList, "application/vnd.docker.distribution.manifest.list.v2+json"),
        (Self::OciManifest, "application/vnd.oci.image.manifest.v1+json"),
        (Self::DockerManifest, "application/vnd.docker.distribution.manifest.v2+json"),
        (Self::DockerSchema1, "application/vnd.docker.distribution.manifest.v1+prettyjws"),
        (Self::DockerSchema1, "application/vnd.docker.distribution.manifest.v1+json"),
    ];

    /// Reads AWS's word.
    pub fn of(word: Option<&str>) -> Self {
        let Some(word) = word else { return Self::Absent };
        let known = Self::KNOWN.into_iter().find(|(_, name)| *name == word);
        known.map_or_else(|| Self::Other(word.into()), |(known, _)| known)
    }

    /// Whether it certainly is an index.
    pub fn is_index(&self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerList)
    }

    /// Whether the manifest may list others: an index, and whatever is not known. Such manifests have to be read.
    pub fn may_have_children(&self) -> bool {
        !matches!(self, Self::OciManifest | Self::DockerManifest | Self::DockerSchema1)
    }

    /// Whether it is not known what an image of this type is.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Absent | Self::Other(_))
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("no media type"),
            Self::Other(name) => f.write_str(name),
            known => {
                let name = Self::KNOWN.iter().find(|(this, _)| this == known).map_or("", |(_, name)| name);
                f.write_str(name)
            }
        }
    }
}
