//! An operator rolls services back: at any point of a release, several at once, with and without the ledger.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use coalmine_worker::cli::{EXIT_INTERRUPTED, EXIT_NOT_BACK, EXIT_NOT_POSSIBLE, EXIT_OK, EXIT_USAGE};
use coalmine_worker::deploy::happening::State;
use coalmine_worker::ledger::history::{Entry, Ran};
use coalmine_worker::ledger::releases::Release;
use serde_json::Value;
use simulator::ecr::Behaviour;
use simulator::{Service, Settings, Simulator};

use crate::stage::{Application, CLUSTER, OPERATOR_KEY, Story, order, redacted, zipped};

fn app() -> Application {
    Application::web("app", 4).canary_with("BakeTime", "20s").full_with("BakeTime", "1m").full_with("Batch", "25%")
}

async fn release(story: &Story, app: &Application, tag: &str) -> String {
    let execution = story.release(app, tag, Behaviour::Good);
    story.approve_all(&app.pipeline).await;
    assert_eq!(story.ended(&app.pipeline, &execution).await, PipelineExecutionStatus::Succeeded);
    execution
}

/// The ledger's objects whose keys begin so.
fn objects(story: &Story, prefix: &str) -> Vec<(String, Vec<u8>)> {
    story.world(|world| {
        let keys: Vec<String> = world.s3.bucket("ledger").expect("a ledger").keys().map(str::to_owned).collect();
        let below = keys.iter().filter_map(|key| key.strip_prefix("coalmine/").filter(|key| key.starts_with(prefix)));
        below
            .map(|key| (key.to_owned(), world.s3.get("ledger", &format!("coalmine/{key}")).unwrap().body.to_vec()))
            .collect()
    })
}

/// The ledger loses all that it knows of releases and services.
fn lose_ledger(story: &Story) {
    for (key, _) in objects(story, "") {
        if !key.starts_with("workers/") {
            story.world(|world| world.s3.delete("ledger", &format!("coalmine/{key}")));
        }
    }
}

fn operators_calls(story: &Story) -> Vec<(Service, String, Value)> {
    story.simulator.with_calls(|calls| {
        let own = calls.records.iter().filter(|call| call.access_key == OPERATOR_KEY);
        own.map(|call| (call.service, call.operation.clone(), call.request.clone())).collect()
    })
}

