//! What cannot be deployed is refused before anything is touched, in words that say what was found and expected.

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use serde_json::json;
use simulator::cloudwatch::{AlarmSpec, AlarmState, add_alarm};
use simulator::ecr::{Behaviour, ImageSpec};
use simulator::ecs::ServiceSpec;
use simulator::{Settings, Simulator};

use crate::stage::{Application, CLUSTER, Story, zipped};

/// Waits for an action's refusal and claims that nothing was touched; its code and message.
async fn refusal(story: &Story, app: &Application, execution: &str, action: &str) -> String {
    assert_eq!(story.ended(&app.name, execution).await, PipelineExecutionStatus::Failed);
    let message = story.failure(&app.name, execution, action);
    let code = story.action(&app.name, execution, action).error.map(|error| error.code).unwrap_or_default();
    if action == "Canary" {
        assert_eq!(story.changes(story.simulator.settings().epoch), [], "nothing was to be touched");
    }
    story.each_job_has_one_result();
    format!("{code}\n{message}")
}

/// The refusal of a good image by an application's canary action.
async fn refused(app: &Application, seed: u64) -> String {
    let story = Story::begin(Simulator::new(Settings::seeded(seed)), &[app]);
    let execution = story.release_to_canary(app, "v2", Behaviour::Good).await;
    refusal(&story, app, &execution, "Canary").await
}

