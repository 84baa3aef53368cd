//! Several janitors, lists of what is kept, plans that do not belong here.

use std::fs;
use std::path::PathBuf;

use coalmine_janitor::cli::{EXIT_INCOMPLETE, EXIT_OK, EXIT_PLANNED};
use serde_json::{Value, json};
use simulator::Service;

use crate::grants::BUCKET;
use crate::yard::{EAGER, HOST, JANITOR_KEY, Yard, condemned, packed};

fn with_policy(seed: u64, further: &str) -> Yard {
    let yard = Yard::new(seed, &format!("{EAGER}{further}"));
    for (tag, age) in [("v1", 400), ("v2", 300), ("v3", 200), ("v4", 100), ("v5", 1)] {
        yard.push("app", tag, age);
    }
    yard
}

fn put(yard: &Yard, key: &str, text: String) {
    yard.world(|world| world.s3.put(BUCKET, key, text.into(), world.now));
}

#[tokio::test(start_paused = true)]
async fn two_janitors_at_once_do_no_harm() {
    let yard = with_policy(50, "");
    yard.run("app", &format!("{HOST}/app:v2"));
    let (first, second) = tokio::join!(yard.plan(), yard.plan());
    assert_eq!((first.code, second.code), (EXIT_OK, EXIT_OK));
    yard.pass(1).await;
    let (first, second) = tokio::join!(yard.sweep(), yard.sweep());
    // Whoever came second found gone what was to go.
    assert_eq!((first.code, second.code), (EXIT_OK, EXIT_OK), "{:?} {:?}", first.lines, second.lines);
    assert_eq!((yard.tags("app"), yard.images("app")), (vec!["v2".to_owned(), "v5".into()], 10));
}

#[tokio::test(start_paused = true)]
async fn a_memory_that_cannot_be_understood_is_set_aside_and_only_delays() {
    let yard = with_policy(51, "");
    yard.plan().await;
    yard.pass(1).await;
    put(&yard, crate::grants::MEMORY, "{\"schema\": 1, \"memory\"".to_owned());
    yard.sweep().await;
    assert_eq!(yard.images("app"), 25);
    let aside =
        yard.world(|world| world.s3.bucket(BUCKET).expect("a bucket").keys().any(|key| key.contains("unreadable")));
    assert!(aside, "it is kept for whoever wants to look at it");
    yard.pass(1).await;
    yard.sweep().await;
    assert_eq!(yard.tags("app"), ["v5"]);
}

/// A keep-list in S3, of which a line lives for so long.
#[tokio::test(start_paused = true)]
async fn a_list_in_s3_keeps_its_images_until_its_lines_have_ended() {
    let yard = with_policy(52, &format!("[[keep_lists]]\nfile = \"s3://{BUCKET}/janitor/keep.txt\"\n"));
    put(&yard, "janitor/keep.txt", "app:v2 until 2026-01-20 # a server in the cellar\napp:v3\n".to_owned());
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v2", "v3", "v5"]);
    assert!(yard.why("app:v3").await.contains("keep.txt:2"), "the line is named");
    yard.pass(20).await;
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v3", "v5"]);
}

