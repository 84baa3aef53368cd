//! Somebody stops an execution: who waits lets the action in progress end; who abandons it is not told, and the worker
//! finds out by itself.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ActionExecutionStatus, ApprovalStatus, JobStatus, PipelineExecutionStatus};
use simulator::ecr::Behaviour;
use simulator::{Settings, Simulator};

use crate::stage::{Application, CLUSTER, Story};

/// How soon a worker that does nothing finds out that its action was abandoned: it asks every 30 seconds, at its next
/// observation.
const NOTICED: Duration = Duration::from_secs(35);

/// How long a question and the act that it allowed may take on their way.
const ON_THE_WAY: Duration = Duration::from_millis(500);

/// Where an execution is when it is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Canary,
    CanaryBake,
    Turnover,
    FullBake,
}

const PLACES: [Place; 4] = [Place::Canary, Place::CanaryBake, Place::Turnover, Place::FullBake];

impl Place {
    fn action(self) -> &'static str {
        match self {
            Self::Canary | Self::CanaryBake => "Canary",
            Self::Turnover | Self::FullBake => "Full",
        }
    }

    fn service(self) -> &'static str {
        if self.action() == "Canary" { "app-canary" } else { "app" }
    }
}

fn app() -> Application {
    Application::web("app", 10).canary_with("BakeTime", "4m").full_with("BakeTime", "4m")
}

