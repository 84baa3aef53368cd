//! Making a plan: every repository of a snapshot, judged.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::Snapshot;
use super::aim::{Aimed, Hit, Target, aim};
use super::freeze::{self, Freeze};
use super::gap::{self, Gap};
use super::graph::Graph;
use super::guard::Guard;
use super::judge::{Case, judge};
use super::size::Freed;
use super::verdict::{Kept, Verdict};
use crate::in_use::{Recency, Registries, Root, Roots};
use crate::inventory::{Image, Images, Inventory, Manifest, Manifests, Principal, Reading, Repository, Status};
use crate::memory::{ACTIVE_FOR, Memory, Waiting};
use crate::policy::{Policy, Rule};

/// What is to be done with each image, and why.
#[derive(Debug)]
pub struct Plan<'a> {
    /// What it was made of.
    pub snapshot: &'a Snapshot,
    /// By which policy.
    pub policy: &'a Policy,
    /// When.
    pub now: DateTime<Utc>,
    /// Everything that refers to images.
    pub roots: Roots<'a>,
    /// Every repository, by name.
    pub repositories: Vec<Judged<'a>>,
    /// What the scan lacks. With any of it nothing is deleted.
    pub gaps: Vec<Gap>,
    /// Roots that lead to no image, by their place in `roots`.
    pub dangling: Vec<u32>,
    pub(super) memory: &'a Memory,
}

/// A repository and what is to be done with its images.
#[derive(Debug)]
pub struct Judged<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// The rule that names it.
    pub rule: Option<&'a Rule>,
    /// One verdict per image of [`Repository::images`].
    pub verdicts: Vec<Verdict>,
    /// Why it is left alone as a whole.
    pub frozen: Vec<Freeze>,
    /// Where who may pull from it was not asked, because all that is condemned has to wait: when it was asked last.
    pub access_asked: Option<DateTime<Utc>>,
    /// The guard that held something back.
    pub guard: Option<Guard>,
    /// The bytes that its deletions free.
    pub freed: Freed,
    pub(super) graph: Graph,
    condemned: Vec<(u32, DateTime<Utc>)>,
}

/// Repositories in which something could go if nothing referred to it: what the policy alone condemns. Only these need
/// their manifests read, and only for these service deployments.
pub fn candidates(inventory: &Inventory, policy: &Policy, now: DateTime<Utc>) -> BTreeSet<String> {
    let has_any = |repository: &&Repository| {
        let listed = policy.rule(&repository.name).zip(repository.images.as_ref());
        listed.is_some_and(|(rule, images)| {
            has_candidates(images, &Graph::new(images, &Manifests::new()), rule, policy, now)
        })
    };
    inventory.repositories.iter().filter(has_any).map(|repository| repository.name.clone()).collect()
}

/// Whether the policy alone condemns anything. A manifest that is not read only adds to that: its children stand for
/// themselves then, grow old by themselves, and crowd others out of the newest.
fn has_candidates(images: &Images, graph: &Graph, rule: &Rule, policy: &Policy, now: DateTime<Utc>) -> bool {
    let guards = &policy.guards;
    let case = Case { images, graph, rule: Some(rule), guards, is_frozen: false, is_incomplete: false, hits: &[], now };
    !judge(&case, |_| None).condemned.is_empty()
}