#[tokio::test(start_paused = true)]
async fn a_rollback_returns_both_services_and_the_release_is_refused_until_it_is_allowed() {
    let app = app();
    let story = Story::begin(Simulator::new(Settings::seeded(1601)), &[&app]);
    let good = release(&story, &app, "v2").await;
    let bad = release(&story, &app, "v3").await;
    story.expect_rollback(&app);
    let rolled = story.roll_back(order(&["app"])).await;
    assert_eq!(rolled.code, EXIT_OK, "{rolled:?}");
    for service in ["app", "app-canary"] {
        story.runs_image(&app, service, "v2");
        assert_eq!((story.runs(service), story.percents(service)), (format!("{service}:2"), (100, 200)));
    }
    let record = Release::parse(&objects(&story, &format!("releases/{bad}.json"))[0].1).unwrap();
    for service in ["main/app", "main/app-canary"] {
        let states: Vec<State> = record.timeline.iter().filter(|h| h.service == service).map(|h| h.state).collect();
        assert_eq!(states[states.len() - 2..], [State::RollingBack, State::RolledBack], "{service}");
        assert_eq!(record.last_of(service).unwrap().by.as_deref(), Some("ann"));
    }
    let entries = objects(&story, "services/main/app/");
    let newest = entries.iter().filter_map(|(key, body)| Some((Entry::of(key)?, Ran::parse(body)?))).next_back();
    let (_, ran) = newest.expect("an entry");
    assert_eq!((ran.release, ran.rollback, ran.canary.as_deref()), (good, true, Some("app-canary")));
    // The same images again are refused before anything is touched, with who, when, why and how to allow it.
    let definitions = story.world(|world| app.image_definitions(world, "v3"));
    let again = story.release_source(&app, zipped(&[("imagedefinitions.json", definitions.as_bytes())])).await;
    assert_eq!(story.ended("app", &again).await, PipelineExecutionStatus::Failed);
    let (message, digest) = (story.failure("app", &again, "Canary"), story.digest(&app, "v3"));
    assert!(message.contains("by ann (errors doubled)") && message.contains(&format!("allow={digest}")), "{message}");
    assert!(message.contains(&bad), "{message}");
    story.runs_image(&app, "app-canary", "v2");
    // The next step would be v1, which only ECS remembers; never v3.
    let mut dry = order(&["app"]);
    dry.dry_run = true;
    let further = story.roll_back(dry).await;
    assert!(further.out.contains("app:1") && !further.out.contains("app:3"), "{}", further.out);
    // Who names the release returns to it, and it is refused no more.
    let forth =
        story.roll_back(coalmine_worker::commands::rollback::Order { to: bad.parse().unwrap(), ..order(&["app"]) });
    assert_eq!(forth.await.code, EXIT_OK);
    story.runs_image(&app, "app", "v3");
    let refused = String::from_utf8(objects(&story, "services/main/app/refused.json")[0].1.clone()).unwrap();
    assert!(!refused.contains(&digest) && refused.contains(&story.digest(&app, "v2")), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_digest_that_is_allowed_is_deployed_again() {
    let app = app();
    let simulator = Simulator::new(Settings::seeded(1602));
    let digest = simulator.with_world(|world| {
        world.ecr.create_repository("app", simulator::ecr::Mutability::Immutable);
        app.push(world, "v3", Behaviour::Good)
    });
    let allow = format!("allow={digest}");
    let app = app.canary_with("Options", &allow).full_with("Options", &allow);
    let story = Story::begin(simulator, &[&app]);
    let refused = serde_json::json!({"schema": 1, "refused": [
        {"digest": digest, "release": "e-1", "at": 1_790_000_000, "by": "ann", "why": ""}]});
    for service in ["app", "app-canary"] {
        let key = format!("coalmine/services/main/{service}/refused.json");
        story.world(|world| world.s3.put("ledger", &key, refused.to_string().into_bytes().into(), world.now));
    }
    let definitions = story.world(|world| app.image_definitions(world, "v3"));
    let execution = story.release_source(&app, zipped(&[("imagedefinitions.json", definitions.as_bytes())])).await;
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
}

/// Rolls back while the release of v2 is somewhere; the ledger knows no release yet, ECS does.
async fn at_a_point(seed: u64, reach: impl AsyncFnOnce(&Story, &Application) -> String, end: PipelineExecutionStatus) {
    let app = app();
    let story = Story::begin(Simulator::new(Settings::seeded(seed)), &[&app]);
    let execution = reach(&story, &app).await;
    story.expect_rollback(&app);
    let rolled = story.roll_back(order(&["app"])).await;
    assert_eq!(rolled.code, EXIT_OK, "{rolled:?}");
    for service in ["app", "app-canary"] {
        story.runs_image(&app, service, "v1");
        assert_eq!(story.percents(service), (100, 200), "{service}");
    }
    let held = story.world(|world| world.codepipeline.open_approvals("app").len());
    if held > 0 {
        // People go on all the same: the turnover refuses what was rolled back.
        story.answer("app", "Release", ApprovalStatus::Approved).await;
    }
    assert_eq!(story.ended("app", &execution).await, end);
    story.pass(Duration::from_secs(1_200)).await;
    for service in ["app", "app-canary"] {
        story.runs_image(&app, service, "v1");
        assert_eq!(story.percents(service), (100, 200), "{service}, later");
    }
    story.each_job_has_one_result();
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_rolled_back_in_its_canary_ends_as_superseded() {
    let reach = async |story: &Story, app: &Application| {
        let execution = story.release_to_canary(app, "v2", Behaviour::Good).await;
        story.rolling("app-canary").await;
        execution
    };
    at_a_point(1603, reach, PipelineExecutionStatus::Failed).await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_rolled_back_while_people_think_is_refused_at_its_turnover() {
    let reach = async |story: &Story, app: &Application| {
        let execution = story.release_to_canary(app, "v2", Behaviour::Good).await;
        story.held("app").await;
        execution
    };
    at_a_point(1604, reach, PipelineExecutionStatus::Failed).await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_rolled_back_in_its_turnover_ends_as_superseded() {
    let reach = async |story: &Story, app: &Application| {
        let execution = story.release_to_full(app, "v2", Behaviour::Good).await;
        story.rolling("app").await;
        execution
    };
    at_a_point(1605, reach, PipelineExecutionStatus::Failed).await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_rolled_back_in_its_bake_ends_as_superseded() {
    let reach = async |story: &Story, app: &Application| {
        let execution = story.release_to_full(app, "v2", Behaviour::Good).await;
        story
            .until("the end of the turnover", |world| {
                let full = world.ecs.outline(CLUSTER, "app").unwrap();
                full.deployment_status == "SUCCESSFUL" && !full.task_definition.ends_with("app:1")
            })
            .await;
        execution
    };
    // v2 was successful at ECS, and is left all the same.
    at_a_point(1606, reach, PipelineExecutionStatus::Failed).await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_being_undone_is_joined_and_not_taken_further_back() {
    let reach = async |story: &Story, app: &Application| {
        let crash = Behaviour::CrashesAfter { after: Duration::from_secs(5), exit_code: 3, lines: Vec::new() };
        let execution = story.release_to_full(app, "v2", crash).await;
        story
            .until("the way back", |world| {
                world.ecs.outline(CLUSTER, "app").unwrap().deployment_status == "ROLLBACK_IN_PROGRESS"
            })
            .await;
        execution
    };
    at_a_point(1607, reach, PipelineExecutionStatus::Failed).await;
}

#[tokio::test(start_paused = true)]
async fn two_operators_who_roll_back_at_once_come_to_the_same_place() {
    let app = app();
    let story = Story::begin(Simulator::new(Settings::seeded(1608)), &[&app]);
    release(&story, &app, "v2").await;
    release(&story, &app, "v3").await;
    release(&story, &app, "v4").await;
    story.expect_rollback(&app);
    let later = async {
        story.pass(Duration::from_secs(7)).await;
        story.roll_back_until(order(&["app"]), "AKIAOTHER", std::future::pending()).await
    };
    let (one, at_once, later) = tokio::join!(
        story.roll_back(order(&["app"])),
        story.roll_back_until(order(&["app"]), "AKIASECOND", std::future::pending()),
        later
    );
    for rolled in [&one, &at_once, &later] {
        assert_eq!(rolled.code, EXIT_OK, "{rolled:?}");
    }
    for service in ["app", "app-canary"] {
        story.runs_image(&app, service, "v3");
        assert_eq!((story.deployments(service).await, story.percents(service)), (5, (100, 200)), "{service}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_its_ledger_a_fleet_goes_back_by_what_ecs_remembers() {
    let app = app();
    let story = Story::begin(Simulator::new(Settings::seeded(1610)), &[&app]);
    release(&story, &app, "v2").await;
    release(&story, &app, "v3").await;
    lose_ledger(&story);
    story.expect_rollback(&app);
    let rolled = story.roll_back(order(&["app"])).await;
    assert_eq!(rolled.code, EXIT_OK, "{rolled:?}");
    assert!(rolled.out.contains("by its name"), "{}", rolled.out);
    for service in ["app", "app-canary"] {
        story.runs_image(&app, service, "v2");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_done_is_said_and_changes_nothing() {
    let apps = [app(), Application::web("fresh", 2).never_deployed()];
    let story = Story::begin(Simulator::new(Settings::seeded(1611)), &[&apps[0], &apps[1]]);
    release(&story, &apps[0], "v2").await;
    let latest = release(&story, &apps[0], "v3").await;
    let begin = story.now();
    let with = |change: &dyn Fn(&mut coalmine_worker::commands::rollback::Order)| {
        let mut order = order(&["app"]);
        change(&mut order);
        order
    };
    let unknown = format!("{}0000", &latest[..latest.len() - 4]);
    for (order, code, words) in [
        (with(&|order| order.yes = false), EXIT_USAGE, "give --yes".to_owned()),
        (with(&|order| order.services = vec!["ap".into()]), EXIT_NOT_POSSIBLE, "the nearest: app, app-canary".into()),
        (with(&|order| order.to = unknown.parse().unwrap()), EXIT_NOT_POSSIBLE, format!("the nearest: {latest}")),
        (with(&|order| order.to = "-9".parse().unwrap()), EXIT_NOT_POSSIBLE, "which is less than 9".into()),
        (
            with(&|order| order.services = vec!["fresh".into()]),
            EXIT_NOT_POSSIBLE,
            "no release ever succeeded on it".into(),
        ),
        (with(&|order| order.services.push("fresh".into())), EXIT_NOT_POSSIBLE, "--partial goes on".into()),
        (
            with(&|order| order.group = Some(("team".into(), "nobody".into()))),
            EXIT_NOT_POSSIBLE,
            "has the tag team=nobody".into(),
        ),
    ] {
        let rolled = story.roll_back(order).await;
        assert_eq!(rolled.code, code, "{rolled:?}");
        assert!(rolled.words.contains(&words), "{words}: {}", rolled.words);
    }
    let dry = story.roll_back(with(&|order| (order.dry_run, order.yes) = (true, false))).await;
    assert_eq!(dry.code, EXIT_OK, "{dry:?}");
    // The image of v2 is gone, and with it what could be returned to.
    let digest = story.digest(&apps[0], "v2");
    story.world(|world| world.ecr.untag("app", "v2")).unwrap();
    let gone = story.roll_back(order(&["app"])).await;
    assert_eq!(gone.code, EXIT_NOT_POSSIBLE, "{gone:?}");
    assert!(gone.words.contains(":v2 is not in the repository"), "{}", gone.words);
    story.world(|world| world.ecr.tag("app", &digest, "v2")).unwrap();
    const MUTATING: [&str; 4] =
        ["UpdateService", "RegisterTaskDefinition", "StopServiceDeployment", "StopPipelineExecution"];
    let calls = operators_calls(&story);
    let changed: Vec<&String> = calls
        .iter()
        .map(|(_, operation, _)| operation)
        .filter(|name| MUTATING.contains(&name.as_str()) || name.as_str() == "PutObject")
        .collect();
    assert_eq!(changed, [""; 0]);
    assert_eq!(story.changes(begin), []);
}

#[tokio::test(start_paused = true)]
async fn the_tables_show_from_where_to_where_and_how_it_ended() {
    let app = app();
    let story = Story::begin(Simulator::new(Settings::seeded(1612)), &[&app]);
    release(&story, &app, "v2").await;
    release(&story, &app, "v3").await;
    let mut dry = order(&["app"]);
    dry.dry_run = true;
    let shown = story.roll_back(dry).await;
    insta::assert_snapshot!(redacted(&shown.out), @r"
    ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
     Service                           From                              To                                Tasks   Batch
    ═══════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════
     app-canary                        app-canary:3                      app-canary:2                          1   all at once
       canary of app, by the history     00000000, sha256:000000000000     00000000, sha256:000000000000
    ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
     app                               app:3                             app:2                                 4   all at once
                                         00000000, sha256:000000000000     00000000, sha256:000000000000
    ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
    ");
    let mut json = order(&["app"]);
    (json.dry_run, json.json) = (true, true);
    let document: Value = serde_json::from_str(&story.roll_back(json).await.out).unwrap();
    assert_eq!(document["services"][1]["to"]["revision"], "app:2");
    assert_eq!(document["services"][1]["to"]["digests"]["app"], story.digest(&app, "v2"));
    assert_eq!((&document["services"][1]["tasks"], &document["services"][1]["batch"]), (&4.into(), &4.into()));
    assert_eq!(document["problems"], serde_json::json!([]));
    story.expect_rollback(&app);
    let done = story.roll_back(order(&["app"])).await;
    let result = done.out.strip_prefix(&shown.out).expect("the same table first");
    insta::assert_snapshot!(redacted(result), @r"
    ────────────────────────────────────────────────────
     Service      State
    ════════════════════════════════════════════════════
     app-canary   back    1 of 1 tasks run app-canary:2
    ────────────────────────────────────────────────────
     app          back    4 of 4 tasks run app:2
    ────────────────────────────────────────────────────
    ");
    insta::assert_snapshot!(redacted(&done.words), @r"
    main/app-canary: going back: telling it to run app-canary:2
    main/app: going back: telling it to run app:2
    main/app-canary: back: 1 of 1 tasks run app-canary:2
    main/app: back: 4 of 4 tasks run app:2
    ");
}

#[tokio::test(start_paused = true)]
async fn whoever_presses_ctrl_c_is_told_where_things_are_and_goes_on_later() {
    let app = app();
    let story = Story::begin(Simulator::new(Settings::seeded(1613)), &[&app]);
    release(&story, &app, "v2").await;
    release(&story, &app, "v3").await;
    story.expect_rollback(&app);
    let soon = story.pass(Duration::from_secs(8));
    let rolled = story.roll_back_until(order(&["app"]), OPERATOR_KEY, soon).await;
    assert_eq!(rolled.code, EXIT_INTERRUPTED, "{rolled:?}");
    assert!(rolled.out.contains("going back") && rolled.words.contains("Run the same command again"), "{rolled:?}");
    let again = story.roll_back(order(&["app"])).await;
    assert_eq!(again.code, EXIT_OK, "{again:?}");
    story.runs_image(&app, "app", "v2");
    story.runs_image(&app, "app-canary", "v2");
    assert_eq!(story.deployments("app").await, 4, "it was not told twice");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_does_not_come_up_is_told_and_ecs_is_not_fought() {
    let app = app().with_breaker();
    let story = Story::begin(Simulator::new(Settings::seeded(1614)), &[&app]);
    release(&story, &app, "v2").await;
    release(&story, &app, "v3").await;
    let crash = Behaviour::CrashesAfter { after: Duration::from_secs(5), exit_code: 3, lines: Vec::new() };
    story.world(|world| world.ecr.behave("app", "v2", crash)).unwrap();
    story.expect_rollback(&app);
    let rolled = story.roll_back(order(&["app"])).await;
    assert_eq!(rolled.code, EXIT_NOT_BACK, "{rolled:?}");
    assert!(rolled.out.contains("ECS gave the deployment of app:2 up"), "{}", rolled.out);
}

#[tokio::test(start_paused = true)]
async fn after_ecs_took_a_rollback_back_the_same_command_goes_to_the_same_release() {
    let app = app().with_breaker();
    let story = Story::begin(Simulator::new(Settings::seeded(1651)), &[&app]);
    release(&story, &app, "v2").await;
    release(&story, &app, "v3").await;
    let crash = Behaviour::CrashesAfter { after: Duration::from_secs(5), exit_code: 3, lines: Vec::new() };
    story.world(|world| world.ecr.behave("app", "v2", crash)).unwrap();
    story.expect_rollback(&app);
    let rolled = story.roll_back(order(&["app"])).await;
    assert_eq!(rolled.code, EXIT_NOT_BACK, "{rolled:?}");
    story.pass(Duration::from_secs(120)).await;
    assert_eq!(story.runs("app"), "app:3", "its circuit breaker took it back");
    // The configuration that it lacked is there now.
    story.world(|world| world.ecr.behave("app", "v2", Behaviour::Good)).unwrap();
    let again = story.roll_back(order(&["app"])).await;
    assert_eq!(again.code, EXIT_OK, "{again:?}");
    story.runs_image(&app, "app", "v2");
    story.runs_image(&app, "app-canary", "v2");
}

#[tokio::test(start_paused = true)]
async fn what_ecs_took_back_long_ago_is_not_what_back_means() {
    let app = app().with_breaker();
    let story = Story::begin(Simulator::new(Settings::seeded(1652)), &[&app]);
    release(&story, &app, "v2").await;
    release(&story, &app, "v3").await;
    let crash = Behaviour::CrashesAfter { after: Duration::from_secs(5), exit_code: 3, lines: Vec::new() };
    story.somebody_deploys(&app, "app", crash).await;
    story.pass(Duration::from_secs(600)).await;
    assert_eq!(story.runs("app"), "app:3", "its circuit breaker took it back");
    story.expect_rollback(&app);
    let order = || coalmine_worker::commands::rollback::Order { dry_run: true, ..order(&["app"]) };
    let soon = story.roll_back(order()).await;
    assert!(soon.out.contains("app:3") && soon.out.contains("there already"), "v4 is left: {soon:?}");
    story.pass(Duration::from_secs(2 * 3_600)).await;
    let later = story.roll_back(order()).await;
    assert!(later.out.contains("app:2"), "v3 is what it runs: {later:?}");
}

#[tokio::test(start_paused = true)]
async fn what_runs_beside_a_release_from_another_registry_keeps_no_rollback_back() {
    let runs_beside = |story: &Story, now: &str, before: &str| {
        for service in ["app", "app-canary"] {
            let run = story.digests(service);
            let [now, before] = [now, before].map(|tag| run.contains(&story.digest(&app(), tag)));
            assert!(now && !before && run.len() == 2, "{service}: {run:?}");
        }
    };
    let app = app().beside("logs", "public.ecr.aws/observability/logs:stable");
    let story = Story::begin(Simulator::new(Settings::seeded(1653)), &[&app]);
    release(&story, &app, "v2").await;
    release(&story, &app, "v3").await;
    story.expect_rollback(&app);
    let rolled = story.roll_back(order(&["app"])).await;
    assert_eq!(rolled.code, EXIT_OK, "{rolled:?}");
    runs_beside(&story, "v2", "v3");
    // Only ECS remembers it.
    let story = Story::begin(Simulator::new(Settings::seeded(1654)), &[&app]);
    release(&story, &app, "v2").await;
    lose_ledger(&story);
    story.expect_rollback(&app);
    let rolled = story.roll_back(order(&["app"])).await;
    assert_eq!(rolled.code, EXIT_OK, "{rolled:?}");
    runs_beside(&story, "v1", "v2");
}

#[tokio::test(start_paused = true)]
async fn executions_that_still_carry_it_are_listed_or_stopped() {
    for (seed, stop) in [(1615, true), (1770, false)] {
        let app = app();
        let story = Story::begin(Simulator::new(Settings::seeded(seed)), &[&app]);
        let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
        story.held("app").await;
        story.expect_rollback(&app);
        let mut order = order(&["app"]);
        (order.stop_pipelines, order.json) = (stop, true);
        let rolled = story.roll_back(order).await;
        assert_eq!(rolled.code, EXIT_OK, "{rolled:?}");
        let said =
            if stop { "carried it, and is being stopped" } else { "still carries it: --stop-pipelines stops it" };
        assert!(rolled.words.contains(&format!("execution {execution} of app {said}")), "{}", rolled.words);
        let document: Value = serde_json::from_str(&rolled.out).unwrap();
        let listed = serde_json::json!([{"pipeline": "app", "execution": execution, "stopping": stop}]);
        assert_eq!(document["executions"], listed);
        story
            .until("the stop, if one was ordered", |world| {
                let status = &world.codepipeline.execution("app", &execution).unwrap().status;
                matches!(status, PipelineExecutionStatus::Stopping | PipelineExecutionStatus::Stopped) == stop
            })
            .await;
    }
}
