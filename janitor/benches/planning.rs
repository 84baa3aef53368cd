//! How long a plan of a very large registry takes, and how much memory: `cargo bench -p coalmine-janitor`.
//!
//! A million images in 2,000 repositories, 75,000 task definitions, 10,000 tasks. Each repository has 100 releases: an
//! index of two platforms with an attestation each, and most of it is condemned, as in a first clean-up. Prints the figures
//! beside their budgets, and fails beyond them. The state that is written at the end is in the same memory, and may be as large
//! as what is read again.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up fails")]
#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]
#![expect(clippy::print_stdout, reason = "a bench prints what it found")]

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use coalmine_janitor::cache::{Cache, Kept};
use coalmine_janitor::in_use::{Content, Definition, InUse, Reach, Source, SourceReport, Step, Use, Used};
use coalmine_janitor::inventory::{
    Child, Image, Inventory, Manifest, Manifests, MediaType, Names, Reading, Repository, Status,
};
use coalmine_janitor::memory::{Memory, Waiting};
use coalmine_janitor::plan::{PlanFile, Snapshot, plan};
use coalmine_janitor::policy::Policy;
use coalmine_janitor::state::STATE_BYTES_MAX;
use coalmine_pipeline::{Digest, Home};
use sha2::{Digest as _, Sha256};

const REPOSITORIES: u32 = 2_000;
const RELEASES: u32 = 100;
/// Images of a release: the index, and its children.
const IMAGES: u32 = 5;
const FAMILIES: u32 = 7_500;
const REVISIONS: u32 = 10;
const TASKS: u32 = 10_000;

const TIME: Duration = Duration::from_secs(2);
const MEMORY_MIB: u64 = 500_000_000 / (1 << 20);

const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

fn main() {
    // Run as a test, it has nothing to show: an unoptimised plan says nothing of an optimised one.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let now: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
    let policy = Policy::parse("[[rules]]\nrepositories = [\"**\"]").unwrap();
    let begin = Instant::now();
    let snapshot = snapshot(now);
    let memory = memory(&snapshot, now);
    let given = peak_mib();
    println!("fixture       {:>8.2} s   {given:>5} MiB", begin.elapsed().as_secs_f64());

    let (begin, busy) = (Instant::now(), busy());
    let planned = plan(&snapshot, &policy, &memory, now);
    let time = self::busy() - busy;
    println!(
        "plan          {:>8.2} s   {:>5} MiB   {:.2} s of a processor",
        begin.elapsed().as_secs_f64(),
        peak_mib(),
        time.as_secs_f64()
    );
    let file = planned.file();
    let deletions: usize = file.repositories.iter().map(|repository| repository.deletions.len()).sum();
    println!(
        "deletions                {:>5} MiB   {deletions} of {} images",
        peak_mib(),
        REPOSITORIES * RELEASES * IMAGES
    );
    drop(file);

    let begin = Instant::now();
    let mut bytes = Counter::default();
    planned.write(&mut bytes).unwrap();
    println!(
        "written       {:>8.2} s   {:>5} MiB   {} MB",
        begin.elapsed().as_secs_f64(),
        peak_mib(),
        bytes.0 / 1_000_000
    );
    let begin = Instant::now();
    let next = planned.memory();
    println!(
        "memory        {:>8.2} s   {:>5} MiB   {} images",
        begin.elapsed().as_secs_f64(),
        peak_mib(),
        condemned(&next)
    );
    let begin = Instant::now();
    let state = cache(&snapshot).written(&next).len();
    println!(
        "state         {:>8.2} s   {:>5} MiB   {} MB",
        begin.elapsed().as_secs_f64(),
        peak_mib(),
        state / 1_000_000
    );
    let peak = peak_mib();
    println!("budget        {:>8.2} s   {MEMORY_MIB:>5} MiB", TIME.as_secs_f64());
    assert!(state <= STATE_BYTES_MAX, "a state of {state} bytes could not be written");
    assert!(deletions > 0 && PlanFile::read(b"").is_err());
    assert!(time <= TIME, "planning took {time:?}");
    assert!(peak <= MEMORY_MIB, "it took {peak} MiB");
}

/// Counts bytes and forgets them.
#[derive(Default)]
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn condemned(memory: &Memory) -> usize {
    memory.condemned.values().map(Waiting::len).sum()
}

/// The most memory that this process ever had, by the kernel.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or(0) / 1024
}

/// The time that a processor has worked for this process, by the kernel, in hundredths of a second: a plan is one
/// thread, and whatever else the machine does is none of its time.
fn busy() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    // Fields 14 and 15 of all, user and system time; the first two have just been cut off.
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn digest(repository: u32, release: u32, image: u32) -> Digest {
    Digest::from_bytes(Sha256::digest([repository, release, image].map(u32::to_be_bytes).concat()).into())
}

fn name(repository: u32) -> String {
    format!("team-{}/service-{repository}", repository % 40)
}

