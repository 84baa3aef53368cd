//! Operators ask: what runs, what happened, what a release would do, what is to be mended. They change nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use coalmine_worker::cli::{EXIT_FINDINGS, EXIT_NOT_DEPLOYABLE, EXIT_OK};
use coalmine_worker::commands::doctor::permissions::{self as doctor, Tried};
use coalmine_worker::deploy::progress::Progress;
use coalmine_worker::ledger::canaries::{self, Canary};
use serde_json::{Value, json};
use simulator::cloudwatch::AlarmState;
use simulator::ecr::Behaviour;
use simulator::ecs::TaskStatus;
use simulator::permissions::Policy;
use simulator::{Settings, Simulator};

use crate::stage::story::{READS, prepare};
use crate::stage::{Application, CLUSTER, OPERATOR_KEY, Story, redacted, zipped};

/// Some of the permissions that the doctor tries by reading.
const READABLE: [&str; 3] = ["codepipeline:GetPipelineExecution", "ecr:DescribeRepositories", "logs:GetLogEvents"];

/// What a command line is answered: exit code and text.
async fn ask(story: &Story, line: &[&str]) -> (u8, String) {
    story.ask(line).await.expect("an answer")
}

/// Why a question has no answer.
async fn refused(story: &Story, line: &[&str]) -> String {
    story.ask(line).await.expect_err("no answer").to_string()
}

/// The operations that the operator called, each as it was called; none of them changes anything.
fn asked(story: &Story) -> Vec<String> {
    let asked: Vec<String> = story.simulator.with_calls(|calls| {
        let own = calls.records.iter().filter(|call| call.access_key == OPERATOR_KEY);
        own.map(|call| call.operation.clone()).collect()
    });
    for operation in &asked {
        assert!(READS.iter().any(|read| operation.starts_with(read)), "a question called {operation}");
    }
    asked
}

async fn json_of(story: &Story, line: &[&str]) -> Value {
    serde_json::from_str(&ask(story, &[line, &["--json"]].concat()).await.1).expect("JSON")
}

#[tokio::test(start_paused = true)]
async fn status_shows_a_held_canary_and_who_is_asked_until_the_release_is_everywhere() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(1601)), &[&app]);
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.held("app").await;
    let evidence = story.world(|world| world.codepipeline.open_approvals("app")[0].resolved["CustomData"].clone());
    for part in [
        "the only task of main/app-canary",
        "stayed well for 2m",
        "(app=",
        "no task was restarted",
        "no alarms watched",
    ] {
        assert!(evidence.contains(part), "{part}: {evidence}");
    }
    assert!(evidence.ends_with("; to undo it, reject: coalmine-worker reject app --reason …"), "{evidence}");
    let rows = json_of(&story, &["status"]).await;
    let [full, canary] = [&rows[0], &rows[1]];
    assert_eq!((full["service"].as_str(), canary["service"].as_str()), (Some("app"), Some("app-canary")));
    assert_eq!(full["pair"], json!({"full": {"canary": "app-canary", "same": false}}));
    assert_eq!(canary["release"].as_str(), Some(execution.as_str()));
    assert_eq!(canary["held"]["asks"].as_str(), Some("app: Release/Approve"));
    let table = ask(&story, &["status"]).await.1;
    assert!(table.contains("waits for app: Release/Approve"), "{table}");
    assert!(table.contains("2 services: all well, 1 held for people."), "{table}");
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    let rows = json_of(&story, &["status", "--cluster", "main"]).await;
    for row in rows.as_array().unwrap() {
        assert_eq!((row["release"].as_str(), &row["held"]), (Some(execution.as_str()), &Value::Null), "{row}");
        assert_eq!(row["well"], true);
    }
    assert_eq!(rows[0]["pair"]["full"]["same"], true);
    asked(&story);
}

