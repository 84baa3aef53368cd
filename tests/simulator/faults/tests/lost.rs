//! Refusals and lost replies.

use super::*;

#[tokio::test(start_paused = true)]
async fn refusals_come_by_name_and_nothing_is_done() {
    for (fault, code) in [
        (Fault::Throttle, "ThrottlingException"),
        (Fault::ServerError(Moment::BeforeTheAct), "ServerException"),
        (Fault::AccessDenied, "AccessDeniedException"),
        (Fault::Refuse(crate::ErrorReply::new("ExpiredTokenException", "expired")), "ExpiredTokenException"),
    ] {
        let simulator = account();
        simulator.inject(FaultPlan::at(CALLER, 1, fault));
        let client = once(&simulator);
        assert_eq!(scale(&client, 3).await.unwrap_err(), code);
        assert_eq!(desired(&simulator), 1);
        scale(&client, 3).await.unwrap();
        assert_eq!(desired(&simulator), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_leaves_the_act_done_or_undone() {
    for (fault, word) in [
        (Fault::Reset as fn(Moment) -> Fault, "reset"),
        (Fault::TimeOut, "own time-out"),
        (Fault::ServerError, "ServerException"),
    ] {
        for (moment, done) in [(Moment::BeforeTheAct, 1), (Moment::AfterTheAct, 3)] {
            let simulator = account();
            simulator.inject(FaultPlan::at(CALLER, 1, fault(moment)));
            assert_eq!(scale(&once(&simulator), 3).await.unwrap_err(), word);
            assert_eq!(desired(&simulator), done, "{word} {moment}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_caller_s_own_time_out_goes_off_first_else_the_connection_s() {
    let simulator = account();
    simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::TimeOut(Moment::AfterTheAct))));
    let (outcome, took) = seconds(&simulator, scale(&once(&simulator), 3)).await;
    assert_eq!((outcome.unwrap_err().as_str(), took), ("own time-out", 8));
    let (outcome, took) = seconds(&simulator, scale(&patient(&simulator), 3)).await;
    // Three attempts of 8 s and what lies between them.
    assert_eq!(outcome.unwrap_err(), "own time-out");
    assert!((24..=25).contains(&took), "{took}");
    let door = simulator.sdk_config(CALLER).to_builder().retry_config(RetryConfig::disabled()).build();
    let (outcome, took) = seconds(&simulator, scale(&Client::new(&door), 3)).await;
    assert_eq!((outcome.unwrap_err().as_str(), took), ("connection's time-out", 60));
}

#[tokio::test(start_paused = true)]
async fn the_sdk_retries_what_it_takes_for_passing() {
    let simulator = account();
    let plan = FaultPlan::seeded(1)
        .rule(Rule::new(Fault::Throttle).call(1))
        .rule(Rule::new(Fault::Reset(Moment::AfterTheAct)).call(2))
        .rule(Rule::new(Fault::Crowded).operation("RegisterTaskDefinition"));
    simulator.inject(plan);
    let client = patient(&simulator);
    scale(&client, 3).await.unwrap();
    assert_eq!(
        errors(&simulator, "UpdateService"),
        ["ThrottlingException, fault: throttled", "fault: reset after the act", ""]
    );
    let container = aws_sdk_ecs::types::ContainerDefinition::builder().name("app").image("registry.example/app:v1");
    let register = client.register_task_definition().family("a").container_definitions(container.memory(64).build());
    assert_eq!(told(&register.send().await.unwrap_err()), "ClientException");
    assert_eq!(simulator.calls_of(CALLER).len(), 4, "the SDK does not retry a ClientException");
    let picture = simulator.with_calls(|calls| calls.picture(simulator.settings().epoch, |_| true));
    assert!(picture.contains("UpdateService a ✗ fault: reset after the act"), "{picture}");
}

#[tokio::test(start_paused = true)]
async fn every_service_fails_in_its_own_words() {
    let simulator = account();
    simulator.with_world(|world| world.s3.create_bucket("artifacts", world.now));
    let door = limited(&simulator.sdk_config(CALLER)).to_builder().retry_config(RetryConfig::disabled()).build();
    let s3 = aws_sdk_s3::Client::new(&door);
    let codes = async || {
        let list = s3.list_objects_v2().bucket("artifacts").send().await;
        let pipelines = aws_sdk_codepipeline::Client::new(&door).list_pipelines().send().await;
        let alarms = aws_sdk_cloudwatch::Client::new(&door).describe_alarms().send().await;
        let groups = aws_sdk_cloudwatchlogs::Client::new(&door).describe_log_groups().send().await;
        [
            list.map(drop).map_err(|error| told(&error)),
            pipelines.map(drop).map_err(|error| told(&error)),
            alarms.map(drop).map_err(|error| told(&error)),
            groups.map(drop).map_err(|error| told(&error)),
        ]
        .map(|outcome| outcome.err().unwrap_or_default())
    };
    simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::ServerError(Moment::AfterTheAct))));
    let failures = ["InternalError", "InternalFailure", "InternalServiceFault", "ServiceUnavailableException"];
    assert_eq!(codes().await, failures);
    simulator.clear_faults();
    simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::Throttle)));
    let throttled = ["SlowDown", "ThrottlingException", "ThrottlingException", "ThrottlingException"];
    assert_eq!(codes().await, throttled);
    simulator.clear_faults();
    assert_eq!(codes().await, [""; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_off_is_refused_where_dates_are_checked() {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    for (skew, checked, expected) in [
        (Skew::Behind(minutes(6)), false, ""),
        (Skew::Behind(minutes(6)), true, "InvalidSignatureException"),
        (Skew::Ahead(minutes(6)), true, "InvalidSignatureException"),
        (Skew::Ahead(minutes(4)), true, ""),
    ] {
        let simulator = account();
        if checked {
            simulator.check_dates();
        }
        let door = simulator.sdk_config_skewed(CALLER, skew);
        let once = door.to_builder().retry_config(RetryConfig::disabled()).build();
        assert_eq!(scale(&Client::new(&once), 2).await.err().unwrap_or_default(), expected, "{skew:?}");
        // The SDK learns the difference from the replies' dates.
        assert_eq!(scale(&Client::new(&door), 2).await, Ok(()), "{skew:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_shows_another_date_from_then_on() {
    let simulator = account();
    let door = simulator.sdk_config_skewed(CALLER, Skew::Ahead(Duration::from_secs(10)));
    let right = || simulator.clock().now();
    let shown = || door.time_source().expect("a clock").now();
    assert_eq!(shown(), right() + Duration::from_secs(10));
    for (skew, expected) in [
        (Skew::Behind(Duration::from_secs(90)), right() - Duration::from_secs(90)),
        (Skew::Ahead(Duration::from_secs(90)), right() + Duration::from_secs(90)),
        (Skew::None, right()),
    ] {
        simulator.set_clock(CALLER, skew);
        assert_eq!(shown(), expected);
    }
}
