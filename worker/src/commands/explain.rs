//! `coalmine-worker explain`: what happened to a release, in order, and why; what a token says; where a job is.

use std::io::Write;

use serde::Serialize;

use crate::aws::calls::ActionRun;
use crate::commands::common::LedgerArgument;
use crate::commands::desk::{Desk, OutputArgument, write_json};
use crate::commands::table::{age, date, print, row, table};
use crate::commands::trouble::Trouble;
use crate::deploy::message::printable;
use crate::deploy::nearest::unknown;
use crate::deploy::telling;
use crate::ledger::history;
use crate::ledger::orphans::WorkerObject;
use crate::ledger::releases::{self, Release};

/// The shortest beginning of a release's id that is taken for it: tables show eight characters.
const PREFIX_CHARS: usize = 6;

/// What is asked.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
A release is the id of a pipeline execution, or its first characters as tables show them. A token is the continuation
token of a job, as the worker's log or the ledger's workers/ objects have it; quote it. A job is found with the worker
that holds it, or by CodePipeline.

Needs: to read the ledger; for what CodePipeline knows codepipeline:ListActionExecutions, codepipeline:GetJobDetails.")]
pub struct Args {
    /// A release, a continuation token, or the id of a job
    #[arg(value_name = "RELEASE|TOKEN|JOB")]
    what: String,
    /// The pipeline of a release that the ledger does not know
    #[arg(long, env = "COALMINE_PIPELINE", value_name = "NAME")]
    pipeline: Option<String>,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgument,
    #[command(flatten)]
    output: OutputArgument,
}

/// What there is to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Story {
    /// What it is about: a release, a job, a token.
    pub about: String,
    /// The images, `container=digest`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// What happened, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
    /// What a token says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub progress: Vec<String>,
    /// What could not be found out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When, in epoch seconds.
    pub at: i64,
    /// Where: a service, or a stage and action.
    pub place: String,
    /// What: a word of the record, or CodePipeline's status.
    pub what: String,
    /// Why, in words.
    pub why: String,
    /// Who, where a person did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Tells it.
///
/// # Errors
/// When the ledger or AWS cannot be read, or nothing of that name is known.
pub async fn run(desk: &Desk, args: &Args, out: &mut impl Write) -> Result<(), Trouble> {
    let what = args.what.trim();
    let story = if what.starts_with('{') {
        Story { about: "a continuation token".to_owned(), progress: of_token(what)?, ..Story::default() }
    } else {
        let ids = releases::all(desk.store()).await?;
        match known(what, &ids)? {
            Some(id) => of_release(desk, id).await?,
            None => match of_job(desk, what).await? {
                Some(story) => story,
                None => of_unknown(desk, args, what, &ids).await?,
            },
        }
    };
    if args.output.json {
        return Ok(write_json(out, &story)?);
    }
    Ok(show(out, &story)?)
}

fn of_token(token: &str) -> Result<Vec<String>, Trouble> {
    telling::of_token(token).map_err(|problem| Trouble::Unknown(format!("the token cannot be read: {problem}")))
}

/// What a job's token says. The job was found: one that cannot be read is a note beside that.
fn tell_token(story: &mut Story, token: &str) {
    match of_token(token) {
        Ok(progress) => story.progress = progress,
        Err(problem) => story.notes.push(problem.to_string()),
    }
}

/// The release that is meant, by its whole id or by its beginning.
fn known<'a>(what: &str, ids: &'a [String]) -> Result<Option<&'a str>, Trouble> {
    if let Some(id) = ids.iter().find(|id| *id == what) {
        return Ok(Some(id));
    }
    let begun: Vec<&str> = ids.iter().filter(|id| id.starts_with(what)).map(String::as_str).collect();
    match begun[..] {
        [id] if what.len() >= PREFIX_CHARS => Ok(Some(id)),
        [_, _, ..] if what.len() >= PREFIX_CHARS => Err(Trouble::Unknown(format!(
            "{} releases begin with {what:?}: give more of the id, such as {}",
            begun.len(),
            begun.iter().take(3).copied().collect::<Vec<_>>().join(", ")
        ))),
        _ => Ok(None),
    }
}

