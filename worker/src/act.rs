//! Carrying out what was decided. No behaviour lives here: each step is a few calls, harmless when repeated.

use tracing::warn;

use crate::aws::codepipeline::ActionExecution;
use crate::aws::ecs::Change;
use crate::deploy::batch::Percents;
use crate::deploy::decision::{Role, Step, Update, Which};
use crate::deploy::earlier::Lender;
use crate::deploy::overtaken;
use crate::deploy::progress::{Phase, Progress, Target};
use crate::deploy::release::count;
use crate::deploy::restore::{self, Restore};
use crate::deploy::revision::Revision;
use crate::deploy::task_definition::{Copy, Purpose, TaskDefinition};
use crate::deploy::view::{DeploymentStatus, Service, ServiceRevision};
use crate::earlier;
use crate::images::images_of;
use crate::ledger;
use crate::observe::deployment_arn;
use crate::tools::Tools;
use crate::turn::Turn;
use coalmine_door::AwsError;
use coalmine_door::clock::Time;

/// How far the clocks of AWS and of this worker may differ, when deployments are searched by date.
const CLOCK_SKEW_SECONDS: i64 = 60;

/// Registers a copy, unless it was registered before: a repeated turn finds it by its tags.
///
/// # Errors
/// When a call fails.
pub(crate) async fn register(tools: &Tools, copy: &Copy) -> Result<Revision, AwsError> {
    for revision in tools.ecs.newest_revisions(&copy.family).await? {
        if let Some(found) = tools.ecs.task_definition(&revision.to_string()).await?
            && copy.is(&found)
        {
            return Ok(revision);
        }
    }
    tools.ecs.register(copy).await
}

/// Carries out a step.
///
/// # Errors
/// When a call fails.
pub(crate) async fn act(turn: &mut Turn<'_>, step: Step) -> Result<(), AwsError> {
    match step {
        Step::Enter(phase) => {
            if matches!(phase, Phase::Bake { .. }) {
                turn.progress.percents_are_back(true);
                strike_percents(turn).await;
            }
            turn.progress.phase = phase;
            Ok(())
        }
        Step::Bind => bind(turn).await,
        Step::Count => count_tasks(turn).await,
        Step::Update(update) => change(turn, update).await,
        Step::RollBack => roll_back(turn).await,
        Step::PlanRestore => plan_restore(turn).await,
        Step::GiveWay => give_way(turn).await,
        Step::Wait | Step::Undo(_) | Step::Succeed | Step::Fail => Ok(()),
    }
}

/// When the action began, in epoch seconds: its deployments come after that. Where AWS's date, which theirs are as well, is
/// not known, this worker's own has to do.
fn began(progress: &Progress) -> i64 {
    let dated = progress.former.as_ref().and_then(|former| former.at);
    dated.unwrap_or(progress.started - CLOCK_SKEW_SECONDS)
}

/// Finds the service deployment that brings our revision: among those created since the action began, or, where the
/// service runs the revision already, the current one. A stage that is retried may bring the revision of its first try,
/// whose deployment is over.
async fn bind(turn: &mut Turn<'_>) -> Result<(), AwsError> {
    let Some(ours) = turn.progress.revision.clone() else { return Ok(()) };
    let service = turn.view.service()?.clone();
    let is_dated = turn.progress.former.as_ref().is_some_and(|former| former.at.is_some());
    let floor = began(&turn.progress);
    let since = Time::from_timestamp(floor, 0);
    let ecs = &turn.tools.ecs;
    let mut found = None;
    for listed in ecs.list_deployments(&service.cluster, &service.name, since, false).await? {
        let earlier = listed.created.is_none_or(|created| created.timestamp() < floor);
        let over = !matches!(listed.status, DeploymentStatus::Running | DeploymentStatus::Successful);
        let before = listed.created.is_some_and(|created| created.timestamp() < turn.progress.started);
        let first_try = earlier || !is_dated && before && over;
        if !first_try && ecs.service_revision(&listed.target).await?.revision == ours {
            found = Some(listed.arn);
            break;
        }
    }
    let current = service.current_deployment.filter(|_| service.revision == ours);
    match found.or(current) {
        Some(arn) => {
            let id = arn.rsplit('/').next().unwrap_or(&arn).to_owned();
            turn.view.found(&id);
            turn.progress.deployment = Some(id);
            turn.view.outdate(turn.tools);
        }
        None => turn.view.searched = true,
    }
    Ok(())
}

