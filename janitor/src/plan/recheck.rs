//! The last look at what is to be deleted, seconds before it goes.

use std::collections::{BTreeMap, BTreeSet};

use coalmine_pipeline::{Digest, Home};

use super::aim::{Target, aim};
use super::graph::Graph;
use super::{Deletion, RepositoryPlan, freeze};
use crate::in_use::{Registries, Roots};
use crate::inventory::{Image, Images, Manifests, Replication, Status};
use crate::policy::Policy;

/// What was read again right before the deletes of a repository.
#[derive(Debug)]
pub struct Fresh<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The registry.
    pub registry: &'a Home,
    /// Its replication rules.
    pub replication: &'a [Replication],
    /// The planned images that still exist (`DescribeImages` with their digests), or all images of the repository. What
    /// is not in here is gone.
    pub images: &'a Images,
    /// Manifests by digest: what lists what. With all images of the repository, those that are new have to be in here.
    pub manifests: &'a Manifests,
    /// The roots as they are now. It is enough to give those that are new since the plan was made; more does no harm.
    pub roots: &'a Roots<'a>,
}

/// What the last look said of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It may go.
    Go,
    /// It is gone already.
    Gone,
    /// It stays in this run.
    Keep {
        /// What has changed, for people.
        why: String,
    },
}

/// Looks once more at every deletion of a repository, in the plan's order.
pub fn recheck(plan: &RepositoryPlan, fresh: &Fresh<'_>) -> Vec<(Digest, Answer)> {
    let planned: BTreeSet<Digest> = plan.deletions.iter().map(|deletion| deletion.digest).collect();
    let graph = Graph::new(fresh.images, fresh.manifests);
    let mut kept = rooted(plan, fresh, &graph);
    let in_doubt = frozen(plan, fresh).or_else(|| doubt(fresh, &graph, &planned));
    for deletion in &plan.deletions {
        let Some(image) = fresh.images.get(&deletion.digest) else { continue };
        if let Some(why) = in_doubt.clone().or_else(|| changed(deletion, image)) {
            kept.entry(deletion.digest).or_insert(why);
        }
        if has_lived(deletion, image) {
            for index in only_parents(fresh, &graph, &deletion.digest) {
                kept.entry(index)
                    .or_insert_with(|| format!("{} in it has been pushed, pulled or restored", deletion.digest));
            }
        }
    }
    // What stays keeps what belongs to it: what the plan did not know, and what has just been kept.
    let stays = |image: &Image| !planned.contains(&image.digest) || kept.contains_key(&image.digest);
    let from: Vec<u32> = (0..).zip(fresh.images.iter()).filter(|(_, image)| stays(image)).map(|(at, _)| at).collect();
    let mut seen: BTreeSet<u32> = from.iter().copied().collect();
    let mut kept_along = BTreeMap::new();
    graph.spread(from, |at, keeper, _| {
        let digest = |at: u32| fresh.images.get_at(at).map(|image| image.digest);
        if let (Some(digest), Some(keeper)) = (digest(at), digest(keeper)) {
            kept_along.entry(digest).or_insert_with(|| format!("it belongs to {keeper}, which stays"));
        }
        seen.insert(at)
    });
    let mut answers: BTreeMap<Digest, Answer> = BTreeMap::new();
    for deletion in &plan.deletions {
        let keeper = deletion.after.iter().find(|digest| matches!(answers.get(digest), Some(Answer::Keep { .. })));
        let why = kept.remove(&deletion.digest).or_else(|| kept_along.remove(&deletion.digest));
        let why = why.or_else(|| keeper.map(|keeper| format!("it belongs to {keeper}, which stays")));
        let answer = match (fresh.images.get(&deletion.digest), why) {
            (None, _) => Answer::Gone,
            (Some(_), Some(why)) => Answer::Keep { why },
            (Some(_), None) => Answer::Go,
        };
        answers.insert(deletion.digest, answer);
    }
    plan.deletions
        .iter()
        .map(|deletion| (deletion.digest, answers.get(&deletion.digest).cloned().unwrap_or(Answer::Gone)))
        .collect()
}

