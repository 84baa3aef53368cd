use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ecr::Client;
use aws_sdk_ecr::error::ProvideErrorMetadata;
use aws_sdk_ecr::types::ImageIdentifier;
use aws_types::SdkConfig;
use aws_types::region::Region;
use serde_json::json;

use crate::ecr::ImageSpec;
use crate::faults::{Fault, FaultPlan, Rule};
use crate::{Service, Settings, Simulator};

const HOME: (&str, &str) = ("123456789012", "eu-central-1");
const OTHER: (&str, &str) = ("210987654321", "eu-west-1");
const ROLE: &str = "arn:aws:iam::210987654321:role/reader";

/// An image `app:v1` at home, in another region and in another account: three different ones.
fn three() -> (Simulator, [String; 3]) {
    let simulator = Simulator::new(Settings::seeded(60));
    let push = |(account, region), tag_time: u64| {
        simulator.with_world_of(account, region, |world| {
            world.ecr.push(ImageSpec::new("app", "v1", world.now + Duration::from_secs(tag_time)))
        })
    };
    let digests = [push(HOME, 0), push((HOME.0, "us-east-1"), 1), push(OTHER, 2)];
    (simulator, digests)
}

async fn digest(config: &SdkConfig) -> Result<String, String> {
    let id = ImageIdentifier::builder().image_tag("v1").build();
    let found = Client::new(config).describe_images().repository_name("app").image_ids(id).send().await;
    let found = found.map_err(|error| error.code().unwrap_or_default().to_owned())?;
    Ok(found.image_details()[0].image_digest().unwrap_or_default().to_owned())
}

async fn assumed(simulator: &Simulator, region: &'static str) -> Result<SdkConfig, String> {
    let config = simulator.sdk_config("AKIATEST");
    let ask = aws_sdk_sts::Client::new(&config).assume_role().role_arn(ROLE).role_session_name("janitor");
    let reply = ask.send().await.map_err(|error| error.code().unwrap_or_default().to_owned())?;
    let given = reply.credentials.unwrap();
    let credentials =
        Credentials::new(given.access_key_id, given.secret_access_key, Some(given.session_token), None, "assumed");
    let config = config.to_builder().credentials_provider(SharedCredentialsProvider::new(credentials));
    Ok(config.region(Region::new(region)).build())
}

#[tokio::test(start_paused = true)]
async fn one_name_in_three_places_is_three_images() {
    let (simulator, [home, region, account]) = three();
    simulator.with_world(|world| world.sts.trust(ROLE));
    let config = simulator.sdk_config("AKIATEST");
    assert_eq!(digest(&config).await, Ok(home));
    let elsewhere = config.to_builder().region(Region::new("us-east-1")).build();
    assert_eq!(digest(&elsewhere).await, Ok(region));
    assert_eq!(digest(&assumed(&simulator, OTHER.1).await.unwrap()).await, Ok(account));
    let places = simulator.with_calls(|calls| {
        let records = calls.records.iter().filter(|record| record.operation == "DescribeImages");
        records.map(|record| format!("{} {}", record.account, record.region)).collect::<Vec<_>>()
    });
    assert_eq!(places, ["123456789012 eu-central-1", "123456789012 us-east-1", "210987654321 eu-west-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_role_is_assumed_by_those_alone_whom_it_trusts_and_for_an_hour() {
    let (simulator, _) = three();
    assert_eq!(assumed(&simulator, OTHER.1).await.unwrap_err(), "AccessDenied");
    simulator.with_world(|world| world.sts.trust(ROLE));
    let config = assumed(&simulator, OTHER.1).await.unwrap();
    let who = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await.unwrap();
    assert_eq!(who.account(), Some(OTHER.0));
    assert_eq!(who.arn(), Some("arn:aws:sts::210987654321:assumed-role/reader/janitor"));
    tokio::time::advance(Duration::from_secs(3_600)).await;
    assert_eq!(digest(&config).await, Err("ExpiredTokenException".into()));
    let home = aws_sdk_sts::Client::new(&simulator.sdk_config("AKIATEST")).get_caller_identity().send().await.unwrap();
    assert_eq!((home.account(), home.arn()), (Some(HOME.0), Some("arn:aws:iam::123456789012:user/AKIATEST")));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_no_story_looked_at_is_refused_by_name() {
    let (simulator, _) = three();
    let nowhere = simulator.sdk_config("AKIATEST").to_builder().region(Region::new("sa-east-1")).build();
    assert_eq!(digest(&nowhere).await, Err("UnrecognizedClientException".into()));
}

#[tokio::test(start_paused = true)]
async fn faults_can_be_kept_to_one_account_and_buckets_are_each_places_own() {
    let (simulator, [home, ..]) = three();
    simulator.with_world(|world| world.sts.trust(ROLE));
    simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::AccessDenied).account(OTHER.0)));
    let other = assumed(&simulator, OTHER.1).await.unwrap();
    assert_eq!(digest(&other).await, Err("AccessDeniedException".into()));
    assert_eq!(digest(&simulator.sdk_config("AKIATEST")).await, Ok(home));
}

#[tokio::test(start_paused = true)]
async fn somebody_may_act_right_before_any_call() {
    let (simulator, [home, ..]) = three();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = seen.clone();
    simulator.before_call(move |worlds, call| {
        let mut notes = notes.lock().unwrap();
        notes.push(format!("{} {}", call.operation, call.region));
        // Before the second call the tag moves, before the third the image is deleted.
        let world = worlds.of(&call.account, &call.region);
        if notes.len() == 2 {
            world.ecr.push(ImageSpec::new("app", "v1", world.now + Duration::from_secs(60)));
        } else if notes.len() == 3 {
            let request = json!({ "repositoryName": "app", "imageIds": [{ "imageTag": "v1" }] });
            let reply = world.act(Service::Ecr, "BatchDeleteImage", request).unwrap();
            assert_eq!(reply["failures"], json!([]));
            assert!(world.act(Service::Ecr, "BatchDeleteImage", json!({ "repositoryName": "nowhere" })).is_err());
        }
    });
    let config = simulator.sdk_config("AKIATEST");
    assert_eq!(digest(&config).await, Ok(home.clone()));
    let moved = digest(&config).await.unwrap();
    assert_ne!(moved, home);
    assert_eq!(digest(&config).await, Err("ImageNotFoundException".into()));
    assert_eq!(*seen.lock().unwrap(), ["DescribeImages eu-central-1"; 3]);
}

#[tokio::test(start_paused = true)]
async fn an_account_pulls_from_another_registry_once_it_reaches_that() {
    let (simulator, [home, _, own]) = three();
    let registry = simulator.with_world(|world| world.ecr.clone());
    let image = format!("{}:v1", registry.uri("app"));
    simulator.with_world_of(OTHER.0, OTHER.1, |world| {
        assert!(world.ecr.pull(&image, "arm64").unwrap_err().contains("403 Forbidden"));
        world.ecr.reach(&registry);
        assert_eq!(world.ecr.pull(&image, "arm64").unwrap().digest, home);
        assert_eq!(world.ecr.pull(&format!("{}:v1", world.ecr.uri("app")), "arm64").unwrap().digest, own);
    });
}
