//! Amazon ECR: images and manifests, and deleting.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_ecr::config::Config;
use aws_sdk_ecr::config::retry::RetryConfig;
use aws_sdk_ecr::config::timeout::TimeoutConfig;
use aws_sdk_ecr::types::{DescribeImagesFilter, ImageDetail, ImageIdentifier, ImageStatusFilter};
use coalmine_door::AwsError;
use coalmine_pipeline::Digest;

use super::buckets::Bucket;
use super::{Place, time};
use crate::inventory::{Image, Images, Manifest, MediaType, Names, Status, read_manifest};
use crate::plan::{Failure, Identifier, Reply};

/// Images that `DescribeImages`, `BatchGetImage` and `BatchDeleteImage` take by name in one call.
pub const IMAGES_PER_CALL: usize = 100;
/// Images of a page.
const PAGE: i32 = 1000;

/// The longest that one deletion is waited for, as all other calls.
const DELETE: Duration = Duration::from_secs(8);

/// What manifests may be; without the index types ECR may refuse or convert an index.
const MANIFEST_TYPES: [&str; 5] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/// Failures of a batch that say that an image is not there.
const ABSENT: [&str; 1] = ["ImageNotFound"];

fn any_status() -> DescribeImagesFilter {
    // Without it archived images stay hidden.
    DescribeImagesFilter::builder().image_status(ImageStatusFilter::Any).build()
}

