//! Operators approve and reject.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use coalmine_worker::commands::answer::{Args, answer};
use coalmine_worker::commands::trouble::Trouble;
use serde_json::{Value, json};
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, FaultPlan, Moment, Rule};
use simulator::{Settings, Simulator};

use crate::stage::{Application, OPERATOR_KEY, Story, ledger};

fn args(name: &str) -> Args {
    let reason = "too slow".to_owned();
    Args { name: name.into(), reason, stage: None, yes: true, json: true, ledger: ledger() }
}

/// What an operator is told, and what a machine reads.
async fn answered(story: &Story, args: &Args, approve: bool) -> Result<(Value, String), Trouble> {
    let door = story.simulator.sdk_config(OPERATOR_KEY);
    let (mut out, mut told) = (Vec::new(), Vec::new());
    answer(&door, args, approve, |_| Ok(false), &mut out, &mut told).await?;
    Ok((serde_json::from_slice(&out).unwrap_or_default(), String::from_utf8(told).unwrap()))
}

#[tokio::test(start_paused = true)]
async fn an_operator_rejects_by_the_name_of_a_service_and_the_canary_goes_back() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(1703)), &[&app]);
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.held("app").await;
    // A pipeline has the name of the full service: the canary's leads through the ledger.
    let (answer, told) = answered(&story, &args("app-canary"), false).await.unwrap();
    assert_eq!((&answer["answer"], &answer["release"]), (&json!("Rejected"), &json!(execution)));
    assert!(told.contains("Canary: the only task of main/app-canary runs app-canary:2"), "{told}");
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
    story.until_so("an empty ledger", || story.waiting().is_empty()).await;
    story.runs_image(&app, "app-canary", "v1");
    let reason = story.record(&execution).last_of("main/app-canary").unwrap().reason.clone();
    assert!(reason.starts_with("Release/Approve was rejected by user/AKIAOPERATOR: too slow"), "{reason}");
    let again = answered(&story, &args("app"), false).await.unwrap_err();
    assert_eq!((again.code(), again.to_string()), (5, "no approval waits in app".to_owned()));
    let unknown = answered(&story, &args("ap"), true).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no pipeline ap, and no canary of a service ap waits");
}

#[tokio::test(start_paused = true)]
async fn an_operator_approves_and_is_asked_for_the_stage_where_two_wait() {
    let app = Application::web("app", 2);
    let story = Story::begin(Simulator::new(Settings::seeded(1704)), &[&app]);
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.held("app").await;
    let second = story.release(&app, "v3", Behaviour::Good);
    story.until("two approvals", |world| world.codepipeline.open_approvals("app").len() == 2).await;
    let several = answered(&story, &args("app"), true).await.unwrap_err();
    assert_eq!(several.code(), 2, "{several}");
    let asked = Args { stage: Some("Release".into()), yes: false, ..args("app") };
    let no = answered(&story, &asked, true).await.unwrap_err();
    assert_eq!((no.code(), no.to_string()), (5, "nothing was answered".to_owned()));
    let (answer, _) = answered(&story, &Args { yes: true, ..asked }, true).await.unwrap();
    assert_eq!(answer["release"], json!(execution));
    assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Succeeded);
    story.answer("app", "Approve", ApprovalStatus::Rejected).await;
    story.ended("app", &second).await;
}

