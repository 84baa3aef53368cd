//! An application: a canary service and a full service on one image repository.

use serde_json::{Value, json};
use simulator::World;
use simulator::cloudwatch::{AlarmSpec, add_alarm};
use simulator::ecr::{Behaviour, ImageSpec, Mutability};
use simulator::ecs::ServiceSpec;

/// The cluster of all applications.
pub(crate) const CLUSTER: &str = "main";

/// How an application is set up. Start from [`Application::web`] or [`Application::queue_workers`].
#[derive(Clone, Debug)]
pub(crate) struct Application {
    /// The full service's name; the canary's is `NAME-canary`, the repository has the same name.
    pub(crate) name: String,
    /// The pipeline's name: the service's, where it has only one.
    pub(crate) pipeline: String,
    /// Tasks of the full service.
    pub(crate) full: i32,
    /// Tasks of the canary service.
    pub(crate) canary: i32,
    /// Whether the services stand behind one target group.
    pub(crate) balanced: bool,
    /// `deploymentConfiguration` of both services.
    pub(crate) deployment: Value,
    /// Whether `availabilityZoneRebalancing` is ENABLED.
    pub(crate) rebalancing: bool,
    /// Whether the repository's tags are immutable.
    pub(crate) immutable: bool,
    /// Alarms: names; each watches the canary service.
    pub(crate) alarms: Vec<String>,
    /// Configuration of the canary action beside what every one has.
    pub(crate) canary_action: Vec<(String, String)>,
    /// Configuration of the full action beside what every one has.
    pub(crate) full_action: Vec<(String, String)>,
    /// The pipeline's execution mode.
    pub(crate) mode: &'static str,
    /// Environment variables of the container.
    pub(crate) environment: Vec<(String, String)>,
    /// Members laid over the task definition, and over its container.
    pub(crate) definition: (Value, Value),
    /// Containers beside the application's own.
    pub(crate) beside: Vec<Value>,
    /// Minutes that people have for each approval; seven days where it is not said.
    pub(crate) patience: Option<u32>,
    /// Whether a plan is made before the first approval, for its text.
    pub(crate) planned: bool,
    /// Whether `v1` was ever pushed; otherwise the services were made just now, with an image that is not there.
    pub(crate) deployed: bool,
}

impl Application {
    /// A web application: 1 canary task beside `full` tasks, one target group, no circuit breaker.
    pub(crate) fn web(name: &str, full: i32) -> Self {
        Self {
            name: name.to_owned(),
            pipeline: name.to_owned(),
            full,
            canary: 1,
            balanced: true,
            deployment: json!({"minimumHealthyPercent": 100, "maximumPercent": 200}),
            rebalancing: false,
            immutable: true,
            alarms: Vec::new(),
            canary_action: Vec::new(),
            full_action: Vec::new(),
            mode: "SUPERSEDED",
            environment: Vec::new(),
            definition: (json!({}), json!({})),
            beside: Vec::new(),
            patience: None,
            planned: false,
            deployed: true,
        }
    }

    /// Queue workers: no load balancer, and a tenth of the tasks is the canary.
    pub(crate) fn queue_workers(name: &str, canary: i32, full: i32) -> Self {
        Self { canary, balanced: false, ..Self::web(name, full) }.canary_with("Capacity", "10%")
    }

    /// The same two services, deployed to by another pipeline.
    pub(crate) fn by_pipeline(&self, name: &str) -> Self {
        Self { pipeline: name.to_owned(), ..self.clone() }
    }

    /// The same with a circuit breaker that rolls back.
    pub(crate) fn with_breaker(mut self) -> Self {
        self.deployment["deploymentCircuitBreaker"] = json!({"enable": true, "rollback": true});
        self
    }

    /// The same with an alarm on the canary's 5xx.
    pub(crate) fn with_alarm(mut self, name: &str) -> Self {
        self.alarms.push(name.to_owned());
        self
    }

    /// The same with another property of the canary action.
    pub(crate) fn canary_with(mut self, property: &str, value: &str) -> Self {
        self.canary_action.push((property.to_owned(), value.to_owned()));
        self
    }

    /// The same with another property of the full action.
    pub(crate) fn full_with(mut self, property: &str, value: &str) -> Self {
        self.full_action.push((property.to_owned(), value.to_owned()));
        self
    }