impl Place {
    /// Every image of a repository, archived ones too. `None` if there is no such repository.
    ///
    /// # Errors
    /// When not every page can be read, or an image has no digest that can be understood.
    pub async fn images(&self, repository: &str) -> Result<Option<Images>, AwsError> {
        const OPERATION: &str = "ecr DescribeImages";
        let pages = self.calls.pages(Bucket::RegistryRead, OPERATION, |token| async {
            let request = self.ecr.describe_images().registry_id(&self.home.account).repository_name(repository);
            let request = request.filter(any_status()).max_results(PAGE).set_next_token(token);
            let output = request.send().await.map_err(|error| AwsError::of(OPERATION, &error))?;
            Ok((output.image_details.unwrap_or_default(), output.next_token))
        });
        match pages.await {
            Ok(details) => details.iter().map(image).collect::<Result<_, _>>().map(Some),
            Err(error) if error.is("RepositoryNotFoundException") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Those of some images that still exist, of a repository that has about `count` images. Where it takes fewer calls,
    /// all images are listed instead: what is gone can be asked for only one by one.
    ///
    /// # Errors
    /// When ECR cannot be asked.
    pub async fn images_again(
        &self,
        repository: &str,
        digests: &[Digest],
        count: usize,
    ) -> Result<Vec<Image>, AwsError> {
        let pages = count.div_ceil(PAGE.unsigned_abs() as usize).max(1);
        if pages < calls_if_all_are_gone(digests.len()) {
            let listed = self.images(repository).await?.unwrap_or_default();
            return Ok(digests.iter().filter_map(|digest| listed.get(digest)).cloned().collect());
        }
        self.images_by_digest(repository, digests).await
    }

    /// Those of some images that still exist, asked for by name: a call for each hundred while few are gone.
    ///
    /// # Errors
    /// When ECR cannot be asked.
    pub async fn images_by_digest(&self, repository: &str, digests: &[Digest]) -> Result<Vec<Image>, AwsError> {
        let mut found = Vec::new();
        for chunk in digests.chunks(IMAGES_PER_CALL) {
            found.extend(self.some_images(repository, chunk).await?);
        }
        Ok(found)
    }

    /// One missing image makes `DescribeImages` refuse the whole call, and says only the first one's name: then halves of
    /// it are asked for.
    async fn some_images(&self, repository: &str, digests: &[Digest]) -> Result<Vec<Image>, AwsError> {
        const OPERATION: &str = "ecr DescribeImages";
        let mut found = Vec::new();
        let mut waiting: Vec<&[Digest]> = vec![digests];
        while let Some(chunk) = waiting.pop() {
            if chunk.is_empty() {
                continue;
            }
            let asked = self.calls.one(Bucket::RegistryRead, OPERATION, || async {
                let ids =
                    chunk.iter().map(|digest| ImageIdentifier::builder().image_digest(digest.to_string()).build());
                let request = self.ecr.describe_images().registry_id(&self.home.account).repository_name(repository);
                let request = request.set_image_ids(Some(ids.collect())).filter(any_status());
                request.send().await.map_err(|error| AwsError::of(OPERATION, &error))
            });
            match asked.await {
                Ok(output) => {
                    for detail in output.image_details() {
                        found.push(image(detail)?);
                    }
                }
                Err(error) if error.is("ImageNotFoundException") => {
                    if chunk.len() > 1 {
                        let (first, second) = chunk.split_at(chunk.len() / 2);
                        waiting.extend([second, first]);
                    }
                }
                Err(error) if error.is("RepositoryNotFoundException") => return Ok(Vec::new()),
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// The manifests of some images. One that is gone is left out; one that ECR will not give is
    /// [`Manifest::Unreadable`].
    ///
    /// # Errors
    /// When ECR cannot be asked, or says nothing of an image that it was asked for.
    pub async fn manifests(
        &self,
        repository: &str,
        digests: &[Digest],
        names: &Mutex<Names>,
    ) -> Result<Vec<(Digest, Manifest)>, AwsError> {
        const OPERATION: &str = "ecr BatchGetImage";
        let mut found = Vec::new();
        for chunk in digests.chunks(IMAGES_PER_CALL) {
            let output = self.calls.one(Bucket::ImageRead, OPERATION, || async {
                let ids =
                    chunk.iter().map(|digest| ImageIdentifier::builder().image_digest(digest.to_string()).build());
                let request = self.ecr.batch_get_image().registry_id(&self.home.account).repository_name(repository);
                let request = request.set_image_ids(Some(ids.collect()));
                let request = request.set_accepted_media_types(Some(MANIFEST_TYPES.map(str::to_owned).to_vec()));
                request.send().await.map_err(|error| AwsError::of(OPERATION, &error))
            });
            let output = output.await?;
            let names = &mut *names.lock().unwrap_or_else(PoisonError::into_inner);
            for digest in chunk {
                let text = digest.to_string();
                let of_this = |id: Option<&ImageIdentifier>| id.and_then(ImageIdentifier::image_digest) == Some(&text);
                let image = output.images().iter().find(|image| of_this(image.image_id()));
                let failure = output.failures().iter().find(|failure| of_this(failure.image_id()));
                match (image.and_then(|image| image.image_manifest()), failure) {
                    (Some(manifest), _) => found.push((*digest, read_manifest(manifest, names))),
                    (None, Some(failure)) => {
                        let code = failure.failure_code().map_or("", |code| code.as_str());
                        if !ABSENT.contains(&code) {
                            let reason = failure.failure_reason().unwrap_or_default();
                            found.push((*digest, Manifest::Unreadable(format!("{code}: {reason}"))));
                        }
                    }
                    (None, None) => {
                        return Err(AwsError::unusable(OPERATION, format!("no word of {digest} in {repository}")));
                    }
                }
            }
        }
        Ok(found)
    }

    /// Deletes, at most [`IMAGES_PER_CALL`] at a time. What an attempt without an answer has deleted is told as gone by the
    /// next one.
    ///
    /// The SDK does not try again by itself: it would not ask whether there is still time, and a deletion that is sent
    /// late meets another world than the last look has seen.
    ///
    /// # Errors
    /// When ECR refuses the call as a whole, or gave no answer: then it may have deleted.
    pub async fn delete_images(&self, repository: &str, identifiers: &[Identifier]) -> Result<Reply, AwsError> {
        const OPERATION: &str = "ecr BatchDeleteImage";
        let output = self.calls.one(Bucket::ImageDelete, OPERATION, || async {
            let ids = identifiers.iter().map(|identifier| {
                let id = ImageIdentifier::builder().image_digest(identifier.digest.to_string());
                id.set_image_tag(identifier.tag.clone()).build()
            });
            let request = self.ecr.batch_delete_image().registry_id(&self.home.account).repository_name(repository);
            let request = request.set_image_ids(Some(ids.collect()));
            let timeout = TimeoutConfig::builder().operation_timeout(self.calls.time_left(DELETE)).build();
            let once = Config::builder().retry_config(RetryConfig::disabled()).timeout_config(timeout);
            let sent = request.customize().config_override(once).send().await;
            sent.map_err(|error| AwsError::of(OPERATION, &error))
        });
        let output = output.await?;
        let text = |text: Option<&str>| text.map(str::to_owned);
        let deleted = output.image_ids().iter().map(|id| (text(id.image_digest()), text(id.image_tag())));
        let failures = output.failures().iter().map(|failure| Failure {
            digest: text(failure.image_id().and_then(ImageIdentifier::image_digest)),
            tag: text(failure.image_id().and_then(ImageIdentifier::image_tag)),
            code: failure.failure_code().map(|code| code.as_str().to_owned()).unwrap_or_default(),
            reason: failure.failure_reason().unwrap_or_default().to_owned(),
        });
        Ok(Reply { deleted: deleted.collect(), failures: failures.collect() })
    }
}

/// Calls of [`Place::some_images`]: a tree of halves, with an image at each leaf.
const fn calls_if_all_are_gone(digests: usize) -> usize {
    (2 * digests).saturating_sub(1)
}

fn image(detail: &ImageDetail) -> Result<Image, AwsError> {
    const OPERATION: &str = "ecr DescribeImages";
    let digest = |text: &str| {
        Digest::parse(text).map_err(|problem| AwsError::unusable(OPERATION, format!("a digest is {problem}")))
    };
    let own = detail.image_digest().ok_or_else(|| AwsError::unusable(OPERATION, "an image without a digest"))?;
    Ok(Image {
        digest: digest(own)?,
        tags: detail.image_tags().iter().map(|tag| tag.as_str().into()).collect(),
        pushed: detail.image_pushed_at().and_then(time),
        pulled: detail.last_recorded_pull_time().and_then(time),
        activated: detail.last_activated_at().and_then(time),
        status: Status::of(detail.image_status().map(|status| status.as_str())),
        size_bytes: detail.image_size_in_bytes().and_then(|size| NonZeroU64::new(u64::try_from(size).ok()?)),
        media_type: MediaType::of(detail.image_manifest_media_type()),
        subject: detail.subject_manifest_digest().map(digest).transpose()?.map(Box::new),
    })
}
