//! A task's way up: PROVISIONING → PENDING → ACTIVATING → RUNNING → healthy.

use std::ops::RangeInclusive;
use std::time::Duration;

use aws_sdk_ecs::types::{self, ContainerDefinition, HealthStatus, LogDriver, NetworkMode, VersionConsistency};

use super::model::{Architecture, Container, Definition, Interface, Service, ServiceKey, StopCause, Task, TaskStatus};
use super::{Event, Step, breaker, images, scheduler, task_end};
use crate::World;
use crate::ecr::Behaviour;

/// Puts a task's next step into the queue, some time within the bounds.
pub(super) fn later(world: &mut World, task: u64, range: &RangeInclusive<Duration>, step: Step) {
    let after = world.between(*range.start(), *range.end());
    world.schedule(after, Event::Task { task, step }.into());
}

pub(super) fn happen(world: &mut World, number: u64, step: Step) {
    match step {
        Step::Reach(status) if status <= TaskStatus::Running => reach(world, number, status),
        Step::Reach(status) => task_end::reach(world, number, status),
        Step::Healthy => healthy(world, number),
        Step::Unhealthy => task_end::unhealthy(world, number),
        Step::Exits(container) => task_end::exits(world, number, container),
        Step::SpotReclaimed => task_end::reclaim(world, number),
    }
}

/// Starts one task of a service's PRIMARY deployment; its id.
pub(super) fn launch(world: &mut World, key: &ServiceKey) -> Option<String> {
    let number = create(world, key)?;
    let range = world.ecs.pace.provisioning.clone();
    later(world, number, &range, Step::Reach(TaskStatus::Pending));
    world.ecs.tasks.get(&number).map(|task| task.id.clone())
}

/// Where a task comes from.
pub(super) struct Origin {
    pub(super) cluster: String,
    pub(super) service: Option<ServiceKey>,
    /// The number of the service revision.
    pub(super) revision: String,
    pub(super) definition: Definition,
    pub(super) subnet: String,
    pub(super) tags: Vec<types::Tag>,
    pub(super) echo: types::Task,
}

/// Makes one task of a service's PRIMARY deployment, in PROVISIONING; its number.
pub(super) fn create(world: &mut World, key: &ServiceKey) -> Option<u64> {
    let service = world.ecs.services.get(key)?;
    let primary = service.deployments.first()?;
    let revision = service.revisions.get(&primary.number)?;
    let definition = world.ecs.definition(&revision.task_definition)?;
    let origin = Origin {
        cluster: key.cluster.clone(),
        service: Some(key.clone()),
        revision: primary.number.clone(),
        subnet: subnet(service),
        tags: task_tags(service, definition),
        echo: echo(service, definition, &primary.number),
        definition: definition.clone(),
    };
    let number = keep(world, origin);
    if let Some(service) = world.ecs.services.get_mut(key) {
        service.live.insert(number);
    }
    Some(number)
}

/// Makes a task in PROVISIONING; its number.
pub(super) fn keep(world: &mut World, origin: Origin) -> u64 {
    let Origin { cluster, service, revision, definition, subnet, tags, echo } = origin;
    let id = world.hex(32);
    let seeds = [world.uuid(), world.uuid(), world.hex(17), world.hex(10)];
    let zone = format!("{}{}", world.region, world.rng.choice(['a', 'b', 'c']).unwrap_or('a'));
    let address = format!("10.0.{}.{}", world.rng.u8(1..250), world.rng.u8(4..250));
    let [container_seed, attachment, interface, mac] = seeds;
    let interface = (definition.known.network_mode == Some(NetworkMode::Awsvpc)).then(|| Interface {
        attachment,
        interface: format!("eni-{interface}"),
        address,
        mac: mac
            .as_bytes()
            .chunks(2)
            .fold("0a".to_owned(), |mac, pair| mac + ":" + std::str::from_utf8(pair).unwrap_or_default()),
        subnet,
    });
    let containers = definition.known.container_definitions().iter().enumerate();
    let task = Task {
        id: id.clone(),
        cluster,
        service,
        revision,
        status: TaskStatus::Provisioning,
        healthy: false,
        was_healthy: false,
        architecture: architecture(&definition),
        containers: containers.map(|(place, known)| container(known, &container_seed, place)).collect(),
        task_definition: definition.arn,
        stop: None,
        created_at: world.now,
        pull_started_at: None,
        pull_stopped_at: None,
        started_at: None,
        stopping_at: None,
        execution_stopped_at: None,
        stopped_at: None,
        version: 1,
        interface,
        zone,
        tags,
        echo,
    };
    world.ecs.last_task += 1;
    let number = world.ecs.last_task;
    world.ecs.tasks.insert(number, task);
    world.ecs.task_numbers.insert(id, number);
    number
}

