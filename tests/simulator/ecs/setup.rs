//! How stories build their world, and act in it as people, autoscaling and AWS do.

use std::time::{Duration, SystemTime};

use aws_sdk_ecs::operation::create_cluster::CreateClusterInput;
use aws_sdk_ecs::operation::create_service::CreateServiceInput;
use aws_sdk_ecs::types;
use serde_json::{Map, Value, json};

use super::lookup::no_service;
use super::model::{ServiceKey, TaskStatus};
use super::rules::date;
use super::{
    Event, State, Step, clusters, deployments, images, scheduler, services, task_definitions, task_life, update,
};
use crate::ecr::Pulled;
use crate::{Answer, Call, World, call, wire};

/// A service that has been running for a while.
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    /// The cluster's name; it is made where it is missing.
    pub cluster: String,
    /// The service's name.
    pub service: String,
    /// The JSON of `RegisterTaskDefinition`; a new revision of its family is registered.
    pub task_definition: Value,
    /// How many tasks.
    pub desired_count: i32,
    /// Further members of `CreateService`, `{"deploymentConfiguration": …, "loadBalancers": …}`. A network configuration
    /// is made up where the task definition needs one, and FARGATE where nothing says otherwise.
    pub further: Value,
    /// Whether it has been running for a while. Otherwise its first deployment begins now, with whatever its image does.
    pub settled: bool,
}

impl ServiceSpec {
    /// A service with AWS's defaults.
    #[must_use]
    pub fn new(cluster: &str, service: &str, task_definition: Value, desired_count: i32) -> Self {
        Self {
            cluster: cluster.into(),
            service: service.into(),
            task_definition,
            desired_count,
            further: Value::Object(Map::new()),
            settled: true,
        }
    }

    /// The same, made this moment: its first deployment begins.
    #[must_use]
    pub fn just_made(mut self) -> Self {
        self.settled = false;
        self
    }

    /// The same with further members of `CreateService`.
    #[must_use]
    pub fn with(mut self, further: Value) -> Self {
        self.further = further;
        self
    }
}

impl World {
    /// Makes a cluster; one that is there stays.
    ///
    /// # Errors
    /// What `CreateCluster` refuses.
    pub fn add_cluster(&mut self, name: &str) -> Answer<()> {
        let raw = json!({ "clusterName": name });
        let call = self.inside_call("CreateCluster", &raw);
        let input = wire::lenient_from_value(&raw, |d| CreateClusterInput::deserialize(d))?;
        clusters::create(self, &call, input).map(|_| ())
    }

    /// Registers a task definition from the JSON of `RegisterTaskDefinition`; its ARN.
    ///
    /// # Errors
    /// What `RegisterTaskDefinition` refuses.
    pub fn add_task_definition(&mut self, raw: &Value) -> Answer<String> {
        self.add_task_definition_at(raw, self.now)
    }

    /// Registers a task definition as if that had been at another date; its ARN.
    ///
    /// # Errors
    /// What `RegisterTaskDefinition` refuses.
    pub fn add_task_definition_at(&mut self, raw: &Value, at: SystemTime) -> Answer<String> {
        let (family, revision) = task_definitions::add(self, raw, "operator")?;
        let revisions = self.ecs.families.get_mut(&family);
        if let Some(definition) = revisions.and_then(|revisions| revisions.get_mut(&revision)) {
            definition.registered_at = at;
        }
        Ok(self.arn("ecs", &format!("task-definition/{family}:{revision}")))
    }

