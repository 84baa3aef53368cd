//! What invariant watchers and the demo's view read.

use std::time::SystemTime;

use super::Shortfall;
use super::State;
use super::images::with_digest;
use super::model::{ServiceKey, StopCause, TaskStatus};
use super::rollback::last_successful;

/// A service at one moment.
#[derive(Clone, Debug)]
pub struct ServiceView {
    /// The cluster's name.
    pub cluster: String,
    /// The service's name.
    pub service: String,
    /// The desired count.
    pub desired: u32,
    /// `minimumHealthyPercent` and `maximumPercent`.
    pub percents: (i32, i32),
    /// The lower bound of healthy tasks that the percents make, and the upper bound of RUNNING and starting ones.
    pub bounds: (usize, usize),
    /// The task definition of the PRIMARY deployment, by ARN.
    pub task_definition: String,
    /// The number of the PRIMARY deployment's revision (`ecs-svc/…`).
    pub primary: String,
    /// `status` of the current service deployment.
    pub deployment_status: String,
    /// Who made how many tasks missing.
    pub shortfall: Shortfall,
    /// All tasks that can still be described, oldest first.
    pub tasks: Vec<TaskView>,
}

/// A task at one moment.
#[derive(Clone, Debug)]
pub struct TaskView {
    /// Its id.
    pub id: String,
    /// The number of the service revision that it runs.
    pub revision: String,
    /// Its task definition, by ARN.
    pub task_definition: String,
    /// `lastStatus`.
    pub status: TaskStatus,
    /// Whether it counts as healthy for the lower bound.
    pub healthy: bool,
    /// Who or what stopped it, and whether it was healthy then; `None` while nobody did.
    pub stopped: Option<(StopCause, bool)>,
    /// When it began to stop, where it has.
    pub stopping: Option<SystemTime>,
    /// The digests its containers run, by container.
    pub digests: Vec<(String, Option<String>)>,
}

/// What a rollback of a service would go back to.
#[derive(Clone, Debug)]
pub struct RollbackTarget {
    /// Its task definition, by ARN.
    pub task_definition: String,
    /// Whether that is ACTIVE.
    pub active: bool,
    /// The images that its tasks ran, by digest. A deployment without any task is called successful, too, and ran none.
    pub images: Vec<String>,
}

impl ServiceView {
    /// How many tasks are starting or RUNNING and not asked to stop: what the upper bound limits.
    #[must_use]
    pub fn occupying(&self) -> usize {
        self.tasks.iter().filter(|task| task.stopped.is_none() && task.status <= TaskStatus::Running).count()
    }

    /// How many tasks are healthy: what the lower bound limits.
    #[must_use]
    pub fn healthy(&self) -> usize {
        self.tasks.iter().filter(|task| task.healthy).count()
    }

    /// How many tasks of the PRIMARY deployment, and of all others, are starting or RUNNING.
    #[must_use]
    pub fn new_and_old(&self) -> (usize, usize) {
        let occupying = self.tasks.iter().filter(|task| task.stopped.is_none());
        let (new, old): (Vec<_>, Vec<_>) = occupying.partition(|task| task.revision == self.primary);
        (new.len(), old.len())
    }
}

impl State {
    /// A service at this moment; `None` where there is none.
    #[must_use]
    pub fn view(&self, cluster: &str, service: &str) -> Option<ServiceView> {
        let mut view = self.outline(cluster, service)?;
        let key = ServiceKey::new(cluster, service);
        let tasks = self.tasks.values().filter(|task| task.service.as_ref() == Some(&key));
        let tasks = tasks.map(|task| TaskView {
            id: task.id.clone(),
            revision: task.revision.clone(),
            task_definition: task.task_definition.clone(),
            status: task.status,
            healthy: task.healthy,
            stopped: task.stop.as_ref().map(|stop| (stop.cause, stop.was_healthy)),
            stopping: task.stopping_at.or(task.stopped_at),
            digests: task.containers.iter().map(|one| (one.name.clone(), one.digest.clone())).collect(),
        });
        view.tasks = tasks.collect();
        Some(view)
    }

    /// A service without its tasks; cheap enough for a watcher that runs after every event.
    #[must_use]
    pub fn outline(&self, cluster: &str, service: &str) -> Option<ServiceView> {
        let service = self.services.get(&ServiceKey::new(cluster, service))?;
        let configuration = &service.configuration;
        Some(ServiceView {
            cluster: service.key.cluster.clone(),
            service: service.key.service.clone(),
            desired: u32::try_from(service.desired).unwrap_or_default(),
            percents: (
                configuration.minimum_healthy_percent.unwrap_or(100),
                configuration.maximum_percent.unwrap_or(200),
            ),
            bounds: (service.lower(), service.upper()),
            task_definition: service.echo.task_definition.clone().unwrap_or_default(),
            primary: service.deployments.first().map(|primary| primary.number.clone()).unwrap_or_default(),
            deployment_status: service
                .history
                .last()
                .map(|current| current.status.as_str().to_owned())
                .unwrap_or_default(),
            shortfall: service.shortfall,
            tasks: Vec::new(),
        })
    }

    /// What a rollback of a service would go back to; `None` where no deployment of it ever succeeded.
    #[must_use]
    pub fn rollback_target(&self, cluster: &str, service: &str) -> Option<RollbackTarget> {
        let service = self.services.get(&ServiceKey::new(cluster, service))?;
        let revision = service.revisions.get(&last_successful(service)?)?;
        let definition = self.definition(&revision.task_definition)?;
        let containers = definition.known.container_definitions.iter().flatten();
        let images = containers.filter_map(|container| {
            let pinned = revision.pins.get(container.name.as_ref()?)?;
            Some(with_digest(container.image.as_ref()?, pinned))
        });
        let (task_definition, active) = (definition.arn.clone(), definition.active);
        Some(RollbackTarget { task_definition, active, images: images.collect() })
    }

    /// The shortfall of a service alone; cheap enough for a watcher that runs after every event.
    #[must_use]
    pub fn shortfall(&self, cluster: &str, service: &str) -> Option<Shortfall> {
        self.services.get(&ServiceKey::new(cluster, service)).map(|service| service.shortfall)
    }

    /// Clusters and names of all services, in order.
    #[must_use]
    pub fn service_names(&self) -> Vec<(String, String)> {
        self.services.keys().map(|key| (key.cluster.clone(), key.service.clone())).collect()
    }
}
