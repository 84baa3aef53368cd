//! Between the second approval and the turnover's first act: Full judges the canary once more, and what it refuses it
//! gives back.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use simulator::cloudwatch::{AlarmSpec, AlarmState, add_alarm};
use simulator::ecr::Behaviour;
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story, without_ids};

/// Claims that the turnover was refused, that the full service is as it was, and that the canary went back to it.
async fn refused_and_given_back(app: &Application, story: &Story, execution: &str, full: &str) -> String {
    assert_eq!(story.ended("app", execution).await, PipelineExecutionStatus::Failed);
    let error = story.action("app", execution, "Full").error.expect("an error");
    assert_eq!(error.code, "ConfigurationError");
    assert_eq!(story.portrait("app").await, full, "the full service was changed");
    story.runs_image(app, "app-canary", "v1");
    story.each_job_has_one_result();
    without_ids(&error.message)
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_fell_ill_while_people_thought_is_not_turned_over_but_given_back() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(121)), &[&app]);
    let full = story.portrait("app").await;
    // Well for half an hour, long past the bake: then it falls, again and again.
    let late = Behaviour::CrashesAfter { after: Duration::from_secs(1_800), exit_code: 137, lines: Vec::new() };
    let execution = story.release_to_canary(&app, "v2", late).await;
    story.pass(Duration::from_secs(1_500)).await;
    let soon = Behaviour::CrashesAfter { after: Duration::from_secs(3), exit_code: 137, lines: Vec::new() };
    story.world(|world| world.ecr.behave("app", "v2", soon)).expect("an image");
    story.pass(Duration::from_secs(600)).await;
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    let message = refused_and_given_back(&app, &story, &execution, &full).await;
    assert!(message.starts_with("Nothing was deployed to full service main/app:"), "{message}");
    // The watch saw it first: Full says what it did, and why.
    assert!(message.contains("app-canary was returned while it was held: it is not well any more:"), "{message}");
    assert!(message.contains("container app ended with exit code 137"), "{message}");
    assert!(message.contains("; canary main/app-canary runs app-canary:1 again."), "{message}");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_went_red_while_people_thought_blocks_the_turnover() {
    let app = Application::web("app", 4).canary_with("Alarms", "shop-5xx").full_with("Alarms", "shop-5xx");
    let simulator = Simulator::new(Settings::seeded(123));
    simulator.with_world(|world| add_alarm(world, AlarmSpec::new("shop-5xx")));
    let story = Story::begin(simulator, &[&app]);
    let full = story.portrait("app").await;
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.held("app").await;
    story.set_alarm("shop-5xx", AlarmState::Alarm);
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    insta::assert_snapshot!(refused_and_given_back(&app, &story, &execution, &full).await, @r"
    Nothing was deployed to full service main/app:
    - alarm shop-5xx is in ALARM, shared with the canary (a story says so) before the deployment: clear it, or set already_red=require-clear or ignore in Options
    Done: canary main/app-canary runs app-canary:3 again.
    ");
}
