//! Writing down what a rollback does: before a service is told, and when it is back. It never holds a rollback up: what
//! cannot be written is missing, and the log says so.

use std::time::Duration;

use coalmine_door::store::StoreError;
use tracing::warn;

use crate::aws::codepipeline::ActionExecution;
use crate::deploy::batch::Percents;
use crate::deploy::happening::{Event, Happening, State};
use crate::deploy::rollback::course::Course;
use crate::deploy::rollback::refused::Refused;
use crate::ledger::history::{self, Ran};
use crate::ledger::{percents, refused, releases};
use crate::tools::Tools;

/// How long one record may take.
const RECORD: Duration = Duration::from_secs(5);

/// Who rolls back, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// Who, for people.
    pub by: String,
    /// Why, for people; may be empty.
    pub why: String,
    /// The action execution, where one does it.
    pub action: Option<ActionExecution>,
    /// When it began, in epoch seconds.
    pub began: i64,
}

/// A service is about to be told to go back: its digests are refused from now on, its own percents are on record, and the
/// release that it leaves knows of it.
pub(crate) async fn leaving(tools: &Tools, course: &Course, author: &Author, given: Option<Percents>) {
    let service = (course.cluster.as_str(), course.service.as_str());
    let (store, now) = (tools.held.store(), tools.clock.now());
    let refused: Vec<Refused> = course
        .left_digests
        .values()
        .map(|digest| Refused {
            digest: digest.clone(),
            release: course.left.as_ref().map(|(release, _)| release.clone()).unwrap_or_default(),
            at: now.timestamp(),
            by: author.by.clone(),
            why: author.why.clone(),
        })
        .collect();
    let returned = course.images.iter().map(|image| (image.container.clone(), image.digest.to_string())).collect();
    let percents = async {
        match given.filter(|given| *given != course.own) {
            Some(given) => percents::note(store, service, (course.own, given), author.action.as_ref(), now).await,
            None => Ok(()),
        }
    };
    // What only the canary ran, the full service refuses, too.
    let of_full = async {
        match &course.canary_of {
            Some(full) => refused::note(store, (&course.cluster, full), &refused, &returned).await,
            None => Ok(()),
        }
    };
    tokio::join!(
        within(tools, refused::note(store, service, &refused, &returned)),
        within(tools, of_full),
        within(tools, percents),
        happened(tools, course, author, State::RollingBack, ""),
    );
}

/// A service is back: every task was counted. The rollback is not over, as far as is known here.
pub(crate) async fn back(tools: &Tools, course: &Course, author: &Author, deployment: Option<&str>, reason: &str) {
    let service = (course.cluster.as_str(), course.service.as_str());
    percents::strike(tools.held.store(), service, course.own, author.action.as_ref(), tools.clock.now()).await;
    if course.leaves() {
        happened(tools, course, author, State::RolledBack, reason).await;
    }
    within(tools, ran(tools, course, author, deployment)).await;
}

/// All services are back: who says "back" now means one release further.
pub(crate) async fn over(tools: &Tools, course: &Course) {
    let service = (course.cluster.as_str(), course.service.as_str());
    let now = tools.clock.now().timestamp();
    within(tools, history::finish(tools.held.store(), service, &course.to, now)).await;
}

/// Puts on record what happens to the release that is left, and tells others: also where it cannot be put on record, since a
/// rollback does not wait for the ledger. Whether it is news is not known then; who listens may hear it twice.
async fn happened(tools: &Tools, course: &Course, author: &Author, state: State, reason: &str) {
    let Some((release, pipeline)) = &course.left else { return };
    let target = course.release.as_ref().map(|(release, _)| format!(" of release {release}")).unwrap_or_default();
    let why = if author.why.is_empty() { String::new() } else { format!(": {}", author.why) };
    let what = match state {
        State::RolledBack => format!("{} is back at {}{target}: {reason}", course.service, course.to),
        _ => format!("{} goes back to {}{target}{why}", course.service, course.to),
    };
    let happening = Happening {
        at: tools.clock.now().timestamp(),
        service: course.label(),
        state,
        reason: what,
        revision: Some(course.to.clone()),
        deployment: None,
        action: author.action.as_ref().map(|action| action.action_execution.clone()),
        by: Some(author.by.clone()),
    };
    let noted = within(tools, releases::note(tools.held.store(), (release, pipeline), &[], &happening)).await;
    if noted.unwrap_or(true) {
        tools.teller.tell(Event::new((release, pipeline), course.left_digests.clone(), happening));
    }
}

async fn ran(tools: &Tools, course: &Course, author: &Author, deployment: Option<&str>) -> Result<(), StoreError> {
    // Where only ECS remembers the releases, it also remembers this one.
    let Some((release, pipeline)) = &course.release else { return Ok(()) };
    let (store, service) = (tools.held.store(), (course.cluster.as_str(), course.service.as_str()));
    // One that somebody else had told to go back may be on record with that.
    if !course.leaves() && history::newest(store, service).await?.is_some_and(|newest| newest.revision == course.to) {
        return Ok(());
    }
    let when = (author.began, tools.clock.now().timestamp());
    let mut ran = Ran::new(release, pipeline, when, course.to.clone());
    ran.deployment = deployment.and_then(|arn| arn.rsplit('/').next()).map(str::to_owned);
    ran.digests = course.images.iter().map(|image| (image.container.clone(), image.digest.to_string())).collect();
    (ran.rollback, ran.unfinished) = (true, true);
    ran.canary.clone_from(&course.canary);
    history::note(store, service, &ran).await
}

/// Gives a record its time; `None` where it could not be made.
async fn within<T>(tools: &Tools, noting: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
    match tools.clock.limit(RECORD, noting).await {
        Some(Ok(noted)) => return Some(noted),
        Some(Err(problem)) => warn!(error = %problem, "the rollback could not be put on record"),
        None => warn!("the ledger answers too slowly: the rollback is not on record"),
    }
    None
}
