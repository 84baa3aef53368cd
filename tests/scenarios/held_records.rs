//! The record of a held canary: it is nobody's but its release's, it outlives what did not happen, and who cannot be understood
//! keeps nobody else waiting.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use coalmine_worker::deploy::happening::State;
use simulator::cloudwatch::{AlarmSpec, AlarmState, add_alarm};
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Rule};
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story, WORKER_KEY};

const RECORD: &str = "held/main/app-canary.json";

fn story(seed: u64, app: &Application) -> Story {
    Story::begin(Simulator::new(Settings::seeded(seed)), &[app])
}

/// Releases an image, and waits until people are asked about its canary.
async fn held(story: &Story, app: &Application, tag: &str) -> String {
    let execution = story.release_to_canary(app, tag, Behaviour::Good).await;
    story.held(&app.pipeline).await;
    execution
}

fn refuse(story: &Story, operation: &str, times: u64) {
    let rule = Rule::new(Fault::AccessDenied).caller(WORKER_KEY).from(story.now()).operation(operation).times(times);
    story.simulator.inject(FaultPlan::seeded(1).rule(rule));
}

/// The last that happened to the canary of a release.
fn last(story: &Story, release: &str) -> State {
    story.record(release).last_of("main/app-canary").expect("something happened").state
}

async fn is_back(story: &Story, app: &Application) {
    story.until_so("an empty ledger", || story.waiting().is_empty()).await;
    story.runs_image(app, "app-canary", "v1");
}

/// The stage is free as soon as the first release is rejected: the second one may begin before the watch has looked.
#[tokio::test(start_paused = true)]
async fn a_release_that_is_refused_before_it_told_the_canary_anything_leaves_it_to_the_watch() {
    for operation in ["RegisterTaskDefinition", "UpdateService"] {
        let mut before_the_watch = 0;
        for pause in [0, 7] {
            let app = Application::web("app", 4);
            let story = story(1670 + pause, &app);
            let first = held(&story, &app, "v2").await;
            let second = story.release(&app, "v3", Behaviour::Good);
            story.answer("app", "Approve", ApprovalStatus::Approved).await;
            story.pass(Duration::from_secs(pause)).await;
            let of_second = Rule::new(Fault::AccessDenied).caller(WORKER_KEY).from(story.now()).operation(operation);
            let revision = "arn:aws:ecs:eu-central-1:123456789012:task-definition/app-canary:3";
            let of_second = match operation {
                "UpdateService" => of_second.member("taskDefinition", revision),
                _ => of_second,
            };
            story.simulator.inject(FaultPlan::seeded(1).rule(of_second));
            story.answer("app", "Release", ApprovalStatus::Rejected).await;
            assert_eq!(story.ended("app", &first).await, PipelineExecutionStatus::Failed);
            assert_eq!(story.ended("app", &second).await, PipelineExecutionStatus::Failed);
            before_the_watch += u32::from(story.deployments("app-canary").await == 2);
            let said = story.failure("app", &second, "Canary");
            assert!(said.contains(operation), "{said}");
            is_back(&story, &app).await;
            // An action that was refused when it told the canary to run its release has to undo that, and returns it itself.
            let is_restored = last(&story, &first) == State::Restored;
            assert!(is_restored || operation == "UpdateService", "{operation} after {pause} s");
        }
        // What was refused when it told the canary has a deployment of its own by then, which undoes it.
        assert!(before_the_watch > 0 || operation == "UpdateService", "the watch was always first");
    }
}

#[tokio::test(start_paused = true)]
async fn a_turnover_whose_canary_was_replaced_leaves_the_other_releases_record_alone() {
    let app = Application::web("app", 4);
    let story = story(1664, &app);
    let first = held(&story, &app, "v2").await;
    let hotfix = story.hotfix_pipeline(&app);
    let second = held(&story, &hotfix, "v3").await;
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &first).await, PipelineExecutionStatus::Failed);
    assert_eq!((story.waiting(), last(&story, &second)), (vec![RECORD.to_owned()], State::Held));
    story.answer("hotfix", "Release", ApprovalStatus::Rejected).await;
    assert_eq!(story.ended("hotfix", &second).await, PipelineExecutionStatus::Failed);
    is_back(&story, &app).await;
    assert_eq!(last(&story, &second), State::Restored);
}

