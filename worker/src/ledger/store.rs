//! The one small interface that both kinds of ledger have.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use aws_types::SdkConfig;

use super::folder::Folder;
use super::s3::Bucket;
use crate::aws::AwsError;

/// The largest object that is read or written, 1 MiB: 400 held jobs with the longest tokens.
pub(super) const OBJECT_BYTES_MAX: usize = 1 << 20;

/// Where a ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// `s3://bucket/prefix`: shared by all workers.
    S3 {
        /// The bucket.
        bucket: String,
        /// The prefix of all keys, without slashes at its ends; may be empty.
        prefix: String,
    },
    /// `dir:PATH`: for one machine.
    Folder(PathBuf),
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
            // "Bucket naming rules", Amazon S3.
            if (3..=63).contains(&bucket.len()) && bucket.chars().all(legal) {
                return Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() });
            }
            return Err(format!(
                "`{bucket}` is no bucket name: expected 3 to 63 lower-case letters, digits, dots and hyphens"
            ));
        }
        match text.strip_prefix("dir:") {
            Some(path) if !path.is_empty() => Ok(Self::Folder(PathBuf::from(path))),
            _ => Err("expected s3://bucket/prefix or dir:PATH".to_owned()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Folder(path) => write!(f, "dir:{}", path.display()),
        }
    }
}

/// An object as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its content.
    pub body: Vec<u8>,
    /// Its version, for [`Condition::Unchanged`].
    pub version: String,
}

/// On what a write depends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There is no such object yet.
    New,
    /// The object has still this version.
    Unchanged(String),
}

/// Why the ledger did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The condition does not hold: somebody else wrote.
    #[error("{key} was changed by somebody else")]
    Changed {
        /// The object.
        key: String,
    },
    /// The object is larger than `OBJECT_BYTES_MAX`, 1 MiB.
    #[error("{key} has more than {OBJECT_BYTES_MAX} bytes")]
    TooLarge {
        /// The object.
        key: String,
    },
    /// S3 gave no answer, or no.
    #[error("the ledger in S3: {0}")]
    Aws(#[from] AwsError),
    /// The folder cannot be read or written.
    #[error("the ledger's file {path}: {problem}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        problem: std::io::Error,
    },
}

/// A ledger's objects.
#[derive(Clone, Debug)]
pub enum Store {
    /// In S3.
    S3(Bucket),
    /// In a folder.
    Folder(Folder),
}

impl Store {
    /// The store at a location.
    #[must_use]
    pub fn open(location: &Location, door: &SdkConfig) -> Self {
        match location {
            Location::S3 { bucket, prefix } => Self::S3(Bucket::new(door, bucket, prefix)),
            Location::Folder(path) => Self::Folder(Folder::new(path)),
        }
    }

    /// Reads an object; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is too large.
    pub async fn get(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        match self {
            Self::S3(bucket) => bucket.get(key).await,
            Self::Folder(folder) => folder.get(key),
        }
    }

    /// Writes an object if the condition holds; gives its new version.
    ///
    /// # Errors
    /// [`StoreError::Changed`] where the condition does not hold. After another error it may have been written.
    pub async fn put(&self, key: &str, body: Vec<u8>, condition: &Condition) -> Result<String, StoreError> {
        if body.len() > OBJECT_BYTES_MAX {
            return Err(StoreError::TooLarge { key: key.to_owned() });
        }
        match self {
            Self::S3(bucket) => bucket.put(key, body, condition).await,
            Self::Folder(folder) => folder.put(key, &body, condition),
        }
    }

    /// Deletes an object if it still has this version. That it is gone already is no error.
    ///
    /// # Errors
    /// [`StoreError::Changed`] where it has another version.
    pub async fn delete(&self, key: &str, version: &str) -> Result<(), StoreError> {
        match self {
            Self::S3(bucket) => bucket.delete(key, version).await,
            Self::Folder(folder) => folder.delete(key, version),
        }
    }

    /// The keys below a prefix (`workers/`), every one, in order.
    ///
    /// # Errors
    /// When the list cannot be read to its end.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        match self {
            Self::S3(bucket) => bucket.list(prefix).await,
            Self::Folder(folder) => folder.list(prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_read_and_shown() {
        for (text, shown) in [
            ("s3://coalmine-ledger/prod/", "s3://coalmine-ledger/prod"),
            ("s3://coalmine-ledger", "s3://coalmine-ledger/"),
            ("dir:/var/lib/coalmine", "dir:/var/lib/coalmine"),
        ] {
            assert_eq!(text.parse::<Location>().unwrap().to_string(), shown);
        }
        for wrong in ["", "dir:", "s3://", "s3://A_B/x", "/var/lib", "s3://ab/x"] {
            assert!(wrong.parse::<Location>().is_err(), "{wrong}");
        }
    }
}