fn subnet(service: &Service) -> String {
    let network = service.echo.network_configuration.as_ref().and_then(|network| network.awsvpc_configuration.as_ref());
    network.and_then(|network| network.subnets.first().cloned()).unwrap_or_else(|| "subnet-00000000000000000".into())
}

fn architecture(definition: &Definition) -> Architecture {
    let platform = definition.known.runtime_platform.as_ref().and_then(|platform| platform.cpu_architecture.clone());
    if platform == Some(types::CpuArchitecture::Arm64) { Architecture::Arm64 } else { Architecture::Amd64 }
}

fn container(known: &ContainerDefinition, seed: &str, place: usize) -> Container {
    let seconds = |value: Option<i32>, default: u64| {
        Duration::from_secs(value.and_then(|value| u64::try_from(value).ok()).unwrap_or(default))
    };
    let patience = known.health_check.as_ref().map(|check| {
        let retries = check.retries.and_then(|retries| u32::try_from(retries).ok()).unwrap_or(3);
        seconds(check.start_period, 0) + seconds(check.interval, 30) * retries
    });
    let log = known.log_configuration.as_ref().filter(|log| log.log_driver == LogDriver::Awslogs).and_then(|log| {
        let options = log.options.as_ref()?;
        Some((options.get("awslogs-group")?.clone(), options.get("awslogs-stream-prefix").cloned().unwrap_or_default()))
    });
    Container {
        name: known.name.clone().unwrap_or_default(),
        image: known.image.clone().unwrap_or_default(),
        essential: known.essential != Some(false),
        patience,
        stop_timeout: seconds(known.stop_timeout, 30),
        log,
        pinned: known.version_consistency != Some(VersionConsistency::Disabled),
        cpu: known.cpu,
        memory: known.memory,
        // One random UUID for the task, and the container's place in it, make its containers' ids.
        arn_id: format!("{}{place:02x}", seed.get(..34).unwrap_or(seed)),
        runtime_id: None,
        digest: None,
        behaviour: Behaviour::Good,
        status: "PENDING",
        health: HealthStatus::UnknownValue,
        exit_code: None,
        reason: None,
    }
}

fn task_tags(service: &Service, definition: &Definition) -> Vec<types::Tag> {
    match service.echo.propagate_tags {
        Some(types::PropagateTags::Service) => service.tags.clone(),
        Some(types::PropagateTags::TaskDefinition) => definition.tags.clone(),
        _ => Vec::new(),
    }
}

fn echo(service: &Service, definition: &Definition, number: &str) -> types::Task {
    let strategy = service.echo.capacity_provider_strategy.as_ref().and_then(|strategy| strategy.first());
    let mut echo = definition_echo(definition);
    echo.launch_type = service.echo.launch_type.clone().or(Some(types::LaunchType::Fargate));
    echo.capacity_provider_name = strategy.map(|item| item.capacity_provider.clone());
    echo.group = Some(format!("service:{}", service.key.service));
    echo.started_by = Some(format!("ecs-svc/{number}"));
    echo.enable_execute_command = service.echo.enable_execute_command;
    echo
}

/// What a task shows of its task definition.
pub(super) fn definition_echo(definition: &Definition) -> types::Task {
    let overrides = definition.known.container_definitions().iter();
    let overrides =
        overrides.map(|known| types::ContainerOverride::builder().set_name(known.name.clone()).build()).collect();
    let storage = definition.known.ephemeral_storage.clone();
    types::Task::builder()
        .set_cpu(definition.known.cpu.clone())
        .set_memory(definition.known.memory.clone())
        .platform_version("1.4.0")
        .platform_family("Linux")
        .overrides(
            types::TaskOverride::builder()
                .set_container_overrides(Some(overrides))
                .set_inference_accelerator_overrides(Some(Vec::new()))
                .build(),
        )
        .ephemeral_storage(storage.unwrap_or_else(|| types::EphemeralStorage::builder().size_in_gib(20).build()))
        .build()
}

