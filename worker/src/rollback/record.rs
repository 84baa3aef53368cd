//! Writing down what a rollback does: before a service is told, and when it is back. It never holds a rollback up: what
//! cannot be written is missing, and the log says so.

use std::collections::BTreeMap;
use std::time::Duration;

use coalmine_door::store::StoreError;
use tracing::warn;

use crate::aws::codepipeline::ActionExecution;
use crate::deploy::batch::Percents;
use crate::deploy::happening::{Event, Happening, State};
use crate::deploy::rollback::course::Course;
use crate::deploy::rollback::refused::Refused;
use crate::ledger::history::{self, Ran};
use crate::ledger::releases::Release;
use crate::ledger::{percents, refused, releases};
use crate::tools::Tools;

/// How long one record may take.
const RECORD: Duration = Duration::from_secs(5);
/// How many entries of a service's past are looked at for what is not in its course: of the releases that were refused
/// lately, and of those that it ran.
const LOOKED_AT: usize = 3;

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

/// A release that a service leaves.
struct Left {
    release: String,
    pipeline: String,
    digests: BTreeMap<String, String>,
    /// What happened to it last on the service, as far as that is on record and was looked up.
    last: Option<State>,
}

impl Left {
    /// What a course leaves, as far as that is known.
    fn of(course: &Course) -> Option<Self> {
        let (release, pipeline) = course.left.clone()?;
        Some(Self { release, pipeline, digests: course.left_digests.clone(), last: None })
    }

    fn on_record(record: Release, service: &str) -> Self {
        let last = record.last_of(service).map(|last| last.state);
        Self { release: record.release, pipeline: record.pipeline, digests: record.digests, last }
    }
}

/// Whether a service was on its way back from a release when something was last heard of it. Where that failed, somebody may
/// go on with it.
fn is_being_left(record: &Release, service: &str) -> bool {
    let of_service = record.timeline.iter().rev().filter(|happening| happening.service == service);
    of_service.map(|happening| happening.state).find(|state| *state != State::Failed) == Some(State::RollingBack)
}

/// The first few, each once.
fn few<'a>(ids: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found = Vec::new();
    for id in ids.filter(|id| !id.is_empty()) {
        if found.len() == LOOKED_AT {
            break;
        }
        if !found.contains(&id) {
            found.push(id);
        }
    }
    found
}

/// The releases that a service is leaving by what somebody began before: a course that only goes on leaves none itself.
async fn left_before(tools: &Tools, course: &Course) -> Result<Vec<Left>, StoreError> {
    let (store, label) = (tools.held.store(), course.label());
    let service = (course.cluster.as_str(), course.service.as_str());
    let refused = refused::read(store, service).await?;
    let entries = history::of_service(store, service.0, service.1).await?;
    let mut ids = few(refused.iter().rev().map(|refused| refused.release.as_str()));
    ids.extend(few(entries.iter().map(|entry| entry.release.as_str())));
    let mut found: Vec<Left> = Vec::new();
    for id in ids {
        let is_target = course.release.as_ref().is_some_and(|(release, _)| release == id);
        if is_target || found.iter().any(|left| left.release == id) {
            continue;
        }
        if let Some(record) = releases::read(store, id).await?.filter(|record| is_being_left(record, &label)) {
            found.push(Left::on_record(record, &label));
        }
    }
    Ok(found)
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
    // What the full service ran, its canary refuses, too: also where it was left out, or is back already. Its action comes
    // first, and people are asked after it.
    let of_canary = async {
        match canary_beside(tools, course).await? {
            Some(canary) => refused::note(store, (&course.cluster, &canary), &refused, &returned).await,
            None => Ok(()),
        }
    };
    tokio::join!(
        within(tools, refused::note(store, service, &refused, &returned)),
        within(tools, of_full),
        within(tools, of_canary),
        within(tools, percents),
        async {
            if let Some(left) = Left::of(course) {
                happened(tools, (course, &left), author, State::RollingBack, "").await;
            }
        },
    );
}

/// The canary of a full service, whether it goes with it or was left out, as far as the ledger knows.
async fn canary_beside(tools: &Tools, course: &Course) -> Result<Option<String>, StoreError> {
    if course.canary_of.is_some() || course.canary.is_some() {
        return Ok(course.canary.clone());
    }
    let store = tools.held.store();
    for entry in history::of_service(store, &course.cluster, &course.service).await?.iter().take(LOOKED_AT) {
        if let Some(canary) = history::read(store, entry).await?.and_then(|ran| ran.canary) {
            return Ok(Some(canary));
        }
    }
    Ok(None)
}

