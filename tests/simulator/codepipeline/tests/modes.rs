use super::*;

#[tokio::test(start_paused = true)]
async fn a_waiting_execution_is_superseded_by_a_newer_one_while_the_stage_is_locked() {
    let (simulator, client) = account(&short("SUPERSEDED"));
    let first = start(&simulator);
    let job = take(&simulator, &client, "Canary").await;
    let second = start(&simulator);
    wait(&simulator, 20).await;
    let state = client.get_pipeline_state().name(PIPELINE).send().await.unwrap();
    let release = &state.stage_states()[1];
    assert_eq!(release.inbound_execution().unwrap().pipeline_execution_id, second);
    assert_eq!(release.latest_execution().unwrap().pipeline_execution_id, first);
    let third = start(&simulator);
    wait(&simulator, 20).await;
    assert_eq!(
        status(&simulator, &first),
        PipelineExecutionStatus::InProgress,
        "a running action is never interrupted"
    );
    assert_eq!(status(&simulator, &second), PipelineExecutionStatus::Superseded);
    succeed(&client, &job).await;
    let job = take(&simulator, &client, "Canary").await;
    assert_eq!(job.data().unwrap().pipeline_context().unwrap().pipeline_execution_id(), Some(third.as_str()));
}

#[tokio::test(start_paused = true)]
async fn queued_executions_enter_in_their_order() {
    let (simulator, client) = account(&short("QUEUED"));
    let mut expected = Vec::new();
    for _ in 0..3 {
        expected.push(start(&simulator));
        wait(&simulator, 10).await;
    }
    let state = client.get_pipeline_state().name(PIPELINE).send().await.unwrap();
    assert_eq!(state.stage_states()[1].inbound_executions().len(), 2);
    for execution in &expected {
        let job = take(&simulator, &client, "Canary").await;
        assert_eq!(job.data().unwrap().pipeline_context().unwrap().pipeline_execution_id(), Some(execution.as_str()));
        succeed(&client, &job).await;
    }
    for execution in &expected {
        assert_eq!(status(&simulator, execution), PipelineExecutionStatus::Succeeded);
    }
}

#[tokio::test(start_paused = true)]
async fn parallel_actions_run_to_their_end_before_the_stage_fails() {
    let stages = json!([
        {"name": "Source", "actions": [source()]},
        {"name": "Release", "actions": [deploy("Canary", 1, "-"), deploy("Full", 1, "-")]},
    ]);
    let (simulator, client) = account(&structure("SUPERSEDED", stages));
    let execution = start(&simulator);
    let canary = take(&simulator, &client, "Canary").await;
    let full = take(&simulator, &client, "Full").await;
    fail(&client, &canary, "ill").await.unwrap();
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::InProgress);
    succeed(&client, &full).await;
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_changed_structure_cancels_executions_after_their_actions_in_progress() {
    let (simulator, client) = account(&standard("SUPERSEDED"));
    let execution = start(&simulator);
    answer(&simulator, "Approve", ApprovalStatus::Approved).await;
    let job = take(&simulator, &client, "Canary").await;
    let declaration = client.get_pipeline().name(PIPELINE).send().await.unwrap().pipeline.unwrap();
    let updated = client.update_pipeline().pipeline(declaration).send().await.unwrap().pipeline.unwrap();
    assert_eq!(updated.version, Some(2));
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::InProgress);
    succeed(&client, &job).await;
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Cancelled);
    start(&simulator);
    answer(&simulator, "Approve", ApprovalStatus::Approved).await;
    let job = take(&simulator, &client, "Canary").await;
    let configuration = job.data().unwrap().action_configuration().unwrap().configuration().unwrap();
    assert_eq!(configuration["Password"], "hunter2", "a hidden secret that is sent back stays what it was");
}
