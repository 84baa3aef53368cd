//! Simulated Amazon ECR: repositories, images, indexes, tags, and how an image behaves when it runs.
//!
//! ```text
//!   world.ecr.create_repository("app", Mutability::Immutable);
//!   let digest = world.ecr.push(ImageSpec::new("app", "v1", world.now));
//!   world.ecr.archive("app", "v1", world.now)?;
//! ```
//!
//! Operations: `DescribeRepositories`, `CreateRepository`, `DescribeImages`, `ListImages`, `BatchGetImage`, `PutImage`
//!. ecr 1.138 has no schema-based serde, so the codec is hand-written.

mod behaviour;
mod images;
mod manifest;
mod manifests;
mod pull;
mod registry;
mod repositories;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::SystemTime;

pub use behaviour::Behaviour;
use registry::{Image, Kind, Repository};
pub use registry::{Mutability, Status};

use crate::{Answer, ErrorReply};

/// All repositories of the account's private registry in its region.
#[derive(Clone, Debug)]
pub struct State {
    account: String,
    region: String,
    start: SystemTime,
    repositories: BTreeMap<String, Repository>,
}

/// What a puller gets for an image reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The digest the reference names: the index of a multi-architecture image, else the manifest.
    pub digest: String,
    /// The manifest for the architecture asked for; equal to `digest` where there is no index.
    pub platform_digest: String,
    /// How it behaves.
    pub behaviour: Behaviour,
}

/// An image to be pushed. Start from [`ImageSpec::new`] and change what matters:
/// `ImageSpec { behaviour: Behaviour::NeverHealthy, ..ImageSpec::new("app", "v2", now) }`.
#[derive(Clone, Debug)]
pub struct ImageSpec {
    /// The repository's name; it is created, MUTABLE, where it is missing.
    pub repository: String,
    /// The tags that the push sets; none makes an untagged image.
    pub tags: Vec<String>,
    /// The architectures, `arm64`, `amd64`. More than one, or any with attestations, are pushed behind an index.
    pub architectures: Vec<String>,
    /// Whether each architecture gets an attestation manifest, as `docker buildx build` does by default.
    pub attestations: bool,
    /// How it behaves when it runs.
    pub behaviour: Behaviour,
    /// When it is pushed. It is part of the content, too: the same image pushed later is another one.
    pub pushed_at: SystemTime,
    /// Compressed bytes per architecture.
    pub size: u64,
}

impl ImageSpec {
    /// A good image for arm64 and amd64 behind an index, with attestations, 64 MiB each.
    #[must_use]
    pub fn new(repository: &str, tag: &str, pushed_at: SystemTime) -> Self {
        Self {
            repository: repository.to_owned(),
            tags: vec![tag.to_owned()],
            architectures: vec!["arm64".to_owned(), "amd64".to_owned()],
            attestations: true,
            behaviour: Behaviour::Good,
            pushed_at,
            size: 64 << 20,
        }
    }
}

impl State {
    pub(crate) fn new(account: &str, region: &str, start: SystemTime) -> Self {
        Self { account: account.to_owned(), region: region.to_owned(), start, repositories: BTreeMap::new() }
    }

    /// Creates a repository, or changes the mutability of one that exists.
    pub fn create_repository(&mut self, name: &str, mutability: Mutability) {
        let start = self.start;
        let repository =
            self.repositories.entry(name.to_owned()).or_insert_with(|| Repository::new(mutability.clone(), start));
        repository.mutability = mutability;
    }

    /// `ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME`, to which `:TAG` or `@DIGEST` is added.
    #[must_use]
    pub fn uri(&self, name: &str) -> String {
        format!("{}.dkr.ecr.{}.amazonaws.com/{name}", self.account, self.region)
    }

