//! The steps of a path from something that runs to an image, for people.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};

/// A step of a path. `Display` gives the words: `service prod/app`, `deployment ecs-svc/123`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// An ECS service: cluster and name.
    Service(Arc<str>, Arc<str>),
    /// An Express service, by name.
    ExpressService(Arc<str>),
    /// A deployment of a service, `ecs-svc/…`.
    Deployment(Box<str>),
    /// A service deployment that was successful, by id, with its date.
    ServiceDeployment(Box<str>, Option<DateTime<Utc>>),
    /// A service revision, by id.
    ServiceRevision(Box<str>),
    /// A task set, by id.
    TaskSet(Box<str>),
    /// A task: cluster and id.
    Task(Arc<str>, Box<str>),
    /// A daemon: cluster and name.
    Daemon(Arc<str>, Arc<str>),
    /// A daemon's revision.
    DaemonRevision(Box<str>),
    /// A task definition, `family:revision`.
    TaskDefinition(Box<str>),
    /// A container, by name.
    Container(Arc<str>),
    /// A Lambda function, and a version or alias of it.
    Function(Arc<str>, Box<str>),
    /// A `CodeBuild` project.
    Project(Box<str>),
    /// An `EventBridge` rule: bus and name.
    Rule(Box<str>, Box<str>),
    /// A target of a rule, by id.
    Target(Box<str>),
    /// A schedule: group and name.
    Schedule(Box<str>, Box<str>),
    /// A release in the worker's ledger.
    Release(Box<str>),
    /// A line of a keep-list: file and number, from 1.
    KeepList(Arc<str>, u32),
    /// Anything else, in words. A new source begins with this.
    Other(Box<str>),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(cluster, name) => write!(f, "service {cluster}/{name}"),
            Self::ExpressService(name) => write!(f, "Express service {name}"),
            Self::Deployment(id) => write!(f, "deployment {id}"),
            Self::ServiceDeployment(id, None) => write!(f, "successful deployment {id}"),
            Self::ServiceDeployment(id, Some(at)) => {
                write!(f, "successful deployment {id} of {}", at.format("%Y-%m-%d %H:%M"))
            }
            Self::ServiceRevision(id) => write!(f, "service revision {id}"),
            Self::TaskSet(id) => write!(f, "task set {id}"),
            Self::Task(cluster, id) => write!(f, "task {cluster}/{id}"),
            Self::Daemon(cluster, name) => write!(f, "daemon {cluster}/{name}"),
            Self::DaemonRevision(id) => write!(f, "daemon revision {id}"),
            Self::TaskDefinition(name) => write!(f, "task definition {name}"),
            Self::Container(name) => write!(f, "container {name}"),
            Self::Function(name, version) => write!(f, "function {name}:{version}"),
            Self::Project(name) => write!(f, "build project {name}"),
            Self::Rule(bus, name) => write!(f, "rule {bus}/{name}"),
            Self::Target(id) => write!(f, "target {id}"),
            Self::Schedule(group, name) => write!(f, "schedule {group}/{name}"),
            Self::Release(id) => write!(f, "release {id}"),
            Self::KeepList(file, line) => write!(f, "keep-list {file}:{line}"),
            Self::Other(words) => f.write_str(words),
        }
    }
}
