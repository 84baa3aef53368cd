//! The kinds of releases: what a team does, and what the image is like. Everything in a tale hangs on what has happened,
//! nothing on a date: a worker's death may delay it, and must not change it.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus, StageRetryMode};
use serde_json::json;
use simulator::cloudwatch::{AlarmSpec, AlarmState, add_alarm};
use simulator::ecr::{Behaviour, ImageSpec};
use simulator::{Simulator, World};

use crate::stage::{Application, CLUSTER, Story, WORKER_KEY};

/// An alarm without dimensions, which people set.
const ALARM: &str = "shop-5xx";

/// Another one, which stays green.
const CALM: &str = "calm";

/// What happens to a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tale {
    Good,
    QueueWorkers,
    Surge,
    OneTask,
    FirstDeployment,
    SickFirstDeployment,
    MovedTag,
    Autoscaled,
    RedBefore,
    Busy,
    Rejected,
    AbandonedWhileHeld,
    RedWhileHeld,
    CanaryCrashes,
    TurnoverCrashes,
    TurnoverNeverHealthy,
    RedInTheBake,
    ImageVanishes,
    BreakerRollsBack,
    Superseded,
    Retried,
    StoppedToWait,
    Abandoned,
}

impl Tale {
    /// Every tale.
    pub(crate) const ALL: [Self; 23] = [
        Self::Good,
        Self::QueueWorkers,
        Self::Surge,
        Self::OneTask,
        Self::FirstDeployment,
        Self::SickFirstDeployment,
        Self::MovedTag,
        Self::Autoscaled,
        Self::RedBefore,
        Self::Busy,
        Self::Rejected,
        Self::AbandonedWhileHeld,
        Self::RedWhileHeld,
        Self::CanaryCrashes,
        Self::TurnoverCrashes,
        Self::TurnoverNeverHealthy,
        Self::RedInTheBake,
        Self::ImageVanishes,
        Self::BreakerRollsBack,
        Self::Superseded,
        Self::Retried,
        Self::StoppedToWait,
        Self::Abandoned,
    ];