/// The answer arrives and its reply is lost: the SDK answers once more, and is told that there is an answer already.
#[tokio::test(start_paused = true)]
async fn an_answer_whose_reply_was_lost_is_the_operators_own() {
    for (place, approve) in [true, false].into_iter().enumerate() {
        let app = Application::web("app", 2);
        let story = Story::begin(Simulator::new(Settings::seeded(1708 + place as u64)), &[&app]);
        let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
        story.held("app").await;
        let lost = Rule::new(Fault::Reset(Moment::AfterTheAct)).caller(OPERATOR_KEY).operation("PutApprovalResult");
        let mut plan = FaultPlan::seeded(1).rule(lost.times(1));
        if approve {
            // What is listed lags behind the answer.
            let lags = Rule::new(Fault::stale(Duration::from_secs(3))).caller(OPERATOR_KEY);
            plan = plan.rule(lags.operation("ListActionExecutions"));
        }
        story.simulator.inject(plan);
        let (answer, _) = answered(&story, &args("app"), approve).await.unwrap();
        let word = if approve { "Approved" } else { "Rejected" };
        assert_eq!((&answer["answer"], &answer["release"]), (&json!(word), &json!(execution)));
        let sent = story
            .simulator
            .with_calls(|calls| calls.records.iter().filter(|call| call.operation == "PutApprovalResult").count());
        assert_eq!(sent, 2, "the answer and its repetition");
        let end = if approve { PipelineExecutionStatus::Succeeded } else { PipelineExecutionStatus::Failed };
        assert_eq!(story.ended("app", &execution).await, end);
    }
}

/// Somebody else answers right before, with the same answer for another reason, or with the other answer.
#[tokio::test(start_paused = true)]
async fn an_answer_of_somebody_else_stays_somebody_elses() {
    for (place, theirs) in [ApprovalStatus::Rejected, ApprovalStatus::Approved].into_iter().enumerate() {
        let app = Application::web("app", 2);
        let story = Story::begin(Simulator::new(Settings::seeded(1711 + place as u64)), &[&app]);
        let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
        story.held("app").await;
        let first = theirs.clone();
        let came = AtomicBool::new(false);
        story.simulator.before_call(move |worlds, call| {
            if call.operation == "PutApprovalResult" && !came.swap(true, Ordering::Relaxed) {
                let world = worlds.of(&call.account, &call.region);
                world.answer_approval("app", "Release", "Approve", first.clone(), "looks bad").expect("an answer");
            }
        });
        let late = answered(&story, &args("app"), false).await.unwrap_err();
        assert_eq!(late.code(), 5, "{late}");
        assert!(late.to_string().contains("was answered by somebody else"), "{late}");
        story.ended("app", &execution).await;
        story.until_so("an empty ledger", || story.waiting().is_empty()).await;
    }
}

/// Whatever goes wrong at one of the calls of an answer: it is given, or the operator is told why not.
#[tokio::test(start_paused = true)]
async fn an_answer_is_given_or_its_failure_told_whatever_call_goes_wrong() {
    let faults = [
        Fault::Throttle,
        Fault::ServerError(Moment::BeforeTheAct),
        Fault::ServerError(Moment::AfterTheAct),
        Fault::Reset(Moment::BeforeTheAct),
        Fault::TimeOut(Moment::AfterTheAct),
        Fault::AccessDenied,
    ];
    let calls = ["GetPipelineState", "ListActionExecutions", "PutApprovalResult"];
    let app = Application::web("app", 2);
    for (place, (fault, operation)) in faults.iter().flat_map(|fault| calls.map(|call| (fault, call))).enumerate() {
        let story = Story::begin(Simulator::new(Settings::seeded(1720 + place as u64)), &[&app]);
        let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
        story.held("app").await;
        let rule = Rule::new(fault.clone()).caller(OPERATOR_KEY).operation(operation).times(1);
        story.simulator.inject(FaultPlan::seeded(1).rule(rule));
        let given = answered(&story, &args("app"), false).await;
        let waits = story.world(|world| world.codepipeline.open_approvals("app").len()) == 1;
        if matches!(fault, Fault::AccessDenied) {
            let told = given.unwrap_err();
            assert_eq!((told.code(), waits), (3, true), "{fault} at {operation}: {told}");
            answered(&story, &args("app"), false).await.unwrap();
        } else {
            assert!(given.is_ok() && !waits, "{fault} at {operation}: {given:?}");
        }
        assert_eq!(story.ended("app", &execution).await, PipelineExecutionStatus::Failed);
        story.until_so("an empty ledger", || story.waiting().is_empty()).await;
    }
}