    /// Makes a service that, where it is to be settled, is steady from the start: all tasks RUNNING and healthy, its one service deployment
    /// SUCCESSFUL, the digests of its images pinned. The service's ARN.
    ///
    /// # Errors
    /// What `RegisterTaskDefinition` and `CreateService` refuse, and images that cannot be pulled.
    pub fn add_service(&mut self, spec: ServiceSpec) -> Answer<String> {
        self.add_cluster(&spec.cluster)?;
        let task_definition = self.add_task_definition(&spec.task_definition)?;
        let mut raw = json!({
            "cluster": spec.cluster,
            "serviceName": spec.service,
            "taskDefinition": task_definition,
            "desiredCount": spec.desired_count,
        });
        let awsvpc = spec.task_definition.get("networkMode").is_some_and(|mode| mode == "awsvpc");
        if let (Some(members), Some(further)) = (raw.as_object_mut(), spec.further.as_object()) {
            members.extend(further.clone());
            if awsvpc {
                members.entry("networkConfiguration").or_insert_with(|| {
                    let subnets = ["subnet-0a1b2c3d4e5f60718", "subnet-0b1c2d3e4f5061728"];
                    json!({ "awsvpcConfiguration": {
                        "subnets": subnets, "securityGroups": ["sg-0123456789abcdef0"], "assignPublicIp": "DISABLED",
                    }})
                });
            }
            if !members.contains_key("capacityProviderStrategy") {
                members.entry("launchType").or_insert_with(|| "FARGATE".into());
            }
        }
        let input = wire::from_value(&raw, CreateServiceInput::SCHEMA, |d| CreateServiceInput::deserialize(d))?;
        let key = services::add(self, input)?;
        let arn = self.arn("ecs", &format!("service/{}/{}", key.cluster, key.service));
        if !spec.settled {
            scheduler::request(self, &key);
            return Ok(arn);
        }
        deployments::start(self, &key);
        for _ in 0..spec.desired_count {
            self.add_running_task(&key)?;
        }
        // Without the bake that alarms would ask for: the service has been running for a while.
        deployments::complete(self, &key);
        deployments::progress(self, &key);
        Ok(arn)
    }

    fn add_running_task(&mut self, key: &ServiceKey) -> Answer<()> {
        let Some(number) = task_life::create(self, key) else { return Err(no_service()) };
        images::pull(self, number).map_err(super::rules::client_error)?;
        let now = self.now;
        if let Some(task) = self.ecs.tasks.get_mut(&number) {
            task.status = TaskStatus::Running;
            task.pull_started_at = Some(now);
            task.pull_stopped_at = Some(now);
            task.started_at = Some(now);
            for container in &mut task.containers {
                container.status = "RUNNING";
            }
        }
        task_life::healthy(self, number);
        Ok(())
    }

    fn inside_call(&self, operation: &str, raw: &Value) -> Call {
        Call::from_inside(self, call::Service::Ecs, operation, "operator", raw.clone())
    }

    /// Gives a service of the controller EXTERNAL or `CODE_DEPLOY` a task set, which stands in for its deployments. No task
    /// is run for it. The task set's ARN.
    ///
    /// # Errors
    /// When there is no such service or task definition.
    pub fn add_task_set(&mut self, cluster: &str, service: &str, task_definition: &str) -> Answer<String> {
        let id = format!("ecs-svc/{}", self.rng.u64(1_000_000_000_000_000_000..=9_223_372_036_854_775_807));
        let arn = self.arn("ecs", &format!("task-set/{cluster}/{service}/{id}"));
        let definition = self.ecs.active_definition(task_definition)?.arn.clone();
        let now = date(self.now);
        let found = self.ecs.services.get_mut(&ServiceKey::new(cluster, service)).ok_or_else(no_service)?;
        let sets = found.echo.task_sets.get_or_insert_default();
        let status = if sets.is_empty() { "PRIMARY" } else { "ACTIVE" };
        let set = types::TaskSet::builder().id(id).task_set_arn(&arn).service_arn(&found.arn).status(status);
        let set = set.task_definition(definition).created_at(now).updated_at(now);
        sets.push(set.stability_status(types::StabilityStatus::SteadyState).build());
        Ok(arn)
    }

