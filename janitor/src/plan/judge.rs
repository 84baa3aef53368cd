//! The verdicts of one repository.
//!
//! Two questions are kept apart. What the policy says of an image alone, its *standing*, does not look at roots, and
//! neither does the guard's choice of what one run may take. Roots then only ever take images away from that choice: so
//! a reference more can never make a run delete more.

use chrono::{DateTime, TimeDelta, Utc};

use super::aim::Hit;
use super::graph::{Bond, Graph, subject_of_tag};
use super::guard::{self, Guard};
use super::verdict::{Condemned, Kept, Verdict};
use crate::inventory::{Image, Images, Life, Status};
use crate::policy::{AGE_FLOOR, Guards, Rule};

/// What the verdicts of a repository follow from.
pub(super) struct Case<'a> {
    pub(super) images: &'a Images,
    pub(super) graph: &'a Graph,
    /// The rule that names the repository.
    pub(super) rule: Option<&'a Rule>,
    pub(super) guards: &'a Guards,
    pub(super) is_frozen: bool,
    /// Whether the scan lacks something.
    pub(super) is_incomplete: bool,
    /// What roots lead to.
    pub(super) hits: &'a [Hit],
    pub(super) now: DateTime<Utc>,
}

/// What was decided of a repository.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    /// One per image.
    pub(super) verdicts: Vec<Verdict>,
    /// Images that are old and unreferenced, whatever quarantine and guards say, with the first scan that found them
    /// so.
    pub(super) condemned: Vec<(u32, DateTime<Utc>)>,
    /// Whether a guard held something back.
    pub(super) guard: Option<Guard>,
}

/// A sign of life and its date.
type Sign = (Life, DateTime<Utc>);

/// What the policy says of an image alone.
#[derive(Clone, Copy)]
enum Standing {
    Stays(Kept),
    MayGo(Condemned),
}

/// Judges a repository. `since` tells when an image was first found old and unreferenced.
pub(super) fn judge(case: &Case<'_>, since: impl Fn(&Image) -> Option<DateTime<Utc>>) -> Judgement {
    let standings = standings(case, since);
    let reached = reached(case);
    let mut stays = Stays::default();
    stays.also(case.graph, &standings, |_, standing| match standing {
        Standing::Stays(kept) => Some(*kept),
        Standing::MayGo(_) => None,
    });
    let condemned = (0..)
        .zip(standings.iter().zip(stays.0.iter().zip(&reached)))
        .filter_map(|(at, (standing, reasons))| match (standing, reasons) {
            (Standing::MayGo(condemned), (None, None)) => Some((at, condemned.since)),
            _ => None,
        })
        .collect();
    // From here on, what is in quarantine stays as well, and keeps what belongs to it.
    stays.also(case.graph, &standings, |_, standing| match standing {
        Standing::MayGo(condemned) if case.now - condemned.since < case.guards.quarantine => {
            Some(Kept::Quarantined(condemned.since))
        }
        _ => None,
    });
    let candidates: Vec<Option<DateTime<Utc>>> = standings
        .iter()
        .zip(&stays.0)
        .map(|(standing, stay)| match (standing, stay) {
            (Standing::MayGo(condemned), None) => Some(condemned.life.1),
            _ => None,
        })
        .collect();
    let chosen = guard::choose(case.graph, case.guards, &candidates);
    stays.also(case.graph, &standings, |at, _| (!chosen[at]).then_some(Kept::Guarded));
    let stays = stays.0;
    let held_back =
        stays.iter().zip(&reached).filter(|(stay, reached)| **stay == Some(Kept::Guarded) && reached.is_none());
    let held_back = held_back.count();
    let guard = (held_back > 0).then(|| Guard { limit: guard::limit(case.guards, case.images.len()), held_back });
    let verdict = |(standing, (stay, reached)): (&Standing, (&Option<Kept>, &Option<Kept>))| match (
        reached.or(*stay),
        standing,
    ) {
        (Some(kept), _) => Verdict::Keep(kept),
        (None, Standing::Stays(kept)) => Verdict::Keep(*kept),
        (None, Standing::MayGo(_)) if case.is_incomplete => Verdict::Keep(Kept::Incomplete),
        (None, Standing::MayGo(condemned)) => Verdict::Delete(*condemned),
    };
    let verdicts = standings.iter().zip(stays.iter().zip(&reached)).map(verdict).collect();
    Judgement { verdicts, condemned, guard }
}

/// What roots keep, directly or through an index or a subject.
fn reached(case: &Case<'_>) -> Vec<Option<Kept>> {
    let mut reached = vec![None; case.images.len()];
    let mut hits = case.hits.to_vec();
    hits.sort_unstable_by_key(|hit| (hit.root, hit.image));
    let mut hit_at = |at: u32, root: u32| {
        if let Some(place) = reached.get_mut(at as usize) {
            place.get_or_insert(Kept::Root(root));
        }
    };
    for hit in &hits {
        hit_at(hit.image, hit.root);
    }
    for (at, root) in case.graph.listing(hits.iter().filter(|hit| hit.is_running).map(|hit| (hit.image, hit.root))) {
        hit_at(at, root);
    }
    let from = (0..).zip(&reached).filter(|(_, kept)| kept.is_some()).map(|(at, _)| at).collect();
    spread(case.graph, &mut reached, from);
    reached
}

