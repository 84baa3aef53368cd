use aws_sdk_eventbridge::Client;

use crate::{Settings, Simulator};

const CLUSTER: &str = "arn:aws:ecs:eu-central-1:123456789012:cluster/main";
const DEFINITION: &str = "arn:aws:ecs:eu-central-1:123456789012:task-definition/cron:3";

#[tokio::test(start_paused = true)]
async fn rules_of_every_bus_name_the_task_definitions_that_they_run() {
    let simulator = Simulator::new(Settings::seeded(53));
    simulator.with_world(|world| {
        world.eventbridge.add_task_target("default", "nightly", CLUSTER, DEFINITION);
        world.eventbridge.add_task_target("partner", "hourly", CLUSTER, DEFINITION);
        world.eventbridge.add_rule("partner", "off", false);
    });
    let client = Client::new(&simulator.sdk_config("AKIATEST"));
    let buses = client.list_event_buses().send().await.unwrap();
    let names: Vec<_> = buses.event_buses().iter().filter_map(|bus| bus.name()).collect();
    assert_eq!(names, ["default", "partner"]);
    let of_default = client.list_rules().send().await.unwrap();
    assert_eq!(of_default.rules()[0].name(), Some("nightly"));
    let first = client.list_rules().event_bus_name("partner").limit(1).send().await.unwrap();
    let token = first.next_token().unwrap();
    let second = client.list_rules().event_bus_name("partner").limit(1).next_token(token).send().await.unwrap();
    assert_eq!((first.rules()[0].name(), second.rules()[0].name()), (Some("hourly"), Some("off")));
    assert_eq!((second.rules()[0].state().unwrap().as_str(), second.next_token()), ("DISABLED", None));
    let targets = client.list_targets_by_rule().event_bus_name("partner").rule("hourly").send().await.unwrap();
    let target = &targets.targets()[0];
    assert_eq!((target.arn(), target.ecs_parameters().unwrap().task_definition_arn()), (CLUSTER, DEFINITION));
    let nowhere = client.list_targets_by_rule().rule("hourly").send().await.unwrap_err().into_service_error();
    assert!(nowhere.is_resource_not_found_exception(), "a rule belongs to its bus");
}
