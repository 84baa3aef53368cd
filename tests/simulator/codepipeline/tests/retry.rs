use super::*;
use aws_sdk_codepipeline::types::StageRetryMode;

async fn retry(client: &Client, stage: &str, execution: &str, mode: StageRetryMode) -> Result<String, String> {
    let call = client.retry_stage_execution().pipeline_name(PIPELINE).stage_name(stage);
    let answer = call.pipeline_execution_id(execution).retry_mode(mode).send().await;
    let id = answer.map(|reply| reply.pipeline_execution_id.unwrap());
    id.map_err(|error| error.code().unwrap_or_default().to_owned())
}

async fn retry_failed(client: &Client, execution: &str) -> Result<String, String> {
    retry(client, "Release", execution, StageRetryMode::FailedActions).await
}

#[tokio::test(start_paused = true)]
async fn failed_actions_are_repeated_in_the_same_execution_with_new_jobs() {
    let (simulator, client) = account(&standard("SUPERSEDED"));
    let execution = start(&simulator);
    answer(&simulator, "Approve", ApprovalStatus::Approved).await;
    let canary = take(&simulator, &client, "Canary").await;
    succeed(&client, &canary).await;
    answer(&simulator, "Release", ApprovalStatus::Approved).await;
    let first = take(&simulator, &client, "Full").await;
    fail(&client, &first, "ill").await.unwrap();
    assert_eq!(retry_failed(&client, &execution).await.as_ref(), Ok(&execution));
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::InProgress);

    let second = take(&simulator, &client, "Full").await;
    assert_eq!(execution_of(&second), execution);
    assert_ne!(action_execution_of(&second), action_execution_of(&first));
    assert_eq!(second.data().unwrap().continuation_token(), None);
    assert_eq!(fail(&client, &first, "again").await.unwrap_err(), "InvalidJobStateException");
    assert!(poll(&client, "Canary").await.is_empty(), "what succeeded is not repeated");
    let state = client.get_pipeline_state().name(PIPELINE).send().await.unwrap();
    let metadata = state.stage_states()[2].retry_stage_metadata().unwrap();
    assert_eq!(metadata.manual_stage_retry_attempt(), Some(1));
    succeed(&client, &second).await;
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn all_actions_are_repeated_from_the_first_one() {
    let (simulator, client) = account(&standard("SUPERSEDED"));
    let execution = start(&simulator);
    answer(&simulator, "Approve", ApprovalStatus::Approved).await;
    let first = take(&simulator, &client, "Canary").await;
    succeed(&client, &first).await;
    answer(&simulator, "Release", ApprovalStatus::Rejected).await;
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Failed);
    retry(&client, "Release", &execution, StageRetryMode::AllActions).await.unwrap();
    wait(&simulator, 20).await;
    simulator.with_world(|world| assert!(world.codepipeline.open_approvals(PIPELINE).is_empty()));
    let second = take(&simulator, &client, "Canary").await;
    assert_ne!(action_execution_of(&second), action_execution_of(&first));
    succeed(&client, &second).await;
    answer(&simulator, "Release", ApprovalStatus::Approved).await;
    let full = take(&simulator, &client, "Full").await;
    succeed(&client, &full).await;
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_stage_is_retried_after_abandon_while_a_worker_still_holds_the_first_try() {
    let (simulator, client) = account(&short("SUPERSEDED"));
    let execution = start(&simulator);
    let old = take(&simulator, &client, "Canary").await;
    simulator.with_world(|world| {
        world.stop_execution(PIPELINE, &execution, true).unwrap();
        world.retry_stage(PIPELINE, "Release", &execution, StageRetryMode::FailedActions).unwrap();
    });
    let new = take(&simulator, &client, "Canary").await;
    assert_eq!(execution_of(&new), execution);
    assert_ne!(action_execution_of(&new), action_execution_of(&old));
    assert_eq!(fail(&client, &old, "late").await.unwrap_err(), "InvalidJobStateException");
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::InProgress);
    succeed(&client, &new).await;
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Succeeded);
    let listed = client.list_pipeline_executions().pipeline_name(PIPELINE).send().await.unwrap();
    assert!(listed.pipeline_execution_summaries()[0].stop_trigger().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_retry_right_after_a_stop_starts_with_the_first_run_order() {
    let (simulator, client) = account(&standard("SUPERSEDED"));
    let execution = start(&simulator);
    answer(&simulator, "Approve", ApprovalStatus::Approved).await;
    let first = take(&simulator, &client, "Canary").await;
    succeed(&client, &first).await;
    // The approval's start is due within a second; it must not come before the repeated canary.
    simulator.with_world(|world| {
        world.stop_execution(PIPELINE, &execution, false).unwrap();
        world.retry_stage(PIPELINE, "Release", &execution, StageRetryMode::AllActions).unwrap();
    });
    take(&simulator, &client, "Canary").await;
    wait(&simulator, 20).await;
    simulator.with_world(|world| assert!(world.codepipeline.open_approvals(PIPELINE).is_empty()));
}

#[tokio::test(start_paused = true)]
async fn what_was_stopped_between_two_actions_goes_on_where_it_was() {
    let (simulator, client) = account(&standard("SUPERSEDED"));
    let execution = start(&simulator);
    answer(&simulator, "Approve", ApprovalStatus::Approved).await;
    let canary = take(&simulator, &client, "Canary").await;
    simulator.with_world(|world| world.stop_execution(PIPELINE, &execution, false)).unwrap();
    assert_eq!(retry_failed(&client, &execution).await.unwrap_err(), "ConflictException", "it has yet to stop");
    succeed(&client, &canary).await;
    retry_failed(&client, &execution).await.unwrap();
    answer(&simulator, "Release", ApprovalStatus::Approved).await;
    let full = take(&simulator, &client, "Full").await;
    let configuration = full.data().unwrap().action_configuration().unwrap().configuration().unwrap();
    assert_eq!(configuration["Options"], "digest=sha256:1", "the first try's variables are still there");
}

#[tokio::test(start_paused = true)]
async fn a_failed_action_is_repeated_while_its_neighbour_goes_on() {
    let stages = json!([
        {"name": "Source", "actions": [source()]},
        {"name": "Release", "actions": [deploy("Canary", 1, "-"), deploy("Full", 1, "-")]},
    ]);
    let (simulator, client) = account(&structure("SUPERSEDED", stages));
    let execution = start(&simulator);
    let canary = take(&simulator, &client, "Canary").await;
    let full = take(&simulator, &client, "Full").await;
    assert_eq!(retry_failed(&client, &execution).await.unwrap_err(), "StageNotRetryableException");
    fail(&client, &canary, "ill").await.unwrap();
    let all = retry(&client, "Release", &execution, StageRetryMode::AllActions).await;
    assert_eq!(all.unwrap_err(), "ConflictException");
    retry_failed(&client, &execution).await.unwrap();
    succeed(&client, &full).await;
    let canary = take(&simulator, &client, "Canary").await;
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::InProgress);
    succeed(&client, &canary).await;
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Succeeded);
    simulator.with_world(|world| assert_eq!(world.codepipeline.jobs().len(), 3));
}

