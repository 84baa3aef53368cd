//! What a turn looks at: through the shared observer on every pass, and directly where the preflight needs more.

use std::collections::BTreeSet;

use coalmine_pipeline::{ContainerImage, ImageReference};

use crate::aws::ecr::ImageError;
use crate::aws::executions::Execution;
use crate::aws::observer::{AlarmWatch, Seen, ServiceWatch};
use crate::deploy::action::Action;
use crate::deploy::batch::Percents;
use crate::deploy::decision::{Role, Sight, Which};
use crate::deploy::earlier::{InProgress, Lender};
use crate::deploy::preflight::{Asked, CanaryFound, Facts};
use crate::deploy::progress::{Phase, Progress};
use crate::deploy::release::{Count, Image};
use crate::deploy::restore;
use crate::deploy::revision::Revision;
use crate::deploy::rollback::refused::Refused;
use crate::deploy::task_definition::TaskDefinition;
use crate::deploy::view::{Alarm, Service, ServiceRevision};
use crate::earlier;
use crate::images::release;
use crate::ledger;
use crate::right::WANTED_INTERVAL;
use crate::tools::Tools;
use crate::turn::Turn;
use coalmine_door::AwsError;
use coalmine_door::clock::Time;

/// What a turn sees of its two services and its alarms.
pub(crate) struct View {
    own: ServiceWatch,
    partner: ServiceWatch,
    alarms: AlarmWatch,
    own_seen: Seen,
    partner_seen: Seen,
    alarms_seen: Vec<Alarm>,
    /// Only what was seen after this date is believed.
    after: Time,
    /// The id of our service deployment, as the token has it.
    followed: Option<String>,
    deployment: Option<String>,
    ignored: BTreeSet<String>,
    /// Percents that a service was given, and when, until a newer view shows them.
    taken: Option<(Time, Which, Percents)>,
    /// The release's images, once this turn knows them.
    pub(crate) images: Option<Vec<Image>>,
    /// The tasks as counted in this pass.
    pub(crate) count: Option<Count>,
    /// Whether our deployment was looked for, and not found.
    pub(crate) searched: bool,
}

impl View {
    pub(crate) fn new(tools: &Tools, action: &Action, progress: &Progress) -> Self {
        let mut view = Self {
            own: tools.observer.service(&action.cluster, &action.service),
            partner: tools.observer.service(&action.cluster, &action.partner),
            alarms: tools.observer.alarms(&action.alarms, matches!(progress.phase, Phase::Check { .. })),
            own_seen: Seen::default(),
            partner_seen: Seen::default(),
            alarms_seen: Vec::new(),
            after: tools.clock.now(),
            followed: progress.deployment.clone(),
            deployment: None,
            ignored: BTreeSet::new(),
            taken: None,
            images: None,
            count: None,
            searched: false,
        };
        view.ignore_red(action, progress);
        view
    }

    /// Leaves out the alarms that were red before and are to be ignored.
    pub(crate) fn ignore_red(&mut self, action: &Action, progress: &Progress) {
        let Some(former) = &progress.former else { return };
        let marked = action.alarms.iter().enumerate().filter(|(place, _)| former.red.has(*place));
        self.ignored = marked.map(|(_, name)| name.clone()).collect();
    }

    /// Waits until there is a view that is newer than the last act.
    ///
    /// # Errors
    /// When the last observation failed.
    pub(crate) async fn refresh(&mut self) -> Result<(), AwsError> {
        self.own_seen = self.own.after(self.after).await;
        self.partner_seen = self.partner.after(self.after).await;
        self.believe_taken();
        for seen in [&self.own_seen, &self.partner_seen] {
            if let Some(problem) = &seen.problem {
                return Err(problem.clone());
            }
        }
        if let (Some(id), Some(service)) = (&self.followed, &self.own_seen.service) {
            let arn = deployment_arn(&service.arn, id);
            self.follow(&arn);
        }
        self.alarms_seen = self.alarms.seen().map_err(|problem| {
            problem.unwrap_or_else(|| AwsError::unusable("cloudwatch DescribeAlarms", "not answered yet"))
        })?;
        Ok(())
    }

    /// Waits for the next observation.
    pub(crate) async fn changed(&mut self) {
        let latest = self.own_seen.at.max(self.partner_seen.at).unwrap_or(self.after);
        self.own.after(latest).await;
        self.after = latest;
        self.count = None;
    }

    /// From now on, only newer views are believed.
    pub(crate) fn outdate(&mut self, tools: &Tools) {
        self.after = tools.clock.now();
        self.count = None;
        self.searched = false;
    }

