//! What stands beside the images: policies, replication, tags, referrers, pull times.

use aws_sdk_ecr::primitives::Blob;
use aws_sdk_ecr::types::{
    ListImageReferrersFilter, ReplicationConfiguration, ReplicationDestination, ReplicationRule, SubjectIdentifier, Tag,
};
use serde_json::{Value, json};

use super::*;

const SBOM: &str = "application/spdx+json";

#[tokio::test(start_paused = true)]
async fn replication_rules_are_shown_with_members_that_the_sdk_does_not_know() {
    let (simulator, client) = account();
    let empty = client.describe_registry().send().await.unwrap();
    assert_eq!(empty.registry_id(), Some("123456789012"));
    assert!(empty.replication_configuration().unwrap().rules().is_empty());
    let destination = ReplicationDestination::builder().region("eu-west-1").registry_id("123456789012").build();
    let rule = ReplicationRule::builder().destinations(destination.unwrap()).build().unwrap();
    let configuration = ReplicationConfiguration::builder().rules(rule).build().unwrap();
    client.put_replication_configuration().replication_configuration(configuration).send().await.unwrap();
    let shown = client.describe_registry().send().await.unwrap();
    assert_eq!(shown.replication_configuration().unwrap().rules()[0].destinations()[0].region(), "eu-west-1");
    let replies = std::sync::Arc::new(std::sync::Mutex::new(Vec::<Value>::new()));
    let seen = replies.clone();
    simulator.listen(move |exchange| seen.lock().unwrap().push(exchange.reply.clone()));
    let rules = json!([{
        "destinations": [{ "region": "eu-west-1", "registryId": "123456789012" }],
        "repositoryFilters": [{ "filter": "app", "filterType": "PREFIX_MATCH" }],
        "deleteReplication": { "enabled": true },
    }]);
    simulator.with_world(|world| world.ecr.set_replication(rules.clone())).unwrap();
    client.describe_registry().send().await.unwrap();
    assert_eq!(replies.lock().unwrap()[0]["replicationConfiguration"]["rules"], rules);
}

