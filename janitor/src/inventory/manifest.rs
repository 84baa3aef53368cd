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
    /// It lists these; a manifest that lists none is a leaf.
    Read(Box<[Child]>),
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

/// One copy of each short text that a million images share: platforms, artifact types.
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

/// Reads the text of a manifest (BatchGetImage, `imageManifest`).
///
/// A digest in it that is not understood makes the whole manifest unreadable: a child that is overlooked could be deleted.
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
