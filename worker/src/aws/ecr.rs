//! Amazon ECR: what a reference names.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ecr::Client;
use aws_sdk_ecr::types::{ImageDetail, ImageIdentifier, ImageTagMutability};
use aws_types::SdkConfig;
use coalmine_pipeline::{Digest, EcrRepository, ImageReference};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::deploy::outlook::Portrait;
use crate::deploy::release::Resolved;
use coalmine_door::AwsError;
use coalmine_door::clock::{Clock, Time};

/// Index media types, which must be asked for by name.
const INDEX_TYPES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];

/// How long an answer serves. What a digest names never changes, but an image can be archived or deleted.
const KNOWN_FOR: Duration = Duration::from_secs(5 * 60);

/// The registries that images come from. What cannot move is remembered for a while.
#[derive(Debug)]
pub struct Registries {
    door: SdkConfig,
    clock: Clock,
    known: Mutex<BTreeMap<String, (Time, Resolved)>>,
}

/// Why a reference names nothing that could be deployed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ImageError {
    /// The registry says so: for people, beside the reference.
    #[error("{0}")]
    Problem(String),
    /// The registry could not be asked.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl Registries {
    /// All registries behind the door.
    #[must_use]
    pub fn new(door: &SdkConfig, clock: &Clock) -> Self {
        Self { door: door.clone(), clock: clock.clone(), known: Mutex::new(BTreeMap::new()) }
    }

    /// Finds out what a reference names now.
    ///
    /// # Errors
    /// [`ImageError::Problem`] where there is no such image; [`ImageError::Aws`] where ECR could not be asked.
    pub async fn resolve(&self, reference: &ImageReference) -> Result<Resolved, ImageError> {
        let Some(repository) = reference.ecr() else { return elsewhere(reference) };
        let key = reference.to_string();
        let now = self.clock.now();
        if let Some((at, known)) = self.known.lock().await.get(&key)
            && (now - at).to_std().unwrap_or_default() < KNOWN_FOR
        {
            return Ok(known.clone());
        }
        let client = self.client(&repository.region);
        let immutable = reference.digest().is_some() || is_immutable(&client, repository).await?;
        let detail = detail(&client, repository, reference).await?;
        let resolved = resolved(&client, repository, &detail, immutable).await?;
        if immutable && !resolved.archived {
            self.known.lock().await.insert(key, (now, resolved.clone()));
        }
        Ok(resolved)
    }

    /// What people want to know of an image; `None` where nothing is known: it is not in Amazon ECR, or not any more.
    ///
    /// # Errors
    /// When ECR cannot be asked.
    pub async fn portrait(&self, reference: &ImageReference) -> Result<Option<Portrait>, AwsError> {
        let Some(repository) = reference.ecr() else { return Ok(None) };
        let client = self.client(&repository.region);
        let looked = async {
            let immutable = reference.digest().is_some() || is_immutable(&client, repository).await?;
            let detail = detail(&client, repository, reference).await?;
            let resolved = resolved(&client, repository, &detail, immutable).await?;
            Ok(Portrait {
                digest: resolved.digest.to_string(),
                pushed: detail.image_pushed_at().map(aws_smithy_types::DateTime::secs),
                bytes: detail.image_size_in_bytes().and_then(|bytes| u64::try_from(bytes).ok()),
                architectures: resolved.architectures.into_iter().flatten().collect(),
                movable: !immutable,
            })
        };
        match looked.await {
            Ok(portrait) => Ok(Some(portrait)),
            Err(ImageError::Problem(_)) => Ok(None),
            Err(ImageError::Aws(error)) => Err(error),
        }
    }

    fn client(&self, region: &str) -> Client {
        let region = aws_types::region::Region::new(region.to_owned());
        Client::from_conf(aws_sdk_ecr::config::Builder::from(&self.door).region(region).build())
    }
}

/// An image outside of ECR cannot be looked at; by digest it is at least certain which one it is.
fn elsewhere(reference: &ImageReference) -> Result<Resolved, ImageError> {
    match reference.digest() {
        Some(digest) => Ok(Resolved {
            digest: *digest,
            children: BTreeSet::new(),
            architectures: None,
            immutable: true,
            archived: false,
        }),
        None => Err(ImageError::Problem(
            "is not in Amazon ECR, so what its tag names cannot be checked: give it by digest (name@sha256:…)"
                .to_owned(),
        )),
    }
}

async fn is_immutable(client: &Client, repository: &EcrRepository) -> Result<bool, ImageError> {
    let output = client
        .describe_repositories()
        .registry_id(&repository.account)
        .repository_names(&repository.repository)
        .send()
        .await
        .map_err(|error| AwsError::of("ecr DescribeRepositories", &error))
        .map_err(missing)?;
    // Repositories with exclusions count as mutable: pinning by digest is right for them, too.
    Ok(output.repositories().iter().any(|found| found.image_tag_mutability() == Some(&ImageTagMutability::Immutable)))
}

