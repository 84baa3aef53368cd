//! Ten services are rolled back at each point of a deployment that all of them are in.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, PipelineExecutionStatus};
use coalmine_worker::cli::{EXIT_INTERRUPTED, EXIT_OK};
use serde_json::json;
use simulator::ecr::Behaviour;
use simulator::ecs::ServiceView;
use simulator::{Settings, Simulator, World};

use crate::stage::{Application, CLUSTER, OPERATOR_KEY, Story, order};

/// Where the deployments are. The services ran `v1` and `v2` before; `v3` is what is being released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// The release waits for its first approval.
    Before,
    InTheCanary,
    WhilePeopleThink,
    InTheTurnover,
    InTheBake,
    /// ECS is rolling it back, by its circuit breaker.
    BeingRolledBack,
    After,
    /// An operator rolls it back, and has pressed Ctrl-C.
    InARollback,
    /// People think about the canary, and the ledger knows nothing any more.
    WithoutItsLedger,
}

impl Point {
    fn application(self, number: usize) -> Application {
        let mut app = Application::web(&format!("s{number}"), 4);
        if self == Self::BeingRolledBack {
            app = app.with_breaker();
            // The breaker's own threshold would come after the worker's verdict.
            app.deployment["deploymentCircuitBreaker"]["thresholdConfiguration"] = json!({"type": "COUNT", "value": 1});
        }
        let bake = if self == Self::InTheBake { "30m" } else { "20s" };
        app.canary_with("BakeTime", "20s").full_with("BakeTime", bake).full_with("Batch", "25%")
    }

    /// What the image does in the canary, and in the turnover.
    fn behaviours(self) -> (Behaviour, Behaviour) {
        let crash = Behaviour::CrashesAfter { after: Duration::from_secs(2), exit_code: 3, lines: Vec::new() };
        match self {
            Self::InTheCanary => (Behaviour::SlowStart(Duration::from_secs(300)), Behaviour::Good),
            Self::BeingRolledBack => (Behaviour::Good, crash),
            _ => (Behaviour::Good, Behaviour::Good),
        }
    }

    /// Brings the release of an application so far as people do.
    async fn reach(self, story: &Story, apps: &[Application]) -> Vec<String> {
        let (in_canary, in_full) = self.behaviours();
        let executions: Vec<String> = apps.iter().map(|app| story.release(app, "v3", in_canary.clone())).collect();
        if self == Self::Before {
            return executions;
        }
        for app in apps {
            story.answer(&app.pipeline, "Approve", ApprovalStatus::Approved).await;
        }
        if self == Self::InTheCanary {
            return executions;
        }
        for app in apps {
            story.held(&app.pipeline).await;
        }
        if self == Self::WithoutItsLedger {
            for key in ["services/", "releases/", "held/main/"].iter().flat_map(|prefix| story.below(prefix)) {
                story.world(|world| world.s3.delete("ledger", &format!("coalmine/{key}")));
            }
        }
        if matches!(self, Self::WhilePeopleThink | Self::WithoutItsLedger) {
            return executions;
        }
        for app in apps {
            story.world(|world| {
                world.ecr.behave(&app.name, "v3", in_full.clone()).unwrap();
                if self == Self::BeingRolledBack {
                    // The way back takes its time, so that all services are on it at once.
                    let slow = Behaviour::SlowStart(Duration::from_secs(200));
                    world.ecr.behave(&app.name, "v2", slow).unwrap();
                }
            });
            story.answer(&app.pipeline, "Release", ApprovalStatus::Approved).await;
        }
        if matches!(self, Self::After | Self::InARollback) {
            for (app, execution) in apps.iter().zip(&executions) {
                assert_eq!(story.ended(&app.pipeline, execution).await, PipelineExecutionStatus::Succeeded);
            }
        }
        if self == Self::InARollback {
            begin_a_rollback(story, apps).await;
        }
        executions
    }

    fn is_reached(self, world: &World, app: &Application) -> bool {
        let is_new = |view: &ServiceView| view.task_definition.ends_with(":3");
        let (canary, full) = (app.canary_name(), app.name.clone());
        let view = |service: &str| world.ecs.view(CLUSTER, service).unwrap();
        match self {
            Self::Before | Self::WhilePeopleThink | Self::WithoutItsLedger => {
                !world.codepipeline.open_approvals(&app.pipeline).is_empty()
            }
            Self::InTheCanary => is_new(&view(&canary)) && view(&canary).deployment_status == "IN_PROGRESS",
            Self::InTheTurnover => is_new(&view(&full)) && matches!(view(&full).new_and_old(), (1.., 1..)),
            Self::InTheBake | Self::After => is_new(&view(&full)) && view(&full).deployment_status == "SUCCESSFUL",
            Self::BeingRolledBack => view(&full).deployment_status == "ROLLBACK_IN_PROGRESS",
            Self::InARollback => {
                view(&full).task_definition.ends_with(":2") && view(&full).deployment_status == "IN_PROGRESS"
            }
        }
    }

