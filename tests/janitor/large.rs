//! What a run costs in a large account: what has changed, and no more than half of AWS's rates.

use std::collections::BTreeMap;
use std::time::Duration;

use coalmine_janitor::cli::{EXIT_GUARDED, EXIT_INCOMPLETE, EXIT_OK};
use simulator::faults::{Fault, FaultPlan, Rule};
use simulator::{Estate, Service};

use crate::yard::{DAY, Ended, JANITOR_KEY, Yard};

/// The defaults, for all repositories.
const PLAIN: &str = "[[rules]]\nrepositories = [\"**\"]\n";

/// Calls by operation.
type Calls = BTreeMap<String, usize>;

/// The janitor's calls to ECS and ECR from the call at `from` on, and to all services.
fn calls_since(yard: &Yard, from: usize) -> (Calls, usize) {
    yard.simulator.with_calls(|calls| {
        let mut counts = Calls::new();
        let made = calls.records.iter().skip(from).filter(|call| call.access_key == JANITOR_KEY);
        for call in made.clone().filter(|call| matches!(call.service, Service::Ecs | Service::Ecr)) {
            *counts.entry(call.operation.clone()).or_default() += 1;
        }
        (counts, made.count())
    })
}

fn calls_so_far(yard: &Yard) -> usize {
    yard.simulator.with_calls(|calls| calls.records.len())
}

/// `coalmine-janitor sweep --yes --json`, and how many calls there had been when it began to delete.
async fn sweep(yard: &Yard) -> (Ended, usize) {
    let begin_of_deletes = std::cell::Cell::new(usize::MAX);
    let ended = yard
        .sweep_asking(&|_| {
            begin_of_deletes.set(calls_so_far(yard));
            true
        })
        .await;
    (ended, begin_of_deletes.get())
}

/// Seconds that half of a bucket takes for so many calls.
fn half_a_bucket(calls: usize, burst: usize, rate: usize) -> f64 {
    calls.saturating_sub(burst / 2) as f64 / (rate as f64 / 2.0)
}

#[tokio::test(start_paused = true)]
async fn a_large_account_costs_what_has_changed() {
    let yard = Yard::new(30, PLAIN);
    let estate = Estate::large();
    yard.world(|world| estate.build(world)).expect("an account");

    let begin = yard.simulator.clock().now();
    let first = yard.plan().await;
    assert_eq!((first.code, &first.head()["complete"]), (EXIT_OK, &true.into()), "{:#}", first.head());
    let took = yard.simulator.clock().now().duration_since(begin).expect("time passes");
    let (cold, _) = calls_since(&yard, 0);
    let reads: usize = cold.values().sum();
    assert!(reads <= 3_400, "{reads} calls: {cold:#?}");
    // The slowest of AWS's buckets has to let these through, at half of its rate; the others are read meanwhile.
    let definitions = cold["DescribeTaskDefinition"] + cold["ListTaskDefinitions"];
    let allowed = half_a_bucket(definitions, 50, 20);
    assert!(took.as_secs_f64() <= allowed * 1.1, "{took:?} for {definitions} task definitions: {allowed} s allowed");

    // A day later there are twenty new revisions, and every repository is as full of old images as guards let go at once.
    yard.pass(1).await;
    yard.world(|world| (0..20).try_for_each(|family| estate.release(world, family * 7, "next").map(drop)))
        .expect("twenty releases");
    let begin = calls_so_far(&yard);
    let (ended, begin_of_deletes) = sweep(&yard).await;
    assert_eq!(ended.code, EXIT_GUARDED, "{:?}", ended.lines.last());
    assert_eq!(ended.lines.last().expect("an end")["deleted"], 4_000);
    let (all, _) = calls_since(&yard, begin);
    let (mut acting, sent) = calls_since(&yard, begin_of_deletes);
    let reads = all.values().sum::<usize>() - acting.values().sum::<usize>();
    assert!(reads <= 300, "{reads} calls: {all:#?}");
    assert_eq!((all.get("ListServiceDeployments"), all.get("DescribeServiceRevisions")), (None, None));

    // Each repository's images are listed once before its deletes, and once to confirm those of indexes.
    let deletes = acting.remove("BatchDeleteImage").unwrap_or_default();
    let confirmations = estate.repositories;
    assert_eq!(acting["DescribeImages"], 2 * estate.repositories);
    assert!(deletes + confirmations <= 200, "{deletes} calls");
    let last_looks = sent - deletes - confirmations;
    assert!(last_looks <= 180, "{last_looks} calls: {acting:#?}");
}

