//! Before anything is touched: everything is checked, and all problems come in one answer.

use std::collections::BTreeMap;
use std::time::Duration;

use coalmine_pipeline::{AlreadyRed, Home, ImageReference, Options, duration, tags};

use crate::deploy::batch::Percents;
use crate::deploy::decision::{Role, elapsed};
use crate::deploy::earlier::{InProgress, Lender, digests, shown, under_way};
use crate::deploy::progress::{Former, Marks};
use crate::deploy::release::{Image, Resolved};
use crate::deploy::revision::Revision;
use crate::deploy::rollback::refused::{self, Refused};
use crate::deploy::task_definition::{Copy, Purpose, TAGS_MAX, TaskDefinition, copy};
use crate::deploy::undo::STALE_READ;
use crate::deploy::verdict::{red, repeated_fault};
use crate::deploy::view::{Alarm, Service, ServiceRevision, Task};

/// What was asked for one container, and what the registry says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The container's name.
    pub container: String,
    /// The image.
    pub reference: ImageReference,
    /// The registry's answer, or why there is none.
    pub answer: Result<Resolved, String>,
}

/// The canary that stands beside a full service, as Full finds it.
#[derive(Clone, Debug, PartialEq)]
pub struct CanaryFound {
    /// What it runs.
    pub definition: TaskDefinition,
    /// Its stopped tasks of the last hour.
    pub stopped: Vec<Task>,
    /// Container → digest that it runs, where it was not deployed by this execution and ECS recorded them.
    pub digests: BTreeMap<String, String>,
}

/// Everything that a preflight looks at.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Which action it is.
    pub role: Role,
    /// This execution's id.
    pub execution: &'a str,
    /// The action's rare knobs.
    pub options: &'a Options,
    /// The pipeline's execution mode; empty where AWS does not say.
    pub mode: &'a str,
    /// Whether the execution rolls a stage back to what an earlier one did.
    pub rolls_back: bool,
    /// A successful deployment of the own service that ran what is asked for, where one was looked for.
    pub earlier: Option<ServiceRevision>,
    /// The own service's percents, where a turnover that was abandoned left others.
    pub percents: Option<Percents>,
    /// Where an earlier try of this execution brought what the own service runs: what ran before, if that can be told.
    pub before: Option<Option<Revision>>,
    /// Digests that the own service was rolled back from.
    pub refused: Vec<Refused>,
    /// The deployment that the own service is in the middle of.
    pub in_progress: Option<InProgress>,
    /// Who gave the own service the percents that it had when this was looked up, and is about to give its own back.
    pub lender: Option<Lender>,
    /// The account and region that the configured ARNs name, where they are ARNs.
    pub home: Option<&'a Home>,
    /// The template family, where one is configured.
    pub template: Option<&'a str>,
    /// The configured alarms' names.
    pub alarm_names: &'a [String],
    /// The own service's name, and what was found under it.
    pub service: (&'a str, Option<Service>),
    /// The partner's name, and what was found under it.
    pub partner: (&'a str, Option<Service>),
    /// The task definition that the release is put upon.
    pub base: Option<TaskDefinition>,
    /// The images of the release.
    pub asked: Vec<Asked>,
    /// Why there are none, where the artifact names none.
    pub no_images: Option<String>,
    /// The alarms that were found.
    pub alarms: Vec<Alarm>,
    /// The canary, for Full.
    pub canary: Option<CanaryFound>,
    /// Why the watch returned the canary while it was held, where it did; for Full.
    pub returned: Option<String>,
    /// Whether no deployment of the own service ever succeeded, and none of its tasks runs.
    pub never_deployed: bool,
    /// Since when the service has been found busy, in epoch seconds.
    pub busy_since: Option<i64>,
    /// When the action began, in epoch seconds.
    pub started: i64,
    /// When it gives up.
    pub deadline: Duration,
}

/// The answer of a preflight.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// Everything is in order.
    Ready(Box<Plan>),
    /// Something will pass: another deployment, a red alarm. The flag tells whether the service is busy.
    Wait {
        /// What it waits for.
        reason: String,
        /// Whether it waits for another deployment.
        busy: bool,
    },
    /// What is wrong, every problem a sentence.
    Refuse(Vec<String>),
}

/// What will be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The release's images.
    pub images: Vec<Image>,
    /// The task definition to register.
    pub copy: Copy,
    /// What the service was before.
    pub former: Former,
}

