use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::ProvideErrorMetadata;
use aws_sdk_lambda::types::FunctionVersion;

use crate::ecr::ImageSpec;
use crate::{Settings, Simulator};

const NAME: &str = "resize";

/// A function of image `v1`, published once, that runs `v2` now; the digests of both.
fn account() -> (Simulator, Client, [String; 2]) {
    let simulator = Simulator::new(Settings::seeded(51));
    let digests = simulator.with_world(|world| {
        let digests = ["v1", "v2"].map(|tag| {
            let digest = world.ecr.push(ImageSpec::new(NAME, tag, world.now));
            world.add_function(NAME, &format!("{}:{tag}", world.ecr.uri(NAME))).unwrap();
            if tag == "v1" {
                assert_eq!(world.publish_version(NAME), 1);
            }
            digest
        });
        world.add_zip_function("zipped");
        digests
    });
    let client = Client::new(&simulator.sdk_config("AKIATEST"));
    (simulator, client, digests)
}

#[tokio::test(start_paused = true)]
async fn every_version_keeps_the_digest_that_it_was_published_with() {
    let (simulator, client, [first, second]) = account();
    let uri = simulator.with_world(|world| world.ecr.uri(NAME));
    simulator.with_world(|world| world.lambda.set_alias(NAME, "live", &[1]));
    for (qualifier, tag, digest) in [("$LATEST", "v2", &second), ("1", "v1", &first), ("live", "v1", &first)] {
        let got = client.get_function().function_name(NAME).qualifier(qualifier).send().await.unwrap();
        let code = got.code().unwrap();
        assert_eq!(code.image_uri(), Some(format!("{uri}:{tag}").as_str()));
        assert_eq!(code.resolved_image_uri(), Some(format!("{uri}@{digest}").as_str()));
    }
    let zipped = client.get_function().function_name("zipped").send().await.unwrap();
    assert_eq!(zipped.code().unwrap().image_uri(), None);
    let arn = zipped.configuration().unwrap().function_arn().unwrap();
    assert!(client.get_function().function_name(arn).send().await.is_ok());
    let nowhere = client.get_function().function_name("nowhere").send().await.unwrap_err();
    assert_eq!(nowhere.code(), Some("ResourceNotFoundException"));
    assert!(nowhere.into_service_error().is_resource_not_found_exception());
}

#[tokio::test(start_paused = true)]
async fn published_versions_are_listed_where_all_are_asked_for() {
    let (_, client, _) = account();
    let latest = client.list_functions().send().await.unwrap();
    let versions: Vec<_> = latest.functions().iter().filter_map(|each| each.version()).collect();
    assert_eq!(versions, ["$LATEST", "$LATEST"]);
    let mut pages = client.list_functions().function_version(FunctionVersion::All).max_items(2).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        found.push(page.functions().iter().filter_map(|each| each.version().map(str::to_owned)).collect::<Vec<_>>());
    }
    assert_eq!(found, [vec!["$LATEST", "1"], vec!["$LATEST"]]);
    let of_one = client.list_versions_by_function().function_name(NAME).send().await.unwrap();
    assert_eq!(of_one.versions().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn aliases_may_send_their_callers_to_two_versions() {
    let (simulator, client, _) = account();
    simulator.with_world(|world| {
        let second = world.publish_version(NAME);
        world.lambda.set_alias(NAME, "live", &[1, second]);
    });
    let listed = client.list_aliases().function_name(NAME).send().await.unwrap();
    let [live] = listed.aliases() else { panic!("{listed:?}") };
    assert_eq!((live.name(), live.function_version()), (Some("live"), Some("1")));
    assert!(live.routing_config().unwrap().additional_version_weights().unwrap().contains_key("2"));
    let others = client.list_aliases().function_name(NAME).function_version("3").send().await.unwrap();
    assert!(others.aliases().is_empty());
}