    /// Pushes an image as a build would, moving its tags (whatever the mutability says); gives the digest that its
    /// tags name: the index, or the manifest where there is no index.
    pub fn push(&mut self, spec: ImageSpec) -> String {
        let start = self.start;
        let repository = self
            .repositories
            .entry(spec.repository.clone())
            .or_insert_with(|| Repository::new(Mutability::Mutable, start));
        let images: Vec<(String, manifest::Built)> = spec
            .architectures
            .iter()
            .map(|architecture| {
                let (tags, behaviour) = (&spec.tags, &spec.behaviour);
                let built = manifest::image(&spec.repository, tags, architecture, behaviour, spec.pushed_at, spec.size);
                (architecture.clone(), built)
            })
            .collect();
        let attestations: Vec<(String, manifest::Built)> = images
            .iter()
            .filter(|_| spec.attestations)
            .map(|(_, built)| (built.digest.clone(), manifest::attestation(&built.digest)))
            .collect();
        let mut texts: Vec<String> = Vec::new();
        for (_, built) in images.iter().chain(&attestations) {
            repository.configs.insert(built.config.0.clone(), built.config.1.clone());
            texts.push(built.manifest.clone());
        }
        if texts.len() != 1 {
            texts.push(manifest::index(&images, &attestations));
        }
        let mut digest = String::new();
        for text in &texts {
            // What was built a few lines above is readable, and children come before their index.
            let Ok(read) = repository.read(text, None) else { continue };
            repository.store(text, read, spec.pushed_at).behaviour = spec.behaviour.clone();
            digest = manifest::digest(text.as_bytes());
        }
        for tag in spec.tags {
            repository.tags.insert(tag, digest.clone());
        }
        digest
    }

    /// Points a tag at an image (tag or digest), as an owner would who may move every tag.
    ///
    /// # Errors
    /// When there is no such repository or image.
    pub fn tag(&mut self, repository: &str, image: &str, tag: &str) -> Answer<()> {
        let digest = self.digest(repository, image)?;
        self.repository_mut(repository)?.tags.insert(tag.to_owned(), digest);
        Ok(())
    }

    /// Moves an image (tag or digest), with the children of an index, into the archive class.
    ///
    /// # Errors
    /// When there is no such repository or image.
    pub fn archive(&mut self, repository: &str, image: &str, at: SystemTime) -> Answer<()> {
        self.each(repository, image, |image| {
            image.status = Status::Archived;
            image.archived_at = Some(at);
        })
    }

    /// Brings an archived image back at once.
    ///
    /// # Errors
    /// When there is no such repository or image.
    pub fn restore(&mut self, repository: &str, image: &str, at: SystemTime) -> Answer<()> {
        self.each(repository, image, |image| {
            image.status = Status::Active;
            image.activated_at = Some(at);
        })
    }

    /// Records that an image was pulled.
    ///
    /// # Errors
    /// When there is no such repository or image.
    pub fn pulled(&mut self, repository: &str, image: &str, at: SystemTime) -> Answer<()> {
        self.each(repository, image, |image| image.pulled_at = Some(at))
    }

    /// Changes how an image, with the children of an index, behaves from its next start on.
    ///
    /// # Errors
    /// When there is no such repository or image.
    pub fn behave(&mut self, repository: &str, image: &str, behaviour: Behaviour) -> Answer<()> {
        self.each(repository, image, |image| image.behaviour = behaviour.clone())
    }

    /// Deletes one image (tag or digest) and all its tags; the children of an index stay, as they do at AWS.
    ///
    /// # Errors
    /// When there is no such repository or image.
    pub fn delete(&mut self, repository: &str, image: &str) -> Answer<()> {
        let digest = self.digest(repository, image)?;
        let repository = self.repository_mut(repository)?;
        repository.images.remove(&digest);
        repository.tags.retain(|_, named| *named != digest);
        Ok(())
    }

    /// The digest of an image (tag or digest).
    ///
    /// # Errors
    /// When there is no such repository or image.
    pub fn digest(&self, repository: &str, image: &str) -> Answer<String> {
        let (digest, tag) = if image.starts_with("sha256:") { (Some(image), None) } else { (None, Some(image)) };
        let found = self.repository(repository)?.resolve(digest, tag).map(str::to_owned);
        found.ok_or_else(|| self.image_not_found(repository, digest, tag))
    }