/// Why images stay, as far as it is known.
#[derive(Default)]
struct Stays(Vec<Option<Kept>>);

impl Stays {
    /// Adds reasons where there was none, and lets what stays by them keep what belongs to it.
    fn also(&mut self, graph: &Graph, standings: &[Standing], reason: impl Fn(usize, &Standing) -> Option<Kept>) {
        self.0.resize(standings.len(), None);
        let mut added = Vec::new();
        for (at, (stay, standing)) in self.0.iter_mut().zip(standings).enumerate() {
            if stay.is_none() {
                *stay = reason(at, standing);
                added.extend(stay.and_then(|_| u32::try_from(at).ok()));
            }
        }
        spread(graph, &mut self.0, added);
    }
}

/// Lets what is kept keep what belongs to it.
fn spread(graph: &Graph, kept: &mut [Option<Kept>], from: Vec<u32>) {
    graph.spread(from, |at, keeper, bond| {
        let place = &mut kept[at as usize];
        let is_new = place.is_none();
        if is_new {
            *place = Some(match bond {
                Bond::Child => Kept::Child(keeper),
                Bond::Referrer => Kept::Referrer(keeper),
            });
        }
        is_new
    });
}

fn standings(case: &Case<'_>, since: impl Fn(&Image) -> Option<DateTime<Utc>>) -> Vec<Standing> {
    let Some(rule) = case.rule else {
        return vec![Standing::Stays(Kept::Untouched); case.images.len()];
    };
    if case.is_frozen {
        return vec![Standing::Stays(Kept::Frozen); case.images.len()];
    }
    let latest = latest(case.images, case.graph);
    let newest = Newest::of(case.images, case.graph, rule.keep_newest);
    let min_age = rule.min_age.max(TimeDelta::from_std(AGE_FLOOR).unwrap_or(TimeDelta::MAX));
    let standing = |at: u32, image: &Image, life: Option<Sign>| {
        let Some(life) = life.filter(|_| image.status != Status::Unknown && !image.media_type.is_unknown()) else {
            return Standing::Stays(Kept::Unknown);
        };
        if image.status != Status::Active {
            Standing::Stays(Kept::Archived)
        } else if image.tags.iter().any(|tag| rule.protects(tag)) {
            Standing::Stays(Kept::ProtectedTag)
        } else if newest.contain(case.graph, at, image) {
            Standing::Stays(Kept::Newest)
        } else if case.now - life.1 <= min_age {
            Standing::Stays(Kept::Young(life.0, life.1))
        } else {
            // A clock that was ahead once has left dates that are still to come.
            let since = since(image).unwrap_or(case.now).min(case.now);
            Standing::MayGo(Condemned { life, since })
        }
    };
    let images = (0..).zip(case.images.iter().zip(latest));
    images.map(|(at, (image, life))| standing(at, image, life)).collect()
}

/// Each image's last sign of life. A child that only one index lists lives and dies with that index: a pull of the
/// child is a use of the index.
fn latest(images: &Images, graph: &Graph) -> Vec<Option<Sign>> {
    let own: Vec<_> = images.iter().map(Image::latest).collect();
    let mut latest = own.clone();
    for (at, life) in (0..).zip(own) {
        let Some(life) = life else { continue };
        let mut child = at;
        while let Some(parent) = graph.only_parent(child) {
            match latest.get_mut(parent as usize) {
                Some(Some(known)) if known.1 < life.1 => *known = life,
                _ => break,
            }
            child = parent;
        }
    }
    latest
}

/// The newest images of a repository, by when they were pushed. Who was pushed at the very same time is as new.
struct Newest {
    /// From then on, an image that stands for itself is among them.
    standing: Option<DateTime<Utc>>,
    /// When the very newest of all was pushed, whatever it is.
    very: Option<DateTime<Utc>>,
}

impl Newest {
    fn of(images: &Images, graph: &Graph, keep: u32) -> Self {
        let standing = (0..).zip(images.iter()).filter(|(at, image)| stands_for_itself(graph, *at, image));
        let mut standing: Vec<DateTime<Utc>> = standing.filter_map(|(_, image)| image.pushed).collect();
        standing.sort_unstable_by(|a, b| b.cmp(a));
        let last = usize::try_from(keep.max(1)).unwrap_or(usize::MAX).min(standing.len());
        Self {
            standing: last.checked_sub(1).and_then(|last| standing.get(last)).copied(),
            very: images.iter().filter_map(|image| image.pushed).max(),
        }
    }

    fn contain(&self, graph: &Graph, at: u32, image: &Image) -> bool {
        let since =
            |date: Option<DateTime<Utc>>| date.is_some_and(|date| image.pushed.is_some_and(|pushed| pushed >= date));
        since(self.very) || (since(self.standing) && stands_for_itself(graph, at, image))
    }
}

/// Whether an image is a release of its own: active, listed by no index, about no other image. An index and its
/// children count once, signatures not at all: else they would crowd out the images that they belong to.
fn stands_for_itself(graph: &Graph, at: u32, image: &Image) -> bool {
    let is_about = image.subject.is_some()
        || (!image.tags.is_empty() && image.tags.iter().all(|tag| subject_of_tag(tag).is_some()));
    image.status == Status::Active
        && !image.media_type.is_unknown()
        && !is_about
        && graph.parents_of(at).next().is_none()
}
