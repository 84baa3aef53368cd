//! What is claimed of the world when a life is over and it has been left alone for a while.

use std::collections::BTreeSet;

use aws_sdk_codepipeline::types::{ActionExecutionStatus, JobStatus, PipelineExecutionStatus};
use simulator::World;
use simulator::codepipeline::{ActionRun, Execution};

use crate::people::People;
use crate::play::Play;
use crate::stage::{Application, CLUSTER};
use crate::verdicts;

/// What is not over yet, for people.
pub(crate) fn unfinished(play: &Play<'_>) -> String {
    play.simulator.with_world(|world| {
        let executions = world.codepipeline.active_executions();
        let executions = executions.map(|execution| format!("execution {} of {}", execution.id, execution.pipeline));
        executions.chain(open_jobs(world)).collect::<Vec<_>>().join(", ")
    })
}

fn open_jobs(world: &World) -> Vec<String> {
    let open = [JobStatus::Queued, JobStatus::Dispatched, JobStatus::InProgress];
    let jobs = world.codepipeline.jobs().iter().filter(|job| open.contains(&job.status));
    jobs.map(|job| format!("job {} of {}/{} is {}", job.id, job.pipeline, job.action, job.status)).collect()
}

/// Whether a canary still waits for people, or is on its way back.
pub(crate) fn is_waiting(world: &World) -> bool {
    world.s3.bucket("ledger").is_some_and(|bucket| bucket.keys().any(|key| key.contains("/held/main/")))
}

/// The world is at rest: nothing goes on, nobody holds a job, each service is what the last word made of it.
pub(crate) fn claim(play: &Play<'_>, people: &People) -> Result<(), String> {
    let unfinished = unfinished(play);
    if !unfinished.is_empty() {
        return Err(format!("at the end there is still {unfinished}"));
    }
    play.simulator.with_world(|world| {
        play.invariants.look_at_results(world);
        nobody_holds_a_job(world)?;
        verdicts::claim(world, play.life, people)?;
        play.life.applications.iter().try_for_each(|app| services_are_at_rest(play, world, app, people))
    })
}

/// An object in the ledger that names a job would make peers look after it for ever.
fn nobody_holds_a_job(world: &World) -> Result<(), String> {
    let Some(bucket) = world.s3.bucket("ledger") else { return Ok(()) };
    let keys: Vec<&str> = bucket.keys().collect();
    let holds = |key: &&&str| {
        let body = bucket.object(key).map(|object| String::from_utf8_lossy(&object.body).into_owned());
        key.contains("workers/") && body.is_some_and(|body| body.contains("\"token\""))
    };
    match keys.iter().find(holds) {
        None => Ok(()),
        Some(key) => Err(format!("nothing goes on any more, but the ledger's {key} names a job")),
    }
}

fn services_are_at_rest(play: &Play<'_>, world: &World, app: &Application, people: &People) -> Result<(), String> {
    let by_hand = people.by_hand.borrow();
    for service in [app.name.clone(), app.canary_name()] {
        let view = world.ecs.view(CLUSTER, &service).ok_or("a service is gone")?;
        // What a person deploys may be ill, with nobody to undo it; and what an abandoned action left behind, nobody
        // was to touch any more.
        if by_hand.contains(&service) || left_alone(world, app, &service) {
            continue;
        }
        // A first deployment whose image was never pushed never ends, nor does a way back on which the breaker opens again.
        let under_way = ["IN_PROGRESS", "ROLLBACK_IN_PROGRESS"].contains(&view.deployment_status.as_str());
        if under_way && app.deployed && !verdicts::breaker_can_open(play.life, app, 2) {
            return Err(format!("{service} is still being deployed to ({})", view.deployment_status));
        }
        let expected = (percent(app, "minimumHealthyPercent"), percent(app, "maximumPercent"));
        // A canary whose own percents let no task be replaced (50/150 of one) cannot go back under them: Full's undo
        // gives it 100/200, for good.
        let stuck = service != app.name && app.deployment["maximumPercent"] == 150 && view.desired == 1;
        if view.percents != expected && !(stuck && view.percents == (100, 200)) {
            return Err(format!("{service} is left with percents {:?}, it had {expected:?}", view.percents));
        }
        let wanted = people.wanted.get(&service).and_then(|wanted| u32::try_from(*wanted).ok());
        // Only a first deployment that fails goes to 0 tasks: it has nothing to go back to.
        if wanted.is_some_and(|wanted| wanted != view.desired) && (app.deployed || view.desired != 0) {
            return Err(format!("{service} is left with {} desired tasks, {wanted:?} are wanted", view.desired));
        }
    }
    full_runs_the_last_success(world, app, people)
}

fn percent(app: &Application, name: &str) -> i32 {
    app.deployment[name].as_i64().and_then(|percent| i32::try_from(percent).ok()).unwrap_or_default()
}

