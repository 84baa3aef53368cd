//! The verdicts of one repository.
//!
//! Two questions are kept apart. What the policy says of an image alone, its *standing*, does not look at roots, and
//! neither does the guard's choice of what one run may take. Roots then only ever take images away from that choice: so a
//! reference more can never make a run delete more.

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
    /// The rule that names the repository, with its place.
    pub(super) rule: Option<(u32, &'a Rule)>,
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
    /// Images that are old and unreferenced, whatever quarantine and guards say, with the first scan that found them so.
    pub(super) condemned: Vec<(u32, DateTime<Utc>)>,
    /// Whether a guard held something back.
    pub(super) guard: Option<Guard>,
}

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
    let mut stays: Vec<Option<Kept>> = standings
        .iter()
        .map(|standing| match standing {
            Standing::Stays(kept) => Some(*kept),
            Standing::MayGo(_) => None,
        })
        .collect();
    spread(case.graph, &mut stays);
    let condemned = (0..)
        .zip(standings.iter().zip(stays.iter().zip(&reached)))
        .filter_map(|(at, (standing, reasons))| match (standing, reasons) {
            (Standing::MayGo(condemned), (None, None)) => Some((at, condemned.since)),
            _ => None,
        })
        .collect();
    // From here on, what is in quarantine stays as well, and keeps what belongs to it.
    for (stay, standing) in stays.iter_mut().zip(&standings) {
        if let (None, Standing::MayGo(condemned)) = (&stay, standing)
            && case.now - condemned.since < case.guards.quarantine
        {
            *stay = Some(Kept::Quarantined(condemned.since));
        }
    }
    spread(case.graph, &mut stays);
    let candidates: Vec<Option<DateTime<Utc>>> = standings
        .iter()
        .zip(&stays)
        .map(|(standing, stay)| match (standing, stay) {
            (Standing::MayGo(condemned), None) => Some(condemned.life.1),
            _ => None,
        })
        .collect();
    let chosen = guard::choose(case.graph, case.guards, &candidates);
    for (at, stay) in stays.iter_mut().enumerate() {
        if stay.is_none() && !chosen[at] {
            *stay = Some(Kept::Guarded);
        }
    }
    spread(case.graph, &mut stays);
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
    spread(case.graph, &mut reached);
    reached
}

/// Lets what is kept keep what belongs to it.
fn spread(graph: &Graph, kept: &mut [Option<Kept>]) {
    let from = (0..).zip(kept.iter()).filter(|(_, kept)| kept.is_some()).map(|(at, _)| at).collect();
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
    let Some((place, rule)) = case.rule else {
        return vec![Standing::Stays(Kept::Untouched); case.images.len()];
    };
    if case.is_frozen {
        return vec![Standing::Stays(Kept::Frozen); case.images.len()];
    }
    let latest = latest(case.images, case.graph);
    let newest = newest(case.images, case.graph, rule.keep_newest);
    let min_age = rule.min_age.max(TimeDelta::from_std(AGE_FLOOR).unwrap_or(TimeDelta::MAX));
    let standing = |(image, life): (&Image, Option<(Life, DateTime<Utc>)>)| {
        let Some(life) = life.filter(|_| image.status != Status::Unknown && !image.media_type.is_unknown()) else {
            return Standing::Stays(Kept::Unknown);
        };
        let is_newest = newest.is_some_and(|newest| image.pushed.is_some_and(|pushed| pushed >= newest));
        if image.status != Status::Active {
            Standing::Stays(Kept::Archived)
        } else if image.tags.iter().any(|tag| rule.protects(tag)) {
            Standing::Stays(Kept::ProtectedTag)
        } else if is_newest {
            Standing::Stays(Kept::Newest)
        } else if case.now - life.1 <= min_age {
            Standing::Stays(Kept::Young(life.0, life.1))
        } else {
            // A clock that was ahead once has left dates that are still to come.
            let since = since(image).unwrap_or(case.now).min(case.now);
            Standing::MayGo(Condemned { rule: place, life, since })
        }
    };
    case.images.iter().zip(latest).map(standing).collect()
}

/// Each image's last sign of life. A child that only one index lists lives and dies with that index: a pull of the child
/// is a use of the index.
fn latest(images: &Images, graph: &Graph) -> Vec<Option<(Life, DateTime<Utc>)>> {
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

/// The push time from which on an image is among the newest: of active images that stand for themselves, neither listed by
/// an index nor about another image. Whoever was pushed at the very same time is as new.
fn newest(images: &Images, graph: &Graph, keep: u32) -> Option<DateTime<Utc>> {
    let stands = |at: u32, image: &Image| {
        let is_about = image.subject.is_some()
            || (!image.tags.is_empty() && image.tags.iter().all(|tag| subject_of_tag(tag).is_some()));
        image.status == Status::Active
            && !image.media_type.is_unknown()
            && !is_about
            && graph.parents_of(at).next().is_none()
    };
    let pushed =
        (0..).zip(images.iter()).filter(|(at, image)| stands(*at, image)).filter_map(|(_, image)| image.pushed);
    let mut pushed: Vec<DateTime<Utc>> = pushed.collect();
    pushed.sort_unstable_by(|a, b| b.cmp(a));
    let last = usize::try_from(keep.max(1)).unwrap_or(usize::MAX).min(pushed.len());
    pushed.get(last.checked_sub(1)?).copied()
}
