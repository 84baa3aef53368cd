//! Small durable objects with conditional writes, in S3 or in a folder: the worker's ledger, the janitor's memory.

mod folder;
mod s3;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use aws_types::SdkConfig;

use crate::clock::Time;
use crate::error::AwsError;
use folder::Folder;
use s3::Bucket;

/// The longest prefix: S3's keys have at most 1,024 bytes, and the longest name below the prefix needs its place.
const PREFIX_BYTES_MAX: usize = 512;

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// `s3://bucket/prefix`: shared by all who may read it.
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
            let edges = bucket.starts_with(['.', '-']) || bucket.ends_with(['.', '-']) || bucket.contains("..");
            if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(legal) || edges {
                return Err(format!(
                    "{bucket:?} is no bucket name: expected 3 to 63 lower-case letters, digits, single dots and hyphens, letters or digits at both ends"
                ));
            }
            if prefix.len() > PREFIX_BYTES_MAX || prefix.chars().any(char::is_control) {
                return Err(format!(
                    "expected a prefix of at most {PREFIX_BYTES_MAX} bytes, without control characters"
                ));
            }
            return Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() });
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
    /// When it was written, where the store knows.
    pub written: Option<Time>,
}

/// An object as a list tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its version, where the list tells: a folder's does not.
    pub version: Option<String>,
    /// When it was written, where the store knows.
    pub written: Option<Time>,
}

/// On what a write depends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There is no such object yet.
    New,
    /// The object has still this version.
    Unchanged(String),
}

/// Why the store did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The condition does not hold: somebody else wrote.
    #[error("{key} was changed by somebody else")]
    Changed {
        /// The object.
        key: String,
    },
    /// The object is larger than the store's owner bears.
    #[error("{key} has more than {most} bytes")]
    TooLarge {
        /// The object.
        key: String,
        /// How large it may be, in bytes.
        most: usize,
    },
    /// S3 gave no answer, or no.
    #[error("the store in S3: {0}")]
    Aws(#[from] AwsError),
    /// The folder cannot be read or written.
    #[error("the store's file {path}: {problem}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        problem: std::io::Error,
    },
}

impl StoreError {
    /// What went wrong, without what AWS says in its own words.
    #[must_use]
    pub fn brief(&self) -> String {
        match self {
            Self::Aws(problem) => problem.brief(),
            other => other.to_string(),
        }
    }
}

/// A store's objects.
#[derive(Clone, Debug)]
pub struct Store {
    place: Place,
    /// The largest object that is written or read, in bytes.
    most: usize,
}

#[derive(Clone, Debug)]
enum Place {
    S3(Bucket),
    Folder(Folder),
}

impl Store {
    /// The store at a location, of objects of at most `most` bytes: larger ones are neither written nor read.
    #[must_use]
    pub fn open(location: &Location, door: &SdkConfig, most: usize) -> Self {
        let place = match location {
            Location::S3 { bucket, prefix } => Place::S3(Bucket::new(door, bucket, prefix)),
            Location::Folder(path) => Place::Folder(Folder::new(path)),
        };
        Self { place, most }
    }

    /// Reads an object; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is too large.
    pub async fn get(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        match &self.place {
            Place::S3(bucket) => bucket.get(key, self.most).await,
            Place::Folder(folder) => folder.get(key, self.most),
        }
    }

    /// Writes an object if the condition holds; gives its new version.
    ///
    /// # Errors
    /// [`StoreError::Changed`] where the condition does not hold, [`StoreError::TooLarge`] before anything is written.
    /// After another error it may have been written.
    pub async fn put(&self, key: &str, body: Vec<u8>, condition: &Condition) -> Result<String, StoreError> {
        if body.len() > self.most {
            return Err(StoreError::TooLarge { key: key.to_owned(), most: self.most });
        }
        match &self.place {
            Place::S3(bucket) => bucket.put(key, body, condition).await,
            Place::Folder(folder) => folder.put(key, &body, condition),
        }
    }

    /// Deletes an object if it still has this version: of several who try, one does it.
    ///
    /// # Errors
    /// [`StoreError::Changed`] where it has another version, or is gone.
    pub async fn delete(&self, key: &str, version: &str) -> Result<(), StoreError> {
        match &self.place {
            Place::S3(bucket) => bucket.delete(key, version).await,
            Place::Folder(folder) => folder.delete(key, version),
        }
    }

    /// Whether there is a store at all. A folder that nobody has made looks like an empty one; of S3 each call tells.
    #[must_use]
    pub fn is_there(&self) -> bool {
        match &self.place {
            Place::S3(_) => true,
            Place::Folder(folder) => folder.is_there(),
        }
    }

    /// The keys below a prefix, which is empty or ends in a slash (`workers/`): every one, at any depth, in order.
    ///
    /// # Errors
    /// When the list cannot be read to its end.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        Ok(self.list_dated(prefix).await?.into_iter().map(|listed| listed.key).collect())
    }

    /// The same, with what the store tells of each object beside its key.
    ///
    /// # Errors
    /// When the list cannot be read to its end.
    pub async fn list_dated(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        match &self.place {
            Place::S3(bucket) => bucket.list(prefix).await,
            Place::Folder(folder) => folder.list(prefix),
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
        for wrong in
            ["", "dir:", "s3://", "s3://A_B/x", "/var/lib", "s3://ab/x", "s3://-abc", "s3://a..b/x", "s3://abc/\n"]
        {
            assert!(wrong.parse::<Location>().is_err(), "{wrong}");
        }
    }
}