#[tokio::test(start_paused = true)]
async fn the_second_approval_tells_of_a_task_that_had_to_be_restarted() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(1612)), &[&app]);
    let crash = Behaviour::CrashesAfter { after: Duration::from_secs(90), exit_code: 3, lines: Vec::new() };
    let execution = story.release_to_canary(&app, "v2", crash).await;
    story
        .until("a first task of the release", |world| {
            let view = world.ecs.view(CLUSTER, "app-canary").expect("a service");
            view.tasks.iter().any(|task| task.task_definition.ends_with(":2") && task.status == TaskStatus::Running)
        })
        .await;
    // The one that takes its place stays.
    story.world(|world| world.ecr.behave("app", "v2", Behaviour::Good)).expect("an image");
    story.held("app").await;
    let evidence = story.world(|world| world.codepipeline.open_approvals("app")[0].resolved["CustomData"].clone());
    assert!(evidence.contains("; 1 task had to be restarted; "), "{evidence}");
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn status_shows_as_held_what_the_watch_holds_and_why_a_canary_goes_back() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(1610)), &[&app]);
    let held = async || json_of(&story, &["status"]).await[1]["held"].clone();
    let by_hand = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.held("app").await;
    // Somebody deploys to the canary: it is nobody's to take back any more, and people are asked in vain.
    story.somebody_deploys(&app, "app-canary", Behaviour::Good).await;
    story.until_so("the watch lets go", || story.waiting().is_empty()).await;
    assert_eq!(held().await, Value::Null);
    story.answer("app", "Release", ApprovalStatus::Rejected).await;
    assert_eq!(story.ended("app", &by_hand).await, PipelineExecutionStatus::Failed);

    let rejected = story.release_to_canary(&app, "v3", Behaviour::Good).await;
    story.held("app").await;
    assert_eq!(held().await["release"], json!(rejected));
    story.answer("app", "Release", ApprovalStatus::Rejected).await;
    story.until_so("the way back", || story.waiting_to_go_back()).await;
    let why = held().await["restoring"].as_str().map(str::to_owned).expect("a reason");
    assert!(why.starts_with("Release/Approve was rejected"), "{why}");
    let table = ask(&story, &["status"]).await.1;
    assert!(table.contains(&format!("goes back from {}: {why}", &rejected[..8])), "{table}");
    story.until_so("an empty ledger", || story.waiting().is_empty()).await;
    assert_eq!(held().await, Value::Null);
    story.ended("app", &rejected).await;
    asked(&story);
}

#[tokio::test(start_paused = true)]
async fn status_of_fifty_services_takes_at_most_twenty_five_calls() {
    let applications: Vec<Application> =
        (0..25).map(|number| Application::web(&format!("app{number:02}"), 2)).collect();
    let all: Vec<&Application> = applications.iter().collect();
    let story = Story::without_worker(Simulator::new(Settings::seeded(1602)), &all, |world| {
        prepare(world, &applications, true);
        let now = world.now;
        let began = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        for app in &applications {
            for (service, later) in [(app.canary_name(), 0), (app.name.clone(), 600)] {
                for release in 0..50 {
                    let begun = began + later - 10_000 * release;
                    let key = format!("coalmine/services/main/{service}/{begun:012}-r{release}-{}.json", app.name);
                    world.s3.put("ledger", &key, b"{}".to_vec().into(), now);
                }
            }
        }
        // Two canaries wait for people.
        let since = i64::try_from(began).unwrap();
        for app in &applications[..2] {
            let (service, progress) = (app.canary_name(), Progress::begin(since));
            let mut held = Canary::new(("main", &service, &app.name), &progress, since);
            (held.release, held.pipeline) = (format!("held-{}", app.name), app.pipeline.clone());
            let key = format!("coalmine/{}", canaries::key("main", &service));
            world.s3.put("ledger", &key, serde_json::to_vec(&held).unwrap().into(), now);
        }
    });
    let rows = json_of(&story, &["status"]).await;
    assert_eq!(rows.as_array().map(Vec::len), Some(50));
    let held = rows.as_array().unwrap().iter().filter(|row| !row["held"].is_null()).count();
    assert_eq!(held, 2, "nobody is asked any more, and they still hold it");
    let calls = asked(&story);
    assert!(calls.len() <= 25, "{} calls: {calls:?}", calls.len());
}