async fn of_release(desk: &Desk, id: &str) -> Result<Story, Trouble> {
    let Some(record) = releases::read(desk.store(), id).await? else {
        return Err(Trouble::Unknown(format!(
            "the record of release {id} cannot be understood: another version of the worker may have written it"
        )));
    };
    let mut story = of_record(&record);
    if record.pipeline.is_empty() {
        return Ok(story);
    }
    match desk.calls.actions(&record.pipeline, Some(id)).await {
        Ok(runs) => with_runs(&mut story, &runs),
        Err(problem) => {
            story.notes.push(format!("What CodePipeline knows of it is missing here: {problem}"));
        }
    }
    Ok(story)
}

/// A release's record as a story.
#[must_use]
pub fn of_record(record: &Release) -> Story {
    let events = record.timeline.iter().map(|happening| {
        let brings = happening.revision.as_ref().map(|revision| format!(" [{revision}]")).unwrap_or_default();
        Event {
            at: happening.at,
            place: happening.service.clone(),
            what: happening.state.word().to_owned(),
            why: format!("{}{brings}", happening.reason),
            by: happening.by.clone(),
        }
    });
    Story {
        about: format!("release {} of pipeline {}", record.release, record.pipeline),
        images: record.digests.iter().map(|(container, digest)| format!("{container}={digest}")).collect(),
        events: events.collect(),
        ..Story::default()
    }
}

/// Puts in what CodePipeline knows: who approved or rejected, what failed or ended without a worker.
pub fn with_runs(story: &mut Story, runs: &[ActionRun]) {
    let is_on_record = !story.events.is_empty();
    for run in runs {
        // What the worker itself recorded of its own actions says more.
        let ours = run.provider.starts_with("Coalmine-");
        if is_on_record && ours && run.status != "Abandoned" {
            continue;
        }
        let at = if run.updated > 0 && run.status != "InProgress" { run.updated } else { run.began };
        let event = Event {
            at,
            place: format!("{}/{}", run.stage, run.action),
            what: run.status.clone(),
            why: run.summary.clone(),
            by: run.by.clone(),
        };
        let place = story.events.iter().position(|other| other.at > at).unwrap_or(story.events.len());
        story.events.insert(place, event);
    }
}

/// A job: with the worker that holds it, else as CodePipeline knows it.
async fn of_job(desk: &Desk, job: &str) -> Result<Option<Story>, Trouble> {
    for key in desk.store().list("workers/").await? {
        let Some(stored) = desk.store().get(&key).await? else { continue };
        let held = WorkerObject::parse(&stored.body).and_then(|mut object| {
            let renewed = object.renewed;
            object.jobs.remove(job).map(|held| (renewed, held))
        });
        if let Some((renewed, held)) = held {
            let ago = age(desk.now().timestamp() - renewed / 1_000);
            let worker = key.trim_start_matches("workers/").trim_end_matches(".json");
            let about = format!("job {job} ({}), in the hands of worker {worker}, renewed {ago} ago", held.place);
            let mut story = Story { about, ..Story::default() };
            tell_token(&mut story, &held.token);
            return Ok(Some(story));
        }
    }
    if !is_job_id(job) {
        return Ok(None);
    }
    let found = desk.calls.job(job).await.map_err(Trouble::while_(format!("asking for job {job}")))?;
    let Some(place) = found else { return Ok(None) };
    let mut story = match releases::read(desk.store(), &place.execution).await? {
        Some(record) => of_record(&record),
        None => Story::default(),
    };
    let (stage, action) = (&place.stage, &place.action);
    story.about =
        format!("job {job} of {stage}/{action} in {}, release {}; no worker holds it", place.pipeline, place.execution);
    match &place.token {
        Some(token) => tell_token(&mut story, token),
        None => story.notes.push("It is the first job of its action: it carries no token.".to_owned()),
    }
    Ok(Some(story))
}

