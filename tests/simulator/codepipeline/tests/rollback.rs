use super::*;
use aws_sdk_codepipeline::types::{ExecutionType, StageExecutionStatus, SucceededInStageFilter, TriggerType};

async fn rollback(client: &Client, stage: &str, target: &str) -> Result<String, String> {
    let call = client.rollback_stage().pipeline_name(PIPELINE).stage_name(stage);
    let answer = call.target_pipeline_execution_id(target).send().await;
    answer.map(|reply| reply.pipeline_execution_id).map_err(|error| error.code().unwrap_or_default().to_owned())
}

/// Source → Release{Canary} → After{Full}.
fn with_a_stage_behind() -> Value {
    let stages = json!([
        {"name": "Source", "actions": [source()]},
        {"name": "Release", "actions": [deploy("Canary", 1, "#{source.VersionId} #{variables.Reason}")]},
        {"name": "After", "actions": [deploy("Full", 1, "-")]},
    ]);
    structure("SUPERSEDED", stages)
}

/// Runs an execution until its first stage behind the source has succeeded.
async fn release(simulator: &Simulator, client: &Client, reason: &str) -> (String, Job) {
    let variables = [("Reason".to_owned(), reason.to_owned())].into();
    let execution = simulator.with_world(|world| world.start_pipeline(PIPELINE, &variables)).unwrap();
    let job = take(simulator, client, "Canary").await;
    succeed(client, &job).await;
    (execution, job)
}

fn options(job: &Job) -> &str {
    &job.data().unwrap().action_configuration().unwrap().configuration().unwrap()["Options"]
}

