//! Task definitions.

use super::*;
use crate::{Call, Service};

/// Calls as a client does that knows more than the SDK.
fn raw(stage: &Stage, operation: &str, raw: Value) -> crate::Answer<Value> {
    stage.simulator.with_world(|world| {
        let call = Call::from_inside(world, Service::Ecs, operation, "AKIATEST", raw);
        crate::ecs::dispatch(world, &call)
    })
}

#[tokio::test(start_paused = true)]
async fn a_task_definition_comes_back_as_it_went_in_with_members_that_the_sdk_does_not_know() {
    let stage = Stage::new(1, worker("good"), 1, json!({}));
    let mut sent = worker("good");
    sent["trustedExecutionConfiguration"] = json!({"isolationMode": "ISOLATED_SANDBOX"});
    sent["containerDefinitions"][0]["futureMember"] = json!(true);
    sent["tags"] = json!([{"key": "coalmine:execution", "value": "e-1"}]);
    let registered = raw(&stage, "RegisterTaskDefinition", sent.clone()).unwrap();
    let arn = registered["taskDefinition"]["taskDefinitionArn"].clone();
    assert_eq!(registered["tags"], sent["tags"]);
    let bare = raw(&stage, "DescribeTaskDefinition", json!({"taskDefinition": arn})).unwrap();
    assert!(bare.get("tags").is_none());
    let described = raw(&stage, "DescribeTaskDefinition", json!({"taskDefinition": arn, "include": ["TAGS"]})).unwrap();
    assert_eq!(described["tags"], sent["tags"]);
    let mut members = described["taskDefinition"].as_object().unwrap().clone();
    for added in [
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
    ] {
        assert!(members.shift_remove(added).is_some(), "{added}");
    }
    sent.as_object_mut().unwrap().shift_remove("tags");
    assert_eq!(Value::Object(members).to_string(), sent.to_string());
    // The SDK reads it, too.
    let typed = stage.client.describe_task_definition().task_definition("worker").send().await.unwrap();
    let typed = typed.task_definition.unwrap();
    assert_eq!((typed.revision, typed.status().unwrap().as_str()), (2, "ACTIVE"));
    assert!(typed.registered_at().is_some());
}

#[tokio::test(start_paused = true)]
async fn revisions_only_rise_and_inactive_ones_cannot_be_deployed() {
    let stage = Stage::new(1, worker("good"), 1, json!({}));
    let second = stage.definition(&worker("good"));
    let gone = stage.client.deregister_task_definition().task_definition(&second).send().await.unwrap();
    assert_eq!(gone.task_definition().unwrap().status().unwrap().as_str(), "INACTIVE");
    assert!(stage.definition(&worker("good")).ends_with("worker:3"));
    let update = stage.client.update_service().cluster("main").service("app").task_definition(&second);
    let refused = update.send().await.unwrap_err().into_service_error();
    assert_eq!(refused.meta().code(), Some("ClientException"));
    let listed = stage.client.list_task_definitions().family_prefix("worker").sort(types::SortOrder::Desc);
    let listed = listed.send().await.unwrap().task_definition_arns.unwrap();
    let names: Vec<_> = listed.iter().map(|arn| arn.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["worker:3", "worker:1"]);
    let prefix = stage.client.list_task_definitions().family_prefix("work").send().await.unwrap();
    assert!(prefix.task_definition_arns().is_empty(), "the whole family's name is asked for");
}

#[tokio::test(start_paused = true)]
async fn more_than_nine_revisions_are_listed_by_number_page_by_page() {
    let stage = Stage::new(1, worker("good"), 1, json!({}));
    for _ in 0..11 {
        stage.definition(&worker("good"));
    }
    let mut pages =
        stage.client.list_task_definitions().family_prefix("worker").sort(types::SortOrder::Desc).max_results(5);
    let mut numbers = Vec::new();
    loop {
        let page = pages.clone().send().await.unwrap();
        numbers.extend(
            page.task_definition_arns().iter().map(|arn| arn.rsplit(':').next().unwrap().parse::<i32>().unwrap()),
        );
        match page.next_token {
            Some(token) => pages = pages.next_token(token),
            None => break,
        }
    }
    assert_eq!(numbers, (1..=12).rev().collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_aws_refuses_to_register_is_refused() {
    let stage = Stage::new(1, worker("good"), 1, json!({}));
    let refused = |change: fn(&mut Value)| {
        let mut definition = worker("good");
        change(&mut definition);
        let error = raw(&stage, "RegisterTaskDefinition", definition).unwrap_err();
        assert_eq!(error.code, "ClientException");
        error.message
    };
    assert_eq!(refused(|d| d["tags"] = json!([])), "Tags can not be empty.");
    assert_eq!(refused(|d| d["containerDefinitions"] = json!([])), "Container list cannot be empty.");
    assert_eq!(refused(|d| d["family"] = json!("a b")), "Family contains invalid characters.");
    assert_eq!(
        refused(|d| d["containerDefinitions"][0]["image"] = json!("")),
        "Container.image should not be null or empty."
    );
    assert!(
        refused(|d| d["containerDefinitions"][0]["dockerLabels"] = json!({"a": "x".repeat(66_000)})).contains("65536")
    );
    let twice = refused(|d| {
        let container = d["containerDefinitions"][0].clone();
        d["containerDefinitions"] = json!([container, container]);
    });
    assert_eq!(twice, "Container name 'app' is not unique.");
    assert!(refused(|d| d["networkMode"] = json!("bridge")).contains("awsvpc"));
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_goes_between_two_pages_hides_no_other() {
    let stage = Stage::new(5, worker("good"), 1, json!({}));
    let register = |family: &str| {
        let mut definition = worker("good");
        definition["family"] = family.into();
        stage.definition(&definition)
    };
    // Beside these there is `worker:1`, the service's.
    for (sort, size, next) in [(types::SortOrder::Asc, 2, 2), (types::SortOrder::Desc, 3, 0)] {
        let arns = ["a", "a", "a-canary"].map(register);
        let list = || stage.client.list_task_definitions().sort(sort.clone()).max_results(size);
        let first = list().send().await.unwrap();
        assert_eq!(first.task_definition_arns().last(), Some(&arns[1]));
        stage.client.deregister_task_definition().task_definition(&arns[1]).send().await.unwrap();
        let second = list().set_next_token(first.next_token).send().await.unwrap();
        assert_eq!(second.task_definition_arns()[0], arns[next]);
        for arn in [&arns[0], &arns[2]] {
            stage.client.deregister_task_definition().task_definition(arn).send().await.unwrap();
        }
    }
}
