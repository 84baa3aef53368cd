//! What ECS knows: clusters, task definitions, services with their deployments, tasks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, SystemTime};

use aws_sdk_ecs::operation::register_task_definition::RegisterTaskDefinitionInput;
use aws_sdk_ecs::types;
use serde_json::{Map, Value};

use super::Shortfall;
use crate::ecr::Behaviour;

/// A service by its cluster's and its own name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ServiceKey {
    pub(super) cluster: String,
    pub(super) service: String,
}

impl ServiceKey {
    pub(super) fn new(cluster: &str, service: &str) -> Self {
        Self { cluster: cluster.to_owned(), service: service.to_owned() }
    }
}

/// A cluster.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    pub(super) arn: String,
    pub(super) echo: types::Cluster,
    pub(super) tags: Vec<types::Tag>,
}

/// One revision of a task definition.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    pub(super) arn: String,
    pub(super) revision: i32,
    pub(super) active: bool,
    /// The request as it came, without `tags`.
    pub(super) raw: Map<String, Value>,
    /// What the SDK understands of it.
    pub(super) known: RegisterTaskDefinitionInput,
    pub(super) tags: Vec<types::Tag>,
    pub(super) registered_at: SystemTime,
    pub(super) deregistered_at: Option<SystemTime>,
    pub(super) registered_by: String,
}

/// A service's state of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServiceStatus {
    Active,
    Draining,
    Inactive,
}

impl ServiceStatus {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Draining => "DRAINING",
            Self::Inactive => "INACTIVE",
        }
    }
}

/// A service.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) key: ServiceKey,
    pub(super) arn: String,
    pub(super) status: ServiceStatus,
    pub(super) desired: i32,
    /// The members that are only stored and shown.
    pub(super) echo: types::Service,
    pub(super) configuration: types::DeploymentConfiguration,
    pub(super) controller: types::DeploymentControllerType,
    pub(super) rebalancing: types::AvailabilityZoneRebalancing,
    /// PRIMARY first.
    pub(super) deployments: Vec<Deployment>,
    /// Oldest first; the last is the current one.
    pub(super) history: Vec<ServiceDeployment>,
    pub(super) revisions: BTreeMap<String, Revision>,
    /// Newest first, at most a hundred.
    pub(super) events: VecDeque<types::ServiceEvent>,
    /// Tasks that are not STOPPED.
    pub(super) live: BTreeSet<u64>,
    pub(super) look_at: Option<SystemTime>,
    pub(super) steady: bool,
    pub(super) stuck_told: bool,
    /// Tasks in a row that did not reach RUNNING.
    pub(super) failed_starts: i32,
    /// No task is started before this date.
    pub(super) starts_again_at: Option<SystemTime>,
    /// Until when there is no capacity for its tasks.
    pub(super) crowded_until: Option<SystemTime>,
    pub(super) shortfall: Shortfall,
    pub(super) tags: Vec<types::Tag>,
    pub(super) client_token: Option<String>,
}

impl Service {
    /// Lower bound of healthy tasks: `ceil(desired × minimumHealthyPercent / 100)`.
    pub(super) fn lower(&self) -> usize {
        let percent = self.configuration.minimum_healthy_percent.unwrap_or(100);
        usize::try_from((i64::from(self.desired) * i64::from(percent) + 99) / 100).unwrap_or_default()
    }

    /// Upper bound of RUNNING and starting tasks: `floor(desired × maximumPercent / 100)`.
    pub(super) fn upper(&self) -> usize {
        let percent = self.configuration.maximum_percent.unwrap_or(200);
        usize::try_from(i64::from(self.desired) * i64::from(percent) / 100).unwrap_or_default()
    }

    pub(super) fn wanted(&self) -> usize {
        usize::try_from(self.desired).unwrap_or_default()
    }

    pub(super) fn has_load_balancer(&self) -> bool {
        self.echo.load_balancers.as_ref().is_some_and(|balancers| !balancers.is_empty())
    }

