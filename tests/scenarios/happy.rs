//! A good release goes all the way.

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use simulator::ecr::Behaviour;
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story};

#[tokio::test(start_paused = true)]
async fn a_good_release_goes_through_two_approvals_a_canary_and_a_turnover() {
    let app = Application::web("app", 10);
    let story = Story::begin(Simulator::new(Settings::seeded(1)), &[&app]);
    let execution = story.release(&app, "v2", Behaviour::Good);
    story.approve_all("app").await;
    let end = story.ended("app", &execution).await;
    println!("{}", story.picture());
    assert_eq!(end, PipelineExecutionStatus::Succeeded);
    println!("{:#?}", story.action("app", &execution, "Full").output_variables);
}