async fn detail(
    client: &Client,
    repository: &EcrRepository,
    reference: &ImageReference,
) -> Result<ImageDetail, ImageError> {
    let tag = match (reference.digest(), reference.tag()) {
        (Some(_), _) => None,
        (None, tag) => Some(tag.unwrap_or("latest").to_owned()),
    };
    let wanted = ImageIdentifier::builder()
        .set_image_digest(reference.digest().map(ToString::to_string))
        .set_image_tag(tag)
        .build();
    let output = client
        .describe_images()
        .registry_id(&repository.account)
        .repository_name(&repository.repository)
        .image_ids(wanted)
        .filter(
            aws_sdk_ecr::types::DescribeImagesFilter::builder()
                .image_status(aws_sdk_ecr::types::ImageStatusFilter::Any)
                .build(),
        )
        .send()
        .await
        .map_err(|error| AwsError::of("ecr DescribeImages", &error))
        .map_err(missing)?;
    let found = output.image_details.unwrap_or_default().into_iter().next();
    found.ok_or_else(|| ImageError::Problem("is not in the repository".to_owned()))
}

async fn resolved(
    client: &Client,
    repository: &EcrRepository,
    detail: &ImageDetail,
    immutable: bool,
) -> Result<Resolved, ImageError> {
    let digest = detail
        .image_digest()
        .and_then(|digest| Digest::parse(digest).ok())
        .ok_or_else(|| AwsError::unusable("ecr DescribeImages", "an image without a digest"))?;
    let archived = detail.image_status().is_some_and(|status| status.as_str() != "ACTIVE");
    let is_index = detail.image_manifest_media_type().is_some_and(|media_type| INDEX_TYPES.contains(&media_type));
    if archived || !is_index {
        return Ok(Resolved { digest, children: BTreeSet::new(), architectures: None, immutable, archived });
    }
    let index = index(client, repository, &digest).await?;
    let runnable = |manifest: &&Child| manifest.platform.as_ref().is_some_and(|platform| platform.os != "unknown");
    Ok(Resolved {
        children: index.manifests.iter().map(|manifest| manifest.digest.clone()).collect(),
        architectures: Some(
            index
                .manifests
                .iter()
                .filter(runnable)
                .filter_map(|manifest| Some(manifest.platform.as_ref()?.architecture.clone()))
                .collect(),
        ),
        digest,
        immutable,
        archived,
    })
}

/// An image index (OCI image index, or Docker's manifest list), as far as its children go.
#[derive(Debug, Deserialize)]
struct Index {
    manifests: Vec<Child>,
}

#[derive(Debug, Deserialize)]
struct Child {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Debug, Deserialize)]
struct Platform {
    architecture: String,
    #[serde(default)]
    os: String,
}

async fn index(client: &Client, repository: &EcrRepository, digest: &Digest) -> Result<Index, ImageError> {
    const OPERATION: &str = "ecr BatchGetImage";
    let output = client
        .batch_get_image()
        .registry_id(&repository.account)
        .repository_name(&repository.repository)
        .image_ids(ImageIdentifier::builder().image_digest(digest.to_string()).build())
        .set_accepted_media_types(Some(INDEX_TYPES.map(str::to_owned).to_vec()))
        .send()
        .await
        .map_err(|error| AwsError::of(OPERATION, &error))?;
    if let Some(failure) = output.failures().first() {
        let code = failure.failure_code().map(|code| code.as_str()).unwrap_or_default();
        let reason = failure.failure_reason().unwrap_or_default();
        let why = format!("its index cannot be read: {code}: {reason}");
        // What says nothing of the image itself passes, and is no verdict.
        return Err(if OF_THE_IMAGE.contains(&code) {
            ImageError::Problem(why)
        } else {
            AwsError::unusable(OPERATION, why).into()
        });
    }
    let manifest = output.images().first().and_then(|image| image.image_manifest()).unwrap_or_default();
    serde_json::from_str(manifest).map_err(|problem| {
        AwsError::unusable(OPERATION, format!("the index of {digest} cannot be read: {problem}")).into()
    })
}

/// Codes of `failures[]` (`ImageFailureCode`) that are true of the image for as long as nobody changes it.
const OF_THE_IMAGE: [&str; 7] = [
    "ImageInaccessible",
    "ImageNotFound",
    "ImageTagDoesNotMatchDigest",
    "InvalidImageDigest",
    "InvalidImageTag",
    "KmsError",
    "MissingDigestAndTag",
];

/// What is not there is the release's problem, not the call's.
fn missing(error: AwsError) -> ImageError {
    match error.code.as_str() {
        "ImageNotFoundException" => ImageError::Problem("is not in the repository".to_owned()),
        "RepositoryNotFoundException" => ImageError::Problem("its repository does not exist".to_owned()),
        "InvalidParameterException" => ImageError::Problem(error.message),
        _ => ImageError::Aws(error),
    }
}
