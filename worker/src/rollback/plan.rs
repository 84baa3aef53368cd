//! From what was asked for to courses that can be taken, with everything that keeps a service from being rolled back.

use std::collections::{BTreeMap, BTreeSet};

use coalmine_door::{AwsError, Kind};
use coalmine_pipeline::{Back, Home, ImageReference, tags};
use futures_util::future::try_join_all;

use crate::aws::ecr::ImageError;
use crate::deploy::nearest::hint;
use crate::deploy::release::{Image, Resolved};
use crate::deploy::restore::{self, Restore};
use crate::deploy::rollback::course::Course;
use crate::deploy::rollback::pair::{self, Says};
use crate::deploy::rollback::usable::{self, Answer, Looked};
use crate::deploy::rollback::way::{Good, Present, are_one_image, choose, over_for_none, way_back};
use crate::deploy::task_definition::{Copy, Purpose, TaskDefinition};
use crate::deploy::view::{Service, ServiceRevision};
use crate::ledger::history;
use crate::rollback::owner;
use crate::rollback::survey::{Facts, Ledger, of_services, release_of_present};
use crate::tools::Tools;

/// How many earlier releases are looked at for one that can be deployed, where the target cannot.
const LOOKED_FURTHER: usize = 5;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The cluster's name.
    pub cluster: String,
    /// The full services' names.
    pub services: Vec<String>,
    /// How far they go back.
    pub to: Back,
    /// Canaries that were named: of a service, one or none.
    pub canaries: BTreeMap<String, Option<String>>,
    /// The option `surge`.
    pub surge: Option<bool>,
    /// The account and region that ARNs named.
    pub home: Option<Home>,
    /// When it was asked for, in epoch seconds.
    pub ordered: i64,
}

/// One service that can be rolled back.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its course. Where a copy has to be registered first, `to` is still what it is copied from.
    pub course: Course,
    /// A task definition that has to be registered for it.
    pub copy: Option<Box<Copy>>,
    /// The service as it is.
    pub service: Service,
    /// Who says that it is the canary, where it is one.
    pub pair: Option<Says>,
}

/// What can be done, and what cannot.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The services that can be rolled back, each canary before its full service.
    pub planned: Vec<Planned>,
    /// Services that cannot, with every reason.
    pub problems: Vec<(String, String)>,
    /// Whether the ledger knows none of the services that there are.
    pub unrecorded: bool,
}

/// Plans a rollback.
///
/// `known`: the names of services that a wrong name is compared with, beside those of the ledger.
///
/// # Errors
/// When a call fails.
pub async fn make(tools: &Tools, request: &Request, known: &[String], ledger: Ledger) -> Result<Plan, AwsError> {
    let named = match &request.to {
        Back::Release(release) => Some(release.as_str()),
        Back::Steps(_) => None,
    };
    let cluster = request.cluster.as_str();
    let mut found = of_services(tools, cluster, &request.services, named, ledger).await?;
    for (name, facts) in &mut found {
        facts.hints.asked = request.canaries.get(name).cloned();
    }
    let canaries = canaries_of(tools, &found).await?;
    let names: BTreeSet<String> = canaries.values().map(|(name, _)| name.clone()).collect();
    let names: Vec<String> = names.into_iter().collect();
    let mut companions =
        if names.is_empty() { BTreeMap::new() } else { of_services(tools, cluster, &names, named, ledger).await? };
    let of_all = found.values_mut().chain(companions.values_mut());
    over_for_none(&mut of_all.filter_map(|facts| facts.history.first_mut()).collect::<Vec<_>>(), request.ordered);
    let unrecorded = !found.is_empty() && !found.values().any(|facts| facts.on_record);
    let mut plan = Plan { unrecorded, ..Plan::default() };
    let mut asked: Vec<&String> = Vec::new();
    for name in &request.services {
        // A canary goes with its full service, whoever named it.
        if !asked.contains(&name) && (!names.contains(name) || canaries.contains_key(name)) {
            asked.push(name);
        }
    }
    let alone = asked.iter().filter(|name| !canaries.contains_key(**name));
    let alone: Vec<&Facts> = alone.filter_map(|name| found.get(*name)).collect();
    let owners = Box::pin(owner::of_canaries(tools, &alone)).await?;
    asked.retain(|name| {
        let Some(full) = owners.get(*name).filter(|full| !request.services.contains(full)) else { return true };
        plan.problems.push((format!("{cluster}/{name}"), format!("{name} is the canary of {full}: name {full}")));
        false
    });
    let mut pairs = Vec::new();
    for name in &asked {
        let Some(facts) = found.get(*name) else { continue };
        let canary = canaries.get(*name).map(|(canary, says)| (canary, *says, companions.get(canary)));
        pairs.push(Box::pin(pair(tools, request, facts, canary, ledger)));
    }
    let mut pairs = try_join_all(pairs).await?.into_iter();
    for name in asked {
        let pair = if found.contains_key(name) {
            pairs.next().unwrap_or(Ok(Vec::new()))
        } else {
            Err(unknown(tools, cluster, name, known).await)
        };
        match pair {
            Ok(planned) => plan.planned.extend(planned),
            Err(problems) => {
                plan.problems.extend(problems.into_iter().map(|problem| (format!("{cluster}/{name}"), problem)));
            }
        }
    }
    Ok(plan)
}

