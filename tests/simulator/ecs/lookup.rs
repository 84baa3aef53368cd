//! From the names and ARNs in requests to what they name.

use aws_sdk_ecs::types::error;

use super::State;
use super::model::{Definition, Service, ServiceKey, ServiceStatus, Task};
use super::rules::{client_error, invalid_parameter};
use crate::{Answer, ErrorReply};

/// `ClusterNotFoundException`.
pub(super) fn no_cluster() -> ErrorReply {
    ErrorReply::of(&error::ClusterNotFoundException::builder().message("Cluster not found.").build())
}

/// `ServiceNotFoundException`.
pub(super) fn no_service() -> ErrorReply {
    ErrorReply::of(&error::ServiceNotFoundException::builder().message("Service not found.").build())
}

/// The last part of an ARN, or the name itself.
pub(super) fn short(name_or_arn: &str) -> &str {
    name_or_arn.rsplit('/').next().unwrap_or(name_or_arn)
}

impl State {
    /// The name of the cluster that a request means; `default` where it names none.
    pub(super) fn cluster_name(&self, given: Option<&str>) -> Answer<String> {
        let name = short(given.unwrap_or("default"));
        if self.clusters.contains_key(name) { Ok(name.to_owned()) } else { Err(no_cluster()) }
    }

    /// The key of the service that a request means, whether there is one or not. A service's ARN may name another
    /// cluster than the request; then there is no such service.
    pub(super) fn service_key(&self, cluster: &str, given: &str) -> ServiceKey {
        let mut parts = given.rsplit('/');
        let name = parts.next().unwrap_or(given);
        let named = parts.next().filter(|_| given.starts_with("arn:") && given.matches('/').count() == 2);
        if named.is_some_and(|named| named != cluster) {
            return ServiceKey::new("", name);
        }
        ServiceKey::new(cluster, name)
    }

    /// A service that can be changed.
    pub(super) fn active_service(&self, cluster: Option<&str>, given: Option<&str>) -> Answer<ServiceKey> {
        let cluster = self.cluster_name(cluster)?;
        let given =
            given.filter(|given| !given.is_empty()).ok_or_else(|| invalid_parameter("Service cannot be empty."))?;
        let key = self.service_key(&cluster, given);
        match self.services.get(&key).map(|service| service.status) {
            None => Err(no_service()),
            Some(ServiceStatus::Active) => Ok(key),
            Some(_) => {
                let refusal = error::ServiceNotActiveException::builder().message("Service was not ACTIVE.").build();
                Err(ErrorReply::of(&refusal))
            }
        }
    }

    /// A task definition by ARN, `family:revision` or `family` (its newest ACTIVE revision).
    pub(super) fn definition(&self, given: &str) -> Option<&Definition> {
        let name = given.rsplit_once(":task-definition/").map_or(given, |(_, name)| name);
        match name.split_once(':') {
            Some((family, revision)) => self.families.get(family)?.get(&revision.parse().ok()?),
            None => self.families.get(name)?.values().rev().find(|definition| definition.active),
        }
    }

    /// A task definition that tasks may be started from by a new deployment.
    pub(super) fn active_definition(&self, given: &str) -> Answer<&Definition> {
        match self.definition(given) {
            None => Err(client_error("TaskDefinition not found.")),
            Some(definition) if !definition.active => Err(client_error("TaskDefinition is inactive")),
            Some(definition) => Ok(definition),
        }
    }

    /// A task by id or ARN, in a cluster.
    pub(super) fn task(&self, cluster: &str, given: &str) -> Option<(u64, &Task)> {
        let number = *self.task_numbers.get(short(given))?;
        let task = self.tasks.get(&number)?;
        (task.cluster == cluster).then_some((number, task))
    }

    /// The tasks of a service that are not STOPPED, oldest first.
    pub(super) fn live_tasks<'a>(&'a self, service: &'a Service) -> impl Iterator<Item = &'a Task> {
        service.live.iter().filter_map(|number| self.tasks.get(number))
    }

    /// The service that has a service deployment, by ARN, and the deployment's place in its history.
    pub(super) fn service_deployment(&self, arn: &str) -> Option<(&Service, usize)> {
        self.service_of_child(arn, "service-deployment").and_then(|service| {
            let place = service.history.iter().position(|deployment| deployment.arn == arn)?;
            Some((service, place))
        })
    }

    /// The service in whose name the ARN of a service deployment or revision is.
    pub(super) fn service_of_child(&self, arn: &str, kind: &str) -> Option<&Service> {
        let mut parts = arn.split_once(&format!(":{kind}/"))?.1.split('/');
        let key = ServiceKey::new(parts.next()?, parts.next()?);
        self.services.get(&key)
    }
}