/// Looks for what somebody else deployed last, which a late call of this action has taken the place of.
async fn give_way(turn: &mut Turn<'_>) -> Result<(), AwsError> {
    let (Some(former), Some(ours)) = (turn.progress.former.clone(), turn.progress.revision.clone()) else {
        return Ok(());
    };
    let (service, ecs) = (turn.view.service()?, &turn.tools.ecs);
    let since = Time::from_timestamp(began(&turn.progress), 0);
    let mut overtaken = None;
    for listed in ecs.list_deployments(&service.cluster, &service.name, since, false).await? {
        let target = ecs.service_revision(&listed.target).await?.revision;
        if target != ours && target != former.revision {
            overtaken = Some(target);
            break;
        }
    }
    overtaken::give_way(&mut turn.progress, overtaken, turn.tools.clock.now().timestamp());
    Ok(())
}

/// Counts the running tasks by digest, every one of them.
async fn count_tasks(turn: &mut Turn<'_>) -> Result<(), AwsError> {
    let Some(ours) = turn.progress.revision.clone() else { return Ok(()) };
    if turn.view.images.is_none() {
        turn.view.images = Some(images_of(turn, &ours).await?);
    }
    let service = turn.view.service()?;
    let (cluster, name) = (service.cluster.clone(), service.name.clone());
    let target = turn.view.sight()?.deployment.map(|deployment| deployment.target.clone());
    let ecs = &turn.tools.ecs;
    let arns = ecs.task_arns(&cluster, &name, false).await?;
    let tasks = if arns.is_empty() { Vec::new() } else { ecs.tasks(&cluster, &arns).await? };
    let images = turn.view.images.clone().unwrap_or_default();
    let silent = tasks.iter().flat_map(|task| &task.containers).any(|container| container.digest.is_none());
    let revision = match target {
        Some(target) if silent => Some(ecs.service_revision(&target).await?),
        _ => None,
    };
    turn.view.count = Some(count(&tasks, &images, revision.as_ref()));
    Ok(())
}

async fn change(turn: &mut Turn<'_>, update: Update) -> Result<(), AwsError> {
    let service = match update.which {
        Which::Own => turn.view.service()?,
        Which::Partner => turn.view.partner()?,
    };
    let deploys = update.revision.is_some();
    let former = turn.progress.former.as_ref().map(|former| former.percents);
    // Whose turnover it is from now on is on record, also where another one left the percents that it needs.
    let given = update.percents.or(deploys.then_some(service.percents));
    let percents = given.filter(|_| update.which == Which::Own).zip(former);
    if let Some((given, former)) = percents.filter(|(given, former)| given != former) {
        note_percents(turn, &service.name, former, given).await?;
    }
    // A canary that could not be replaced under its own percents is lent others, until it is back.
    let own = match turn.progress.phase {
        Phase::RestoreCanary { own, .. } => own.unwrap_or(service.percents),
        _ => service.percents,
    };
    let lent = update.percents.filter(|_| update.which == Which::Partner);
    if let Some(given) = lent.filter(|given| *given != own) {
        note_percents(turn, &service.name, own, given).await?;
    }
    if percents.is_some_and(|(given, former)| given == former && !deploys) && is_anothers(turn, service).await? {
        // Whoever began meanwhile gives them back, too; now they would let more than its batch go at once.
        turn.progress.percents_are_back(true);
        return Ok(());
    }
    let canary = (service.cluster.clone(), service.name.clone());
    let change = Change {
        task_definition: update.revision.map(|revision| revision.arn_beside(&service.arn)),
        desired: update.desired,
        percents: update.percents.map(|percents| (percents, service.configuration.clone())),
    };
    turn.in_time()?;
    turn.tools.ecs.update(&service.cluster, &service.name, change).await?;
    if percents.is_some_and(|(given, former)| given == former) {
        strike_percents(turn).await;
    }
    if lent == Some(own) {
        let by = ActionExecution::of(&turn.job.context);
        let (store, now) = (turn.tools.held.store(), turn.tools.clock.now());
        ledger::percents::strike(store, (&canary.0, &canary.1), own, Some(&by), now).await;
    }
    let now = turn.tools.clock.now().timestamp();
    match &mut turn.progress.phase {
        Phase::RestoreCanary { told, .. } if deploys => *told = Some(now),
        // It is followed from here on.
        Phase::UndoFull { since, .. } if deploys => *since = now,
        _ => {}
    }
    Ok(())
}

