//! Which calls a rule is about.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_rule_is_about_the_calls_that_meet_all_of_it() {
    let simulator = account();
    let start = simulator.clock().now();
    let plan = FaultPlan::seeded(1)
        .rule(Rule::new(Fault::AccessDenied).operation("UpdateService").subject("a").nth(2))
        .rule(Rule::new(Fault::Throttle).service(Service::Ecs).caller("AKIAOTHER").times(1))
        .rule(Rule::new(Fault::Throttle).from(start + Duration::from_secs(60)).until(start + Duration::from_secs(120)));
    simulator.inject(plan);
    let client = once(&simulator);
    scale(&client, 2).await.unwrap();
    describe(&client).await;
    assert_eq!(scale(&client, 3).await.unwrap_err(), "AccessDeniedException");
    scale(&client, 4).await.unwrap();
    let other = simulator.sdk_config("AKIAOTHER").to_builder().retry_config(RetryConfig::disabled()).build();
    let other = Client::new(&other);
    assert_eq!(scale(&other, 5).await.unwrap_err(), "ThrottlingException");
    scale(&other, 5).await.unwrap();
    simulator.clock().wait(Duration::from_secs(60)).await;
    assert_eq!(scale(&client, 6).await.unwrap_err(), "ThrottlingException");
    simulator.clock().wait(Duration::from_secs(60)).await;
    scale(&client, 6).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn chance_is_the_plan_s_own_and_the_same_for_the_same_seed() {
    let outcomes = async |seed: u64| {
        let simulator = account();
        simulator.inject(FaultPlan::seeded(seed).rule(Rule::new(Fault::Throttle).chance(0.3)));
        let client = once(&simulator);
        let mut outcomes = Vec::new();
        for _ in 0..100 {
            outcomes.push(scale(&client, 2).await.is_err());
            simulator.clock().wait(Duration::from_secs(1)).await;
        }
        outcomes
    };
    let first = outcomes(1).await;
    assert_eq!(first, outcomes(1).await);
    assert_ne!(first, outcomes(2).await);
    assert!((15..45).contains(&first.iter().filter(|failed| **failed).count()));
}

#[tokio::test(start_paused = true)]
async fn a_plan_whose_faults_do_not_come_changes_nothing() {
    let story = async |plan: Option<FaultPlan>| {
        let simulator = account();
        if let Some(plan) = plan {
            simulator.inject(plan);
        }
        let client = once(&simulator);
        scale(&client, 3).await.unwrap();
        simulator.clock().wait(Duration::from_secs(300)).await;
        let services = format!("{:?}", describe(&client).await);
        let tasks = format!("{:?}", client.list_tasks().cluster("main").send().await.unwrap().task_arns);
        (services, tasks, simulator.clock().now())
    };
    let rare = |fault| Rule::new(fault).chance(0.0);
    let plan = FaultPlan::seeded(5)
        .rule(rare(Fault::Throttle))
        .rule(rare(Fault::stale(Duration::from_secs(30))))
        .rule(rare(Fault::RepeatedItems));
    assert_eq!(story(None).await, story(Some(plan)).await);
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted_and_labelled_by_caller() {
    let simulator = account();
    let client = once(&simulator);
    simulator.inject(FaultPlan::at(CALLER, 2, Fault::Reset(Moment::BeforeTheAct)));
    describe(&client).await;
    assert_eq!(scale(&client, 2).await.unwrap_err(), "reset");
    scale(&Client::new(&simulator.sdk_config("AKIAOTHER")), 2).await.unwrap();
    let labels: Vec<String> = simulator.calls_of(CALLER).iter().map(ToString::to_string).collect();
    assert_eq!(labels, ["1 ecs DescribeServices a,b,c", "2 ecs UpdateService a"]);
    assert_eq!(simulator.calls_of("AKIAOTHER").len(), 1);
}
