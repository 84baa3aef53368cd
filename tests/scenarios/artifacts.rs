//! What comes with a job: artifacts of every broken kind, tokens of other versions, credentials that expire.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use serde_json::json;
use simulator::ecr::Behaviour;
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story, zipped};

/// Releases a source object and claims that it is refused before anything is touched; the message.
async fn refused(object: impl FnOnce(&Story) -> Vec<u8>, options: &str, seed: u64) -> String {
    let app = Application::web("app", 2).canary_with("Options", options);
    let story = Story::begin(Simulator::new(Settings::seeded(seed)), &[&app]);
    let object = object(&story);
    let execution = story.release_source(&app, object).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    assert_eq!(story.changes(story.simulator.settings().epoch), [], "nothing was to be touched");
    let error = story.action("app", &execution, "Canary").error.expect("an error");
    assert_eq!(error.code, "ConfigurationError");
    error.message
}

/// An `imagedefinitions.json` of the containers named, all of `app:v1`, in a zip.
fn naming(story: &Story, containers: &[&str]) -> Vec<u8> {
    let uri = story.world(|world| world.ecr.uri("app"));
    let entries = containers.iter().map(|name| json!({"name": name, "imageUri": format!("{uri}:v1")}));
    let text = serde_json::Value::from_iter(entries).to_string();
    zipped(&[("imagedefinitions.json", text.as_bytes())])
}

#[tokio::test(start_paused = true)]
async fn a_zip_without_the_file_is_refused_with_what_it_holds() {
    let zip = |_: &Story| zipped(&[("appspec.yml", b"version: 0.0"), ("taskdef.json", b"{}")]);
    insta::assert_snapshot!(refused(zip, "wait=15m", 91).await, @r"
    Nothing was deployed to canary main/app-canary:
    - input artifact images: the artifact holds no imagedefinitions.json or imageDetail.json; it holds: appspec.yml, taskdef.json
    ");
    let zip = |_: &Story| zipped(&[("imagedefinitions.json", b"[]")]);
    insta::assert_snapshot!(refused(zip, "file=deploy/images.json", 92).await, @r"
    Nothing was deployed to canary main/app-canary:
    - input artifact images: the artifact holds no deploy/images.json; it holds: imagedefinitions.json
    ");
}

#[tokio::test(start_paused = true)]
async fn a_broken_zip_is_refused() {
    let broken = |story: &Story| {
        let mut zip = naming(story, &["app"]);
        zip.truncate(zip.len() / 2);
        zip
    };
    insta::assert_snapshot!(refused(broken, "wait=15m", 93).await, @r"
    Nothing was deployed to canary main/app-canary:
    - input artifact images: the artifact is neither a zip nor JSON: invalid Zip archive: Could not find EOCD
    ");
}

#[tokio::test(start_paused = true)]
async fn a_zip_that_is_too_large_or_unpacks_to_too_much_is_refused() {
    let large = |_: &Story| vec![b'P'; 33 << 20];
    insta::assert_snapshot!(refused(large, "wait=15m", 94).await, @r"
    Nothing was deployed to canary main/app-canary:
    - artifact images has 34603008 bytes; at most 33554432 are read: give the action an artifact that holds imagedefinitions.json alone
    ");
    let bomb = |_: &Story| zipped(&[("imagedefinitions.json", &[b' '; 1 << 20])]);
    insta::assert_snapshot!(refused(bomb, "wait=15m", 95).await, @r"
    Nothing was deployed to canary main/app-canary:
    - input artifact images: imagedefinitions.json is larger than 102400 bytes, CodePipeline's limit for it
    ");
}

#[tokio::test(start_paused = true)]
async fn containers_that_are_named_twice_or_unknown_are_refused() {
    insta::assert_snapshot!(refused(|story| naming(story, &["app", "app"]), "wait=15m", 96).await, @r#"
    Nothing was deployed to canary main/app-canary:
    - input artifact images: imagedefinitions.json: entry 1, name: found "app" a second time, expected each container once
    "#);
    insta::assert_snapshot!(refused(|story| naming(story, &["app", "proxy"]), "wait=15m", 97).await, @r"
    Nothing was deployed to canary main/app-canary:
    - container proxy is not in the task definition, whose containers are: app
    ");
}

#[tokio::test(start_paused = true)]
async fn a_list_with_mistakes_is_refused_with_every_entry() {
    let wrong = |_: &Story| {
        let text = json!([{"name": "app"}, {"name": "a b", "imageUri": "UPPER/case"}, 7]).to_string();
        zipped(&[("imagedefinitions.json", text.as_bytes())])
    };
    insta::assert_snapshot!(refused(wrong, "wait=15m", 98).await, @r#"
    Nothing was deployed to canary main/app-canary:
    - input artifact images: imagedefinitions.json: entry 0, imageUri: found nothing, expected an image as host/repository:tag or host/repository@sha256:…
      entry 1, name: found "a b", expected the name of a container, 1 to 255 letters, digits, _ or -
      entry 2: found a number, expected an object with name and imageUri
    "#);
    let html = |_: &Story| zipped(&[("imagedefinitions.json", b"<html>not found</html>")]);
    insta::assert_snapshot!(refused(html, "wait=15m", 99).await, @r#"
    Nothing was deployed to canary main/app-canary:
    - input artifact images: imagedefinitions.json: found no JSON (expected value at line 1 column 1), expected a list such as [{"name": "app", "imageUri": "host/repository:tag"}]
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_token_of_another_version_is_refused() {
    let app = Application::web("app", 2);
    let mut story = Story::begin(Simulator::new(Settings::seeded(101)), &[&app]);
    story.stop_worker().await;
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.hand_on(r#"{"v":2,"phase":"ramp"}"#).await;
    story.start_worker();
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    insta::assert_snapshot!(story.failure("app", &execution, "Canary"), @"The job cannot be continued: the continuation token has version 2, this worker reads version 1: run one version of the worker per pool, or retry the stage.");
    assert_eq!(story.changes(story.simulator.settings().epoch), []);
}

#[tokio::test(start_paused = true)]
async fn artifact_credentials_that_expired_while_the_service_was_busy_are_renewed() {
    let app = Application::web("app", 2).canary_with("Options", "wait=40m");
    let mut story = Story::begin(Simulator::new(Settings::seeded(102)), &[&app]);
    story.stop_worker().await;
    story.start_lingering_worker(Duration::from_secs(3_600));
    story.somebody_deploys(&app, "app-canary", Behaviour::SlowStart(Duration::from_secs(1_300))).await;
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    assert_eq!(story.calls("GetJobDetails").len(), 1, "the credentials were to be renewed");
    story.runs_image(&app, "app", "v2");
}
