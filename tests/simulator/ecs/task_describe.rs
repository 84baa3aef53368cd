//! A task as AWS shows it.

use std::time::SystemTime;

use aws_sdk_ecs::types::{self, Connectivity, HealthStatus, KeyValuePair};

use super::State;
use super::model::{Container, Interface, Task, TaskStatus};
use super::rules::date;
use crate::World;

impl State {
    /// Whether a task can still be described: STOPPED tasks for an hour.
    pub(super) fn remembers(&self, task: &Task, now: SystemTime) -> bool {
        task.stopped_at.is_none_or(|at| at + self.pace.remembered >= now)
    }
}

impl Task {
    pub(super) fn shape(&self, world: &World, with_tags: bool) -> types::Task {
        let arn = world.arn("ecs", &format!("task/{}/{}", self.cluster, self.id));
        let mut shape = self.echo.clone();
        shape.cluster_arn = Some(world.arn("ecs", &format!("cluster/{}", self.cluster)));
        shape.task_definition_arn = Some(self.task_definition.clone());
        shape.availability_zone = Some(self.zone.clone());
        shape.last_status = Some(self.status.name().into());
        shape.desired_status = Some(if self.stop.is_some() { "STOPPED" } else { "RUNNING" }.into());
        shape.health_status = Some(self.health());
        shape.version = self.version;
        shape.created_at = Some(date(self.created_at));
        shape.pull_started_at = self.pull_started_at.map(date);
        shape.pull_stopped_at = self.pull_stopped_at.map(date);
        shape.started_at = self.started_at.map(date);
        shape.stopping_at = self.stopping_at.map(date);
        shape.execution_stopped_at = self.execution_stopped_at.map(date);
        shape.stopped_at = self.stopped_at.map(date);
        if let Some(stop) = &self.stop {
            shape.stop_code = Some(stop.code.clone());
            shape.stopped_reason = Some(stop.reason.clone());
        }
        if let Some(at) = self.pull_started_at {
            shape.connectivity = Some(Connectivity::Connected);
            shape.connectivity_at = Some(date(at));
        }
        let architecture =
            types::Attribute::builder().name("ecs.cpu-architecture").value(self.architecture.of_tasks()).build();
        shape.attributes = architecture.ok().map(|attribute| vec![attribute]);
        shape.attachments = Some(self.interface.iter().map(|interface| attachment(interface, self.status)).collect());
        shape.containers =
            Some(self.containers.iter().map(|container| self.container_shape(world, &arn, container)).collect());
        shape.tags = Some(if with_tags { self.tags.clone() } else { Vec::new() });
        shape.inference_accelerators = Some(Vec::new());
        shape.task_arn = Some(arn);
        shape
    }

    /// Of the essential containers with a health check; UNKNOWN where there is none.
    fn health(&self) -> HealthStatus {
        let checked: Vec<_> =
            self.containers.iter().filter(|container| container.essential && container.patience.is_some()).collect();
        if checked.iter().any(|container| container.health == HealthStatus::Unhealthy) {
            HealthStatus::Unhealthy
        } else if !checked.is_empty() && checked.iter().all(|container| container.health == HealthStatus::Healthy) {
            HealthStatus::Healthy
        } else {
            HealthStatus::UnknownValue
        }
    }

    fn container_shape(&self, world: &World, task_arn: &str, container: &Container) -> types::Container {
        let path = format!("container/{}/{}/{}", self.cluster, self.id, container.arn_id);
        let interfaces = self.interface.iter().map(|interface| {
            types::NetworkInterface::builder()
                .attachment_id(&interface.attachment)
                .private_ipv4_address(&interface.address)
                .build()
        });
        types::Container::builder()
            .container_arn(world.arn("ecs", &path))
            .task_arn(task_arn)
            .name(&container.name)
            .image(&container.image)
            .set_image_digest(container.digest.clone())
            .set_runtime_id(container.runtime_id.clone())
            .last_status(container.status)
            .set_exit_code(container.exit_code)
            .set_reason(container.reason.clone())
            .set_network_bindings(Some(Vec::new()))
            .set_network_interfaces(Some(interfaces.collect()))
            .health_status(container.health.clone())
            .cpu(container.cpu.to_string())
            .set_memory(container.memory.map(|memory| memory.to_string()))
            .build()
    }
}

fn attachment(interface: &Interface, status: TaskStatus) -> types::Attachment {
    let detail = |name: &str, value: &str| KeyValuePair::builder().name(name).value(value).build();
    let status = match status {
        TaskStatus::Provisioning => "PRECREATED",
        TaskStatus::Stopped => "DELETED",
        _ => "ATTACHED",
    };
    types::Attachment::builder()
        .id(&interface.attachment)
        .r#type("ElasticNetworkInterface")
        .status(status)
        .details(detail("subnetId", &interface.subnet))
        .details(detail("networkInterfaceId", &interface.interface))
        .details(detail("macAddress", &interface.mac))
        .details(detail("privateIPv4Address", &interface.address))
        .build()
}
