//! What people, autoscaling and AWS do in a life, when it is time.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use aws_sdk_codepipeline::types::{ActionExecutionStatus, ApprovalStatus, PipelineExecutionStatus, StageRetryMode};
use aws_sdk_ecs::types::StopServiceDeploymentStopType;
use simulator::World;
use simulator::codepipeline::{ActionRun, Execution};
use simulator::ecr::ImageSpec;

use crate::crew::Crew;
use crate::life::{Happening, Image, Release, Stop};
use crate::play::Play;
use crate::stage::story::upload;
use crate::stage::{Application, CLUSTER};

/// The access key of whoever else acts on the account.
const SOMEBODY_KEY: &str = "AKIASOMEBODY";

/// How long people think who were not planned for: about a stage that is rolled back.
const THOUGHT: Duration = Duration::from_secs(20);

/// People, with what they have done so far.
pub(crate) struct People {
    released: usize,
    happened: usize,
    /// The releases by the execution that each became.
    pub(crate) executions: BTreeMap<String, usize>,
    stopped: BTreeSet<String>,
    retried: BTreeSet<String>,
    /// The tag of each execution's image.
    pub(crate) tags: BTreeMap<String, String>,
    /// What autoscaling or the beginning made of the counts of full services.
    pub(crate) wanted: BTreeMap<String, i32>,
    /// Services that somebody deployed to or stopped by hand.
    pub(crate) by_hand: RefCell<BTreeSet<String>>,
}

/// Whether an execution has yet to read its source.
fn is_reading(world: &World) -> bool {
    let mut executions = world.codepipeline.active_executions();
    executions.any(|execution| execution.artifacts.is_empty())
}

impl People {
    pub(crate) fn begin(play: &Play<'_>) -> Self {
        let wanted = play.life.applications.iter().map(|app| (app.name.clone(), app.full));
        Self {
            released: 0,
            happened: 0,
            executions: BTreeMap::new(),
            tags: BTreeMap::new(),
            stopped: BTreeSet::new(),
            retried: BTreeSet::new(),
            wanted: wanted.collect(),
            by_hand: RefCell::default(),
        }
    }

    /// Whether nothing is planned any more, and no execution goes on or will be retried.
    pub(crate) fn is_done(&self, play: &Play<'_>) -> bool {
        let acted = self.released == play.life.releases.len() && self.happened == play.life.happenings.len();
        acted
            && play.simulator.with_world(|world| {
                let executions = world.codepipeline.pipelines().flat_map(|pipeline| &pipeline.executions);
                let mut executions = executions.map(|execution| (execution, self.retry_of(play, execution)));
                executions.all(|(execution, retry)| !execution.is_active() && retry.is_none())
            })
    }

    /// Does all that is due.
    pub(crate) async fn look(&mut self, play: &Play<'_>, crew: &mut Crew) {
        let age = play.age();
        while let Some(release) = play.life.releases.get(self.released).filter(|release| release.at <= age) {
            // An upload that comes before an earlier execution has read its own would be that one's release, too.
            if play.simulator.with_world(|world| is_reading(world)) {
                break;
            }
            let execution = self.release(play, release);
            self.tags.insert(execution.clone(), release.tag.clone());
            self.executions.insert(execution, self.released);
            self.released += 1;
        }
        while let Some((_, happening)) = play.life.happenings.get(self.happened).filter(|(at, _)| *at <= age) {
            self.happened += 1;
            self.happen(play, crew, happening).await;
        }
        self.answer(play);
        self.stop(play);
        self.retry(play);
    }

    fn release(&self, play: &Play<'_>, release: &Release) -> String {
        let app = &play.life.pipelines[release.pipeline];
        play.simulator.with_world(|world| {
            let image = |behaviour, architectures: &[&str]| ImageSpec {
                behaviour,
                architectures: architectures.iter().map(|name| (*name).to_owned()).collect(),
                ..ImageSpec::new(&app.name, &release.tag, world.now)
            };
            let image = match &release.image {
                Image::Pushed(behaviour) => Some(image(behaviour.clone(), &["arm64", "amd64"])),
                Image::OtherArchitecture => Some(image(Default::default(), &["amd64"])),
                Image::Missing => None,
            };
            if let Some(image) = image {
                world.ecr.push(image);
            }
            let definitions = app.image_definitions(world, &release.tag);
            upload(world, app, definitions.as_bytes());
            world.start_pipeline(&app.pipeline, &BTreeMap::new()).expect("an execution")
        })
    }

