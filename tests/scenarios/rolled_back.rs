//! Somebody rolls a stage back: a new execution with an old artifact, which a worker sees as an ordinary job.

use aws_sdk_codepipeline::types::{ApprovalStatus, ExecutionType, PipelineExecutionStatus};
use serde_json::Value;
use simulator::ecr::Behaviour;
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story, pipeline_json};

fn app() -> Application {
    Application::web("app", 2).canary_with("BakeTime", "20s").full_with("BakeTime", "20s")
}

/// Releases all the way.
async fn release(story: &Story, app: &Application, tag: &str, stages: &[&str]) -> String {
    let execution = story.release(app, tag, Behaviour::Good);
    for stage in stages {
        story.answer(&app.pipeline, stage, ApprovalStatus::Approved).await;
    }
    assert_eq!(story.ended(&app.pipeline, &execution).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(app, "app", tag);
    execution
}

fn roll_back(story: &Story, app: &Application, target: &str) -> String {
    story.world(|world| world.rollback_stage(&app.pipeline, "Release", target)).expect("a rollback")
}

/// A second pipeline whose turnover has a stage of its own: Source → Approve → Canary → Release {Approve, Full}.
fn parted_pipeline(story: &Story, app: &Application) -> Application {
    let parted = app.by_pipeline("parted");
    let mut pipeline = pipeline_json(&parted);
    let stages = pipeline.pointer_mut("/pipeline/stages").and_then(Value::as_array_mut).expect("stages");
    let mut canary = stages[2].clone();
    canary["name"] = "Canary".into();
    canary["actions"].as_array_mut().expect("actions").truncate(1);
    stages[2]["actions"].as_array_mut().expect("actions").remove(0);
    stages.insert(2, canary);
    story.world(|world| world.create_pipeline_from_json(&pipeline.to_string())).expect("a pipeline");
    parted
}

#[tokio::test(start_paused = true)]
async fn the_whole_release_stage_goes_back_through_its_canary_and_its_approval() {
    let app = app();
    let story = Story::begin(Simulator::new(Settings::seeded(1301)), &[&app]);
    let good = release(&story, &app, "v2", &["Approve", "Release"]).await;
    release(&story, &app, "v3", &["Approve", "Release"]).await;
    let back = roll_back(&story, &app, &good);
    story.held("app").await;
    story.runs_image(&app, "app-canary", "v2");
    story.runs_image(&app, "app", "v3");
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &back).await, PipelineExecutionStatus::Succeeded);
    let kind = story.world(|world| world.codepipeline.execution("app", &back).unwrap().execution_type());
    assert_eq!(kind, ExecutionType::Rollback);
    for service in ["app", "app-canary"] {
        story.runs_image(&app, service, "v2");
        assert_eq!((story.deployments(service).await, story.percents(service)), (4, (100, 200)), "{service}");
    }
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn a_turnover_alone_goes_back_to_what_was_successful_on_its_service() {
    let app = app();
    let story = Story::begin(Simulator::new(Settings::seeded(1302)), &[&app]);
    let parted = parted_pipeline(&story, &app);
    let good = release(&story, &parted, "v2", &["Approve", "Release"]).await;
    release(&story, &parted, "v3", &["Approve", "Release"]).await;
    let back = roll_back(&story, &parted, &good);
    story.answer("parted", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("parted", &back).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app", "v2");
    story.runs_image(&app, "app-canary", "v3");
    assert_eq!((story.deployments("app").await, story.deployments("app-canary").await), (4, 3));
    assert_eq!(story.percents("app"), (100, 200));
    story.each_job_has_one_result();
}

/// The artifact names a tag, and the tag names another image by now.
#[tokio::test(start_paused = true)]
async fn a_turnover_alone_does_not_go_back_to_what_never_ran() {
    let app = Application { immutable: false, ..app() };
    let story = Story::begin(Simulator::new(Settings::seeded(1303)), &[&app]);
    let parted = parted_pipeline(&story, &app);
    let good = release(&story, &parted, "v2", &["Approve", "Release"]).await;
    release(&story, &parted, "v3", &["Approve", "Release"]).await;
    let (full, canary) = (story.portrait("app").await, story.portrait("app-canary").await);
    story.world(|world| app.push(world, "v2", Behaviour::SlowStart(std::time::Duration::from_secs(1))));
    let back = roll_back(&story, &parted, &good);
    story.answer("parted", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("parted", &back).await, PipelineExecutionStatus::Failed);
    let message = story.failure("parted", &back, "Full");
    let (asked, runs) = (story.digest(&app, "v2"), story.digest(&app, "v3"));
    assert!(message.contains(&format!("with app={runs}, not the release of this execution")), "{message}");
    assert!(message.contains(&format!("with app={asked}: no successful deployment of app ran that")), "{message}");
    assert!(message.contains("roll back to a release that was deployed"), "{message}");
    assert_eq!((story.portrait("app").await, story.portrait("app-canary").await), (full, canary));
    story.each_job_has_one_result();
}
