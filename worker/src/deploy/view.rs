//! What was seen of the world, as plain values. The adapters in `aws/` make them; decisions read nothing else.

use std::collections::BTreeMap;

use crate::deploy::batch::Percents;
use crate::deploy::revision::Revision;

/// A date.
pub type Time = chrono::DateTime<chrono::Utc>;

/// One ECS service, from `DescribeServices`.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// The cluster's name.
    pub cluster: String,
    /// The service's name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// `ACTIVE`, `DRAINING` or `INACTIVE`.
    pub status: String,
    /// The deployment controller: `ECS`, `CODE_DEPLOY`, `EXTERNAL`.
    pub controller: String,
    /// The deployment strategy: `ROLLING`, `BLUE_GREEN`, `LINEAR`, `CANARY`.
    pub strategy: String,
    /// `REPLICA` or `DAEMON`.
    pub scheduling: String,
    /// Tasks wanted.
    pub desired: u32,
    /// Tasks in state RUNNING.
    pub running: u32,
    /// Tasks in state PENDING.
    pub pending: u32,
    /// The revision that the service is told to run.
    pub revision: Revision,
    /// The rollouts that still have tasks; the newest is `PRIMARY`.
    pub rollouts: Vec<Rollout>,
    /// The ARN of the newest service deployment, where AWS says it.
    pub current_deployment: Option<String>,
    /// The percents in force.
    pub percents: Percents,
    /// The whole `deploymentConfiguration` as AWS wrote it, to be sent back with other percents.
    pub configuration: serde_json::Value,
    /// Whether `availabilityZoneRebalancing` is ENABLED.
    pub rebalancing: bool,
    /// The target groups' ARNs.
    pub target_groups: Vec<String>,
    /// The newest events, newest first, at most ten.
    pub events: Vec<String>,
    /// Its placement constraints: `distinctInstance`, or an expression.
    pub constraints: Vec<String>,
}

/// One element of a service's `deployments`: the tasks of one rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// `ecs-svc/…`: what its tasks carry in `startedBy`.
    pub id: String,
    /// `PRIMARY`, `ACTIVE` or `INACTIVE`.
    pub status: String,
    /// `COMPLETED`, `IN_PROGRESS`, `FAILED`; empty where AWS says nothing.
    pub state: String,
    /// AWS's words for the state.
    pub reason: String,
    /// What its tasks run.
    pub revision: Revision,
    /// When it was created.
    pub created: Option<Time>,
    /// Tasks wanted.
    pub desired: u32,
    /// Tasks in state RUNNING.
    pub running: u32,
    /// Tasks in state PENDING.
    pub pending: u32,
    /// Failed tasks since the last that ran.
    pub failed: u32,
}

impl Service {
    /// The rollout that new tasks belong to.
    #[must_use]
    pub fn primary(&self) -> Option<&Rollout> {
        self.rollouts.iter().find(|rollout| rollout.status == "PRIMARY")
    }

    /// The rollout of a revision.
    #[must_use]
    pub fn rollout_of(&self, revision: &Revision) -> Option<&Rollout> {
        self.rollouts.iter().find(|rollout| rollout.revision == *revision)
    }

    /// Whether this view is older than a deployment of `revision`: reads may lag behind writes, each kind by itself.
    #[must_use]
    pub fn predates(&self, deployment: &Deployment, revision: &Revision) -> bool {
        let newest = self.rollouts.iter().filter_map(|rollout| rollout.created).max();
        self.rollout_of(revision).is_none() && newest.is_some() && newest < deployment.created
    }

    /// Whether a rollout is under way.
    #[must_use]
    pub fn is_rolling(&self) -> bool {
        self.rollouts.len() > 1 || self.primary().is_some_and(|primary| primary.state == "IN_PROGRESS")
    }

    /// Whether lifecycle hooks take part in its deployments.
    #[must_use]
    pub fn has_hooks(&self) -> bool {
        self.configuration
            .get("lifecycleHooks")
            .and_then(|hooks| hooks.as_array())
            .is_some_and(|hooks| !hooks.is_empty())
    }

    /// `cluster/name`, as messages name a service.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}/{}", self.cluster, self.name)
    }
}

