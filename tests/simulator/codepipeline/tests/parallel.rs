use super::*;
use aws_sdk_codepipeline::types::{ActionExecutionFilter, ApprovalResult, ExecutionMode, StageRetryMode};

#[tokio::test(start_paused = true)]
async fn parallel_executions_do_not_wait_for_each_other() {
    let (simulator, client) = account(&short("PARALLEL"));
    let first = start(&simulator);
    let one = take(&simulator, &client, "Canary").await;
    let second = start(&simulator);
    let two = take(&simulator, &client, "Canary").await;
    assert_eq!((execution_of(&one), execution_of(&two)), (first.as_str(), second.as_str()));
    simulator.with_world(|world| world.stop_execution(PIPELINE, &first, true)).unwrap();
    assert_eq!(status(&simulator, &second), PipelineExecutionStatus::InProgress);
    succeed(&client, &two).await;
    assert_eq!(status(&simulator, &second), PipelineExecutionStatus::Succeeded);
    // Nobody's later run keeps an execution from being retried.
    simulator.with_world(|world| world.retry_stage(PIPELINE, "Release", &first, StageRetryMode::AllActions)).unwrap();
    let again = take(&simulator, &client, "Canary").await;
    assert_eq!(execution_of(&again), first);
    let listed = client.list_pipeline_executions().pipeline_name(PIPELINE).send().await.unwrap();
    for summary in listed.pipeline_execution_summaries() {
        assert_eq!(summary.execution_mode(), Some(&ExecutionMode::Parallel));
    }
    let shown = client.get_pipeline_execution().pipeline_name(PIPELINE).pipeline_execution_id(&first);
    let shown = shown.send().await.unwrap().pipeline_execution.unwrap();
    assert_eq!(shown.execution_mode(), Some(&ExecutionMode::Parallel));
}

#[tokio::test(start_paused = true)]
async fn the_token_of_a_parallel_approval_is_found_among_the_action_executions_alone() {
    let (simulator, client) = account(&standard("PARALLEL"));
    let executions = [start(&simulator), start(&simulator)];
    wait(&simulator, 20).await;
    let state = client.get_pipeline_state().name(PIPELINE).send().await.unwrap();
    for stage in state.stage_states() {
        assert!(stage.latest_execution().is_none() && stage.inbound_executions().is_empty());
        assert!(stage.action_states().iter().all(|action| action.latest_execution().is_none()));
    }
    // The structure changes meanwhile: it is not theirs.
    let mut declaration = client.get_pipeline().name(PIPELINE).send().await.unwrap().pipeline.unwrap();
    declaration.stages.remove(1);
    client.update_pipeline().pipeline(declaration).send().await.unwrap();

    let filter = ActionExecutionFilter::builder().pipeline_execution_id(&executions[1]).build();
    let listed = client.list_action_executions().pipeline_name(PIPELINE).filter(filter).send().await.unwrap();
    let result = listed.action_execution_details()[0].output().unwrap().execution_result().unwrap();
    let token = result.external_execution_id().unwrap();
    let result = ApprovalResult::builder().summary("seen").status(ApprovalStatus::Approved).build().unwrap();
    let call = client.put_approval_result().pipeline_name(PIPELINE).stage_name("Approve").action_name("Approve");
    call.result(result).token(token).send().await.unwrap();
    let job = take(&simulator, &client, "Canary").await;
    assert_eq!(execution_of(&job), executions[1]);
    succeed(&client, &job).await;
    wait(&simulator, 20).await;
    assert_eq!(action_status(&simulator, &executions[1], "Release", "Approve"), ActionExecutionStatus::InProgress);
    assert_eq!(status(&simulator, &executions[0]), PipelineExecutionStatus::InProgress);
}

#[tokio::test(start_paused = true)]
async fn an_execution_beyond_the_fiftieth_is_refused() {
    for mode in ["PARALLEL", "QUEUED"] {
        let (simulator, client) = account(&short(mode));
        let first = start(&simulator);
        for _ in 1..50 {
            start(&simulator);
        }
        let error = client.start_pipeline_execution().name(PIPELINE).send().await.unwrap_err();
        assert_eq!(error.code(), Some("ConcurrentPipelineExecutionsLimitExceededException"));
        simulator.with_world(|world| world.stop_execution(PIPELINE, &first, true)).unwrap();
        start(&simulator);
        let call = client.retry_stage_execution().pipeline_name(PIPELINE).stage_name("Source");
        let retry = call.pipeline_execution_id(&first).retry_mode("ALL_ACTIONS".into()).send().await.unwrap_err();
        let expected = if mode == "PARALLEL" {
            "ConcurrentPipelineExecutionsLimitExceededException"
        } else {
            "NotLatestPipelineExecutionException"
        };
        assert_eq!(retry.code(), Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_parallel_execution_outlives_the_mode() {
    let (simulator, client) = account(&short("PARALLEL"));
    let old = start(&simulator);
    let job = take(&simulator, &client, "Canary").await;
    let mut declaration = client.get_pipeline().name(PIPELINE).send().await.unwrap().pipeline.unwrap();
    declaration.execution_mode = Some(ExecutionMode::Superseded);
    client.update_pipeline().pipeline(declaration).send().await.unwrap();
    let new = start(&simulator);
    let other = take(&simulator, &client, "Canary").await;
    assert_eq!(execution_of(&other), new, "it holds no lock");
    succeed(&client, &job).await;
    assert_eq!(status(&simulator, &old), PipelineExecutionStatus::Succeeded);
    let state = client.get_pipeline_state().name(PIPELINE).send().await.unwrap();
    assert_eq!(state.stage_states()[1].latest_execution().unwrap().pipeline_execution_id, new);
}
