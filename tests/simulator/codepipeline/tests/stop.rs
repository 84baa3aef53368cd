use super::*;
use aws_sdk_codepipeline::types::{ActionExecutionFilter, ApprovalResult, StageExecutionStatus};

async fn stop(client: &Client, execution: &str, abandon: bool) -> Result<(), String> {
    let call = client.stop_pipeline_execution().pipeline_name(PIPELINE).pipeline_execution_id(execution);
    let answer = call.abandon(abandon).reason("wrong release").send().await;
    answer.map(|_| ()).map_err(|error| error.code().unwrap_or_default().to_owned())
}

fn stage_status(simulator: &Simulator, execution: &str, stage: usize) -> Option<StageExecutionStatus> {
    simulator
        .with_world(|world| world.codepipeline.execution(PIPELINE, execution).unwrap().stages[stage].status.clone())
}

#[tokio::test(start_paused = true)]
async fn stop_and_wait_lets_actions_in_progress_end_and_starts_nothing_further() {
    let (simulator, client) = account(&standard("SUPERSEDED"));
    let execution = start(&simulator);
    answer(&simulator, "Approve", ApprovalStatus::Approved).await;
    let job = take(&simulator, &client, "Canary").await;
    stop(&client, &execution, false).await.unwrap();
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Stopping);
    assert_eq!(stage_status(&simulator, &execution, 2), Some(StageExecutionStatus::Stopping));
    assert_eq!(stop(&client, &execution, false).await.unwrap_err(), "DuplicatedStopRequestException");

    hand_back(&client, &job, "token", 50).await;
    let job = take(&simulator, &client, "Canary").await;
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Stopping, "a continued action goes on");
    let next = start(&simulator);
    answer(&simulator, "Approve", ApprovalStatus::Approved).await;
    succeed(&client, &job).await;
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Stopped);
    assert_eq!(stage_status(&simulator, &execution, 2), Some(StageExecutionStatus::Stopped));
    assert_eq!(action_status(&simulator, &execution, "Release", "Canary"), ActionExecutionStatus::Succeeded);
    let job = take(&simulator, &client, "Canary").await;
    assert_eq!(execution_of(&job), next, "the stage is free");
    simulator.with_world(|world| {
        let stopped = world.codepipeline.execution(PIPELINE, &execution).unwrap();
        assert!(stopped.latest_action("Release", "Approve").is_none());
    });
    assert_eq!(stop(&client, &execution, false).await.unwrap_err(), "PipelineExecutionNotStoppableException");
    assert_eq!(stop(&client, &execution, true).await.unwrap_err(), "PipelineExecutionNotStoppableException");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_execution_shows_who_stopped_it_why() {
    let (simulator, client) = account(&short("SUPERSEDED"));
    let execution = start(&simulator);
    take(&simulator, &client, "Canary").await;
    stop(&client, &execution, true).await.unwrap();
    let listed = client.list_pipeline_executions().pipeline_name(PIPELINE).send().await.unwrap();
    let summary = &listed.pipeline_execution_summaries()[0];
    assert_eq!(summary.status(), Some(&PipelineExecutionStatus::Stopped));
    assert_eq!(summary.stop_trigger().unwrap().reason(), Some("wrong release"));
    assert_eq!(summary.status_summary(), Some("wrong release"));
    let shown = client.get_pipeline_execution().pipeline_name(PIPELINE).pipeline_execution_id(&execution);
    let shown = shown.send().await.unwrap().pipeline_execution.unwrap();
    assert_eq!(shown.status_summary(), Some("wrong release"));
    let long = client.stop_pipeline_execution().pipeline_name(PIPELINE).pipeline_execution_id(&execution);
    let long = long.reason("x".repeat(201)).send().await.unwrap_err();
    assert_eq!(long.code(), Some("ValidationException"));
}