fn snapshot(now: DateTime<Utc>) -> Snapshot {
    let mut names = Names::default();
    let (amd, arm, unknown) = (names.get("linux/amd64"), names.get("linux/arm64"), names.get("unknown/unknown"));
    let platforms = [amd, arm, Arc::clone(&unknown), unknown];
    let mut manifests = Manifests::new();
    let mut repositories = Vec::new();
    for repository in 0..REPOSITORIES {
        let mut images = Vec::new();
        for release in 0..RELEASES {
            // One release in two days: half a year in all.
            let pushed =
                now - TimeDelta::days(i64::from(RELEASES - release) * 2) - TimeDelta::seconds(i64::from(repository));
            for image in 0..IMAGES {
                images.push(Image {
                    digest: digest(repository, release, image),
                    tags: if image == 0 { [format!("build-{release:05}").into()].into() } else { [].into() },
                    pushed: Some(pushed),
                    pulled: (image < 2).then_some(pushed + TimeDelta::hours(5)),
                    activated: None,
                    status: Status::Active,
                    size_bytes: NonZeroU64::new(150_000_000 + u64::from(release) * 1_000),
                    media_type: if image == 0 { MediaType::OciIndex } else { MediaType::OciManifest },
                    subject: None,
                });
            }
            let children = platforms.iter().zip(1..).map(|(platform, image)| Child {
                digest: digest(repository, release, image),
                platform: Some(Arc::clone(platform)),
            });
            manifests.insert(digest(repository, release, 0), Manifest::Read(children.collect()));
        }
        repositories.push(Repository {
            name: name(repository),
            created: None,
            tag_mutability: "IMMUTABLE".to_owned(),
            access: Reading::None,
            images: Some(images.into_iter().collect()),
        });
    }
    let inventory = Inventory { home: home(), repositories, replication: Vec::new() };
    Snapshot { inventory, manifests, in_use: in_use(now) }
}

fn home() -> Home {
    Home { account: "123456789012".to_owned(), region: "eu-west-1".to_owned() }
}

fn in_use(now: DateTime<Utc>) -> InUse {
    let per_home = Source::ALL.into_iter().filter(|source| !matches!(source, Source::Ledger | Source::KeepLists));
    let sources = per_home.map(|source| SourceReport { source, home: Some(home()), reach: Reach::Complete }).collect();
    let mut in_use = InUse { sources, ..InUse::default() };
    let containers: [Arc<str>; 2] = ["web".into(), "proxy".into()];
    for family in 0..FAMILIES {
        let family_name: Arc<str> = format!("service-{family}").into();
        for revision in 1..=REVISIONS {
            let release = RELEASES - REVISIONS + revision - 1;
            let image = format!("{HOST}/{}:build-{release:05}", name(family % REPOSITORIES));
            let proxy = format!("{HOST}/{}:build-{:05}", name((family + 1) % REPOSITORIES), RELEASES - 1);
            let images = containers.iter().cloned().zip([image, proxy].map(Box::from));
            let content = Content::Read {
                registered: Some(now - TimeDelta::days(i64::from(REVISIONS - revision) * 2)),
                containers: images.collect(),
            };
            let definition = Definition { family: Arc::clone(&family_name), revision, is_active: true, content };
            in_use.definitions.insert(arn(family, revision), definition);
        }
    }
    let cluster: Arc<str> = "prod".into();
    for task in 0..TASKS {
        let by = vec![Step::Task(Arc::clone(&cluster), format!("{task:032x}").into())];
        in_use.uses.push(Use { by: by.clone(), of: Used::Definition(arn(task % FAMILIES, REVISIONS)) });
        let repository = task % FAMILIES % REPOSITORIES;
        in_use.uses.push(Use {
            by,
            of: Used::Image {
                text: format!("{HOST}/{}:build-{:05}", name(repository), RELEASES - 1).into(),
                digest: Some(digest(repository, RELEASES - 1, 1).to_string().into()),
            },
        });
    }
    in_use
}

fn arn(family: u32, revision: u32) -> Arc<str> {
    format!("arn:aws:ecs:eu-west-1:123456789012:task-definition/service-{family}:{revision}").into()
}

/// What is kept of it between runs, shared as in a run.
fn cache(snapshot: &Snapshot) -> Cache {
    let definitions = snapshot.in_use.definitions.iter();
    Cache::new(Kept {
        definitions: definitions.map(|(arn, definition)| (Arc::clone(arn), definition.content.clone())).collect(),
        manifests: snapshot.manifests.iter().map(|(digest, manifest)| (*digest, manifest.clone())).collect(),
        ..Kept::default()
    })
}

/// Every image that is old enough was found so yesterday.
fn memory(snapshot: &Snapshot, now: DateTime<Utc>) -> Memory {
    let mut memory = Memory { scanned: Some(now - TimeDelta::days(1)), ..Memory::default() };
    for repository in &snapshot.inventory.repositories {
        let images = repository.images.iter().flat_map(|images| images.iter());
        let old = images.filter(|image| image.pushed.is_some_and(|pushed| now - pushed > TimeDelta::days(31)));
        let known = old.map(|image| (image.digest, now - TimeDelta::days(1))).collect();
        memory.condemned.insert(repository.name.clone(), known);
    }
    memory
}
