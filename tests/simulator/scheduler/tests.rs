use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::error::ProvideErrorMetadata;

use crate::{Settings, Simulator};

const CLUSTER: &str = "arn:aws:ecs:eu-central-1:123456789012:cluster/main";

#[tokio::test(start_paused = true)]
async fn schedules_of_every_group_are_listed_and_each_tells_its_task_definition() {
    let simulator = Simulator::new(Settings::seeded(54));
    simulator.with_world(|world| {
        for (group, name, definition) in [("default", "nightly", "cron:1"), ("reports", "nightly", "report:7")] {
            let definition = world.arn("ecs", &format!("task-definition/{definition}"));
            world.scheduler.add_task(group, name, CLUSTER, &definition, world.now);
        }
        world.scheduler.enable("reports", "nightly", false);
    });
    let client = Client::new(&simulator.sdk_config("AKIATEST"));
    let mut pages = client.list_schedules().max_results(1).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        for schedule in page.unwrap().schedules() {
            found.push((schedule.group_name().unwrap().to_owned(), schedule.name().unwrap().to_owned()));
        }
    }
    assert_eq!(found, [("default", "nightly"), ("reports", "nightly")].map(|(one, two)| (one.into(), two.into())));
    let of_one = client.list_schedules().group_name("reports").send().await.unwrap();
    assert_eq!(of_one.schedules().len(), 1);
    let groups = client.list_schedule_groups().send().await.unwrap();
    assert_eq!(groups.schedule_groups().len(), 2);
    let got = client.get_schedule().group_name("reports").name("nightly").send().await.unwrap();
    let target = got.target().unwrap();
    assert_eq!((target.arn(), got.state().unwrap().as_str()), (CLUSTER, "DISABLED"));
    assert!(target.ecs_parameters().unwrap().task_definition_arn().ends_with("report:7"));
    let nowhere = client.get_schedule().name("nowhere").send().await.unwrap_err();
    assert_eq!(nowhere.code(), Some("ResourceNotFoundException"));
}
