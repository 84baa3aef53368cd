use std::collections::BTreeSet;

use super::*;
use aws_sdk_codepipeline::types::{ExecutionMode, StageRetryMode};

/// Panics where an execution is in a stage whose lock it has not, an action in progress has not exactly one open job,
/// or a job has two results or one after its action was abandoned.
fn watch(simulator: &Simulator) {
    simulator.with_world(|world| {
        world.watch(|world| {
            for pipeline in world.codepipeline.pipelines() {
                let locked = pipeline.executions.iter().filter(|execution| execution.mode != ExecutionMode::Parallel);
                for execution in locked {
                    for stage in execution.stages.iter().filter(|run| run.is_open()) {
                        assert_eq!(pipeline.locks[&stage.name].holder.as_ref(), Some(&execution.id));
                    }
                    assert!(execution.is_active() || !execution.stages.iter().any(|run| run.is_open()));
                }
                let runs = pipeline.executions.iter().flat_map(|execution| &execution.actions);
                for run in runs.filter(|run| run.name == "Canary") {
                    let open = |job: &&crate::codepipeline::Job| {
                        let ended = [JobStatus::Succeeded, JobStatus::Failed, JobStatus::TimedOut];
                        job.action_execution == run.id && !ended.contains(&job.status)
                    };
                    let expected = usize::from(run.status == ActionExecutionStatus::InProgress);
                    assert_eq!(world.codepipeline.jobs().iter().filter(open).count(), expected);
                }
            }
            let most = |job: &crate::codepipeline::Job| usize::from(job.abandoned.is_none());
            assert!(world.codepipeline.jobs().iter().all(|job| job.results.len() <= most(job)));
        });
    });
}

/// A worker that hands back, fails, succeeds or forgets jobs by chance, until no execution is left.
async fn worker(simulator: Simulator, client: Client, seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    for round in 0..1000 {
        wait(&simulator, chance.u64(1..4)).await;
        if round > 200 && simulator.with_world(|world| world.codepipeline.active_executions().count()) == 0 {
            return;
        }
        for job in poll(&client, "Canary").await {
            if chance.u8(..) < 40 || acknowledge(&client, &job).await != Ok(JobStatus::InProgress) {
                continue;
            }
            wait(&simulator, chance.u64(0..20)).await;
            match chance.u8(0..4) {
                0 => drop(fail(&client, &job, "by chance").await),
                1 | 2 => {
                    let call = client.put_job_success_result().job_id(job.id().unwrap()).continuation_token("token");
                    drop(call.send().await);
                }
                _ => drop(client.put_job_success_result().job_id(job.id().unwrap()).send().await),
            }
        }
    }
}

/// People who stop, abandon, retry and roll back whatever they see.
async fn people(simulator: &Simulator, seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    for _ in 0..60 {
        wait(simulator, chance.u64(0..15)).await;
        simulator.with_world(|world| {
            let executions = &world.codepipeline.pipeline(PIPELINE).unwrap().executions;
            let Some(execution) = chance.choice(executions).map(|execution| execution.id.clone()) else { return };
            let stage = if chance.u8(0..4) == 0 { "Source" } else { "Release" };
            // Most of it is refused.
            match chance.u8(0..8) {
                0 => drop(world.stop_execution(PIPELINE, &execution, false)),
                1 => drop(world.stop_execution(PIPELINE, &execution, true)),
                2..5 => drop(world.retry_stage(PIPELINE, stage, &execution, StageRetryMode::AllActions)),
                5..7 => drop(world.retry_stage(PIPELINE, stage, &execution, StageRetryMode::FailedActions)),
                _ => drop(world.rollback_stage(PIPELINE, stage, &execution)),
            }
        });
    }
}

/// Two workers that race, releases at random moments, and people who meddle; gives how the executions ended, and all job ids.
async fn storm(mode: &str, seed: u64) -> (Vec<PipelineExecutionStatus>, Vec<String>) {
    let (simulator, client) = account(&short(mode));
    simulator.with_world(|world| world.codepipeline.set_offer_overlap(Duration::from_secs(2)));
    watch(&simulator);
    let other = Client::new(&simulator.sdk_config("other-worker"));
    let workers = async {
        tokio::join!(worker(simulator.clone(), client, seed), worker(simulator.clone(), other, seed + 1));
    };
    let releases = async {
        let mut chance = fastrand::Rng::with_seed(seed);
        for _ in 0..12 {
            start(&simulator);
            wait(&simulator, chance.u64(0..30)).await;
        }
    };
    tokio::join!(workers, releases, people(&simulator, seed));
    simulator.with_world(|world| {
        let executions = &world.codepipeline.pipeline(PIPELINE).unwrap().executions;
        let statuses = executions.iter().map(|execution| execution.status.clone()).collect();
        (statuses, world.codepipeline.jobs().iter().map(|job| job.id.clone()).collect())
    })
}

#[tokio::test(start_paused = true)]
async fn every_execution_ends_whatever_workers_and_people_do() {
    let mut endings = BTreeSet::new();
    for seed in 0..2 {
        let (superseded, _) = storm("SUPERSEDED", seed).await;
        let (queued, _) = storm("QUEUED", seed).await;
        let (parallel, _) = storm("PARALLEL", seed).await;
        for status in superseded.iter().chain(&queued).chain(&parallel) {
            let active = [PipelineExecutionStatus::InProgress, PipelineExecutionStatus::Stopping];
            assert!(!active.contains(status), "seed {seed}");
        }
        assert!(!queued.contains(&PipelineExecutionStatus::Superseded));
        endings.extend([superseded, queued, parallel].concat());
    }
    for ending in
        [PipelineExecutionStatus::Succeeded, PipelineExecutionStatus::Failed, PipelineExecutionStatus::Stopped]
    {
        assert!(endings.contains(&ending), "nothing ended as {ending}: the storm is too weak");
    }
}

#[tokio::test(start_paused = true)]
async fn one_seed_is_one_history() {
    let (statuses, jobs) = storm("SUPERSEDED", 3).await;
    assert_eq!(storm("SUPERSEDED", 3).await, (statuses, jobs.clone()));
    assert_eq!(jobs.iter().collect::<BTreeSet<_>>().len(), jobs.len());
}
