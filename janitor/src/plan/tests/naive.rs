//! What should be deleted, said once more: slow, plain, and sharing nothing with the planner but the types that it
//! reads.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use coalmine_pipeline::{Digest, Home, ImageReference};

use super::world::home;
use crate::in_use::{Content, Definition, InUse, Reach, Source, Used};
use crate::inventory::{Image, Manifest, Principal, Reading, Repository, Status};
use crate::memory::Memory;
use crate::plan::Snapshot;
use crate::policy::Policy;

pub(super) struct Naive<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) policy: &'a Policy,
    pub(super) memory: &'a Memory,
    pub(super) now: DateTime<Utc>,
}

type Name = (String, Digest);

/// An image text, the digest that runs.
type Wanted = (String, Option<String>);

impl Naive<'_> {
    pub(super) fn deleted(&self) -> BTreeSet<Name> {
        if !self.is_complete() {
            return BTreeSet::new();
        }
        let mut deleted = BTreeSet::new();
        for repository in &self.snapshot.inventory.repositories {
            let chosen = self.chosen(repository);
            let staying = self.images(repository).filter(|image| !chosen.contains(&image.digest));
            let mut kept: BTreeSet<Digest> = staying.map(|image| image.digest).collect();
            kept.extend(self.rooted(repository));
            let kept = self.closed(repository, kept);
            let gone = self.images(repository).filter(|image| !kept.contains(&image.digest));
            deleted.extend(gone.map(|image| (repository.name.clone(), image.digest)));
        }
        deleted
    }

    /// Everything that could go with no guard, whatever refers to it.
    pub(super) fn eligible(&self, repository: &Repository) -> BTreeSet<Digest> {
        if self.is_frozen(repository) {
            return BTreeSet::new();
        }
        let may_go = |image: &&Image| self.could_go(repository, image) && self.is_over(repository, image);
        let may_go: BTreeSet<Digest> = self.images(repository).filter(may_go).map(|image| image.digest).collect();
        let others = self.images(repository).map(|image| image.digest).filter(|digest| !may_go.contains(digest));
        let kept = self.closed(repository, others.collect());
        may_go.into_iter().filter(|digest| !kept.contains(digest)).collect()
    }

    /// Everything that a root leads to, with what it keeps.
    pub(super) fn reachable(&self, repository: &Repository) -> BTreeSet<Digest> {
        self.closed(repository, self.rooted(repository))
    }

    fn images<'r>(&self, repository: &'r Repository) -> impl Iterator<Item = &'r Image> {
        repository.images.iter().flat_map(|images| images.iter())
    }

    fn is_complete(&self) -> bool {
        let reports = &self.snapshot.in_use.sources;
        let is_there = |source: Source, place: Option<&Home>| {
            !self.policy.reads(source) || reports.iter().any(|one| one.source == source && one.home.as_ref() == place)
        };
        let home = home();
        let places = self.read().into_iter().chain([home.clone()]);
        let sources = reports.iter().all(|report| report.reach == Reach::Complete)
            && is_there(Source::Registry, Some(&home))
            && is_there(Source::Ledger, None)
            && places.into_iter().all(|at| Source::IN_PLACES.into_iter().all(|source| is_there(source, Some(&at))));
        let manifests = self.snapshot.inventory.repositories.iter().all(|repository| {
            let unread = |image: &Image| {
                image.media_type.may_have_children() && !self.snapshot.manifests.contains_key(&image.digest)
            };
            // What belongs to an image that stays cannot go, and needs nothing to be known.
            let stays = self.images(repository).filter(|image| !self.could_go(repository, image));
            let stays = self.closed(repository, stays.map(|image| image.digest).collect());
            !self.images(repository).any(unread) || self.images(repository).all(|image| stays.contains(&image.digest))
        });
        let clock = self.memory.scanned.is_none_or(|scanned| scanned <= self.now + TimeDelta::minutes(10));
        sources && manifests && clock && self.wanted().is_some()
    }

    /// What any definition or use wants; `None` if something is not known.
    fn wanted(&self) -> Option<Vec<Wanted>> {
        let InUse { definitions, uses, .. } = &self.snapshot.in_use;
        let mut wanted = Vec::new();
        let mut needed: Vec<Option<&Definition>> = Vec::new();
        for one in uses {
            match &one.of {
                Used::Definition(arn) => needed.push(definitions.get(arn)),
                Used::Image { text, digest } => wanted.push((text.to_string(), digest.as_ref().map(|d| d.to_string()))),
                Used::Digest(digest) => wanted.push(("elsewhere".to_owned(), Some(digest.to_string()))),
                Used::Repository(_) => {}
            }
        }
        for (arn, definition) in definitions {
            let remembered = self.memory.active.get(arn).is_some_and(|at| self.now - *at <= TimeDelta::hours(24));
            if self.is_recent(arn, definition) || (remembered && !definition.is_active) {
                needed.push(Some(definition));
            }
        }
        let forgotten = |(arn, at): (&std::sync::Arc<str>, &DateTime<Utc>)| {
            !definitions.contains_key(arn) && self.now - *at <= TimeDelta::hours(24)
        };
        if self.memory.active.iter().any(forgotten) {
            return None;
        }
        for definition in needed {
            let definition = definition?;
            match &definition.content {
                Content::NotRead => return None,
                // What is listed as ACTIVE is not gone.
                Content::Gone if definition.is_active => return None,
                Content::Gone => {}
                Content::Read { containers, .. } => {
                    wanted.extend(containers.iter().map(|(_, image)| (image.to_string(), None)));
                }
            }
        }
        Some(wanted)
    }

    /// Newer ACTIVE revisions of a family, in its place.
    fn newer(&self, arn: &str, definition: &Definition) -> Vec<(&str, &Definition)> {
        let family = |arn: &str| arn.split(':').take(6).collect::<Vec<_>>().join(":");
        let all = self.snapshot.in_use.definitions.iter().map(|(arn, definition)| (&**arn, definition));
        let newer = all
            .filter(|(other, one)| one.is_active && family(other) == family(arn) && one.revision > definition.revision);
        newer.collect()
    }

    fn is_recent(&self, arn: &str, definition: &Definition) -> bool {
        let recent = &self.policy.recent;
        let newer = self.newer(arn, definition);
        let is_old = |definition: &Definition, at: DateTime<Utc>| matches!(&definition.content, Content::Read { registered: Some(registered), .. } if at - *registered > recent.window);
        let rank = |arn: &str, definition: &Definition| self.newer(arn, definition).len();
        let has_old_above = newer
            .iter()
            .any(|(arn, other)| rank(arn, other) >= recent.keep_revisions as usize && is_old(other, self.now));
        definition.is_active
            && (recent.all_active
                || newer.len() < recent.keep_revisions as usize
                || match definition.content {
                    Content::NotRead | Content::Gone => !has_old_above,
                    _ => !is_old(definition, self.now),
                })
    }

    /// Where readers read.
    fn read(&self) -> Vec<Home> {
        let readers = self.policy.readers.iter();
        let places = readers.flat_map(|reader| {
            reader.regions.iter().map(|region| Home { account: reader.account.clone(), region: region.clone() })
        });
        places.collect()
    }

    /// Where deletions in a repository spread to.
    fn copies(&self, repository: &str) -> Vec<Home> {
        let rules = self.snapshot.inventory.replication.iter();
        let rules = rules.filter(|rule| {
            let is_named = rule.prefixes.iter().any(|prefix| repository.strip_prefix(prefix.as_str()).is_some());
            rule.deletes && (is_named || rule.prefixes.is_empty())
        });
        rules.flat_map(|rule| rule.destinations.clone()).collect()
    }

    /// Whether the policy answers for somebody.
    fn answers(&self, repository: &str, who: &str) -> bool {
        self.policy.shares(repository, who)
    }

    /// Digests that roots lead to, with the indexes that list what runs.
    fn rooted(&self, repository: &Repository) -> BTreeSet<Digest> {
        let mut rooted = BTreeSet::new();
        let mut running = BTreeSet::new();
        for (text, digest) in self.wanted().unwrap_or_default() {
            let digest = digest.and_then(|digest| Digest::parse(&digest).ok());
            let reference = ImageReference::parse(&text).ok();
            let ecr = reference.as_ref().and_then(|reference| reference.ecr());
            let at = ecr.map(|ecr| Home { account: ecr.account.clone(), region: ecr.region.clone() });
            let name = ecr.map(|ecr| ecr.repository.as_str()).unwrap_or_default();
            let is_copy = at.as_ref().is_some_and(|at| self.copies(name).contains(at));
            let is_home = at == Some(home());
            let is_here = (is_home || is_copy) && name == repository.name;
            // A digest of another registry may be one of this one behind another name.
            if !is_home {
                running.extend(digest);
                running.extend(reference.as_ref().and_then(|reference| reference.digest()));
            }
            if is_here {
                running.extend(digest);
                let written = reference.as_ref().and_then(|reference| reference.digest());
                rooted.extend(written);
                let tag = reference.as_ref().and_then(|reference| reference.tag());
                let tag = if written.is_none() { tag.or(Some("latest")) } else { tag };
                let has = |image: &&Image| tag.is_some_and(|tag| image.tags.iter().any(|this| **this == *tag));
                rooted.extend(self.images(repository).filter(has).map(|image| image.digest));
            }
        }
        loop {
            let lists = |image: &&Image| {
                !running.contains(&image.digest)
                    && self
                        .children(image)
                        .iter()
                        .any(|child| running.contains(child) && self.exists(repository, child))
            };
            let more: Vec<Digest> = self.images(repository).filter(lists).map(|image| image.digest).collect();
            if more.is_empty() {
                break;
            }
            running.extend(more);
        }
        rooted.extend(running);
        rooted
    }

    fn exists(&self, repository: &Repository, digest: &Digest) -> bool {
        self.images(repository).any(|image| image.digest == *digest)
    }

    fn children(&self, image: &Image) -> Vec<Digest> {
        match self.snapshot.manifests.get(&image.digest) {
            Some(Manifest::Read(children)) if image.media_type.may_have_children() => {
                children.iter().map(|child| child.digest).filter(|child| *child != image.digest).collect()
            }
            _ => Vec::new(),
        }
    }

    fn is_about(&self, image: &Image, subject: &Image) -> bool {
        let named = format!("sha256-{}", subject.digest.hex());
        image.digest != subject.digest
            && (image.subject.as_deref() == Some(&subject.digest)
                || image.tags.iter().any(|tag| tag.starts_with(&named)))
    }

    /// With everything that it keeps, round after round.
    fn closed(&self, repository: &Repository, kept: BTreeSet<Digest>) -> BTreeSet<Digest> {
        let mut kept = kept;
        loop {
            let before = kept.len();
            for keeper in self.images(repository) {
                for image in self.images(repository) {
                    let keeps = self.children(keeper).contains(&image.digest) || self.is_about(image, keeper);
                    if keeps && kept.contains(&keeper.digest) {
                        kept.insert(image.digest);
                    }
                }
            }
            if kept.len() == before {
                return kept;
            }
        }
    }

    fn is_frozen(&self, repository: &Repository) -> bool {
        let unreadable =
            |image: &Image| matches!(self.snapshot.manifests.get(&image.digest), Some(Manifest::Unreadable(_)));
        let all_copies = self.snapshot.inventory.replication.iter().filter(|rule| rule.deletes);
        let hosts = all_copies.flat_map(|rule| rule.destinations.clone()).chain([home()]);
        let hosts: Vec<String> =
            hosts.map(|at| format!("{}.dkr.ecr.{}.amazonaws.com/", at.account, at.region)).collect();
        let wanted = self.wanted().unwrap_or_default();
        let unclear = wanted.iter().any(|(text, _)| {
            hosts.iter().any(|host| text.starts_with(host.as_str()))
                && ImageReference::parse(text).is_err()
                && text.contains(&repository.name)
        });
        let copies = self.copies(&repository.name);
        let spreads = copies
            .iter()
            .any(|at| (*at != home() && !self.read().contains(at)) || !self.answers(&repository.name, &at.account));
        let kept = |one: &crate::in_use::Use| one.of == Used::Repository(repository.name.as_str().into());
        self.is_shared(repository)
            || self.images(repository).any(|image| image.media_type.may_have_children() && unreadable(image))
            || unclear
            || spreads
            || wanted.iter().any(|(text, _)| self.is_only_at_a_copy(repository, text, &copies))
            || self.snapshot.in_use.uses.iter().any(kept)
    }

    /// Whether somebody may pull whose uses are not read, or nobody knows.
    fn is_shared(&self, repository: &Repository) -> bool {
        let access = match &repository.access {
            Reading::NotRead => return true,
            Reading::None => return false,
            Reading::Some(access) => access,
        };
        access.principals.iter().chain(&access.by_registry).any(|principal| match principal {
            Principal::Account(id) => {
                let is_read = *id == home().account || self.policy.readers.iter().any(|reader| reader.account == *id);
                !is_read && !self.answers(&repository.name, id)
            }
            Principal::Service(name) => !self.answers(&repository.name, name),
            Principal::Everyone | Principal::Other(_) => !self.answers(&repository.name, "*"),
        })
    }

    /// Whether a text names a copy by a tag that the original does not have.
    fn is_only_at_a_copy(&self, repository: &Repository, text: &str, copies: &[Home]) -> bool {
        let Ok(reference) = ImageReference::parse(text) else { return false };
        let Some(ecr) = reference.ecr().filter(|ecr| ecr.repository == repository.name) else { return false };
        let at = Home { account: ecr.account.clone(), region: ecr.region.clone() };
        let tag = reference.tag().unwrap_or("latest");
        let has = |image: &Image| image.tags.iter().any(|this| **this == *tag);
        at != home() && copies.contains(&at) && reference.digest().is_none() && !self.images(repository).any(has)
    }

    /// Whether rule and nature of an image let it go.
    fn could_go(&self, repository: &Repository, image: &Image) -> bool {
        let Some(rule) = self.policy.rule(&repository.name) else { return false };
        let Some(latest) = self.latest(repository, image, 0) else { return false };
        let parents = |image: &Image| self.parents(repository, image);
        let is_top = |image: &&Image| {
            let tags_are_about =
                !image.tags.is_empty() && image.tags.iter().all(|tag| tag.len() >= 71 && tag.starts_with("sha256-"));
            image.status == Status::Active
                && !image.media_type.is_unknown()
                && parents(image).is_empty()
                && image.subject.is_none()
                && !tags_are_about
        };
        let newer = self.images(repository).filter(is_top).filter(|other| other.pushed > image.pushed).count();
        let is_newest = (is_top(&image) && newer < rule.keep_newest as usize)
            || self.images(repository).all(|other| other.pushed <= image.pushed);
        image.status == Status::Active
            && !image.media_type.is_unknown()
            && !image.tags.iter().any(|tag| rule.protects(tag))
            && self.now - latest > rule.min_age.max(TimeDelta::hours(24))
            && !is_newest
    }

    fn parents<'r>(&self, repository: &'r Repository, image: &Image) -> Vec<&'r Image> {
        self.images(repository).filter(|parent| self.children(parent).contains(&image.digest)).collect()
    }

    fn latest(&self, repository: &Repository, image: &Image, depth: usize) -> Option<DateTime<Utc>> {
        let own = image.pushed?.max(image.pulled.unwrap_or_default()).max(image.activated.unwrap_or_default());
        let only =
            |child: &&Image| self.parents(repository, child).len() == 1 && self.children(image).contains(&child.digest);
        let below = self.images(repository).filter(only).filter(|_| depth < 20);
        let below = below.filter_map(|child| self.latest(repository, child, depth + 1)).max();
        Some(below.map_or(own, |below| own.max(below)))
    }

    /// Whether the quarantine is over.
    fn is_over(&self, repository: &Repository, image: &Image) -> bool {
        let since = self.memory.condemned.get(&repository.name).and_then(|known| known.since(&image.digest));
        since.is_some_and(|since| self.now - since >= self.policy.guards.quarantine)
    }

    /// What the guards choose of what is eligible.
    fn chosen(&self, repository: &Repository) -> BTreeSet<Digest> {
        let eligible = self.eligible(repository);
        let percent = self.images(repository).count() * self.policy.guards.max_percent as usize / 100;
        let limit = percent.min(self.policy.guards.max_images as usize);
        let keeps = |keeper: &Image, image: &Image| {
            self.children(keeper).contains(&image.digest) || self.is_about(image, keeper)
        };
        let is_top = |image: &&Image| {
            eligible.contains(&image.digest)
                && !self.images(repository).any(|keeper| eligible.contains(&keeper.digest) && keeps(keeper, image))
        };
        let mut tops: Vec<&Image> = self.images(repository).filter(is_top).collect();
        tops.sort_by_key(|image| (self.latest(repository, image, 0), image.digest));
        let mut chosen = BTreeSet::new();
        for top in tops {
            let group = self.closed(repository, [top.digest].into());
            let group: BTreeSet<Digest> =
                group.into_iter().filter(|digest| eligible.contains(digest) && !chosen.contains(digest)).collect();
            if chosen.len() + group.len() <= limit {
                chosen.extend(group);
            }
        }
        chosen
    }
}
