//! Callers that die.

use super::*;

#[tokio::test(start_paused = true)]
async fn who_is_killed_before_a_call_has_not_made_it_and_who_is_killed_after_it_has() {
    for (plan, done, acted) in
        [(FaultPlan::kill_before(CALLER, 2), 1, false), (FaultPlan::kill_after(CALLER, 2), 3, true)]
    {
        let simulator = account();
        simulator.inject(plan);
        let client = patient(&simulator);
        let program = async {
            describe(&client).await;
            scale(&client, 3).await
        };
        let death = simulator.while_alive(CALLER, program).await.unwrap_err();
        assert_eq!((death.caller.as_str(), death.call.number, death.acted), (CALLER, 2, acted));
        assert_eq!(death.call.to_string(), "2 ecs UpdateService a");
        assert_eq!(desired(&simulator), done);
        assert_eq!(simulator.deaths(), [death]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_dead_wait_for_ever_with_their_timers_and_come_back_through_a_new_door() {
    let simulator = account();
    simulator.inject(FaultPlan::kill_before(CALLER, 1));
    let client = patient(&simulator);
    let dead = tokio::spawn({
        let client = client.clone();
        async move { scale(&client, 3).await }
    });
    simulator.until_death(CALLER).await;
    let late = tokio::spawn(async move { scale(&client, 4).await });
    simulator.clock().wait(Duration::from_secs(3_600)).await;
    assert!(!dead.is_finished() && !late.is_finished() && simulator.is_dead(CALLER));
    assert_eq!(simulator.calls_of(CALLER).len(), 1, "the dead send nothing more");
    scale(&patient(&simulator), 5).await.unwrap();
    assert!(!simulator.is_dead(CALLER));
    simulator.clock().wait(Duration::from_secs(60)).await;
    assert!(!dead.is_finished() && !late.is_finished());
    assert_eq!(desired(&simulator), 5);
}

#[tokio::test(start_paused = true)]
async fn what_was_on_its_way_when_its_sender_died_does_not_arrive() {
    let simulator = account();
    simulator.inject(FaultPlan::kill_before(CALLER, 2));
    let client = patient(&simulator);
    let both = async { tokio::join!(scale(&client, 3), scale(&client, 4)) };
    simulator.while_alive(CALLER, both).await.unwrap_err();
    simulator.clock().wait(Duration::from_secs(60)).await;
    assert_eq!(desired(&simulator), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_signed_with_other_credentials_dies_with_its_process() {
    let simulator = account();
    simulator.with_world(|world| world.s3.create_bucket("artifacts", world.now));
    simulator.inject(FaultPlan::kill_before(CALLER, 2));
    let door = simulator.sdk_config(CALLER);
    let other = aws_credential_types::Credentials::new("ASIAJOB", "secret", None, None, "a job");
    let provider = aws_credential_types::provider::SharedCredentialsProvider::new(other);
    let config = aws_sdk_s3::config::Builder::from(&door).credentials_provider(provider).build();
    let program = async {
        describe(&Client::new(&door)).await;
        aws_sdk_s3::Client::from_conf(config).list_objects_v2().bucket("artifacts").send().await
    };
    let death = simulator.while_alive(CALLER, program).await.unwrap_err();
    assert_eq!(death.call.to_string(), "2 s3 ListObjectsV2 artifacts");
}