#[tokio::test(start_paused = true)]
async fn a_turnover_waits_for_its_canarys_way_back_no_longer_than_for_any_deployment() {
    let app = Application::web("app", 4).canary_with("Alarms", "errors").full_with("Alarms", "errors");
    let story = story(1665, &app);
    story.world(|world| add_alarm(world, AlarmSpec::new("errors")));
    let execution = held(&story, &app, "v2").await;
    refuse(&story, "UpdateService", u64::MAX);
    story.set_alarm("errors", AlarmState::Alarm);
    story.until_so("the canary's way back", || story.waiting_to_go_back()).await;
    let approved = story.now();
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let took = story.now().duration_since(approved).unwrap();
    assert!(took < Duration::from_secs(20 * 60), "{took:?}");
    let said = story.failure("app", &execution, "Full");
    assert!(said.contains("the watch is still returning canary app-canary, because it is not well any more"), "{said}");
    assert_eq!(story.waiting(), [RECORD], "the watch goes on");
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_does_not_come_back_is_not_told_as_restored() {
    let app = Application::web("app", 4);
    let story = story(1666, &app);
    let execution = held(&story, &app, "v2").await;
    story.world(|world| world.ecr.behave("app", "v1", Behaviour::NeverHealthy)).unwrap();
    story.answer("app", "Release", ApprovalStatus::Rejected).await;
    story.until_so("the canary's way back", || story.waiting_to_go_back()).await;
    // Longer than an action would follow it.
    story.pass(Duration::from_secs(45 * 60)).await;
    assert_eq!((story.waiting(), last(&story, &execution)), (vec![RECORD.to_owned()], State::Restoring));
    story.world(|world| world.ecr.behave("app", "v1", Behaviour::Good)).unwrap();
    is_back(&story, &app).await;
    assert_eq!(last(&story, &execution), State::Restored);
}

/// The worker lives, and says what happened.
#[tokio::test(start_paused = true)]
async fn a_bug_in_a_turn_fails_its_job_and_nothing_else() {
    let app = Application::web("app", 2);
    let story = story(1667, &app);
    stumble(&story, "DescribeTaskDefinition");
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let said = story.failure("app", &execution, "Canary");
    assert!(said.contains("a bug of its own"), "{said}");
    let execution = story.release(&app, "v3", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app", "v3");
}

#[tokio::test(start_paused = true)]
async fn a_bug_while_a_canary_is_returned_does_not_leave_it_unwatched() {
    let app = Application::web("app", 2);
    let story = story(1668, &app);
    held(&story, &app, "v2").await;
    stumble(&story, "ListServiceDeployments");
    story.answer("app", "Release", ApprovalStatus::Rejected).await;
    is_back(&story, &app).await;
}

/// The worker panics when it is about to send a call of this operation for the next time.
fn stumble(story: &Story, operation: &'static str) {
    let mut fell = false;
    story.simulator.before_call(move |_, call| {
        if call.access_key == WORKER_KEY && call.operation == operation && !fell {
            fell = true;
            std::panic::resume_unwind(Box::new("a bug"));
        }
    });
}

#[tokio::test(start_paused = true)]
async fn records_that_nobody_understands_keep_no_canary_waiting_and_are_kept() {
    let app = Application::web("app", 2);
    let story = story(1669, &app);
    let put = |key: &str, body: Vec<u8>| {
        story.world(|world| world.s3.put("ledger", &format!("coalmine/{key}"), body.into(), world.now));
    };
    put("held/main/huge.json", vec![b' '; 2 << 20]);
    put("held/main/other.json", b"{\"schema\":9}".to_vec());
    put(RECORD, b"{\"schema\":9}".to_vec());
    put("services/main/app/percents.json", b"{\"schema\":9}".to_vec());
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.held("app").await;
    story.answer("app", "Release", ApprovalStatus::Rejected).await;
    story.ended("app", &execution).await;
    story.until_so("the canary's way back", || !story.waiting().contains(&RECORD.to_owned())).await;
    story.runs_image(&app, "app-canary", "v1");
    assert_eq!(story.waiting(), ["held/main/huge.json", "held/main/other.json"]);
    let execution = story.release(&app, "v3", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    let kept = story.below("unreadable/");
    for key in ["held-main-app-canary.json", "services-main-app-percents.json"] {
        assert_eq!(kept.iter().filter(|kept| kept.ends_with(key)).count(), 1, "{kept:?}");
    }
}