    /// Lets ECS manage a service, as it does those of Express Mode.
    ///
    /// # Errors
    /// When there is no such service.
    pub fn manage_by_ecs(&mut self, cluster: &str, service: &str) -> Answer<()> {
        let found = self.ecs.services.get_mut(&ServiceKey::new(cluster, service)).ok_or_else(no_service)?;
        found.echo.resource_management_type = Some(types::ResourceManagementType::Ecs);
        Ok(())
    }

    /// Changes a service's desired count, as autoscaling does.
    ///
    /// # Errors
    /// `ServiceNotFoundException`.
    pub fn set_desired_count(&mut self, cluster: &str, service: &str, desired: i32) -> Answer<()> {
        let key = ServiceKey::new(cluster, service);
        let service = self.ecs.services.get_mut(&key).ok_or_else(no_service)?;
        update::set_desired(service, desired);
        scheduler::request(self, &key);
        Ok(())
    }

    /// Changes a service's minimum and maximum percent, as a person at the console does; nothing is checked.
    ///
    /// # Errors
    /// `ServiceNotFoundException`.
    pub fn set_percents(&mut self, cluster: &str, service: &str, minimum: i32, maximum: i32) -> Answer<()> {
        let key = ServiceKey::new(cluster, service);
        let service = self.ecs.services.get_mut(&key).ok_or_else(no_service)?;
        let mut new = service.configuration.clone();
        new.minimum_healthy_percent = Some(minimum);
        new.maximum_percent = Some(maximum);
        update::set_configuration(service, new);
        scheduler::request(self, &key);
        Ok(())
    }

    /// Takes Spot capacity back from up to `count` RUNNING tasks of a service, oldest first. How many it met.
    pub fn interrupt_spot(&mut self, cluster: &str, service: &str, count: usize) -> usize {
        let key = ServiceKey::new(cluster, service);
        let Some(service) = self.ecs.services.get(&key) else { return 0 };
        let running = |number: &&u64| {
            self.ecs.tasks.get(number).is_some_and(|task| task.stop.is_none() && task.status == TaskStatus::Running)
        };
        let met: Vec<u64> = service.live.iter().filter(running).take(count).copied().collect();
        for task in &met {
            self.schedule(Duration::ZERO, Event::Task { task: *task, step: Step::SpotReclaimed }.into());
        }
        met.len()
    }

    /// Takes away the capacity for new tasks of a service for some time: its scheduler cannot place any.
    ///
    /// # Errors
    /// `ServiceNotFoundException`.
    pub fn refuse_capacity(&mut self, cluster: &str, service: &str, lasting: Duration) -> Answer<()> {
        let until = self.now + lasting;
        let service = self.ecs.services.get_mut(&ServiceKey::new(cluster, service)).ok_or_else(no_service)?;
        service.crowded_until = Some(until);
        Ok(())
    }

    /// Makes the next `count` pulls of any task fail with this reason, as a registry that throttles does:
    /// `CannotPullContainerError: … toomanyrequests: Rate exceeded`.
    pub fn fail_next_pulls(&mut self, count: usize, reason: &str) {
        self.ecs.pulls_to_fail.extend(std::iter::repeat_n(reason.to_owned(), count));
    }

    /// Puts an image into a registry outside of the account (`public.ecr.aws/nginx/nginx:1.27`), or moves its tag.
    pub fn add_public_image(&mut self, reference: &str, pulled: Pulled) {
        let by_digest = images::with_digest(reference, &pulled.digest);
        self.ecs.public_images.insert(by_digest, pulled.clone());
        self.ecs.public_images.insert(reference.to_owned(), pulled);
    }
}

impl State {
    /// Forgets all tasks that are STOPPED, as ECS does after an hour. How many they were.
    pub fn forget_stopped_tasks(&mut self) -> usize {
        let stopped = std::mem::take(&mut self.stopped);
        for (_, number) in &stopped {
            if let Some(task) = self.tasks.remove(number) {
                self.task_numbers.remove(&task.id);
            }
        }
        stopped.len()
    }
}