    fn answer(&self, play: &Play<'_>) {
        for (pipeline, execution, run) in running(play, |run| run.token.is_some()) {
            let second = run.stage == "Release";
            let release = self.executions.get(&execution).map(|place| &play.life.releases[*place]);
            // Nobody planned for a stage that is rolled back: it is approved.
            let (after, says) = match release {
                Some(release) => {
                    let answer = &release.answers[usize::from(second)];
                    (answer.after, answer.says.clone())
                }
                None => (THOUGHT, Some(ApprovalStatus::Approved)),
            };
            let Some(says) = says.filter(|_| play.has_passed(after, run.started)) else { continue };
            play.simulator.with_world(|world| {
                if let Some((behaviour, release)) = release.and_then(|release| Some((release.turns.clone()?, release)))
                    && second
                {
                    let repository = &play.life.pipelines[release.pipeline].name;
                    // An image that was never pushed cannot turn.
                    let _ = world.ecr.behave(repository, &release.tag, behaviour);
                }
                // Its time may have run out in this very moment.
                let _ = world.answer_approval(&pipeline, &run.stage, &run.name, says, "as planned");
            });
        }
    }

    fn stop(&mut self, play: &Play<'_>) {
        for (pipeline, execution, run) in running(play, |run| run.stage == "Release") {
            let planned = self.executions.get(&execution).and_then(|place| play.life.releases[*place].stop.as_ref());
            let Some(Stop { abandon, .. }) =
                planned.filter(|stop| stop.during == run.name && play.has_passed(stop.after, run.started))
            else {
                continue;
            };
            if self.stopped.insert(execution.clone()) {
                let stopped = play.simulator.with_world(|world| world.stop_execution(&pipeline, &execution, *abandon));
                stopped.expect("an execution in progress can be stopped");
            }
        }
    }

    /// When and how an execution will be retried.
    fn retry_of(&self, play: &Play<'_>, execution: &Execution) -> Option<(Duration, StageRetryMode)> {
        let ended = [PipelineExecutionStatus::Failed, PipelineExecutionStatus::Stopped].contains(&execution.status);
        let planned = play.life.releases[*self.executions.get(&execution.id)?].retry.clone();
        planned.filter(|_| ended && !self.retried.contains(&execution.id))
    }

    fn retry(&mut self, play: &Play<'_>) {
        let due = play.simulator.with_world(|world| {
            let executions = world.codepipeline.pipelines().flat_map(|pipeline| &pipeline.executions);
            let due = executions.filter_map(|execution| {
                let (after, mode) = self.retry_of(play, execution)?;
                let due = play.has_passed(after, execution.updated);
                due.then(|| (execution.pipeline.clone(), execution.id.clone(), mode))
            });
            due.collect::<Vec<_>>()
        });
        for (pipeline, execution, mode) in due {
            // Refused where another execution has entered the stage since, or this one never came to it.
            let _ = play.simulator.with_world(|world| world.retry_stage(&pipeline, "Release", &execution, mode));
            self.retried.insert(execution);
        }
    }

