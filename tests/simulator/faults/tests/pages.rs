//! Pages, failures at HTTP 200 and values that nobody knows.

use aws_sdk_ecs::operation::list_services::ListServicesOutput;

use super::*;

async fn list(client: &Client, token: Option<String>) -> ListServicesOutput {
    client.list_services().cluster("main").max_results(2).set_next_token(token).send().await.unwrap()
}

fn names(page: &ListServicesOutput) -> String {
    page.service_arns().iter().filter_map(|arn| arn.rsplit('/').next()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_short_page_has_a_token_for_the_rest() {
    let simulator = account();
    simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::ShortPage(1))));
    let client = once(&simulator);
    let (mut token, mut found) = (None, Vec::new());
    loop {
        let page = list(&client, token).await;
        found.push(names(&page));
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(found, ["a", "b", "c"]);
    describe(&client).await;
    assert_eq!(errors(&simulator, "ListServices"), vec!["fault: page of 1"; 3]);
    assert_eq!(errors(&simulator, "DescribeServices"), [""], "it has no pages");
}

#[tokio::test(start_paused = true)]
async fn a_short_page_of_objects_goes_on_where_it_ended() {
    let simulator = account();
    simulator.with_world(|world| {
        world.s3.create_bucket("ledger", world.now);
        for key in ["one", "three", "two"] {
            world.s3.put("ledger", key, bytes::Bytes::from_static(b"x"), world.now);
        }
    });
    simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::ShortPage(2))));
    let client = aws_sdk_s3::Client::new(&simulator.sdk_config(CALLER));
    let first = client.list_objects_v2().bucket("ledger").send().await.unwrap();
    assert_eq!((first.contents().len(), first.is_truncated()), (2, Some(true)));
    let token = first.next_continuation_token().unwrap();
    let second = client.list_objects_v2().bucket("ledger").continuation_token(token).send().await.unwrap();
    assert_eq!(second.contents()[0].key(), Some("two"));
}

#[tokio::test(start_paused = true)]
async fn a_page_may_come_twice_or_bring_old_items_along() {
    for (fault, found) in [(Fault::RepeatedPage, ["ab", "ab", "c"]), (Fault::RepeatedItems, ["ab", "abc", ""])] {
        let simulator = account();
        let client = once(&simulator);
        simulator.inject(FaultPlan::seeded(1).rule(Rule::new(fault).times(1)));
        let first = list(&client, None).await;
        let second = list(&client, first.next_token.clone()).await;
        let third = match second.next_token.clone() {
            Some(token) => names(&list(&client, Some(token)).await),
            None => String::new(),
        };
        assert_eq!([names(&first), names(&second), third], found);
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_may_stand_among_the_failures() {
    let simulator = account();
    let plan = FaultPlan::seeded(1).rule(Rule::new(Fault::Failures("MISSING".into())).service(Service::Ecs).nth(1));
    simulator.inject(plan.rule(Rule::new(Fault::Failures("ImageNotFound".into())).service(Service::Ecr)));
    let client = once(&simulator);
    let reply = describe(&client).await;
    assert_eq!(reply.services().len(), 2);
    assert_eq!(reply.failures()[0].reason(), Some("MISSING"));
    assert!(reply.failures()[0].arn().unwrap().ends_with(":service/main/c"));
    assert_eq!(describe(&client).await.services().len(), 3);

    simulator.with_world(|world| world.ecr.push(crate::ecr::ImageSpec::new("app", "v1", world.now)));
    let tag = aws_sdk_ecr::types::ImageIdentifier::builder().image_tag("v1").build();
    let registry = aws_sdk_ecr::Client::new(&simulator.sdk_config(CALLER));
    let reply = registry.batch_get_image().repository_name("app").image_ids(tag).send().await.unwrap();
    assert!(reply.images().is_empty());
    assert_eq!(reply.failures()[0].failure_code().unwrap().as_str(), "ImageNotFound");
    assert_eq!(reply.failures()[0].image_id().unwrap().image_tag(), Some("v1"));
}

#[tokio::test(start_paused = true)]
async fn a_member_may_have_a_value_that_nobody_knows() {
    let simulator = account();
    let plan = FaultPlan::seeded(1)
        .rule(Rule::new(Fault::UnknownValue("no.such.member".into())).times(1))
        .rule(Rule::new(Fault::UnknownValue("services[].deployments[].rolloutState".into())));
    simulator.inject(plan);
    let client = once(&simulator);
    describe(&client).await;
    assert_eq!(errors(&simulator, "DescribeServices"), [""], "nothing to change is no fault");
    simulator.clear_faults();
    let rollout_state = "services[].deployments[].rolloutState";
    simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::UnknownValue(rollout_state.into()))));
    let reply = describe(&client).await;
    assert_eq!(reply.services()[1].deployments()[0].rollout_state().unwrap().as_str(), "SOMETHING_NEW");
    assert_eq!(reply.services()[1].status(), Some("ACTIVE"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_be_late() {
    let simulator = account();
    simulator.inject(FaultPlan::at(CALLER, 1, Fault::Delay(Duration::from_secs(5))));
    let client = once(&simulator);
    let (outcome, took) = seconds(&simulator, scale(&client, 3)).await;
    assert_eq!((outcome, took), (Ok(()), 5));
}

#[tokio::test(start_paused = true)]
async fn an_empty_page_has_a_token_that_asks_for_it_again() {
    let simulator = account();
    simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::EmptyPage).operation("ListServices").times(2)));
    let client = once(&simulator);
    let first = list(&client, None).await;
    assert_eq!(names(&first), "");
    let second = list(&client, first.next_token).await;
    assert_eq!(names(&second), "");
    let third = list(&client, second.next_token).await;
    assert_eq!(names(&third), "ab");
    let fourth = list(&client, third.next_token).await;
    assert_eq!((names(&fourth).as_str(), fourth.next_token), ("c", None));
}

