//! An image's digest.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::mismatch::Mismatch;

const ALGORITHM: &str = "sha256:";

/// A sha256 digest, `sha256:` and 64 hexadecimal digits in lower case (ECS and ECR know no other algorithm).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// Reads `sha256:…`. Upper-case digits are taken and lowered: registries compare digests as lower-case text, and a
    /// digest that compares unequal for its case alone would leave a needed image unprotected.
    ///
    /// # Errors
    ///
    /// Another algorithm, or anything but exactly 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        match text.strip_prefix(ALGORITHM) {
            Some(hex) if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Ok(Self(text.to_ascii_lowercase()))
            }
            _ => Err(Mismatch::value(text, "a digest as sha256: and 64 hexadecimal digits")),
        }
    }

    /// The whole digest, `sha256:…`, 71 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve hexadecimal digits, for texts that people read.
    pub fn short(&self) -> &str {
        self.0.get(ALGORITHM.len()..ALGORITHM.len() + 12).unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Digest {
    type Err = Mismatch;

    fn from_str(text: &str) -> Result<Self, Mismatch> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Digest {
    type Error = Mismatch;

    fn try_from(text: String) -> Result<Self, Mismatch> {
        Self::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}
