//! The standard pipeline, as `aws codepipeline create-pipeline --cli-input-json` takes it.

use serde_json::{Map, Value, json};

use super::application::{Application, CLUSTER};

/// Source → Approve → Release {Canary, Approve, Full}.
pub(crate) fn pipeline_json(app: &Application) -> Value {
    let canary = action(
        "Coalmine-Canary",
        &[("Service", &app.canary_name()), ("FullService", &app.name), ("BakeTime", "2m")],
        app,
        &app.canary_action,
    );
    let full = action(
        "Coalmine-Full",
        &[("Service", &app.name), ("CanaryService", &app.canary_name()), ("BakeTime", "1m")],
        app,
        &app.full_action,
    );
    json!({"pipeline": {
        "name": app.pipeline,
        "pipelineType": "V2",
        "executionMode": app.mode,
        "roleArn": "arn:aws:iam::123456789012:role/pipeline",
        "artifactStore": {"type": "S3", "location": "artifacts"},
        "stages": [
            {"name": "Source", "actions": [{
                "name": "Source",
                "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"},
                "runOrder": 1,
                "configuration": {
                    "S3Bucket": "releases",
                    "S3ObjectKey": format!("{}/imagedefinitions.zip", app.pipeline),
                    "PollForSourceChanges": "false",
                },
                "outputArtifacts": [{"name": "images"}],
            }]},
            {"name": "Approve", "actions": before_the_canary(app, &canary)},
            {"name": "Release", "actions": [
                {
                    "name": "Canary", "runOrder": 1, "namespace": "canary",
                    "actionTypeId": custom("Coalmine-Canary"),
                    "configuration": canary,
                    "inputArtifacts": [{"name": "images"}],
                },
                approval(app, 2, "#{canary.Summary}"),
                {
                    "name": "Full", "runOrder": 3, "namespace": "full",
                    "actionTypeId": custom("Coalmine-Full"),
                    "configuration": full,
                    "inputArtifacts": [{"name": "images"}],
                },
            ]},
        ],
    }})
}

/// The first approval, and the plan that it shows where one is made.
fn before_the_canary(app: &Application, canary: &Value) -> Vec<Value> {
    if !app.planned {
        return vec![approval(app, 1, "Deploy this release to the canary?")];
    }
    let mut configuration = canary.clone();
    configuration["Options"] = json!("mode=plan");
    let plan = json!({
        "name": "Plan", "runOrder": 1, "namespace": "plan",
        "actionTypeId": custom("Coalmine-Canary"),
        "configuration": configuration,
        "inputArtifacts": [{"name": "images"}],
    });
    vec![plan, approval(app, 2, "#{plan.Summary}")]
}

fn custom(provider: &str) -> Value {
    json!({"category": "Deploy", "owner": "Custom", "provider": provider, "version": "1"})
}

fn approval(app: &Application, order: u32, text: &str) -> Value {
    let mut action = json!({
        "name": "Approve", "runOrder": order,
        "actionTypeId": {"category": "Approval", "owner": "AWS", "provider": "Manual", "version": "1"},
        "configuration": {"CustomData": text},
    });
    if let Some(minutes) = app.patience {
        action["timeoutInMinutes"] = json!(minutes);
    }
    action
}

fn action(provider: &str, own: &[(&str, &str)], app: &Application, further: &[(String, String)]) -> Value {
    let mut configuration = Map::new();
    configuration.insert("Pool".into(), json!("default"));
    configuration.insert("Cluster".into(), json!(CLUSTER));
    if !app.alarms.is_empty() {
        configuration.insert("Alarms".into(), json!(app.alarms.join(",")));
    }
    configuration.extend(own.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    configuration.extend(further.iter().map(|(name, value)| (name.clone(), json!(value))));
    debug_assert!(provider.starts_with("Coalmine-"));
    Value::Object(configuration)
}