/// The canary of each service that has one.
async fn canaries_of(
    tools: &Tools,
    found: &BTreeMap<String, Facts>,
) -> Result<BTreeMap<String, (String, Says)>, AwsError> {
    let mut looks = Vec::new();
    for facts in found.values() {
        looks.push(Box::pin(canary_of(tools, facts)));
    }
    let canaries = try_join_all(looks).await?;
    Ok(found.keys().cloned().zip(canaries).filter_map(|(name, canary)| Some((name, canary?))).collect())
}

async fn canary_of(tools: &Tools, facts: &Facts) -> Result<Option<(String, Says)>, AwsError> {
    match facts.hints.canary() {
        Some(said) => Ok(said),
        None => Ok(by_name(tools, &facts.service).await?.map(|canary| (canary, Says::Name))),
    }
}

/// A service of the usual name that runs images of the same repositories.
async fn by_name(tools: &Tools, service: &Service) -> Result<Option<String>, AwsError> {
    let name = pair::usual_name(&service.name);
    let Some(canary) = tools.ecs.services(&service.cluster, std::slice::from_ref(&name)).await?.pop() else {
        return Ok(None);
    };
    Ok(owner::are_alike(tools, service, &canary).await?.then_some(name))
}

/// Why there is no service of that name, with the nearest ones.
async fn unknown(tools: &Tools, cluster: &str, name: &str, known: &[String]) -> Vec<String> {
    let on_record = history::all(tools.held.store()).await.unwrap_or_default();
    let of_cluster = on_record.iter().filter(|entry| entry.cluster == cluster).map(|entry| entry.service.as_str());
    let near = hint(name, known.iter().map(String::as_str).chain(of_cluster));
    vec![format!("ECS has no service {name} in cluster {cluster}{near}")]
}

type Paired<'a> = (&'a String, Says, Option<&'a Facts>);

/// A full service and its canary, the canary first; or everything that is wrong with them.
async fn pair(
    tools: &Tools,
    request: &Request,
    full: &Facts,
    canary: Option<Paired<'_>>,
    ledger: Ledger,
) -> Result<Result<Vec<Planned>, Vec<String>>, AwsError> {
    let mut problems = supported(request, &full.service);
    let facts = canary.and_then(|(_, says, facts)| facts.map(|facts| (facts, says)));
    match (&canary, &facts) {
        (Some((name, says, _)), None) => problems.push(format!("ECS has no canary service {name} ({says})")),
        (_, Some((facts, _))) => {
            problems.extend(supported(request, &facts.service).into_iter().map(|problem| format!("canary: {problem}")));
        }
        (None, None) => {}
    }
    let mut present = full.present.clone();
    if let Some((facts, _)) = facts {
        let outrun = Present::is_outrun(
            (&full.present, &full.service, &full.history),
            (&facts.present, &facts.service, &facts.history),
        );
        present.outrun = outrun && !Box::pin(runs_nothing_new(tools, facts, full)).await?;
    }
    let target = match choose(&full.history, &present, &request.to) {
        Ok(target) => target,
        Err(none) => {
            problems.push(none.to_string());
            return Ok(Err(problems));
        }
    };
    let (definition, images) = match look_at(tools, target).await? {
        Ok(found) => found,
        Err(found) => {
            problems.extend(found);
            problems.push(further(tools, full, target).await?);
            return Ok(Err(problems));
        }
    };
    if !problems.is_empty() {
        return Ok(Err(problems));
    }
    let mut planned = Vec::new();
    if let Some((facts, says)) = facts {
        match Box::pin(companion(tools, request, facts, (target, &definition, &images), ledger)).await? {
            Ok(mut canary) => {
                canary.course.canary_of = Some(full.service.name.clone());
                canary.pair = Some(says);
                planned.push(canary);
            }
            Err(found) => return Ok(Err(found.into_iter().map(|problem| format!("canary: {problem}")).collect())),
        }
    }
    let mut own = planned_for(tools, request, full, (target, images), ledger).await?;
    own.course.canary = planned.first().map(|canary| canary.course.service.clone());
    planned.push(own);
    Ok(Ok(planned))
}