    /// What the services run after the rollback, and how each execution ends.
    fn end(self) -> (&'static str, PipelineExecutionStatus) {
        match self {
            // Nothing of the release is anywhere: what runs is left.
            Self::Before => ("v1", PipelineExecutionStatus::Failed),
            Self::After | Self::InARollback => ("v2", PipelineExecutionStatus::Succeeded),
            _ => ("v2", PipelineExecutionStatus::Failed),
        }
    }
}

/// An operator tells all services to go back, and leaves before any of them is there.
async fn begin_a_rollback(story: &Story, apps: &[Application]) {
    for app in apps {
        let slow = Behaviour::SlowStart(Duration::from_secs(200));
        story.world(|world| world.ecr.behave(&app.name, "v2", slow)).unwrap();
        story.expect_rollback(app);
    }
    let goes = |service: &str| story.runs(service).ends_with(":2");
    let all_told = async {
        let told = || apps.iter().all(|app| goes(&app.name) && goes(&app.canary_name()));
        story.until_so("all orders", told).await;
        story.pass(Duration::from_secs(2)).await;
    };
    let names: Vec<&str> = apps.iter().map(|app| app.name.as_str()).collect();
    let left = story.roll_back_until(order(&names), OPERATOR_KEY, all_told).await;
    assert_eq!(left.code, EXIT_INTERRUPTED, "{left:?}");
}

async fn ten_are_rolled_back(point: Point) {
    let apps: Vec<Application> = (0..10).map(|number| point.application(number)).collect();
    let all: Vec<&Application> = apps.iter().collect();
    let story = Story::begin(Simulator::new(Settings::seeded(1701 + point as u64)), &all);
    story.somebody_deploys_to_all(&apps, "v2").await;
    let executions = point.reach(&story, &apps).await;
    story.until("the point", |world| apps.iter().all(|app| point.is_reached(world, app))).await;
    apps.iter().for_each(|app| story.expect_rollback(app));
    let names: Vec<&str> = apps.iter().map(|app| app.name.as_str()).collect();
    let rolled = story.roll_back(order(&names)).await;
    assert_eq!(rolled.code, EXIT_OK, "{rolled:?}");
    let (tag, status) = point.end();
    let all_run_it = |when: &str| {
        for app in &apps {
            for service in [app.name.clone(), app.canary_name()] {
                story.runs_image(app, &service, tag);
                assert_eq!(story.percents(&service), (100, 200), "{service} {when}");
            }
        }
    };
    all_run_it("at once");
    for (app, execution) in apps.iter().zip(&executions) {
        let asked = story.world(|world| world.codepipeline.open_approvals(&app.pipeline).pop().cloned());
        if let Some(asked) = asked {
            // Who has not heard of it approves: the release is refused. What was never anywhere is turned down.
            let before = asked.stage == "Approve";
            let answer = if before { ApprovalStatus::Rejected } else { ApprovalStatus::Approved };
            story.answer(&app.pipeline, &asked.stage, answer).await;
        }
        assert_eq!(story.ended(&app.pipeline, execution).await, status, "{}", app.pipeline);
    }
    story.pass(Duration::from_secs(1_200)).await;
    all_run_it("later");
    story.each_job_has_one_result();
}

macro_rules! points {
    ($($name:ident: $point:ident,)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $name() {
                ten_are_rolled_back(Point::$point).await;
            }
        )*
    };
}

points! {
    ten_are_rolled_back_before_a_release_is_approved: Before,
    ten_are_rolled_back_in_their_canaries: InTheCanary,
    ten_are_rolled_back_while_people_think: WhilePeopleThink,
    ten_are_rolled_back_in_their_turnovers: InTheTurnover,
    ten_are_rolled_back_in_their_bakes: InTheBake,
    ten_are_rolled_back_while_ecs_rolls_them_back: BeingRolledBack,
    ten_are_rolled_back_after_a_release: After,
    ten_are_rolled_back_in_the_middle_of_a_rollback: InARollback,
    ten_are_rolled_back_while_people_think_and_the_ledger_is_gone: WithoutItsLedger,
}
