//! `UpdateImageStorageClass`: archived, on the way back, active again.

use aws_sdk_ecr::types::TargetStorageClass;

use super::*;

async fn status(client: &Client, tag_name: &str) -> String {
    let ask = client.describe_images().repository_name("app").image_ids(tag(tag_name)).filter(any());
    let found = ask.send().await.unwrap();
    found.image_details()[0].image_status().unwrap().as_str().to_owned()
}

#[tokio::test(start_paused = true)]
async fn an_image_comes_back_from_the_archive_within_twenty_minutes() {
    let (simulator, client) = account();
    push(&simulator, "v1");
    let to = |class: TargetStorageClass| {
        let update = client.update_image_storage_class().repository_name("app");
        update.image_id(tag("v1")).target_storage_class(class).send()
    };
    let archived = to(TargetStorageClass::Archive).await.unwrap();
    assert_eq!(archived.image_status().unwrap().as_str(), "ARCHIVED");
    let restoring = to(TargetStorageClass::Standard).await.unwrap();
    assert_eq!(restoring.image_status().unwrap().as_str(), "ACTIVATING");
    assert_eq!(status(&client, "v1").await, "ACTIVATING");
    let again = to(TargetStorageClass::Archive).await.unwrap_err();
    assert!(again.into_service_error().is_image_storage_class_update_not_supported_exception());
    tokio::time::advance(Duration::from_secs(20 * 60)).await;
    assert_eq!(status(&client, "v1").await, "ACTIVE");
    let found = client.describe_images().repository_name("app").image_ids(tag("v1")).send().await.unwrap();
    assert!(found.image_details()[0].last_activated_at().is_some());
}

#[tokio::test(start_paused = true)]
async fn what_an_index_names_is_not_archived_alone_and_an_archived_image_can_be_deleted() {
    let (simulator, client) = account();
    push(&simulator, "v1");
    let (_, child) = simulator.with_world(|world| world.ecr.children("app", "v1")).unwrap().remove(0);
    let id = ImageIdentifier::builder().image_digest(&child).build();
    let update = client.update_image_storage_class().repository_name("app").image_id(id);
    let refused = update.target_storage_class(TargetStorageClass::Archive).send().await.unwrap_err();
    assert!(refused.into_service_error().is_image_storage_class_update_not_supported_exception());
    simulator.with_world(|world| world.ecr.archive("app", "v1", world.now)).unwrap();
    let deleted = client.batch_delete_image().repository_name("app").image_ids(tag("v1")).send().await.unwrap();
    assert_eq!((deleted.image_ids().len(), deleted.failures().len()), (1, 0));
}
