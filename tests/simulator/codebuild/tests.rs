use aws_sdk_codebuild::Client;

use crate::faults::{Fault, FaultPlan, Rule};
use crate::{Settings, Simulator};

fn account(projects: usize) -> (Simulator, Client) {
    let simulator = Simulator::new(Settings::seeded(52));
    simulator.with_world(|world| {
        for number in 0..projects {
            world.codebuild.add_project(&format!("project-{number:03}"), &format!("image:{number}"), world.now);
        }
    });
    let client = Client::new(&simulator.sdk_config("AKIATEST"));
    (simulator, client)
}

async fn pages(client: &Client) -> Vec<usize> {
    let mut pages = client.list_projects().into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().projects().len());
    }
    sizes
}

#[tokio::test(start_paused = true)]
async fn projects_come_by_the_hundred_and_name_their_images() {
    let (simulator, client) = account(120);
    assert_eq!(pages(&client).await, [100, 20]);
    let got = client.batch_get_projects().names("project-007").names("nowhere").send().await.unwrap();
    assert_eq!(got.projects()[0].environment().unwrap().image(), "image:7");
    assert_eq!(got.projects_not_found(), ["nowhere"]);
    simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::ShortPage(60))));
    assert_eq!(pages(&client).await, [60, 60]);
}

#[tokio::test(start_paused = true)]
async fn a_project_that_was_there_may_not_be_found() {
    let (simulator, client) = account(2);
    simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::Failures("MISSING".into()))));
    let got = client.batch_get_projects().names("project-000").names("project-001").send().await.unwrap();
    assert_eq!((got.projects().len(), got.projects_not_found()), (1, ["project-001".to_owned()].as_slice()));
}
