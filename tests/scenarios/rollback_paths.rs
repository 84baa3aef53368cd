//! The rarer paths of a rollback: begun again, with a copy, a quarter at a time, refused by ECS, left half-way.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use coalmine_worker::cli::{EXIT_INTERRUPTED, EXIT_NOT_BACK, EXIT_OK};
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Freeze, Moment, Rule};
use simulator::{ErrorReply, Settings, Simulator};

use crate::stage::{Application, CLUSTER, OPERATOR_KEY, PEER_KEY, Story, WORKER_KEY, Worker, order, settings};

/// Applications at their third release, and a story without a worker.
async fn at_v3(seed: u64, apps: &[Application]) -> Story {
    let all: Vec<&Application> = apps.iter().collect();
    let mut story = Story::begin(Simulator::new(Settings::seeded(seed)), &all);
    story.stop_worker().await;
    story.at_the_third_release(apps).await;
    apps.iter().for_each(|app| story.expect_rollback(app));
    story
}

fn all_run(story: &Story, apps: &[Application], tag: &str) {
    for app in apps {
        story.runs_image(app, &app.name, tag);
        story.runs_image(app, &app.canary_name(), tag);
    }
}

async fn is_back(story: &Story, service: &str, revision: &str) {
    story
        .until("a service that is back", |world| {
            let view = world.ecs.outline(CLUSTER, service).unwrap();
            view.task_definition.ends_with(revision) && view.deployment_status == "SUCCESSFUL"
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_begins_again_takes_nothing_further_back_that_is_back_already() {
    let apps = [Application::web("app", 2), Application::web("late", 2)];
    let story = at_v3(1721, &apps).await;
    let slow = Behaviour::SlowStart(Duration::from_secs(300));
    story.world(|world| world.ecr.behave("late", "v2", slow)).unwrap();
    let names = ["app", "late"];
    let some_are_back = async {
        is_back(&story, "app", ":2").await;
        story.pass(Duration::from_secs(20)).await;
    };
    let first = story.roll_back_until(order(&names), OPERATOR_KEY, some_are_back).await;
    assert_eq!(first.code, EXIT_INTERRUPTED, "{first:?}");
    assert!(first.out.contains("back") && first.words.contains("Run the same command again"), "{first:?}");
    let again = story.roll_back(order(&names)).await;
    assert_eq!(again.code, EXIT_OK, "{again:?}");
    all_run(&story, &apps, "v2");
    // What was left is no way back, also not for who is one release further by then.
    for app in &apps {
        let mut dry = order(&[&app.name]);
        dry.dry_run = true;
        let further = story.roll_back(dry).await;
        assert!(further.out.contains(&format!("{}:1", app.name)), "{}", further.out);
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_was_told_before_the_operator_died_is_no_later_release() {
    for (place, (later, ledger)) in [(5, true), (180, true), (5, false), (180, false)].into_iter().enumerate() {
        let apps = [Application::web("app", 2)];
        let story = at_v3(1745 + place as u64, &apps).await;
        if !ledger {
            for key in story.below("services/") {
                story.world(|world| world.s3.delete("ledger", &format!("coalmine/{key}")));
            }
        }
        let death = Rule::new(Fault::Kill(Moment::BeforeTheAct)).caller(OPERATOR_KEY).operation("UpdateService");
        story.simulator.inject(FaultPlan::seeded(1).rule(death.subject("app")));
        let died = story.simulator.while_alive(OPERATOR_KEY, story.roll_back(order(&["app"]))).await;
        assert!(died.is_err(), "{died:?}");
        assert_eq!((story.runs("app"), story.runs("app-canary")), ("app:3".to_owned(), "app-canary:2".to_owned()));
        story.pass(Duration::from_secs(later)).await;
        let again = story.roll_back_until(order(&["app"]), PEER_KEY, std::future::pending()).await;
        assert_eq!(again.code, EXIT_OK, "{again:?}");
        all_run(&story, &apps, "v2");
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_whose_former_revision_is_gone_runs_a_copy_with_the_same_images() {
    let apps = [Application::web("app", 2)];
    let story = at_v3(1722, &apps).await;
    story.somebody().deregister_task_definition().task_definition("app-canary:2").send().await.unwrap();
    // A revision that never ran on it.
    story.expect_change("app-canary");
    let rolled = story.roll_back(order(&["app"])).await;
    assert_eq!(rolled.code, EXIT_OK, "{rolled:?}");
    all_run(&story, &apps, "v2");
    assert_eq!((story.runs("app"), story.runs("app-canary")), ("app:2".to_owned(), "app-canary:4".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_was_told_to_run_a_copy_before_the_operator_died_is_no_later_release() {
    for (place, ledger) in [true, false].into_iter().enumerate() {
        let apps = [Application::web("app", 2)];
        let story = at_v3(1749 + place as u64, &apps).await;
        if !ledger {
            for key in story.below("services/") {
                story.world(|world| world.s3.delete("ledger", &format!("coalmine/{key}")));
            }
        }
        story.somebody().deregister_task_definition().task_definition("app-canary:2").send().await.unwrap();
        story.expect_change("app-canary");
        let death = Rule::new(Fault::Kill(Moment::BeforeTheAct)).caller(OPERATOR_KEY).operation("UpdateService");
        story.simulator.inject(FaultPlan::seeded(1).rule(death.subject("app")));
        let died = story.simulator.while_alive(OPERATOR_KEY, story.roll_back(order(&["app"]))).await;
        assert!(died.is_err(), "{died:?}");
        assert_eq!((story.runs("app"), story.runs("app-canary")), ("app:3".to_owned(), "app-canary:4".to_owned()));
        story.pass(Duration::from_secs(180)).await;
        let again = story.roll_back_until(order(&["app"]), PEER_KEY, std::future::pending()).await;
        assert_eq!(again.code, EXIT_OK, "{again:?}");
        all_run(&story, &apps, "v2");
        assert_eq!(story.runs("app-canary"), "app-canary:4", "one copy is enough");
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_returned_a_canary_is_no_later_release_before_a_task_of_it_runs() {
    let apps = [Application::web("app", 2)];
    let mut story = at_v3(1752, &apps).await;
    story.start_worker();
    // What it would go back to is not what its full service runs, so a copy is registered.
    story.somebody_deploys(&apps[0], "app-canary", Behaviour::Good).await;
    is_back(&story, "app-canary", ":4").await;
    let rejected = story.release_to_canary(&apps[0], "v4", Behaviour::Good).await;
    story.held("app").await;
    story.answer("app", "Release", ApprovalStatus::Rejected).await;
    story.until_so("the copy", || story.runs("app-canary") == "app-canary:6").await;
    let mut dry = order(&["app"]);
    dry.dry_run = true;
    let planned = story.roll_back(dry).await;
    assert_eq!(planned.code, EXIT_OK, "{planned:?}");
    assert!(planned.out.contains("app:2") && planned.out.contains("app-canary:2"), "{}", planned.out);
    assert_eq!(story.ended("app", &rejected).await, PipelineExecutionStatus::Failed);
    story.until_so("an empty ledger", || story.waiting().is_empty()).await;
    story.runs_image(&apps[0], "app-canary", "v3");
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_registered_once_whoever_dies_over_it() {
    for (place, moment) in [Moment::BeforeTheAct, Moment::AfterTheAct].into_iter().enumerate() {
        let apps = [Application::web("app", 2)];
        let mut story = at_v3(1723 + place as u64, &apps).await;
        story.somebody().deregister_task_definition().task_definition("app-canary:2").send().await.unwrap();
        story.expect_change("app-canary");
        story.expect_deaths();
        let death = Rule::new(Fault::Kill(moment)).caller(WORKER_KEY).operation("RegisterTaskDefinition");
        story.simulator.inject(FaultPlan::seeded(1).rule(death.times(1)));
        story.rollback_pipeline(&apps[0], "app", &[]);
        let execution = story.press();
        story.start_worker();
        story.simulator.until_death(WORKER_KEY).await;
        let peer = Worker::start(&story.simulator, PEER_KEY, settings("default", 20));
        assert_eq!(story.ended("rollback", &execution).await, PipelineExecutionStatus::Succeeded, "{moment}");
        all_run(&story, &apps, "v2");
        assert_eq!(story.runs("app-canary"), "app-canary:4", "{moment}");
        let listed = story.somebody().list_task_definitions().family_prefix("app-canary").send().await.unwrap();
        assert_eq!(listed.task_definition_arns().len(), 3, "v1, v3 and one copy; {moment}");
        peer.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn where_never_more_tasks_may_run_a_quarter_is_replaced_at_a_time() {
    for (place, (own, surge)) in [((50, 100), None), ((50, 200), Some(false))].into_iter().enumerate() {
        let mut app = Application { canary: 2, ..Application::web("app", 8) };
        app.deployment = serde_json::json!({"minimumHealthyPercent": own.0, "maximumPercent": own.1});
        let apps = [app];
        let story = at_v3(1725 + place as u64, &apps).await;
        let mut order = order(&["app"]);
        order.surge = surge;
        let lowest = std::cell::Cell::new(8);
        let look = async {
            loop {
                let view = story.view("app");
                lowest.set(lowest.get().min(view.healthy()));
                if view.task_definition.ends_with(":2") && view.deployment_status == "IN_PROGRESS" {
                    assert_eq!(view.percents, (75, 100));
                    assert!(view.occupying() <= 8, "{} tasks", view.occupying());
                }
                story.pass(Duration::from_millis(500)).await;
            }
        };
        let rolled = tokio::select! {
            rolled = story.roll_back(order) => rolled,
            () = look => unreachable!("it looks for ever"),
        };
        assert_eq!(rolled.code, EXIT_OK, "{rolled:?}");
        all_run(&story, &apps, "v2");
        assert_eq!((lowest.get(), story.percents("app")), (6, own), "at least six of eight stay");
    }
}

/// Without a breaker that rolls back, ECS leaves a target that does not come up where it is.
#[tokio::test(start_paused = true)]
async fn a_target_that_ecs_gave_up_is_tried_again_once_by_each_rollback() {
    let mut app = Application::web("app", 4);
    app.deployment["deploymentCircuitBreaker"] = serde_json::json!({"enable": true, "rollback": false});
    let apps = [app];
    let mut story = at_v3(1762, &apps).await;
    let crash = Behaviour::CrashesAfter { after: Duration::from_secs(5), exit_code: 3, lines: Vec::new() };
    story.world(|world| world.ecr.behave("app", "v2", crash)).unwrap();
    let rolled = story.roll_back(order(&["app"])).await;
    assert_eq!(rolled.code, EXIT_NOT_BACK, "{rolled:?}");
    assert!(rolled.out.contains("ECS gave the deployment of app:2 up"), "{}", rolled.out);
    assert_eq!((story.runs("app"), story.deployments("app").await), ("app:2".to_owned(), 4));
    // The action of a pipeline tries it once, whichever turn sees the end.
    story.rollback_pipeline(&apps[0], "app", &[]);
    let execution = story.press();
    story.start_worker();
    assert_eq!(story.ended("rollback", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("rollback", &execution, "Rollback");
    assert!(message.contains("ECS gave the deployment of app:2 up"), "{message}");
    for service in ["app", "app-canary"] {
        assert_eq!((story.runs(service), story.deployments(service).await), (format!("{service}:2"), 5));
    }
    // What it lacked is there now.
    story.world(|world| world.ecr.behave("app", "v2", Behaviour::Good)).unwrap();
    let again = story.roll_back(order(&["app"])).await;
    assert_eq!(again.code, EXIT_OK, "{again:?}");
    assert!(!again.words.contains("nothing was changed"), "{}", again.words);
    all_run(&story, &apps, "v2");
    assert_eq!(story.deployments("app").await, 6);
}

/// ECS refuses the update once while a deployment is in progress: that is stopped first, which ECS may refuse, too.
#[tokio::test(start_paused = true)]
async fn a_deployment_that_ecs_does_not_let_be_superseded_is_stopped_first() {
    for (place, stop_is_refused) in [false, true].into_iter().enumerate() {
        let apps = [Application::web("app", 4)];
        let story = at_v3(1727 + place as u64, &apps).await;
        story.somebody_deploys(&apps[0], "app", Behaviour::SlowStart(Duration::from_secs(300))).await;
        story.rolling("app").await;
        let begin = story.now();
        let refuse = |operation: &str, code: &str| {
            let reply = ErrorReply::new(code, "A deployment of the service is in progress.");
            Rule::new(Fault::Refuse(reply)).caller(OPERATOR_KEY).operation(operation).times(1)
        };
        let update = refuse("UpdateService", "InvalidParameterException").subject("app");
        let mut plan = FaultPlan::seeded(1).rule(update);
        if stop_is_refused {
            plan = plan.rule(refuse("StopServiceDeployment", "ConflictException"));
        }
        story.simulator.inject(plan);
        let rolled = story.roll_back(order(&["app"])).await;
        assert_eq!(rolled.code, EXIT_OK, "{rolled:?}");
        // Somebody's image never succeeded: what came before it is meant.
        all_run(&story, &apps, "v3");
        let stops = story.simulator.with_calls(|calls| {
            let stops =
                calls.records.iter().filter(|call| call.operation == "StopServiceDeployment" && call.at >= begin);
            stops.count()
        });
        assert_eq!(stops, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn percents_that_an_interrupted_rollback_lent_are_given_back_by_the_next() {
    let mut app = Application { canary: 2, ..Application::web("app", 4) };
    app.deployment = serde_json::json!({"minimumHealthyPercent": 50, "maximumPercent": 150});
    let apps = [app];
    let mut story = at_v3(1729, &apps).await;
    let slow = Behaviour::SlowStart(Duration::from_secs(120));
    story.world(|world| world.ecr.behave("app", "v2", slow)).unwrap();
    story.expect_deaths();
    story.rollback_pipeline(&apps[0], "app", &[]);
    let execution = story.press();
    story.start_worker();
    story.until("lent percents", |world| world.ecs.outline(CLUSTER, "app").unwrap().percents == (100, 200)).await;
    story.drop_worker().await;
    story.abandon("rollback", &execution);
    is_back(&story, "app", ":2").await;
    story.pass(Duration::from_secs(60)).await;
    assert_eq!(story.percents("app"), (100, 200), "nobody is there to give them back");
    assert_eq!(story.below("services/main/app/percents.json").len(), 1);
    let again = story.roll_back(order(&["app"])).await;
    assert_eq!(again.code, EXIT_OK, "{again:?}");
    all_run(&story, &apps, "v2");
    assert_eq!((story.percents("app"), story.percents("app-canary")), ((50, 150), (50, 150)));
    assert_eq!(story.below("services/main/app/percents.json"), [""; 0]);
}

/// The ledger loses what the action decided, or all that it knows of the services, before or after the first service is told.
#[tokio::test(start_paused = true)]
async fn a_rollback_whose_record_is_lost_goes_on_to_where_it_was_decided_to_go() {
    let cases = [("last", "v2", "rollbacks/"), ("last", "v2", ""), ("-2", "v1", ""), ("v1", "v1", "rollbacks/")];
    for (place, (to, tag, lost)) in cases.into_iter().enumerate() {
        for moment in [Moment::BeforeTheAct, Moment::AfterTheAct] {
            let mut apps = [Application::web("app", 2), Application::web("search", 2)];
            apps[1].deployment = serde_json::json!({"minimumHealthyPercent": 50, "maximumPercent": 200});
            let mut story = at_v3(1730 + place as u64, &apps).await;
            story.expect_deaths();
            let death = Rule::new(Fault::Kill(moment)).caller(WORKER_KEY).operation("UpdateService");
            story.simulator.inject(FaultPlan::seeded(1).rule(death.times(1)));
            story.rollback_pipeline(&apps[0], "app, search", &[("To", to)]);
            let execution = story.press();
            story.start_worker();
            story.simulator.until_death(WORKER_KEY).await;
            let mut gone = 0;
            for key in story.below(lost) {
                if !key.starts_with("workers/") {
                    story.world(|world| world.s3.delete("ledger", &format!("coalmine/{key}")));
                    gone += 1;
                }
            }
            assert!(gone > 0, "it was on record");
            let peer = Worker::start(&story.simulator, PEER_KEY, settings("default", 20));
            let status = story.ended("rollback", &execution).await;
            assert_eq!(status, PipelineExecutionStatus::Succeeded, "{to}, {lost} lost {moment}");
            all_run(&story, &apps, tag);
            for app in &apps {
                let own = if app.name == "search" { (50, 200) } else { (100, 200) };
                for service in [app.name.clone(), app.canary_name()] {
                    assert_eq!((story.percents(&service), story.deployments(&service).await), (own, 4), "{service}");
                }
            }
            peer.stop().await;
        }
    }
}

/// A record of which nothing is left in the token, either, ends in words, and nothing is touched any more.
#[tokio::test(start_paused = true)]
async fn a_rollback_of_which_nothing_is_known_any_more_says_so() {
    let apps = [Application::web("app", 2)];
    let mut story = at_v3(1739, &apps).await;
    story.rollback_pipeline(&apps[0], "app", &[]);
    let execution = story.press();
    let began = story.now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs();
    story.hand_on_of("Coalmine-Rollback", &format!(r#"{{"v":1,"t":{began},"d":true}}"#)).await;
    let begin = story.now();
    story.start_worker();
    assert_eq!(story.ended("rollback", &execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure("rollback", &execution, "Rollback");
    assert!(message.contains("- app: where it was to go is not known any more"), "{message}");
    assert_eq!(story.changes(begin), []);
}

/// The call that tells a service arrives when a peer has brought the whole rollback to its end: nobody looks any more but
/// the worker that sent it.
#[tokio::test(start_paused = true)]
async fn percents_that_are_lent_too_late_are_given_back_by_the_worker_that_did_it() {
    let mut apps = [Application::web("app", 2)];
    apps[0].deployment = serde_json::json!({"minimumHealthyPercent": 50, "maximumPercent": 200});
    let mut story = at_v3(1741, &apps).await;
    story.expect_deaths();
    let freeze = Fault::Freeze(Freeze::WhileSending, Duration::from_secs(280));
    let rule = Rule::new(freeze).caller(WORKER_KEY).operation("UpdateService").subject("app").times(1);
    story.simulator.inject(FaultPlan::seeded(1).rule(rule));
    story.rollback_pipeline(&apps[0], "app", &[]);
    let execution = story.press();
    let _peer = story.peer_from_the_freeze_on();
    story.start_worker();
    assert_eq!(story.ended("rollback", &execution).await, PipelineExecutionStatus::Succeeded);
    assert!(story.simulator.is_frozen(WORKER_KEY), "it wakes later");
    assert_eq!(story.percents("app"), (50, 200));
    let begin = story.now();
    story.until_so("the late call", || !story.simulator.is_frozen(WORKER_KEY)).await;
    story.pass(Duration::from_secs(180)).await;
    let changes: Vec<String> = story.changes(begin).into_iter().map(|(_, change)| change).collect();
    assert_eq!(changes, ["UpdateService app", "UpdateService app"], "what came late, and what puts it right");
    all_run(&story, &apps, "v2");
    assert_eq!((story.percents("app"), story.deployments("app").await), ((50, 200), 4));
    story.each_job_has_one_accepted_result();
}