/// What keeps any service from being rolled back, wherever it goes.
fn supported(request: &Request, service: &Service) -> Vec<String> {
    let mut problems = Vec::new();
    if service.status != "ACTIVE" {
        problems.push(format!("service {} is {}, expected ACTIVE", service.name, service.status));
    }
    for (what, found, expected) in [
        ("has the deployment controller", &service.controller, "ECS"),
        ("uses the deployment strategy", &service.strategy, "ROLLING"),
        ("is scheduled as", &service.scheduling, "REPLICA"),
    ] {
        if found != expected {
            problems.push(format!("service {} {what} {found}, only {expected} is supported", service.name));
        }
    }
    let home = request.home.as_ref();
    if let Some(home) = home.filter(|home| !service.arn.contains(&format!(":{}:{}:", home.region, home.account))) {
        problems
            .push(format!("the ARNs name account {} in {}, but this is {}", home.account, home.region, service.arn));
    }
    if request.surge == Some(false) && service.rebalancing {
        problems.push(format!(
            "surge=false, but {} has availabilityZoneRebalancing ENABLED, with which ECS refuses a maximumPercent of 100",
            service.name
        ));
    }
    problems
}

/// A target's task definition and images, or why it cannot be deployed.
pub(crate) async fn look_at(
    tools: &Tools,
    target: &Good,
) -> Result<Result<(TaskDefinition, Vec<Image>), Vec<String>>, AwsError> {
    let definition = tools.ecs.task_definition(&target.revision.to_string()).await?;
    let looked = match &definition {
        Some(definition) => registries(tools, definition, target).await?,
        None => Vec::new(),
    };
    let images = usable::images(target, definition.as_ref(), &looked);
    Ok(images.and_then(|images| definition.map(|definition| (definition, images)).ok_or_else(Vec::new)))
}

async fn registries(tools: &Tools, definition: &TaskDefinition, target: &Good) -> Result<Vec<Looked>, AwsError> {
    let mut looked = Vec::new();
    for (container, written) in definition.images() {
        if !usable::is_meant(target, &container) {
            continue;
        }
        let answer = match ImageReference::parse(&written) {
            Err(problem) => Answer::Wrong(problem.to_string()),
            Ok(reference) => match tools.registries.resolve(&reference).await {
                Ok(resolved) => Answer::Found(Box::new((reference, resolved))),
                Err(ImageError::Problem(problem)) if reference.ecr().is_none() => Answer::Unknown(problem),
                Err(ImageError::Problem(problem)) => Answer::Wrong(problem),
                Err(ImageError::Aws(error)) if error.kind == Kind::Denied => {
                    Answer::Unknown(format!("cannot be looked at: {}", error.brief()))
                }
                Err(ImageError::Aws(error)) => return Err(error),
            },
        };
        looked.push(Looked { container, written, answer });
    }
    Ok(looked)
}

/// The newest release on the way back, beside what it runs and what was chosen, that could be deployed.
async fn further(tools: &Tools, facts: &Facts, chosen: &Good) -> Result<String, AwsError> {
    let others = way_back(&facts.history)
        .into_iter()
        .filter(|good| good.revision != chosen.revision && good.revision != facts.present.revision);
    for good in others.take(LOOKED_FURTHER) {
        if look_at(tools, good).await?.is_ok() {
            return Ok(match &good.release {
                Some(release) => format!("the newest that can be deployed is {} (--to {release})", good.revision),
                None => format!("the newest that can be deployed is {}", good.revision),
            });
        }
    }
    Ok("no other release of its history can be deployed: release an earlier image through the pipeline".to_owned())
}

/// A service's course to a target.
pub(crate) async fn planned_for(
    tools: &Tools,
    request: &Request,
    facts: &Facts,
    (target, images): (&Good, Vec<Image>),
    ledger: Ledger,
) -> Result<Planned, AwsError> {
    let leaves = facts.present.revision != target.revision;
    let (left, left_digests) =
        if leaves { release_of_present(tools, facts, ledger).await? } else { (None, BTreeMap::new()) };
    let course = Course {
        cluster: request.cluster.clone(),
        service: facts.service.name.clone(),
        canary_of: None,
        canary: None,
        from: facts.present.revision.clone(),
        left,
        left_digests,
        to: target.revision.clone(),
        release: target.release.clone().map(|release| (release, target.pipeline.clone())),
        images,
        own: facts.own,
        surge: request.surge,
    };
    Ok(Planned { course, copy: None, service: facts.service.clone(), pair: None })
}

