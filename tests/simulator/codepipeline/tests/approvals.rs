use super::*;
use aws_sdk_codepipeline::types::ApprovalResult;

async fn put(client: &Client, token: &str, status: ApprovalStatus) -> Result<(), String> {
    let result = ApprovalResult::builder().summary("no").status(status).build().unwrap();
    let call = client.put_approval_result().pipeline_name(PIPELINE).stage_name("Approve").action_name("Approve");
    let answer = call.result(result).token(token).send().await;
    answer.map(|_| ()).map_err(|error| error.code().unwrap_or_default().to_owned())
}

async fn token(simulator: &Simulator, client: &Client) -> String {
    wait(simulator, 20).await;
    let state = client.get_pipeline_state().name(PIPELINE).send().await.unwrap();
    let shown = state.stage_states()[1].action_states()[0].latest_execution().unwrap();
    shown.token().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_rejected_approval_fails_the_execution_and_can_be_answered_once() {
    let (simulator, client) = account(&standard("SUPERSEDED"));
    let execution = start(&simulator);
    let token = token(&simulator, &client).await;
    let unknown = put(&client, "00000000-0000-4000-8000-000000000000", ApprovalStatus::Approved).await;
    assert_eq!(unknown.unwrap_err(), "InvalidApprovalTokenException");
    put(&client, &token, ApprovalStatus::Rejected).await.unwrap();
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Failed);
    let again = put(&client, &token, ApprovalStatus::Approved).await;
    assert_eq!(again.unwrap_err(), "ApprovalAlreadyCompletedException");
    let state = client.get_pipeline_state().name(PIPELINE).send().await.unwrap();
    let shown = state.stage_states()[1].action_states()[0].latest_execution().unwrap();
    assert_eq!((shown.summary(), shown.token()), (Some("no"), None));
    assert_eq!(shown.last_updated_by(), Some("arn:aws:iam::123456789012:user/worker"));
}

#[tokio::test(start_paused = true)]
async fn an_approval_expires_after_seven_days() {
    let (simulator, client) = account(&standard("SUPERSEDED"));
    let execution = start(&simulator);
    let token = token(&simulator, &client).await;
    wait(&simulator, 7 * 24 * 3600 - 60).await;
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::InProgress);
    wait(&simulator, 60).await;
    assert_eq!(status(&simulator, &execution), PipelineExecutionStatus::Failed);
    let late = put(&client, &token, ApprovalStatus::Approved).await;
    assert_eq!(late.unwrap_err(), "InvalidApprovalTokenException");
}
