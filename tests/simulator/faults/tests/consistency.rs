//! Reads that lag behind writes.

use super::*;

async fn told_desired(client: &Client) -> i32 {
    describe(client).await.services()[0].desired_count
}

#[tokio::test(start_paused = true)]
async fn a_stale_read_tells_the_world_as_it_was() {
    let simulator = account();
    let client = once(&simulator);
    simulator.clock().wait(Duration::from_secs(60)).await;
    simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::stale(Duration::from_secs(30)))));
    scale(&client, 2).await.unwrap();
    assert_eq!(told_desired(&client).await, 1);
    simulator.clock().wait(Duration::from_secs(20)).await;
    scale(&client, 3).await.unwrap();
    assert_eq!(told_desired(&client).await, 1);
    simulator.clock().wait(Duration::from_secs(12)).await;
    assert_eq!(told_desired(&client).await, 2);
    assert_eq!(desired(&simulator), 3);
    simulator.clock().wait(Duration::from_secs(20)).await;
    assert_eq!(told_desired(&client).await, 3);
    let errors = errors(&simulator, "DescribeServices");
    assert!(errors.iter().all(|error| error == "fault: read as of 30 s ago"), "{errors:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_stale_read_tells_is_what_was_and_not_another_chance() {
    let lag = Duration::from_secs(20);
    let simulator = account();
    let fresh = Client::new(&simulator.sdk_config("AKIAFRESH"));
    simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::stale(lag)).caller(CALLER)));
    let client = once(&simulator);
    let tasks = async |client: &Client| {
        let mut arns = client.list_tasks().cluster("main").service_name("a").send().await.unwrap().task_arns.unwrap();
        arns.sort();
        arns
    };
    scale(&client, 5).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..60 {
        // Every call draws chance, so the next event's chance depends on how many there were.
        seen.push(tasks(&fresh).await);
        describe(&fresh).await;
        let old = tasks(&client).await;
        assert!(old.is_empty() || seen.contains(&old), "{old:?} never was");
        simulator.clock().wait(Duration::from_secs(1)).await;
    }
    assert_eq!(seen.last().unwrap().len(), 5);
    assert_eq!(tasks(&client).await.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_was_just_made_may_not_be_there_yet() {
    let simulator = account();
    simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::stale(Duration::from_secs(10)))));
    let client = once(&simulator);
    simulator.clock().wait(Duration::from_secs(1)).await;
    let arn = simulator.with_world(|world| world.add_task_definition(&definition("new"))).unwrap();
    let ask = || client.describe_task_definition().task_definition(&arn).send();
    assert_eq!(told(&ask().await.unwrap_err()), "ClientException");
    simulator.clock().wait(Duration::from_secs(10)).await;
    assert!(ask().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn eventual_consistency_mixes_old_and_new() {
    let simulator = account();
    let lag = Duration::from_secs(30);
    simulator.inject(FaultPlan::seeded(3).rule(Rule::new(Fault::eventual_consistency(lag)).chance(0.8)));
    let client = once(&simulator);
    simulator.clock().wait(lag).await;
    scale(&client, 2).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..30 {
        told.push(told_desired(&client).await);
        simulator.clock().wait(Duration::from_secs(1)).await;
    }
    let newest = told.iter().position(|desired| *desired == 2).unwrap();
    assert!(told[newest..].contains(&1), "{told:?}");
    simulator.clock().wait(Duration::from_secs(2)).await;
    assert_eq!(told_desired(&client).await, 2);
}
