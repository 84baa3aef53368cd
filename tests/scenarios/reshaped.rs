//! Somebody changes the pipeline while a release is under way: CodePipeline cancels the execution once its actions in progress
//! are over.

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use simulator::ecr::Behaviour;
use simulator::{Settings, Simulator};

use crate::stage::{Application, OPERATOR_KEY, Story};

fn story(seed: u64, app: &Application) -> Story {
    Story::begin(Simulator::new(Settings::seeded(seed)), &[app])
}

/// Somebody applies another structure: the first approval has another text.
async fn reshape(story: &Story, pipeline: &str) {
    let client = aws_sdk_codepipeline::Client::new(&story.simulator.sdk_config(OPERATOR_KEY));
    let mut declaration = client.get_pipeline().name(pipeline).send().await.unwrap().pipeline.unwrap();
    let text = ("CustomData".to_owned(), "Shall it go on?".to_owned());
    let approval = declaration
        .stages
        .iter_mut()
        .flat_map(|stage| &mut stage.actions)
        .find(|action| action.action_type_id.as_ref().is_some_and(|kind| kind.category.as_str() == "Approval"));
    approval.unwrap().configuration.get_or_insert_default().extend([text]);
    client.update_pipeline().pipeline(declaration).send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_canary_whose_pipeline_was_changed_while_people_thought_goes_back() {
    let app = Application::web("app", 4);
    let story = story(1801, &app);
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.held("app").await;
    reshape(&story, "app").await;
    let full = story.portrait("app").await;
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Cancelled);
    story.until_so("an empty ledger", || story.waiting().is_empty()).await;
    story.runs_image(&app, "app-canary", "v1");
    assert_eq!(story.portrait("app").await, full);
    let record = story.record(&execution);
    let reason = &record.last_of("main/app-canary").expect("what happened to it").reason;
    assert!(reason.starts_with("its execution was cancelled, as the pipeline was changed"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_turnover_whose_pipeline_is_changed_meanwhile_goes_to_its_end() {
    let app = Application::web("app", 4);
    let story = story(1802, &app);
    let execution = story.release_to_full(&app, "v2", Behaviour::Good).await;
    story.rolling("app").await;
    reshape(&story, "app").await;
    let ended = story.ended("app", &execution).await;
    assert!([PipelineExecutionStatus::Cancelled, PipelineExecutionStatus::Succeeded].contains(&ended), "{ended}");
    story.runs_image(&app, "app", "v2");
    story.runs_image(&app, "app-canary", "v2");
    assert_eq!(story.percents("app"), (100, 200));
    story.each_job_has_one_result();
    // The next release goes through the new structure.
    let execution = story.release(&app, "v3", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app", "v3");
}