/// Whether a text can be the id of a job or of an execution (a UUID): others CodePipeline refuses.
fn is_job_id(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// What the ledger does not know: an execution of a pipeline that is named; else the nearest names.
async fn of_unknown(desk: &Desk, args: &Args, what: &str, ids: &[String]) -> Result<Story, Trouble> {
    if let Some(pipeline) = args.pipeline.as_deref().filter(|_| is_job_id(what)) {
        let runs = desk.calls.actions(pipeline, Some(what)).await;
        let runs = runs.map_err(Trouble::while_(format!("reading execution {what} of {pipeline}")))?;
        if !runs.is_empty() {
            let mut story = Story { about: format!("execution {what} of pipeline {pipeline}"), ..Story::default() };
            with_runs(&mut story, &runs);
            story
                .notes
                .push("The ledger has no record of it: no action of ours got as far as a deployment.".to_owned());
            return Ok(story);
        }
    }
    let services = history::all(desk.store()).await?;
    if services.iter().any(|entry| entry.service == what) {
        return Err(Trouble::Unknown(format!(
            "{what:?} is a service: coalmine-worker history {what} shows the releases that it ran"
        )));
    }
    let hint = if args.pipeline.is_none() && is_job_id(what) {
        "; an execution that never deployed is found with --pipeline"
    } else {
        ""
    };
    let text = unknown("release, token or job", what, ids.iter().map(String::as_str));
    Err(Trouble::Unknown(format!("{text}{hint}")))
}

fn show(out: &mut impl Write, story: &Story) -> std::io::Result<()> {
    writeln!(out, "{}", printable(&sentence(&story.about)))?;
    for image in &story.images {
        writeln!(out, "  {}", printable(image))?;
    }
    if let Some(first) = story.events.first() {
        let mut shown = table(&["When", "After", "Where", "What", "Why"]);
        for event in &story.events {
            let by = event.by.as_ref().map(|by| format!("by {by}"));
            let why = [by.as_deref().unwrap_or_default(), &event.why];
            let why: Vec<&str> = why.into_iter().filter(|text| !text.is_empty()).collect();
            row(
                &mut shown,
                [
                    date(event.at),
                    if event.at == first.at { String::new() } else { format!("+{}", age(event.at - first.at)) },
                    event.place.clone(),
                    event.what.clone(),
                    why.join(": "),
                ],
            );
        }
        print(out, &shown)?;
    }
    for line in story.progress.iter().chain(&story.notes) {
        writeln!(out, "{}", printable(line))?;
    }
    Ok(())
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Vec<String> {
        ["0b2f1c3d-1", "0b2f1c3d-2", "77aa88bb-1"].map(str::to_owned).to_vec()
    }

    #[test]
    fn a_release_is_meant_by_its_id_or_by_a_beginning_that_no_other_has() {
        let ids = ids();
        assert_eq!(known("0b2f1c3d-2", &ids).unwrap(), Some("0b2f1c3d-2"));
        assert_eq!(known("77aa88bb", &ids).unwrap(), Some("77aa88bb-1"));
        assert_eq!(known("77", &ids).unwrap(), None, "too short to be sure");
        let several = known("0b2f1c3d", &ids).unwrap_err().to_string();
        assert_eq!(several, "2 releases begin with \"0b2f1c3d\": give more of the id, such as 0b2f1c3d-1, 0b2f1c3d-2");
    }

    #[test]
    fn what_codepipeline_knows_stands_where_it_happened_and_says_nothing_twice() {
        let event = |at, what: &str| Event {
            at,
            place: "main/app-canary".into(),
            what: what.into(),
            why: String::new(),
            by: None,
        };
        let mut story = Story { events: vec![event(10, "deploying"), event(20, "held")], ..Story::default() };
        let run = |provider: &str, status: &str, updated| ActionRun {
            stage: "Release".into(),
            action: "Approve".into(),
            provider: provider.into(),
            status: status.into(),
            updated,
            by: Some("arn:…:anna".into()),
            ..ActionRun::default()
        };
        let runs =
            [run("Manual", "Failed", 30), run("Coalmine-Canary", "Succeeded", 20), run("Manual", "Succeeded", 5)];
        with_runs(&mut story, &runs);
        let told: Vec<(i64, &str)> = story.events.iter().map(|event| (event.at, event.what.as_str())).collect();
        assert_eq!(told, [(5, "Succeeded"), (10, "deploying"), (20, "held"), (30, "Failed")]);
        let mut bare = Story::default();
        with_runs(&mut bare, &[run("Coalmine-Canary", "Abandoned", 20)]);
        assert_eq!(bare.events.len(), 1, "where there is no record, CodePipeline's word is all there is");
    }
}