/// Before a service is given other percents than its own, these are on record.
async fn note_percents(turn: &Turn<'_>, service: &str, former: Percents, given: Percents) -> Result<(), AwsError> {
    let (service, tools) = ((turn.action.cluster.as_str(), service), turn.tools);
    let by = ActionExecution::of(&turn.job.context);
    let noted =
        ledger::percents::note(tools.held.store(), service, (former, given), Some(&by), tools.clock.now()).await;
    noted.map_err(|problem| AwsError::unusable("noting the former percents", problem.to_string()))
}

/// The service has its own percents again.
pub(crate) async fn strike_percents(turn: &Turn<'_>) {
    if let Some(former) = &turn.progress.former {
        let (action, store) = (&turn.action, turn.tools.held.store());
        let (service, by) =
            ((action.cluster.as_str(), action.service.as_str()), ActionExecution::of(&turn.job.context));
        ledger::percents::strike(store, service, former.percents, Some(&by), turn.tools.clock.now()).await;
    }
}

/// Whether the percents that a service has are those of another execution that is still at work, and gives them back.
async fn is_anothers(turn: &Turn<'_>, service: &Service) -> Result<bool, AwsError> {
    let names = (service.cluster.as_str(), service.name.as_str());
    let (store, now) = (turn.tools.held.store(), turn.tools.clock.now());
    let lent = ledger::percents::lent(store, names, service.percents, now)
        .await
        .map_err(|problem| AwsError::unusable("reading the ledger", problem.to_string()))?;
    let Some(lent) = lent else { return Ok(false) };
    let lender = earlier::at_work(turn.tools, lent, &turn.job.context.execution).await?;
    Ok(matches!(lender, Some(Lender::Execution { .. })))
}

async fn roll_back(turn: &mut Turn<'_>) -> Result<(), AwsError> {
    let service = turn.view.service()?;
    turn.in_time()?;
    if let Some(id) = &turn.progress.deployment {
        match turn.tools.ecs.roll_back(&deployment_arn(&service.arn, id)).await {
            // It ended meanwhile: how, the next observation shows.
            Err(error) if error.is("ConflictException") => warn!(%error, "the deployment is not running any more"),
            other => other?,
        }
    }
    let now = turn.tools.clock.now().timestamp();
    if let Phase::UndoFull { since, stopped } = &mut turn.progress.phase {
        (*since, *stopped) = (now, true);
    }
    Ok(())
}

