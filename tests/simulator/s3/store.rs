//! Buckets and the versions of their objects.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// The version id of an object in a bucket without versioning.
const UNVERSIONED: &str = "null";

/// All buckets.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(super) buckets: BTreeMap<String, Bucket>,
    /// Counts every put, so that each version has an id and a tag of its own.
    puts: u64,
}

/// One bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// When it was made.
    pub created: SystemTime,
    /// Whether versioning is enabled. Buckets made by [`State::put`] and [`State::create_bucket`] have it (a pipeline's
    /// source needs it); those made by `CreateBucket` do not, as at AWS.
    pub versioned: bool,
    /// ARN of the KMS key that encrypts its objects, where it is not Amazon's own.
    pub kms_key: Option<String>,
    /// The versions of each key, oldest first; `None` is a delete marker.
    pub(super) objects: BTreeMap<String, Vec<Version>>,
}

/// One version of an object.
#[derive(Clone, Debug)]
pub struct Object {
    /// The content.
    pub body: Bytes,
    /// The quoted tag: 32 hex digits, changed with every put (as it is where objects are encrypted with KMS).
    pub etag: String,
    /// The version id; `null` in a bucket without versioning.
    pub version: String,
    /// When it was put.
    pub modified: SystemTime,
    /// The `Content-Type` it was put with.
    pub content_type: String,
    /// The `x-amz-meta-…` headers it was put with, by name without that prefix.
    pub metadata: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub(super) enum Version {
    Object(Object),
    DeleteMarker { version: String },
}

impl Version {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Object(object) => &object.version,
            Self::DeleteMarker { version } => version,
        }
    }

    pub(super) fn object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            Self::DeleteMarker { .. } => None,
        }
    }
}

impl Bucket {
    /// The current version of an object; `None` where there is none or it is deleted.
    #[must_use]
    pub fn object(&self, key: &str) -> Option<&Object> {
        self.objects.get(key)?.last()?.object()
    }

    /// The keys of all current objects, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.objects
            .iter()
            .filter(|(_, versions)| versions.last().is_some_and(|last| last.object().is_some()))
            .map(|(key, _)| key.as_str())
    }
}

impl State {
    /// Makes a bucket with versioning, as its owner would; one that exists stays as it is.
    pub fn create_bucket(&mut self, bucket: &str, at: SystemTime) {
        self.buckets.entry(bucket.to_owned()).or_insert_with(|| Bucket {
            created: at,
            versioned: true,
            kms_key: None,
            objects: BTreeMap::new(),
        });
    }

    /// Encrypts what is in a bucket with a KMS key.
    pub fn encrypt(&mut self, bucket: &str, kms_key: &str) {
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            bucket.kms_key = Some(kms_key.to_owned());
        }
    }

    /// A bucket.
    #[must_use]
    pub fn bucket(&self, bucket: &str) -> Option<&Bucket> {
        self.buckets.get(bucket)
    }

    /// Writes an object as its owner would, creating the bucket where it is missing; gives the new version.
    ///
    /// A pipeline that has this object as its source learns of it by [`crate::World::source_changed`].
    pub fn put(&mut self, bucket: &str, key: &str, body: Bytes, at: SystemTime) -> Object {
        self.create_bucket(bucket, at);
        self.put_with(bucket, key, body, at, "binary/octet-stream".to_owned(), BTreeMap::new())
    }

    pub(super) fn put_with(
        &mut self,
        bucket: &str,
        key: &str,
        body: Bytes,
        at: SystemTime,
        content_type: String,
        metadata: BTreeMap<String, String>,
    ) -> Object {
        let (etag, version) = self.marks(bucket, key, &body);
        let mut object = Object { body, etag, version, modified: at, content_type, metadata };
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            let versions = bucket.objects.entry(key.to_owned()).or_default();
            if !bucket.versioned {
                object.version = UNVERSIONED.to_owned();
                versions.retain(|version| version.id() != UNVERSIONED);
            }
            versions.push(Version::Object(object.clone()));
        }
        object
    }

    /// Reads the current version of an object.
    #[must_use]
    pub fn get(&self, bucket: &str, key: &str) -> Option<&Object> {
        self.buckets.get(bucket)?.object(key)
    }

    /// Reads one version of an object.
    #[must_use]
    pub fn get_version(&self, bucket: &str, key: &str, version: &str) -> Option<&Object> {
        self.buckets.get(bucket)?.objects.get(key)?.iter().find(|found| found.id() == version)?.object()
    }

    /// Deletes the current version, leaving a marker where the bucket has versioning. Gives the marker's version id.
    pub fn delete(&mut self, bucket: &str, key: &str) -> Option<String> {
        let (_, version) = self.marks(bucket, key, b"");
        let bucket = self.buckets.get_mut(bucket)?;
        if bucket.versioned {
            let marker = Version::DeleteMarker { version: version.clone() };
            bucket.objects.entry(key.to_owned()).or_default().push(marker);
            return Some(version);
        }
        bucket.objects.remove(key);
        None
    }

    /// Deletes one version for good. Gives whether it was a delete marker.
    pub(super) fn delete_version(&mut self, bucket: &str, key: &str, version: &str) -> bool {
        let Some(bucket) = self.buckets.get_mut(bucket) else { return false };
        let Some(versions) = bucket.objects.get_mut(key) else { return false };
        let marker = versions.iter().any(|found| found.id() == version && found.object().is_none());
        versions.retain(|found| found.id() != version);
        if versions.is_empty() {
            bucket.objects.remove(key);
        }
        marker
    }

    /// A quoted tag and a version id of 32 characters, unlike all others, and the same in every run.
    fn marks(&mut self, bucket: &str, key: &str, body: &[u8]) -> (String, String) {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
        self.puts += 1;
        let place = format!("{bucket}/{key}/{}/", self.puts);
        let tag = Sha256::new().chain_update(&place).chain_update(body).finalize();
        let version = Sha256::new().chain_update("version/").chain_update(&place).finalize();
        let etag = tag.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>();
        let version = version.iter().map(|byte| char::from(LETTERS[usize::from(byte % 64)])).collect();
        (format!("\"{etag}\""), version)
    }
}
