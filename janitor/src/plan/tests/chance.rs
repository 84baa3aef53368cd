//! Random worlds, each read off a tape of random numbers, so that a failing one shrinks to few facts and small numbers.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use coalmine_pipeline::Home;
use proptest::prelude::*;

use super::world::{World, digest, home};
use crate::in_use::{Content, Reach, Source, SourceReport, Step, Use, Used};
use crate::inventory::{Access, Child, Manifest, MediaType, Principal, Reading, Replication, Status};

pub(super) const REPOSITORIES: [&str; 3] = ["shop/app", "shop/web", "base/java"];
const TAGS: [&str; 5] = ["latest", "v1", "v2", "v3", "prod-1"];
/// Where there may be readers and copies, and where there is none but copies.
const WEST: (&str, &str) = ("123456789012", "eu-west-2");
const OTHER: (&str, &str) = ("210987654321", "eu-west-1");
const UNREAD: (&str, &str) = ("345678901234", "us-east-1");

/// Random numbers, and noughts at the end of the tape.
pub(super) struct Tape(std::vec::IntoIter<u16>);

/// A tape of any length.
pub(super) fn tape() -> impl Strategy<Value = Vec<u16>> {
    proptest::collection::vec(any::<u16>(), 0..500)
}

impl Tape {
    pub(super) fn of_numbers(numbers: Vec<u16>) -> Self {
        Self(numbers.into_iter())
    }

    fn pick(&mut self, below: u16) -> u16 {
        self.0.next().unwrap_or(0) % below
    }

    pub(super) fn one_in(&mut self, n: u16) -> bool {
        self.pick(n) == n - 1
    }

    pub(super) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.pick(all.len().try_into().unwrap()))]
    }
}

fn place((account, region): (&str, &str)) -> Home {
    Home { account: account.into(), region: region.into() }
}

/// The policy, and the places of its readers.
fn policy(tape: &mut Tape) -> (String, Vec<Home>) {
    let text = format!(
        "[defaults]\nmin_age = \"{}\"\nkeep_newest = {}\nprotect_tags = [\"prod-*\"]\n\
         [guards]\nmax_percent = {}\nmax_images = {}\nquarantine = \"{}\"\n\
         [references]\nkeep_revisions = {}\nwindow = \"{}\"\nall_active = {}\n\
         [[rules]]\nrepositories = [\"shop/*\"]\n",
        tape.of(&["30d", "1d"]),
        tape.of(&[1, 2, 4]),
        tape.of(&[100, 100, 50, 20]),
        tape.of(&[500, 500, 2]),
        tape.of(&["20h", "1m"]),
        tape.of(&[1, 2, 10]),
        tape.of(&["90d", "1d"]),
        tape.one_in(8),
    );
    let (further, readers) = others(tape);
    (text + &further, readers)
}

/// What a policy says of others, and the places of its readers.
fn others(tape: &mut Tape) -> (String, Vec<Home>) {
    let (mut further, mut readers) = (String::new(), Vec::new());
    for reader in [WEST, OTHER].into_iter().filter(|_| tape.one_in(2)) {
        let (account, region) = reader;
        further += &format!("[[readers]]\naccount = {account:?}\nregions = [{region:?}]\n");
        if account != home().account {
            further += &format!("role = \"arn:aws:iam::{account}:role/reader\"\n");
        }
        readers.push(place(reader));
    }
    for _ in 0..tape.pick(3) {
        let repositories = tape.of(&["shop/*", "shop/app", "**"]);
        let with = tape.of(&[OTHER.0, WEST.0, WEST.0, "codebuild.amazonaws.com", "*"]);
        further += &format!("[[shared]]\nrepositories = [{repositories:?}]\nwith = [{with:?}]\n");
    }
    (further, readers)
}

/// Somebody who may pull.
pub(super) fn principal(tape: &mut Tape) -> Principal {
    match tape.pick(12) {
        0..2 => Principal::Account(home().account),
        2..6 => Principal::Account(OTHER.0.into()),
        6 => Principal::Account(UNREAD.0.into()),
        7 => Principal::Service("codebuild.amazonaws.com".into()),
        8..11 => Principal::Everyone,
        _ => Principal::Other("AIDACKCEVSQ6C2EXAMPLE".into()),
    }
}

/// A replication rule.
pub(super) fn replication(tape: &mut Tape) -> Replication {
    let first = tape.of(&[WEST, WEST, OTHER, UNREAD]);
    let destinations = [first].into_iter().chain(tape.one_in(3).then_some(OTHER)).map(place).collect();
    let prefixes: &[&str] = tape.of(&[&["shop/"][..], &[], &["shop/app"], &["base/", "shop/w"]]);
    Replication {
        destinations,
        prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
        deletes: tape.one_in(2),
    }
}

