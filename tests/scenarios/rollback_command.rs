//! What the command `rollback` may be told, and that its end tells the whole truth.

use std::time::Duration;

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use coalmine_worker::cli::{EXIT_INTERRUPTED, EXIT_NOT_BACK, EXIT_NOT_POSSIBLE, EXIT_NOTHING_WAITS, EXIT_OK};
use coalmine_worker::commands::common::Screen;
use coalmine_worker::commands::rollback::{Order, roll_back};
use serde_json::{Value, json};
use simulator::faults::{Fault, FaultPlan, Rule};
use simulator::{Settings, Simulator};

use crate::stage::{Application, CLUSTER, OPERATOR_KEY, Story, order, zipped};

/// Applications at their third release, and a story without a worker.
async fn at_v3(seed: u64, apps: &[Application]) -> Story {
    let all: Vec<&Application> = apps.iter().collect();
    let mut story = Story::begin(Simulator::new(Settings::seeded(seed)), &all);
    story.stop_worker().await;
    let deployed: Vec<Application> = apps.iter().filter(|app| app.deployed).cloned().collect();
    story.at_the_third_release(&deployed).await;
    deployed.iter().for_each(|app| story.expect_rollback(app));
    story
}

#[tokio::test(start_paused = true)]
async fn what_a_partial_rollback_leaves_out_is_told_at_its_end_and_by_its_exit_code() {
    let apps = [Application::web("app", 2), Application::web("fresh", 2).never_deployed()];
    let story = at_v3(1801, &apps).await;
    let partial = Order { partial: true, json: true, ..order(&["app", "fresh"]) };
    let dry = story.roll_back(Order { dry_run: true, ..partial.clone() }).await;
    assert_eq!(dry.code, EXIT_NOT_POSSIBLE, "{dry:?}");
    let problems = json!([{"service": "main/fresh", "problem": "no release ever succeeded on it"}]);
    let document: Value = serde_json::from_str(&dry.out).unwrap();
    assert_eq!((&document["problems"], &document["services"][1]["service"]), (&problems, &json!("app")));

    let rolled = story.roll_back(partial.clone()).await;
    assert_eq!(rolled.code, EXIT_NOT_BACK, "{rolled:?}");
    let document: Value = serde_json::from_str(&rolled.out).unwrap();
    assert_eq!((&document["problems"], &document["services"][1]["state"]), (&problems, &json!("back")));
    assert!(rolled.words.contains("Left out, for the reasons above: main/fresh."), "{}", rolled.words);
    assert!(!rolled.words.contains("Run the same command again"), "all others are back: {}", rolled.words);
    for service in ["app", "app-canary"] {
        story.runs_image(&apps[0], service, "v2");
    }
    let all = story.roll_back(Order { json: true, ..order(&["app"]) }).await;
    assert_eq!(all.code, EXIT_OK, "{all:?}");
    let document: Value = serde_json::from_str(&all.out).unwrap();
    assert_eq!(document["problems"], json!([]));
}

/// How the outcome shows services: by state.
fn states(document: &Value) -> Vec<(&str, &str)> {
    let services = document["services"].as_array().expect("services").iter();
    services.map(|service| (service["service"].as_str().unwrap(), service["state"].as_str().unwrap())).collect()
}