/// A release of `v2` that has come to a place.
async fn release_at(app: &Application, place: Place, seed: u64) -> (Story, String) {
    let story = Story::begin(Simulator::new(Settings::seeded(seed)), &[app]);
    let execution = story.release_to_canary(app, "v2", Behaviour::Good).await;
    if place.action() == "Full" {
        story.answer("app", "Release", ApprovalStatus::Approved).await;
    }
    match place {
        Place::Canary | Place::Turnover => story.rolling(place.service()).await,
        Place::CanaryBake | Place::FullBake => story.in_phase(place.action(), "{\"bake\"").await,
    }
    (story, execution)
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_is_stopped_and_waited_for_ends_its_action_and_starts_no_other() {
    for (seed, place) in (801..).zip(PLACES) {
        let app = app();
        let (story, execution) = release_at(&app, place, seed).await;
        let before = story.world(|world| world.ecs.view(CLUSTER, "app").expect("a service").task_definition);
        story.stop_and_wait("app", &execution);
        let stopped = |world: &simulator::World| {
            world.codepipeline.execution("app", &execution).expect("one").status == PipelineExecutionStatus::Stopped
        };
        story.until("the stop", stopped).await;
        assert_eq!(
            story.action("app", &execution, place.action()).status,
            ActionExecutionStatus::Succeeded,
            "{place:?}"
        );
        assert_eq!(story.final_results(&execution, place.action()), 1, "{place:?}");
        story.each_job_has_one_result();
        story.runs_image(&app, "app-canary", "v2");
        assert_eq!(story.deployments("app-canary").await, 2, "{place:?}: v1 and v2");
        if place.action() == "Full" {
            story.runs_image(&app, "app", "v2");
            assert_eq!((story.deployments("app").await, story.percents("app")), (2, (100, 200)), "{place:?}");
        } else {
            let after = story.world(|world| world.ecs.view(CLUSTER, "app").expect("a service").task_definition);
            assert_eq!((story.deployments("app").await, after), (1, before), "{place:?}");
            let asked_for = story.world(|world| world.codepipeline.open_approvals("app").len());
            assert_eq!(asked_for, 0, "nobody is asked to approve what was stopped");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_notices_within_half_a_minute_that_its_action_was_abandoned_and_ends_quietly() {
    for (seed, place) in (811..).zip(PLACES) {
        let app = app();
        let (story, execution) = release_at(&app, place, seed).await;
        story.abandon("app", &execution);
        let abandoned = story.now();
        story.pass(Duration::from_secs(60)).await;
        let noticed = story.calls("ListActionExecutions").into_iter().find(|(at, _)| *at >= abandoned);
        let noticed = noticed.expect("a question").0.duration_since(abandoned).expect("a question after it");
        assert!(noticed <= NOTICED, "{place:?}: noticed after {noticed:?}");
        assert!(story.is_idle());
        // Whatever ECS was told before, it finishes by itself.
        story.pass(Duration::from_secs(1_200)).await;
        assert_eq!(story.changes(abandoned), [], "{place:?}");
        assert_eq!(story.final_results(&execution, place.action()), 0, "{place:?}");
        story.each_job_has_one_result_or_was_abandoned();
        assert_eq!(story.calls("PutJobFailureResult"), [], "{place:?}");
        let looked = story.calls("DescribeServices").last().expect("an observation").0;
        let looking = looked.duration_since(abandoned).unwrap_or_default();
        assert!(looking < NOTICED + Duration::from_secs(35), "{place:?}: it still looked after {looking:?}");
        let (status, deployments) =
            (story.deployment_status(place.service()), story.deployments(place.service()).await);
        assert_eq!((status.as_str(), deployments), ("SUCCESSFUL", 2), "{place:?}");
        story.runs_image(&app, place.service(), "v2");
    }
}

/// The moment of an abandonment is swept through the first steps of an action: check, register, update, bind.
#[tokio::test(start_paused = true)]
async fn whatever_the_moment_an_abandoned_action_is_looked_for_before_each_act() {
    let app = app();
    for moment in 0..12 {
        let mut story = Story::begin(Simulator::new(Settings::seeded(820 + moment)), &[&app]);
        let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
        let taken =
            |world: &simulator::World| world.codepipeline.jobs().iter().any(|job| job.status == JobStatus::InProgress);
        story.until("a job", taken).await;
        story.pass(Duration::from_millis(moment * 250)).await;
        story.abandon("app", &execution);
        let abandoned = story.now();
        story.pass(Duration::from_secs(600)).await;
        assert_eq!(story.changes(abandoned + ON_THE_WAY), [], "moment {moment}");
        assert!(story.is_idle());
        story.each_job_has_one_result_or_was_abandoned();
        assert!(story.deployments("app-canary").await <= 2, "moment {moment}");
        story.stop_worker().await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_an_abandonment_nobody_elses_deployment_is_touched() {
    for (seed, place) in (851..).zip(PLACES) {
        let app = app();
        let (story, execution) = release_at(&app, place, seed).await;
        story.abandon("app", &execution);
        story.pass(Duration::from_secs(4)).await;
        let other = story.somebody_deploys(&app, place.service(), Behaviour::Good).await;
        let since = story.now();
        story
            .until("the other deployment's end", |world| {
                world.ecs.view(CLUSTER, place.service()).expect("a service").deployment_status == "SUCCESSFUL"
            })
            .await;
        story.pass(Duration::from_secs(600)).await;
        assert_eq!(story.changes(since), [], "{place:?}: the other deployment was to be left alone");
        assert_eq!(story.runs(place.service()), other, "{place:?}");
        story.runs_image(&app, place.service(), "by-hand");
        story.each_job_has_one_result_or_was_abandoned();
    }
}

#[tokio::test(start_paused = true)]
async fn the_release_after_an_abandoned_one_waits_for_what_ecs_was_told_and_goes_all_the_way() {
    for (seed, place) in (861..).zip(PLACES) {
        let app = app();
        let (story, abandoned) = release_at(&app, place, seed).await;
        story.abandon("app", &abandoned);
        let execution = story.release(&app, "v3", Behaviour::Good);
        story.approve_all("app").await;
        assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded, "{place:?}");
        for service in ["app", "app-canary"] {
            story.runs_image(&app, service, "v3");
            assert_eq!(story.percents(service), (100, 200), "{place:?}: {service}");
        }
        let full = if place.action() == "Full" { 3 } else { 2 };
        assert_eq!((story.deployments("app").await, story.deployments("app-canary").await), (full, 3), "{place:?}");
        story.each_job_has_one_result_or_was_abandoned();
    }
}

/// What an abandoned turnover left is not what somebody set since.
#[tokio::test(start_paused = true)]
async fn percents_that_somebody_sets_after_an_abandonment_are_the_services_own() {
    let app = app();
    let (story, abandoned) = release_at(&app, Place::Turnover, 871).await;
    assert_eq!(story.percents("app"), (90, 100));
    story.abandon("app", &abandoned);
    story.pass(Duration::from_secs(900)).await;
    assert_eq!(story.percents("app"), (90, 100), "nothing is undone of what is abandoned");
    story.somebody_sets_percents("app", 50, 150).await;
    let execution = story.release(&app, "v3", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app", "v3");
    assert_eq!(story.percents("app"), (50, 150));
}

/// The next release is ill: what it goes back to has the service's own percents, too.
#[tokio::test(start_paused = true)]
async fn an_ill_release_after_an_abandoned_turnover_gives_the_right_percents_back() {
    let app = app();
    let (story, abandoned) = release_at(&app, Place::Turnover, 872).await;
    story.abandon("app", &abandoned);
    let crash = Behaviour::CrashesAfter { after: Duration::from_secs(5), exit_code: 3, lines: Vec::new() };
    let execution = story.release_to_full(&app, "v3", crash).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    assert_eq!(story.percents("app"), (100, 200));
    story.runs_image(&app, "app", "v2");
}