/// What a root names by now, with the root's path.
fn rooted(plan: &RepositoryPlan, fresh: &Fresh<'_>, graph: &Graph) -> BTreeMap<Digest, String> {
    let registries = Registries { home: fresh.registry, replication: fresh.replication };
    let mut targets = [Target::new(&plan.name, Some(fresh.images))];
    let aimed = aim(&fresh.roots.roots, registries, &mut targets);
    let path = |root: u32| fresh.roots.roots.get(root as usize).map(ToString::to_string).unwrap_or_default();
    let mut kept = BTreeMap::new();
    let hits = || aimed.hits.iter().flatten();
    let running = hits().filter(|hit| hit.is_running).map(|hit| (hit.image, hit.root));
    for (image, root) in hits().map(|hit| (hit.image, hit.root)).chain(graph.listing(running)) {
        if let Some(image) = fresh.images.get_at(image) {
            kept.entry(image.digest).or_insert_with(|| format!("it is in use by now: {}", path(root)));
        }
    }
    let whole = aimed.whole.iter().flatten().map(|root| path(*root)).next();
    let unclear = || aimed.unclear.first().map(|(_, root, why)| format!("{}: {why}", path(*root)));
    if let Some(why) = whole.or_else(unclear) {
        for deletion in &plan.deletions {
            kept.entry(deletion.digest).or_insert_with(|| why.clone());
        }
    }
    kept
}

/// A reason to leave the repository alone that was not there before.
fn frozen(plan: &RepositoryPlan, fresh: &Fresh<'_>) -> Option<String> {
    let mut found = freeze::of_replication(fresh.replication, fresh.registry, &plan.name, fresh.policy);
    found.next().map(|freeze| freeze.to_string())
}

/// The indexes that live and die with an image, because each is the only one to list it, or the one in between: a sign of
/// life of the image is theirs as well, as in the plan.
fn only_parents(fresh: &Fresh<'_>, graph: &Graph, child: &Digest) -> Vec<Digest> {
    let start = fresh.images.position(child).and_then(|at| u32::try_from(at).ok());
    let mut found: Vec<Digest> = Vec::new();
    let mut at = start.and_then(|start| graph.only_parent(start));
    while let Some(image) = at.and_then(|at| fresh.images.get_at(at)).filter(|image| !found.contains(&image.digest)) {
        found.push(image.digest);
        at = at.and_then(|at| graph.only_parent(at));
    }
    found
}

/// A reason to keep everything.
fn doubt(fresh: &Fresh<'_>, graph: &Graph, planned: &BTreeSet<Digest>) -> Option<String> {
    if let Some(missing) = fresh.roots.unread.first() {
        return Some(format!("a task definition was not read: {missing}"));
    }
    let unknown = graph.unread.iter().chain(&graph.unreadable);
    let images = unknown.filter_map(|at| fresh.images.get_at(*at));
    // What is to go itself was read for the plan: its children are in the plan, behind it.
    let mut others = images.filter(|image| !planned.contains(&image.digest));
    others.next().map(|image| format!("{} is new, and its manifest was not read", image.digest))
}

/// What is different from what was planned.
fn changed(deletion: &Deletion, image: &Image) -> Option<String> {
    let is_same =
        image.tags.len() == deletion.tags.len() && image.tags.iter().zip(&deletion.tags).all(|(a, b)| **a == **b);
    if !is_same {
        let list = |tags: &[&str]| if tags.is_empty() { "none".to_owned() } else { tags.join(", ") };
        let before: Vec<&str> = deletion.tags.iter().map(String::as_str).collect();
        let now: Vec<&str> = image.tags.iter().map(|tag| &**tag).collect();
        return Some(format!("its tags have changed: before {}, now {}", list(&before), list(&now)));
    }
    if image.status != Status::Active {
        return Some("it is on its way into the archive or out of it".to_owned());
    }
    match image.latest() {
        None => Some("its age is not known any more".to_owned()),
        Some((_, at)) if at > deletion.latest => {
            Some(format!("it has been pushed, pulled or restored on {}", at.format("%Y-%m-%d")))
        }
        Some(_) => None,
    }
}

/// Whether there is a sign of life that the plan did not know.
fn has_lived(deletion: &Deletion, image: &Image) -> bool {
    image.latest().is_some_and(|(_, at)| at > deletion.latest)
}