/// Decides every image of the snapshot.
pub fn plan<'a>(snapshot: &'a Snapshot, policy: &'a Policy, memory: &'a Memory, now: DateTime<Utc>) -> Plan<'a> {
    let roots = snapshot.in_use.roots(&policy.recent, memory, now);
    let mut repositories: Vec<&Repository> = snapshot.inventory.repositories.iter().collect();
    repositories.sort_by(|a, b| a.name.cmp(&b.name));
    let mut gaps = gap::of_sources(snapshot, policy, memory, now);
    gaps.extend(repositories.windows(2).filter_map(|pair| match pair {
        [a, b] if a.name == b.name => Some(Gap::Twice(a.name.clone())),
        _ => None,
    }));
    if let Some(first) = roots.unread.first() {
        gaps.push(Gap::Definitions(roots.unread.len(), first.clone()));
    }
    let mut targets: Vec<Target<'_>> =
        repositories.iter().map(|repository| Target::new(&repository.name, repository.images.as_ref())).collect();
    let registries = Registries { home: &snapshot.inventory.home, replication: &snapshot.inventory.replication };
    let aimed = aim(&roots.roots, registries, &mut targets);
    drop(targets);
    let mut judged: Vec<Judged<'_>> =
        repositories.iter().map(|repository| prepare(snapshot, repository, policy)).collect();
    freeze_unclear(&mut judged, &aimed, &roots.roots);
    let mut unread: Vec<(usize, &str)> = Vec::new();
    for one in &judged {
        if one.rule.is_some() && one.repository.images.is_none() {
            gaps.push(Gap::NotListed(one.repository.name.clone()));
        }
        if let Some((rule, images)) = one.rule.zip(one.repository.images.as_ref())
            && !one.graph.unread.is_empty()
            && has_candidates(images, &one.graph, rule, policy, now)
        {
            unread.push((one.graph.unread.len(), &one.repository.name));
        }
    }
    if let Some((_, first)) = unread.first() {
        gaps.push(Gap::Manifests(unread.iter().map(|(count, _)| count).sum(), (*first).to_owned()));
    }
    gaps.sort();
    gaps.dedup();
    for (one, hits) in judged.iter_mut().zip(&aimed.hits) {
        one.decide(policy, memory, hits, !gaps.is_empty(), now);
    }
    Plan { snapshot, policy, now, roots, repositories: judged, gaps, dangling: aimed.dangling, memory }
}

/// A repository before its images are judged.
fn prepare<'a>(snapshot: &'a Snapshot, repository: &'a Repository, policy: &'a Policy) -> Judged<'a> {
    let rule = policy.rule(&repository.name);
    // Roots reach through indexes in every repository, but only where a rule might delete has everything to be known.
    let graph = repository.images.as_ref().map(|images| Graph::new(images, &snapshot.manifests)).unwrap_or_default();
    let mut frozen = Vec::new();
    if rule.is_some() {
        frozen = freeze::of_repository(snapshot, repository, policy);
        let images = repository.images.as_ref();
        frozen.extend(graph.unreadable.iter().filter_map(|at| {
            let digest = images?.get_at(*at)?.digest;
            let Manifest::Unreadable(why) = snapshot.manifests.get(&digest)? else { return None };
            Some(Freeze::ManifestUnreadable { digest, why: why.clone() })
        }));
    }
    Judged {
        repository,
        rule,
        verdicts: Vec::new(),
        frozen,
        access_asked: None,
        guard: None,
        freed: Freed::default(),
        graph,
        condemned: Vec::new(),
    }
}

/// Freezes what references may mean that are not understood, and what keep-lists keep as a whole.
fn freeze_unclear(judged: &mut [Judged<'_>], aimed: &Aimed, roots: &[Root<'_>]) {
    for (repository, root, why) in &aimed.unclear {
        let Some(root) = roots.get(*root as usize) else { continue };
        let all = match repository {
            Some(at) => judged.get_mut(*at as usize..=*at as usize),
            None => Some(&mut *judged),
        };
        for one in all.into_iter().flatten().filter(|one| one.rule.is_some()) {
            one.frozen.push(freeze::unclear(root, why));
        }
    }
    for (one, roots_of_all) in judged.iter_mut().zip(&aimed.whole) {
        let paths = roots_of_all.iter().filter_map(|root| roots.get(*root as usize));
        one.frozen.extend(paths.map(|root| Freeze::Kept { path: root.to_string() }));
    }
    for one in judged {
        one.frozen.sort();
        one.frozen.dedup();
    }
}

