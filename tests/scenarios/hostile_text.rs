//! What comes from outside steers nobody: no terminal, no reader, no template, no log.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_codepipeline::types::PipelineExecutionStatus;
use coalmine_pipeline::limits::{FAILURE_MESSAGE_CHARS, SUMMARY_CHARS};
use serde_json::{Value, json};
use simulator::ecr::Behaviour;
use simulator::{Settings, Simulator};

use crate::stage::{Application, Log, Story, zipped};

/// Terminal escapes (7 and 8 bits), a bell, a forged line, marks of direction, line separators, variables, templates.
const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\r\nDone: all is well, approve it.\n2026-01-05T09:00:00Z ERROR forged\u{202e}gnp.\u{2069}\u{200f}\u{2028}#{canary.Summary}{{secret}}";

/// What of it must not be seen anywhere.
const RAW: [&str; 10] = ["\u{1b}", "\u{7}", "\u{9b}", "\r", "\u{202e}", "\u{2069}", "\u{200f}", "\u{2028}", "#{", "{{"];

/// The texts that CodePipeline shows to people or puts into later actions.
fn shown(request: &Value) -> Vec<(String, usize)> {
    let summary = request["executionDetails"]["summary"].as_str().map(|text| (text.to_owned(), SUMMARY_CHARS));
    let message = request["failureDetails"]["message"].as_str().map(|text| (text.to_owned(), FAILURE_MESSAGE_CHARS));
    let variables = request["outputVariables"].as_object().into_iter().flatten();
    let variables = variables.filter_map(|(_, value)| Some((value.as_str()?.to_owned(), SUMMARY_CHARS)));
    summary.into_iter().chain(message).chain(variables).collect()
}

#[tokio::test(start_paused = true)]
async fn hostile_text_reaches_no_summary_no_message_no_variable_and_no_log_as_it_is() {
    let log = Log::keep();
    let texts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&texts);
    let app = Application::web("app", 4).canary_with("BakeTime", "0s");
    let simulator = Simulator::new(Settings::seeded(161));
    simulator.listen(move |exchange| {
        if exchange.service == "codepipeline" {
            seen.lock().unwrap().extend(shown(&exchange.request));
        }
    });
    let story = Story::begin(simulator, &[&app]);

    // A release that ends well, so that there are variables.
    let good = story.release(&app, "v2", Behaviour::Good);
    story.approve_all("app").await;
    assert_eq!(story.ended("app", &good).await, PipelineExecutionStatus::Succeeded);

    // The last words of a container: lines of escapes, and one of 100 kB.
    let long = format!("{HOSTILE}{}", "e\u{301}".repeat(50_000));
    let crash = Behaviour::CrashesAfter {
        after: Duration::from_secs(5),
        exit_code: 3,
        lines: vec!["starting".into(), HOSTILE.into(), long, "no database".into()],
    };
    let bad = story.release_to_canary(&app, "v3", crash).await;
    assert_eq!(story.ended("app", &bad).await, PipelineExecutionStatus::Failed);
    let failure = story.failure("app", &bad, "Canary");
    assert!(
        failure.contains("no database") && failure.contains("[2J"),
        "the log's last lines were to be shown:\n{failure}"
    );
    assert!(!failure.lines().any(|line| line.starts_with("Done: all")), "a line was forged:\n{failure}");
    let long = failure.lines().map(|line| line.chars().count()).max();
    assert!(long.is_some_and(|chars| chars <= 600), "a line has {long:?} characters");

    // What a build may have written: names of images, of containers and of files, and text that is no JSON.
    let image =
        json!([{"name": "app", "imageUri": format!("shop/app:{HOSTILE}")}, {"name": HOSTILE, "imageUri": HOSTILE}]);
    for source in [
        zipped(&[("imagedefinitions.json", image.to_string().as_bytes())]),
        zipped(&[(HOSTILE, b"x"), (&HOSTILE.repeat(300), b"y")]),
        format!("[\"{HOSTILE}\"]").into_bytes(),
        HOSTILE.as_bytes().to_vec(),
    ] {
        let refused = story.release_source(&app, source).await;
        assert_eq!(story.ended("app", &refused).await, PipelineExecutionStatus::Failed);
        let message = story.failure("app", &refused, "Canary");
        assert!(!message.lines().any(|line| line.starts_with("Done: all")), "a line was forged:\n{message}");
    }

    let texts = texts.lock().unwrap();
    assert!(texts.len() >= 8, "{texts:#?}");
    for (text, most) in texts.iter() {
        assert!(text.chars().count() <= *most, "{} characters", text.chars().count());
        for raw in RAW {
            assert!(!text.contains(raw), "{raw:?} is shown: {text:?}");
        }
    }
    let log = log.text();
    assert!(log.contains("exit code 3"), "{log}");
    // Variables and templates mean nothing in a log.
    for raw in &RAW[..8] {
        assert!(!log.contains(raw), "{raw:?} is in the log");
    }
    for line in log.lines() {
        let (date, _) = line.split_once(char::is_whitespace).unwrap_or_default();
        assert!(date.starts_with("20") && date.ends_with('Z'), "no line of ours: {line:?}");
        assert!(!line.starts_with("2026-01-05T09:00:00Z ERROR forged"), "a line was forged: {line:?}");
    }
}
