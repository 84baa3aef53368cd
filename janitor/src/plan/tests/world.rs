//! Small worlds in which one sentence is one fact. Everything that is not said is complete, old and unreferenced, and
//! was so in an earlier scan.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use coalmine_pipeline::{Digest, Home};

use crate::in_use::{Content, Definition, InUse, Reach, Source, SourceReport, Step, Use, Used};
use crate::inventory::{Child, Image, Inventory, Manifest, Manifests, MediaType, Reading, Repository, Status};
use crate::memory::Memory;
use crate::plan::{Plan, Snapshot, Verdict, plan};
use crate::policy::Policy;

pub(super) const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

/// Deletes after thirty days all but the newest, and as many as it likes.
pub(super) const POLICY: &str = "[defaults]\nkeep_newest = 1\n[guards]\nmax_percent = 100\n\
    [[rules]]\nname = \"shop\"\nrepositories = [\"shop/*\"]\nprotect_tags = [\"prod-*\"]\n";

pub(super) fn home() -> Home {
    Home { account: "123456789012".into(), region: "eu-west-1".into() }
}

/// The digest of image number `n`.
pub(super) fn digest(n: u8) -> Digest {
    Digest::from_bytes([n; 32])
}

pub(super) fn reference(repository: &str, rest: &str) -> String {
    format!("{HOST}/{repository}{rest}")
}

pub(super) struct World {
    pub(super) policy: Policy,
    pub(super) now: DateTime<Utc>,
    pub(super) images: BTreeMap<String, Vec<Image>>,
    pub(super) manifests: Manifests,
    pub(super) in_use: InUse,
    /// Who may pull from repositories that are not in `accesses`.
    pub(super) access: Reading<crate::inventory::Access>,
    pub(super) accesses: BTreeMap<String, Reading<crate::inventory::Access>>,
    pub(super) replication: Vec<crate::inventory::Replication>,
    /// Of images that are not in here, that they were found old and unreferenced ten days ago.
    pub(super) since: BTreeMap<Digest, Option<DateTime<Utc>>>,
    pub(super) memory: Memory,
}

impl World {
    /// A world in which `shop/app` has a young image, number 99, so that no other is the newest.
    pub(super) fn new() -> Self {
        let mut world = Self::empty(POLICY);
        world.image("shop/app", 99, &["newest"], 1);
        world
    }

    pub(super) fn empty(policy: &str) -> Self {
        let per_home = Source::ALL.into_iter().filter(|source| !matches!(source, Source::Ledger | Source::KeepLists));
        let sources = per_home.map(|source| SourceReport { source, home: Some(home()), reach: Reach::Complete });
        Self {
            policy: Policy::parse(policy).unwrap(),
            now: "2026-11-20T12:00:00Z".parse().unwrap(),
            images: BTreeMap::new(),
            manifests: Manifests::new(),
            in_use: InUse { sources: sources.collect(), ..InUse::default() },
            access: Reading::None,
            accesses: BTreeMap::new(),
            replication: Vec::new(),
            since: BTreeMap::new(),
            memory: Memory::default(),
        }
    }

    pub(super) fn days_ago(&self, days: i64) -> DateTime<Utc> {
        self.now - TimeDelta::days(days)
    }

    /// An image that was pushed so many days ago.
    pub(super) fn image(&mut self, repository: &str, n: u8, tags: &[&str], days: i64) -> &mut Image {
        let image = Image {
            digest: digest(n),
            tags: tags.iter().map(|tag| Box::from(*tag)).collect(),
            pushed: Some(self.days_ago(days)),
            pulled: None,
            activated: None,
            status: Status::Active,
            size_bytes: NonZeroU64::new(u64::from(n) * 1_000),
            media_type: MediaType::OciManifest,
            subject: None,
        };
        let images = self.images.entry(repository.to_owned()).or_default();
        images.push(image);
        images.last_mut().unwrap()
    }

    /// An index of these images.
    pub(super) fn index(&mut self, repository: &str, n: u8, tags: &[&str], days: i64, children: &[u8]) {
        self.image(repository, n, tags, days).media_type = MediaType::OciIndex;
        let child = |n: &u8| Child { digest: digest(*n), platform: Some(Arc::from("linux/arm64")) };
        self.manifests.insert(digest(n), Manifest::Read(children.iter().map(child).collect()));
    }