    /// A service took other percents: they are believed until a newer view shows what it has.
    pub(crate) fn took(&mut self, tools: &Tools, which: Which, percents: Percents) {
        self.taken = Some((tools.clock.now(), which, percents));
        self.believe_taken();
    }

    fn believe_taken(&mut self) {
        let Some((at, which, percents)) = self.taken else { return };
        let seen = match which {
            Which::Own => &mut self.own_seen,
            Which::Partner => &mut self.partner_seen,
        };
        match &mut seen.service {
            Some(service) if seen.at.is_some_and(|seen| seen <= at) => service.percents = percents,
            _ => self.taken = None,
        }
    }

    /// Our deployment is to be looked for again at the next pass.
    pub(crate) fn forget_search(&mut self) {
        self.searched = false;
    }

    /// Our service deployment was found: it is followed from now on.
    pub(crate) fn found(&mut self, id: &str) {
        self.followed = Some(id.to_owned());
    }

    fn follow(&mut self, arn: &str) {
        if self.deployment.as_deref() != Some(arn) {
            self.own.follow(arn);
            self.deployment = Some(arn.to_owned());
        }
    }

    /// The own service.
    ///
    /// # Errors
    /// When there is none of that name any more.
    pub(crate) fn service(&self) -> Result<&Service, AwsError> {
        existing(&self.own_seen)
    }

    /// The partner service.
    ///
    /// # Errors
    /// When there is none of that name any more.
    pub(crate) fn partner(&self) -> Result<&Service, AwsError> {
        existing(&self.partner_seen)
    }

    /// Whether one of the two services was looked for and is not there.
    pub(crate) fn lacks_a_service(&self) -> bool {
        self.missing().is_some()
    }

    /// Which of the two was looked for and is not there.
    pub(crate) fn missing(&self) -> Option<Which> {
        let is_gone = |seen: &Seen| seen.at.is_some() && seen.problem.is_none() && seen.service.is_none();
        let both = [(&self.own_seen, Which::Own), (&self.partner_seen, Which::Partner)];
        both.into_iter().find(|(seen, _)| is_gone(seen)).map(|(_, which)| which)
    }

    /// What decisions are made on.
    ///
    /// # Errors
    /// When one of the services has vanished.
    pub(crate) fn sight(&self) -> Result<Sight<'_>, AwsError> {
        Ok(Sight {
            service: self.service()?,
            partner: self.partner()?,
            deployment: self.deployment.as_ref().and_then(|arn| self.own_seen.deployments.get(arn)),
            searched: self.searched,
            stopped: &self.own_seen.stopped,
            alarms: self.alarms_seen.iter().filter(|alarm| !self.ignored.contains(&alarm.name)).collect(),
            count: self.count.as_ref(),
        })
    }
}

fn existing(seen: &Seen) -> Result<&Service, AwsError> {
    seen.service.as_ref().ok_or_else(|| AwsError::unusable("ecs DescribeServices", "the service is not there any more"))
}

/// `…:service/cluster/name` and an id → `…:service-deployment/cluster/name/id`.
pub(crate) fn deployment_arn(service_arn: &str, id: &str) -> String {
    format!("{}/{id}", service_arn.replacen(":service/", ":service-deployment/", 1))
}

/// What the preflight reads beside the view; kept while it waits for something to pass.
pub(crate) struct Gathered {
    base: Option<TaskDefinition>,
    asked: Vec<Asked>,
    /// Why nothing is asked for, where the artifact names no image.
    no_images: Option<String>,
    pub(crate) canary: Option<CanaryFound>,
    /// Why the watch returned the canary, where it did.
    returned: Option<String>,
    pipeline: Execution,
    never_deployed: bool,
    /// The service's own percents, where a turnover that was abandoned left others.
    percents: Option<Percents>,
    /// Where an earlier try of this execution brought what the service runs: what ran before, if that can be told.
    before: Option<Option<Revision>>,
    in_progress: Option<InProgress>,
    /// Who gave the service the percents that it has, and is about to give it its own back.
    lender: Option<Lender>,
    /// When all this was looked up.
    at: Time,
    /// Digests that the service was rolled back from.
    refused: Vec<Refused>,
    /// An earlier successful deployment that ran what is asked for, where the execution is a rollback.
    earlier: Option<ServiceRevision>,
}

/// Who asks for a preflight: a turn, or somebody who wants to know beforehand.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) tools: &'a Tools,
    pub(crate) action: &'a Action,
    /// The pipeline execution's id.
    pub(crate) execution: &'a str,
    pub(crate) own: Option<&'a Service>,
    pub(crate) partner: Option<&'a Service>,
    pub(crate) alarms: &'a [Alarm],
    /// When the action began, in epoch seconds.
    pub(crate) started: i64,
}

