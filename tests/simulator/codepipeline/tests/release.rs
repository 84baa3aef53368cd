use super::*;
use aws_sdk_codepipeline::types::{ActionExecutionFilter, StageExecutionStatus};

#[tokio::test(start_paused = true)]
async fn a_release_goes_through_both_approvals_to_its_end() {
    let (simulator, client) = account(&standard("SUPERSEDED"));
    let execution = client.start_pipeline_execution().name(PIPELINE).send().await.unwrap();
    let execution = execution.pipeline_execution_id.unwrap();
    answer(&simulator, "Approve", ApprovalStatus::Approved).await;

    let canary = take(&simulator, &client, "Canary").await;
    let data = canary.data().unwrap();
    let context = data.pipeline_context().unwrap();
    assert_eq!(context.pipeline_arn(), Some("arn:aws:codepipeline:eu-central-1:123456789012:app"));
    assert_eq!(context.pipeline_execution_id(), Some(execution.as_str()));
    assert_eq!(context.stage().unwrap().name(), Some("Release"));
    let configuration = data.action_configuration().unwrap().configuration().unwrap();
    assert_eq!(configuration["Options"], format!("run={execution}"));
    assert_eq!(configuration["Password"], "hunter2");
    let location = data.input_artifacts()[0].location().unwrap().s3_location().unwrap().clone();
    let copy = simulator.with_world(|world| world.s3.get(&location.bucket_name, &location.object_key).cloned());
    assert_eq!(copy.unwrap().body, "release 1");

    hand_back(&client, &canary, "token 1", 50).await;
    let state = client.get_pipeline_state().name(PIPELINE).send().await.unwrap();
    let shown = state.stage_states()[2].action_states()[0].latest_execution().unwrap();
    assert_eq!((shown.percent_complete(), shown.summary()), (Some(50), Some("rolling")));
    assert_eq!(shown.external_execution_url(), Some("https://example.com/main/ext"));
    let again = take(&simulator, &client, "Canary").await;
    assert_ne!(again.id(), canary.id());
    let data = again.data().unwrap();
    assert_eq!(data.continuation_token(), Some("token 1"));
    assert_eq!(data.pipeline_context().unwrap().action(), context.action());
    succeed(&client, &again).await;

    answer(&simulator, "Release", ApprovalStatus::Approved).await;
    let full = take(&simulator, &client, "Full").await;
    let configuration = full.data().unwrap().action_configuration().unwrap().configuration().unwrap();
    assert_eq!(configuration["Options"], "digest=sha256:1", "an output variable reaches a later action of its stage");
    succeed(&client, &full).await;

    let shown = client.get_pipeline_execution().pipeline_name(PIPELINE).pipeline_execution_id(&execution);
    let shown = shown.send().await.unwrap().pipeline_execution.unwrap();
    assert_eq!(shown.status, Some(PipelineExecutionStatus::Succeeded));
    assert_eq!(shown.artifact_revisions()[0].name(), Some("Release"));
    let state = client.get_pipeline_state().name(PIPELINE).send().await.unwrap();
    for stage in state.stage_states() {
        assert_eq!(stage.latest_execution().unwrap().status, StageExecutionStatus::Succeeded);
    }
    simulator.with_world(|world| {
        assert!(world.codepipeline.jobs().iter().all(|job| job.results.len() == 1 && job.refused_results == 0));
    });
}

#[tokio::test(start_paused = true)]
async fn action_executions_are_paged_newest_first_and_hide_secrets() {
    let (simulator, client) = account(&standard("SUPERSEDED"));
    let execution = start(&simulator);
    answer(&simulator, "Approve", ApprovalStatus::Approved).await;
    let canary = take(&simulator, &client, "Canary").await;
    succeed(&client, &canary).await;
    wait(&simulator, 5).await;

    let filter = ActionExecutionFilter::builder().pipeline_execution_id(&execution).build();
    let pages = client.list_action_executions().pipeline_name(PIPELINE).filter(filter).max_results(3);
    let details: Result<Vec<_>, _> = pages.into_paginator().items().send().collect().await;
    let details = details.unwrap();
    let names: Vec<_> = details.iter().map(|detail| detail.action_name().unwrap()).collect();
    assert_eq!(names, ["Approve", "Canary", "Approve", "Source"]);
    let canary = &details[1];
    assert_eq!(canary.status(), Some(&ActionExecutionStatus::Succeeded));
    let input = canary.input().unwrap();
    assert_eq!(input.configuration().unwrap()["Password"], "****");
    assert_eq!(input.configuration().unwrap()["Options"], "run=#{codepipeline.PipelineExecutionId}");
    assert_eq!(input.resolved_configuration().unwrap()["Options"], format!("run={execution}"));
    assert_eq!(canary.output().unwrap().output_variables().unwrap()["Digest"], "sha256:1");
    let shown = client.get_pipeline().name(PIPELINE).send().await.unwrap().pipeline.unwrap();
    assert_eq!(shown.stages[2].actions[0].configuration.as_ref().unwrap()["Password"], "****");
}