#[tokio::test(start_paused = true)]
async fn history_releases_and_explain_tell_what_happened_in_order_and_why() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(1603)), &[&app]);
    let good = story.release(&app, "v2", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &good).await, PipelineExecutionStatus::Succeeded);
    let crash = Behaviour::CrashesAfter { after: Duration::from_secs(5), exit_code: 3, lines: Vec::new() };
    let bad = story.release_to_canary(&app, "v3", crash).await;
    assert_eq!(story.ended("app", &bad).await, PipelineExecutionStatus::Failed);

    let history = json_of(&story, &["history", "app"]).await;
    assert_eq!(history.as_array().map(Vec::len), Some(1));
    assert_eq!((history[0]["release"].as_str(), history[0]["revision"].as_str()), (Some(good.as_str()), Some("app:2")));
    let releases = ask(&story, &["releases", "--pipeline", "app"]).await.1;
    assert!(releases.contains("main/app-canary: failed") && releases.contains("main/app: deployed"), "{releases}");

    let told = json_of(&story, &["explain", &good]).await;
    let words: Vec<&str> =
        told["events"].as_array().unwrap().iter().filter_map(|event| event["what"].as_str()).collect();
    assert_eq!(
        words,
        ["Succeeded", "Succeeded", "deploying", "held", "Succeeded", "deploying", "deployed"],
        "source, approval, canary, approval, turnover"
    );
    let told = ask(&story, &["explain", &bad[..8]]).await.1;
    assert!(told.contains("exit code 3") && told.contains("failed"), "{told}");

    let unknown = refused(&story, &["history", "ap"]).await;
    assert!(unknown.contains("there is no service \"ap\"; the nearest: app"), "{unknown}");
    let unknown = refused(&story, &["explain", &good.replace('a', "b")]).await;
    assert!(unknown.contains(&good), "{unknown}");
    let hint = refused(&story, &["explain", "app"]).await;
    assert!(hint.contains("is a service: coalmine-worker history app"), "{hint}");
    asked(&story);
}

#[tokio::test(start_paused = true)]
async fn explain_finds_a_job_with_its_worker_and_reads_its_token() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(1604)), &[&app]);
    story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.in_phase("Canary", "{\"bake\"").await;
    let job = story.world(|world| {
        let jobs = world.codepipeline.jobs();
        let newest = jobs.iter().rev().find(|job| job.action == "Canary").expect("a job");
        (newest.id.clone(), newest.continuation_token.clone().expect("a token"))
    });
    let of_job = ask(&story, &["explain", &job.0]).await.1;
    assert!(of_job.contains("in the hands of worker") || of_job.contains("no worker holds it"), "{of_job}");
    for told in [of_job, ask(&story, &["explain", &job.1]).await.1] {
        assert!(told.contains("It brings app-canary:2, by service deployment"), "{told}");
        assert!(told.contains("Now: all tasks run it; they are watched since"), "{told}");
    }
    asked(&story);
}