impl<'a> Judged<'a> {
    fn decide(&mut self, policy: &Policy, memory: &Memory, hits: &[Hit], is_incomplete: bool, now: DateTime<Utc>) {
        let Some(images) = self.repository.images.as_ref() else { return };
        let remembered = memory.condemned.get(&self.repository.name);
        let decide = |is_frozen| {
            let (graph, rule, guards) = (&self.graph, self.rule, &policy.guards);
            let case = Case { images, graph, rule, guards, is_frozen, is_incomplete, hits, now };
            judge(&case, |image| remembered?.since(&image.digest))
        };
        // A policy is read only where something could go, and only there it is missed. What only waits could not go by any
        // policy. It is condemned without a look at that all the same where an earlier scan has had one, not too long ago:
        // so two scans have found that nobody else may pull from there, this earlier one and the one that lets it go.
        let others = self.frozen.iter().filter(|freeze| **freeze != Freeze::PolicyNotRead).count();
        let mut judgement = decide(others > 0);
        if others < self.frozen.len() {
            let goes = |one: &Verdict| matches!(one, Verdict::Delete(_) | Verdict::Keep(Kept::Incomplete));
            let asked = memory.unshared(&self.repository.name, now).filter(|_| !judgement.verdicts.iter().any(goes));
            if judgement.condemned.is_empty() {
                self.frozen.retain(|freeze| *freeze != Freeze::PolicyNotRead);
            } else if asked.is_some() {
                self.frozen.retain(|freeze| *freeze != Freeze::PolicyNotRead);
                self.access_asked = asked;
            } else {
                judgement = decide(true);
            }
        }
        self.freed = Freed::of(images, &judgement.verdicts);
        (self.verdicts, self.condemned, self.guard) = (judgement.verdicts, judgement.condemned, judgement.guard);
    }

    /// Its images with their verdicts, by digest.
    pub fn images(&self) -> impl Iterator<Item = (&'a Image, &Verdict)> {
        self.listed().iter().zip(&self.verdicts)
    }

    /// How many of its images stay, by reason. What belongs to an image that stays has that one's reason.
    pub fn kept_by_reason(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for verdict in &self.verdicts {
            let Verdict::Keep(mut kept) = *verdict else { continue };
            // No chain is longer than there are images.
            for _ in 0..self.verdicts.len() {
                let (Kept::Child(keeper) | Kept::Referrer(keeper)) = kept else { break };
                let Some(Verdict::Keep(further)) = self.verdicts.get(keeper as usize) else { break };
                kept = *further;
            }
            *counts.entry(kept.reason()).or_default() += 1;
        }
        counts
    }

    /// Whether something of it is old and unreferenced, whatever quarantine and guards say.
    pub fn has_condemned(&self) -> bool {
        !self.condemned.is_empty()
    }

    pub(super) fn listed(&self) -> &'a [Image] {
        self.repository.images.as_ref().map_or(&[], |images: &'a Images| images)
    }
}