/// All runs of the two actions on an application, in the order of their end.
pub(crate) fn runs<'a>(world: &'a World, app: &Application) -> Vec<(&'a Execution, &'a ActionRun)> {
    let executions = world.codepipeline.pipelines().flat_map(|pipeline| &pipeline.executions);
    let mut runs: Vec<_> = executions
        .flat_map(|execution| execution.actions.iter().map(move |run| (execution, run)))
        .filter(|(_, run)| run.action_type.owner == "Custom")
        .filter(|(_, run)| {
            let service = run.resolved.get("Service").map(String::as_str);
            service == Some(app.name.as_str()) || service == Some(app.canary_name().as_str())
        })
        .collect();
    runs.sort_by_key(|(_, run)| run.updated);
    runs
}

/// Whether an action that was abandoned had its hands on a service: what it left, the next one finds and gives back.
fn left_alone(world: &World, app: &Application, service: &str) -> bool {
    let touches = |run: &ActionRun| {
        let names = ["Service", "CanaryService"].map(|name| run.resolved.get(name).map(String::as_str));
        names.contains(&Some(service))
    };
    runs(world, app).into_iter().any(|(_, run)| run.status == ActionExecutionStatus::Abandoned && touches(run))
}

/// The full service runs what the last turnover brought that succeeded, or was superseded while it was watched; where
/// there was none, what it ran before.
fn full_runs_the_last_success(world: &World, app: &Application, people: &People) -> Result<(), String> {
    if people.by_hand.borrow().contains(&app.name) || left_alone(world, app, &app.name) || !app.deployed {
        return Ok(());
    }
    let mut tag = "v1";
    for (execution, run) in runs(world, app) {
        if run.action_type.provider == "Coalmine-Full"
            && (run.status == ActionExecutionStatus::Succeeded || was_turned_over(run))
        {
            let id = execution.rollback_target.as_ref().unwrap_or(&execution.id);
            tag = people.tags.get(id).ok_or("an execution that nobody started")?;
        }
    }
    runs_alone(world, app, &app.name, tag)?;
    if canary_was_given_back(world, app, people) { runs_alone(world, app, &app.canary_name(), tag) } else { Ok(()) }
}

/// Whether a turnover failed for nothing but another one that began while it was watched: that one goes back to it.
fn was_turned_over(run: &ActionRun) -> bool {
    run.error.as_ref().is_some_and(|error| error.message.contains("was superseded: it was successful, but"))
}

/// Whether the last that happened to the canary was a failure, or a success that nobody turned over: both give it back to
/// what the full service runs.
fn canary_was_given_back(world: &World, app: &Application, people: &People) -> bool {
    let canary = app.canary_name();
    if people.by_hand.borrow().contains(&canary) || left_alone(world, app, &canary) {
        return false;
    }
    let runs = runs(world, app);
    let first = runs.first().map(|(execution, _)| execution.pipeline.clone());
    // Of two pipelines each leaves alone what the other one brought.
    let alone = runs.iter().all(|(execution, _)| Some(&execution.pipeline) == first.as_ref());
    // What was refused before anything was touched changed nothing.
    let untouched = |run: &ActionRun| {
        run.error.as_ref().is_some_and(|error| error.message.starts_with("Nothing was deployed to canary"))
    };
    // What AWS calls missing is believed: a canary that is said not to be there is not given back.
    let missing = |run: &ActionRun| {
        run.error.as_ref().is_some_and(|error| error.message.contains("CanaryService: ECS has no service"))
    };
    if runs.iter().any(|(_, run)| missing(run)) {
        return false;
    }
    let last = runs.into_iter().rev().find(|(_, run)| !untouched(run));
    let given_up = |execution: &Execution, run: &ActionRun| {
        let waited = run.action_type.provider == "Coalmine-Canary" && run.status == ActionExecutionStatus::Succeeded;
        waited && execution.status != PipelineExecutionStatus::Succeeded
    };
    alone
        && last.is_some_and(|(execution, run)| run.status == ActionExecutionStatus::Failed || given_up(execution, run))
}

/// All tasks of a service run one release.
fn runs_alone(world: &World, app: &Application, service: &str, tag: &str) -> Result<(), String> {
    let children = world.ecr.children(&app.name, tag).unwrap_or_default().into_iter().map(|(_, child)| child);
    let digests: BTreeSet<String> = children.chain(world.ecr.digest(&app.name, tag)).collect();
    let view = world.ecs.view(CLUSTER, service).ok_or("a service is gone")?;
    let running = view.tasks.iter().filter(|task| task.stopped.is_none());
    let mut foreign = running.flat_map(|task| &task.digests).filter_map(|(_, digest)| digest.as_ref());
    match foreign.find(|digest| !digests.contains(*digest)) {
        None => Ok(()),
        Some(digest) => Err(format!("at the end a task of {service} runs {digest}, not {tag}")),
    }
}