#[tokio::test(start_paused = true)]
async fn a_list_in_s3_that_is_missing_old_or_wrong_stops_all_deletions() {
    let list = format!("[[keep_lists]]\nfile = \"s3://{BUCKET}/janitor/keep.txt\"\nmax_age = \"2d\"\n");
    for (text, told) in [
        (None, "there is no such file"),
        (Some("app:v2\n"), "whoever writes it has stopped"),
        (Some("app:v2 till tomorrow\n"), "line 1"),
    ] {
        let yard = with_policy(53, &list);
        if let Some(text) = text {
            put(&yard, "janitor/keep.txt", text.to_owned());
        }
        yard.plan().await;
        yard.pass(if told.contains("stopped") { 3 } else { 1 }).await;
        let swept = yard.sweep().await;
        assert_eq!((swept.code, yard.images("app")), (EXIT_INCOMPLETE, 25), "{told}");
        assert!(swept.head()["missing"].to_string().contains(told), "{}", swept.head()["missing"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_in_a_folder_is_read_by_path_with_and_without_dir() {
    let folder = folder("lists");
    let path = folder.join("keep.txt");
    fs::write(&path, "app:v1\n").expect("a file");
    for (seed, prefix) in [(54, ""), (55, "dir:")] {
        let yard = with_policy(seed, &format!("[[keep_lists]]\nfile = {:?}\n", format!("{prefix}{}", path.display())));
        yard.clean().await;
        assert_eq!(yard.tags("app"), ["v1", "v5"]);
    }
    fs::remove_dir_all(&folder).expect("a folder");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_nowhere_is_told_before_anything_is_read() {
    for (seed, file) in [(56, "s3://b/keep.txt"), (57, "s3://bucket"), (58, "s3://bucket/"), (59, "..")] {
        let yard = with_policy(seed, &format!("[[keep_lists]]\nfile = {file:?}\n"));
        let problem = yard.try_sweep().await.expect_err("no such list").to_string();
        assert!(problem.contains("keep-list") && problem.contains(file), "{problem}");
        assert_eq!(yard.simulator.calls_of(JANITOR_KEY), []);
    }
}

fn with_ledger(seed: u64, release: &Value) -> Yard {
    let yard = with_policy(seed, &format!("[sources]\nledger = \"s3://{BUCKET}/worker\"\n"));
    put(&yard, "worker/releases/r1.json", release.to_string());
    yard
}

#[tokio::test(start_paused = true)]
async fn releases_in_the_workers_ledger_keep_their_images_whatever_else_stands_there() {
    let images = json!([format!("{HOST}/app:v1"), "app:v2", format!("{HOST}/other@sha256:{}", "ab".repeat(32))]);
    let yard = with_ledger(63, &json!({"schema": 1, "release": "r1", "images": images, "evidence": {"tasks": [1]}}));
    // A worker's own object beside it is none of the janitor's business.
    put(&yard, "worker/workers/1.json", "{}".to_owned());
    yard.clean().await;
    assert_eq!(yard.tags("app"), ["v1", "v2", "v5"]);
    assert!(yard.why("app:v1").await.contains("release r1"));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_not_understood_stops_all_deletions() {
    for (release, told) in [
        (json!({"schema": 2, "release": "r1", "images": []}), "raise the janitor"),
        (json!({"release": "r1", "images": []}), "cannot be understood"),
        (json!({"schema": 1, "release": "r1"}), "cannot be understood"),
        (json!({"schema": 1, "images": "app:v1"}), "cannot be understood"),
    ] {
        let yard = with_ledger(64, &release);
        let swept = yard.clean().await;
        assert_eq!((swept.code, yard.images("app")), (EXIT_INCOMPLETE, 25), "{release}");
        assert!(swept.head()["missing"].to_string().contains(told), "{}", swept.head()["missing"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_was_cut_edited_or_made_elsewhere_is_refused_and_deletes_nothing() {
    let yard = with_policy(65, "");
    yard.plan().await;
    yard.pass(1).await;
    let folder = folder("plans");
    let whole = folder.join("plan.json");
    yard.plan_to(&whole).await;
    let text = fs::read_to_string(&whole).expect("a plan");
    let other = Yard::new(66, "[[rules]]\nrepositories = [\"app\"]\n");
    other.push("app", "v1", 1);
    let spoilt = [
        ("cut", text[..text.len() / 2].to_owned(), "cut off"),
        ("edited", text.replacen("v2", "v5", 1), "changed after it was made"),
        ("empty", String::new(), "cut off"),
    ];
    for (name, text, told) in spoilt {
        let file = folder.join(name);
        fs::write(&file, text).expect("a file");
        let problem = yard.sweep_plan(&file).await.expect_err(name).to_string();
        assert!(problem.contains(told), "{name}: {problem}");
    }
    let problem = other.sweep_plan(&whole).await.expect_err("another policy").to_string();
    assert!(problem.contains("another policy"), "{problem}");
    assert_eq!(other.calls(Service::Ecr, "DescribeRepositories"), 0, "it is refused before anything is read");
    yard.pass(2).await;
    let before = yard.calls(Service::Ecr, "DescribeRepositories");
    let problem = yard.sweep_plan(&whole).await.expect_err("an old plan").to_string();
    assert!(problem.contains("was to be carried out until"), "{problem}");
    assert_eq!(yard.calls(Service::Ecr, "DescribeRepositories"), before, "it is refused before anything is read");
    assert_eq!(yard.images("app"), 25);
    fs::remove_dir_all(&folder).expect("a folder");
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("coalmine-janitor-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_names_nothing_of_what_is_condemned_deletes_nothing_and_says_so() {
    let yard = with_policy(90, "[run]\nplan_ttl = \"3d\"\n");
    let folder = folder("left");
    let file = folder.join("plan.json");
    // Everything still waits for a second scan.
    yard.plan_to(&file).await;
    yard.pass(1).await;
    let swept = yard.sweep_plan(&file).await.expect("a plan");
    assert_eq!((swept.code, yard.images("app")), (EXIT_PLANNED, 25));
    assert_eq!((&swept.head()["to_delete"], &swept.head()["agreed"]), (&20.into(), &0.into()), "{}", swept.head());
    fs::remove_dir_all(&folder).expect("a folder");
}

/// A release of an image on record in the ledger, which the worker has changed last so many days ago.
fn record(yard: &Yard, release: &str, tag: &str, days_ago: u32) {
    let images = [format!("{HOST}/app:{tag}")];
    let body = json!({"schema": 1, "release": release, "images": images}).to_string();
    let at = yard.days_ago(days_ago);
    yard.world(|world| world.s3.put(BUCKET, &format!("worker/releases/{release}.json"), body.into(), at));
}

#[tokio::test(start_paused = true)]
async fn of_the_ledger_the_newest_releases_of_each_service_and_those_of_the_window_count() {
    let policy = format!("[sources]\nledger = \"s3://{BUCKET}/worker\"\n[references]\nkeep_releases = 1\n");
    let yard = with_policy(85, &policy);
    for (release, tag, days_ago) in [("r1", "v1", 200), ("r2", "v2", 150), ("r3", "v3", 80), ("r4", "v4", 95)] {
        record(&yard, release, tag, days_ago);
    }
    // Two of them ended well on a service; of the others only the window tells.
    for (began, release) in [(1, "r1"), (2, "r2")] {
        let entry = json!({"schema": 1, "release": release, "revision": "shop:1"}).to_string();
        put(&yard, &format!("worker/services/prod/shop/{began:012}-{release}.json"), entry);
    }
    let swept = yard.clean().await;
    assert_eq!(yard.tags("app"), ["v2", "v3", "v5"]);
    let sources = swept.lines.last().expect("a head")["sources"].to_string();
    assert!(sources.contains("the worker's ledger: complete, 2 releases"), "{sources}");
}

#[tokio::test(start_paused = true)]
async fn a_release_is_read_once_and_again_when_it_has_changed() {
    let yard = with_policy(86, &format!("[sources]\nledger = \"s3://{BUCKET}/worker\"\n"));
    for release in ["r1", "r2", "r3"] {
        record(&yard, release, "v1", 10);
    }
    let ended = json!({"schema": 1, "release": "r1", "revision": "shop:1"}).to_string();
    put(&yard, &format!("worker/services/prod/shop/{:012}-r1.json", 1), ended);
    let read = |what: &str| {
        let calls = yard.simulator.calls_of(JANITOR_KEY);
        calls.iter().filter(|call| call.operation == "GetObject" && call.subject.contains(what)).count()
    };
    yard.plan().await;
    assert_eq!((read("releases/"), read("services/")), (3, 1));
    yard.pass(1).await;
    record(&yard, "r2", "v2", 0);
    yard.sweep().await;
    // This run has looked twice.
    assert_eq!((read("releases/"), read("services/")), (4, 1));
    assert_eq!(yard.tags("app"), ["v1", "v2", "v5"]);
}

#[tokio::test(start_paused = true)]
async fn a_ledger_without_releases_is_told_of_and_one_that_is_not_there_stops_all_deletions() {
    let yard = with_policy(87, &format!("[sources]\nledger = \"s3://{BUCKET}/worker\"\n"));
    let swept = yard.clean().await;
    let head = swept.lines.last().expect("a head");
    assert!(head["sources"].to_string().contains("complete, 0 releases"), "{head}");
    assert_eq!((swept.code, yard.tags("app")), (EXIT_OK, vec!["v5".to_owned()]));
    let nowhere = std::env::temp_dir().join(format!("coalmine-janitor-no-ledger-{}", std::process::id()));
    let yard = with_policy(88, &format!("[sources]\nledger = \"dir:{}\"\n", nowhere.display()));
    let swept = yard.clean().await;
    assert_eq!((swept.code, yard.images("app")), (EXIT_INCOMPLETE, 25));
    assert!(swept.head()["missing"].to_string().contains("folder is not there"), "{}", swept.head());
}

/// What one of them has found in use again, the other must not go on condemning.
#[tokio::test(start_paused = true)]
async fn of_two_janitors_the_one_that_writes_later_drops_nothing_that_the_other_found() {
    let yard = with_policy(89, "");
    yard.plan().await;
    let is_condemned = |memory: &mut Value, digest: &str| {
        condemned(memory, "app").any(|digests| digests.iter().any(|one| one == digest))
    };
    let (kept, gone) =
        yard.world(|world| (world.ecr.digest("app", "v2").expect("v2"), world.ecr.digest("app", "v3").expect("v3")));
    let mut before = yard.memory();
    assert!(is_condemned(&mut before, &kept) && is_condemned(&mut before, &gone));
    yard.pass(1).await;
    // Right before it writes, another one has written that v2 is in use.
    let mut other = before.clone();
    condemned(&mut other, "app").for_each(|digests| digests.retain(|digest| *digest != kept));
    let other = std::sync::Mutex::new(Some(packed(&other)));
    yard.simulator.before_call(move |worlds, call| {
        let writes = call.access_key == JANITOR_KEY && call.operation == "PutObject";
        if let Some(body) = writes.then(|| other.lock().expect("a lock").take()).flatten() {
            let world = worlds.home();
            world.s3.put(BUCKET, crate::grants::MEMORY, body.into(), world.now);
        }
    });
    yard.plan().await;
    let mut after = yard.memory();
    assert!(!is_condemned(&mut after, &kept) && is_condemned(&mut after, &gone), "{after:#}");
}