    /// The service deployment that is current, whether it runs or has ended.
    pub(super) fn current(&mut self) -> Option<&mut ServiceDeployment> {
        self.history.last_mut()
    }
}

/// One entry of a service's `deployments`.
///
/// Assumed: its id carries the number of its service revision, and a rollback makes the former entry PRIMARY again, as
/// the published event texts show ("rolling back to deployment ecs-svc/…" names the earlier deployment's id).
#[derive(Clone, Debug)]
pub(super) struct Deployment {
    /// The number in `ecs-svc/…` and at the end of the service revision's ARN.
    pub(super) number: String,
    pub(super) created_at: SystemTime,
    pub(super) updated_at: SystemTime,
    pub(super) rollout: types::DeploymentRolloutState,
    pub(super) reason: String,
    pub(super) failed_tasks: i32,
    /// Whether the scheduler may act for it: not while its service deployment is PENDING.
    pub(super) started: bool,
    /// No more tasks are started for it: failed, stalled, or about to be rolled back.
    pub(super) halted: bool,
}

/// One service revision: what its tasks run.
#[derive(Clone, Debug)]
pub(super) struct Revision {
    pub(super) arn: String,
    pub(super) task_definition: String,
    pub(super) echo: types::ServiceRevision,
    /// Container → digest, from the first task that pulled.
    pub(super) pins: BTreeMap<String, String>,
}

/// The story of one rollout.
#[derive(Clone, Debug)]
pub(super) struct ServiceDeployment {
    pub(super) arn: String,
    pub(super) created_at: SystemTime,
    pub(super) started_at: Option<SystemTime>,
    pub(super) finished_at: Option<SystemTime>,
    pub(super) stopped_at: Option<SystemTime>,
    pub(super) updated_at: SystemTime,
    /// Numbers of the revisions that ran when it began.
    pub(super) sources: Vec<String>,
    pub(super) target: String,
    pub(super) status: types::ServiceDeploymentStatus,
    pub(super) status_reason: Option<String>,
    pub(super) configuration: types::DeploymentConfiguration,
    pub(super) rollback: Option<Rollback>,
    pub(super) breaker: Option<types::ServiceDeploymentRollbackMonitorsStatus>,
    pub(super) failure_count: i32,
    pub(super) threshold: i32,
    pub(super) alarms: Option<AlarmWatch>,
    /// Until when the alarms are watched after all tasks are up.
    pub(super) bakes_until: Option<SystemTime>,
    /// The counts at its end, by revision number.
    pub(super) frozen: Option<BTreeMap<String, Counts>>,
}

impl ServiceDeployment {
    /// Whether it has come to its end.
    pub(super) fn ended(&self) -> bool {
        use types::ServiceDeploymentStatus::{RollbackFailed, RollbackSuccessful, Stopped, Successful};
        matches!(self.status, Successful | Stopped | RollbackSuccessful | RollbackFailed)
    }
}

/// Where a rollback goes, and why.
#[derive(Clone, Debug)]
pub(super) struct Rollback {
    pub(super) reason: String,
    pub(super) started_at: Option<SystemTime>,
    /// The number of the revision it goes back to.
    pub(super) to: String,
}

/// The alarms of one service deployment.
#[derive(Clone, Debug)]
pub(super) struct AlarmWatch {
    pub(super) names: Vec<String>,
    pub(super) rollback: bool,
    pub(super) triggered: Vec<String>,
    pub(super) status: types::ServiceDeploymentRollbackMonitorsStatus,
}

/// Tasks of one revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) requested: i32,
    pub(super) running: i32,
    pub(super) pending: i32,
}

/// `lastStatus`, in the order of a task's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskStatus {
    /// Network interface and capacity are being prepared.
    Provisioning,
    /// The images are being pulled.
    Pending,
    /// Containers start, targets are registered.
    Activating,
    /// All essential containers run.
    Running,
    /// Targets are deregistered and drain.
    Deactivating,
    /// The containers were asked to stop.
    Stopping,
    /// The network interface is given back.
    Deprovisioning,
    /// Over.
    Stopped,
}

