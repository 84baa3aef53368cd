//! `BatchDeleteImage`: by tag, by digest, by both; what is refused; what is told.

use aws_sdk_ecr::operation::batch_delete_image::BatchDeleteImageOutput;

use super::*;

async fn delete(client: &Client, ids: impl IntoIterator<Item = ImageIdentifier>) -> BatchDeleteImageOutput {
    let ids = Some(ids.into_iter().collect());
    client.batch_delete_image().repository_name("app").set_image_ids(ids).send().await.unwrap()
}

fn digest(digest: &str) -> ImageIdentifier {
    ImageIdentifier::builder().image_digest(digest).build()
}

fn pair(digest: &str, tag: &str) -> ImageIdentifier {
    ImageIdentifier::builder().image_digest(digest).image_tag(tag).build()
}

/// `digest tag` of each entry that was deleted, and the codes of what was not.
fn told(output: &BatchDeleteImageOutput) -> (Vec<(String, String)>, Vec<&str>) {
    let text = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let deleted = output.image_ids().iter().map(|id| (text(id.image_digest()), text(id.image_tag()))).collect();
    let codes = output.failures().iter().filter_map(|failure| Some(failure.failure_code()?.as_str())).collect();
    (deleted, codes)
}

fn left(simulator: &Simulator) -> Vec<String> {
    simulator.with_world(|world| world.ecr.digests("app"))
}

fn single(simulator: &Simulator, tag: &str) -> String {
    simulator.with_world(|world| {
        let architectures = vec!["arm64".to_owned()];
        world.ecr.push(ImageSpec { architectures, attestations: false, ..ImageSpec::new("app", tag, world.now) })
    })
}

#[tokio::test(start_paused = true)]
async fn a_tag_goes_alone_while_the_image_has_another_and_takes_the_image_with_it_when_it_is_the_last() {
    let (simulator, client) = account();
    let image = single(&simulator, "v1");
    simulator.with_world(|world| world.ecr.tag("app", "v1", "stable")).unwrap();
    let first = delete(&client, [tag("v1")]).await;
    assert_eq!(told(&first), (vec![(image.clone(), "v1".into())], vec![]));
    assert_eq!(left(&simulator), [image.as_str()]);
    let last = delete(&client, [tag("stable")]).await;
    assert_eq!(told(&last), (vec![(image, "stable".into())], vec![]));
    assert!(left(&simulator).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_digest_takes_all_its_tags_and_tells_each() {
    let (simulator, client) = account();
    let image = single(&simulator, "v1");
    simulator.with_world(|world| world.ecr.tag("app", "v1", "stable")).unwrap();
    let gone = delete(&client, [digest(&image)]).await;
    assert_eq!(told(&gone), (vec![(image.clone(), "stable".into()), (image, "v1".into())], vec![]));
    assert!(simulator.with_world(|world| world.ecr.tags("app")).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_untagged_image_is_told_by_its_digest_alone() {
    let (simulator, client) = account();
    let image = single(&simulator, "v1");
    simulator.with_world(|world| world.ecr.untag("app", "v1")).unwrap();
    assert_eq!(told(&delete(&client, [digest(&image)]).await).0, [(image, "-".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_pair_has_to_match_and_can_be_read_either_way() {
    let (simulator, client) = account();
    let (first, second) = (single(&simulator, "v1"), single(&simulator, "v2"));
    let mismatch = delete(&client, [pair(&first, "v2")]).await;
    assert_eq!(told(&mismatch), (vec![], vec!["ImageTagDoesNotMatchDigest"]));
    simulator.with_world(|world| {
        world.ecr.tag("app", "v1", "stable").unwrap();
        world.ecr.tag("app", "v2", "latest").unwrap();
    });
    delete(&client, [pair(&first, "v1")]).await;
    assert_eq!(left(&simulator).len(), 2, "the pair took its tag alone");
    simulator.with_world(|world| world.ecr.pair_deletes_image = true);
    delete(&client, [pair(&second, "v2")]).await;
    assert_eq!(left(&simulator), [first], "the pair took the image");
}

#[tokio::test(start_paused = true)]
async fn children_go_after_their_index_in_a_later_call() {
    let (simulator, client) = account();
    let index = push(&simulator, "v1");
    let children = simulator.with_world(|world| world.ecr.children("app", "v1")).unwrap();
    let children: Vec<_> = children.iter().map(|(_, child)| digest(child)).collect();
    let early = delete(&client, children.iter().cloned()).await;
    assert_eq!(told(&early), (vec![], vec!["ImageReferencedByManifestList"; 4]));
    let both = delete(&client, children.iter().cloned().chain([digest(&index)])).await;
    assert_eq!(told(&both), (vec![(index, "v1".into())], vec!["ImageReferencedByManifestList"; 4]));
    let late = delete(&client, children).await;
    assert_eq!((late.image_ids().len(), left(&simulator).len()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_child_stays_while_any_index_names_it_and_its_only_tag_with_it() {
    let (simulator, client) = account();
    let (first, second) = simulator.with_world(|world| {
        let now = world.now;
        let architectures = vec!["arm64".to_owned()];
        world.ecr.push(ImageSpec { architectures, attestations: false, ..ImageSpec::new("app", "child", now) });
        let first = world.ecr.push_index("app", &["first"], &["child"], now).unwrap();
        (first, world.ecr.push_index("app", &["second"], &["first"], now).unwrap())
    });
    let nested = delete(&client, [digest(&first), tag("child")]).await;
    assert_eq!(told(&nested), (vec![], vec!["ImageReferencedByManifestList"; 2]));
    for (id, rest) in [(digest(&second), 2), (digest(&first), 1), (tag("child"), 0)] {
        delete(&client, [id]).await;
        assert_eq!(left(&simulator).len(), rest);
    }
}

#[tokio::test(start_paused = true)]
async fn some_of_a_batch_may_fail_while_the_rest_is_deleted() {
    let (simulator, client) = account();
    let image = single(&simulator, "v1");
    let ids = [
        tag("v1"),
        tag("nowhere"),
        digest("nonsense"),
        ImageIdentifier::builder().build(),
        digest(&image),
        digest(&format!("sha256:{}", "0".repeat(64))),
    ];
    let output = delete(&client, ids).await;
    let codes = ["ImageNotFound", "InvalidImageDigest", "MissingDigestAndTag", "ImageNotFound", "ImageNotFound"];
    assert_eq!(told(&output), (vec![(image, "v1".into())], codes.to_vec()));
    assert_eq!(output.failures()[0].image_id().unwrap().image_tag(), Some("nowhere"));
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_one_to_a_hundred_images_of_a_repository_that_is_there() {
    let (simulator, client) = account();
    single(&simulator, "v1");
    for many in [0, 101] {
        let ids = Some(vec![tag("v1"); many]);
        let error = client.batch_delete_image().repository_name("app").set_image_ids(ids).send().await.unwrap_err();
        assert_eq!(error.code(), Some("InvalidParameterException"));
    }
    let nowhere = client.batch_delete_image().repository_name("nowhere").image_ids(tag("v1")).send().await;
    assert!(nowhere.unwrap_err().into_service_error().is_repository_not_found_exception());
}