    /// How it ends where nothing disturbs it: the execution, and how many tasks of which image each service runs.
    pub(crate) fn moral(self) -> &'static str {
        match self {
            Self::Good | Self::RedBefore | Self::Busy | Self::FirstDeployment => {
                "Succeeded; app: 2xv2; app-canary: 1xv2"
            }
            Self::QueueWorkers => "Succeeded; app: 9xv2; app-canary: 1xv2",
            Self::Surge => "Succeeded; app: 3xv2; app-canary: 1xv2",
            Self::OneTask => "Succeeded; app: 1xv2; app-canary: 1xv2",
            Self::MovedTag => "Succeeded; app: 2xapproved; app-canary: 1xapproved",
            Self::Autoscaled => "Succeeded; app: 5xv2; app-canary: 1xv2",
            Self::Retried => "Succeeded; app: 2xv2; app-canary: 1xv2",
            Self::SickFirstDeployment => "Failed; app: 0x; app-canary: 0x",
            Self::Rejected | Self::RedWhileHeld => "Failed; app: 2xv1; app-canary: 1xv1",
            Self::AbandonedWhileHeld => "Stopped; app: 2xv1; app-canary: 1xv1",
            Self::CanaryCrashes
            | Self::TurnoverCrashes
            | Self::TurnoverNeverHealthy
            | Self::RedInTheBake
            | Self::ImageVanishes => "Failed; app: 2xv1; app-canary: 1xv1",
            Self::BreakerRollsBack => "Failed; app: 4xv1; app-canary: 1xv1",
            Self::Superseded => "Failed; app: 2xby-hand; app-canary: 1xv1",
            Self::StoppedToWait | Self::Abandoned => "Stopped; app: 2xv2; app-canary: 1xv2",
        }
    }

    /// The team's services.
    pub(crate) fn application(self) -> Application {
        let app = match self {
            Self::QueueWorkers => Application::queue_workers("app", 3, 9),
            Self::Surge => Application::web("app", 3).full_with("Options", "surge=true"),
            Self::OneTask => Application::web("app", 1),
            Self::FirstDeployment | Self::SickFirstDeployment => Application::web("app", 2).never_deployed(),
            Self::MovedTag => Application { immutable: false, ..Application::web("app", 2) },
            Self::RedBefore => {
                let options = "already_red=require-clear";
                watching(Application::web("app", 2)).canary_with("Options", options).full_with("Options", options)
            }
            Self::RedInTheBake | Self::RedWhileHeld => watching(Application::web("app", 2)),
            Self::BreakerRollsBack => {
                // The breaker's own threshold would come after our verdict.
                let mut app = Application::web("app", 4).with_breaker();
                app.deployment["deploymentCircuitBreaker"]["thresholdConfiguration"] =
                    json!({"type": "COUNT", "value": 1});
                app
            }
            _ => Application::web("app", 2),
        };
        let bake = if self == Self::RedInTheBake { "1m" } else { "10s" };
        app.canary_with("BakeTime", "0s").full_with("BakeTime", bake)
    }

    /// What else the account holds.
    pub(crate) fn prepare(self, simulator: &Simulator) {
        let state = if self == Self::RedBefore { AlarmState::Alarm } else { AlarmState::Ok };
        simulator.with_world(|world| {
            add_alarm(world, AlarmSpec::new(CALM));
            add_alarm(world, AlarmSpec { state, ..AlarmSpec::new(ALARM) });
        });
    }

    /// Begins it: a build has pushed the image and started the pipeline; the execution's id.
    pub(crate) async fn begin(self, story: &Story, app: &Application) -> String {
        if self == Self::Busy {
            story.somebody_deploys(app, &app.canary_name(), Behaviour::SlowStart(Duration::from_secs(100))).await;
        }
        let behaviour = match self {
            Self::CanaryCrashes | Self::SickFirstDeployment => crashing(),
            _ => Behaviour::Good,
        };
        story.release(app, "v2", behaviour)
    }

    /// Tells it, until its last execution is over.
    pub(crate) async fn tell(self, story: &Story, app: &Application, execution: String) {
        let release = Release { story, app, execution };
        release.answer("Approve", ApprovalStatus::Approved).await;
        if self == Self::RedBefore {
            story.pass(Duration::from_secs(45)).await;
            story.set_alarm(ALARM, AlarmState::Ok);
        }
        if !release.until("the hold", |world| !world.codepipeline.open_approvals("app").is_empty()).await {
            return;
        }
        self.meanwhile(&release);
        if self == Self::RedWhileHeld {
            release.given_back().await;
        }
        let status = if self.is_refused() { ApprovalStatus::Rejected } else { ApprovalStatus::Approved };
        release.answer("Release", status).await;
        self.in_the_turnover(&release).await;
        release.over().await;
        if self.is_refused() {
            release.given_back().await;
        }
        if self == Self::Retried {
            release.retry().await;
        }
    }

    /// Whether the canary goes back because nobody turns its release over.
    fn is_refused(self) -> bool {
        matches!(self, Self::Rejected | Self::AbandonedWhileHeld | Self::RedWhileHeld)
    }

    /// What happens while people think.
    fn meanwhile(self, release: &Release<'_>) {
        let sick = match self {
            Self::TurnoverCrashes | Self::BreakerRollsBack | Self::Retried => crashing(),
            Self::TurnoverNeverHealthy => Behaviour::NeverHealthy,
            Self::MovedTag => return release.move_tag(),
            Self::AbandonedWhileHeld => return release.story.abandon("app", &release.execution),
            Self::RedWhileHeld => return release.story.set_alarm(ALARM, AlarmState::Alarm),
            _ => return,
        };
        release.behave(sick);
    }

    async fn in_the_turnover(self, release: &Release<'_>) {
        let Release { story, app, execution } = release;
        match self {
            Self::Superseded if release.turns_over().await => {
                // So slow that a worker is back before its end: the canary goes back to what was successful by then.
                story.somebody_deploys(app, "app", Behaviour::SlowStart(Duration::from_secs(300))).await;
                // The call that it stands in may still come, and take the place of that.
                if story.simulator.is_frozen(WORKER_KEY) {
                    story.expect_late_calls("app");
                }
            }
            Self::ImageVanishes if release.begins().await => {
                release.behave(Behaviour::CannotBePulled);
            }
            Self::Autoscaled if release.turns_over().await => {
                story.world(|world| world.set_desired_count(CLUSTER, "app", 5)).expect("a service");
            }
            Self::StoppedToWait | Self::Abandoned if release.turns_over().await => {
                let abandon = self == Self::Abandoned;
                story.world(|world| world.stop_execution("app", execution, abandon)).expect("a stop");
            }
            Self::RedInTheBake if release.turned_over().await => story.set_alarm(ALARM, AlarmState::Alarm),
            _ => {}
        }
    }
}