impl<'a> Asker<'a> {
    pub(crate) fn of(turn: &'a Turn<'_>) -> Self {
        Self {
            tools: turn.tools,
            action: &turn.action,
            execution: &turn.job.context.execution,
            own: turn.view.own_seen.service.as_ref(),
            partner: turn.view.partner_seen.service.as_ref(),
            alarms: &turn.view.alarms_seen,
            started: turn.progress.started,
        }
    }
}

impl Gathered {
    /// Reads the artifact, the task definitions and what the registries say.
    pub(crate) async fn gather(turn: &Turn<'_>) -> Result<Self, AwsError> {
        let pipeline = turn.tools.codepipeline.execution(&turn.job.context).await?;
        let gathered = Self::of(Asker::of(turn), pipeline, async |containers| release(turn, containers).await).await?;
        let returned = match turn.action.role {
            Role::Full => turn.returned().await,
            Role::Canary => None,
        };
        Ok(Self { returned, ..gathered })
    }

    /// The same for anybody who says which images a release has.
    pub(crate) async fn of(
        asker: Asker<'_>,
        pipeline: Execution,
        release: impl AsyncFnOnce(&[String]) -> Result<Result<Vec<ContainerImage>, String>, AwsError>,
    ) -> Result<Self, AwsError> {
        let Asker { tools, action, execution, own, partner, .. } = asker;
        let canary = match (action.role, partner) {
            (Role::Full, Some(canary)) => canary_found(tools, canary, execution).await?,
            _ => None,
        };
        let running = match own {
            Some(service) => tools.ecs.task_definition(&service.revision.to_string()).await?,
            None => None,
        };
        let base = base(asker, running.as_ref(), canary.as_ref(), &pipeline).await?;
        let containers: Vec<String> =
            base.iter().flat_map(TaskDefinition::images).map(|(container, _)| container).collect();
        let (images, no_images) = match release(&containers).await? {
            Ok(images) => (images, None),
            Err(problem) => (Vec::new(), Some(problem)),
        };
        let mut asked = Vec::new();
        for ContainerImage { container, image } in images {
            let reference = match &canary {
                Some(canary) if restore::is_ours(&canary.definition, execution) => {
                    as_approved(canary, &container, image)
                }
                _ => image,
            };
            let answer = match tools.registries.resolve(&reference).await {
                Ok(resolved) => Ok(resolved),
                Err(ImageError::Problem(problem)) => Err(problem),
                Err(ImageError::Aws(error)) => return Err(error),
            };
            asked.push(Asked { container, reference, answer });
        }
        let never_deployed = match own {
            Some(service) => never_deployed(tools, service).await?,
            None => false,
        };
        let (mut percents, mut before, mut in_progress, mut earlier) = (None, None, None, None);
        let (mut refused, mut lender) = (Vec::new(), None);
        if let Some(service) = own {
            let names = (service.cluster.as_str(), service.name.as_str());
            let lent = ledger::percents::lent(tools.held.store(), names, service.percents, tools.clock.now())
                .await
                .map_err(|problem| AwsError::unusable("reading the ledger", problem.to_string()))?;
            percents = Some(lent.as_ref().map_or(service.percents, |lent| lent.own));
            if let Some(lent) = lent {
                lender = earlier::at_work(tools, lent, execution).await?;
            }
            refused = ledger::refused::read(tools.held.store(), (&service.cluster, &service.name))
                .await
                .map_err(|problem| AwsError::unusable("reading the ledger", problem.to_string()))?;
            // The tags may have moved since an earlier try of this execution.
            let of_ours = |running: &&TaskDefinition| restore::is_ours(running, execution) && brings(running, &asked);
            if let Some(running) = running.as_ref().filter(of_ours) {
                before = Some(earlier::before(tools, service, running).await?);
            }
            if service.is_rolling() {
                in_progress = earlier::in_progress(tools, service).await?;
            }
            if pipeline.rolls_back && action.role == Role::Full {
                earlier = earlier::that_ran(tools, service, &asked).await?;
            }
        }
        Ok(Self {
            base,
            asked,
            no_images,
            canary,
            returned: None,
            pipeline,
            never_deployed,
            percents,
            before,
            in_progress,
            lender,
            at: tools.clock.now(),
            refused,
            earlier,
        })
    }

    /// Whether whom the service waits for is to be asked about anew: it may have been given up meanwhile.
    pub(crate) fn is_stale(&self, now: Time) -> bool {
        self.lender.is_some() && (now - self.at).to_std().unwrap_or_default() >= WANTED_INTERVAL
    }

