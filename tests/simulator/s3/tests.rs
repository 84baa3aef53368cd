use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};

use crate::{Settings, Simulator};

fn account() -> (Simulator, Client) {
    let simulator = Simulator::new(Settings::seeded(1));
    simulator.with_world(|world| world.s3.create_bucket("ledger", world.now));
    let client = Client::new(&simulator.sdk_config("tester"));
    (simulator, client)
}

async fn put(client: &Client, key: &str, body: &str) -> String {
    let put = client.put_object().bucket("ledger").key(key).body(body.as_bytes().to_vec().into());
    put.send().await.unwrap().e_tag.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_object_comes_back_whole_and_in_part() {
    let (_simulator, client) = account();
    let etag = put(&client, "a key/with ünusual+letters", "0123456789").await;
    let get = || client.get_object().bucket("ledger").key("a key/with ünusual+letters");
    let whole = get().send().await.unwrap();
    assert_eq!(whole.e_tag(), Some(etag.as_str()));
    assert_eq!(whole.body.collect().await.unwrap().into_bytes(), "0123456789");
    let part = get().range("bytes=2-4").send().await.unwrap();
    assert_eq!(part.content_range(), Some("bytes 2-4/10"));
    assert_eq!(part.body.collect().await.unwrap().into_bytes(), "234");
    let tail = get().range("bytes=-3").send().await.unwrap();
    assert_eq!(tail.body.collect().await.unwrap().into_bytes(), "789");
    assert_eq!(get().range("bytes=10-").send().await.unwrap_err().code(), Some("InvalidRange"));
}

#[tokio::test(start_paused = true)]
async fn conditional_writes_hold() {
    let (_simulator, client) = account();
    let create = || client.put_object().bucket("ledger").key("lease").if_none_match("*");
    create().send().await.unwrap();
    assert_eq!(create().send().await.unwrap_err().code(), Some("PreconditionFailed"));
    let first = put(&client, "lease", "same").await;
    let second = put(&client, "lease", "same").await;
    assert_ne!(first, second, "every put has its own tag");
    let update = |tag: &str| client.put_object().bucket("ledger").key("lease").if_match(tag);
    assert_eq!(update(&first).send().await.unwrap_err().code(), Some("PreconditionFailed"));
    update(&second).send().await.unwrap();
    let missing = client.put_object().bucket("ledger").key("none").if_match(&second).send().await;
    assert_eq!(missing.unwrap_err().code(), Some("NoSuchKey"));
    let delete = client.delete_object().bucket("ledger").key("lease").if_match(&second).send().await;
    assert_eq!(delete.unwrap_err().code(), Some("PreconditionFailed"));
    client.delete_object().bucket("ledger").key("lease").if_match("*").send().await.unwrap();
    create().send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_said_by_name() {
    let (_simulator, client) = account();
    let get = client.get_object().bucket("ledger").key("none").send().await.unwrap_err();
    assert!(get.into_service_error().is_no_such_key());
    let head = client.head_object().bucket("ledger").key("none").send().await.unwrap_err();
    assert!(head.into_service_error().is_not_found());
    let bucket = client.get_object().bucket("nowhere").key("none").send().await.unwrap_err();
    assert_eq!(bucket.code(), Some("NoSuchBucket"));
    let acl = client.get_object_acl().bucket("ledger").key("none").send().await.unwrap_err();
    assert_eq!(acl.code(), Some("NotImplemented"));
}

#[tokio::test(start_paused = true)]
async fn lists_are_paged_and_folded_at_the_delimiter() {
    let (_simulator, client) = account();
    for key in ["a/1", "a/2", "b", "c/1", "c/2", "d&<"] {
        put(&client, key, key).await;
    }
    let list = || client.list_objects_v2().bucket("ledger");
    let mut keys = Vec::new();
    let mut pages = list().max_keys(2).into_paginator().send();
    while let Some(page) = pages.next().await {
        keys.extend(page.unwrap().contents().iter().map(|object| object.key().unwrap().to_owned()));
    }
    assert_eq!(keys, ["a/1", "a/2", "b", "c/1", "c/2", "d&<"]);
    let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
    let mut pages = list().max_keys(1).delimiter("/").into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert_eq!(page.key_count(), Some(1));
        keys.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        prefixes.extend(page.common_prefixes().iter().map(|prefix| prefix.prefix().unwrap().to_owned()));
    }
    assert_eq!((keys, prefixes), (vec!["b".into(), "d&<".into()], vec!["a/".to_owned(), "c/".to_owned()]));
    let under = list().prefix("a/").send().await.unwrap();
    assert_eq!((under.key_count(), under.is_truncated()), (Some(2), Some(false)));
}

#[tokio::test(start_paused = true)]
async fn versions_stay_readable_where_the_bucket_has_versioning() {
    let (_simulator, client) = account();
    put(&client, "key", "one").await;
    let head = client.head_object().bucket("ledger").key("key").send().await.unwrap();
    let version = head.version_id().unwrap().to_owned();
    put(&client, "key", "two").await;
    client.delete_object().bucket("ledger").key("key").send().await.unwrap();
    let old = client.get_object().bucket("ledger").key("key").version_id(&version).send().await.unwrap();
    assert_eq!(old.body.collect().await.unwrap().into_bytes(), "one");
    assert!(client.get_object().bucket("ledger").key("key").send().await.is_err());

    client.create_bucket().bucket("plain").send().await.unwrap();
    assert_eq!(client.get_bucket_versioning().bucket("plain").send().await.unwrap().status(), None);
    let reply = client.put_object().bucket("plain").key("key").send().await.unwrap();
    assert_eq!(reply.version_id(), None);
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    client.put_bucket_versioning().bucket("plain").versioning_configuration(enabled).send().await.unwrap();
    let reply = client.put_object().bucket("plain").key("key").send().await.unwrap();
    assert!(reply.version_id().is_some());
}
