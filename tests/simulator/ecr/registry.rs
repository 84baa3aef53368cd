//! Repositories and the images in them.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::Value;

use super::repositories::Tag;
use super::{Behaviour, manifest};

/// Whether a tag that exists may be moved to another image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mutability {
    /// Every tag.
    Mutable,
    /// None.
    Immutable,
    /// Every tag but those that match one of these wildcard filters (`release-*`).
    MutableWithExclusion(Vec<String>),
    /// None but those that match one of these wildcard filters (`latest`).
    ImmutableWithExclusion(Vec<String>),
}

impl Mutability {
    /// ECR's name for the kind.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Mutable => "MUTABLE",
            Self::Immutable => "IMMUTABLE",
            Self::MutableWithExclusion(_) => "MUTABLE_WITH_EXCLUSION",
            Self::ImmutableWithExclusion(_) => "IMMUTABLE_WITH_EXCLUSION",
        }
    }

    pub(crate) fn filters(&self) -> &[String] {
        match self {
            Self::Mutable | Self::Immutable => &[],
            Self::MutableWithExclusion(filters) | Self::ImmutableWithExclusion(filters) => filters,
        }
    }

    pub(crate) fn may_move(&self, tag: &str) -> bool {
        let excluded = self.filters().iter().any(|filter| matches(filter, tag));
        match self {
            Self::Mutable | Self::MutableWithExclusion(_) => !excluded,
            Self::Immutable | Self::ImmutableWithExclusion(_) => excluded,
        }
    }
}

/// Whether a wildcard filter, in which `*` stands for any characters, matches all of a text.
fn matches(filter: &str, text: &str) -> bool {
    match filter.split_once('*') {
        None => filter == text,
        Some((start, rest)) => text
            .strip_prefix(start)
            .is_some_and(|text| (0..=text.len()).any(|at| text.get(at..).is_some_and(|text| matches(rest, text)))),
    }
}

/// The storage state of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Can be pulled.
    Active,
    /// In the archive class: kept, but cannot be pulled.
    Archived,
    /// On its way back from the archive.
    Activating,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Archived => "ARCHIVED",
            Self::Activating => "ACTIVATING",
        }
    }
}

/// What a manifest's text says.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// One architecture's image (`None`: something else, an attestation for instance).
    Image { architecture: Option<String> },
    /// An index: architecture (`None`: an attestation) and digest of each child.
    Index { children: Vec<(Option<String>, String)> },
}

impl Kind {
    /// What an index names; nothing for an image.
    pub(crate) fn children(&self) -> &[(Option<String>, String)] {
        match self {
            Self::Image { .. } => &[],
            Self::Index { children } => children,
        }
    }
}

/// One manifest in a repository, with what ECR knows of it.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) manifest: String,
    pub(crate) media_type: String,
    pub(crate) artifact_media_type: Option<String>,
    pub(crate) kind: Kind,
    /// Compressed bytes; of an index, those of its largest child.
    pub(crate) size: u64,
    pub(crate) subject: Option<String>,
    pub(crate) pushed_at: SystemTime,
    /// The last pull.
    pub(crate) pulled_at: Option<SystemTime>,
    /// The last pull that was recorded when `pulled_at` came.
    pub(crate) recorded_pull: Option<SystemTime>,
    pub(crate) status: Status,
    pub(crate) archived_at: Option<SystemTime>,
    pub(crate) activated_at: Option<SystemTime>,
    pub(crate) behaviour: Behaviour,
}

/// A repository. Images by digest, tags as pointers to them.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    pub(crate) mutability: Mutability,
    pub(crate) created_at: SystemTime,
    pub(crate) scan_on_push: bool,
    /// Encryption type and KMS key.
    pub(crate) encryption: (String, Option<String>),
    pub(crate) images: BTreeMap<String, Image>,
    pub(crate) tags: BTreeMap<String, String>,
    /// Configurations by digest: they say which architecture a manifest is for.
    pub(crate) configs: BTreeMap<String, String>,
    /// Blobs that are coming in, by upload id.
    pub(crate) uploads: BTreeMap<String, Vec<u8>>,
    pub(crate) policy: Option<String>,
    pub(crate) lifecycle: Option<String>,
    pub(crate) repository_tags: Vec<Tag>,
}

impl Repository {
    pub(crate) fn new(mutability: Mutability, created_at: SystemTime) -> Self {
        Self {
            mutability,
            created_at,
            scan_on_push: false,
            encryption: ("AES256".to_owned(), None),
            images: BTreeMap::new(),
            tags: BTreeMap::new(),
            configs: BTreeMap::new(),
            uploads: BTreeMap::new(),
            policy: None,
            lifecycle: None,
            repository_tags: Vec::new(),
        }
    }

