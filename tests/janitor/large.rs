//! What a run costs in a large account: what has changed, and no more than half of AWS's rates.

use std::time::Duration;

use coalmine_janitor::cli::{EXIT_GUARDED, EXIT_INCOMPLETE, EXIT_OK};
use simulator::faults::{Fault, FaultPlan, Rule};
use simulator::{Estate, Service};

use crate::costs::{Costs, calls_since, sweep};
use crate::yard::{DAY, JANITOR_KEY, Yard};

/// The defaults, for all repositories.
const PLAIN: &str = "[[rules]]\nrepositories = [\"**\"]\n";

/// One release of every ninth repository has become old enough since yesterday: the history is 100 releases long, each nine
/// days after the one before, and the repositories take turns. So it is where the janitor has worked for a while.
const KEPT_CLEAN: &str = "[defaults]\nmin_age = \"908d\"\n[[rules]]\nrepositories = [\"**\"]\n[run]\nbudget = \"1d\"\n";
/// Days after which every repository has had its turn, and is known.
const TURN: usize = 11;

#[tokio::test(start_paused = true)]
async fn a_large_account_costs_what_has_changed() {
    let yard = Yard::new(30, PLAIN);
    let estate = Estate::large();
    let costs = Costs::of(&yard, &estate, 20).await;

    let reads = costs.cold();
    assert!(reads <= 3_400, "{reads} calls: {:#?}", costs.cold);
    let (took, allowed) = (costs.took.as_secs_f64(), costs.allowed());
    assert!(took <= allowed * 1.1, "{took} s, where {allowed} s are allowed");
    assert!(took >= allowed * 0.9, "{took} s: faster than half of AWS's rates, {allowed} s");

    // Every repository is as full of old images as guards let go at once.
    assert_eq!((costs.code, costs.deleted), (EXIT_GUARDED, 4_000));
    let reads = costs.steady();
    assert!(reads <= 300, "{reads} calls: {:#?}", costs.steady);
    assert_eq!(costs.steady.get("ListServiceDeployments"), None);
    assert_eq!(costs.steady.get("DescribeServiceRevisions"), None);

    println!(
        "{reads} reads, {} calls for {} deletions and {} for last looks",
        costs.deletes(),
        costs.deleted,
        costs.last_looks()
    );
    // Each repository's images are listed once before its deletes, and once to confirm those of indexes.
    assert_eq!(costs.acting["DescribeImages"], 2 * estate.repositories);
    assert!(costs.deletes() <= 200, "{} calls", costs.deletes());
    assert!(costs.last_looks() <= 180, "{} calls: {:#?}", costs.last_looks(), costs.acting);
}

/// A fortieth of a million images, where the janitor has worked for a while.
#[tokio::test(start_paused = true)]
async fn forty_times_a_fortieth_of_a_huge_account_is_within_its_budget() {
    const PART: usize = 40;
    let costs = Costs::after(&Yard::new(35, KEPT_CLEAN), &Estate::huge().part(PART), 20, TURN).await;
    assert!(costs.deleted > 0, "{costs:#?}");
    // What does not grow with the account: what is asked once, and what the 20 new revisions take.
    let once = |operation: &str| {
        ["BatchGetImage", "DescribeRegistry", "DescribeTaskDefinition", "GetRegistryPolicy"].contains(&operation)
            || operation.starts_with("ListDaemon")
    };
    let (once, each): (Vec<_>, Vec<_>) = costs.steady.iter().partition(|(operation, _)| once(operation));
    let sum = |calls: Vec<(&String, &usize)>| calls.into_iter().map(|(_, count)| count).sum::<usize>();
    let reads = sum(once) + PART * sum(each);
    println!("{reads} reads: {:#?}", costs.steady);
    assert!(reads <= 4_600, "{reads} reads: {:#?}", costs.steady);
}

#[tokio::test(start_paused = true)]
async fn policies_and_service_deployments_are_read_only_where_something_could_go() {
    let yard = Yard::new(31, "[[rules]]\nrepositories = [\"repository-000[0-3]\"]\n");
    let estate = Estate { repositories: 8, families: 8, tasks: 16, clusters: 1, ..Estate::large() };
    yard.build(&estate);
    yard.plan().await;
    let (calls, _) = calls_since(&yard, 0);
    assert_eq!((calls["GetRepositoryPolicy"], calls["GetLifecyclePolicy"], calls["BatchGetImage"]), (4, 4, 4));
    // Whose images a deployment brings is known only when it is read.
    assert_eq!(calls["ListServiceDeployments"], 8);

    let yard = Yard::new(32, "[defaults]\nmin_age = \"2000d\"\n[[rules]]\nrepositories = [\"**\"]\n");
    yard.build(&estate);
    assert_eq!(yard.plan().await.code, EXIT_OK);
    let (calls, _) = calls_since(&yard, 0);
    let unneeded = ["GetRepositoryPolicy", "GetLifecyclePolicy", "BatchGetImage", "ListServiceDeployments"];
    assert_eq!(unneeded.map(|operation| calls.get(operation)), [None; 4], "{calls:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_one_run_has_no_time_to_read_the_next_ones_read_and_nothing_goes_meanwhile() {
    let yard = Yard::new(33, "[[rules]]\nrepositories = [\"**\"]\n[run]\nbudget = \"1m\"\n");
    let estate = Estate { repositories: 4, families: 130, tasks: 130, clusters: 1, ..Estate::large() };
    yard.build(&estate);
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
        assert!(missing.contains("its time is over"), "{missing}");
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
    yard.build(&estate);
    let denied = Rule::new(Fault::AccessDenied).caller(JANITOR_KEY).operation("DescribeTaskDefinition");
    yard.simulator.inject(FaultPlan::seeded(34).rule(denied));
    let ended = yard.plan().await;
    assert_eq!(ended.code, EXIT_INCOMPLETE);
    let missing = ended.head()["missing"].to_string();
    assert!(missing.contains("allow ecs:DescribeTaskDefinition"), "{missing}");
    // A handful at the same time, first ahead and then in earnest.
    assert!(yard.calls(Service::Ecs, "DescribeTaskDefinition") <= 16);
}
