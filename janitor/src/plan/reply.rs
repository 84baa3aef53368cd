//! What BatchDeleteImage is asked, and what its answer means.

use coalmine_pipeline::Digest;

/// One of at most 100 `imageIds`.
///
/// An untagged image is named by its digest. A tagged one is named once per tag, each time by digest *and* tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    /// `imageDigest`
    pub digest: Digest,
    /// `imageTag`
    pub tag: Option<String>,
}

/// An answer of BatchDeleteImage, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// `imageIds`: digest and tag as AWS wrote them.
    pub deleted: Vec<(Option<String>, Option<String>)>,
    /// `failures[]`, which come with HTTP 200.
    pub failures: Vec<Failure>,
}

/// An entry of `failures[]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failure {
    /// `imageId.imageDigest`
    pub digest: Option<String>,
    /// `imageId.imageTag`
    pub tag: Option<String>,
    /// `failureCode`
    pub code: String,
    /// `failureReason`
    pub reason: String,
}

/// What became of an image that was to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// AWS says that it deleted all that was asked.
    Deleted,
    /// It was gone before.
    Gone,
    /// It stays: AWS refused, or the last look did, or what has to go before it stayed.
    Kept {
        /// For people.
        why: String,
    },
    /// It may work later: throttled, unavailable, or no word of it in the answer.
    Later {
        /// For people.
        why: String,
    },
}
