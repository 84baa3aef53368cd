//! What operators see: the tables of the commands that ask.

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use serde_json::json;
use simulator::ecr::Behaviour;
use simulator::permissions::Policy;
use simulator::{Settings, Simulator};

use crate::stage::{Application, OPERATOR_KEY, Story, order, redacted};

/// What a command line is answered, without what is of chance.
async fn shown(story: &Story, line: &[&str]) -> String {
    redacted(&story.ask(line).await.expect("an answer").1)
}

/// What stands in the cells of a wide table, a row a line.
fn cells(table: &str) -> String {
    let rows = table.lines().filter(|line| !line.starts_with(['─', '═']));
    let row =
        |line: &str| line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" | ");
    rows.map(row).collect::<Vec<_>>().join("\n")
}

#[tokio::test(start_paused = true)]
async fn two_releases_and_a_rollback_are_shown() {
    let app = Application::web("app", 4).with_breaker().with_alarm("5xx");
    let story = Story::begin(Simulator::new(Settings::seeded(2101)), &[&app]);
    let mut newest = String::new();
    for tag in ["v2", "v3"] {
        newest = story.release(&app, tag, Behaviour::Good);
        story.approve_all("app").await;
        assert_eq!(story.ended("app", &newest).await, PipelineExecutionStatus::Succeeded);
    }
    story.expect_rollback(&app);
    assert_eq!(story.roll_back(order(&["app"])).await.code, 0);
    insta::assert_snapshot!(shown(&story, &["history", "app"]).await, @r"
    ─────────────────────────────────────────────────────────────────────────────────────────────────────
     Since                 Age      Release               Pipeline   Service    Runs    Images
    ═════════════════════════════════════════════════════════════════════════════════════════════════════
     0000-00-00 00:00:00   0s       00000000 (rollback)   app        main/app   app:2   app=000000000000
    ─────────────────────────────────────────────────────────────────────────────────────────────────────
     0000-00-00 00:00:00   0m 00s   00000000              app        main/app   app:3   app=000000000000
    ─────────────────────────────────────────────────────────────────────────────────────────────────────
     0000-00-00 00:00:00   0m 00s   00000000              app        main/app   app:2   app=000000000000
    ─────────────────────────────────────────────────────────────────────────────────────────────────────
    ");
    insta::assert_snapshot!(shown(&story, &["releases"]).await, @r"
    ───────────────────────────────────────────────────────────────────────────────────────────────────────
     Began                 Age       Release    Pipeline   Images             Where it stands
    ═══════════════════════════════════════════════════════════════════════════════════════════════════════
     0000-00-00 00:00:00   0m 00s    00000000   app        app=000000000000   main/app-canary: rolled-back
                                                                              main/app: rolled-back
    ───────────────────────────────────────────────────────────────────────────────────────────────────────
     0000-00-00 00:00:00   00m 00s   00000000   app        app=000000000000   main/app-canary: approved
                                                                              main/app: deployed
    ───────────────────────────────────────────────────────────────────────────────────────────────────────
    ");
    insta::assert_snapshot!(cells(&shown(&story, &["explain", &newest]).await), @r"
    Release 00000000-0000-0000-0000-000000000000 of pipeline app
    app=sha256:0000000000000000000000000000000000000000000000000000000000000000
    When | After | Where | What | Why
    0000-00-00 00:00:00 | Source/Source | Succeeded
    0000-00-00 00:00:00 | +0s | Approve/Approve | Succeeded | by arn:aws:iam::000000000000:user/setup: looks good
    0000-00-00 00:00:00 | +00s | main/app-canary | deploying | app=000000000000 [app-canary:3]
    0000-00-00 00:00:00 | +0m 00s | main/app-canary | held | Canary: the only task of main/app-canary runs app-canary:3 and stayed well for 0m (app=000000000000); no task was restarted; 1 alarm stayed clear; took 0m00s; before: app-canary:2; to undo it, reject: coalmine-worker reject app --reason … [app-canary:3]
    0000-00-00 00:00:00 | +0m 00s | Release/Approve | Succeeded | by arn:aws:iam::000000000000:user/setup: looks good
    0000-00-00 00:00:00 | +0m 0s | main/app | deploying | app=000000000000 [app:3]
    0000-00-00 00:00:00 | +0m 00s | main/app | deployed | Full: all 4 tasks of main/app run app:3 and stayed well for 0m (app=000000000000); no task was restarted; 1 alarm stayed clear; took 0m00s; before: app:2 [app:3]
    0000-00-00 00:00:00 | +0m 00s | main/app-canary | rolling-back | by ann: app-canary goes back to app-canary:2 of release 00000000-0000-0000-0000-000000000000: errors doubled [app-canary:2]
    0000-00-00 00:00:00 | +0m 00s | main/app | rolling-back | by ann: app goes back to app:2 of release 00000000-0000-0000-0000-000000000000: errors doubled [app:2]
    0000-00-00 00:00:00 | +0m 0s | main/app-canary | rolled-back | by ann: app-canary is back at app-canary:2 of release 00000000-0000-0000-0000-000000000000: 1 of 1 tasks run app-canary:2 [app-canary:2]
    0000-00-00 00:00:00 | +0m 0s | main/app | rolled-back | by ann: app is back at app:2 of release 00000000-0000-0000-0000-000000000000: 4 of 4 tasks run app:2 [app:2]
    ");
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_waits_for_people_and_one_that_goes_back_are_shown() {
    let app = Application::web("app", 4);
    let story = Story::begin(Simulator::new(Settings::seeded(2102)), &[&app]);
    let execution = story.release_to_canary(&app, "v2", Behaviour::Good).await;
    story.held("app").await;
    insta::assert_snapshot!(shown(&story, &["status"]).await, @r"
    ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
     Service      Release    Age      Tasks   Runs           Canary                        Health
    ═════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════
     app          —          0m 00s     4/4   app:1          app-canary: another release   well
    ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
     app-canary   00000000   0m 00s     1/1   app-canary:2   is that of app                holds 00000000 for 0s; waits for app: Release/Approve
    ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
    2 services: all well, 1 held for people.
    ");
    story.answer("app", "Release", ApprovalStatus::Rejected).await;
    story.until_so("the way back", || story.waiting_to_go_back()).await;
    insta::assert_snapshot!(shown(&story, &["status"]).await, @r"
    ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
     Service      Release    Age      Tasks   Runs           Canary                        Health
    ═══════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════
     app          —          0m 00s     4/4   app:1          app-canary: another release   well
    ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
     app-canary   00000000   0m 00s     1/1   app-canary:2   is that of app                goes back from 00000000: Release/Approve was rejected by user/setup: looks good
    ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
    2 services: all well, 1 going back.
    ");
    story.ended("app", &execution).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_mended_and_what_cannot_be_deployed_are_shown() {
    let app = Application { immutable: false, ..Application::queue_workers("jobs", 1, 4) };
    let story = Story::begin(Simulator::new(Settings::seeded(2103)), &[&app]);
    insta::assert_snapshot!(cells(&shown(&story, &["doctor"]).await), @r"
    About | Found | What to do
    main/jobs | container jobs has no stopTimeout: it is killed 30 s after SIGTERM, with the work that it has in hand; set what its longest work takes | set stopTimeout in the task definition (Fargate: up to 120 s)
    main/jobs | container jobs runs 000000000000.dkr.ecr.eu-central-1.amazonaws.com/jobs:v1, whose tag can be moved | make the repository's tags IMMUTABLE; a release pins such images by digest, other deployments do not
    main/jobs | no alarm watches it | name alarms in the property Alarms of its actions, or in its deployment configuration
    main/jobs | the deployment circuit breaker is off | switch it on with rollback: ECS then ends a deployment that cannot succeed while no worker is there
    main/jobs-canary | container jobs has no stopTimeout: it is killed 30 s after SIGTERM, with the work that it has in hand; set what its longest work takes | set stopTimeout in the task definition (Fargate: up to 120 s)
    main/jobs-canary | container jobs runs 000000000000.dkr.ecr.eu-central-1.amazonaws.com/jobs:v1, whose tag can be moved | make the repository's tags IMMUTABLE; a release pins such images by digest, other deployments do not
    main/jobs-canary | no alarm watches it | name alarms in the property Alarms of its actions, or in its deployment configuration
    main/jobs-canary | the deployment circuit breaker is off | switch it on with rollback: ECS then ends a deployment that cannot succeed while no worker is there
    8 findings at 2 services and 1 pipeline.
    Not tried, because there was nothing to read: cloudwatch:DescribeAlarms, kms:Decrypt, s3:GetObject.
    Not tried, because it would change something: codepipeline:AcknowledgeJob, codepipeline:PutJobFailureResult, codepipeline:PutJobSuccessResult, ecs:RegisterTaskDefinition, ecs:StopServiceDeployment, ecs:TagResource, ecs:UpdateService, events:PutEvents, iam:PassRole, kms:GenerateDataKey, s3:DeleteObject, s3:PutObject.
    ");
    let gone = story.world(|world| format!("jobs={}:v9", world.ecr.uri("jobs")));
    insta::assert_snapshot!(shown(&story, &["verify", "--pipeline", "jobs", "--image", &gone]).await, @r"
    jobs: Release/Canary
    Problem: container jobs: image 000000000000.dkr.ecr.eu-central-1.amazonaws.com/jobs:v9: is not in the repository
    Note: container jobs has no stopTimeout: it is killed 30 s after SIGTERM, with the work that it has in hand; set what its longest work takes
    Note: no alarm is watched: ECS and the tasks alone tell whether the release is well
    It cannot be deployed.
    ");
    let there = story.world(|world| format!("jobs={}:v1", world.ecr.uri("jobs")));
    insta::assert_snapshot!(shown(&story, &["verify", "--pipeline", "jobs", "--image", &there]).await, @r"
    jobs: Release/Canary
    Note: container jobs: the full service runs this image already
    Note: container jobs: its tag can be moved, so the canary pins what it names then; now that is 000000000000
    Note: container jobs has no stopTimeout: it is killed 30 s after SIGTERM, with the work that it has in hand; set what its longest work takes
    Note: no alarm is watched: ECS and the tasks alone tell whether the release is well
    It can be deployed.
    ");
}

#[tokio::test(start_paused = true)]
async fn what_a_pipeline_has_wrong_and_what_a_role_may_not_read_are_shown() {
    let app = Application::web("app", 4).with_breaker().with_alarm("errors").full_with("Alarms", "errors,gone");
    let app = Application { mode: "PARALLEL", ..app };
    let story = Story::begin(Simulator::new(Settings::seeded(2104)), &[&app]);
    let allowed = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", "Action": [
        "cloudwatch:*", "ecr:*", "ecs:*", "kms:*", "logs:*", "s3:*",
        "codepipeline:GetJobDetails", "codepipeline:GetPipeline", "codepipeline:List*", "codepipeline:PollForJobs",
    ]}]});
    story.simulator.permit(OPERATOR_KEY, Policy::parse(&allowed.to_string()).expect("a policy"));
    let told = cells(&shown(&story, &["doctor"]).await);
    let findings: Vec<&str> = told.lines().take_while(|line| !line.starts_with("Not tried")).collect();
    insta::assert_snapshot!(findings.join("\n"), @r#"
    About | Found | What to do
    codepipeline:GetPipelineExecution | these credentials may not call it | allow it; README, "Permissions", lists what each program needs
    pipeline app | it runs in execution mode PARALLEL, which the actions refuse | set executionMode to SUPERSEDED or QUEUED
    pipeline app | the action on app names alarm gone, which does not exist | create the alarm, or take it out of Alarms
    3 findings at 2 services and 1 pipeline.
    "#);
    assert!(!story.simulator.take_refusals().is_empty(), "the operator was refused");
}