#[tokio::test(start_paused = true)]
async fn policies_and_service_deployments_are_read_only_where_something_could_go() {
    let yard = Yard::new(31, "[[rules]]\nrepositories = [\"repository-000[0-3]\"]\n");
    let estate = Estate { repositories: 8, families: 8, tasks: 16, clusters: 1, ..Estate::large() };
    yard.world(|world| estate.build(world)).expect("an account");
    yard.plan().await;
    let (calls, _) = calls_since(&yard, 0);
    assert_eq!((calls["GetRepositoryPolicy"], calls["GetLifecyclePolicy"], calls["BatchGetImage"]), (4, 4, 4));
    // Whose images a deployment brings is known only when it is read.
    assert_eq!(calls["ListServiceDeployments"], 8);

    let yard = Yard::new(32, "[defaults]\nmin_age = \"2000d\"\n[[rules]]\nrepositories = [\"**\"]\n");
    yard.world(|world| estate.build(world)).expect("an account");
    assert_eq!(yard.plan().await.code, EXIT_OK);
    let (calls, _) = calls_since(&yard, 0);
    let unneeded = ["GetRepositoryPolicy", "GetLifecyclePolicy", "BatchGetImage", "ListServiceDeployments"];
    assert_eq!(unneeded.map(|operation| calls.get(operation)), [None; 4], "{calls:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_one_run_has_no_time_to_read_the_next_ones_read_and_nothing_goes_meanwhile() {
    let yard = Yard::new(33, "[[rules]]\nrepositories = [\"**\"]\n[run]\nbudget = \"1m\"\n");
    let estate = Estate { repositories: 4, families: 130, tasks: 130, clusters: 1, ..Estate::large() };
    yard.world(|world| estate.build(world)).expect("an account");
    let described = |yard: &Yard| yard.calls(Service::Ecs, "DescribeTaskDefinition");
    let mut before = 0;
    let mut runs = 0;
    loop {
        let begin = yard.simulator.clock().now();
        let (ended, _) = sweep(&yard).await;
        let took = yard.simulator.clock().now().duration_since(begin).expect("time passes");
        assert!(took < Duration::from_secs(65), "{took:?}");
        assert_eq!(yard.calls(Service::Ecr, "BatchDeleteImage"), 0);
        assert!(described(&yard) > before, "a run went on where the last one stopped");
        before = described(&yard);
        runs += 1;
        if ended.code != EXIT_INCOMPLETE {
            break;
        }
        let missing = ended.head()["missing"].to_string();
        assert!(missing.contains("the run's time is over"), "{missing}");
        assert_eq!(ended.head()["waiting"], 0);
        yard.simulator.clock().wait(DAY).await;
    }
    // 9 of 10 revisions; the newest of each family is what its task shows. None was read twice.
    assert_eq!((runs, described(&yard)), (2, 1_170));
    yard.pass(1).await;
    let (ended, _) = sweep(&yard).await;
    assert_eq!((ended.code, described(&yard)), (EXIT_GUARDED, 1_170));
    assert_eq!(ended.lines.last().expect("an end")["deleted"], 4 * 80);
}

#[tokio::test(start_paused = true)]
async fn a_permission_that_is_missing_is_not_asked_for_again_for_every_task_definition() {
    let yard = Yard::new(34, PLAIN);
    let estate = Estate { repositories: 2, families: 20, tasks: 20, clusters: 1, ..Estate::large() };
    yard.world(|world| estate.build(world)).expect("an account");
    let denied = Rule::new(Fault::AccessDenied).caller(JANITOR_KEY).operation("DescribeTaskDefinition");
    yard.simulator.inject(FaultPlan::seeded(34).rule(denied));
    let ended = yard.plan().await;
    assert_eq!(ended.code, EXIT_INCOMPLETE);
    let missing = ended.head()["missing"].to_string();
    assert!(missing.contains("allow ecs:DescribeTaskDefinition"), "{missing}");
    // A handful at the same time, first ahead and then in earnest.
    assert!(yard.calls(Service::Ecs, "DescribeTaskDefinition") <= 16);
}
