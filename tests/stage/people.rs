//! What people and their tools do in a story, beside the release itself.

use std::time::Duration;

use aws_sdk_codepipeline::types::{
    ActionCategory, ActionOwner, ActionTypeId, ApprovalStatus, JobStatus, StageRetryMode,
};
use aws_sdk_ecs::types::{DeploymentConfiguration, StopServiceDeploymentStopType};
use simulator::World;
use simulator::cloudwatch::{AlarmState, set_alarm_state};
use simulator::ecr::{Behaviour, ImageSpec};
use tokio::task::JoinHandle;

use super::application::{Application, CLUSTER};
use super::pipeline::pipeline_json;
use super::story::{PEER_KEY, Story, WORKER_KEY, Worker, put_source, settings, upload};

/// The access key of whoever else acts on the account; it names them in the call log.
const SOMEBODY_KEY: &str = "AKIASOMEBODY";

impl Story {
    /// Releases, and approves the release for the canary.
    pub(crate) async fn release_to_canary(&self, app: &Application, tag: &str, behaviour: Behaviour) -> String {
        let execution = self.release(app, tag, behaviour);
        self.answer(&app.pipeline, "Approve", ApprovalStatus::Approved).await;
        execution
    }

    /// Releases what is good in the canary, and approves it for the full service; from the second approval on, the
    /// image behaves otherwise.
    pub(crate) async fn release_to_full(&self, app: &Application, tag: &str, behaviour: Behaviour) -> String {
        let execution = self.release_to_canary(app, tag, Behaviour::Good).await;
        self.held(&app.pipeline).await;
        self.world(|world| world.ecr.behave(&app.name, tag, behaviour)).expect("an image");
        self.answer(&app.pipeline, "Release", ApprovalStatus::Approved).await;
        execution
    }

    /// Waits until a release's canary succeeded and people are asked for the second approval.
    pub(crate) async fn held(&self, pipeline: &str) {
        self.until(&format!("the second approval of {pipeline}"), |world| {
            world.codepipeline.open_approvals(pipeline).iter().any(|run| run.stage == "Release")
        })
        .await;
    }

    /// Releases one image as it was pushed, and approves it for the canary.
    pub(crate) async fn release_image(&self, app: &Application, image: impl FnOnce(&World) -> ImageSpec) -> String {
        let execution = self.world(|world| {
            let image = image(world);
            let definitions = app.image_definitions(world, &image.tags[0]);
            world.ecr.push(image);
            upload(world, app, definitions.as_bytes());
            world.start_pipeline(&app.pipeline, &Default::default()).expect("an execution")
        });
        self.answer(&app.pipeline, "Approve", ApprovalStatus::Approved).await;
        execution
    }

    /// Starts the pipeline on a source object of any content, and approves it for the canary.
    pub(crate) async fn release_source(&self, app: &Application, object: Vec<u8>) -> String {
        let execution = self.world(|world| {
            put_source(world, app, object);
            world.start_pipeline(&app.pipeline, &Default::default()).expect("an execution")
        });
        self.answer(&app.pipeline, "Approve", ApprovalStatus::Approved).await;
        execution
    }

    /// A second worker begins when the first one stands still, so that it is the first one's jobs that are at stake.
    pub(crate) fn peer_from_the_freeze_on(&self) -> JoinHandle<Worker> {
        let simulator = self.simulator.clone();
        tokio::spawn(async move {
            while !simulator.is_frozen(WORKER_KEY) {
                simulator.clock().wait(Duration::from_secs(1)).await;
            }
            Worker::start(&simulator, PEER_KEY, settings("default", 20))
        })
    }

    /// A second pipeline on the same two services, for hotfixes.
    pub(crate) fn hotfix_pipeline(&self, app: &Application) -> Application {
        let hotfix = app.by_pipeline("hotfix");
        self.world(|world| world.create_pipeline_from_json(&pipeline_json(&hotfix).to_string())).expect("a pipeline");
        hotfix
    }

    /// Somebody stops an execution and waits for the actions in progress.
    pub(crate) fn stop_and_wait(&self, pipeline: &str, execution: &str) {
        self.world(|world| world.stop_execution(pipeline, execution, false)).expect("an execution that can be stopped");
    }

    /// Somebody stops an execution and abandons the actions in progress: their worker is not told.
    pub(crate) fn abandon(&self, pipeline: &str, execution: &str) {
        self.world(|world| world.stop_execution(pipeline, execution, true)).expect("an execution that can be stopped");
    }

    /// Somebody retries the stage with the services, from its first action or with what failed.
    pub(crate) fn retry(&self, pipeline: &str, execution: &str, mode: StageRetryMode) {
        self.world(|world| world.retry_stage(pipeline, "Release", execution, mode))
            .expect("a stage that can be retried");
    }

    /// Waits until the newest job of an action is being worked at in a phase of its progress, as its token names it:
    /// `"deploy"`, `{"bake"`.
    pub(crate) async fn in_phase(&self, action: &str, phase: &str) {
        self.until(&format!("{action} in {phase}"), |world| is_in(world, action, phase)).await;
    }

