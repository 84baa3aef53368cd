//! How a tale ended, as far as it must not depend on who died or what went wrong.

use std::collections::BTreeMap;
use std::fmt;

use simulator::World;

use crate::play::Played;
use crate::stage::{Application, CLUSTER, Story};

/// The end of a tale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// The pipeline's executions, oldest first: how each ended.
    pub(crate) executions: Vec<String>,
    /// The worker's actions in the order of their begin: `Full Failed JobFailed`.
    pub(crate) actions: Vec<String>,
    /// The two services by name.
    pub(crate) services: BTreeMap<String, ServiceEnd>,
}

/// What the actions failed with, in the same order; for people.
pub(crate) fn messages(world: &World, app: &Application) -> Vec<String> {
    let pipeline = world.codepipeline.pipeline(&app.pipeline).expect("a pipeline");
    let runs = pipeline.executions.iter().flat_map(|execution| &execution.actions);
    runs.filter_map(|run| run.error.as_ref()).map(|error| error.message.clone()).collect()
}

/// What a service is at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceEnd {
    /// The images that its running tasks run, each once: as a tag, otherwise a digest.
    pub(crate) images: Vec<String>,
    /// How many tasks are starting or running.
    pub(crate) tasks: usize,
    /// How many are wanted.
    pub(crate) desired: u32,
    /// Minimum and maximum percent.
    pub(crate) percents: (i32, i32),
    /// What each of its service deployments brought, oldest first.
    pub(crate) deployments: Vec<String>,
}

impl ServiceEnd {
    /// The same without its history.
    fn without_deployments(&self) -> Self {
        Self { deployments: Vec::new(), ..self.clone() }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.executions.join(", "))?;
        for (name, service) in &self.services {
            write!(f, "; {name}: {}x{}", service.tasks, service.images.join("+"))?;
        }
        Ok(())
    }
}

/// Whether a disturbed tale ended as without the disturbance, or was given up honestly: its last execution failed, an
/// action says why, the full service is as it was and was never told to run the release for good, and the canary is as
/// it was or runs what the full service runs, unless somebody abandoned that. A success that is none, or a mix of two releases, is neither.
pub(crate) fn honest(whole: &Played, played: &Played) -> Result<(), String> {
    let Played { end, before, messages, .. } = played;
    // A first try that failed before it began leaves one deployment less behind, one that was undone another way back.
    let brought = |service: &ServiceEnd| service.deployments.iter().filter(|brought| *brought != "v1").count();
    let alike = |(ours, theirs): (&ServiceEnd, &ServiceEnd)| {
        ours.without_deployments() == theirs.without_deployments() && brought(ours) <= brought(theirs)
    };
    let same = end.services.values().zip(whole.end.services.values()).all(alike);
    if end.executions == whole.end.executions && same {
        return Ok(());
    }
    // Who stops or abandons it finds it failed, or on its way back: then nothing more is undone, also not the canary.
    let abandoned = end.actions.last().is_some_and(|action| action.ends_with(" Abandoned"));
    let told = abandoned || end.actions.last().is_some_and(|action| action.contains(" Failed "));
    let failed = end.executions.last().is_some_and(|status| status == "Failed")
        || end.executions.last() == whole.end.executions.last();
    let full = |services: &BTreeMap<String, ServiceEnd>| services["app"].without_deployments();
    let canary = |services: &BTreeMap<String, ServiceEnd>| services["app-canary"].clone();
    let given_back = abandoned || canary(before).images == canary(&end.services).images
        || canary(&end.services).images == full(&end.services).images
        || canary(&end.services).tasks == 0
        // Somebody else's deployment, which came before ours.
        || canary(&end.services).images == ["by-hand"];
    let (was, is, would_be) = (full(before), full(&end.services), full(&whole.end.services));
    // How many tasks it has is not the release's to say: autoscaling made it what it would have been in any case.
    // What never ran wants tasks that no deployment could start.
    let complete = u32::try_from(is.tasks) == Ok(is.desired) || is == was;
    let as_it_was = is.images == was.images
        && complete
        && [was.desired, would_be.desired].contains(&is.desired)
        && (is.percents == was.percents || abandoned && is.percents == would_be.percents);
    // What never ran has nothing to go back to: its tasks are stopped. What somebody else deployed meanwhile stays.
    let has_nothing = was.images.is_empty() && (is.tasks, is.desired) == (0, 0);
    let is_elses = is.images == ["by-hand"] && is == would_be;
    if failed && told && (as_it_was || has_nothing || is_elses) && given_back {
        return Ok(());
    }
    let whole = &whole.end;
    Err(format!(
        "undisturbed it ends as {whole:#?}\nbut then neither so nor honestly, as {end:#?}\nsaying {messages:#?}"
    ))
}

