//! Every action ends in time, no job is held for ever, and what a turnover needed of a service is given back.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_codepipeline::types::{ActionExecutionStatus, JobStatus};
use coalmine_pipeline::{CanaryConfig, FullConfig};
use simulator::World;
use simulator::codepipeline::ActionRun;

use super::changes::Seen;
use super::{Finding, Names, runs};

/// How long after its deadline an action may take to undo what it did: three undos of half an hour.
const UNDO: Duration = Duration::from_secs(3 * 30 * 60);

/// How much longer things take that go wrong on the way: no worker lives, a result cannot be told.
const TROUBLE: Duration = Duration::from_secs(30 * 60);

/// How an action says that it left its service as it found it: also with what an abandoned one left there.
const UNTOUCHED: &str = "Nothing was deployed to ";

/// The actions that have not ended, and what the services are without them.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// By id.
    going: BTreeMap<String, Going>,
    /// Each service's own percents: those of the beginning, or a person's.
    own: BTreeMap<String, (i32, i32)>,
}

#[derive(Debug)]
struct Going {
    limit: Duration,
    /// Whether nobody else had a hand in its service.
    alone: bool,
    /// What it found there.
    percents: (i32, i32),
}

impl Ends {
    pub(super) fn look(&mut self, world: &World, names: &Names, changes: &BTreeMap<String, Seen>) -> Vec<Finding> {
        let mut found = Vec::new();
        let in_progress = runs(world, names).filter(|(_, run)| run.status == ActionExecutionStatus::InProgress);
        let several = in_progress.count() > 1;
        for (service, seen) in changes {
            let own = self.own.entry(service.clone()).or_insert(seen.shape.percents);
            if seen.by_hand && seen.before.as_ref().is_some_and(|before| before.percents != seen.shape.percents) {
                *own = seen.shape.percents;
            }
        }
        for (execution, run) in runs(world, names) {
            let service = if run.action_type.provider == "Coalmine-Full" { &names.full } else { &names.canary };
            let (Some(seen), Some(own)) = (changes.get(service), self.own.get(service)) else { continue };
            if run.status != ActionExecutionStatus::InProgress {
                let Some(going) = self.going.remove(&run.id) else { continue };
                // Whom nobody wants any more stops where it is; whoever comes next gives the percents back.
                let told = run.status != ActionExecutionStatus::Abandoned;
                let nothing = |run: &ActionRun| run.error.as_ref().is_some_and(|it| it.message.starts_with(UNTOUCHED));
                let touched = !(nothing(run) && going.percents == seen.shape.percents);
                if told && touched && going.alone && *own != seen.shape.percents {
                    let (name, now) = (&run.name, seen.shape.percents);
                    let what = format!("{name} of {service} ended, but its percents are {now:?}; its own are {own:?}");
                    found.push(Finding::of(service, what));
                }
                continue;
            }
            let going = self.going.entry(run.id.clone()).or_insert_with(|| Going {
                limit: limit(run),
                alone: true,
                percents: seen.shape.percents,
            });
            // Where another pipeline or a person has a hand in it, it cannot be told whose the percents are. They are
            // looked at again when the world is at rest.
            going.alone &= !several && !seen.by_hand;
            if world.now.duration_since(run.started).is_ok_and(|age| age > going.limit) {
                let (name, id, limit) = (&run.name, &execution.id, going.limit);
                found.push(Finding::new(format!("{name} of execution {id} goes on for more than {limit:?}")));
            }
        }
        found.extend(held_for_ever(world));
        found
    }
}

fn limit(run: &ActionRun) -> Duration {
    let (canary, full) = (CanaryConfig::parse(&run.resolved), FullConfig::parse(&run.resolved));
    let deadline = canary.map(|config| config.deadline()).or_else(|_| full.map(|config| config.deadline()));
    // What cannot be understood is refused at once.
    deadline.map_or(TROUBLE, |deadline| deadline + UNDO + TROUBLE)
}

/// A turn hands its job back after a minute; a peer that finds its worker dead, after another one.
fn held_for_ever(world: &World) -> Option<Finding> {
    let jobs = world.codepipeline.jobs().iter().rev().take(50);
    let mut held = jobs.filter(|job| job.status == JobStatus::InProgress);
    let for_ever = held.find(|job| {
        let since = job.acknowledged.as_ref().map_or(job.created, |offer| offer.at);
        world.now.duration_since(since).is_ok_and(|age| age > TROUBLE)
    })?;
    let (pipeline, action) = (&for_ever.pipeline, &for_ever.action);
    Some(Finding::new(format!("job {} of {pipeline}/{action} is held for more than {TROUBLE:?}", for_ever.id)))
}
