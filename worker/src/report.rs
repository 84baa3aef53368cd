//! Telling CodePipeline what a turn came to.

use std::collections::BTreeMap;
use std::time::Duration;

use coalmine_pipeline::limits::cut;
use coalmine_pipeline::{duration, variables};
use tracing::{error, info, warn};

use crate::aws::codepipeline::{FailureKind, Job, Received};
use crate::deploy::decision::Role;
use crate::deploy::message::{self, LogTail};
use crate::deploy::progress::{Cause, CauseKind};
use crate::deploy::revision::Revision;
use crate::deploy::stops::{Blame, blame};
use crate::deploy::{release, verdict};
use crate::images::images_of;
use crate::tools::Tools;
use crate::turn::Turn;
use coalmine_door::{AwsError, Kind};

/// The summary rides in the next approval's text, whose whole configuration value takes 1,000 characters.
const EVIDENCE_CHARS_MAX: usize = 700;
/// The first pause before a result is sent again; it doubles up to a minute.
const RETRY_AFTER: Duration = Duration::from_secs(2);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// How often a result that CodePipeline refuses for no known reason is sent again, before the job fails for it.
const REFUSALS: usize = 3;
/// How long a result is sent again. After 24 hours CodePipeline has timed the action out.
const RETRY_FOR: Duration = Duration::from_secs(24 * 3_600);

/// What a turn came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The job goes on, in any worker's next turn.
    HandedBack { token: String, summary: String, percent: u8, id: Option<String> },
    /// The action succeeded.
    Succeeded { summary: String, id: Option<String>, variables: BTreeMap<String, String> },
    /// The action failed.
    Failed { kind: FailureKind, text: String, id: Option<String> },
    /// The watch has returned a canary, or found that there is nothing to return; nobody waits for a result.
    Returned { done: String },
    /// The watch need not return a canary after all.
    CalledOff { why: String },
    /// The watch can return a canary no more.
    Left { why: String },
    /// The execution ended without this job: nobody waits for a result.
    NotWanted,
}

/// Gives CodePipeline the result, again and again while it does not answer: a job without a result blocks its stage
/// for a day.
pub(crate) async fn tell(tools: &Tools, job: &Job, mut ending: Ending) {
    let begin = tools.clock.now();
    let mut pause = RETRY_AFTER;
    let mut refusals = 0;
    loop {
        match send(tools, job, &ending).await {
            Ok(Received::Taken) => {
                if matches!(ending, Ending::HandedBack { .. }) {
                    tools.handed_back.tell(Some(job.action_type), tools.clock.now());
                }
                return log(&ending);
            }
            Ok(Received::NotWanted) => return info!("CodePipeline does not want the job's result any more"),
            // A permission may come back; without a result the stage would be blocked for a day.
            Err(problem) if problem.is_passing() || problem.kind == Kind::Denied => {
                let tried = (tools.clock.now() - begin).to_std().unwrap_or_default();
                if tried >= RETRY_FOR {
                    return error!(error = %problem, "the job's result could not be told within a day");
                }
                warn!(error = %problem, "the job's result could not be told yet");
                tools.clock.wait(coalmine_door::clock::jittered(pause)).await;
                pause = (pause * 2).min(RETRY_AFTER_MAX);
            }
            Err(problem) if refusals < REFUSALS => {
                warn!(error = %problem, "CodePipeline refused the job's result; sending it once more");
                refusals += 1;
                tools.clock.wait(coalmine_door::clock::jittered(RETRY_AFTER)).await;
            }
            Err(problem) if refusals > REFUSALS => {
                return error!(error = %problem, "CodePipeline refused the job's failure, too");
            }
            Err(problem) => {
                error!(error = %problem, "CodePipeline refused the job's result: the job fails");
                refusals += 1;
                let text = format!("CodePipeline refused the result of this action: {problem}");
                ending = Ending::Failed { kind: FailureKind::System, text, id: None };
            }
        }
    }
}

async fn send(tools: &Tools, job: &Job, ending: &Ending) -> Result<Received, AwsError> {
    let codepipeline = &tools.codepipeline;
    match ending.clone() {
        Ending::HandedBack { token, summary, percent, id } => {
            codepipeline.hand_back(&job.id, &token, &summary, Some(percent), id.as_deref()).await
        }
        Ending::Succeeded { summary, id, variables } => {
            codepipeline.succeed(&job.id, &summary, id.as_deref(), variables).await
        }
        Ending::Failed { kind, text, id } => codepipeline.fail(&job.id, kind, &text, id.as_deref()).await,
        Ending::Returned { .. } | Ending::CalledOff { .. } | Ending::Left { .. } | Ending::NotWanted => {
            Ok(Received::NotWanted)
        }
    }
}

fn log(ending: &Ending) {
    match ending {
        Ending::HandedBack { percent, .. } => tracing::debug!(percent, "handed the job back to go on later"),
        Ending::Succeeded { summary, .. } => info!("the action succeeded: {summary}"),
        Ending::Failed { kind, text, .. } => warn!(?kind, "the action failed: {}", message::printable(text)),
        Ending::Returned { .. } | Ending::CalledOff { .. } | Ending::Left { .. } | Ending::NotWanted => {}
    }
}