    async fn happen(&mut self, play: &Play<'_>, crew: &mut Crew, happening: &Happening) {
        match happening {
            Happening::Scales { service, tasks } => {
                self.wanted.insert(service.clone(), *tasks);
                play.simulator
                    .with_world(|world| world.set_desired_count(CLUSTER, service, *tasks))
                    .expect("a service");
            }
            Happening::Deploys { application, service, behaviour } => {
                let app = &play.life.applications[*application];
                let revision = play.simulator.with_world(|world| by_hand(world, app, service, behaviour.clone()));
                self.act_by_hand(play, service);
                let ecs = aws_sdk_ecs::Client::new(&play.simulator.sdk_config(SOMEBODY_KEY));
                let sent = ecs.update_service().cluster(CLUSTER).service(service).task_definition(revision);
                sent.send().await.expect("an update");
            }
            Happening::StopsDeployment { service } => {
                let ecs = aws_sdk_ecs::Client::new(&play.simulator.sdk_config(SOMEBODY_KEY));
                let described = ecs.describe_services().cluster(CLUSTER).services(service).send().await;
                let services = described.expect("an answer").services.unwrap_or_default();
                let current = services.first().and_then(|service| service.current_service_deployment.clone());
                let stop = ecs.stop_service_deployment().set_service_deployment_arn(current);
                let stopped = stop.stop_type(StopServiceDeploymentStopType::Rollback).send().await;
                // Refused where nothing is being deployed. ECS itself goes back then.
                if stopped.is_ok() {
                    self.by_hand.borrow_mut().insert(service.clone());
                }
            }
            Happening::RollsBack { pipeline } => roll_back(play, &play.life.pipelines[*pipeline].pipeline),
            Happening::Spot { service, tasks } => {
                play.simulator.with_world(|world| world.interrupt_spot(CLUSTER, service, *tasks));
            }
            Happening::NoCapacity { service, lasting } => {
                let refused = play.simulator.with_world(|world| world.refuse_capacity(CLUSTER, service, *lasting));
                refused.expect("a service");
            }
            Happening::PullsFail { count } => {
                let reason = "pull image manifest has been retried 5 time(s): toomanyrequests: Rate exceeded";
                play.simulator.with_world(|world| world.fail_next_pulls(*count, reason));
            }
            Happening::Sigterm { worker } => crew.terminate(play, *worker),
            Happening::SetsClock { worker, skew } => play.simulator.set_clock(&play.life.workers[*worker].key, *skew),
        }
    }

    fn act_by_hand(&self, play: &Play<'_>, service: &str) {
        play.invariants.expect_change(service);
        self.by_hand.borrow_mut().insert(service.to_owned());
    }
}

impl Play<'_> {
    fn has_passed(&self, wait: Duration, since: SystemTime) -> bool {
        self.simulator.clock().now().duration_since(since).is_ok_and(|passed| passed >= wait)
    }
}

/// The actions in progress that are of interest, each with its pipeline and its execution.
fn running(play: &Play<'_>, of_interest: impl Fn(&ActionRun) -> bool) -> Vec<(String, String, ActionRun)> {
    play.simulator.with_world(|world| {
        let runs = world.codepipeline.active_executions().flat_map(|execution| {
            execution.actions.iter().map(move |run| (execution.pipeline.clone(), execution.id.clone(), run.clone()))
        });
        runs.filter(|(.., run)| run.status == ActionExecutionStatus::InProgress && of_interest(run)).collect()
    })
}

fn by_hand(world: &mut World, app: &Application, service: &str, behaviour: simulator::ecr::Behaviour) -> String {
    let tag = format!("by-hand-{}", world.hex(6));
    app.push(world, &tag, behaviour);
    let definition = app.task_definition(world, service, &tag);
    world.add_task_definition(&definition).expect("a task definition")
}

/// Back to the success before the last one; to the last one where it was the first.
fn roll_back(play: &Play<'_>, pipeline: &str) {
    play.simulator.with_world(|world| {
        let executions = world.codepipeline.pipeline(pipeline).map(|pipeline| pipeline.executions.as_slice());
        let succeeded = executions.unwrap_or_default().iter().rev().filter(|execution| {
            execution.status == PipelineExecutionStatus::Succeeded && execution.rollback_target.is_none()
        });
        let targets: Vec<String> = succeeded.map(|execution| execution.id.clone()).take(2).collect();
        if let Some(target) = targets.last() {
            // Refused while the stage runs.
            let _ = world.rollback_stage(pipeline, "Release", target);
        }
    });
}