/// A service is back: every task was counted. The rollback is not over, as far as is known here.
pub(crate) async fn back(tools: &Tools, course: &Course, author: &Author, deployment: Option<&str>, reason: &str) {
    let service = (course.cluster.as_str(), course.service.as_str());
    percents::strike(tools.held.store(), service, course.own, author.action.as_ref(), tools.clock.now()).await;
    let left: Vec<Left> = if course.leaves() {
        Left::of(course).into_iter().collect()
    } else {
        within(tools, left_before(tools, course)).await.unwrap_or_default()
    };
    for left in &left {
        happened(tools, (course, left), author, State::RolledBack, reason).await;
    }
    within(tools, ran(tools, course, author, deployment)).await;
}

/// A service does not come back by this rollback: the release that it was leaving has its end all the same. `told`: whether
/// this program told it to go back, which may not be on record.
pub(crate) async fn lost(tools: &Tools, course: &Course, author: &Author, told: bool, reason: &str) {
    let (store, label) = (tools.held.store(), course.label());
    let left: Vec<Left> = match Left::of(course) {
        Some(left) => {
            let record = within(tools, releases::read(store, &left.release)).await.flatten();
            let last = record.and_then(|record| Left::on_record(record, &label).last);
            vec![Left { last, ..left }]
        }
        None if course.leaves() => Vec::new(),
        None => within(tools, left_before(tools, course)).await.unwrap_or_default(),
    };
    for left in &left {
        let goes_on = match left.last {
            Some(State::RollingBack) => true,
            // Somebody has brought it back, or said that it is not.
            Some(State::RolledBack | State::Failed) => false,
            _ => told,
        };
        if goes_on {
            happened(tools, (course, left), author, State::Failed, reason).await;
        }
    }
}

/// All services are back: who says "back" now means one release further.
pub(crate) async fn over(tools: &Tools, course: &Course) {
    let service = (course.cluster.as_str(), course.service.as_str());
    let now = tools.clock.now().timestamp();
    within(tools, history::finish(tools.held.store(), service, &course.to, now)).await;
}

/// Puts on record what happens to the release that is left, and tells others: also where it cannot be put on record, since a
/// rollback does not wait for the ledger. Whether it is news is not known then; who listens may hear it twice.
async fn happened(tools: &Tools, (course, left): (&Course, &Left), author: &Author, state: State, reason: &str) {
    let release = (left.release.as_str(), left.pipeline.as_str());
    let target = course.release.as_ref().map(|(release, _)| format!(" of release {release}")).unwrap_or_default();
    let why = if author.why.is_empty() { String::new() } else { format!(": {}", author.why) };
    let what = match state {
        State::RolledBack => format!("{} is back at {}{target}: {reason}", course.service, course.to),
        State::Failed => format!("{} is not back at {}{target}: {reason}", course.service, course.to),
        _ => format!("{} goes back to {}{target}{why}", course.service, course.to),
    };
    let happening = Happening {
        at: tools.clock.now().timestamp(),
        service: course.label(),
        state,
        reason: what,
        revision: (state != State::Failed).then(|| course.to.clone()),
        deployment: None,
        action: author.action.as_ref().map(|action| action.action_execution.clone()),
        by: Some(author.by.clone()),
    };
    let noted = within(tools, releases::note(tools.held.store(), release, &[], &happening)).await;
    if noted.unwrap_or(true) {
        tools.teller.tell(Event::new(release, left.digests.clone(), happening));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn record(states: &[(&str, State)]) -> Release {
        let mut record = Release::new("e-3", "app");
        for (service, state) in states {
            let (service, state) = ((*service).to_owned(), *state);
            record.timeline.push(Happening { service, state, ..Happening::default() });
        }
        record
    }

    #[test]
    fn a_release_is_being_left_until_its_service_is_back() {
        let (deployed, left) = (("main/app", State::Deployed), ("main/app", State::RollingBack));
        let (failed, back) = (("main/app", State::Failed), ("main/app", State::RolledBack));
        for (states, expected) in [
            (&[deployed][..], false),
            (&[deployed, left], true),
            (&[deployed, left, ("main/app-canary", State::RolledBack)], true),
            (&[deployed, left, back], false),
            (&[deployed, left, failed], true),
            (&[deployed, left, back, failed], false),
            (&[("main/app", State::Deploying), failed], false),
            (&[], false),
        ] {
            assert_eq!(is_being_left(&record(states), "main/app"), expected, "{states:?}");
        }
    }

    #[test]
    fn the_newest_few_are_looked_at_each_once() {
        assert_eq!(few(["", "e-4", "e-4", "e-3", "", "e-4", "e-2", "e-1"].into_iter()), ["e-4", "e-3", "e-2"]);
        assert_eq!(few(std::iter::empty()), [""; 0]);
    }
}
