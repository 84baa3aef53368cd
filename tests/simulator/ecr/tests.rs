//! The registry, driven through the real SDK.

mod deletion;
mod meta;
mod storage;

use std::time::Duration;

use aws_sdk_ecr::Client;
use aws_sdk_ecr::error::ProvideErrorMetadata;
use aws_sdk_ecr::types::{
    DescribeImagesFilter, ImageFailureCode, ImageIdentifier, ImageStatusFilter, ImageTagMutability, TagStatus,
};

use super::manifest::{INDEX, MANIFEST};
use super::{Behaviour, ImageSpec, Mutability};
use crate::{Settings, Simulator};

fn account() -> (Simulator, Client) {
    let simulator = Simulator::new(Settings::seeded(7));
    let client = Client::new(&simulator.sdk_config("AKIATEST"));
    (simulator, client)
}

fn push(simulator: &Simulator, tag: &str) -> String {
    simulator.with_world(|world| world.ecr.push(ImageSpec::new("app", tag, world.now)))
}

fn tag(tag: &str) -> ImageIdentifier {
    ImageIdentifier::builder().image_tag(tag).build()
}

fn any() -> DescribeImagesFilter {
    DescribeImagesFilter::builder().image_status(ImageStatusFilter::Any).build()
}

fn host(path: &str) -> String {
    format!("123456789012.dkr.ecr.eu-central-1.amazonaws.com/{path}")
}

