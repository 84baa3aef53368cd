//! Where references are read, and whether a source was read to the end.

use std::fmt;

use coalmine_pipeline::Home;
use serde::{Deserialize, Serialize};

/// A kind of place in which images are referred to. Each is read per account and Region, but for the last two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// ECR itself: repositories, images, replication, of the registry that is cleaned.
    Registry,
    /// Manifests of indexes, of the registry that is cleaned.
    Manifests,
    /// ECS task definitions.
    TaskDefinitions,
    /// ECS services with deployments, task sets and service revisions; Express services too.
    Services,
    /// The last successful service deployments of ECS services.
    ServiceDeployments,
    /// ECS tasks.
    Tasks,
    /// ECS daemons.
    Daemons,
    /// Lambda functions, every version and alias.
    Lambda,
    /// `CodeBuild` projects.
    CodeBuild,
    /// `EventBridge` rules whose targets run ECS tasks.
    Rules,
    /// `EventBridge` Scheduler's schedules that run ECS tasks.
    Schedules,
    /// The worker's ledger: what a rollback may return to.
    Ledger,
    /// Files of references that people or other programs keep.
    KeepLists,
}

impl Source {
    /// All of them, in the order in which they are reported.
    pub const ALL: [Self; 13] = [
        Self::Registry,
        Self::Manifests,
        Self::TaskDefinitions,
        Self::Services,
        Self::ServiceDeployments,
        Self::Tasks,
        Self::Daemons,
        Self::Lambda,
        Self::CodeBuild,
        Self::Rules,
        Self::Schedules,
        Self::Ledger,
        Self::KeepLists,
    ];

    /// Those that are read in every place, in the order in which they are read: a reference can only move ahead of it, from
    /// what starts tasks to a task definition, to a service, to a task. Tasks come last, so that little time passes between
    /// the look at them and a deletion.
    pub const IN_PLACES: [Self; 9] = [
        Self::Lambda,
        Self::CodeBuild,
        Self::Rules,
        Self::Schedules,
        Self::Daemons,
        Self::TaskDefinitions,
        Self::Services,
        Self::ServiceDeployments,
        Self::Tasks,
    ];

    /// How reports call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registry => "ECR repositories and images",
            Self::Manifests => "ECR manifests",
            Self::TaskDefinitions => "ECS task definitions",
            Self::Services => "ECS services",
            Self::ServiceDeployments => "ECS service deployments",
            Self::Tasks => "ECS tasks",
            Self::Daemons => "ECS daemons",
            Self::Lambda => "Lambda functions",
            Self::CodeBuild => "CodeBuild projects",
            Self::Rules => "EventBridge rules",
            Self::Schedules => "EventBridge schedules",
            Self::Ledger => "the worker's ledger",
            Self::KeepLists => "keep-lists",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How far a source was read in one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceReport {
    /// Which source.
    pub source: Source,
    /// Where; `None` for the ledger and keep-lists.
    pub home: Option<Home>,
    /// How far.
    pub reach: Reach,
}

/// How far a source was read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// To the end: every page, and nothing in `failures[]` but what is gone.
    Complete,
    /// To the end, and so many releases were found: a ledger with none is told of, for it may be the wrong one.
    Releases(usize),
    /// Switched off in the policy. Reports name it.
    Off,
    /// Not read, because the policy alone keeps every image.
    NotNeeded,
    /// Not to the end. Nothing is deleted.
    Incomplete {
        /// What is missing, and what to do about it: `ListTasks in cluster prod: access denied, allow ecs:ListTasks`.
        why: String,
    },
}

impl fmt::Display for SourceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)?;
        if let Some(home) = &self.home {
            write!(f, " in {home}")?;
        }
        match &self.reach {
            Reach::Complete => f.write_str(": complete"),
            Reach::Releases(count) => write!(f, ": complete, {count} releases that can be returned to"),
            Reach::Off => f.write_str(": switched off"),
            Reach::NotNeeded => f.write_str(": not needed, for the policy alone keeps every image"),
            Reach::Incomplete { why } => write!(f, ": incomplete: {why}"),
        }
    }
}
