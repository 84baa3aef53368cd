//! Somebody who deploys while the janitor works: what he may do between any two of its calls.

use serde_json::json;
use simulator::ecr::ImageSpec;
use simulator::{Answer, World};

use crate::yard::definition;

/// The cluster of all that runs.
pub(crate) const CLUSTER: &str = "prod";

/// What there is to act upon.
#[derive(Clone, Debug, Default)]
pub(crate) struct Town {
    /// Repositories with their first images, by digest, and with tags.
    pub(crate) repositories: Vec<(String, Vec<String>, Vec<String>)>,
    /// Task definitions, `family:revision`.
    pub(crate) definitions: Vec<String>,
    /// Services.
    pub(crate) services: Vec<String>,
}

/// An image as somebody names it: the repository's place, and a digest's or a tag's.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named {
    Digest(usize, usize),
    Tag(usize, usize),
}

/// One act. Numbers are places in the town.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Builds a new image and moves a tag to it: repository, tag.
    Push(usize, usize),
    /// Moves a tag to an image that is there: repository, digest, tag.
    Retag(usize, usize, usize),
    /// Pushes an index over an image that is there: repository, digest.
    Index(usize, usize),
    /// Registers a task definition of a new family.
    Register(Named),
    /// Registers one and deploys it to a service.
    Deploy(usize, Named),
    /// Registers one and starts a task of it by hand.
    Start(Named),
    /// Deregisters a task definition.
    Deregister(usize),
    /// Deploys a task definition that is there to a service.
    Update(usize, usize),
    /// Starts a task of a task definition that is there.
    Run(usize),
    /// Stops a task of a service.
    Stop(usize),
    /// Moves an image into the archive.
    Archive(usize, usize),
    /// Publishes a version of a function that is made of an image.
    Publish(Named),
}

impl Town {
    /// Every act that this town knows.
    pub(crate) fn acts(&self) -> Vec<Act> {
        let mut acts = Vec::new();
        let mut names = Vec::new();
        for (repository, (_, digests, tags)) in self.repositories.iter().enumerate() {
            names.extend((0..digests.len()).map(|digest| Named::Digest(repository, digest)));
            names.extend((0..tags.len()).map(|tag| Named::Tag(repository, tag)));
            acts.extend((0..tags.len()).map(|tag| Act::Push(repository, tag)));
            for digest in 0..digests.len() {
                acts.extend((0..tags.len()).map(|tag| Act::Retag(repository, digest, tag)));
                acts.extend([Act::Index(repository, digest), Act::Archive(repository, digest)]);
            }
        }
        for named in names {
            acts.extend([Act::Register(named), Act::Start(named), Act::Publish(named)]);
            acts.extend((0..self.services.len()).map(|service| Act::Deploy(service, named)));
        }
        for place in 0..self.definitions.len() {
            acts.extend([Act::Deregister(place), Act::Run(place)]);
            acts.extend((0..self.services.len()).map(|service| Act::Update(service, place)));
        }
        acts.extend((0..self.services.len()).map(Act::Stop));
        acts
    }

    fn image(&self, world: &World, named: Named) -> String {
        match named {
            Named::Digest(repository, digest) => {
                let (name, digests, _) = &self.repositories[repository];
                format!("{}@{}", world.ecr.uri(name), digests[digest])
            }
            Named::Tag(repository, tag) => {
                let (name, _, tags) = &self.repositories[repository];
                format!("{}:{}", world.ecr.uri(name), tags[tag])
            }
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// What AWS refuses, because the image is gone, or the task definition is INACTIVE.
    pub(crate) fn act(&self, world: &mut World, act: Act) -> Answer<()> {
        match act {
            Act::Push(repository, tag) => {
                let (name, _, tags) = &self.repositories[repository];
                let architectures = vec!["amd64".to_owned()];
                let spec = ImageSpec::new(name, &tags[tag], world.now);
                world.ecr.push(ImageSpec { architectures, attestations: false, ..spec });
                Ok(())
            }
            Act::Retag(repository, digest, tag) => {
                let (name, digests, tags) = &self.repositories[repository];
                world.ecr.tag(name, &digests[digest], &tags[tag])
            }
            Act::Index(repository, digest) => {
                let (name, digests, _) = &self.repositories[repository];
                world.ecr.push_index(name, &["index"], &[&digests[digest]], world.now).map(drop)
            }
            Act::Archive(repository, digest) => {
                let (name, digests, _) = &self.repositories[repository];
                world.ecr.archive(name, &digests[digest], world.now)
            }
            Act::Register(named) => {
                let image = self.image(world, named);
                world.add_task_definition(&definition("late", &image)).map(drop)
            }
            Act::Deploy(service, named) => {
                let image = self.image(world, named);
                let arn = world.add_task_definition(&definition("deployed", &image))?;
                self.update(world, service, &arn)
            }
            Act::Start(named) => {
                let image = self.image(world, named);
                let arn = world.add_task_definition(&definition("started", &image))?;
                start(world, &arn)
            }
            Act::Deregister(place) => {
                let raw = json!({"taskDefinition": self.definitions[place]});
                world.operate("DeregisterTaskDefinition", raw).map(drop)
            }
            Act::Update(service, place) => self.update(world, service, &self.definitions[place]),
            Act::Run(place) => start(world, &self.definitions[place]),
            Act::Stop(service) => {
                let view = world.ecs.view(CLUSTER, &self.services[service]);
                let running = view.and_then(|view| view.tasks.into_iter().find(|task| task.stopped.is_none()));
                let Some(task) = running else { return Ok(()) };
                world.operate("StopTask", json!({"cluster": CLUSTER, "task": task.id})).map(drop)
            }
            Act::Publish(named) => {
                let image = self.image(world, named);
                world.add_function("late", &image)?;
                world.publish_version("late");
                Ok(())
            }
        }
    }

    fn update(&self, world: &mut World, service: usize, definition: &str) -> Answer<()> {
        let service = &self.services[service];
        let raw = json!({"cluster": CLUSTER, "service": service, "taskDefinition": definition});
        world.operate("UpdateService", raw).map(drop)
    }
}

fn start(world: &mut World, definition: &str) -> Answer<()> {
    let raw = json!({"cluster": CLUSTER, "taskDefinition": definition, "launchType": "EC2"});
    world.operate("RunTask", raw).map(drop)
}
