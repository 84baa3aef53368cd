//! Somebody deploys between any two of the janitor's calls, and nothing that is needed is ever deleted.
//!
//! `COALMINE_INTERLEAVINGS` says how many of all interleavings of the small world are tried, and how many lives: a number,
//! or `all`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use simulator::Service;
use simulator::ecr::ImageSpec;
use simulator::ecs::ServiceSpec;
use simulator::faults::{Fault, FaultPlan, Rule};

use crate::deployer::{Act, CLUSTER, Named, Town};
use crate::extent::sample;
use crate::grants::{BUCKET, MEMORY, TAG};
use crate::oracle::{Oracle, Watch};
use crate::yard::{DAY, EAGER, HOST, JANITOR_KEY, Yard, definition};

const VARIABLE: &str = "COALMINE_INTERLEAVINGS";

/// How long an image waits here between two scans: days of services that cannot start take long.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// No look of these small worlds is older than this when something is deleted.
const LOOK_MAX: Duration = Duration::from_secs(15);

/// Two repositories of three images and two tags, two task definitions, of which a service runs one.
fn small(yard: &Yard) -> Town {
    let mut town = Town::default();
    for name in ["app", "base"] {
        let mut digests = Vec::new();
        for (tags, age) in [(vec!["one"], 400), (vec![], 300), (vec!["two"], 200)] {
            let at = yard.days_ago(age);
            digests.push(yard.world(|world| {
                let architectures = vec!["amd64".to_owned()];
                let spec = ImageSpec { architectures, attestations: false, ..ImageSpec::new(name, "", at) };
                world.ecr.push(ImageSpec { tags: tags.iter().map(|tag| (*tag).to_owned()).collect(), ..spec })
            }));
        }
        yard.world(|world| world.ecr.tag_repository(name, TAG.0, TAG.1).expect("a repository"));
        town.repositories.push((name.to_owned(), digests, vec!["one".to_owned(), "two".to_owned()]));
    }
    let long_ago = yard.days_ago(350);
    yard.world(|world| {
        let first = definition("runs", &format!("{HOST}/app:two"));
        world.add_service(ServiceSpec::new(CLUSTER, "runs", first, 1)).expect("a service");
        let second = definition("rests", &format!("{HOST}/base@{}", town.repositories[1].1[0]));
        world.add_task_definition_at(&second, long_ago).expect("a task definition");
    });
    town.definitions = vec!["runs:1".to_owned(), "rests:1".to_owned()];
    town.services = vec!["runs".to_owned()];
    town
}

/// A yard with the small world, the memory of yesterday's scan, and an oracle.
async fn scene(memory: Option<&Bytes>) -> (Yard, Town) {
    let yard = Yard::new(70, EAGER);
    let town = small(&yard);
    match memory {
        None => drop(yard.plan().await),
        Some(memory) => drop(yard.world(|world| world.s3.put(BUCKET, MEMORY, memory.clone(), world.now))),
    }
    yard.pass(1).await;
    (yard, town)
}

/// A sweep of the small world, with one act before one of its calls.
async fn sweep(memory: &Bytes, act: Option<(usize, Act)>) -> (Watch, Vec<String>) {
    sweep_with(memory, act, FaultPlan::seeded(1)).await
}

/// The same while things go wrong.
async fn sweep_with(memory: &Bytes, act: Option<(usize, Act)>, faults: FaultPlan) -> (Watch, Vec<String>) {
    let (yard, town) = scene(Some(memory)).await;
    yard.simulator.inject(faults);
    let oracle = Oracle::default();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let (watching, counted) = (oracle.clone(), calls.clone());
    yard.simulator.before_call(move |worlds, call| {
        if !call.access_key.starts_with(JANITOR_KEY) {
            return;
        }
        let mut calls = counted.lock().unwrap_or_else(PoisonError::into_inner);
        let world = worlds.home();
        watching.after(world);
        if let Some((_, act)) = act.filter(|(at, _)| *at == calls.len()) {
            // What AWS refuses has not happened.
            let _ = town.act(world, act);
        }
        watching.before(world, call);
        calls.push(call.operation.clone());
    });
    yard.sweep().await;
    let seen = yard.world(|world| oracle.seen(world));
    let calls = calls.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (seen, calls)
}

