//! An image's digest.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::mismatch::Mismatch;

const ALGORITHM: &str = "sha256:";

/// A sha256 digest, `sha256:` and 64 hexadecimal digits in lower case (ECS and ECR know no other algorithm).
///
/// Kept as its 32 bytes: a registry has a million of them, and equal digests have to be equal whatever their case was.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// Reads `sha256:…`. Upper-case digits are taken and lowered: registries compare digests as lower-case text, and a
    /// digest that compares unequal for its case alone would leave a needed image unprotected.
    ///
    /// # Errors
    ///
    /// Another algorithm, or anything but exactly 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        text.strip_prefix(ALGORITHM)
            .and_then(Self::from_hex)
            .ok_or_else(|| Mismatch::value(text, "a digest as sha256: and 64 hexadecimal digits"))
    }

    /// The digest of 64 hexadecimal digits in any case, without `sha256:` before them; `None` for anything else.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Some(Self(bytes))
    }

    /// A digest of these bytes, as a hash function gives them.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 64 hexadecimal digits alone, in lower case.
    pub fn hex(&self) -> String {
        let mut text = String::with_capacity(64);
        self.push_hex(&mut text);
        text
    }

    /// The first twelve hexadecimal digits, for texts that people read.
    pub fn short(&self) -> String {
        let mut text = self.hex();
        text.truncate(12);
        text
    }

    fn push_hex(&self, text: &mut String) {
        for byte in self.0 {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).unwrap_or_default());
            }
        }
    }
}

/// The value of a hexadecimal digit.
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

impl Hash for Digest {
    /// Eight bytes of what is a hash itself tell digests apart as well as all of them.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [first, ..] = self.0.as_chunks::<8>().0 else { return };
        first.hash(state);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(ALGORITHM.len() + 64);
        text.push_str(ALGORITHM);
        self.push_hex(&mut text);
        f.pad(&text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
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
        digest.to_string()
    }
}