/// What is wrong for as long as nobody mends it, and what was found in order.
pub(super) struct Found<'f> {
    /// What is wrong.
    pub(super) problems: Vec<String>,
    /// What speaks against the canary of a turnover, which a read may lag behind.
    unproven: Vec<String>,
    /// The images that can be deployed.
    pub(super) images: Vec<Image>,
    /// The two services and what the release is put upon, where all of them are there.
    pub(super) ground: Option<(&'f Service, &'f Service, &'f TaskDefinition)>,
}

/// Checks what does not pass by itself.
pub(super) fn find<'f>(facts: &'f Facts<'_>) -> Found<'f> {
    let mut problems = Vec::new();
    let services = services(facts, &mut problems);
    let images = images(facts, &mut problems);
    let service = facts.service.1.as_ref().map_or_else(|| facts.service.0.to_owned(), Service::label);
    problems.extend(refused::problems(&facts.asked, &facts.refused, &facts.options.allow, &service));
    alarms_exist(facts, &mut problems);
    if facts.mode == "PARALLEL" {
        problems.push(
            "the pipeline runs in execution mode PARALLEL, in which one release overwrites the canary that another is judged by: use SUPERSEDED or QUEUED"
                .to_owned(),
        );
    }
    let mut unproven = Vec::new();
    let (Some((service, partner)), Some(base)) = (services, &facts.base) else {
        if facts.base.is_none() && facts.service.1.is_some() {
            problems.push(no_base(facts));
        }
        return Found { problems, unproven, images, ground: None };
    };
    check_template(facts, service, base, &mut problems);
    if let Some(canary) = &facts.canary {
        proven(facts, partner, canary, &mut unproven);
    }
    if let Some(home) = facts.home.filter(|home| !service.arn.contains(&format!(":{}:{}:", home.region, home.account)))
    {
        problems.push(format!(
            "Cluster, Service: the ARNs name account {} in {}, but this worker acts on {}",
            home.account, home.region, service.arn
        ));
    }
    if facts.options.surge == Some(false) && service.rebalancing {
        problems.push(format!(
            "Options: surge=false, but {} has availabilityZoneRebalancing ENABLED, with which ECS refuses a maximumPercent of 100: leave surge out, or disable the setting",
            service.label()
        ));
    }
    Found { problems, unproven, images, ground: Some((service, partner, base)) }
}

/// Checks everything.
#[must_use]
pub fn check(facts: &Facts<'_>, now: i64) -> Check {
    let Found { mut problems, unproven, images, ground } = find(facts);
    let Some((service, partner, base)) = ground else { return Check::Refuse(problems) };
    // The turnover may follow its canary at once, and a read may lag behind that.
    if problems.is_empty() && !unproven.is_empty() && elapsed(facts.started, now) < STALE_READ {
        return Check::Wait { reason: format!("looking once more: {}", unproven.join("; ")), busy: false };
    }
    problems.extend(unproven);
    if !problems.is_empty() {
        // All in one answer: a red alarm would be the next.
        if let Some(Check::Refuse(red)) = red_before(facts, service, partner, now) {
            problems.extend(red);
        }
        return Check::Refuse(problems);
    }
    if let Some(waiting) = busy(facts, service, now) {
        return waiting;
    }
    if let Some(waiting) = red_before(facts, service, partner, now) {
        return waiting;
    }
    let red = match facts.options.already_red {
        AlreadyRed::Ignore => red_marks(facts),
        AlreadyRed::Block | AlreadyRed::RequireClear => Marks::default(),
    };
    Check::Ready(Box::new(Plan {
        copy: copy_of(facts, &images, base, &service.revision.family),
        images,
        former: Former {
            revision: facts.before.clone().flatten().unwrap_or_else(|| service.revision.clone()),
            desired: service.desired,
            percents: facts.percents.unwrap_or(service.percents),
            first: facts.never_deployed,
            percents_back: false,
            at: None,
            red,
        },
    }))
}

/// The task definition that brings the images to a family.
pub(super) fn copy_of(facts: &Facts<'_>, images: &[Image], base: &TaskDefinition, family: &str) -> Copy {
    let written = images.iter().map(|image| (image.container.clone(), image.reference.clone())).collect();
    copy(base, family, &written, Purpose::Release(facts.execution.to_owned()))
}

fn services<'a>(facts: &'a Facts<'_>, problems: &mut Vec<String>) -> Option<(&'a Service, &'a Service)> {
    let (own, partner) = match facts.role {
        Role::Canary => ("Service", "FullService"),
        Role::Full => ("Service", "CanaryService"),
    };
    let own = supported(own, &facts.service, problems);
    let partner = supported(partner, &facts.partner, problems);
    own.zip(partner)
}

