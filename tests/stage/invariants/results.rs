//! Each job has one result, each action one end.

use std::collections::BTreeSet;

use aws_sdk_codepipeline::types::{ActionExecutionStatus, JobStatus};
use simulator::World;
use simulator::codepipeline::{Job, JobResult};

use super::Finding;

/// Which actions have ended.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// How many jobs, the oldest ones, need no look any more.
    over: usize,
    /// The actions that these ended.
    ended: BTreeSet<String>,
}

impl Results {
    /// No job gets a second result, and no action a second end.
    pub(super) fn look(&mut self, world: &World, deadly: bool) -> Option<Finding> {
        let jobs = world.codepipeline.jobs();
        // A lost reply makes a worker say it again: that is refused, and counts only where nothing goes wrong.
        let is_over = |job: &&Job| deadly && !is_open(job);
        while let Some(job) = jobs.get(self.over).filter(is_over) {
            self.over += 1;
            if ends(job) && !self.ended.insert(job.action_execution.clone()) {
                return Some(twice(job));
            }
        }
        let mut ended: BTreeSet<&str> = self.ended.iter().map(String::as_str).collect();
        for job in &jobs[self.over..] {
            let late = u32::from(job.status == JobStatus::TimedOut || job.abandoned.is_some());
            let refused = if deadly { 0 } else { job.refused_results.saturating_sub(late) };
            if job.results.len() + usize::try_from(refused).unwrap_or_default() > 1 {
                let what = format!("job {} of {}/{} was given a second result", job.id, job.pipeline, job.action);
                return Some(Finding::new(what));
            }
            if ends(job) && !ended.insert(&job.action_execution) {
                return Some(twice(job));
            }
        }
        None
    }
}

fn twice(job: &Job) -> Finding {
    Finding::new(format!("action {}/{} was ended twice", job.pipeline, job.action))
}

fn ends(job: &Job) -> bool {
    job.results.iter().any(|result| *result != JobResult::Continued)
}

pub(super) fn is_open(job: &Job) -> bool {
    matches!(job.status, JobStatus::Queued | JobStatus::Dispatched | JobStatus::InProgress)
}

/// Every job of an execution that is over has its one result, and every custom action its one end. Nobody wants a
/// result for a job that was abandoned, or that timed out.
pub(super) fn are_complete(world: &World) -> Result<(), Finding> {
    let jobs = world.codepipeline.jobs();
    let executions = world.codepipeline.pipelines().flat_map(|pipeline| &pipeline.executions);
    for execution in executions.filter(|execution| !execution.is_active()) {
        for run in execution.actions.iter().filter(|run| run.action_type.owner == "Custom") {
            let results: Vec<&[JobResult]> = jobs
                .iter()
                .filter(|job| job.action_execution == run.id && job.status != JobStatus::TimedOut)
                .map(|job| job.results.as_slice())
                .collect();
            let (end, before) = results.split_last().ok_or_else(|| Finding::new("an action without a job"))?;
            let last: &[JobResult] = match run.status {
                ActionExecutionStatus::Succeeded => &[JobResult::Succeeded],
                ActionExecutionStatus::Abandoned => &[],
                _ => &[JobResult::Failed],
            };
            if *end != last || before.iter().any(|results| *results != [JobResult::Continued]) {
                return Err(Finding::new(format!(
                    "{}/{} is {}, but its jobs ended with {results:?}",
                    execution.pipeline, run.name, run.status
                )));
            }
        }
    }
    Ok(())
}
