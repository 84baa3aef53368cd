//! What the manifest of an index says: its children.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use coalmine_pipeline::Digest;
use serde::{Deserialize, Serialize};

/// Manifests by digest. A digest names one content for ever, so these may be cached for ever, across repositories.
pub type Manifests = HashMap<Digest, Manifest>;

/// What is known of the manifest of an image that may have children
/// ([`MediaType::may_have_children`](super::MediaType::may_have_children)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manifest {
    /// It lists these; a manifest that lists none is a leaf. Shared, because what is kept between runs has them as well.
    Read(Arc<[Child]>),
    /// It was asked for and cannot be read, for instance because the image is archived. Its repository is frozen,
    /// because any image of it may be a child. Such an answer is not for ever: ask again in the next run.
    Unreadable(String),
}

/// A descriptor in an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// The child's digest.
    pub digest: Digest,
    /// `os/architecture[/variant]`; `unknown/unknown` for an attestation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Arc<str>>,
}

/// One copy of each platform that a million children share.
#[derive(Debug, Clone, Default)]
pub struct Names(HashSet<Arc<str>>);

impl Names {
    /// The one copy of `text`.
    pub fn get(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.0.insert(Arc::clone(&new));
        new
    }
}

/// Reads the text of a manifest (`BatchGetImage`, `imageManifest`).
///
/// A digest in it that is not understood makes the whole manifest unreadable: a child that is overlooked could be
/// deleted.
pub fn read_manifest(text: &str, names: &mut Names) -> Manifest {
    #[derive(Deserialize)]
    struct Index {
        #[serde(default)]
        manifests: Vec<Descriptor>,
    }
    #[derive(Deserialize)]
    struct Descriptor {
        digest: Digest,
        platform: Option<Platform>,
    }
    #[derive(Deserialize)]
    struct Platform {
        #[serde(default)]
        os: String,
        #[serde(default)]
        architecture: String,
        #[serde(default)]
        variant: String,
    }
    // Serde would take a list for a struct, and this one for an index without children.
    if !text.trim_start().starts_with('{') {
        return Manifest::Unreadable("its manifest is no JSON object".to_owned());
    }
    let index: Index = match serde_json::from_str(text) {
        Ok(index) => index,
        Err(error) => return Manifest::Unreadable(format!("its manifest is not understood: {error}")),
    };
    let children = index.manifests.into_iter().map(|descriptor| Child {
        digest: descriptor.digest,
        platform: descriptor.platform.map(|Platform { os, architecture, variant }| {
            let variant = if variant.is_empty() { variant } else { format!("/{variant}") };
            names.get(&format!("{os}/{architecture}{variant}"))
        }),
    });
    Manifest::Read(children.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Manifest {
        read_manifest(text, &mut Names::default())
    }

    #[test]
    fn reads_the_children_of_an_index_with_their_platforms() {
        let hex = "ab".repeat(32);
        let text = format!(
            r#"{{"schemaVersion": 2, "manifests": [
                {{"digest": "sha256:{hex}", "size": 1, "platform": {{"os": "linux", "architecture": "arm64", "variant": "v8"}}}},
                {{"digest": "sha256:{hex}", "annotations": {{}}}}]}}"#
        );
        let Manifest::Read(children) = read(&text) else { panic!("it can be read") };
        let platforms: Vec<Option<&str>> = children.iter().map(|child| child.platform.as_deref()).collect();
        assert_eq!(platforms, [Some("linux/arm64/v8"), None]);
        assert_eq!(children[0].digest.hex(), hex);
    }

    #[test]
    fn a_manifest_without_a_list_is_a_leaf_and_what_is_not_understood_is_unreadable() {
        assert_eq!(read(r#"{"schemaVersion": 2, "layers": []}"#), Manifest::Read([].into()));
        for text in
            ["", "[]", r#"{"manifests": [{"digest": "sha512:00"}]}"#, r#"{"manifests": [{}]}"#, r#"{"manifests": 1}"#]
        {
            assert!(matches!(read(text), Manifest::Unreadable(_)), "{text}");
        }
    }
}