/// Where the canary goes: to what it ran with that release, if that can be deployed; else to a copy of what it runs with
/// the images of the full service's target.
async fn companion(
    tools: &Tools,
    request: &Request,
    canary: &Facts,
    (target, definition, images): (&Good, &TaskDefinition, &[Image]),
    ledger: Ledger,
) -> Result<Result<Planned, Vec<String>>, AwsError> {
    if let Some(good) = pair::companion(target, &canary.history)
        && let Ok((_, images)) = look_at(tools, good).await?
    {
        return planned_for(tools, request, canary, (good, images), ledger).await.map(Ok);
    }
    let running = tools.ecs.task_definition(&canary.present.revision.to_string()).await?;
    let Some(running) = running else {
        return Ok(Err(vec![format!("task definition {} is gone", canary.present.revision)]));
    };
    let fixed = images.iter().map(|image| image.reference.clone()).collect();
    let pinned =
        ServiceRevision { arn: String::new(), revision: target.revision.clone(), digests: target.digests.clone() };
    let release = target.name();
    let containers = running.images();
    let shared = |image: &&Image| containers.iter().any(|(container, _)| *container == image.container);
    let images: Vec<Image> = images.iter().filter(shared).cloned().collect();
    let own = Good { revision: canary.present.revision.clone(), ..target.clone() };
    let mut planned = planned_for(tools, request, canary, (&own, images), ledger).await?;
    if let Restore::Register(copy) = restore::plan(&running, definition, &pinned, &fixed, Purpose::Release(release)) {
        (planned.course.left, planned.course.left_digests) = release_of_present(tools, canary, ledger).await?;
        planned.copy = Some(copy);
    }
    Ok(Ok(planned))
}

/// Whether a canary that looks as if it ran a later release runs none: a copy that was made to return it to its full
/// service's images or to a release of its, before the full service was told; or, brought by hand, an image of its full
/// service's that is on record there under another digest. A release with former images is no copy: it has an execution of
/// its own. Nor is a release that the canary has run before, and runs again.
async fn runs_nothing_new(tools: &Tools, canary: &Facts, full: &Facts) -> Result<bool, AwsError> {
    let has_run = |good: &Good| good.release.is_some() && good.revision == canary.present.revision;
    if canary.history.iter().any(has_run) {
        return Ok(false);
    }
    let definition = tools.ecs.task_definition(&canary.present.revision.to_string()).await?;
    let Some(definition) = definition else { return Ok(false) };
    if definition.tags.contains_key(tags::RETURNED_BY) {
        return Ok(true);
    }
    if let Some(made_for) = definition.tags.get(tags::EXECUTION) {
        return Ok(full.history.iter().any(|good| names(good).any(|name| name == *made_for)));
    }
    let count = digests_that_count(tools, &definition, &full.present.digests).await?;
    Ok(are_one_image(&full.present.digests, &canary.present.digests, &count))
}

/// The digests that count as the image of each of a task definition's containers that is among `wanted`: an index's and its
/// children's. None where nobody here can tell.
async fn digests_that_count(
    tools: &Tools,
    definition: &TaskDefinition,
    wanted: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, BTreeSet<String>>, AwsError> {
    let mut count = BTreeMap::new();
    for (container, written) in definition.images() {
        if !wanted.contains_key(&container) {
            continue;
        }
        let resolved = match ImageReference::parse(&written) {
            Ok(reference) => tools.registries.resolve(&reference).await,
            Err(problem) => Err(ImageError::Problem(problem.to_string())),
        };
        let digests = match resolved {
            Ok(Resolved { digest, children, .. }) => children.into_iter().chain([digest.to_string()]).collect(),
            Err(ImageError::Problem(_)) => BTreeSet::new(),
            Err(ImageError::Aws(error)) if error.kind == Kind::Denied => BTreeSet::new(),
            Err(ImageError::Aws(error)) => return Err(error),
        };
        count.insert(container, digests);
    }
    Ok(count)
}

/// What a copy for a release may be tagged with: the release, or where the ledger did not know it, its revision.
fn names(good: &Good) -> impl Iterator<Item = String> {
    good.release.clone().into_iter().chain([good.revision.to_string()])
}

/// Registers what has to be registered, so that every course has its target.
///
/// # Errors
/// When a call fails.
pub async fn settle(tools: &Tools, planned: Vec<Planned>) -> Result<Vec<Course>, AwsError> {
    let mut courses = Vec::with_capacity(planned.len());
    for Planned { mut course, copy, .. } in planned {
        if let Some(copy) = copy {
            course.to = crate::act::register(tools, &copy).await?;
        }
        courses.push(course);
    }
    Ok(courses)
}
