//! Simulated Amazon ECS: physics for ROLLING deployments.
//!
//! ```text
//!  calls ──► clusters  task_definitions  services  update  describe  history  tasks  run_task  daemons  tags
//!                                           │                          │
//!  model: Service ─ deployments[] ─ Revision (digests pinned)   ServiceDeployment (the story of one rollout)
//!             │                                                        │
//!  events ──► scheduler::look ── starts and stops ──► task_life     deployments  rollback  breaker  alarms
//! ```
//!
//! The scheduler looks only when something changed or falls due; there are no ticks in a quiet service.
//! Assumptions where AWS's documents are silent stand as comments beside the code, each beginning with "Assumed".

mod alarms;
mod breaker;
mod clusters;
mod configuration;
mod daemons;
mod definition_rules;
mod deployments;
mod describe;
mod events_text;
mod history;
mod images;
mod lookup;
mod model;
mod needed;
mod pace;
mod paging;
mod rollback;
mod rules;
mod run_task;
mod scheduler;
mod services;
mod setup;
mod shortfall;
mod tags;
mod task_definitions;
mod task_describe;
mod task_end;
mod task_life;
mod tasks;
mod update;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use serde_json::Value;

use crate::ecr::Pulled;
use crate::{Answer, Call, ErrorReply, World};

pub(crate) use images::with_digest;
pub use model::{StopCause, TaskStatus};
pub use pace::Pace;
pub use setup::ServiceSpec;
pub use shortfall::Shortfall;
pub use watch::{RollbackTarget, ServiceView, TaskView};

use model::{Cluster, Definition, Service, ServiceKey, Task};

/// What happens by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A task goes on in its life.
    Task {
        /// The task's number.
        task: u64,
        /// What happens to it.
        step: Step,
    },
    /// The scheduler looks at a service.
    Look {
        /// The service's cluster, by name.
        cluster: String,
        /// The service, by name.
        service: String,
    },
    /// A service deployment goes on.
    Deployment {
        /// The service deployment's ARN.
        arn: String,
        /// What happens to it.
        step: DeploymentStep,
    },
}

impl From<Event> for crate::Event {
    fn from(event: Event) -> Self {
        Self::Ecs(event)
    }
}

/// What happens to a task by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// It reaches the next state of its life.
    Reach(TaskStatus),
    /// Its health checks pass (or it has run long enough where there is none).
    Healthy,
    /// Its health checks have failed for longer than they may.
    Unhealthy,
    /// A container exits by itself; the index is its place in the task definition.
    Exits(usize),
    /// Its Spot capacity is reclaimed.
    SpotReclaimed,
}

/// What happens to a service deployment by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeploymentStep {
    /// PENDING → `IN_PROGRESS`.
    Starts,
    /// `STOP_REQUESTED` → STOPPED.
    Stops,
    /// `ROLLBACK_REQUESTED` → `ROLLBACK_IN_PROGRESS`.
    RollsBack,
    /// The deployment's alarms are read.
    ReadsAlarms,
}

/// All state.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// How long things take; a story may change it before or during its course.
    pub pace: Pace,
    /// Whether `containers[].imageDigest` of tasks names the architecture's manifest instead of the index. AWS's
    /// documents do not say which it is, so programs have to bear both.
    pub tasks_report_platform_digest: bool,
    /// Whether `ListServices` leaves out what ECS manages (Express Mode) where nothing is asked of that. AWS's documents do
    /// not say, so programs have to bear both.
    pub lists_hide_express: bool,
    clusters: BTreeMap<String, Cluster>,
    families: BTreeMap<String, BTreeMap<i32, Definition>>,
    services: BTreeMap<ServiceKey, Service>,
    tasks: BTreeMap<u64, Task>,
    task_numbers: BTreeMap<String, u64>,
    /// STOPPED tasks, oldest first, until they are forgotten.
    stopped: VecDeque<(SystemTime, u64)>,
    last_task: u64,
    daemons: Vec<daemons::Daemon>,
    /// What `RunTask` started, by cluster and client token.
    run_tokens: BTreeMap<(String, String), run_task::Started>,
    pulls_to_fail: VecDeque<String>,
    public_images: BTreeMap<String, Pulled>,
    /// Alarms in ALARM, for tests of this module alone.
    #[cfg(test)]
    red_alarms: std::collections::BTreeSet<String>,
}

