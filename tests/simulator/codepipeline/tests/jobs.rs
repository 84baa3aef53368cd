use super::*;

#[tokio::test(start_paused = true)]
async fn of_two_workers_with_one_job_the_first_acknowledgement_wins() {
    let (simulator, client) = account(&short("SUPERSEDED"));
    simulator.with_world(|world| world.codepipeline.set_offer_overlap(Duration::from_secs(1)));
    start(&simulator);
    let other = Client::new(&simulator.sdk_config("other-worker"));
    let mine = next_job(&simulator, &client, "Canary").await;
    let theirs = next_job(&simulator, &other, "Canary").await;
    assert_eq!(mine.id(), theirs.id());
    assert_eq!(acknowledge(&other, &theirs).await.unwrap(), JobStatus::InProgress);
    assert_eq!(acknowledge(&client, &mine).await.unwrap_err(), "InvalidNonceException");
    assert_eq!(acknowledge(&other, &theirs).await.unwrap(), JobStatus::InProgress, "a repeated call is harmless");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_nobody_acknowledges_is_offered_again_with_another_nonce() {
    let (simulator, client) = account(&short("SUPERSEDED"));
    start(&simulator);
    let first = next_job(&simulator, &client, "Canary").await;
    wait(&simulator, 30).await;
    assert!(poll(&client, "Canary").await.is_empty());
    wait(&simulator, 31).await;
    let second = next_job(&simulator, &client, "Canary").await;
    assert_eq!(first.id(), second.id());
    assert_eq!(acknowledge(&client, &first).await.unwrap_err(), "InvalidNonceException");
    assert_eq!(acknowledge(&client, &second).await.unwrap(), JobStatus::InProgress);
    assert!(poll(&client, "Canary").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn artifact_credentials_expire_after_fifteen_minutes_and_job_details_renew_them() {
    let (simulator, client) = account(&short("SUPERSEDED"));
    start(&simulator);
    let job = take(&simulator, &client, "Canary").await;
    let location = job.data().unwrap().input_artifacts()[0].location().unwrap().s3_location().unwrap().clone();
    let fetch = async |access_key: &str, bucket: &str| {
        let s3 = aws_sdk_s3::Client::new(&simulator.sdk_config(access_key));
        let answer = s3.get_object().bucket(bucket).key(&location.object_key).send().await;
        answer.map(|_| ()).map_err(|error| error.code().unwrap_or_default().to_owned())
    };
    let key = job.data().unwrap().artifact_credentials().unwrap().access_key_id.clone();
    assert_eq!(fetch(&key, "artifacts").await, Ok(()));
    assert_eq!(fetch(&key, "sources").await, Err("AccessDenied".into()));
    wait(&simulator, 15 * 60).await;
    assert_eq!(fetch(&key, "artifacts").await, Err("ExpiredToken".into()));
    let details = client.get_job_details().job_id(job.id().unwrap()).send().await.unwrap().job_details.unwrap();
    let renewed = details.data().unwrap().artifact_credentials().unwrap().access_key_id.clone();
    assert_eq!(fetch(&renewed, "artifacts").await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_custom_action_times_out_after_a_day_whatever_its_jobs_do() {
    let (simulator, client) = account(&short("SUPERSEDED"));
    let execution = start(&simulator);
    let job = take(&simulator, &client, "Canary").await;
    wait(&simulator, 23 * 3600).await;
    hand_back(&client, &job, "token", 99).await;
    let job = take(&simulator, &client, "Canary").await;
    wait(&simulator, 3600).await;
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Failed);
    assert_eq!(fail(&client, &job, "late").await.unwrap_err(), "InvalidJobStateException");
    simulator.with_world(|world| {
        let job = world.codepipeline.job(job.id().unwrap()).unwrap();
        assert_eq!((&job.status, job.results.len(), job.refused_results), (&JobStatus::TimedOut, 0, 1));
    });
}

#[tokio::test(start_paused = true)]
async fn results_are_taken_once_and_only_from_a_job_in_progress() {
    let (simulator, client) = account(&short("SUPERSEDED"));
    start(&simulator);
    let job = next_job(&simulator, &client, "Canary").await;
    assert_eq!(fail(&client, &job, "too early").await.unwrap_err(), "InvalidJobStateException");
    acknowledge(&client, &job).await.unwrap();
    succeed(&client, &job).await;
    assert_eq!(fail(&client, &job, "again").await.unwrap_err(), "InvalidJobStateException");
    let unknown = client.get_job_details().job_id("00000000-0000-4000-8000-000000000000").send().await;
    assert_eq!(unknown.unwrap_err().code(), Some("JobNotFoundException"));
}

#[tokio::test(start_paused = true)]
async fn limits_of_results_are_refused_by_name() {
    let (simulator, client) = account(&short("SUPERSEDED"));
    start(&simulator);
    let job = take(&simulator, &client, "Canary").await;
    let put = || client.put_job_success_result().job_id(job.id().unwrap());
    let long = put().continuation_token("x".repeat(2049)).send().await.unwrap_err();
    assert_eq!(long.code(), Some("ValidationException"));
    assert!(long.message().unwrap().contains("'continuationToken'"), "{long:?}");
    let details = ExecutionDetails::builder().summary("").percent_complete(101).build();
    let both = put().execution_details(details).send().await.unwrap_err();
    let message = both.message().unwrap();
    assert!(message.starts_with("2 validation errors") && message.contains("'executionDetails.summary'"), "{message}");
    let mixed = put().continuation_token("x").output_variables("A", "1").send().await.unwrap_err();
    assert_eq!(mixed.code(), Some("ValidationException"));
    let key = put().output_variables("a.b", "1").send().await.unwrap_err();
    assert_eq!(key.code(), Some("ValidationException"));
    let size = put().output_variables("A", "1".repeat(122_880)).send().await.unwrap_err();
    assert_eq!(size.code(), Some("OutputVariablesSizeExceededException"));
    assert_eq!(fail(&client, &job, &"x".repeat(5001)).await.unwrap_err(), "ValidationException");
    assert_eq!(fail(&client, &job, &"x".repeat(5000)).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn the_queryable_property_must_be_supplied_and_is_a_filter() {
    let (simulator, client) = account(&short("SUPERSEDED"));
    start(&simulator);
    wait(&simulator, 10).await;
    let without = client.poll_for_jobs().action_type_id(type_id("Canary")).send().await.unwrap_err();
    assert_eq!(without.code(), Some("ValidationException"));
    let other = client.poll_for_jobs().action_type_id(type_id("Canary")).query_param("Pool", "other");
    assert!(other.send().await.unwrap().jobs().is_empty());
    let unknown = client.poll_for_jobs().action_type_id(type_id("Nobody")).query_param("Pool", "main").send().await;
    assert_eq!(unknown.unwrap_err().code(), Some("ActionTypeNotFoundException"));
    let aws = ActionTypeId::builder().category(ActionCategory::Source).owner(ActionOwner::Aws);
    let aws = aws.provider("S3").version("1").build().unwrap();
    let aws = client.poll_for_jobs().action_type_id(aws).send().await.unwrap_err();
    assert_eq!(aws.message(), Some("ActionType with owner 'AWS' is not supported"));
    assert_eq!(poll(&client, "Canary").await.len(), 1);
}