impl Plan<'_> {
    /// Whether the scan was complete.
    pub fn is_complete(&self) -> bool {
        self.gaps.is_empty()
    }

    /// Repositories in which something is old and unreferenced, and that are frozen for one reason alone: their policies
    /// were not read, and have to be.
    pub fn without_access(&self) -> BTreeSet<String> {
        let frozen = self.repositories.iter().filter(|judged| judged.frozen.contains(&Freeze::PolicyNotRead));
        frozen.map(|judged| judged.repository.name.clone()).collect()
    }

    /// Accounts that may pull from a repository and of which only some Regions are read, with these.
    pub fn read_in_part(&self, judged: &Judged<'_>) -> BTreeMap<String, String> {
        let Reading::Some(access) = &judged.repository.access else { return BTreeMap::new() };
        let home = &self.snapshot.inventory.home;
        let homes = self.policy.homes(home);
        let granted = access.principals.iter().chain(&access.by_registry).filter_map(|principal| match principal {
            // Its own account needs no policy to pull.
            Principal::Account(id) if *id != home.account => Some(id),
            _ => None,
        });
        let regions = granted.filter_map(|id| {
            let regions = homes.iter().filter(|home| home.account == *id).map(|home| home.region.as_str());
            let regions = regions.collect::<Vec<_>>().join(", ");
            (!regions.is_empty()).then(|| (id.clone(), regions))
        });
        regions.collect()
    }

    /// How many images stay, by reason, of the repositories that a rule names.
    pub fn kept_by_reason(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for judged in self.repositories.iter().filter(|judged| judged.rule.is_some()) {
            for (reason, count) in judged.kept_by_reason() {
                *counts.entry(reason).or_default() += count;
            }
        }
        counts
    }

    /// The bytes that all deletions free.
    pub fn freed(&self) -> Freed {
        self.repositories.iter().map(|judged| judged.freed).sum()
    }

    /// Images in the archive that something needs: they cannot be pulled before they are restored. Repository, image,
    /// and why it is needed.
    pub fn archived_in_use(&self) -> impl Iterator<Item = (&Judged<'_>, &Image, Kept)> {
        self.repositories.iter().flat_map(|judged| {
            judged.images().filter_map(move |(image, verdict)| match verdict {
                Verdict::Keep(kept @ (Kept::Root(_) | Kept::Child(_))) if image.status != Status::Active => {
                    Some((judged, image, *kept))
                }
                _ => None,
            })
        })
    }

    /// What the next scan has to know. An incomplete scan condemns nothing new, but what it finds in use is acquitted.
    pub fn memory(&self) -> Memory {
        let before = self.memory;
        let mut condemned: BTreeMap<String, Waiting> = BTreeMap::new();
        for judged in &self.repositories {
            let images = judged.listed();
            let known = before.condemned.get(&judged.repository.name);
            let kept: Waiting = judged
                .condemned
                .iter()
                .filter_map(|(at, since)| Some((images.get(*at as usize)?.digest, *since)))
                .filter(|(digest, _)| self.is_complete() || known.is_some_and(|known| known.since(digest).is_some()))
                .collect();
            if !kept.is_empty() {
                condemned.insert(judged.repository.name.clone(), kept);
            }
        }
        let unshared = self.repositories.iter().filter_map(|judged| {
            let at = self.unshared(judged)?;
            Some((judged.repository.name.clone(), at))
        });
        let mut active = before.active.clone();
        active.retain(|_, at| self.now - *at <= ACTIVE_FOR);
        let is_active = |root: &&Root<'_>| !matches!(root.recency(), None | Some(Recency::WasActive(_)));
        for root in self.roots.roots.iter().filter(is_active) {
            active.extend(root.arn().map(|arn| (arn.clone(), self.now)));
        }
        let scanned = if self.is_complete() { Some(self.now) } else { before.scanned };
        Memory { scanned, looks: before.looks.clone(), condemned, active, unshared: unshared.collect() }
    }

    /// When it was last found that nobody may pull from a repository whose uses are not read: now, or in an earlier scan
    /// where this one did not ask. An incomplete scan finds nothing, but what it finds shared is so. An account that is read
    /// in part is told of in each report, so it is asked for again.
    fn unshared(&self, judged: &Judged<'_>) -> Option<DateTime<Utc>> {
        let known = self.memory.unshared(&judged.repository.name, self.now);
        let is_shared = |one: &Freeze| matches!(one, Freeze::SharedWith(_) | Freeze::SharedByRegistry(_));
        match judged.repository.access {
            Reading::NotRead => known,
            _ if judged.frozen.iter().any(is_shared) || !self.read_in_part(judged).is_empty() => None,
            _ if self.is_complete() => Some(self.now),
            _ => known,
        }
    }
}
