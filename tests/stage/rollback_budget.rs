//! What a rollback of ten applications costs, canaries included.

use std::cell::Cell;
use std::future::pending;
use std::time::{Duration, SystemTime};

use aws_types::SdkConfig;
use coalmine_worker::cli::EXIT_OK;
use coalmine_worker::commands::common::Screen;
use coalmine_worker::commands::rollback::{Order, roll_back};
use simulator::ecr::Behaviour;
use simulator::{CallRecord, Service, Settings, Simulator};

use super::application::{Application, CLUSTER};
use super::loopback::{brisk, loopback};
use super::operator::{OPERATOR_KEY, order};
use super::story::{Story, prepare};

/// How many applications are rolled back.
const APPLICATIONS: usize = 10;

/// What a rollback cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RollbackCost {
    /// From the confirmation until ECS had been told the last of it.
    pub(crate) told: Duration,
    /// Calls for each service, on average, besides observation and the ledger.
    pub(crate) calls: usize,
    /// From ECS's end until the command had ended, with every task counted.
    pub(crate) verified: Duration,
}

/// The applications that are rolled back.
pub(crate) fn ten_applications() -> Vec<Application> {
    (0..APPLICATIONS).map(|number| Application::web(&format!("s{number}"), 5)).collect()
}

/// The same over a socket, with the real HTTP client, in real time. Only ECS is quicker than it is.
pub(crate) async fn rollback_over_a_socket(seed: u64) -> RollbackCost {
    let apps = ten_applications();
    // Nobody watches the invariants: that takes time, and is done where time is virtual.
    let story = Story::without_worker(Simulator::new(Settings::seeded(seed)), &[], |world| {
        world.ecs.pace = brisk();
        prepare(world, &apps, true);
    });
    let address = story.simulator.serve(0).await.expect("a port");
    let door = loopback(&story.simulator, OPERATOR_KEY, &format!("http://{address}"));
    story.cost_of_a_rollback(&apps, &door).await
}

impl Story {
    /// Somebody deploys to all applications by hand; then they are rolled back at an operator's door, who is asked.
    pub(crate) async fn cost_of_a_rollback(&self, apps: &[Application], door: &SdkConfig) -> RollbackCost {
        let services: Vec<(&Application, String)> =
            apps.iter().flat_map(|app| [(app, app.name.clone()), (app, app.canary_name())]).collect();
        for (app, service) in &services {
            self.somebody_deploys(app, service, Behaviour::Good).await;
        }
        self.until("the deployments", |world| {
            services.iter().all(|(_, service)| {
                let service = world.ecs.outline(CLUSTER, service).expect("a service");
                service.deployment_status == "SUCCESSFUL" && service.task_definition.ends_with(":2")
            })
        })
        .await;
        apps.iter().for_each(|app| self.expect_rollback(app));
        let names: Vec<&str> = apps.iter().map(|app| app.name.as_str()).collect();
        let confirmed = Cell::new(None);
        let (mut out, mut words) = (Vec::new(), Vec::new());
        let mut confirms = |_: &str| {
            confirmed.set(Some(self.now()));
            true
        };
        let mut screen = Screen { out: &mut out, words: &mut words, is_terminal: true, ask: &mut confirms };
        let order = Order { yes: false, ..order(&names) };
        let code = Box::pin(roll_back(door, order, &mut screen, pending())).await;
        let ended = self.now();
        assert_eq!(code, EXIT_OK, "{}", String::from_utf8_lossy(&words));
        for (app, service) in &services {
            self.runs_image(app, service, "v1");
        }
        let confirmed = confirmed.get().expect("a confirmation");
        let told = self.orders_since(confirmed);
        assert_eq!(told.len(), services.len(), "each service is told once");
        let since = |later: SystemTime, earlier: SystemTime| later.duration_since(earlier).expect("an order of events");
        RollbackCost {
            told: since(told.into_iter().max().expect("an order"), confirmed),
            calls: self.charged_since(confirmed).div_ceil(services.len()),
            verified: since(ended, self.done_with(&services).await),
        }
    }

    fn orders_since(&self, begin: SystemTime) -> Vec<SystemTime> {
        let is_order = |call: &&CallRecord| {
            call.operation == "UpdateService" && call.request.get("taskDefinition").is_some() && call.error.is_none()
        };
        self.simulator.with_calls(|calls| {
            let own = calls.records.iter().filter(|call| call.access_key == OPERATOR_KEY && call.at >= begin);
            own.filter(is_order).map(|call| call.at).collect()
        })
    }

    /// The operator's calls but for observation and the ledger.
    fn charged_since(&self, begin: SystemTime) -> usize {
        const OBSERVATION: [&str; 4] =
            ["DescribeServices", "DescribeServiceDeployments", "DescribeServiceRevisions", "DescribeTasks"];
        self.simulator.with_calls(|calls| {
            let own = calls.records.iter().filter(|call| call.access_key == OPERATOR_KEY && call.at >= begin);
            own.filter(|call| call.service != Service::S3 && !OBSERVATION.contains(&call.operation.as_str())).count()
        })
    }

    /// When ECS was done with the last deployment of these services.
    async fn done_with(&self, services: &[(&Application, String)]) -> SystemTime {
        let mut done = SystemTime::UNIX_EPOCH;
        for (_, service) in services {
            let listed = self.somebody().list_service_deployments().cluster(CLUSTER).service(service).send().await;
            let listed = listed.expect("a list");
            let finished = listed.service_deployments().iter().filter_map(|brief| brief.finished_at().copied());
            done = finished.filter_map(|at| SystemTime::try_from(at).ok()).fold(done, SystemTime::max);
        }
        done
    }
}