/// Finds out what the canary goes back to, registering it where it does not exist yet.
async fn plan_restore(turn: &mut Turn<'_>) -> Result<(), AwsError> {
    let (canary, full) = match turn.action.role {
        Role::Canary => (turn.view.service()?, turn.view.partner()?),
        Role::Full => (turn.view.partner()?, turn.view.service()?),
    };
    let target = if turn.action.role == Role::Full && !runs_ours(turn, canary).await? {
        Target::Left
    } else {
        match last_successful(turn, full).await? {
            None => Target::Zero,
            Some((pinned, definition)) => {
                let former = match (turn.action.role, &turn.progress.former) {
                    (Role::Canary, Some(former)) => former.revision.clone(),
                    _ => canary.revision.clone(),
                };
                Target::Revision(restoring(turn, &former, &pinned, &definition).await?)
            }
        }
    };
    let percents = match turn.action.role {
        Role::Full if matches!(target, Target::Revision(_)) => Some(own_percents(turn, canary).await),
        _ => None,
    };
    if let Phase::RestoreCanary { target: planned, own, .. } = &mut turn.progress.phase {
        (*planned, *own) = (target, percents);
    }
    Ok(())
}

/// A canary's own percents. Where the ledger does not answer, those that it has: its way back matters more.
async fn own_percents(turn: &Turn<'_>, canary: &Service) -> Percents {
    let store = turn.tools.held.store();
    match ledger::percents::own(store, &canary.cluster, &canary.name, canary.percents, turn.tools.clock.now()).await {
        Ok(own) => own,
        Err(error) => {
            warn!(%error, "the record of a canary's own percents could not be read");
            canary.percents
        }
    }
}

/// Whether the canary still runs what this execution brought to it.
async fn runs_ours(turn: &Turn<'_>, canary: &Service) -> Result<bool, AwsError> {
    let definition = turn.tools.ecs.task_definition(&canary.revision.to_string()).await?;
    Ok(definition.is_some_and(|definition| restore::is_by(&definition, &turn.job.context.execution)))
}

/// What the full service ran in its last successful deployment; not ours, if ours was called successful and then
/// undone. Deployments are kept for 90 days: a service that has been quiet for longer is taken at what it runs. A
/// deployment without any task is called successful, too, but shows nothing: its image may not even exist.
async fn last_successful(
    turn: &Turn<'_>,
    full: &Service,
) -> Result<Option<(ServiceRevision, TaskDefinition)>, AwsError> {
    let ecs = &turn.tools.ecs;
    let ours = turn.progress.deployment.as_deref().filter(|_| turn.action.role == Role::Full);
    let listed = ecs.list_deployments(&full.cluster, &full.name, None, true).await?;
    let last = listed.into_iter().find(|listed| ours.is_none_or(|ours| !listed.arn.ends_with(ours)));
    let pinned = match last {
        Some(last) => {
            let pinned = ecs.service_revision(&last.target).await?;
            if pinned.digests.is_empty() && full.running == 0 {
                return Ok(None);
            }
            pinned
        }
        None if full.running > 0 && full.primary().is_some_and(|primary| primary.state == "COMPLETED") => {
            ServiceRevision { arn: String::new(), revision: full.revision.clone(), digests: Default::default() }
        }
        None => return Ok(None),
    };
    let definition = ecs.task_definition(&pinned.revision.to_string()).await?;
    Ok(definition.map(|definition| (pinned, definition)))
}

async fn restoring(
    turn: &Turn<'_>,
    former: &Revision,
    pinned: &ServiceRevision,
    full: &TaskDefinition,
) -> Result<Revision, AwsError> {
    let gone = || AwsError::unusable("ecs DescribeTaskDefinition", format!("task definition {former} is gone"));
    let definition = turn.tools.ecs.task_definition(&former.to_string()).await?.ok_or_else(gone)?;
    let mut fixed = std::collections::BTreeSet::new();
    for (_, image) in full.images() {
        let Ok(reference) = coalmine_pipeline::ImageReference::parse(&image) else { continue };
        // An image that cannot be looked at any more is taken by the digest that ECS recorded.
        if turn.tools.registries.resolve(&reference).await.is_ok_and(|resolved| resolved.immutable) {
            fixed.insert(image);
        }
    }
    let purpose = Purpose::Return(turn.job.context.execution.clone());
    match restore::plan(&definition, full, pinned, &fixed, purpose) {
        Restore::Former => Ok(former.clone()),
        Restore::Register(copy) => register(turn.tools, &copy).await,
    }
}