    /// The tags of an image, sorted.
    pub(crate) fn tags_of(&self, digest: &str) -> Vec<String> {
        self.tags.iter().filter(|(_, named)| *named == digest).map(|(tag, _)| tag.clone()).collect()
    }

    /// The tags of all images that have any, sorted, by digest.
    pub(crate) fn tags_by_digest(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (tag, digest) in &self.tags {
            all.entry(digest).or_default().push(tag);
        }
        all
    }

    /// The digest that a digest, or else a tag, names.
    pub(crate) fn resolve(&self, digest: Option<&str>, tag: Option<&str>) -> Option<&str> {
        let digest = match digest {
            Some(digest) => digest,
            None => self.tags.get(tag?)?,
        };
        self.images.get_key_value(digest).map(|(digest, _)| digest.as_str())
    }

    /// Reads a manifest's text. `Err`: what is wrong with it.
    pub(crate) fn read(&self, text: &str, media_type: Option<&str>) -> Result<(String, Kind, u64, Value), Unreadable> {
        let value: Value = serde_json::from_str(text).map_err(|_| Unreadable::NotAManifest)?;
        let media_type = value
            .get("mediaType")
            .and_then(Value::as_str)
            .or(media_type)
            .map(str::to_owned)
            .ok_or(Unreadable::NotAManifest)?;
        if let Some(manifests) = value.get("manifests").and_then(Value::as_array) {
            let mut children = Vec::new();
            for child in manifests {
                let digest = child.get("digest").and_then(Value::as_str).ok_or(Unreadable::NotAManifest)?;
                if !self.images.contains_key(digest) {
                    return Err(Unreadable::MissingImage(digest.to_owned()));
                }
                children.push((architecture(child.get("platform")), digest.to_owned()));
            }
            let size = children.iter().filter_map(|(_, digest)| self.images.get(digest)).map(|image| image.size).max();
            return Ok((media_type, Kind::Index { children }, size.unwrap_or_default(), value));
        }
        let config = value.pointer("/config/digest").and_then(Value::as_str).ok_or(Unreadable::NotAManifest)?;
        let Some(text) = self.configs.get(config) else { return Err(Unreadable::MissingLayer(config.to_owned())) };
        let architecture = architecture(serde_json::from_str(text).ok().as_ref());
        let layers = value.get("layers").and_then(Value::as_array).ok_or(Unreadable::NotAManifest)?;
        let size = layers.iter().filter_map(|layer| layer.get("size")?.as_u64()).sum();
        Ok((media_type, Kind::Image { architecture }, size, value))
    }

    /// Takes in a manifest (of which `read` said what it is), or renews what is known of it; gives its digest.
    pub(crate) fn store(&mut self, text: &str, read: (String, Kind, u64, Value), at: SystemTime) -> &mut Image {
        let (media_type, kind, size, value) = read;
        let digest = manifest::digest(text.as_bytes());
        let image = self.images.entry(digest).or_insert_with(|| Image {
            manifest: text.to_owned(),
            media_type,
            artifact_media_type: value
                .get("artifactType")
                .or_else(|| value.pointer("/config/mediaType"))
                .and_then(Value::as_str)
                .map(str::to_owned),
            kind,
            size,
            subject: value.pointer("/subject/digest").and_then(Value::as_str).map(str::to_owned),
            pushed_at: at,
            pulled_at: None,
            recorded_pull: None,
            status: Status::Active,
            archived_at: None,
            activated_at: None,
            behaviour: Behaviour::Good,
        });
        // "Re-push restores at once".
        if image.status != Status::Active {
            image.status = Status::Active;
            image.activated_at = Some(at);
        }
        image
    }
}

/// Why a manifest is refused.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// Not JSON, or not of a kind that ECR takes.
    NotAManifest,
    /// An index names a manifest that is not in the repository.
    MissingImage(String),
    /// A manifest names a blob that was never uploaded.
    MissingLayer(String),
}

/// The `architecture` of a platform or a configuration, unless it is an attestation's.
fn architecture(of: Option<&Value>) -> Option<String> {
    let architecture = of?.get("architecture")?.as_str()?;
    (architecture != "unknown").then(|| architecture.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclusion_filters_turn_the_rule_round() {
        assert!(matches("*", "anything") && matches("v1.*", "v1.2") && matches("*-rc*", "v1-rc2"));
        assert!(!matches("v1.*", "v2.1") && !matches("latest", "latest2"));
        assert!(Mutability::ImmutableWithExclusion(vec!["latest".into()]).may_move("latest"));
        assert!(!Mutability::ImmutableWithExclusion(vec!["latest".into()]).may_move("v1"));
        assert!(!Mutability::MutableWithExclusion(vec!["v*".into()]).may_move("v1"));
    }
}
