//! What `BatchDeleteImage` is asked, and what its answer means.

use coalmine_pipeline::Digest;

use super::Deletion;

/// One of at most 100 `imageIds`.
///
/// An untagged image is named by its digest. A tagged one is named once per tag, each time by digest *and* tag. That
/// form loses least, whatever happens between the last look and the call:
///
/// | | by digest | by tag | by both |
/// |---|---|---|---|
/// | a tag was added | the image goes, with the new tag | it stays under the new tag | it stays under the new tag (\*) |
/// | a tag was moved to another image | the old image goes, as planned | **the other image** loses its tag, or goes | refused: tag and digest do not match |
///
/// AWS documents that a digest deletes the image with all of its tags, a tag only the tag, and the image with its last
/// one, and that both have to match. It does not say which of the two ways a pair goes. If it goes the digest's way,
/// (\*) is as in the first column: never worse than by digest. If it goes the tag's way, it is better. That the pair is
/// not checked would contradict the documentation (`ImageTagDoesNotMatchDigest`), and the last look, which saw this
/// very tag on this very image, bounds that reading to what moves in a second. An untagged image has no tag to be
/// checked: what is tagged in that second goes, by any form that AWS has.
///
/// The first pair may delete the image with all tags: then the others are answered `ImageNotFound`, which is success.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    /// `imageDigest`
    pub digest: Digest,
    /// `imageTag`
    pub tag: Option<String>,
}

/// How a deletion is asked for.
pub fn identifiers(deletion: &Deletion) -> Vec<Identifier> {
    let digest = deletion.digest;
    if deletion.tags.is_empty() {
        return vec![Identifier { digest, tag: None }];
    }
    deletion.tags.iter().map(|tag| Identifier { digest, tag: Some(tag.clone()) }).collect()
}

/// An answer of `BatchDeleteImage`, in its own words.
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

/// What became of an image that was to be deleted, or of one way to name it.
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

impl Reply {
    /// What the answer says of one of the identifiers that were sent. Failures come first: an image may be in both
    /// lists.
    pub fn outcome(&self, sent: &Identifier) -> Outcome {
        let failures = self.failures.iter().filter(|failure| is_about(&failure.digest, &failure.tag, sent));
        let failed = failures.map(of_failure).max_by_key(|outcome| match outcome {
            Outcome::Deleted => 0,
            Outcome::Gone => 1,
            Outcome::Later { .. } => 2,
            Outcome::Kept { .. } => 3,
        });
        let deleted = self.deleted.iter().any(|(digest, tag)| is_about(digest, tag, sent));
        match failed {
            Some(Outcome::Gone) if deleted => Outcome::Deleted,
            Some(failed) => failed,
            None if deleted => Outcome::Deleted,
            None => Outcome::Later { why: "BatchDeleteImage did not say what became of it".to_owned() },
        }
    }
}

/// Whether an entry of an answer is about an identifier. AWS names an image by what it was sent, by both names, or for
/// an image that it deleted as a whole once per tag.
fn is_about(digest: &Option<String>, tag: &Option<String>, sent: &Identifier) -> bool {
    let digest = digest.as_deref().map(Digest::parse);
    let is_digest = match &digest {
        Some(Ok(digest)) => Some(*digest == sent.digest),
        Some(Err(_)) => Some(false),
        None => None,
    };
    let is_tag = tag.as_ref().zip(sent.tag.as_ref()).map(|(tag, sent)| tag == sent);
    match (is_digest, is_tag) {
        (Some(digest), tag) => digest && tag.unwrap_or(true),
        (None, tag) => tag.unwrap_or(false),
    }
}

fn of_failure(failure: &Failure) -> Outcome {
    let Failure { code, reason, .. } = failure;
    match code.as_str() {
        "ImageNotFound" => Outcome::Gone,
        "ImageReferencedByManifestList" => Outcome::Kept { why: "an index that exists still lists it".to_owned() },
        "ImageTagDoesNotMatchDigest" => Outcome::Kept { why: "a tag of it was moved a moment ago".to_owned() },
        // Whatever else AWS says may have passed by the next run, and has to be told apart from what was kept on purpose.
        _ => Outcome::Later { why: format!("{code}: {reason}") },
    }
}