#[tokio::test(start_paused = true)]
async fn a_stage_is_rolled_back_by_a_new_execution_with_the_old_artifacts_and_variables() {
    let (simulator, client) = account(&with_a_stage_behind());
    let (first, old) = release(&simulator, &client, "first").await;
    let full = take(&simulator, &client, "Full").await;
    succeed(&client, &full).await;
    simulator.with_world(|world| world.s3.put("sources", "app.zip", "release 2".into(), world.now));
    let (second, new) = release(&simulator, &client, "second").await;
    let full = take(&simulator, &client, "Full").await;
    succeed(&client, &full).await;
    assert_ne!(options(&old), options(&new));

    let id = rollback(&client, "Release", &first).await.unwrap();
    let job = take(&simulator, &client, "Canary").await;
    assert_eq!(execution_of(&job), id);
    assert_eq!(options(&job), options(&old));
    let location = |job: &Job| job.data().unwrap().input_artifacts()[0].location().cloned();
    assert_eq!(location(&job), location(&old), "an ordinary job with an old artifact");

    let shown = || client.get_pipeline_execution().pipeline_name(PIPELINE).pipeline_execution_id(&id);
    let shown = shown().send().await.unwrap().pipeline_execution.unwrap();
    assert_eq!(shown.execution_type(), Some(&ExecutionType::Rollback));
    assert_eq!(shown.rollback_metadata().unwrap().rollback_target_pipeline_execution_id(), Some(first.as_str()));
    assert_eq!(shown.trigger().unwrap().trigger_type(), Some(&TriggerType::ManualRollback));
    assert_eq!(shown.trigger().unwrap().trigger_detail(), Some("arn:aws:iam::123456789012:user/worker"));
    assert_eq!(shown.variables()[0].resolved_value(), Some("first"));
    let target = client.get_pipeline_execution().pipeline_name(PIPELINE).pipeline_execution_id(&first);
    let target = target.send().await.unwrap().pipeline_execution.unwrap();
    assert_eq!(shown.artifact_revisions(), target.artifact_revisions());
    assert_eq!(target.execution_type(), Some(&ExecutionType::Standard));

    succeed(&client, &job).await;
    assert_eq!(status(&simulator, &id), PipelineExecutionStatus::Succeeded);
    wait(&simulator, 30).await;
    assert!(poll(&client, "Full").await.is_empty(), "the stages behind it keep what they have");
    let state = client.get_pipeline_state().name(PIPELINE).send().await.unwrap();
    let latest = |stage: usize| state.stage_states()[stage].latest_execution().unwrap().clone();
    assert_eq!(latest(1).r#type(), Some(&ExecutionType::Rollback));
    assert_eq!((latest(1).status, latest(1).pipeline_execution_id), (StageExecutionStatus::Succeeded, id));
    assert_eq!(latest(2).pipeline_execution_id, second);
}

#[tokio::test(start_paused = true)]
async fn a_failed_stage_is_rolled_back_and_cannot_be_retried_any_more() {
    let (simulator, client) = account(&short("SUPERSEDED"));
    let (good, _) = release(&simulator, &client, "good").await;
    let bad = start(&simulator);
    let job = take(&simulator, &client, "Canary").await;
    fail(&client, &job, "ill").await.unwrap();
    let id = simulator.with_world(|world| world.rollback_stage(PIPELINE, "Release", &good)).unwrap();
    let call = client.retry_stage_execution().pipeline_name(PIPELINE).stage_name("Release").pipeline_execution_id(bad);
    let retry = call.retry_mode("ALL_ACTIONS".into()).send().await.unwrap_err();
    assert_eq!(retry.code(), Some("NotLatestPipelineExecutionException"));
    let job = take(&simulator, &client, "Canary").await;
    assert_eq!(execution_of(&job), id);
    simulator.with_world(|world| world.stop_execution(PIPELINE, &id, true)).unwrap();
    assert_eq!(status(&simulator, &id), PipelineExecutionStatus::Stopped, "a rollback is stopped like any other");
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_cannot_be_gone_back_to_is_refused_by_name() {
    let (simulator, client) = account(&short("SUPERSEDED"));
    let (good, _) = release(&simulator, &client, "good").await;
    let unable = "UnableToRollbackStageException";
    assert_eq!(rollback(&client, "None", &good).await.unwrap_err(), "StageNotFoundException");
    assert_eq!(rollback(&client, "Source", &good).await.unwrap_err(), unable, "a source stage");
    let unknown = rollback(&client, "Release", "00000000-0000-4000-8000-000000000000").await;
    assert_eq!(unknown.unwrap_err(), "PipelineExecutionNotFoundException");

    let bad = start(&simulator);
    let job = take(&simulator, &client, "Canary").await;
    assert_eq!(rollback(&client, "Release", &good).await.unwrap_err(), unable, "the stage is running");
    fail(&client, &job, "ill").await.unwrap();
    assert_eq!(rollback(&client, "Release", &bad).await.unwrap_err(), unable, "it did not succeed");

    let id = rollback(&client, "Release", &good).await.unwrap();
    let job = take(&simulator, &client, "Canary").await;
    succeed(&client, &job).await;
    assert_eq!(rollback(&client, "Release", &id).await.unwrap_err(), unable, "itself a rollback");

    let filter = || SucceededInStageFilter::builder().stage_name("Release").build();
    let filter =
        || aws_sdk_codepipeline::types::PipelineExecutionFilter::builder().succeeded_in_stage(filter()).build();
    let listed = || client.list_pipeline_executions().pipeline_name(PIPELINE).filter(filter()).send();
    assert_eq!(listed().await.unwrap().pipeline_execution_summaries().len(), 2);
    let declaration = client.get_pipeline().name(PIPELINE).send().await.unwrap().pipeline.unwrap();
    client.update_pipeline().pipeline(declaration).send().await.unwrap();
    assert_eq!(rollback(&client, "Release", &good).await.unwrap_err(), unable, "the structure has changed");
    assert!(listed().await.unwrap().pipeline_execution_summaries().is_empty());
    wait(&simulator, 366 * 24 * 3600).await;
    assert_eq!(rollback(&client, "Release", &good).await.unwrap_err(), "PipelineExecutionOutdatedException");
}

#[tokio::test(start_paused = true)]
async fn there_is_no_rollback_in_parallel_mode() {
    let (simulator, client) = account(&short("PARALLEL"));
    let (good, _) = release(&simulator, &client, "good").await;
    assert_eq!(rollback(&client, "Release", &good).await.unwrap_err(), "UnableToRollbackStageException");
}
