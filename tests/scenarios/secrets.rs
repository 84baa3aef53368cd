//! No secret and no credential reaches a log, a message or a token.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use serde_json::{Value, json};
use simulator::ecr::Behaviour;
use simulator::{Settings, Simulator};

use crate::stage::{Application, Log, Story, WORKER_KEY};

/// The values of some members, wherever they stand in a reply.
fn collect(value: &Value, members: &[&str], found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                match value {
                    Value::String(text) if members.contains(&name.as_str()) => {
                        found.insert(text.clone());
                    }
                    other => collect(other, members, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, members, found)),
        _ => {}
    }
}

#[tokio::test(start_paused = true)]
async fn neither_credentials_nor_what_a_task_is_given_reach_the_log_a_message_or_a_token() {
    let log = Log::keep();
    let mut app = Application::web("app", 4).canary_with("Options", "already_red=ignore");
    app.environment = vec![("DATABASE_PASSWORD".into(), "hunter2-in-plain-sight".into())];
    let simulator = Simulator::new(Settings::seeded(111));
    let credentials = Arc::new(Mutex::new(BTreeSet::new()));
    let (seen, sent) = (Arc::clone(&credentials), Arc::new(Mutex::new(String::new())));
    let told = Arc::clone(&sent);
    simulator.listen(move |exchange| {
        collect(&exchange.reply, &["secretAccessKey", "sessionToken"], &mut seen.lock().expect("a list"));
        if exchange.service == "codepipeline" {
            told.lock().expect("a text").push_str(&exchange.request.to_string());
        }
    });
    let story = Story::begin(simulator, &[&app]);

    let good = story.release(&app, "v2", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &good).await, PipelineExecutionStatus::Succeeded);
    let crash = Behaviour::CrashesAfter { after: Duration::from_secs(5), exit_code: 3, lines: vec!["bye".into()] };
    let bad = story.release_to_canary(&app, "v3", crash).await;
    assert_eq!(story.ended("app", &bad).await, PipelineExecutionStatus::Failed);
    let unreadable = story.release_source(&app, json!({"oops": 1}).to_string().into_bytes()).await;
    assert_eq!(story.ended("app", &unreadable).await, PipelineExecutionStatus::Failed);

    let log = log.text();
    assert!(log.contains("exit code 3"), "the log was to be captured:\n{log}");
    let mut secrets = credentials.lock().expect("a list").clone();
    assert!(secrets.len() >= 4, "the jobs were to bring credentials: {secrets:?}");
    secrets.insert("hunter2-in-plain-sight".into());
    let sent = sent.lock().expect("a text").clone();
    assert!(sent.contains("continuationToken") && sent.contains("outputVariables"));
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} reached the log");
        assert!(!sent.contains(&secret), "{secret} reached CodePipeline");
    }
    assert!(!log.contains(WORKER_KEY), "the worker's own access key reached the log");
}