impl TaskStatus {
    /// The word of `lastStatus`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Activating => "ACTIVATING",
            Self::Running => "RUNNING",
            Self::Deactivating => "DEACTIVATING",
            Self::Stopping => "STOPPING",
            Self::Deprovisioning => "DEPROVISIONING",
            Self::Stopped => "STOPPED",
        }
    }
}

/// Who or what stopped a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopCause {
    /// The scheduler, to make room for, or because of, another revision.
    Rollout,
    /// The scheduler, because fewer tasks are desired.
    ScaleIn,
    /// It could not start: image, architecture, pull throttle.
    FailedToStart,
    /// An essential container exited.
    Crash,
    /// The scheduler, because of failed health checks.
    Health,
    /// Somebody called `StopTask`.
    User,
    /// Its Spot capacity was reclaimed.
    Spot,
}

/// One task.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) cluster: String,
    pub(super) service: Option<ServiceKey>,
    /// The number of the service revision that it runs.
    pub(super) revision: String,
    pub(super) task_definition: String,
    pub(super) status: TaskStatus,
    pub(super) healthy: bool,
    pub(super) was_healthy: bool,
    pub(super) architecture: Architecture,
    pub(super) containers: Vec<Container>,
    pub(super) stop: Option<Stop>,
    pub(super) created_at: SystemTime,
    pub(super) pull_started_at: Option<SystemTime>,
    pub(super) pull_stopped_at: Option<SystemTime>,
    pub(super) started_at: Option<SystemTime>,
    pub(super) stopping_at: Option<SystemTime>,
    pub(super) execution_stopped_at: Option<SystemTime>,
    pub(super) stopped_at: Option<SystemTime>,
    pub(super) version: i64,
    pub(super) interface: Option<Interface>,
    pub(super) zone: String,
    pub(super) tags: Vec<types::Tag>,
    /// Members that come from the task definition and the service.
    pub(super) echo: types::Task,
}

impl Task {
    /// Counts towards the upper bound: starting or RUNNING, and nobody asked it to stop.
    pub(super) fn occupies(&self) -> bool {
        self.stop.is_none() && self.status <= TaskStatus::Running
    }
}

/// The processor a task needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Architecture {
    Amd64,
    Arm64,
}

impl Architecture {
    /// As image indexes name it.
    pub(super) fn of_images(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// As the attribute `ecs.cpu-architecture` names it.
    pub(super) fn of_tasks(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }
}

/// A task's network interface (network mode `awsvpc`).
#[derive(Clone, Debug)]
pub(super) struct Interface {
    pub(super) attachment: String,
    pub(super) interface: String,
    pub(super) address: String,
    pub(super) mac: String,
    pub(super) subnet: String,
}

/// Why a task stops.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    pub(super) cause: StopCause,
    pub(super) code: types::TaskStopCode,
    pub(super) reason: String,
    /// Whether it was healthy when it was asked to stop.
    pub(super) was_healthy: bool,
    /// Whether it outlasts its `stopTimeout` and is killed.
    pub(super) killed: bool,
}

/// One container of a task.
#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) essential: bool,
    /// How long its health check may fail; `None` where it has none.
    pub(super) patience: Option<Duration>,
    pub(super) stop_timeout: Duration,
    /// Group and prefix of the `awslogs` driver.
    pub(super) log: Option<(String, String)>,
    pub(super) pinned: bool,
    pub(super) cpu: i32,
    pub(super) memory: Option<i32>,
    pub(super) arn_id: String,
    pub(super) runtime_id: Option<String>,
    pub(super) digest: Option<String>,
    pub(super) behaviour: Behaviour,
    pub(super) status: &'static str,
    pub(super) health: types::HealthStatus,
    pub(super) exit_code: Option<i32>,
    pub(super) reason: Option<String>,
}