    /// All that the preflight decides on.
    pub(crate) fn facts<'a>(&'a self, asker: Asker<'a>, busy_since: Option<i64>) -> Facts<'a> {
        let action = asker.action;
        Facts {
            role: action.role,
            execution: asker.execution,
            mode: &self.pipeline.mode,
            rolls_back: self.pipeline.rolls_back,
            earlier: self.earlier.clone(),
            percents: self.percents,
            before: self.before.clone(),
            in_progress: self.in_progress.clone(),
            lender: self.lender.clone(),
            refused: self.refused.clone(),
            options: &action.options,
            home: action.home.as_ref(),
            template: action.template.as_deref(),
            alarm_names: &action.alarms,
            service: (&action.service, asker.own.cloned()),
            partner: (&action.partner, asker.partner.cloned()),
            base: self.base.clone(),
            asked: self.asked.clone(),
            no_images: self.no_images.clone(),
            alarms: asker.alarms.to_vec(),
            canary: self.canary.clone(),
            returned: self.returned.clone(),
            never_deployed: self.never_deployed,
            busy_since,
            started: asker.started,
            deadline: action.deadline,
        }
    }
}

/// Whether a task definition names an image that is asked for, as it was asked for or by its digest.
fn brings(running: &TaskDefinition, asked: &[Asked]) -> bool {
    running.images().iter().any(|(container, image)| {
        asked.iter().filter(|asked| asked.container == *container).any(|asked| {
            *image == asked.reference.to_string()
                || asked.answer.as_ref().is_ok_and(|found| image.ends_with(&found.digest.to_string()))
        })
    })
}

/// Whether no deployment of a service ever succeeded. One that ended well, or that has tasks, need not be asked.
async fn never_deployed(tools: &Tools, service: &Service) -> Result<bool, AwsError> {
    if service.running > 0 || service.primary().is_some_and(|primary| primary.state == "COMPLETED") {
        return Ok(false);
    }
    Ok(tools.ecs.list_deployments(&service.cluster, &service.name, None, true).await?.is_empty())
}

/// The task definition that a release is put upon. A canary with a template takes the newest of it; Full takes the one
/// that its canary was based on, so that a `terraform apply` during the hold changes nothing under the approver. A
/// rollback without a canary of its own stays on the one that the service is based on now.
async fn base(
    asker: Asker<'_>,
    running: Option<&TaskDefinition>,
    canary: Option<&CanaryFound>,
    pipeline: &Execution,
) -> Result<Option<TaskDefinition>, AwsError> {
    let Some(running) = running else { return Ok(None) };
    let of_canary = |canary: &&CanaryFound| restore::is_ours(&canary.definition, asker.execution);
    let revision = match (&asker.action.template, asker.action.role) {
        (None, _) => return Ok(Some(running.clone())),
        (Some(family), Role::Canary) => return asker.tools.ecs.task_definition(family).await,
        (Some(_), Role::Full) => match canary.filter(of_canary) {
            Some(canary) => canary.definition.base(),
            None if pipeline.rolls_back => running.base(),
            None => canary.and_then(|canary| canary.definition.base()),
        },
    };
    match revision {
        Some(revision) => asker.tools.ecs.task_definition(&revision.to_string()).await,
        None => Ok(None),
    }
}

async fn canary_found(tools: &Tools, canary: &Service, execution: &str) -> Result<Option<CanaryFound>, AwsError> {
    let Some(definition) = tools.ecs.task_definition(&canary.revision.to_string()).await? else { return Ok(None) };
    let arns = tools.ecs.task_arns(&canary.cluster, &canary.name, true).await?;
    let stopped = if arns.is_empty() { Vec::new() } else { tools.ecs.tasks(&canary.cluster, &arns).await? };
    // For the refusal, which names both digests.
    let pinned = if restore::is_ours(&definition, execution) { None } else { earlier::newest(tools, canary).await? };
    let digests = pinned.map(|pinned| pinned.digests).unwrap_or_default();
    Ok(Some(CanaryFound { definition, stopped, digests }))
}

/// Digests are resolved once, at the canary: where it runs a digest of the very repository that the artifact names by
/// tag, that digest is what was approved.
fn as_approved(canary: &CanaryFound, container: &str, asked: ImageReference) -> ImageReference {
    let images = canary.definition.images();
    let running =
        images.iter().find(|(name, _)| name == container).and_then(|(_, image)| ImageReference::parse(image).ok());
    match running {
        Some(running) if asked.digest().is_none() && running.digest().is_some() && running.name() == asked.name() => {
            running
        }
        _ => asked,
    }
}