fn watching(app: Application) -> Application {
    let alarms = format!("{CALM},{ALARM}");
    app.canary_with("Alarms", &alarms).full_with("Alarms", &alarms)
}

/// Crashes as soon as it starts.
fn crashing() -> Behaviour {
    Behaviour::CrashesAfter { after: Duration::from_secs(2), exit_code: 3, lines: vec!["no such table".into()] }
}

/// A release under way.
struct Release<'a> {
    story: &'a Story,
    app: &'a Application,
    execution: String,
}

impl Release<'_> {
    fn is_over(&self, world: &World) -> bool {
        let status = &world.codepipeline.execution("app", &self.execution).expect("an execution").status;
        !matches!(status, PipelineExecutionStatus::InProgress | PipelineExecutionStatus::Stopping)
    }

    /// Waits for something, or for the end of the execution; whether it came about.
    async fn until(&self, what: &str, holds: impl Fn(&World) -> bool) -> bool {
        self.story.until(what, |world| holds(world) || self.is_over(world)).await;
        self.story.world(|world| holds(world) && !self.is_over(world))
    }

    async fn over(&self) {
        self.story.until("the execution's end", |world| self.is_over(world)).await;
    }

    /// Waits until nobody watches the canary any more: it is back.
    async fn given_back(&self) {
        self.story.until_so("the canary's way back", || self.story.waiting().is_empty()).await;
    }

    /// Answers an approval, unless the execution ends before it is asked for.
    async fn answer(&self, stage: &str, status: ApprovalStatus) {
        let asked =
            |world: &World| world.codepipeline.open_approvals("app").iter().any(|approval| approval.stage == stage);
        if self.until(&format!("the approval of {stage}"), asked).await {
            self.story.answer("app", stage, status).await;
        }
    }

    /// Waits until the full service is told to run the release.
    async fn begins(&self) -> bool {
        self.until("the turnover", |world| {
            let full = world.ecs.outline(CLUSTER, "app").expect("a service");
            full.deployment_status == "IN_PROGRESS"
        })
        .await
    }

    /// Waits until the full service runs new tasks beside old ones.
    async fn turns_over(&self) -> bool {
        self.until("a new task beside an old one", |world| {
            let full = world.ecs.view(CLUSTER, "app").expect("a service");
            full.deployment_status == "IN_PROGRESS" && matches!(full.new_and_old(), (1.., 1..))
        })
        .await
    }

    /// Waits until all of the full service runs the release.
    async fn turned_over(&self) -> bool {
        self.until("the end of the turnover", |world| {
            let full = world.ecs.outline(CLUSTER, "app").expect("a service");
            full.deployment_status == "SUCCESSFUL" && !full.task_definition.ends_with("app:1")
        })
        .await
    }

    fn behave(&self, behaviour: Behaviour) {
        self.story.world(|world| world.ecr.behave("app", "v2", behaviour)).expect("an image");
    }

    /// Another image is pushed under the release's tag.
    fn move_tag(&self) {
        self.story.world(|world| {
            let approved = world.ecr.digest("app", "v2").expect("an image");
            world.ecr.tag("app", &approved, "approved").expect("an image");
            world.ecr.push(ImageSpec::new("app", "v2", world.now));
        });
    }

    /// What was wrong is mended, and the stage is retried.
    async fn retry(&self) {
        self.behave(Behaviour::Good);
        self.story
            .world(|world| world.retry_stage("app", "Release", &self.execution, StageRetryMode::AllActions))
            .expect("a retry");
        self.answer("Release", ApprovalStatus::Approved).await;
        self.over().await;
    }
}