#[tokio::test(start_paused = true)]
async fn every_wrong_property_is_named_in_one_answer() {
    let app = Application::web("app", 4)
        .canary_with("Alarms", "errors,errors")
        .canary_with("Capacity", "0")
        .canary_with("BakeTime", "5")
        .canary_with("Verify", "p99 < 2x")
        .canary_with("TemplateFamily", "app:7")
        .canary_with("Options", "dead_line=10m, already_red=never");
    insta::assert_snapshot!(refused(&app, 81).await, @r#"
    ConfigurationError
    The action's configuration cannot be used:
    Capacity: found "0", expected a number of tasks from 1 to 5000 or a share such as 10%
    BakeTime: found "5", expected a duration such as 90s, 10m, 2h or 1h30m: 5 has no unit
    Alarms: found "errors" twice, expected 1 to 100 names of CloudWatch alarms, separated by commas, each once
    TemplateFamily: found "app:7", expected the family of a task definition (1 to 255 letters, digits, _ or -), without a revision
    Verify: found "p99 < 2x", expected nothing: this property is not available in this version
    Options: found the key "dead_line", expected a key out of mode, image.<container>, file, already_red, deadline, wait, ignore_unknown, allow
    Options.already_red: found "never", expected block, require-clear or ignore
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_full_action_that_asks_for_what_comes_later_is_refused_in_words() {
    let app = Application::web("app", 4).full_with("Ramp", "1,10,100").full_with("Batch", "10");
    let story = Story::begin(Simulator::new(Settings::seeded(82)), &[&app]);
    let execution = story.release_to_full(&app, "v2", Behaviour::Good).await;
    insta::assert_snapshot!(refusal(&story, &app, &execution, "Full").await, @r#"
    ConfigurationError
    The action's configuration cannot be used:
    Batch: found "10", expected a share from 0.1% to 100% with at most one decimal, such as 10% or 2.5%
    Ramp: found "1,10,100", expected nothing: this property is not available in this version
    Done: canary main/app-canary runs app-canary:3 again.
    "#);
    assert_eq!(story.runs("app"), "app:1");
    story.runs_image(&app, "app-canary", "v1");
}

#[tokio::test(start_paused = true)]
async fn services_and_alarms_that_do_not_exist_are_named_together() {
    let app = Application::web("app", 4)
        .canary_with("Service", "ap-canary")
        .canary_with("FullService", "ap")
        .canary_with("Alarms", "no-such-alarm,neither-this");
    insta::assert_snapshot!(refused(&app, 83).await, @r"
    ConfigurationError
    Nothing was deployed to canary main/ap-canary:
    - Service: ECS has no service ap-canary in the cluster
    - FullService: ECS has no service ap in the cluster
    - Alarms: CloudWatch has no alarm no-such-alarm
    - Alarms: CloudWatch has no alarm neither-this
    ");
}

#[tokio::test(start_paused = true)]
async fn all_problems_of_a_preflight_come_in_one_answer() {
    let app = Application::web("app", 4)
        .canary_with("Alarms", "no-such-alarm,red")
        .canary_with("TemplateFamily", "app-canary");
    let story = Story::begin(Simulator::new(Settings::seeded(84)), &[&app]);
    story.world(|world| {
        add_alarm(world, AlarmSpec { state: AlarmState::Alarm, ..AlarmSpec::new("red") });
    });
    let uri = story.world(|world| world.ecr.uri("app"));
    let definitions = json!([
        {"name": "app", "imageUri": format!("{uri}:never-pushed")},
        {"name": "sidecar", "imageUri": format!("{uri}:v1")},
    ]);
    let zip = zipped(&[("imagedefinitions.json", definitions.to_string().as_bytes())]);
    let execution = story.release_source(&app, zip).await;
    insta::assert_snapshot!(refusal(&story, &app, &execution, "Canary").await, @r"
    ConfigurationError
    Nothing was deployed to canary main/app-canary:
    - container app: image 123456789012.dkr.ecr.eu-central-1.amazonaws.com/app:never-pushed: is not in the repository
    - container sidecar is not in the task definition, whose containers are: app
    - Alarms: CloudWatch has no alarm no-such-alarm
    - TemplateFamily: app-canary is the family that the service runs; the template must be another one, or every release would become the next template
    - alarm red is in ALARM, shared with the full service (Unchecked: Initial alarm creation) before the deployment: clear it, or set already_red=require-clear or ignore in Options
    ");
}

#[tokio::test(start_paused = true)]
async fn a_broken_artifact_comes_in_the_same_answer() {
    let app = Application::web("app", 4).canary_with("Service", "ap-canary").canary_with("Alarms", "no-such-alarm");
    let story = Story::begin(Simulator::new(Settings::seeded(89)), &[&app]);
    let execution = story.release_source(&app, zipped(&[("README.md", b"# app")])).await;
    insta::assert_snapshot!(refusal(&story, &app, &execution, "Canary").await, @r"
    ConfigurationError
    Nothing was deployed to canary main/ap-canary:
    - Service: ECS has no service ap-canary in the cluster
    - input artifact images: the artifact holds no imagedefinitions.json or imageDetail.json; it holds: README.md
    - Alarms: CloudWatch has no alarm no-such-alarm
    ");
}

#[tokio::test(start_paused = true)]
async fn an_image_in_the_archive_is_refused() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(85)), &[&app]);
    let execution = story.release(&app, "v2", Behaviour::Good);
    story.world(|world| world.ecr.archive("app", "v2", world.now)).expect("an image");
    story.answer("app", "Approve", ApprovalStatus::Approved).await;
    insta::assert_snapshot!(refusal(&story, &app, &execution, "Canary").await, @r"
    ConfigurationError
    Nothing was deployed to canary main/app-canary:
    - container app: image 123456789012.dkr.ecr.eu-central-1.amazonaws.com/app:v2: is archived and cannot be pulled: restore it, or push it again
    ");
}

#[tokio::test(start_paused = true)]
async fn an_index_without_the_tasks_processor_is_refused() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(86)), &[&app]);
    let execution = story
        .release_image(&app, |world| ImageSpec {
            architectures: vec!["amd64".into()],
            ..ImageSpec::new("app", "v2", world.now)
        })
        .await;
    insta::assert_snapshot!(refusal(&story, &app, &execution, "Canary").await, @r"
    ConfigurationError
    Nothing was deployed to canary main/app-canary:
    - container app: image 123456789012.dkr.ecr.eu-central-1.amazonaws.com/app:v2: was built for amd64, but the tasks run on arm64
    ");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_registry_or_repository_is_refused() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(87)), &[&app]);
    let uri = story.world(|world| world.ecr.uri("no-such-repository"));
    let definitions = json!([{"name": "app", "imageUri": format!("{uri}:v2")}]).to_string();
    let zip = zipped(&[("imagedefinitions.json", definitions.as_bytes())]);
    let execution = story.release_source(&app, zip).await;
    insta::assert_snapshot!(refusal(&story, &app, &execution, "Canary").await, @r"
    ConfigurationError
    Nothing was deployed to canary main/app-canary:
    - container app: image 123456789012.dkr.ecr.eu-central-1.amazonaws.com/no-such-repository:v2: its repository does not exist
    ");
}

#[tokio::test(start_paused = true)]
async fn services_that_others_drive_are_refused() {
    let app = Application::web("app", 4).canary_with("Service", "codedeploys").canary_with("FullService", "blue-green");
    let story = Story::begin(Simulator::new(Settings::seeded(88)), &[&app]);
    story.world(|world| {
        for (service, further) in [
            ("codedeploys", json!({"deploymentController": {"type": "CODE_DEPLOY"}})),
            ("blue-green", json!({"deploymentConfiguration": {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5}})),
        ] {
            let definition = app.task_definition(world, service, "v1");
            let spec = ServiceSpec::new(CLUSTER, service, definition, 1).with(further);
            world.add_service(spec).expect("a service");
        }
    });
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    insta::assert_snapshot!(refusal(&story, &app, &execution, "Canary").await, @r"
    ConfigurationError
    Nothing was deployed to canary main/codedeploys:
    - Service: service codedeploys has the deployment controller CODE_DEPLOY, only ECS is supported
    - FullService: service blue-green uses the deployment strategy BLUE_GREEN, which this version does not drive: only ROLLING
    ");
}