#[tokio::test(start_paused = true)]
async fn a_plan_stands_in_the_first_approvals_text_and_has_touched_nothing() {
    let app = Application::web("app", 10).planned();
    let story = Story::begin(Simulator::new(Settings::seeded(1605)), &[&app]);
    let begin = story.now();
    let execution = story.release(&app, "v2", Behaviour::Good);
    story
        .until("the first approval", |world| {
            world.codepipeline.open_approvals("app").iter().any(|run| run.stage == "Approve")
        })
        .await;
    let text = story.world(|world| {
        let open = world.codepipeline.open_approvals("app");
        open.first().and_then(|run| run.resolved.get("CustomData")).cloned().expect("a text")
    });
    assert!(text.chars().count() <= 1_000);
    assert!(text.starts_with("Plan. app: v1 ("), "{text}");
    assert!(text.contains("main/app: 10 tasks, 1 at a time (10 batches), old ones stop first."), "{text}");
    assert!(text.contains("Task definitions: the images alone change."), "{text}");
    assert_eq!(story.changes(begin), []);
    assert_eq!(story.calls("RegisterTaskDefinition"), []);
    let recorded = story.world(|world| {
        let ledger = world.s3.bucket("ledger").expect("a ledger");
        ledger.keys().filter(|key| !key.contains("/workers/")).map(str::to_owned).collect::<Vec<_>>()
    });
    assert_eq!(recorded, [""; 0], "a plan is on no record");
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    story.runs_image(&app, "app", "v2");
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_no_canary_and_nothing_is_turned_over_on_its_word() {
    let app = Application::web("app", 4).canary_with("Options", "mode=plan");
    let story = Story::begin(Simulator::new(Settings::seeded(1606)), &[&app]);
    let full = story.portrait("app").await;
    let execution = story.release(&app, "v2", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    let failure = story.failure("app", &execution, "Full");
    assert!(failure.contains("app-canary:1 (no Coalmine release)"), "{failure}");
    assert!(failure.contains("so that the canary is deployed and approved first"), "{failure}");
    assert_eq!(story.portrait("app").await, full);
    assert_eq!(story.calls("UpdateService"), []);
}

/// How the action Plan of an execution of `app` failed.
fn why_no_plan(story: &Story, execution: &str) -> String {
    story.world(|world| {
        let found = world.codepipeline.execution("app", execution).expect("an execution");
        let plan = found.actions.iter().find(|run| run.name == "Plan").expect("a plan");
        plan.error.clone().expect("an error").message
    })
}

#[tokio::test(start_paused = true)]
async fn a_plan_fails_with_all_that_is_wrong_at_once_and_only_tells_what_passes() {
    let app = Application::web("app", 4).with_alarm("5xx").planned();
    let story = Story::begin(Simulator::new(Settings::seeded(1607)), &[&app]);
    story.set_alarm("5xx", AlarmState::Alarm);
    let red = story.release(&app, "v2", Behaviour::Good);
    story.until("the first approval", |world| !world.codepipeline.open_approvals("app").is_empty()).await;
    let text = story.world(|world| world.codepipeline.open_approvals("app")[0].resolved["CustomData"].clone());
    assert!(text.starts_with("Plan. NOT NOW: alarm 5xx is in ALARM"), "what passes is for people to know: {text}");
    story.answer("app", "Approve", ApprovalStatus::Rejected).await;
    assert_eq!(story.ended("app", &red).await, PipelineExecutionStatus::Failed);
    let image = story.world(|world| format!("{}:never-pushed", world.ecr.uri("app")));
    let definitions = json!([{"name": "app", "imageUri": image}, {"name": "nobody", "imageUri": image}]);
    let wrong = story.world(|world| {
        crate::stage::story::upload(world, &app, definitions.to_string().as_bytes());
        world.start_pipeline("app", &Default::default()).expect("an execution")
    });
    assert_eq!(story.ended("app", &wrong).await, PipelineExecutionStatus::Failed);
    let message = why_no_plan(&story, &wrong);
    for part in ["is not in the repository", "container nobody is not in the task definition"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_fails_also_says_what_would_pass() {
    let app = Application::web("app", 4).with_alarm("5xx").planned();
    let story = Story::begin(Simulator::new(Settings::seeded(1611)), &[&app]);
    story.set_alarm("5xx", AlarmState::Alarm);
    story.somebody_deploys(&app, "app-canary", Behaviour::Good).await;
    let image = story.world(|world| format!("{}:never-pushed", world.ecr.uri("app")));
    let definitions = json!([{"name": "app", "imageUri": image}]).to_string();
    let zip = zipped(&[("imagedefinitions.json", definitions.as_bytes())]);
    let execution = story.world(|world| {
        crate::stage::story::put_source(world, &app, zip);
        world.start_pipeline("app", &Default::default()).expect("an execution")
    });
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    insta::assert_snapshot!(redacted(&why_no_plan(&story, &execution)), @r"
    Nothing was deployed to canary main/app-canary:
    - container app: image 000000000000.dkr.ecr.eu-central-1.amazonaws.com/app:never-pushed: is not in the repository
    - deployment 000000000000000000000 by somebody else is in progress (app-canary:2 to main/app-canary)
    - alarm 5xx is in ALARM (a story says so)
    ");
}

#[tokio::test(start_paused = true)]
async fn diff_and_verify_say_before_anything_is_started_what_would_happen_and_whether_it_could() {
    let app = Application::queue_workers("jobs", 2, 20);
    let story = Story::begin(Simulator::new(Settings::seeded(1608)), &[&app]);
    story.world(|world| {
        app.push(world, "v2", Behaviour::Good);
        let definitions = app.image_definitions(world, "v2");
        crate::stage::story::upload(world, &app, definitions.as_bytes());
    });
    let (code, told) = ask(&story, &["diff", "--pipeline", "jobs"]).await;
    assert_eq!(code, EXIT_OK, "{told}");
    insta::assert_snapshot!(without_digests(&told), @r"
    jobs: Release/Canary
    ────────────────────────────────────────────────────────────────────────
     Container          Image     Digest         Age   Size    For
    ════════════════════════════════════════════════════════════════════════
     jobs        now    jobs:v1   0123456789ab   0s    67 MB   amd64, arm64
    ────────────────────────────────────────────────────────────────────────
                 then   jobs:v2   0123456789ab   0s    67 MB   amd64, arm64
    ────────────────────────────────────────────────────────────────────────
    Task definition of main/jobs: the images alone change.
    Task definition of main/jobs-canary: the images alone change.
    main/jobs-canary: 2 tasks, at once, new ones first.
    main/jobs: 20 tasks, 2 at a time (10 batches), old ones stop first.
    Note: container jobs has no stopTimeout: it is killed 30 s after SIGTERM, with the work that it has in hand; set what its longest work takes
    Note: no alarm is watched: ECS and the tasks alone tell whether the release is well
    It can be deployed.
    ");
    let gone = story.world(|world| format!("jobs={}:v9", world.ecr.uri("jobs")));
    let (code, told) = ask(&story, &["verify", "--pipeline", "jobs", "--image", &gone]).await;
    assert_eq!(code, EXIT_NOT_DEPLOYABLE, "{told}");
    assert!(told.contains("Problem: container jobs: image") && told.contains("is not in the repository"), "{told}");
    assert!(told.ends_with("It cannot be deployed.\n"), "{told}");
    let there = story.world(|world| format!("jobs={}:v2", world.ecr.uri("jobs")));
    let by_hand =
        ["diff", "--cluster", "main", "--service", "jobs-canary", "--full-service", "jobs", "--image", &there];
    let (code, told) = ask(&story, &[&by_hand[..], &["--batch", "25%"]].concat()).await;
    assert_eq!(code, EXIT_OK, "{told}");
    assert!(told.contains("main/jobs: 20 tasks, 5 at a time (4 batches), old ones stop first."), "{told}");
    let unknown = refused(&story, &["diff", "--pipeline", "job"]).await;
    assert_eq!(unknown, "there is no pipeline \"job\"; the nearest: jobs");
    asked(&story);
}

/// Digests are long, and of no interest here.
fn without_digests(text: &str) -> String {
    text.split('\n')
        .map(|line| {
            let word = |word: &str| {
                let hex = word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
                if hex { "0123456789ab".to_owned() } else { word.to_owned() }
            };
            line.split(' ').map(word).collect::<Vec<_>>().join(" ")
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// The doctor's reads for which there was nothing to read, as it names them, and as its calls show them.
async fn nothing_to_read(story: &Story) -> (Vec<String>, Vec<String>) {
    let report = json_of(story, &["doctor"]).await;
    let named = report["nothing_to_try"].as_array().expect("a list").iter();
    let named = named.map(|action| action.as_str().expect("an action").to_owned()).collect();
    let made: BTreeSet<String> = story
        .simulator
        .calls_of(OPERATOR_KEY)
        .iter()
        .map(|call| match (call.service.name(), call.operation.as_str()) {
            ("s3", "ListObjectsV2") => "s3:ListBucket".to_owned(),
            (service, operation) => format!("{service}:{operation}"),
        })
        .collect();
    let made = |action: &str| made.contains(if action == "kms:Decrypt" { "s3:GetObject" } else { action });
    let reads = doctor::ACTIONS.iter().filter(|(_, tried)| *tried == Tried::ByReading).map(|(action, _)| *action);
    (named, reads.filter(|action| !made(action)).map(str::to_owned).collect())
}

#[tokio::test(start_paused = true)]
async fn the_doctor_names_each_read_for_which_there_was_nothing_to_read() {
    let bare = Simulator::new(Settings::seeded(1671));
    let story = Story::without_worker(bare, &[], |world| prepare(world, &[], true));
    let (named, not_made) = nothing_to_read(&story).await;
    assert_eq!(named, not_made);
    for read in ["ecs:DescribeServices", "codepipeline:GetPipelineExecution", "logs:GetLogEvents", "s3:GetObject"] {
        assert!(named.iter().any(|named| named == read), "{read}: {named:?}");
    }
    let app = Application::web("app", 2);
    let story = Story::begin(Simulator::new(Settings::seeded(1672)), &[&app]);
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.held("app").await;
    let (named, not_made) = nothing_to_read(&story).await;
    assert_eq!(named, not_made);
    assert!(!named.iter().any(|named| named.starts_with("ecs:") || named.starts_with("s3:")), "{named:?}");
    story.answer("app", "Release", ApprovalStatus::Approved).await;
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn the_doctor_finds_what_is_to_be_mended_and_names_a_missing_permission() {
    let app = Application { immutable: false, ..Application::queue_workers("jobs", 1, 4) };
    let story = Story::begin(Simulator::new(Settings::seeded(1609)), &[&app]);
    let (code, told) = ask(&story, &["doctor"]).await;
    assert_eq!(code, EXIT_FINDINGS, "{told}");
    for part in ["circuit breaker is off", "no alarm watches it", "whose tag can be moved", "has no stopTimeout"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let findings = json_of(&story, &["doctor"]).await;
    let about = |findings: &Value, about: &str| {
        findings["findings"].as_array().unwrap().iter().find(|finding| finding["about"] == about).cloned()
    };
    for read in READABLE {
        assert_eq!(about(&findings, read), None, "everything may be read here");
    }
    let untried: Vec<&str> = findings["untried"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(untried.contains(&"ecs:UpdateService"), "{untried:?}");
    let read = untried.iter().find(|action| READS.iter().any(|read| action.contains(&format!(":{read}"))));
    assert_eq!(read, None, "a read changes nothing: it is tried");
    let most = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["ecs:*", "cloudwatch:*", "s3:*", "kms:*"], "Resource": "*"},
        {"Effect": "Allow", "Action": ["codepipeline:List*", "codepipeline:Poll*", "codepipeline:GetJobDetails",
            "codepipeline:GetPipeline"], "Resource": "*"}]});
    story.simulator.permit(OPERATOR_KEY, Policy::parse(&most.to_string()).expect("a policy"));
    let findings = json_of(&story, &["doctor"]).await;
    for read in READABLE {
        let refused = about(&findings, read).unwrap_or_default();
        assert_eq!(refused["found"], "these credentials may not call it", "{read}: {findings}");
    }
    assert!(!story.simulator.take_refusals().is_empty(), "the operator was refused");
    asked(&story);
}