/// A service deployment, from `DescribeServiceDeployments`.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// Its ARN.
    pub arn: String,
    /// Where it stands.
    pub status: DeploymentStatus,
    /// AWS's words for the status.
    pub reason: String,
    /// The ARN of the service revision that it brings.
    pub target: String,
    /// Why ECS rolled it back, where it did.
    pub rollback_reason: Option<String>,
    /// Whether the circuit breaker triggered.
    pub breaker_triggered: bool,
    /// The alarms that triggered.
    pub alarms_triggered: Vec<String>,
    /// When it was created.
    pub created: Option<Time>,
    /// When it ended.
    pub finished: Option<Time>,
}

/// `ServiceDeploymentStatus`. There is no FAILED at AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeploymentStatus {
    /// PENDING or `IN_PROGRESS`.
    Running,
    /// SUCCESSFUL.
    Successful,
    /// `STOP_REQUESTED` or STOPPED.
    Stopped,
    /// `ROLLBACK_REQUESTED` or `ROLLBACK_IN_PROGRESS`.
    RollingBack,
    /// `ROLLBACK_SUCCESSFUL`.
    RolledBack,
    /// `ROLLBACK_FAILED`.
    RollbackFailed,
    /// A value that is newer than this program: never a verdict.
    Other(String),
}

impl From<&str> for DeploymentStatus {
    fn from(status: &str) -> Self {
        match status {
            "PENDING" | "IN_PROGRESS" => Self::Running,
            "SUCCESSFUL" => Self::Successful,
            "STOP_REQUESTED" | "STOPPED" => Self::Stopped,
            "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS" => Self::RollingBack,
            "ROLLBACK_SUCCESSFUL" => Self::RolledBack,
            "ROLLBACK_FAILED" => Self::RollbackFailed,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// A service revision, from `DescribeServiceRevisions`; immutable but for the digests, which come with the first task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRevision {
    /// Its ARN.
    pub arn: String,
    /// The task definition.
    pub revision: Revision,
    /// Container name → digest that ECS pinned.
    pub digests: BTreeMap<String, String>,
}

/// One task, from `DescribeTasks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The id, the ARN's last part.
    pub id: String,
    /// The rollout (`ecs-svc/…`) that started it.
    pub started_by: String,
    /// When it was created.
    pub created: Option<Time>,
    /// What it runs.
    pub revision: Revision,
    /// `RUNNING`, `STOPPED`, …
    pub last_status: String,
    /// `HEALTHY`, `UNHEALTHY`, `UNKNOWN`.
    pub health: String,
    /// `EssentialContainerExited`, …; empty while it runs.
    pub stop_code: String,
    /// AWS's words for the stop.
    pub stopped_reason: String,
    /// Its containers.
    pub containers: Vec<Container>,
}

impl Task {
    /// Whether it is all over; before that its exit codes may be missing.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.last_status == "STOPPED"
    }
}

/// One container of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name in the task definition.
    pub name: String,
    /// The manifest digest that it runs, where the agent reported one.
    pub digest: Option<String>,
    /// Its exit code, once it ended.
    pub exit_code: Option<i32>,
    /// AWS's words for its end.
    pub reason: String,
}

/// An alarm, from `DescribeAlarms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Its name.
    pub name: String,
    /// `OK`, `ALARM`, `INSUFFICIENT_DATA`.
    pub state: String,
    /// CloudWatch's words for the state.
    pub reason: String,
    /// The metric's dimensions; empty for a composite alarm.
    pub dimensions: Vec<(String, String)>,
}

impl Alarm {
    /// Whether it is red.
    #[must_use]
    pub fn is_red(&self) -> bool {
        self.state == "ALARM"
    }

    /// Whether a dimension names the service or one of its target groups. The cluster's name says nothing: it may be
    /// equal to the service's.
    #[must_use]
    pub fn names(&self, service: &Service) -> bool {
        self.dimensions.iter().filter(|(name, _)| name != "ClusterName").any(|(_, value)| {
            *value == service.name || service.target_groups.iter().any(|group| group.ends_with(&format!(":{value}")))
        })
    }
}