    /// A signature or the like of another image.
    pub(super) fn referrer(&mut self, repository: &str, n: u8, days: i64, subject: u8) {
        self.image(repository, n, &[], days).subject = Some(Box::new(digest(subject)));
    }

    /// Something that uses an image by name, and the digest that it runs.
    pub(super) fn uses(&mut self, text: &str, running: Option<Digest>) {
        let digest = running.map(|digest| digest.to_string().into());
        let by = vec![Step::Task("prod".into(), "0123".into())];
        self.in_use.uses.push(Use { by, of: Used::Image { text: text.into(), digest } });
    }

    /// A task definition of one container; its ARN.
    pub(super) fn definition(&mut self, family: &str, revision: u32, active: bool, days: i64, image: &str) -> Arc<str> {
        self.definition_in(&home(), family, revision, active, days, image)
    }

    /// The same in another place.
    pub(super) fn definition_in(
        &mut self,
        place: &Home,
        family: &str,
        revision: u32,
        active: bool,
        days: i64,
        image: &str,
    ) -> Arc<str> {
        let Home { account, region } = place;
        let arn: Arc<str> = format!("arn:aws:ecs:{region}:{account}:task-definition/{family}:{revision}").into();
        let content = Content::Read {
            registered: Some(self.days_ago(days)),
            containers: [(Arc::from("web"), Box::from(image))].into(),
        };
        let definition = Definition { family: family.into(), revision, is_active: active, content };
        self.in_use.definitions.insert(Arc::clone(&arn), definition);
        arn
    }

    /// A service that uses a task definition.
    pub(super) fn service(&mut self, step: Step, arn: Arc<str>) {
        let by = vec![Step::Service("prod".into(), "app".into()), step];
        self.in_use.uses.push(Use { by, of: Used::Definition(arn) });
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let repositories = self.images.iter().map(|(name, images)| Repository {
            name: name.clone(),
            created: None,
            tag_mutability: "MUTABLE".into(),
            access: self.accesses.get(name).unwrap_or(&self.access).clone(),
            images: Some(images.iter().cloned().collect()),
        });
        let inventory =
            Inventory { home: home(), repositories: repositories.collect(), replication: self.replication.clone() };
        Snapshot { inventory, manifests: self.manifests.clone(), in_use: self.in_use.clone() }
    }

    pub(super) fn remembered(&self) -> Memory {
        let mut memory = self.memory.clone();
        for (name, images) in &self.images {
            let since = |image: &Image| {
                let told = self.since.get(&image.digest).copied();
                Some((image.digest, told.unwrap_or(Some(self.days_ago(10)))?))
            };
            memory.condemned.insert(name.clone(), images.iter().filter_map(since).collect());
        }
        memory
    }

    /// Runs `look` with the plan of this world.
    pub(super) fn planned<T>(&self, look: impl FnOnce(&Plan<'_>) -> T) -> T {
        let (snapshot, memory) = (self.snapshot(), self.remembered());
        look(&plan(&snapshot, &self.policy, &memory, self.now))
    }

    /// Numbers of the images that go, in the order of the plan.
    pub(super) fn deleted(&self) -> Vec<u8> {
        self.planned(|plan| {
            let file = plan.file();
            let deletions = file.repositories.iter().flat_map(|repository| &repository.deletions);
            deletions.map(|deletion| number(deletion.digest)).collect()
        })
    }

    /// Why image `n` of `shop/app` stays or goes.
    pub(super) fn why(&self, n: u8) -> String {
        self.planned(|plan| {
            let found = plan.find("shop/app", &digest(n).to_string());
            plan.why(found[0].0, found[0].1)
        })
    }

    /// The verdict on image `n` of `shop/app`.
    pub(super) fn verdict(&self, n: u8) -> Verdict {
        self.planned(|plan| {
            let found = plan.find("shop/app", &digest(n).to_string());
            found[0].0.verdicts[found[0].1]
        })
    }
}

/// The number of an image.
pub(super) fn number(digest: Digest) -> u8 {
    u8::from_str_radix(&digest.hex()[..2], 16).unwrap()
}