#[tokio::test(start_paused = true)]
async fn a_push_for_two_architectures_is_an_index_with_children_and_attestations() {
    let (simulator, client) = account();
    let digest = push(&simulator, "v1");
    let all = client.describe_images().repository_name("app").send().await.unwrap();
    assert_eq!(all.image_details().len(), 5);
    let details = client.describe_images().repository_name("app").image_ids(tag("v1")).send().await.unwrap();
    let [index] = details.image_details() else { panic!("{details:?}") };
    assert_eq!(index.image_digest(), Some(digest.as_str()));
    assert_eq!(index.image_tags(), ["v1"]);
    assert_eq!(index.image_manifest_media_type(), Some(INDEX));
    assert_eq!(index.image_size_in_bytes(), Some(64 << 20));
    assert_eq!(index.image_pushed_at().unwrap().secs(), 1_767_603_600);
    let untagged = DescribeImagesFilter::builder().tag_status(TagStatus::Untagged).build();
    let untagged = client.describe_images().repository_name("app").filter(untagged).send().await.unwrap();
    assert_eq!(untagged.image_details().len(), 4);
    assert!(untagged.image_details().iter().all(|detail| detail.image_tags.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_digest_is_the_hash_of_its_manifest() {
    let (simulator, client) = account();
    let digest = push(&simulator, "v1");
    let ask = client.batch_get_image().repository_name("app").image_ids(tag("v1"));
    let got = ask.accepted_media_types(INDEX).send().await.unwrap();
    let [image] = got.images() else { panic!("{got:?}") };
    assert_eq!(super::manifest::digest(image.image_manifest().unwrap().as_bytes()), digest);
    let index: serde_json::Value = serde_json::from_str(image.image_manifest().unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["platform"]["architecture"], "arm64");
    assert_eq!(index["manifests"][2]["annotations"]["vnd.docker.reference.digest"], index["manifests"][0]["digest"]);
}

#[tokio::test(start_paused = true)]
async fn batch_get_image_tells_failures_one_by_one() {
    let (simulator, client) = account();
    let digest = push(&simulator, "v1");
    let other = push(&simulator, "v2");
    simulator.with_world(|world| world.ecr.archive("app", "v2", world.now)).unwrap();
    let both = |digest: &str, tag: &str| ImageIdentifier::builder().image_digest(digest).image_tag(tag).build();
    let got = client
        .batch_get_image()
        .repository_name("app")
        .set_image_ids(Some(vec![
            tag("v1"),
            tag("nowhere"),
            both(&digest, "v2"),
            ImageIdentifier::builder().image_digest("nonsense").build(),
            ImageIdentifier::builder().build(),
            ImageIdentifier::builder().image_digest(&other).build(),
        ]))
        .accepted_media_types(INDEX)
        .accepted_media_types(MANIFEST)
        .send()
        .await
        .unwrap();
    assert_eq!(got.images().len(), 1);
    let codes: Vec<_> = got.failures().iter().filter_map(|failure| failure.failure_code().cloned()).collect();
    assert_eq!(
        codes[..4],
        [
            ImageFailureCode::ImageNotFound,
            ImageFailureCode::ImageTagDoesNotMatchDigest,
            ImageFailureCode::InvalidImageDigest,
            ImageFailureCode::MissingDigestAndTag
        ]
    );
    assert_eq!(codes[4].as_str(), "ImageInaccessible");
}

#[tokio::test(start_paused = true)]
async fn pages_hold_at_most_a_hundred_images_unless_more_are_asked_for() {
    let (simulator, client) = account();
    simulator.with_world(|world| {
        for number in 0..250 {
            let architectures = vec!["arm64".to_owned()];
            let spec = ImageSpec::new("app", &format!("v{number}"), world.now);
            world.ecr.push(ImageSpec { architectures, attestations: false, ..spec });
        }
    });
    let mut pages = client.describe_images().repository_name("app").into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().image_details().len());
    }
    assert_eq!(sizes, [100, 100, 50]);
    let all = client.list_images().repository_name("app").max_results(1000).send().await.unwrap();
    assert_eq!(all.image_ids().len(), 250);
    let error = client.list_images().repository_name("app").max_results(1001).send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidParameterException"));
}

#[tokio::test(start_paused = true)]
async fn an_archived_image_is_hidden_until_it_is_asked_for() {
    let (simulator, client) = account();
    push(&simulator, "v1");
    simulator.with_world(|world| world.ecr.archive("app", "v1", world.now)).unwrap();
    let ask = || client.describe_images().repository_name("app").image_ids(tag("v1"));
    let error = ask().send().await.unwrap_err();
    assert_eq!(error.code(), Some("ImageNotFoundException"));
    assert_eq!(
        error.message(),
        Some(
            "The image with imageId {imageDigest:'null', imageTag:'v1'} does not exist within the repository with name 'app' in the registry with id '123456789012'"
        )
    );
    let found = ask().filter(any()).send().await.unwrap();
    assert_eq!(found.image_details()[0].image_status().unwrap().as_str(), "ARCHIVED");
    let pulled = simulator.with_world(|world| world.ecr.pull(&host("app:v1"), "arm64"));
    assert!(pulled.unwrap_err().starts_with("CannotPullContainerError: "));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_repository_is_named() {
    let (_, client) = account();
    let error = client.describe_images().repository_name("nowhere").send().await.unwrap_err().into_service_error();
    assert!(error.is_repository_not_found_exception());
    assert_eq!(
        error.message(),
        Some("The repository with name 'nowhere' does not exist in the registry with id '123456789012'")
    );
}

#[tokio::test(start_paused = true)]
async fn a_repository_is_created_once_and_described() {
    let (_, client) = account();
    let create =
        || client.create_repository().repository_name("team/app").image_tag_mutability(ImageTagMutability::Immutable);
    let made = create().send().await.unwrap().repository.unwrap();
    assert_eq!(made.repository_uri(), Some(host("team/app").as_str()));
    assert!(create().send().await.unwrap_err().into_service_error().is_repository_already_exists_exception());
    let all = client.describe_repositories().send().await.unwrap();
    assert_eq!(all.repositories()[0].image_tag_mutability(), Some(&ImageTagMutability::Immutable));
    let bad = client.create_repository().repository_name("App").send().await.unwrap_err();
    assert_eq!(bad.code(), Some("InvalidParameterException"));
    // Filters belong to the kinds with exclusion.
    let bare = client.create_repository().repository_name("web");
    let bare = bare.image_tag_mutability("IMMUTABLE_WITH_EXCLUSION".into()).send().await.unwrap_err();
    assert_eq!(bare.code(), Some("InvalidParameterException"));
}

#[tokio::test(start_paused = true)]
async fn put_image_retags_and_obeys_immutability() {
    let (simulator, client) = account();
    simulator.with_world(|world| world.ecr.create_repository("app", Mutability::Immutable));
    push(&simulator, "v1");
    tokio::time::advance(Duration::from_secs(1)).await;
    let second = push(&simulator, "v2");
    let got = client.batch_get_image().repository_name("app").image_ids(tag("v2")).accepted_media_types(INDEX);
    let manifest = got.send().await.unwrap().images()[0].image_manifest().unwrap().to_owned();
    let put = |tag: &str| client.put_image().repository_name("app").image_manifest(&manifest).image_tag(tag).send();
    assert!(put("v1").await.unwrap_err().into_service_error().is_image_tag_already_exists_exception());
    assert!(put("v2").await.unwrap_err().into_service_error().is_image_already_exists_exception());
    put("stable").await.unwrap();
    assert_eq!(simulator.with_world(|world| world.ecr.digest("app", "stable")).unwrap(), second);
    let stranger = manifest.replace("sha256:", "sha256:0");
    let stranger = client.put_image().repository_name("app").image_manifest(stranger).send().await.unwrap_err();
    assert!(stranger.into_service_error().is_referenced_images_not_found_exception());
}

#[tokio::test(start_paused = true)]
async fn agents_pull_by_tag_by_digest_and_by_child() {
    let (simulator, _) = account();
    let digest = push(&simulator, "v1");
    simulator.with_world(|world| {
        let by_tag = world.ecr.pull(&host("app:v1"), "arm64").unwrap();
        assert_eq!(by_tag.digest, digest);
        let (architecture, child) = &world.ecr.children("app", "v1").unwrap()[0];
        assert_eq!((architecture.as_deref(), &by_tag.platform_digest), (Some("arm64"), child));
        assert_eq!(world.ecr.pull(&host(&format!("app@{digest}")), "arm64").unwrap(), by_tag);
        assert_eq!(world.ecr.pull(&host(&format!("app:gone@{digest}")), "arm64").unwrap(), by_tag);
        let by_child = world.ecr.pull(&host(&format!("app@{child}")), "arm64").unwrap();
        assert_eq!((&by_child.digest, &by_child.platform_digest), (child, child));
        let dual_stack = "123456789012.dkr-ecr.eu-central-1.on.aws/app:v1";
        assert_eq!(world.ecr.pull(dual_stack, "arm64").unwrap(), by_tag);
        let wrong = world.ecr.pull(&host(&format!("app@{child}")), "amd64").unwrap();
        assert_eq!(wrong.behaviour, Behaviour::WrongArchitecture);
        let sidecar = world.ecr.pull("public.ecr.aws/envoy:1", "arm64").unwrap();
        assert_eq!(world.ecr.pull("public.ecr.aws/envoy:1", "amd64").unwrap(), sidecar);
    });
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_fails_says_why() {
    let (simulator, _) = account();
    simulator.with_world(|world| {
        let now = world.now;
        let architectures = vec!["amd64".to_owned()];
        world.ecr.push(ImageSpec { architectures, ..ImageSpec::new("app", "v1", now) });
        world.ecr.push(ImageSpec { behaviour: Behaviour::CannotBePulled, ..ImageSpec::new("app", "broken", now) });
        let why = |reference: &str| world.ecr.pull(reference, "arm64").unwrap_err();
        assert!(why(&host("app:v1")).contains("no matching manifest for linux/arm64"));
        assert!(why(&host("app:nowhere")).ends_with("app:nowhere: not found"));
        assert!(why(&host("nowhere:v1")).contains("repository does not exist"));
        assert!(why(&host("app:broken")).starts_with("CannotPullContainerError: ref pull has been retried"));
        assert!(why("210987654321.dkr.ecr.eu-central-1.amazonaws.com/app:v1").contains("403 Forbidden"));
    });
}