fn supported<'a>(
    property: &str,
    (name, found): &'a (&str, Option<Service>),
    problems: &mut Vec<String>,
) -> Option<&'a Service> {
    let Some(service) = found else {
        problems.push(format!("{property}: ECS has no service {name} in the cluster"));
        return None;
    };
    let before = problems.len();
    if service.status != "ACTIVE" {
        problems.push(format!("{property}: service {name} is {}, expected ACTIVE", service.status));
    }
    if service.controller != "ECS" {
        problems.push(format!(
            "{property}: service {name} has the deployment controller {}, only ECS is supported",
            service.controller
        ));
    }
    if service.strategy != "ROLLING" {
        problems.push(format!(
            "{property}: service {name} uses the deployment strategy {}, which this version does not drive: only ROLLING",
            service.strategy
        ));
    }
    if service.scheduling != "REPLICA" {
        problems.push(format!("{property}: service {name} is scheduled as {}, expected REPLICA", service.scheduling));
    }
    (problems.len() == before).then_some(service)
}

fn no_base(facts: &Facts<'_>) -> String {
    match (facts.template, facts.role) {
        (Some(family), Role::Canary) => format!("TemplateFamily: family {family} has no ACTIVE task definition"),
        (Some(family), Role::Full) => format!(
            "TemplateFamily: the canary does not say on which revision of {family} it was based: let Coalmine-Canary deploy this execution first"
        ),
        (None, _) => format!("Service: the task definition that {} runs cannot be described", facts.service.0),
    }
}

fn check_template(facts: &Facts<'_>, service: &Service, base: &TaskDefinition, problems: &mut Vec<String>) {
    if facts.template == Some(service.revision.family.as_str()) {
        problems.push(format!(
            "TemplateFamily: {} is the family that the service runs; the template must be another one, or every release would become the next template",
            service.revision.family
        ));
    }
    if base.tags_kept() > TAGS_MAX {
        problems.push(format!(
            "task definition {} has {} tags; at most {TAGS_MAX} leave room for the three that Coalmine adds",
            base.revision,
            base.tags_kept()
        ));
    }
}

fn images(facts: &Facts<'_>, problems: &mut Vec<String>) -> Vec<Image> {
    let known: Option<BTreeMap<String, String>> = facts.base.as_ref().map(|base| base.images().into_iter().collect());
    let mut images = Vec::new();
    for asked in &facts.asked {
        if let Some(known) = known.as_ref().filter(|known| !known.contains_key(&asked.container)) {
            if !facts.options.ignore_unknown {
                let names = known.keys().cloned().collect::<Vec<_>>().join(", ");
                problems.push(format!(
                    "container {} is not in the task definition, whose containers are: {names}",
                    asked.container
                ));
            }
            continue;
        }
        match &asked.answer {
            Err(problem) => {
                problems.push(format!("container {}: image {}: {problem}", asked.container, asked.reference));
            }
            Ok(resolved) => match unusable(facts, resolved) {
                Some(problem) => {
                    problems.push(format!("container {}: image {}: {problem}", asked.container, asked.reference));
                }
                None => images.push(Image::new(&asked.container, &asked.reference, resolved)),
            },
        }
    }
    problems.extend(facts.no_images.clone());
    if images.is_empty() && problems.is_empty() {
        problems.push("the release names no image for any container of the task definition".to_owned());
    }
    images
}

fn unusable(facts: &Facts<'_>, resolved: &Resolved) -> Option<String> {
    if resolved.archived {
        return Some("is archived and cannot be pulled: restore it, or push it again".to_owned());
    }
    let (base, architectures) = (facts.base.as_ref()?, resolved.architectures.as_ref()?);
    let needed = base.architecture();
    (!architectures.contains(needed)).then(|| {
        let found = architectures.iter().cloned().collect::<Vec<_>>().join(", ");
        format!("was built for {found}, but the tasks run on {needed}")
    })
}

fn alarms_exist(facts: &Facts<'_>, problems: &mut Vec<String>) {
    for name in facts.alarm_names {
        if !facts.alarms.iter().any(|alarm| alarm.name == *name) {
            problems.push(format!("Alarms: CloudWatch has no alarm {name}"));
        }
    }
}