#[tokio::test(start_paused = true)]
async fn the_worker_of_an_abandoned_action_is_not_told_and_its_results_are_refused() {
    let (simulator, client) = account(&short("SUPERSEDED"));
    let execution = start(&simulator);
    let job = take(&simulator, &client, "Canary").await;
    stop(&client, &execution, false).await.unwrap();
    stop(&client, &execution, true).await.unwrap();
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Stopped, "it is abandoned after all");

    client.get_job_details().job_id(job.id().unwrap()).send().await.unwrap();
    assert_eq!(fail(&client, &job, "late").await.unwrap_err(), "InvalidJobStateException");
    let late = client.put_job_success_result().job_id(job.id().unwrap()).continuation_token("t").send().await;
    assert_eq!(late.unwrap_err().code(), Some("InvalidJobStateException"));
    assert!(poll(&client, "Canary").await.is_empty());
    wait(&simulator, 25 * 3600).await;
    let filter = ActionExecutionFilter::builder().pipeline_execution_id(&execution).build();
    let listed = client.list_action_executions().pipeline_name(PIPELINE).filter(filter).send().await.unwrap();
    assert_eq!(listed.action_execution_details()[0].status(), Some(&ActionExecutionStatus::Abandoned));
    simulator.with_world(|world| {
        let job = world.codepipeline.job(job.id().unwrap()).unwrap();
        assert!(job.abandoned.is_some() && job.results.is_empty());
        assert_eq!(job.refused_results, 2);
    });
}

#[tokio::test(start_paused = true)]
async fn a_job_that_nobody_has_yet_is_not_handed_out_after_abandon() {
    let (simulator, client) = account(&short("SUPERSEDED"));
    let first = start(&simulator);
    let offered = next_job(&simulator, &client, "Canary").await;
    let second = start(&simulator);
    wait(&simulator, 20).await;
    stop(&client, &first, true).await.unwrap();
    assert_ne!(acknowledge(&client, &offered).await, Ok(JobStatus::InProgress));
    let job = take(&simulator, &client, "Canary").await;
    assert_eq!(execution_of(&job), second, "the stage's lock is released at once");
    wait(&simulator, 120).await;
    assert!(poll(&client, "Canary").await.is_empty());
    succeed(&client, &job).await;

    let third = start(&simulator);
    wait(&simulator, 20).await;
    stop(&client, &third, true).await.unwrap();
    assert!(poll(&client, "Canary").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_approval_is_closed() {
    let (simulator, client) = account(&standard("SUPERSEDED"));
    let execution = start(&simulator);
    wait(&simulator, 20).await;
    let token = simulator.with_world(|world| world.codepipeline.open_approvals(PIPELINE)[0].token.clone().unwrap());
    simulator.with_world(|world| world.stop_execution(PIPELINE, &execution, true)).unwrap();
    assert_eq!(action_status(&simulator, &execution, "Approve", "Approve"), ActionExecutionStatus::Abandoned);
    let result = ApprovalResult::builder().summary("late").status(ApprovalStatus::Approved).build().unwrap();
    let call = client.put_approval_result().pipeline_name(PIPELINE).stage_name("Approve").action_name("Approve");
    let late = call.result(result).token(token).send().await.unwrap_err();
    assert_eq!(late.code(), Some("InvalidApprovalTokenException"));
    simulator.with_world(|world| assert!(world.codepipeline.open_approvals(PIPELINE).is_empty()));
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_waits_before_a_stage_stops_at_once() {
    let (simulator, client) = account(&short("QUEUED"));
    let first = start(&simulator);
    let job = take(&simulator, &client, "Canary").await;
    let waiting = start(&simulator);
    wait(&simulator, 20).await;
    stop(&client, &waiting, false).await.unwrap();
    assert_eq!(status(&simulator, &waiting), PipelineExecutionStatus::Stopped);
    succeed(&client, &job).await;
    assert_eq!(status(&simulator, &first), PipelineExecutionStatus::Succeeded);
    wait(&simulator, 20).await;
    assert!(poll(&client, "Canary").await.is_empty());
    let unknown = stop(&client, "00000000-0000-4000-8000-000000000000", false).await;
    assert_eq!(unknown.unwrap_err(), "PipelineExecutionNotStoppableException");
}

#[tokio::test(start_paused = true)]
async fn an_execution_between_two_run_orders_stops_at_once() {
    let (simulator, client) = account(&standard("SUPERSEDED"));
    let execution = start(&simulator);
    answer(&simulator, "Approve", ApprovalStatus::Approved).await;
    let job = take(&simulator, &client, "Canary").await;
    succeed(&client, &job).await;
    simulator.with_world(|world| world.stop_execution(PIPELINE, &execution, false)).unwrap();
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Stopped);
    wait(&simulator, 20).await;
    simulator.with_world(|world| assert!(world.codepipeline.open_approvals(PIPELINE).is_empty()));
}