/// Whether a disturbed tale ended as without the disturbance, whatever was deployed on the way: that took so long that the
/// canary may have gone back to what the full service runs by now.
pub(crate) fn same_but_for_history(whole: &Played, played: &Played) -> Result<(), String> {
    let without = |end: &End| {
        let services = end.services.iter().map(|(name, service)| (name.clone(), service.without_deployments()));
        End { services: services.collect(), ..end.clone() }
    };
    let (mut whole, end) = (without(&whole.end), without(&played.end));
    let runs = end.services["app"].images.clone();
    if let Some(canary) = whole.services.get_mut("app-canary").filter(|_| end.services["app-canary"].images == runs) {
        canary.images = runs;
    }
    if whole == end {
        return Ok(());
    }
    let messages = &played.messages;
    Err(format!("undisturbed it ends as {whole:#?}\nbut then as {end:#?}\nsaying {messages:#?}"))
}

/// Reads the end of a tale.
pub(crate) async fn end(story: &Story, app: &Application) -> End {
    let (executions, actions) = story.world(|world| history(world, app));
    let mut services = BTreeMap::new();
    for name in [app.name.clone(), app.canary_name()] {
        let deployments = deployments(story, app, &name).await;
        services.insert(name.clone(), story.world(|world| service(world, app, &name, deployments)));
    }
    End { executions, actions, services }
}

/// The services as they are, as the end of a tale in which nothing happened.
pub(crate) async fn untouched(story: &Story, app: &Application) -> BTreeMap<String, ServiceEnd> {
    end(story, app).await.services
}

fn history(world: &World, app: &Application) -> (Vec<String>, Vec<String>) {
    let pipeline = world.codepipeline.pipeline(&app.pipeline).expect("a pipeline");
    let (mut statuses, mut actions) = (Vec::new(), Vec::new());
    for execution in &pipeline.executions {
        statuses.push(execution.status.to_string());
        for run in execution.actions.iter().filter(|run| run.action_type.owner == "Custom") {
            let code = run.error.as_ref().map(|error| format!(" {}", error.code)).unwrap_or_default();
            actions.push(format!("{} {}{code}", run.name, run.status));
        }
    }
    (statuses, actions)
}

fn service(world: &World, app: &Application, name: &str, deployments: Vec<String>) -> ServiceEnd {
    let view = world.ecs.view(CLUSTER, name).expect("a service");
    let running = view.tasks.iter().filter(|task| task.stopped.is_none());
    let digests = running.flat_map(|task| &task.digests).filter_map(|(_, digest)| digest.as_deref());
    let mut images: Vec<String> = digests.map(|digest| called(world, app, digest)).collect();
    images.sort();
    images.dedup();
    ServiceEnd { images, tasks: view.occupying(), desired: view.desired, percents: view.percents, deployments }
}

/// The tag that names a digest (an index's, or that of one of its children), otherwise the digest's beginning.
fn called(world: &World, app: &Application, digest: &str) -> String {
    let names = |tag: &&str| {
        let children = world.ecr.children(&app.name, tag).unwrap_or_default();
        world.ecr.digest(&app.name, tag).is_ok_and(|index| index == digest)
            || children.iter().any(|(_, child)| child == digest)
    };
    let tag = ["approved", "v1", "v2", "by-hand"].into_iter().find(|tag| names(tag));
    tag.map_or_else(|| digest.chars().take(15).collect(), str::to_owned)
}

async fn deployments(story: &Story, app: &Application, service: &str) -> Vec<String> {
    let ecs = story.somebody();
    let listed = ecs.list_service_deployments().cluster(CLUSTER).service(service).max_results(100).send().await;
    let mut listed = listed.expect("a list").service_deployments.unwrap_or_default();
    listed.sort_by_key(|brief| brief.created_at.map(|at| at.as_nanos()));
    let mut brought = Vec::new();
    for brief in listed {
        let target = brief.target_service_revision_arn.expect("a target");
        let described = ecs.describe_service_revisions().service_revision_arns(target).send().await.expect("an answer");
        let definition = described.service_revisions()[0].task_definition().expect("a task definition").to_owned();
        let described = ecs.describe_task_definition().task_definition(definition).send().await.expect("an answer");
        let definition = described.task_definition().expect("a task definition");
        let image = definition.container_definitions()[0].image().unwrap_or_default();
        let name = image.split_once('@').map_or_else(
            || image.rsplit(':').next().unwrap_or_default().to_owned(),
            |(_, digest)| story.world(|world| called(world, app, digest)),
        );
        brought.push(name);
    }
    brought
}