fn reach(world: &mut World, number: u64, status: TaskStatus) {
    let now = world.now;
    let Some(task) = world.ecs.tasks.get_mut(&number) else { return };
    // Asked to stop meanwhile: it is on its way down.
    if task.stop.is_some() || task.status >= status {
        return;
    }
    task.status = status;
    task.version += 1;
    match status {
        TaskStatus::Pending => {
            task.pull_started_at = Some(now);
            let range = world.ecs.pace.pending.clone();
            later(world, number, &range, Step::Reach(TaskStatus::Activating));
        }
        TaskStatus::Activating => {
            task.pull_stopped_at = Some(now);
            if let Err(reason) = images::pull(world, number) {
                let code = types::TaskStopCode::TaskFailedToStart;
                task_end::stop(world, number, StopCause::FailedToStart, code, reason);
                return;
            }
            let range = world.ecs.pace.activating.clone();
            later(world, number, &range, Step::Reach(TaskStatus::Running));
        }
        _ => run(world, number),
    }
}

/// RUNNING: what the images will do from here on is now decided.
fn run(world: &mut World, number: u64) {
    let now = world.now;
    let Some(task) = world.ecs.tasks.get_mut(&number) else { return };
    task.started_at = Some(now);
    let checked = task.containers.iter().any(|container| container.patience.is_some());
    let behaviours: Vec<Behaviour> = task.containers.iter().map(|container| container.behaviour.clone()).collect();
    for container in &mut task.containers {
        container.status = "RUNNING";
    }
    let key = task.service.clone();
    let service = key.as_ref().and_then(|key| world.ecs.services.get_mut(key));
    let mut balanced = false;
    if let Some(service) = service {
        balanced = service.has_load_balancer();
        service.failed_starts = 0;
        service.starts_again_at = None;
    }
    for (place, behaviour) in behaviours.iter().enumerate() {
        let after = match behaviour {
            Behaviour::CrashesAfter { after, .. } | Behaviour::OutOfMemory { after } => *after,
            Behaviour::WrongArchitecture => Duration::from_millis(200),
            _ => continue,
        };
        world.schedule(after, Event::Task { task: number, step: Step::Exits(place) }.into());
    }
    if !checked && !balanced {
        // ECS cannot see more of such a task than that it runs.
        let after = world.ecs.pace.unchecked;
        world.schedule(after, Event::Task { task: number, step: Step::Healthy }.into());
    } else if behaviours.contains(&Behaviour::NeverHealthy) {
        task_end::lose_patience(world, number);
    } else {
        let (least, most) = world.ecs.pace.checks.clone().into_inner();
        let slow = behaviours.iter().filter_map(|behaviour| match behaviour {
            Behaviour::SlowStart(longer) => Some(*longer),
            _ => None,
        });
        // A slow image is one whose team has set start and grace periods for it: it is not replaced meanwhile.
        let after = world.between(least, most) + slow.max().unwrap_or_default();
        world.schedule(after, Event::Task { task: number, step: Step::Healthy }.into());
    }
    if let Some(key) = key {
        scheduler::request(world, &key);
    }
}

/// Counts as healthy from now on.
pub(super) fn healthy(world: &mut World, number: u64) {
    let Some(task) = world.ecs.tasks.get_mut(&number) else { return };
    if task.stop.is_some() || task.status != TaskStatus::Running || task.healthy {
        return;
    }
    task.healthy = true;
    task.was_healthy = true;
    task.version += 1;
    for container in task.containers.iter_mut().filter(|container| container.patience.is_some()) {
        container.health = HealthStatus::Healthy;
    }
    let revision = task.revision.clone();
    let Some(key) = task.service.clone() else { return };
    if let Some(service) = world.ecs.services.get_mut(&key) {
        service.shortfall.gain();
    }
    breaker::task_healthy(world, &key, &revision);
    scheduler::request(world, &key);
}