/// A running task, as the alarms see it.
#[derive(Clone, Debug)]
pub struct RunningTask {
    /// Since when it has been RUNNING.
    pub since: SystemTime,
    /// How its containers' images behave.
    pub behaviours: Vec<crate::ecr::Behaviour>,
}

impl State {
    /// The RUNNING tasks of a service.
    #[must_use]
    pub fn running_tasks(&self, cluster: &str, service: &str) -> Vec<RunningTask> {
        let Some(service) = self.services.get(&ServiceKey::new(cluster, service)) else { return Vec::new() };
        self.live_tasks(service)
            .filter(|task| task.status == TaskStatus::Running)
            .filter_map(|task| {
                let behaviours = task.containers.iter().map(|container| container.behaviour.clone()).collect();
                task.started_at.map(|since| RunningTask { since, behaviours })
            })
            .collect()
    }
}

pub(crate) fn happen(world: &mut World, event: Event) {
    match event {
        Event::Task { task, step } => task_life::happen(world, task, step),
        Event::Look { cluster, service } => scheduler::happen(world, &ServiceKey { cluster, service }),
        Event::Deployment { arn, step } => deployments::happen(world, &arn, step),
    }
}

/// Task definitions are carried as raw JSON, so that members unknown to the SDK survive as they do at AWS.
fn dispatch_other(world: &mut World, call: &Call) -> Answer<Value> {
    match call.operation.as_str() {
        "RegisterTaskDefinition" => task_definitions::register(world, call),
        "DescribeTaskDefinition" => task_definitions::describe(world, call),
        "DeregisterTaskDefinition" => task_definitions::deregister(world, call),
        operation => Err(ErrorReply::unknown_operation(call.service.name(), operation)),
    }
}

crate::wire::typed_operations! { aws_sdk_ecs:
    "CreateCluster" => create_cluster::{CreateClusterInput, clusters::create},
    "DescribeClusters" => describe_clusters::{DescribeClustersInput, clusters::describe},
    "ListClusters" => list_clusters::{ListClustersInput, clusters::list},
    "ListTaskDefinitions" => list_task_definitions::{ListTaskDefinitionsInput, task_definitions::list},
    "ListTaskDefinitionFamilies" =>
        list_task_definition_families::{ListTaskDefinitionFamiliesInput, task_definitions::list_families},
    "CreateService" => create_service::{CreateServiceInput, services::create},
    "UpdateService" => update_service::{UpdateServiceInput, update::update},
    "DescribeServices" => describe_services::{DescribeServicesInput, describe::services},
    "ListServices" => list_services::{ListServicesInput, services::list},
    "DeleteService" => delete_service::{DeleteServiceInput, services::delete},
    "DescribeServiceDeployments" =>
        describe_service_deployments::{DescribeServiceDeploymentsInput, history::describe_deployments},
    "ListServiceDeployments" => list_service_deployments::{ListServiceDeploymentsInput, history::list_deployments},
    "DescribeServiceRevisions" => describe_service_revisions::{DescribeServiceRevisionsInput, history::describe_revisions},
    "StopServiceDeployment" => stop_service_deployment::{StopServiceDeploymentInput, history::stop},
    "ListTasks" => list_tasks::{ListTasksInput, tasks::list},
    "DescribeTasks" => describe_tasks::{DescribeTasksInput, tasks::describe},
    "RunTask" => run_task::{RunTaskInput, run_task::run},
    "StopTask" => stop_task::{StopTaskInput, tasks::stop},
    "ListDaemons" => list_daemons::{ListDaemonsInput, daemons::list},
    "DescribeDaemon" => describe_daemon::{DescribeDaemonInput, daemons::describe},
    "DescribeDaemonDeployments" =>
        describe_daemon_deployments::{DescribeDaemonDeploymentsInput, daemons::describe_deployments},
    "DescribeDaemonRevisions" =>
        describe_daemon_revisions::{DescribeDaemonRevisionsInput, daemons::describe_revisions},
    "ListDaemonTaskDefinitions" =>
        list_daemon_task_definitions::{ListDaemonTaskDefinitionsInput, daemons::list_definitions},
    "DescribeDaemonTaskDefinition" =>
        describe_daemon_task_definition::{DescribeDaemonTaskDefinitionInput, daemons::describe_definition},
    "TagResource" => tag_resource::{TagResourceInput, tags::tag},
    "UntagResource" => untag_resource::{UntagResourceInput, tags::untag},
    "ListTagsForResource" => list_tags_for_resource::{ListTagsForResourceInput, tags::list},
}