    /// The same with a container beside it, whose image stands in another registry.
    pub(crate) fn beside(mut self, name: &str, image: &str) -> Self {
        self.beside.push(json!({"name": name, "image": image, "essential": false}));
        self
    }

    /// The same with a plan before the first approval.
    pub(crate) fn planned(mut self) -> Self {
        self.planned = true;
        self
    }

    /// The same as Terraform makes it on the first day: the image that the services name was never pushed.
    pub(crate) fn never_deployed(mut self) -> Self {
        self.deployed = false;
        self
    }

    /// The canary service's name.
    pub(crate) fn canary_name(&self) -> String {
        format!("{}-canary", self.name)
    }

    /// The task definition of one of the two services.
    pub(crate) fn task_definition(&self, world: &World, family: &str, tag: &str) -> Value {
        let environment = self.environment.iter().map(|(name, value)| json!({"name": name, "value": value}));
        let mut definition = json!({
            "family": family,
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "256",
            "memory": "512",
            "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
            "executionRoleArn": format!("arn:aws:iam::{}:role/execution", world.account),
            "containerDefinitions": [{
                "name": self.name,
                "image": format!("{}:{tag}", world.ecr.uri(&self.name)),
                "essential": true,
                "environment": Value::from_iter(environment),
                "portMappings": [{"containerPort": 8080}],
                "healthCheck": {"command": ["CMD", "/app", "health"], "interval": 10, "retries": 3, "startPeriod": 10},
                "logConfiguration": {"logDriver": "awslogs", "options": {
                    "awslogs-group": format!("/ecs/{}", self.name),
                    "awslogs-region": world.region,
                    "awslogs-stream-prefix": self.name,
                }},
            }],
            "tags": [{"key": "team", "value": "shop"}],
        });
        let (members, of_container) = &self.definition;
        for (name, value) in of_container.as_object().into_iter().flatten() {
            definition["containerDefinitions"][0][name] = value.clone();
        }
        for (name, value) in members.as_object().into_iter().flatten() {
            definition[name] = value.clone();
        }
        if let Some(containers) = definition["containerDefinitions"].as_array_mut() {
            containers.extend(self.beside.iter().cloned());
        }
        definition
    }

    /// Puts the application into a world, running release `v1`; `provisioned`, with its pipeline.
    pub(crate) fn build(&self, world: &mut World, provisioned: bool) {
        let mutability = if self.immutable { Mutability::Immutable } else { Mutability::Mutable };
        world.ecr.create_repository(&self.name, mutability);
        let now = world.now;
        if self.deployed {
            world.ecr.push(ImageSpec::new(&self.name, "v1", now));
        }
        for alarm in &self.alarms {
            add_alarm(world, AlarmSpec::watching(alarm, CLUSTER, &self.canary_name()));
        }
        for (service, tasks) in [(self.name.clone(), self.full), (self.canary_name(), self.canary)] {
            let definition = self.task_definition(world, &service, "v1");
            let rebalancing = if self.rebalancing { "ENABLED" } else { "DISABLED" };
            let mut further = json!({
                "deploymentConfiguration": self.deployment,
                "availabilityZoneRebalancing": rebalancing,
            });
            if self.balanced {
                let group = format!("targetgroup/{}/0123456789abcdef", self.name);
                further["loadBalancers"] = json!([{
                    "targetGroupArn": world.arn("elasticloadbalancing", &group),
                    "containerName": self.name,
                    "containerPort": 8080,
                }]);
            }
            let mut spec = ServiceSpec::new(CLUSTER, &service, definition, tasks).with(further);
            // Without a task, even a service without an image is steady.
            spec.settled = self.deployed || tasks == 0;
            world.add_service(spec).expect("a service");
        }
        if provisioned {
            world.create_pipeline_from_json(&super::pipeline_json(self).to_string()).expect("a pipeline");
        }
    }

    /// Pushes a release.
    pub(crate) fn push(&self, world: &mut World, tag: &str, behaviour: Behaviour) -> String {
        let now = world.now;
        world.ecr.push(ImageSpec { behaviour, ..ImageSpec::new(&self.name, tag, now) })
    }

    /// `imagedefinitions.json` of a release.
    pub(crate) fn image_definitions(&self, world: &World, tag: &str) -> String {
        json!([{"name": self.name, "imageUri": format!("{}:{tag}", world.ecr.uri(&self.name))}]).to_string()
    }
}