    /// The children of an index, architecture (`None`: an attestation) and digest; empty for any other image.
    ///
    /// # Errors
    /// When there is no such repository or image.
    pub fn children(&self, repository: &str, image: &str) -> Answer<Vec<(Option<String>, String)>> {
        let digest = self.digest(repository, image)?;
        Ok(match self.repository(repository)?.images.get(&digest).map(|image| &image.kind) {
            Some(Kind::Index { children }) => children.clone(),
            _ => Vec::new(),
        })
    }

    fn each(&mut self, repository: &str, image: &str, change: impl Fn(&mut Image)) -> Answer<()> {
        let digest = self.digest(repository, image)?;
        let children = self.children(repository, &digest)?;
        let images = &mut self.repository_mut(repository)?.images;
        for digest in children.iter().map(|(_, child)| child).chain([&digest]) {
            if let Some(image) = images.get_mut(digest) {
                change(image);
            }
        }
        Ok(())
    }

    fn repository(&self, name: &str) -> Answer<&Repository> {
        self.repositories.get(name).ok_or_else(|| self.repository_not_found(name))
    }

    fn repository_mut(&mut self, name: &str) -> Answer<&mut Repository> {
        let error = self.repository_not_found(name);
        self.repositories.get_mut(name).ok_or(error)
    }

    fn repository_not_found(&self, name: &str) -> ErrorReply {
        let registry = &self.account;
        ErrorReply::new(
            "RepositoryNotFoundException",
            format!("The repository with name '{name}' does not exist in the registry with id '{registry}'"),
        )
    }

    fn image_not_found(&self, repository: &str, digest: Option<&str>, tag: Option<&str>) -> ErrorReply {
        let or_null = |value: Option<&str>| value.unwrap_or("null").to_owned();
        ErrorReply::new(
            "ImageNotFoundException",
            format!(
                "The image with imageId {{imageDigest:'{}', imageTag:'{}'}} does not exist within the repository with name '{repository}' in the registry with id '{}'",
                or_null(digest),
                or_null(tag),
                self.account
            ),
        )
    }

    /// Only our own registry can be named.
    fn check_registry(&self, registry: Option<&str>, repository: &str) -> Answer<()> {
        match registry {
            Some(other) if other != self.account => Err(ErrorReply::new(
                "RepositoryNotFoundException",
                format!("The repository with name '{repository}' does not exist in the registry with id '{other}'"),
            )),
            _ => Ok(()),
        }
    }
}

/// `InvalidParameterException` in ECR's words.
fn invalid(member: &str, constraint: &str) -> ErrorReply {
    ErrorReply::new(
        "InvalidParameterException",
        format!("Invalid parameter at '{member}' failed to satisfy constraint: '{constraint}'"),
    )
}

/// `maxResults`, 1 to 1000, 100 where it is missing.
fn page_size(max_results: Option<i64>) -> Answer<usize> {
    match max_results.unwrap_or(100) {
        size @ 1..=1000 => Ok(usize::try_from(size).unwrap_or(100)),
        size if size > 1000 => Err(invalid("maxResults", "Member must have value less than or equal to 1000")),
        _ => Err(invalid("maxResults", "Member must have value greater than or equal to 1")),
    }
}

/// A member that must be there.
fn required(member: &str, value: Option<String>) -> Answer<String> {
    value.ok_or_else(|| invalid(member, "Member must not be null"))
}

/// A value that must be one of an enumeration's.
fn one_of(member: &str, value: &str, values: &[&str]) -> Answer<()> {
    if values.contains(&value) {
        return Ok(());
    }
    Err(invalid(member, &format!("Member must satisfy enum value set: [{}]", values.join(", "))))
}

crate::wire::json_operations! { dispatch:
    "DescribeRepositories" => repositories::describe,
    "CreateRepository" => repositories::create,
    "DescribeImages" => images::describe,
    "ListImages" => images::list,
    "BatchGetImage" => manifests::batch_get,
    "PutImage" => manifests::put,
}