/// Full accepts what this execution's canary succeeded with, and judges the canary once more.
fn proven(facts: &Facts<'_>, canary: &Service, found: &CanaryFound, problems: &mut Vec<String>) {
    let definition = &found.definition;
    let label = canary.label();
    if let Some(why) = &facts.returned {
        problems.push(format!(
            "CanaryService: {label} was returned while it was held: {why}. Start the pipeline again, so that the canary is deployed and approved first"
        ));
        return;
    }
    match definition.tags.get(tags::EXECUTION) {
        Some(execution) if execution == facts.execution => {}
        // What this service ran before needs no canary to show it.
        _ if facts.rolls_back && facts.earlier.is_some() => return,
        other => {
            let whose = match (other, definition.tags.get(tags::RETURNED_BY)) {
                (Some(id), _) => format!("the release of execution {id}"),
                (None, Some(id)) => format!("what execution {id} returned it to"),
                (None, None) => "no Coalmine release".to_owned(),
            };
            let remedy = if facts.rolls_back {
                format!(
                    "no successful deployment of {} ran that: roll back to a release that was deployed, or release it through the canary",
                    facts.service.0
                )
            } else {
                "start the pipeline again, so that the canary is deployed and approved first".to_owned()
            };
            problems.push(format!(
                "CanaryService: {label} runs {} ({whose}){}, not the release of this execution {}{}: {remedy}",
                definition.revision,
                shown(&found.digests),
                facts.execution,
                shown(&digests(&facts.asked)),
            ));
            return;
        }
    }
    let runs: BTreeMap<String, String> = definition.images().into_iter().collect();
    for asked in &facts.asked {
        let running = runs.get(&asked.container).map_or("nothing", String::as_str);
        if running != asked.reference.to_string() {
            problems.push(format!(
                "container {}: the canary was approved with {running}, but this action is asked to deploy {}",
                asked.container, asked.reference
            ));
        }
    }
    if canary.is_rolling() {
        problems.push(format!("CanaryService: {label} is in the middle of a deployment"));
    }
    if canary.desired == 0 || canary.running < canary.desired {
        problems.push(format!("CanaryService: {} of {} tasks of {label} run", canary.running, canary.desired));
    }
    if let Some(fault) = repeated_fault(&found.stopped, &definition.revision, canary.desired) {
        problems.push(format!("CanaryService: {label} is not well any more: {fault}"));
    }
}

/// The other deployment that a service is in the middle of, in words. A first deployment that brings no task up never
/// ends: there is nothing to wait for, and nothing to disturb. Nor is a deployment over before the service has its own
/// percents again: given back in the middle of the next one, they would let more than its batch go at once.
pub(super) fn disturbed(facts: &Facts<'_>, service: &Service) -> Option<String> {
    if service.is_rolling() && !facts.never_deployed {
        return Some(under_way(facts.in_progress.as_ref(), service, facts.execution));
    }
    let own = facts.percents.filter(|own| *own != service.percents)?;
    facts.lender.as_ref().map(|lender| lender.told(service, own))
}

fn busy(facts: &Facts<'_>, service: &Service, now: i64) -> Option<Check> {
    let other = disturbed(facts, service)?;
    let since = facts.busy_since.unwrap_or(now);
    if elapsed(since, now) >= facts.options.wait {
        let waited = duration::show(facts.options.wait);
        return Some(Check::Refuse(vec![format!("{other}, still after {waited}: retry the stage when it has ended")]));
    }
    Some(Check::Wait { reason: format!("{other}: waiting for its end"), busy: true })
}

/// The alarms that are red, in words.
pub(super) fn reds(facts: &Facts<'_>, service: &Service, partner: &Service) -> Vec<String> {
    let reds = facts.alarms.iter().filter(|alarm| alarm.is_red());
    reds.map(|alarm| red(alarm, facts.role, service, Some(partner))).collect()
}

fn red_before(facts: &Facts<'_>, service: &Service, partner: &Service, now: i64) -> Option<Check> {
    let red = reds(facts, service, partner);
    match facts.options.already_red {
        _ if red.is_empty() => None,
        AlreadyRed::Ignore => None,
        AlreadyRed::RequireClear if elapsed(facts.started, now) >= facts.deadline => Some(Check::Refuse(
            red.into_iter().map(|alarm| format!("{alarm}, still after {}", duration::show(facts.deadline))).collect(),
        )),
        AlreadyRed::RequireClear => {
            Some(Check::Wait { reason: format!("waiting for OK: {}", red.join("; ")), busy: false })
        }
        AlreadyRed::Block => Some(Check::Refuse(
            red.into_iter()
                .map(|alarm| {
                    format!(
                        "{alarm} before the deployment: clear it, or set already_red=require-clear or ignore in Options"
                    )
                })
                .collect(),
        )),
    }
}

fn red_marks(facts: &Facts<'_>) -> Marks {
    let is_red = |name: &String| facts.alarms.iter().any(|alarm| alarm.name == *name && alarm.is_red());
    Marks::of(facts.alarm_names.iter().map(is_red))
}