/// Who may pull from which repository, and what was known of it. Of so many repositories three have a policy that says so, and
/// one has one that was not read.
fn accesses(world: &mut World, tape: &mut Tape, of: u16) {
    for name in REPOSITORIES {
        let access = match tape.pick(of) {
            last if last + 1 == of => Reading::NotRead,
            last if last + 2 == of => {
                Reading::Some(Access { principals: BTreeSet::new(), by_registry: [principal(tape)].into() })
            }
            last if last + 4 >= of => {
                let more = tape.one_in(3).then(|| principal(tape));
                let principals = more.into_iter().chain([principal(tape)]).collect();
                Reading::Some(Access { principals, by_registry: BTreeSet::new() })
            }
            _ => Reading::None,
        };
        world.accesses.insert(name.to_owned(), access);
        if tape.one_in(2) {
            let days = tape.of(&[1, 14, 15]);
            world.memory.unshared.insert(name.to_owned(), world.days_ago(days));
        }
    }
}

/// The readers have read everything.
fn read_by(world: &mut World, readers: &[Home]) {
    for home in readers {
        let read = Source::IN_PLACES.into_iter();
        let read = read.map(|source| SourceReport { source, home: Some(home.clone()), reach: Reach::Complete });
        world.in_use.sources.extend(read);
    }
}

/// A world: one of many strange images, or one in which all images may go and everything depends on others.
pub(super) fn world(tape: &mut Tape) -> World {
    if tape.one_in(2) { among_others(tape) } else { of_images(tape) }
}

fn among_others(tape: &mut Tape) -> World {
    let (mut others, mut readers) = others(tape);
    // Deletions spread nowhere unless both a reader and somebody's word allow it, which chance seldom brings together.
    let has_copies = tape.one_in(2);
    if has_copies {
        let (account, region) = WEST;
        others = format!(
            "[[readers]]\naccount = {account:?}\nregions = [{region:?}]\n\
             [[shared]]\nrepositories = [\"**\"]\nwith = [{account:?}]\n"
        );
        readers = vec![place(WEST)];
    }
    let mut world = World::empty(&format!("{}{others}", super::world::POLICY));
    read_by(&mut world, &readers);
    if has_copies {
        let prefix = tape.of(&["", "shop/", "shop/app"]);
        let prefixes = vec![prefix.to_owned()];
        world.replication.push(Replication { destinations: vec![place(WEST)], prefixes, deletes: true });
    }
    if tape.one_in(3) {
        world.replication.push(replication(tape));
    }
    accesses(&mut world, tape, 8);
    let mut n = 0;
    for name in REPOSITORIES {
        for days in [40, 40, 40, 1] {
            let tag = tape.of(&TAGS);
            world.image(name, n, &[tag], days);
            n += 1;
        }
    }
    for _ in 0..=tape.pick(3) {
        let running = tape.one_in(3).then(|| digest(u8::try_from(tape.pick(12)).unwrap()));
        let text = text(tape);
        world.uses(&text, running);
    }
    if tape.one_in(10) {
        let at = usize::from(tape.pick(world.in_use.sources.len().try_into().unwrap()));
        world.in_use.sources.remove(at);
    }
    world
}

fn of_images(tape: &mut Tape) -> World {
    let (policy, readers) = policy(tape);
    let mut world = World::empty(&policy);
    read_by(&mut world, &readers);
    if tape.one_in(3) {
        for _ in 0..=tape.pick(2) {
            world.replication.push(replication(tape));
        }
    }
    accesses(&mut world, tape, 16);
    for _ in 0..tape.pick(24) {
        image(&mut world, tape);
    }
    for _ in 0..tape.pick(5) {
        let of = used(&mut world, tape);
        world.in_use.uses.push(Use { by: vec![Step::Other("a use".into())], of });
    }
    for revision in 0..tape.pick(5) {
        let days = tape.of(&[200, 91, 90, 5, 1, 0]);
        let (active, text) = (!tape.one_in(4), text(tape));
        let at = if tape.one_in(3) { place(tape.of(&[WEST, OTHER])) } else { home() };
        let arn = world.definition_in(&at, "app", u32::from(revision), active, days, &text);
        if tape.one_in(10) {
            world.in_use.definitions.get_mut(&arn).unwrap().content =
                tape.of(&[Content::Gone, Content::NotRead].each_ref()).clone();
        }
        if tape.one_in(5) {
            let hours = tape.of(&[1, 24, 25]);
            world.memory.active.insert(arn, world.now - TimeDelta::hours(hours));
        }
    }
    if tape.one_in(20) {
        let at = usize::from(tape.pick(world.in_use.sources.len().try_into().unwrap()));
        if tape.one_in(2) {
            world.in_use.sources.remove(at);
        } else {
            world.in_use.sources[at].reach = Reach::Incomplete { why: "throttled".into() };
        }
    }
    world
}

