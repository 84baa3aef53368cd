//! What a release leaves in the ledger: its record, and what each service ran.

use std::time::Duration;

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use coalmine_worker::deploy::happening::State;
use coalmine_worker::ledger::history::{Entry, Ran};
use coalmine_worker::ledger::releases::Release;
use simulator::cloudwatch::{AlarmSpec, AlarmState, add_alarm};
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Rule};
use simulator::{Settings, Simulator};

use crate::stage::{Application, Story};

/// The objects of the ledger whose keys begin so: what follows the ledger's prefix, with the content.
fn objects(story: &Story, prefix: &str) -> Vec<(String, Vec<u8>)> {
    story.world(|world| {
        let keys: Vec<String> = world.s3.bucket("ledger").expect("a ledger").keys().map(str::to_owned).collect();
        let below = keys.iter().filter_map(|key| key.strip_prefix("coalmine/").filter(|key| key.starts_with(prefix)));
        below
            .map(|key| (key.to_owned(), world.s3.get("ledger", &format!("coalmine/{key}")).unwrap().body.to_vec()))
            .collect()
    })
}

fn record(story: &Story, release: &str) -> Release {
    let found = objects(story, &format!("releases/{release}.json"));
    Release::parse(&found.first().expect("a record").1).expect("a record that can be read")
}

fn states(record: &Release) -> Vec<(String, State)> {
    record.timeline.iter().map(|happening| (happening.service.clone(), happening.state)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_good_release_is_on_record_with_its_images_and_both_services_know_it() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(1501)), &[&app]);
    let execution = story.release(&app, "v2", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    let record = record(&story, &execution);
    let (full, canary) = ("main/app".to_owned(), "main/app-canary".to_owned());
    assert_eq!(
        states(&record),
        [
            (canary.clone(), State::Deploying),
            (canary, State::Held),
            (full.clone(), State::Deploying),
            (full, State::Deployed)
        ]
    );
    let digest = story.digest(&app, "v2");
    assert_eq!(record.digests.get("app"), Some(&digest));
    assert!(record.images.iter().any(|image| image.ends_with(&format!("/app@{digest}"))), "{:?}", record.images);
    for (service, revision) in [("app", "app:2"), ("app-canary", "app-canary:2")] {
        let entries = objects(&story, &format!("services/main/{service}/"));
        let found: Vec<(Entry, Ran)> =
            entries.iter().filter_map(|(key, body)| Some((Entry::of(key)?, Ran::parse(body)?))).collect();
        let [(entry, ran)] = &found[..] else { panic!("{service}: {found:?}") };
        assert_eq!((entry.release.as_str(), ran.release.as_str()), (execution.as_str(), execution.as_str()));
        assert_eq!((ran.revision.to_string().as_str(), ran.digests.get("app")), (revision, Some(&digest)), "{service}");
        assert_eq!((entry.began, ran.deployment.is_some()), (ran.began, true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_crashes_is_on_record_as_failed_and_no_service_ran_it() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(1502)), &[&app]);
    let crash = Behaviour::CrashesAfter { after: Duration::from_secs(5), exit_code: 3, lines: Vec::new() };
    let execution = story.release_to_canary(&app, "v2", crash).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let record = record(&story, &execution);
    let canary = "main/app-canary".to_owned();
    assert_eq!(states(&record), [(canary.clone(), State::Deploying), (canary, State::Failed)]);
    assert!(record.timeline[1].reason.contains("exit code"), "{}", record.timeline[1].reason);
    assert_eq!(objects(&story, "services/main/app-canary/"), []);
}

/// Another version's record, or a damaged one: it stays as it is, and the release goes on.
#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_understood_stays_as_it_is_and_holds_nothing_up() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(1503)), &[&app]);
    let execution = story.release(&app, "v2", Behaviour::Good);
    let key = format!("coalmine/releases/{execution}.json");
    story.world(|world| world.s3.put("ledger", &key, b"{\"schema\":9}".to_vec().into(), world.now));
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    assert_eq!(objects(&story, "releases/"), [(format!("releases/{execution}.json"), b"{\"schema\":9}".to_vec())]);
    let of_service = objects(&story, "services/main/app/");
    let history = of_service.iter().filter(|(key, _)| !key.ends_with("/returned.json")).count();
    assert_eq!(history, 1, "the service's history is another record");
}

/// Its worker dies when it has noted the success and cannot tell it, and the release turns ill before another one has looked.
#[tokio::test(start_paused = true)]
async fn a_success_that_was_noted_and_never_told_is_no_target_of_a_rollback() {
    let app = Application::web("app", 4).full_with("Alarms", "shop-5xx");
    let simulator = Simulator::new(Settings::seeded(1504));
    simulator.with_world(|world| add_alarm(world, AlarmSpec::new("shop-5xx")));
    let mut story = Story::begin(simulator, &[&app]);
    story.expect_deaths();
    // One turn from the begin to the end: what is throttled below is the success alone.
    story.stop_worker().await;
    story.start_lingering_worker(Duration::from_secs(3_600));
    let execution = story.release_to_full(&app, "v2", Behaviour::Good).await;
    story.rolling("app").await;
    story.simulator.inject(FaultPlan::seeded(1504).rule(Rule::new(Fault::Throttle).operation("PutJobSuccessResult")));
    let noted = |story: &Story| objects(story, "services/main/app/").iter().any(|(key, _)| key.contains(&execution));
    story.until_so("the success on record", || noted(&story)).await;
    story.set_alarm("shop-5xx", AlarmState::Alarm);
    story.drop_worker().await;
    story.simulator.clear_faults();
    story.start_worker();
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    story.runs_image(&app, "app", "v1");
    assert!(!noted(&story), "{:?}", objects(&story, "services/main/app/"));
    let last = record(&story, &execution);
    assert_eq!(last.last_of("main/app").map(|happening| happening.state), Some(State::Failed));
    story.each_job_has_one_accepted_result();
}
