//! The first release of services that have nothing to go back to.

use std::time::Duration;

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use simulator::ecr::Behaviour;
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story, without_ids};

/// Crashes two seconds after its start.
fn crashing() -> Behaviour {
    Behaviour::CrashesAfter { after: Duration::from_secs(2), exit_code: 3, lines: vec!["no such table".into()] }
}

#[tokio::test(start_paused = true)]
async fn a_first_release_that_is_ill_leaves_the_canary_at_no_task() {
    let app = Application::web("app", 4).never_deployed();
    let story = Story::begin(Simulator::new(Settings::seeded(74)), &[&app]);
    let execution = story.release_to_canary(&app, "v2", crashing()).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    insta::assert_snapshot!(without_ids(&story.failure("app", &execution, "Canary")), @r"
    The deployment to canary main/app-canary is not well: 2 tasks stopped for the same reason: container app ended with exit code 3.
    Done: canary main/app-canary is at 0 tasks, as the full service has no successful deployment whose images it could run.
    Look at: the log lines below and the stopped tasks in the ECS console.
    Last log lines of task TASK (/ecs/app/app/app/TASK):
      no such table
    ");
    assert_eq!(story.tasks("app-canary"), 0);
    assert_eq!((story.runs("app").as_str(), story.percents("app")), ("app:1", (100, 200)));
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn a_first_turnover_that_is_ill_is_stopped_at_no_task() {
    let app = Application::web("app", 4).never_deployed();
    let story = Story::begin(Simulator::new(Settings::seeded(75)), &[&app]);
    let execution = story.release_to_full(&app, "v2", crashing()).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &execution, "Full");
    assert!(message.contains("container app ended with exit code 3"), "{message}");
    assert!(
        message.contains("\nDone: main/app is at 0 tasks, as it had no successful deployment to return to; canary")
    );
    story
        .until("no task", |world| {
            ["app", "app-canary"].iter().all(|service| world.ecs.running_tasks("main", service).is_empty())
        })
        .await;
    assert_eq!((story.tasks("app-canary"), story.tasks("app")), (0, 0));
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn a_first_release_that_is_good_goes_all_the_way() {
    let app = Application::web("app", 4).never_deployed();
    let story = Story::begin(Simulator::new(Settings::seeded(76)), &[&app]);
    let execution = story.release(&app, "v2", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app-canary", "v2");
    story.runs_image(&app, "app", "v2");
    story.each_job_has_one_result();
}

/// Terraform made the services with no task at all: ECS calls that a successful deployment.
#[tokio::test(start_paused = true)]
async fn beside_a_full_service_without_a_task_a_sick_canary_goes_to_no_task() {
    let app = Application { canary: 0, ..Application::web("app", 0) }.never_deployed();
    let story = Story::begin(Simulator::new(Settings::seeded(77)), &[&app]);
    let full = story.portrait("app").await;
    let execution = story.release_to_canary(&app, "v2", crashing()).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &execution, "Canary");
    assert!(
        message
            .contains("Done: canary main/app-canary is at 0 tasks, as the full service has no successful deployment"),
        "{message}"
    );
    assert_eq!(story.tasks("app-canary"), 0);
    assert_eq!(story.portrait("app").await, full);
}
