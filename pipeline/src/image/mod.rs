//! One grammar for image references: `[host/]repository[:tag][@sha256:…]`.
//!
//! ```text
//! 123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/app:v7@sha256:0123…
//! └────────────── Name::Ecr (EcrRepository) ─────────┘└tag┘└─ Digest ─┘
//! docker.io/library/nginx:1
//! └──── Name::Other ────┘
//! ```
//!
//! The worker and the janitor read every reference through this parser, because two grammars that differ in one corner
//! would delete an image that a task still needs. General OCI parsers fill in what is absent (`docker.io`, `latest`) and
//! take algorithms and hosts that ECS does not; here a reference is what was written, and whatever names an ECR registry
//! in a form we do not know is an error, never a reference to somewhere else.

mod broken;
mod digest;
mod ecr;
mod grammar;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::broken::BrokenReference;
pub use self::digest::Digest;
pub use self::ecr::{EcrRepository, HostFamily};

use crate::limits::IMAGE_CHARS;
use crate::mismatch::Mismatch;

/// Where an image lives, without tag and digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// A repository in a private ECR registry.
    Ecr(EcrRepository),
    /// A repository anywhere else, as it was written: `nginx`, `docker.io/library/nginx`, `public.ecr.aws/nginx/nginx`.
    Other(String),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ecr(repository) => repository.fmt(f),
            Self::Other(name) => name.fmt(f),
        }
    }
}

/// A reference to an image. With neither tag nor digest it means whatever the registry calls `latest`.
///
/// As text (`Display`, serde) it is what was written, with an ECR host and a digest in lower case; that text parses
/// back to an equal reference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageReference {
    name: Name,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl ImageReference {
    /// Reads a reference. Nothing is trimmed, guessed or filled in.
    ///
    /// # Errors
    ///
    /// - a part that breaks its grammar: host, repository (ECR: `repositoryName`), tag (128 characters), digest;
    /// - a host that looks like ECR's but is none of [`HostFamily`]'s;
    /// - more than 255 characters before the digest (ECS: container definition, `image`).
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let length = named.chars().count();
        if length > IMAGE_CHARS {
            let expected = format!("at most {IMAGE_CHARS} characters before the digest, as ECS does");
            return Err(Mismatch::new(format!("an image reference of {length} characters"), expected));
        }
        let path_start = named.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match named[path_start..].find(':') {
            Some(colon) => (&named[..path_start + colon], Some(&named[path_start + colon + 1..])),
            None => (named, None),
        };
        let name = parse_name(name, text)?;
        if let Some(tag) = tag.filter(|tag| !grammar::is_tag(tag)) {
            return Err(Mismatch::value(tag, "a tag of 1 to 128 letters, digits, _ . - that starts with none of . -"));
        }
        Ok(Self { name, tag: tag.map(str::to_owned), digest })
    }

    /// Where the image lives.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The ECR repository, or `None` for an image that lives elsewhere.
    pub fn ecr(&self) -> Option<&EcrRepository> {
        match &self.name {
            Name::Ecr(repository) => Some(repository),
            Name::Other(_) => None,
        }
    }

    /// The repository without its host: `shop/app`, `library/nginx`.
    pub fn repository(&self) -> &str {
        match &self.name {
            Name::Ecr(ecr) => &ecr.repository,
            Name::Other(name) => grammar::split_host(name).1,
        }
    }

    /// The tag that was written, 1–128 characters.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest that was written.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same reference pinned to `digest`; the tag stays.
    #[must_use]
    pub fn with_digest(self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self }
    }

    /// The same reference with no tag: `repository@sha256:…` where there is a digest.
    #[must_use]
    pub fn without_tag(self) -> Self {
        Self { tag: None, ..self }
    }
}

/// Reads the part before tag and digest; `text` is the whole reference, for the message.
fn parse_name(name: &str, text: &str) -> Result<Name, Mismatch> {
    let (host, repository) = grammar::split_host(name);
    if let Some(host) = host {
        if let Some(ecr) = ecr::parse_host(host, repository)? {
            return Ok(Name::Ecr(ecr));
        }
        if !grammar::is_host(host) {
            return Err(Mismatch::value(host, "a registry's host name, with a port or without, and no scheme"));
        }
    }
    if host.is_none() && ecr::looks_like_ecr(name) {
        return Err(Mismatch::value(name, "a repository after the host of the ECR registry"));
    }
    if !grammar::is_repository(repository) {
        let expected = "an image as host/repository:tag or host/repository@sha256:…, the repository in lower case";
        return Err(Mismatch::value(text, expected));
    }
    Ok(Name::Other(name.to_owned()))
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl std::str::FromStr for ImageReference {
    type Err = Mismatch;

    fn from_str(text: &str) -> Result<Self, Mismatch> {
        Self::parse(text)
    }
}

impl TryFrom<String> for ImageReference {
    type Error = Mismatch;

    fn try_from(text: String) -> Result<Self, Mismatch> {
        Self::parse(&text)
    }
}

impl From<ImageReference> for String {
    fn from(reference: ImageReference) -> Self {
        reference.to_string()
    }
}
