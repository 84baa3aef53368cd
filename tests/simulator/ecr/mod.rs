//! Simulated Amazon ECR: repositories, images, indexes, tags, and how an image behaves when it runs.
//!
//! ```text
//!   world.ecr.create_repository("app", Mutability::Immutable);
//!   let digest = world.ecr.push(ImageSpec::new("app", "v1", world.now));
//!   world.ecr.archive("app", "v1", world.now)?;
//! ```
//!
//! ecr 1.138 has no schema-based serde, so the codec is hand-written. Nothing is replicated and no lifecycle policy is
//! carried out.

mod behaviour;
mod deletion;
mod images;
mod layers;
mod manifest;
mod manifests;
mod policies;
mod pull;
mod referrers;
mod registry;
mod repositories;
mod setup;
mod storage;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

pub use behaviour::Behaviour;
use registry::{Image, Repository};
pub use registry::{Mutability, Status};
pub(crate) use storage::happen;

use crate::{Answer, ErrorReply};

/// How often ECR brings `lastRecordedPullTime` up to date: "at least once every 24 hours".
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// All repositories of the account's private registry in its region.
#[derive(Clone, Debug)]
pub struct State {
    /// Whether `BatchGetImage` moves the pull time. AWS's documents do not say; a pull sends one, so they may not be told
    /// apart, which is the default here.
    pub batch_get_counts_as_pull: bool,
    /// How far `lastRecordedPullTime` may lag behind the pulls: a day by default. Zero: it never does.
    pub pull_time_lag: Duration,
    /// Whether `BatchDeleteImage` with digest *and* tag deletes the image with all its tags, as by digest, or that tag
    /// alone, as by tag (the default). AWS's documents do not say, so programs have to bear both.
    pub pair_deletes_image: bool,
    account: String,
    region: String,
    start: SystemTime,
    repositories: BTreeMap<String, Repository>,
    replication: policies::Replication,
    /// The registry's policy.
    policy: Option<String>,
    /// Other registries that agents of this account may pull from, as they were when [`State::reach`] was told of them.
    others: Vec<State>,
}

/// What happens by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// An image is back from the archive.
    Restored {
        /// The repository's name.
        repository: String,
        /// The image's digest.
        digest: String,
    },
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
        Self {
            batch_get_counts_as_pull: true,
            pull_time_lag: DAY,
            pair_deletes_image: false,
            account: account.to_owned(),
            region: region.to_owned(),
            start,
            repositories: BTreeMap::new(),
            replication: policies::Replication::default(),
            policy: None,
            others: Vec::new(),
        }
    }

    /// `ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME`, to which `:TAG` or `@DIGEST` is added.
    #[must_use]
    pub fn uri(&self, name: &str) -> String {
        format!("{}.dkr.ecr.{}.amazonaws.com/{name}", self.account, self.region)
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
        let image = self.repository(repository)?.images.get(&digest);
        Ok(image.map(|image| image.kind.children().to_vec()).unwrap_or_default())
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
    "ListImageReferrers" => referrers::list,
    "BatchGetImage" => manifests::batch_get,
    "BatchDeleteImage" => deletion::batch_delete,
    "UpdateImageStorageClass" => storage::update,
    "PutImage" => manifests::put,
    "InitiateLayerUpload" => layers::initiate,
    "UploadLayerPart" => layers::upload,
    "CompleteLayerUpload" => layers::complete,
    "DescribeRegistry" => policies::describe_registry,
    "PutReplicationConfiguration" => policies::put_replication,
    "GetRegistryPolicy" => policies::get_registry_policy,
    "PutRegistryPolicy" => policies::put_registry_policy,
    "GetRepositoryPolicy" => policies::get_policy,
    "SetRepositoryPolicy" => policies::set_policy,
    "GetLifecyclePolicy" => policies::get_lifecycle,
    "PutLifecyclePolicy" => policies::put_lifecycle,
    "ListTagsForResource" => policies::list_tags,
}