#[tokio::test(start_paused = true)]
async fn policies_are_shown_once_they_are_set() {
    let (simulator, client) = account();
    push(&simulator, "v1");
    let none = client.get_repository_policy().repository_name("app").send().await.unwrap_err();
    assert!(none.into_service_error().is_repository_policy_not_found_exception());
    let none = client.get_lifecycle_policy().repository_name("app").send().await.unwrap_err();
    assert!(none.into_service_error().is_lifecycle_policy_not_found_exception());
    let policy = json!({ "Version": "2012-10-17", "Statement": [] }).to_string();
    client.set_repository_policy().repository_name("app").policy_text(&policy).send().await.unwrap();
    let lifecycle = json!({ "rules": [{
        "rulePriority": 1, "action": { "type": "expire" },
        "selection": { "tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 5 },
    }]});
    let lifecycle = lifecycle.to_string();
    client.put_lifecycle_policy().repository_name("app").lifecycle_policy_text(&lifecycle).send().await.unwrap();
    let shown = client.get_repository_policy().repository_name("app").send().await.unwrap();
    assert_eq!(shown.policy_text(), Some(policy.as_str()));
    let shown = client.get_lifecycle_policy().repository_name("app").send().await.unwrap();
    assert_eq!(shown.lifecycle_policy_text(), Some(lifecycle.as_str()));
}

#[tokio::test(start_paused = true)]
async fn tags_of_a_repository_are_kept() {
    let (_, client) = account();
    let tag = Tag::builder().key("team").value("shop").build().unwrap();
    let made = client.create_repository().repository_name("app").tags(tag.clone()).send().await.unwrap();
    let arn = made.repository().unwrap().repository_arn().unwrap();
    let shown = client.list_tags_for_resource().resource_arn(arn).send().await.unwrap();
    assert_eq!(shown.tags(), [tag]);
}

#[tokio::test(start_paused = true)]
async fn referrers_are_untagged_images_that_name_their_subject() {
    let (simulator, client) = account();
    let image = push(&simulator, "v1");
    let (sbom, signature, cosign) = simulator.with_world(|world| {
        let now = world.now;
        let sbom = world.ecr.push_referrer("app", "v1", SBOM, now).unwrap();
        let signature = world.ecr.push_referrer("app", &image, "application/vnd.dev.notary.v2", now).unwrap();
        (sbom, signature, world.ecr.push_cosign("app", "v1", now).unwrap())
    });
    let subject = SubjectIdentifier::builder().image_digest(&image).build().unwrap();
    let ask = || client.list_image_referrers().repository_name("app").subject_id(subject.clone());
    let first = ask().max_results(1).send().await.unwrap();
    let second = ask().max_results(1).set_next_token(first.next_token.clone()).send().await.unwrap();
    let mut found = [first.referrers()[0].digest(), second.referrers()[0].digest()];
    found.sort_unstable();
    let mut expected = [sbom.as_str(), signature.as_str()];
    expected.sort_unstable();
    assert_eq!((found, second.next_token()), (expected, None));
    let filter = ListImageReferrersFilter::builder().artifact_types(SBOM).build();
    let filtered = ask().filter(filter).send().await.unwrap();
    let [only] = filtered.referrers() else { panic!("{filtered:?}") };
    assert_eq!((only.digest(), only.artifact_type()), (sbom.as_str(), Some(SBOM)));
    assert_eq!(ask().max_results(51).send().await.unwrap_err().code(), Some("InvalidParameterException"));
    let ids =
        [ImageIdentifier::builder().image_digest(&sbom).build(), tag(&format!("{}.sig", image.replace(':', "-")))];
    let details =
        client.describe_images().repository_name("app").set_image_ids(Some(ids.to_vec())).send().await.unwrap();
    let [sbom, by_tag] = details.image_details() else { panic!("{details:?}") };
    assert_eq!((sbom.subject_manifest_digest(), sbom.artifact_media_type()), (Some(image.as_str()), Some(SBOM)));
    assert_eq!((by_tag.subject_manifest_digest(), by_tag.image_digest()), (None, Some(cosign.as_str())));
}

#[tokio::test(start_paused = true)]
async fn a_pull_shows_within_a_day_and_a_read_manifest_may_count_as_one() {
    let (simulator, client) = account();
    let day = Duration::from_secs(24 * 60 * 60);
    push(&simulator, "v1");
    let shown = || async {
        let found = client.describe_images().repository_name("app").image_ids(tag("v1")).send().await.unwrap();
        found.image_details()[0].last_recorded_pull_time().map(aws_smithy_types::DateTime::secs)
    };
    let read =
        || client.batch_get_image().repository_name("app").image_ids(tag("v1")).accepted_media_types(INDEX).send();
    simulator.with_world(|world| world.ecr.batch_get_counts_as_pull = false);
    read().await.unwrap();
    tokio::time::advance(day).await;
    assert_eq!(shown().await, None);
    simulator.with_world(|world| world.ecr.batch_get_counts_as_pull = true);
    let first = simulator.with_world(|world| world.now);
    read().await.unwrap();
    assert_eq!(shown().await, None, "not recorded yet");
    tokio::time::advance(day).await;
    let recorded = shown().await.unwrap();
    assert!(recorded - aws_smithy_types::DateTime::from(first).secs() <= 1);
    read().await.unwrap();
    assert_eq!(shown().await, Some(recorded), "the later pull is not recorded yet");
    simulator.with_world(|world| world.ecr.pull_time_lag = Duration::ZERO);
    assert!(shown().await.unwrap() > recorded);
}

#[tokio::test(start_paused = true)]
async fn an_image_is_put_after_its_configuration_was_uploaded() {
    let (_, client) = account();
    client.create_repository().repository_name("app").send().await.unwrap();
    let config = r#"{"architecture":"arm64","os":"linux"}"#;
    let digest = super::super::manifest::digest(config.as_bytes());
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "size": config.len(), "digest": digest },
    });
    let put = || client.put_image().repository_name("app").image_manifest(manifest.to_string()).image_tag("v1").send();
    assert!(put().await.unwrap_err().into_service_error().is_layers_not_found_exception());
    let upload = client.initiate_layer_upload().repository_name("app").send().await.unwrap();
    let upload = upload.upload_id().unwrap();
    let part = client.upload_layer_part().repository_name("app").upload_id(upload).part_first_byte(0);
    let part = part.part_last_byte(config.len() as i64 - 1).layer_part_blob(Blob::new(config));
    part.send().await.unwrap();
    let complete = |digest: &str| {
        client.complete_layer_upload().repository_name("app").upload_id(upload).layer_digests(digest).send()
    };
    let wrong = complete("sha256:00").await.unwrap_err();
    assert!(wrong.into_service_error().is_invalid_layer_exception());
    complete(&digest).await.unwrap();
    put().await.unwrap();
}