/// Every act of some kinds before every call; or a sample.
async fn every(what: &str, usual: usize, wanted: fn(&Act) -> bool) {
    let (yard, town) = scene(None).await;
    let memory = yard.world(|world| world.s3.get(BUCKET, MEMORY).expect("a memory").body.clone());
    let (undisturbed, calls) = sweep(&memory, None).await;
    let calls = calls.len();
    assert_eq!((undisturbed.deleted, undisturbed.in_window), (3, 0), "{undisturbed:?}");
    let acts: Vec<Act> = town.acts().into_iter().filter(wanted).collect();
    let points = sample(what, VARIABLE, usual, acts.len() * calls);
    let (mut in_window, mut longest, mut wrong) = (0, Duration::ZERO, Vec::new());
    for point in &points {
        let (act, call) = (acts[point / calls], point % calls);
        let (seen, _) = sweep(&memory, Some((call, act))).await;
        in_window += usize::from(seen.in_window > 0);
        longest = longest.max(seen.longest);
        wrong.extend(seen.wrong.into_iter().map(|wrong| format!("{act:?} before call {call}: {wrong}")));
    }
    println!(
        "{what}: {} of {} interleavings ({} acts, {calls} calls), {in_window} in the window, which was {longest:?} at most",
        points.len(),
        acts.len() * calls,
        acts.len(),
    );
    assert_eq!(wrong, Vec::<String>::new());
    assert!(longest <= LOOK_MAX, "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_pushes_moves_tags_or_archives_between_two_calls_loses_nothing_that_is_needed() {
    let wanted = |act: &Act| matches!(act, Act::Push(..) | Act::Retag(..) | Act::Index(..) | Act::Archive(..));
    every("push, retag, index, archive", 24, wanted).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_registers_runs_or_stops_between_two_calls_loses_nothing_that_is_needed() {
    let wanted = |act: &Act| {
        let names = matches!(act, Act::Register(_) | Act::Start(_));
        names || matches!(act, Act::Deregister(_) | Act::Run(_) | Act::Stop(_))
    };
    every("register, deregister, run, start, stop", 24, wanted).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_deploys_or_publishes_between_two_calls_loses_nothing_that_is_needed() {
    every("deploy, update, publish", 24, |act| matches!(act, Act::Deploy(..) | Act::Update(..) | Act::Publish(_)))
        .await;
}

/// The window is real: AWS has no conditional deletion.
#[tokio::test(start_paused = true)]
async fn a_task_can_lose_its_image_only_after_the_last_look_has_asked_for_tasks() {
    let (yard, _) = scene(None).await;
    let memory = yard.world(|world| world.s3.get(BUCKET, MEMORY).expect("a memory").body.clone());
    let (_, calls) = sweep(&memory, None).await;
    let last = |operation: &str| calls.iter().rposition(|call| call == operation).expect("a call");
    let start = Act::Start(Named::Digest(0, 0));
    let mut lost = Vec::new();
    for call in 0..calls.len() {
        let (seen, _) = sweep(&memory, Some((call, start))).await;
        assert_eq!(seen.wrong, Vec::<String>::new(), "before call {call}");
        if seen.in_window > 0 {
            lost.push(call);
        }
    }
    println!("a task that is started of an old image can lose it before calls {lost:?} of {}", calls.len());
    assert!(!lost.is_empty(), "the window has closed: README and the oracle may say so");
    // Tasks are listed twice, by what they are told to be, and the first list has it.
    assert!(lost.iter().all(|call| (last("ListTasks")..=last("BatchDeleteImage")).contains(call)), "{lost:?}");
}

/// AWS throttles the list of a repository's images, between the look at what refers to them and their deletion.
#[tokio::test(start_paused = true)]
async fn whoever_deploys_while_a_repository_is_listed_for_long_keeps_his_image() {
    let (yard, _) = scene(None).await;
    let memory = yard.world(|world| world.s3.get(BUCKET, MEMORY).expect("a memory").body.clone());
    let (_, calls) = sweep(&memory, None).await;
    let deletes = calls.iter().position(|call| call == "BatchDeleteImage").expect("a deletion");
    let listing = calls[..deletes].iter().rposition(|call| call == "DescribeImages").expect("a list");
    let image = Named::Digest(0, 0);
    for (throttled, deleted) in [(11, 2), (14, 2)] {
        let slow = Rule::new(Fault::Throttle).service(Service::Ecr).operation("DescribeImages").caller(JANITOR_KEY);
        let slow = FaultPlan::seeded(1).rule(slow.from_call(listing as u64 + 1).times(throttled));
        let (seen, _) = sweep_with(&memory, Some((listing + 1, Act::Start(image))), slow).await;
        println!("throttled {throttled} times: {seen:?}");
        assert_eq!((seen.wrong, seen.in_window), (Vec::new(), 0));
        assert_eq!(seen.deleted, deleted, "what nobody needs goes");
        assert!(seen.longest <= LOOK_MAX, "{:?}", seen.longest);
    }
}

#[tokio::test(start_paused = true)]
async fn many_acts_of_many_lives_lose_nothing_that_is_needed() {
    let seeds = sample("lives", VARIABLE, 6, 1_000);
    let (mut acts, mut deleted, mut in_window) = (0, 0, 0);
    for seed in &seeds {
        let (done, seen) = life(*seed as u64).await;
        assert_eq!(seen.wrong, Vec::<String>::new(), "the life of seed {seed}");
        acts += done;
        deleted += seen.deleted;
        in_window += seen.in_window;
    }
    println!("{} lives, {acts} acts, {deleted} images deleted, {in_window} in the window", seeds.len());
    assert!(deleted > seeds.len(), "a life in which nothing goes shows nothing");
}

/// A registry of indexes, signatures and plain images, services and old task definitions; a janitor plans and sweeps
/// three times while somebody acts.
async fn life(seed: u64) -> (usize, Watch) {
    let yard = Yard::new(seed, &format!("{EAGER}quarantine = \"1h\"\n"));
    let mut rng = fastrand::Rng::with_seed(seed);
    // AWS does not say which of the two it does.
    yard.world(|world| world.ecr.pair_deletes_image = seed % 2 == 1);
    let town = large(&yard, &mut rng);
    let oracle = Oracle::default();
    let done = Arc::new(Mutex::new(0));
    let (watching, counted, all) = (oracle.clone(), done.clone(), town.acts());
    yard.simulator.before_call(move |worlds, call| {
        let world = worlds.home();
        watching.after(world);
        if rng.u8(..) < 24 && town.act(world, all[rng.usize(..all.len())]).is_ok() {
            *counted.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }
        watching.before(world, call);
    });
    for _ in 0..3 {
        yard.plan().await;
        yard.simulator.clock().wait(HOUR).await;
        yard.sweep().await;
    }
    let seen = yard.world(|world| oracle.seen(world));
    let done = *done.lock().unwrap_or_else(PoisonError::into_inner);
    (done, seen)
}

fn large(yard: &Yard, rng: &mut fastrand::Rng) -> Town {
    let mut town = Town::default();
    for name in ["app", "base", "jobs"] {
        let (mut digests, mut tags) = (Vec::new(), Vec::new());
        for number in 0..6 {
            let tag = format!("v{number}");
            let digest = yard.push(name, &tag, rng.u32(32..400));
            yard.world(|world| {
                match rng.u8(..6) {
                    0 => world.ecr.untag(name, &tag).expect("a tag"),
                    1 => world.ecr.tag(name, &digest, "also").expect("an image"),
                    2 => drop(world.ecr.push_referrer(name, &digest, "application/x", world.now - DAY * 32)),
                    _ => {}
                }
                let children = world.ecr.children(name, &digest).expect("an index");
                digests.extend(children.into_iter().take(1).map(|(_, child)| child));
            });
            digests.push(digest);
            tags.push(tag);
        }
        town.repositories.push((name.to_owned(), digests, tags));
    }
    for family in ["x", "y", "z"] {
        for revision in 1..=12 {
            let (name, digests, _) = &town.repositories[rng.usize(..3)];
            let raw = definition(family, &format!("{HOST}/{name}@{}", digests[rng.usize(..digests.len())]));
            let at = yard.days_ago(rng.u32(60..300));
            yard.world(|world| world.add_task_definition_at(&raw, at).expect("a task definition"));
            // Most of them are old news.
            if revision > 2 && rng.bool() {
                yard.world(|world| {
                    let raw = serde_json::json!({"taskDefinition": format!("{family}:{revision}")});
                    world.operate("DeregisterTaskDefinition", raw).expect("a task definition");
                });
            }
            town.definitions.push(format!("{family}:{revision}"));
        }
        let (name, digests, _) = &town.repositories[rng.usize(..3)];
        yard.run(&format!("s-{family}"), &format!("{HOST}/{name}@{}", digests[rng.usize(..digests.len())]));
        town.services.push(format!("s-{family}"));
    }
    town
}
