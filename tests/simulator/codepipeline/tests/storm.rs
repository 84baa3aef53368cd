use std::collections::BTreeSet;

use super::*;
use aws_sdk_codepipeline::types::StageExecutionStatus;

/// Panics where an execution is in a stage whose lock it has not, or a job has two results.
fn watch(simulator: &Simulator) {
    simulator.with_world(|world| {
        world.watch(|world| {
            for pipeline in world.codepipeline.pipelines() {
                for execution in &pipeline.executions {
                    let inside =
                        execution.stages.iter().filter(|run| run.status == Some(StageExecutionStatus::InProgress));
                    for stage in inside {
                        assert_eq!(pipeline.locks[&stage.name].holder.as_ref(), Some(&execution.id));
                    }
                }
            }
            assert!(world.codepipeline.jobs().iter().all(|job| job.results.len() <= 1));
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
                0 => fail(&client, &job, "by chance").await.unwrap(),
                1 | 2 => hand_back(&client, &job, "token", 10).await,
                _ => succeed(&client, &job).await,
            }
        }
    }
}

/// Two workers that race, and releases at random moments; gives how the executions ended, and all job ids.
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
    tokio::join!(workers, releases);
    simulator.with_world(|world| {
        let executions = &world.codepipeline.pipeline(PIPELINE).unwrap().executions;
        let statuses = executions.iter().map(|execution| execution.status.clone()).collect();
        (statuses, world.codepipeline.jobs().iter().map(|job| job.id.clone()).collect())
    })
}

#[tokio::test(start_paused = true)]
async fn every_execution_ends_whatever_racing_workers_do() {
    for seed in 0..2 {
        let (superseded, _) = storm("SUPERSEDED", seed).await;
        let (queued, _) = storm("QUEUED", seed).await;
        for status in superseded.iter().chain(&queued) {
            assert_ne!(*status, PipelineExecutionStatus::InProgress, "seed {seed}");
        }
        assert!(!queued.contains(&PipelineExecutionStatus::Superseded));
    }
}

#[tokio::test(start_paused = true)]
async fn one_seed_is_one_history() {
    let (statuses, jobs) = storm("SUPERSEDED", 3).await;
    assert_eq!(storm("SUPERSEDED", 3).await, (statuses, jobs.clone()));
    assert_eq!(jobs.iter().collect::<BTreeSet<_>>().len(), jobs.len());
}