#[tokio::test(start_paused = true)]
async fn the_last_image_of_a_deletion_may_fail_and_then_stays() {
    let simulator = account();
    let pushed = ["v1", "v2"].map(|tag| {
        let architectures = vec!["arm64".to_owned()];
        let spec = |now| crate::ecr::ImageSpec::new("app", tag, now);
        let push = |world: &mut crate::World| {
            world.ecr.push(crate::ecr::ImageSpec { architectures, attestations: false, ..spec(world.now) })
        };
        simulator.with_world(push)
    });
    simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::Failures("ImageInaccessible".into()))));
    let client = aws_sdk_ecr::Client::new(&simulator.sdk_config(CALLER));
    let ids = pushed.iter().map(|digest| aws_sdk_ecr::types::ImageIdentifier::builder().image_digest(digest).build());
    let output = client.batch_delete_image().repository_name("app").set_image_ids(Some(ids.collect())).send().await;
    let output = output.unwrap();
    assert_eq!(output.image_ids()[0].image_digest(), Some(pushed[0].as_str()));
    assert_eq!(output.failures()[0].image_id().unwrap().image_digest(), Some(pushed[1].as_str()));
    assert_eq!(simulator.with_world(|world| world.ecr.digests("app")), [pushed[1].as_str()]);
}

#[tokio::test(start_paused = true)]
async fn one_cluster_alone_may_be_denied() {
    let simulator = account();
    simulator.with_world(|world| world.add_cluster("other")).unwrap();
    simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::AccessDenied).member("cluster", "main")));
    let client = once(&simulator);
    let list = |cluster: &str| client.list_tasks().cluster(cluster).send();
    assert_eq!(told(&list("main").await.unwrap_err()), "AccessDeniedException");
    let arn = simulator.with_world(|world| world.arn("ecs", "cluster/main"));
    assert_eq!(told(&list(&arn).await.unwrap_err()), "AccessDeniedException");
    assert!(list("other").await.is_ok());
}