/// Of ten applications one does not get its answer: Ctrl-C comes meanwhile.
#[tokio::test(start_paused = true)]
async fn whoever_presses_ctrl_c_while_one_call_hangs_is_told_which_services_were_told() {
    let apps: Vec<Application> = (0..10).map(|number| Application::web(&format!("s{number}"), 2)).collect();
    for (seed, subject) in [(1802, "s7"), (1803, "s7-canary")] {
        let story = at_v3(seed, &apps).await;
        let hangs = Rule::new(Fault::Delay(Duration::from_secs(25))).caller(OPERATOR_KEY).operation("UpdateService");
        story.simulator.inject(FaultPlan::seeded(1).rule(hangs.subject(subject)));
        let names: Vec<&str> = apps.iter().map(|app| app.name.as_str()).collect();
        let order = Order { json: true, stop_pipelines: true, ..order(&names) };
        let soon = async {
            let runs = |service: &str| story.runs(service).ends_with(":2");
            let others = || apps.iter().all(|app| app.name == "s7" || (runs(&app.name) && runs(&app.canary_name())));
            story.until_so("the others' orders", || others() && runs(subject)).await;
            story.pass(Duration::from_secs(2)).await;
        };
        let rolled = story.roll_back_until(order, OPERATOR_KEY, soon).await;
        assert_eq!(rolled.code, EXIT_INTERRUPTED, "{rolled:?}");
        let document: Value = serde_json::from_str(&rolled.out).unwrap();
        for (service, state) in states(&document) {
            // What has not been told yet waits for its canary.
            let expected = if story.runs(service).ends_with(":2") { "going back" } else { "untouched" };
            assert_eq!(state, expected, "{service}: {rolled:?}");
        }
        assert_eq!(story.runs("s7").ends_with(":3"), subject == "s7-canary");
        assert_eq!(document["executions"], Value::Null);
        assert!(rolled.words.contains("were not looked for, and none was stopped"), "{}", rolled.words);
        let again = story.roll_back(crate::stage::order(&names)).await;
        assert_eq!(again.code, EXIT_OK, "{again:?}");
        apps.iter().for_each(|app| story.runs_image(app, &app.name, "v2"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_is_every_service_with_a_tag_and_its_canaries_go_with_it() {
    let apps = ["app", "search", "other"].map(|name| Application::web(name, 2));
    let story = at_v3(1804, &apps).await;
    let tag = aws_sdk_ecs::types::Tag::builder().key("team").value("shop").build();
    for service in ["app", "search", "search-canary"] {
        let arn = format!("arn:aws:ecs:eu-central-1:123456789012:service/main/{service}");
        story.somebody().tag_resource().resource_arn(arn).tags(tag.clone()).send().await.unwrap();
    }
    let group = Order { group: Some(("team".into(), "shop".into())), json: true, ..order(&[]) };
    let rolled = story.roll_back(group).await;
    assert_eq!(rolled.code, EXIT_OK, "{rolled:?}");
    let document: Value = serde_json::from_str(&rolled.out).unwrap();
    let back = ["app-canary", "app", "search-canary", "search"].map(|service| (service, "back"));
    assert_eq!(states(&document), back);
    for (app, tag) in apps.iter().zip(["v2", "v2", "v3"]) {
        story.runs_image(app, &app.name, tag);
        story.runs_image(app, &app.canary_name(), tag);
    }
}

#[tokio::test(start_paused = true)]
async fn the_ledger_tells_the_cluster() {
    let apps = [Application::web("app", 2)];
    let story = at_v3(1805, &apps).await;
    let nowhere = |services: &[&str]| Order { cluster: None, ..order(services) };
    let strange = story.roll_back(nowhere(&["strange"])).await;
    assert_eq!(strange.code, EXIT_NOT_POSSIBLE, "{strange:?}");
    assert!(strange.words.contains("the ledger does not tell the cluster: give --cluster"), "{}", strange.words);
    let rolled = story.roll_back(nowhere(&["app"])).await;
    assert_eq!(rolled.code, EXIT_OK, "{rolled:?}");
    story.runs_image(&apps[0], "app", "v2");
    // The ledger also knows a service of that name elsewhere.
    let key = "coalmine/services/other/app/001790000000-e-1.json";
    story.world(|world| world.s3.put("ledger", key, b"{}".to_vec().into(), world.now));
    let several = story.roll_back(nowhere(&["app"])).await;
    assert_eq!(several.code, EXIT_NOT_POSSIBLE, "{several:?}");
    assert!(several.words.contains("in several clusters (main, other): give --cluster"), "{}", several.words);
}

#[tokio::test(start_paused = true)]
async fn a_target_whose_image_is_gone_is_named_with_the_newest_that_can_be_deployed() {
    let apps = [Application::web("app", 2)];
    let story = at_v3(1806, &apps).await;
    story.world(|world| world.ecr.untag("app", "v2")).unwrap();
    let begin = story.now();
    let gone = story.roll_back(order(&["app"])).await;
    assert_eq!(gone.code, EXIT_NOT_POSSIBLE, "{gone:?}");
    assert!(gone.words.contains(":v2 is not in the repository"), "{}", gone.words);
    assert!(gone.words.contains("the newest that can be deployed is app:1 (--to v1)"), "{}", gone.words);
    assert_eq!(story.changes(begin), []);
    // What it says can be done.
    let named = story.roll_back(Order { to: "v1".parse().unwrap(), ..order(&["app"]) }).await;
    assert_eq!(named.code, EXIT_OK, "{named:?}");
    story.runs_image(&apps[0], "app", "v1");
}

/// Somebody takes both services of an application back by hand, which nobody puts on record.
async fn by_hand(story: &Story, app: &Application, number: u32) {
    for service in [app.canary_name(), app.name.clone()] {
        story.expect_change(&service);
        let revision = format!("{service}:{number}");
        let sent = story.somebody().update_service().cluster(CLUSTER).service(&service).task_definition(revision);
        sent.send().await.unwrap();
    }
    for service in [app.canary_name(), app.name.clone()] {
        story
            .until("what was done by hand", |world| {
                let view = world.ecs.outline(CLUSTER, &service).unwrap();
                view.task_definition.ends_with(&format!(":{number}")) && view.deployment_status == "SUCCESSFUL"
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_changes_nothing_says_so_and_how_to_go_further() {
    let apps = [Application::web("app", 2)];
    let mut story = at_v3(1760, &apps).await;
    by_hand(&story, &apps[0], 2).await;
    let dry = story.roll_back(Order { dry_run: true, ..order(&["app"]) }).await;
    assert!(dry.out.contains("there already"), "{dry:?}");
    let rolled = story.roll_back(Order { json: true, ..order(&["app"]) }).await;
    assert_eq!(rolled.code, EXIT_OK, "{rolled:?}");
    let said = "app was there already: nothing was changed; --to -2 goes further.";
    assert!(rolled.words.contains(said), "{}", rolled.words);
    let document: Value = serde_json::from_str(&rolled.out).unwrap();
    let app = &document["services"][1];
    assert_eq!((&app["service"], &app["state"], &app["changed"]), (&json!("app"), &json!("back"), &json!(false)));
    assert!(app["reason"].as_str().unwrap().ends_with("it was there already: nothing was changed"), "{app}");
    story.runs_image(&apps[0], "app", "v2");
    // The action says it, too, of a release that is named.
    story.rollback_pipeline(&apps[0], "app", &[("To", "v2")]);
    let execution = story.press();
    story.start_worker();
    assert_eq!(story.ended("rollback", &execution).await, PipelineExecutionStatus::Succeeded);
    let run = story.action("rollback", &execution, "Rollback");
    let summary = run.output_variables.get("Summary").cloned().unwrap_or_default();
    assert!(summary.ends_with("; app was there already: nothing was changed"), "{summary}");
    assert_eq!(story.deployments("app").await, 4, "nobody told it again");
}

#[tokio::test(start_paused = true)]
async fn long_after_somebody_went_back_by_hand_back_means_one_release_further() {
    let apps = [Application::web("app", 2)];
    let story = at_v3(1761, &apps).await;
    by_hand(&story, &apps[0], 2).await;
    story.pass(Duration::from_secs(2 * 3_600)).await;
    let rolled = story.roll_back(order(&["app"])).await;
    assert_eq!(rolled.code, EXIT_OK, "{rolled:?}");
    assert!(!rolled.words.contains("nothing was changed"), "{}", rolled.words);
    for service in ["app", "app-canary"] {
        story.runs_image(&apps[0], service, "v1");
    }
}

/// Its canary was left out; all the same the release is refused before people are asked.
#[tokio::test(start_paused = true)]
async fn what_the_full_service_alone_left_is_refused_by_its_canarys_action() {
    let apps = [Application::web("app", 2)];
    let mut story = at_v3(1765, &apps).await;
    let canaries = [("app".to_owned(), None)].into();
    let rolled = story.roll_back(Order { canaries, ..order(&["app"]) }).await;
    assert_eq!(rolled.code, EXIT_OK, "{rolled:?}");
    story.runs_image(&apps[0], "app", "v2");
    story.runs_image(&apps[0], "app-canary", "v3");
    story.start_worker();
    let definitions = story.world(|world| apps[0].image_definitions(world, "v3"));
    let zip = zipped(&[("imagedefinitions.json", definitions.as_bytes())]);
    let again = story.release_source(&apps[0], zip).await;
    assert_eq!(story.ended("app", &again).await, PipelineExecutionStatus::Failed);
    let message = story.failure("app", &again, "Canary");
    assert!(message.contains(&format!("allow={}", story.digest(&apps[0], "v3"))), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_is_named_alone_is_refused_with_its_full_services_name() {
    let apps = [Application::web("app", 2)];
    let story = at_v3(1766, &apps).await;
    let both = story.roll_back(Order { dry_run: true, json: true, ..order(&["app-canary", "app"]) }).await;
    assert_eq!(both.code, EXIT_OK, "{both:?}");
    let document: Value = serde_json::from_str(&both.out).unwrap();
    let named: Vec<&Value> = document["services"].as_array().unwrap().iter().map(|each| &each["service"]).collect();
    assert_eq!(named, [&json!("app-canary"), &json!("app")]);
    for ledger in [true, false] {
        if !ledger {
            lose_services(&story);
        }
        let alone = story.roll_back(order(&["app-canary"])).await;
        assert_eq!(alone.words.contains("tells nothing of these services"), !ledger, "{}", alone.words);
        assert_eq!(alone.code, EXIT_NOT_POSSIBLE, "{alone:?}");
        let said = "- main/app-canary: app-canary is the canary of app: name app";
        assert!(alone.words.contains(said), "{ledger}: {}", alone.words);
    }
    assert_eq!(story.runs("app-canary"), "app-canary:3");
}

/// The ledger loses what it knows of services.
fn lose_services(story: &Story) {
    for key in story.below("services/") {
        story.world(|world| world.s3.delete("ledger", &format!("coalmine/{key}")));
    }
}

/// The command at a terminal: exit code, data and words.
async fn answered(story: &Story, order: Order, answer: bool) -> (u8, String, String) {
    let door = story.simulator.sdk_config(OPERATOR_KEY);
    let (mut out, mut words, mut ask) = (Vec::new(), Vec::new(), |_: &str| answer);
    let mut screen = Screen { out: &mut out, words: &mut words, is_terminal: true, ask: &mut ask };
    let code = roll_back(&door, Order { yes: false, ..order }, &mut screen, std::future::pending()).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (code, text(out), text(words))
}

#[tokio::test(start_paused = true)]
async fn whoever_is_asked_sees_what_for_and_a_no_has_an_exit_code_of_its_own() {
    let apps = [Application::web("app", 2)];
    let story = at_v3(1767, &apps).await;
    let (code, out, words) = answered(&story, order(&["app"]), false).await;
    assert_eq!((code, words.as_str()), (EXIT_NOTHING_WAITS, "Nothing was done.\n"));
    assert!(out.contains("app:3") && out.contains("app:2"), "{out}");
    let json = || Order { json: true, ..order(&["app"]) };
    let (code, out, words) = answered(&story, json(), false).await;
    assert_eq!((code, out.as_str()), (EXIT_NOTHING_WAITS, ""));
    assert!(words.contains("app:2") && words.ends_with("Nothing was done.\n"), "{words}");
    assert_eq!((story.runs("app"), story.runs("app-canary")), ("app:3".to_owned(), "app-canary:3".to_owned()));
    let (code, out, _) = answered(&story, json(), true).await;
    assert_eq!(code, EXIT_OK, "{out}");
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(states(&document), [("app-canary", "back"), ("app", "back")]);
}

#[tokio::test(start_paused = true)]
async fn a_target_in_the_archive_or_without_its_task_definition_is_refused() {
    for (seed, archived) in [(1768, true), (1769, false)] {
        let apps = [Application::web("app", 2)];
        let story = at_v3(seed, &apps).await;
        let said = if archived {
            story.world(|world| world.ecr.archive("app", "v2", world.now)).unwrap();
            ":v2 is archived and cannot be pulled: restore it"
        } else {
            story.somebody().deregister_task_definition().task_definition("app:2").send().await.unwrap();
            "task definition app:2 is INACTIVE, expected ACTIVE"
        };
        let refused = story.roll_back(order(&["app"])).await;
        assert_eq!(refused.code, EXIT_NOT_POSSIBLE, "{refused:?}");
        assert!(refused.words.contains(said), "{}", refused.words);
        assert!(refused.words.contains("the newest that can be deployed is app:1 (--to v1)"), "{}", refused.words);
        assert_eq!((story.runs("app"), story.runs("app-canary")), ("app:3".to_owned(), "app-canary:3".to_owned()));
    }
}