#[tokio::test(start_paused = true)]
async fn the_message_of_a_failed_job_is_shown_and_the_stage_is_free_again() {
    let (simulator, client) = account(&short("SUPERSEDED"));
    let execution = start(&simulator);
    let job = take(&simulator, &client, "Canary").await;
    fail(&client, &job, "exit code 137").await.unwrap();
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Failed);

    let state = client.get_pipeline_state().name(PIPELINE).send().await.unwrap();
    let release = &state.stage_states()[1];
    assert_eq!(release.latest_execution().unwrap().status, StageExecutionStatus::Failed);
    let shown = release.action_states()[0].latest_execution().unwrap().error_details().unwrap();
    assert_eq!((shown.code(), shown.message()), (Some("JobFailed"), Some("exit code 137")));
    let listed = client.list_action_executions().pipeline_name(PIPELINE).send().await.unwrap();
    let result = listed.action_execution_details()[0].output().unwrap().execution_result().unwrap();
    assert_eq!(result.error_details().unwrap().message(), Some("exit code 137"));

    start(&simulator);
    take(&simulator, &client, "Canary").await;
}

#[tokio::test(start_paused = true)]
async fn a_variable_that_nobody_set_fails_the_action() {
    let (simulator, client) = account(&standard("SUPERSEDED"));
    let execution = start(&simulator);
    answer(&simulator, "Approve", ApprovalStatus::Approved).await;
    let canary = take(&simulator, &client, "Canary").await;
    client.put_job_success_result().job_id(canary.id().unwrap()).send().await.unwrap();
    answer(&simulator, "Release", ApprovalStatus::Approved).await;
    wait(&simulator, 5).await;
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Failed);
    simulator.with_world(|world| {
        let execution = world.codepipeline.execution(PIPELINE, &execution).unwrap();
        let error = execution.latest_action("Release", "Full").unwrap().error.clone().unwrap();
        assert!(error.message.contains("#{canary.Digest}"), "{}", error.message);
    });
}

#[tokio::test(start_paused = true)]
async fn a_missing_source_object_fails_the_source_action() {
    let mut pipeline = short("SUPERSEDED");
    pipeline["stages"][0]["actions"][0]["configuration"]["S3ObjectKey"] = "other.zip".into();
    let (simulator, _) = account(&pipeline);
    let execution = start(&simulator);
    wait(&simulator, 10).await;
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_new_source_object_starts_the_pipelines_that_follow_it() {
    let mut pipeline = short("SUPERSEDED");
    pipeline["stages"][0]["actions"][0]["configuration"].as_object_mut().unwrap().remove("PollForSourceChanges");
    let (simulator, client) = account(&pipeline);
    let s3 = aws_sdk_s3::Client::new(&simulator.sdk_config("builder"));
    s3.put_object().bucket("sources").key("app.zip").body(b"release 2".to_vec().into()).send().await.unwrap();
    wait(&simulator, 60).await;
    let listed = client.list_pipeline_executions().pipeline_name(PIPELINE).send().await.unwrap();
    let summaries = listed.pipeline_execution_summaries();
    assert_eq!(summaries.len(), 1);
    assert_eq!(summaries[0].trigger().unwrap().trigger_type().unwrap().as_str(), "PollForSourceChanges");
    assert!(simulator.with_world(|world| world.source_changed("sources", "else.zip")).is_empty());
    assert_eq!(simulator.with_world(|world| world.source_changed("sources", "app.zip")).len(), 1);
}
