//! A canary waits for people, and goes back by itself when nobody will turn it over any more.

use std::time::{Duration, SystemTime};

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus, StageRetryMode};
use coalmine_worker::deploy::happening::{Happening, State};
use simulator::cloudwatch::{AlarmSpec, AlarmState, add_alarm};
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Freeze, Moment, Rule};
use simulator::{Settings, Simulator};

use crate::stage::{Application, PEER_KEY, Story, WORKER_KEY, Worker, settings};

/// How soon after the decision the first call that returns the canary is sent.
const SOON: Duration = Duration::from_secs(20);

fn story(seed: u64, app: &Application) -> Story {
    Story::begin(Simulator::new(Settings::seeded(seed)), &[app])
}

/// Releases `v2`, and waits until people are asked about its canary.
async fn held(story: &Story, app: &Application) -> String {
    let execution = story.release_to_canary(app, "v2", Behaviour::Good).await;
    story.held(&app.pipeline).await;
    execution
}

/// What happened to the canary, as the release's record tells it.
fn happened(story: &Story, release: &str) -> Vec<Happening> {
    let of_canary = |happening: &Happening| happening.service == "main/app-canary";
    story.record(release).timeline.into_iter().filter(of_canary).collect()
}

/// Claims that the canary went back to `v1`, within a time, and that nothing is left behind; why.
async fn goes_back(story: &Story, app: &Application, since: SystemTime, release: &str) -> Happening {
    story
        .until_so("the canary's way back", || {
            story.changes(since).iter().any(|(_, call)| call.starts_with("UpdateService"))
        })
        .await;
    let first = story.changes(since).into_iter().next().expect("a call").0;
    let took = first.duration_since(since).unwrap_or_default();
    assert!(took <= SOON, "the first call came after {took:?}");
    story.until_so("an empty ledger", || story.waiting().is_empty()).await;
    story.runs_image(app, "app-canary", "v1");
    let updates = story.changes(since).iter().filter(|(_, call)| call == "UpdateService app-canary").count();
    assert_eq!(updates, 1, "{}", story.picture());
    let timeline = happened(story, release);
    let states: Vec<State> = timeline.iter().map(|happening| happening.state).collect();
    assert_eq!(states, [State::Deploying, State::Held, State::Restoring, State::Restored]);
    timeline[2].clone()
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_is_rejected_goes_back_and_it_is_on_record_by_whom() {
    let app = Application::web("app", 4);
    let story = story(1601, &app);
    let full = story.portrait("app").await;
    let execution = held(&story, &app).await;
    assert_eq!(story.waiting(), ["held/main/app-canary.json"]);
    // Longer than any lease.
    story.pass(Duration::from_secs(600)).await;
    story.runs_image(&app, "app-canary", "v2");
    let since = story.now();
    story.answer("app", "Release", ApprovalStatus::Rejected).await;
    let restoring = goes_back(&story, &app, since, &execution).await;
    assert_eq!(restoring.reason, "Release/Approve was rejected by user/setup: looks good");
    assert_eq!(restoring.by.as_deref(), Some("arn:aws:iam::123456789012:user/setup"));
    assert_eq!(story.portrait("app").await, full);
    assert_eq!(story.percents("app-canary"), (100, 200));
    story.pass(Duration::from_secs(120)).await;
    assert_eq!(story.below("held/"), [""; 0], "the lease is given up, too");
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn a_canary_whose_execution_is_abandoned_while_people_think_goes_back() {
    let app = Application::web("app", 4);
    let story = story(1602, &app);
    let execution = held(&story, &app).await;
    let since = story.now();
    story.abandon("app", &execution);
    let restoring = goes_back(&story, &app, since, &execution).await;
    assert_eq!(restoring.reason, "its execution was stopped, and Release/Approve abandoned");
}

/// Stopping waits for the approval that is in progress; until then nothing is decided.
#[tokio::test(start_paused = true)]
async fn a_canary_whose_execution_is_stopped_goes_back_when_the_approval_is_answered() {
    let app = Application::web("app", 4);
    let story = story(1603, &app);
    let execution = held(&story, &app).await;
    story.stop_and_wait("app", &execution);
    story.pass(Duration::from_secs(120)).await;
    story.runs_image(&app, "app-canary", "v2");
    let since = story.now();
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    let restoring = goes_back(&story, &app, since, &execution).await;
    assert_eq!(restoring.reason, "its execution was stopped");
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_nobody_answers_for_goes_back_when_the_time_is_over() {
    let app = Application { patience: Some(5), ..Application::web("app", 4) };
    let story = story(1604, &app);
    let execution = held(&story, &app).await;
    let since = story.now();
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    assert!(story.now().duration_since(since).unwrap() > Duration::from_secs(290));
    let restoring = goes_back(&story, &app, story.now() - Duration::from_secs(1), &execution).await;
    assert!(restoring.reason.starts_with("Release/Approve was not approved: "), "{}", restoring.reason);
    assert_eq!(restoring.by, None);
}

#[tokio::test(start_paused = true)]
async fn an_approval_in_the_last_second_wins() {
    let app = Application { patience: Some(5), ..Application::web("app", 4) };
    let story = story(1605, &app);
    let execution = held(&story, &app).await;
    story.pass(Duration::from_millis(298_500)).await;
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app", "v2");
    story.runs_image(&app, "app-canary", "v2");
    assert_eq!(story.waiting(), [""; 0]);
}

/// Somebody thinks better of a rejection, right before the watch tells ECS anything.
#[tokio::test(start_paused = true)]
async fn a_rejection_that_is_taken_back_before_anything_was_done_is_none() {
    let app = Application::web("app", 4);
    let story = story(1606, &app);
    let execution = held(&story, &app).await;
    story.pass(Duration::from_secs(60)).await;
    let (id, mut retried) = (execution.clone(), false);
    story.simulator.before_call(move |worlds, call| {
        // It is finding out what the canary goes back to.
        if call.operation == "ListServiceDeployments" && !retried {
            retried = true;
            let world = worlds.of(&call.account, &call.region);
            world.retry_stage("app", "Release", &id, StageRetryMode::FailedActions).expect("a retry");
        }
    });
    story.answer("app", "Release", ApprovalStatus::Rejected).await;
    story.until("a second question", |world| !world.codepipeline.open_approvals("app").is_empty()).await;
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app-canary", "v2");
    assert_eq!(story.deployments("app-canary").await, 2);
    let states: Vec<State> = happened(&story, &execution).iter().map(|happening| happening.state).collect();
    assert_eq!(states, [State::Deploying, State::Held, State::Restoring, State::Held]);
}

#[tokio::test(start_paused = true)]
async fn a_canary_under_a_red_alarm_goes_back_while_people_think_and_an_approval_comes_too_late() {
    let app = Application::web("app", 4).canary_with("Alarms", "errors").full_with("Alarms", "errors");
    let story = story(1607, &app);
    story.world(|world| add_alarm(world, AlarmSpec::new("errors")));
    let execution = held(&story, &app).await;
    let since = story.now();
    story.set_alarm("errors", AlarmState::Alarm);
    story.until_so("the canary's way back", || !story.changes(since).is_empty()).await;
    story.until_so("an empty ledger", || story.waiting().is_empty()).await;
    story.runs_image(&app, "app-canary", "v1");
    story.set_alarm("errors", AlarmState::Ok);
    let before = story.portrait("app").await;
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &execution, "Full");
    assert!(
        message.contains("CanaryService: main/app-canary was returned while it was held: it is not well any more: alarm errors is in ALARM"),
        "{message}"
    );
    assert_eq!(story.portrait("app").await, before);
    story.runs_image(&app, "app-canary", "v1");
}

#[tokio::test(start_paused = true)]
async fn a_canary_whose_tasks_begin_to_crash_goes_back_while_people_think() {
    let app = Application::web("app", 4);
    let story = story(1608, &app);
    let leak = Behaviour::CrashesAfter { after: Duration::from_secs(300), exit_code: 137, lines: Vec::new() };
    let execution = story.release_to_canary(&app, "v2", leak).await;
    story.held("app").await;
    story.until_so("the canary's way back", || story.waiting_to_go_back()).await;
    story.until_so("an empty ledger", || story.waiting().is_empty()).await;
    story.runs_image(&app, "app-canary", "v1");
    let restoring = happened(&story, &execution)[2].clone();
    assert!(restoring.reason.contains("2 tasks stopped for the same reason"), "{}", restoring.reason);
    story.answer("app", "Release", ApprovalStatus::Rejected).await;
    story.ended("app", &execution).await;
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_somebody_deployed_to_while_it_was_held_is_left_alone() {
    let app = Application::web("app", 4);
    let story = story(1609, &app);
    let execution = held(&story, &app).await;
    let by_hand = story.somebody_deploys(&app, "app-canary", Behaviour::Good).await;
    story.pass(Duration::from_secs(60)).await;
    let since = story.now();
    story.answer("app", "Release", ApprovalStatus::Rejected).await;
    story.ended("app", &execution).await;
    story.pass(Duration::from_secs(300)).await;
    assert_eq!(story.runs("app-canary"), by_hand);
    assert_eq!((story.changes(since), story.waiting()), (vec![], vec![]));
}

/// The stage is free as soon as the first release is rejected: the second one may begin before the watch has looked.
#[tokio::test(start_paused = true)]
async fn a_release_that_waits_behind_a_rejected_one_has_the_canary() {
    for (seed, pause) in [(1610, 0), (1611, 8), (1612, 14), (1613, 17), (1614, 20), (1615, 40)] {
        let app = Application::web("app", 4);
        let story = story(seed, &app);
        let first = held(&story, &app).await;
        let second = story.release(&app, "v3", Behaviour::Good);
        if pause == 0 {
            // It stands before the stage when the first one is rejected.
            story.answer("app", "Approve", ApprovalStatus::Approved).await;
        }
        story.answer("app", "Release", ApprovalStatus::Rejected).await;
        assert_eq!(story.ended("app", &first).await, PipelineExecutionStatus::Failed);
        story.pass(Duration::from_secs(pause)).await;
        if pause > 0 {
            story.answer("app", "Approve", ApprovalStatus::Approved).await;
        }
        story.answer("app", "Release", ApprovalStatus::Approved).await;
        assert_eq!(story.ended("app", &second).await, PipelineExecutionStatus::Succeeded, "after {pause} s");
        for service in ["app", "app-canary"] {
            story.runs_image(&app, service, "v3");
        }
        story.pass(Duration::from_secs(120)).await;
        assert_eq!(story.below("held/"), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_workers_one_watches_and_the_other_goes_on_when_it_is_told_to_stop() {
    let app = Application::web("app", 4);
    let mut story = story(1616, &app);
    let _peer = Worker::start(&story.simulator, PEER_KEY, settings("default", 20));
    let execution = held(&story, &app).await;
    story.pass(Duration::from_secs(300)).await;
    let asking = |key: &str, since: SystemTime| story.asked(key, since);
    let (one, two) = (
        asking(WORKER_KEY, story.now() - Duration::from_secs(120)),
        asking(PEER_KEY, story.now() - Duration::from_secs(120)),
    );
    assert!((one == 0) != (two == 0), "one of them asks: {one}, {two}");
    story.stop_worker().await;
    let since = story.now();
    story.answer("app", "Release", ApprovalStatus::Rejected).await;
    story.until_so("an empty ledger", || story.waiting().is_empty()).await;
    story.runs_image(&app, "app-canary", "v1");
    assert!(story.now().duration_since(since).unwrap() < Duration::from_secs(180));
    assert_eq!(happened(&story, &execution).len(), 4);
}

/// It dies, or stands still, at calls of the way back; another one ends what it began.
#[tokio::test(start_paused = true)]
async fn whoever_watches_dies_or_stands_still_and_another_one_returns_the_canary_once() {
    let faults = [
        Fault::Kill(Moment::BeforeTheAct),
        Fault::Kill(Moment::AfterTheAct),
        Fault::Freeze(Freeze::WhileSending, Duration::from_secs(110)),
        Fault::Freeze(Freeze::AfterSending, Duration::from_secs(110)),
        Fault::Freeze(Freeze::BeforeSending, Duration::from_secs(400)),
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        for operation in ["ListActionExecutions", "PutObject", "UpdateService", "ListServiceDeployments"] {
            let app = Application::web("app", 2).canary_with("BakeTime", "10s");
            let story = story(1620 + number as u64, &app);
            story.expect_deaths();
            let execution = held(&story, &app).await;
            story.pass(Duration::from_secs(30)).await;
            story.answer("app", "Release", ApprovalStatus::Rejected).await;
            let rule = Rule::new(fault.clone()).caller(WORKER_KEY).from(story.now()).operation(operation).times(1);
            story.simulator.inject(FaultPlan::seeded(1).rule(rule));
            let simulator = story.simulator.clone();
            let _peer = tokio::spawn(async move {
                simulator.clock().wait(Duration::from_secs(5)).await;
                Worker::start(&simulator, PEER_KEY, settings("default", 20))
            });
            let since = story.now();
            story.until_so("an empty ledger", || story.waiting().is_empty()).await;
            let took = story.now().duration_since(since).unwrap();
            assert!(took < Duration::from_secs(240), "{fault:?} at {operation}: {took:?}");
            story.pass(Duration::from_secs(500)).await;
            story.runs_image(&app, "app-canary", "v1");
            assert_eq!(story.deployments("app-canary").await, 3, "{fault:?} at {operation}");
            assert_eq!(happened(&story, &execution).len(), 4, "{fault:?} at {operation}");
            assert_eq!(story.below("held/"), [""; 0], "{fault:?} at {operation}");
        }
    }
}

/// Percents that people gave the canary while it was held are its own.
#[tokio::test(start_paused = true)]
async fn percents_that_somebody_set_while_the_canary_was_held_stay() {
    let app = Application::web("app", 4);
    let story = story(1640, &app);
    held(&story, &app).await;
    story.somebody_sets_percents("app-canary", 0, 100).await;
    story.pass(Duration::from_secs(30)).await;
    story.answer("app", "Release", ApprovalStatus::Rejected).await;
    story.until_so("an empty ledger", || story.waiting().is_empty()).await;
    story.runs_image(&app, "app-canary", "v1");
    assert_eq!(story.percents("app-canary"), (0, 100));
}

/// All calls of the watch together: the ledger's, CodePipeline's, ECS's and CloudWatch's.
#[tokio::test(start_paused = true)]
async fn a_hundred_held_canaries_cost_at_most_a_call_a_second() {
    let apps: Vec<Application> = (0..100)
        .map(|number| Application::web(&format!("app{number}"), 1).with_alarm(&format!("errors{number}")))
        .map(|app| app.canary_with("BakeTime", "0s"))
        .collect();
    let simulator = Simulator::new(Settings::seeded(1650));
    let built = apps.clone();
    let mut story = Story::without_worker(simulator, &apps.iter().collect::<Vec<_>>(), |world| {
        crate::stage::story::prepare(world, &built, true);
    });
    story.start_worker_with(settings("default", 200));
    for app in &apps {
        story.release_to_canary(app, "v2", Behaviour::Good).await;
    }
    for app in &apps {
        story.held(&app.pipeline).await;
    }
    story.pass(Duration::from_secs(300)).await;
    let (since, length) = (story.now(), Duration::from_secs(600));
    story.pass(length).await;
    let calls = story.watching(since);
    let sum: usize = calls.values().sum();
    println!("100 held canaries for {} s: {sum} calls: {calls:?}", length.as_secs());
    assert!(sum as u64 <= length.as_secs(), "{sum}: {calls:?}");
    assert!(calls["ListActionExecutions"] >= 200, "every execution is asked for within five minutes: {calls:?}");
}