    /// Waits until a service rolls a revision out, and a little longer.
    pub(crate) async fn rolling(&self, service: &str) {
        self.until(&format!("a deployment of {service}"), |world| {
            world.ecs.view(CLUSTER, service).is_some_and(|view| view.deployment_status == "IN_PROGRESS")
        })
        .await;
        self.pass(Duration::from_secs(15)).await;
    }

    /// The SDK's client of somebody else.
    pub(crate) fn somebody(&self) -> aws_sdk_ecs::Client {
        aws_sdk_ecs::Client::new(&self.simulator.sdk_config(SOMEBODY_KEY))
    }

    /// Somebody deploys another image to a service by hand; the revision that it brings.
    pub(crate) async fn somebody_deploys(&self, app: &Application, service: &str, behaviour: Behaviour) -> String {
        self.world(|world| app.push(world, "by-hand", behaviour));
        self.somebody_deploys_image(app, service, "by-hand").await
    }

    /// The same with an image that was pushed.
    pub(crate) async fn somebody_deploys_image(&self, app: &Application, service: &str, tag: &str) -> String {
        let revision = self.world(|world| {
            let definition = app.task_definition(world, service, tag);
            world.add_task_definition(&definition).expect("a task definition")
        });
        self.expect_change(service);
        let sent = self.somebody().update_service().cluster(CLUSTER).service(service).task_definition(&revision);
        sent.send().await.expect("an update");
        revision.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// Somebody deploys an image to many services by hand, the canaries first, and waits until ECS is done.
    pub(crate) async fn somebody_deploys_to_all(&self, apps: &[Application], tag: &str) {
        let mut told = Vec::new();
        for app in apps {
            self.world(|world| app.push(world, tag, Behaviour::Good));
            for service in [app.canary_name(), app.name.clone()] {
                let revision = self.somebody_deploys_image(app, &service, tag).await;
                told.push((service, revision));
            }
        }
        for (service, revision) in told {
            self.until(&format!("{revision} on {service}"), |world| {
                let view = world.ecs.outline(CLUSTER, &service).expect("a service");
                view.deployment_status == "SUCCESSFUL" && view.task_definition.ends_with(&format!("/{revision}"))
            })
            .await;
        }
    }

    /// Somebody sets a service's minimum and maximum percent by hand.
    pub(crate) async fn somebody_sets_percents(&self, service: &str, minimum: i32, maximum: i32) {
        let percents = DeploymentConfiguration::builder().minimum_healthy_percent(minimum).maximum_percent(maximum);
        self.expect_change(service);
        let sent = self.somebody().update_service().cluster(CLUSTER).service(service);
        sent.deployment_configuration(percents.build()).send().await.expect("an update");
    }

    /// Somebody stops a service's deployment, which rolls it back.
    pub(crate) async fn somebody_stops(&self, service: &str) {
        let ecs = self.somebody();
        let described = ecs.describe_services().cluster(CLUSTER).services(service).send().await.expect("an answer");
        let current = described.services()[0].current_service_deployment().expect("a deployment").to_owned();
        self.expect_change(service);
        let stop = ecs.stop_service_deployment().service_deployment_arn(current);
        stop.stop_type(StopServiceDeploymentStopType::Rollback).send().await.expect("a rollback");
    }

    /// An alarm is set by hand, as `aws cloudwatch set-alarm-state` does.
    pub(crate) fn set_alarm(&self, name: &str, state: AlarmState) {
        self.world(|world| set_alarm_state(world, name, state, "a story says so")).expect("an alarm");
    }

    /// A worker of another version takes the canary's job and hands it on with a token of its own.
    pub(crate) async fn hand_on(&self, token: &str) {
        self.hand_on_of("Coalmine-Canary", token).await;
    }

    /// The same for any action.
    pub(crate) async fn hand_on_of(&self, provider: &str, token: &str) {
        self.until("a job", |world| !world.codepipeline.jobs().is_empty()).await;
        self.pass(Duration::from_secs(2)).await;
        let codepipeline = aws_sdk_codepipeline::Client::new(&self.simulator.sdk_config(SOMEBODY_KEY));
        let id = ActionTypeId::builder().category(ActionCategory::Deploy).owner(ActionOwner::Custom);
        let id = id.provider(provider).version("1").build().expect("an action type");
        let polled = codepipeline.poll_for_jobs().action_type_id(id).query_param("Pool", "default").send().await;
        let job = polled.expect("an answer").jobs.unwrap_or_default().remove(0);
        let (id, nonce) = (job.id.unwrap_or_default(), job.nonce.unwrap_or_default());
        codepipeline.acknowledge_job().job_id(&id).nonce(nonce).send().await.expect("an acknowledgement");
        codepipeline.put_job_success_result().job_id(&id).continuation_token(token).send().await.expect("a result");
    }
}

/// Whether the newest job of an action is being worked at, in this phase of its progress.
fn is_in(world: &World, action: &str, phase: &str) -> bool {
    let job = world.codepipeline.jobs().iter().rev().find(|job| job.action == action);
    job.is_some_and(|job| {
        let token = job.continuation_token.as_deref().unwrap_or_default();
        job.status == JobStatus::InProgress && token.contains(&format!("\"p\":{phase}"))
    })
}