/// A success with its evidence.
///
/// # Errors
/// When the release has to be read again, and cannot be.
pub(crate) async fn success(turn: &mut Turn<'_>, reason: &str) -> Result<Ending, AwsError> {
    let (Some(revision), Some(former)) = (turn.progress.revision.clone(), turn.progress.former.clone()) else {
        return Err(AwsError::unusable("reporting", "the progress names no revision"));
    };
    if turn.view.images.is_none() {
        turn.view.images = Some(images_of(turn, &revision).await?);
    }
    let images = turn.view.images.clone().unwrap_or_default();
    let arn = turn.view.service()?.arn.clone();
    let took = turn.tools.clock.now().timestamp() - turn.progress.started;
    let took = duration::show(Duration::from_secs(u64::try_from(took).unwrap_or(0)));
    let alarms = match turn.action.alarms.len() {
        0 => "no alarms watched".to_owned(),
        count => format!("{} stayed clear", message::counted(u32::try_from(count).unwrap_or(u32::MAX), "alarm")),
    };
    let what = match turn.action.role {
        Role::Canary => "Canary",
        Role::Full => "Full",
    };
    let stopped = stopped(turn, &revision)?;
    let summary = format!(
        "{what}: {reason} ({}); {stopped}; {alarms}; took {took}; before: {}",
        release::describe(&images),
        former.revision
    );
    let undo = match turn.action.role {
        Role::Canary => message::undo(&turn.job.context.pipeline),
        Role::Full => String::new(),
    };
    // How it is undone is never cut off.
    let room = EVIDENCE_CHARS_MAX.saturating_sub(undo.chars().count());
    let summary = format!("{}{undo}", cut(&message::summary(&summary), room));
    let digests: Vec<String> =
        release::digests(&images).into_iter().map(|(container, digest)| format!("{container}={digest}")).collect();
    let variables = [
        (variables::RELEASE_ID.name, turn.job.context.execution.clone()),
        (variables::TASK_DEFINITION.name, revision.arn_beside(&arn)),
        (variables::PREVIOUS_TASK_DEFINITION.name, former.revision.arn_beside(&arn)),
        (variables::IMAGE_DIGESTS.name, digests.join(",")),
        (variables::SUMMARY.name, summary.clone()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value)).into();
    Ok(Ending::Succeeded { summary, id: turn.progress.deployment.clone(), variables })
}

/// How many tasks of the release stopped meanwhile for a reason that lies in it: fewer than make it ill, and worth
/// knowing.
fn stopped(turn: &Turn<'_>, revision: &Revision) -> Result<String, AwsError> {
    let sight = turn.view.sight()?;
    let ill =
        sight.stopped.iter().filter(|task| task.revision == *revision && matches!(blame(task), Blame::Release(_)));
    Ok(match u32::try_from(ill.count()).unwrap_or(u32::MAX) {
        0 => "no task was restarted".to_owned(),
        count => format!("{} had to be restarted", message::counted(count, "task")),
    })
}

/// A failure, with the last lines of the task that shows it.
pub(crate) async fn failure(turn: &Turn<'_>, done: &str) -> Ending {
    let unknown = Cause { kind: CauseKind::Changed, text: done.to_owned(), witness: None };
    let (cause, done) = match &turn.progress.cause {
        Some(cause) => (illustrated(turn, cause), done),
        None => (unknown, ""),
    };
    let log = match &cause.witness {
        Some((task, container)) => log_tail(turn, task, container).await,
        None => None,
    };
    let service = format!("{}/{}", turn.action.cluster, turn.action.service);
    let text = message::failure(turn.action.role, &service, &cause, done, log.as_ref());
    Ending::Failed { kind: kind_of(cause.kind), text, id: turn.progress.deployment.clone() }
}

/// An action that was refused, and whose canary could not be given back.
pub(crate) fn refusal(role: Role, cause: &Cause, problem: &AwsError) -> Ending {
    let canary = match role {
        Role::Full => "The canary was not given back, and runs what it ran",
        Role::Canary => {
            "Whether the canary runs what it ran, its service in the ECS console shows: it was not returned"
        }
    };
    let text = format!("{}\n{canary}: {problem}. Start a release, or return it by hand.", cause.text);
    Ending::Failed { kind: kind_of(cause.kind), text, id: None }
}

fn kind_of(cause: CauseKind) -> FailureKind {
    match cause {
        CauseKind::Refused => FailureKind::Configuration,
        CauseKind::Denied | CauseKind::Barred => FailureKind::Permission,
        _ => FailureKind::Job,
    }
}

/// The cause with what the deployment's tasks ended with, where that was not known yet when the verdict fell.
fn illustrated(turn: &Turn<'_>, cause: &Cause) -> Cause {
    match (turn.view.sight(), &turn.progress.revision) {
        (Ok(sight), Some(revision)) => {
            let since = sight.deployment.and_then(|deployment| deployment.created);
            verdict::with_tasks(cause.clone(), sight.stopped, revision, since)
        }
        _ => cause.clone(),
    }
}

/// The log is an extra: what cannot be read is left out.
async fn log_tail(turn: &Turn<'_>, task: &str, container: &str) -> Option<LogTail> {
    let revision = turn.progress.revision.as_ref()?;
    let definition = turn.tools.ecs.task_definition(&revision.to_string()).await.ok()??;
    let (group, prefix) = definition.log_of(container)?;
    match turn.tools.logs.tail(&group, &prefix, container, task).await {
        Ok(tail) => Some(tail),
        Err(error) => {
            warn!(%error, task, "the task's log could not be read for the failure message");
            None
        }
    }
}