fn image(world: &mut World, tape: &mut Tape) {
    let (repository, n) = (tape.of(&REPOSITORIES), u8::try_from(tape.pick(12)).unwrap());
    if world.images.get(repository).is_some_and(|images| images.iter().any(|image| image.digest == digest(n))) {
        return;
    }
    let days = tape.of(&[40, 40, 90, 31, 30, 29, 3, 1, 0]);
    let now = world.now;
    let image = world.image(repository, n, &[], days);
    let mut tags: BTreeSet<String> = BTreeSet::new();
    for _ in 0..tape.pick(3) {
        let about = digest(u8::try_from(tape.pick(12)).unwrap());
        tags.insert(if tape.one_in(4) { format!("sha256-{}.sig", about.hex()) } else { tape.of(&TAGS).to_owned() });
    }
    image.tags = tags.iter().map(|tag| Box::from(tag.as_str())).collect();
    image.pushed = image.pushed.filter(|_| !tape.one_in(15));
    image.pulled = tape.one_in(5).then(|| now - TimeDelta::days(tape.of(&[50, 30, 2])));
    image.status = if tape.one_in(10) { tape.of(&[Status::Archived, Status::Unknown]) } else { Status::Active };
    image.subject = tape.one_in(5).then(|| Box::new(digest(u8::try_from(tape.pick(12)).unwrap())));
    if tape.one_in(3) {
        image.media_type = if tape.one_in(8) { MediaType::Absent } else { MediaType::OciIndex };
        // Digests make circles impossible: an index lists what was there before it.
        let mut children = Vec::new();
        for _ in 0..tape.pick(4) {
            let child = u8::try_from(tape.pick(12)).unwrap();
            children.extend((child > n).then(|| Child { digest: digest(child), platform: None }));
        }
        match tape.pick(40) {
            39 => {}
            38 => {
                world.manifests.insert(digest(n), Manifest::Unreadable("archived".into()));
            }
            _ => {
                world.manifests.insert(digest(n), Manifest::Read(children.into()));
            }
        }
    }
    if tape.one_in(4) {
        let since = tape.of(&[None, Some(0), Some(19), Some(20), Some(-50)]);
        world.since.insert(digest(n), since.map(|hours| now - TimeDelta::hours(hours)));
    }
}

/// A registry's host.
fn host((account, region): (&str, &str)) -> String {
    format!("{account}.dkr.ecr.{region}.amazonaws.com")
}

fn text(tape: &mut Tape) -> String {
    let home = home();
    let own = (home.account.as_str(), home.region.as_str());
    let host = match tape.pick(12) {
        0..6 => host(own),
        6..10 => host(tape.of(&[WEST, WEST, OTHER, UNREAD])),
        _ => "mirror.example.com".to_owned(),
    };
    let (repository, tag) = (tape.of(&REPOSITORIES), tape.of(&TAGS));
    let pinned = digest(u8::try_from(tape.pick(12)).unwrap());
    match tape.pick(12) {
        0..5 => format!("{host}/{repository}:{tag}"),
        5..8 => format!("{host}/{repository}@{pinned}"),
        8..10 => format!("{host}/{repository}:{tag}@{pinned}"),
        10 => format!("{host}/{repository}"),
        _ => format!("{host}/{repository}:"),
    }
}

/// Something more that is used.
pub(super) fn used(world: &mut World, tape: &mut Tape) -> Used {
    match tape.pick(12) {
        0..7 => {
            let running = tape.one_in(3).then(|| digest(u8::try_from(tape.pick(12)).unwrap()).to_string().into());
            Used::Image { text: text(tape).into(), digest: running }
        }
        7..10 => {
            let (revision, text) = (u32::from(tape.pick(5)) + 10, text(tape));
            let before = world.in_use.definitions.clone();
            let arn = world.definition("old", revision, false, 300, &text);
            // What is registered stays as it is.
            world.in_use.definitions.extend(before);
            Used::Definition(arn)
        }
        10 => Used::Digest(digest(u8::try_from(tape.pick(12)).unwrap()).to_string().into()),
        _ => Used::Repository(tape.of(&REPOSITORIES).into()),
    }
}
