//! Whole stories, told to the programs under test through the simulated AWS.

#[tokio::test(start_paused = true)]
async fn the_sdk_polls_the_simulator() {
    let simulator = simulator::Simulator::new(simulator::Settings::seeded(1));
    let client = aws_sdk_codepipeline::Client::new(&simulator.sdk_config("AKIAWORKER"));
    let id = aws_sdk_codepipeline::types::ActionTypeId::builder()
        .category("Deploy".into())
        .owner("Custom".into())
        .provider("Coalmine-Canary")
        .version("1")
        .build()
        .unwrap();
    let jobs = client.poll_for_jobs().action_type_id(id).max_batch_size(1).send().await.unwrap();
    assert!(jobs.jobs().is_empty());
    let picture = simulator.with_calls(|calls| calls.picture(simulator.settings().epoch, |_| true));
    assert_eq!(picture, "00:00 codepipeline PollForJobs Coalmine-Canary\n");
}