#[tokio::test(start_paused = true)]
async fn only_the_latest_execution_of_an_unchanged_structure_is_retried() {
    let (simulator, client) = account(&short("SUPERSEDED"));
    let first = start(&simulator);
    let job = take(&simulator, &client, "Canary").await;
    let unknown = retry(&client, "None", &first, StageRetryMode::AllActions).await;
    assert_eq!(unknown.unwrap_err(), "StageNotFoundException");
    fail(&client, &job, "ill").await.unwrap();
    let second = start(&simulator);
    let job = take(&simulator, &client, "Canary").await;
    assert_eq!(retry_failed(&client, &first).await.unwrap_err(), "NotLatestPipelineExecutionException");
    fail(&client, &job, "ill").await.unwrap();
    let passed = retry(&client, "Source", &second, StageRetryMode::AllActions).await;
    assert_eq!(passed.unwrap_err(), "StageNotRetryableException");
    let declaration = client.get_pipeline().name(PIPELINE).send().await.unwrap().pipeline.unwrap();
    client.update_pipeline().pipeline(declaration).send().await.unwrap();
    assert_eq!(retry_failed(&client, &second).await.unwrap_err(), "StageNotRetryableException");
}

#[tokio::test(start_paused = true)]
async fn an_action_that_timed_out_is_retried_with_24_hours_of_its_own() {
    let (simulator, client) = account(&short("SUPERSEDED"));
    let execution = start(&simulator);
    take(&simulator, &client, "Canary").await;
    wait(&simulator, 24 * 3600).await;
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Failed);
    wait(&simulator, 3600).await;
    retry_failed(&client, &execution).await.unwrap();
    let job = take(&simulator, &client, "Canary").await;
    wait(&simulator, 23 * 3600).await;
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::InProgress);
    succeed(&client, &job).await;
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Succeeded);
}
