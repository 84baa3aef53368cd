//! How much one run may take from a repository.

use chrono::{DateTime, Utc};

use super::graph::Graph;
use crate::policy::Guards;

/// A guard that held something back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// So many images may go from the repository in one run.
    pub limit: usize,
    /// So many more would have gone.
    pub held_back: usize,
}

/// So many of `images` may go in one run.
pub(super) fn limit(guards: &Guards, images: usize) -> usize {
    let share = images.saturating_mul(usize::try_from(guards.max_percent).unwrap_or(0)) / 100;
    share.min(usize::try_from(guards.max_images).unwrap_or(usize::MAX))
}

/// Chooses among candidates, which have the date of their last sign of life: the oldest first, each with everything
/// that belongs to it. What does not fit waits for another run, and what is smaller may go before it.
///
/// Candidates are chosen whether a root reaches them or not. If roots had a say, a reference to one image would make
/// room for another, and to refer to something would delete something. Little is lost by it: a candidate was without
/// reference in all scans of its quarantine.
pub(super) fn choose(graph: &Graph, guards: &Guards, candidates: &[Option<DateTime<Utc>>]) -> Vec<bool> {
    let limit = limit(guards, candidates.len());
    let is_candidate = |at: u32| candidates.get(at as usize).is_some_and(Option::is_some);
    let mut chosen = vec![false; candidates.len()];
    // What belongs to another candidate goes with that one.
    let mut tops: Vec<(DateTime<Utc>, u32)> = (0..)
        .zip(candidates)
        .filter_map(|(at, date)| Some(((*date)?, at)))
        .filter(|(_, at)| !graph.keepers_of(*at).any(|(keeper, _)| is_candidate(keeper)))
        .collect();
    tops.sort_unstable();
    let mut taken = 0;
    // The top in whose group an image was seen last.
    let mut seen = vec![None; candidates.len()];
    for (_, top) in tops {
        let mut group = vec![top];
        seen[top as usize] = Some(top);
        graph.spread(vec![top], |at, _, _| {
            let is_new = seen[at as usize].replace(top) != Some(top);
            if is_new && is_candidate(at) && !chosen[at as usize] {
                group.push(at);
            }
            is_new
        });
        if taken + group.len() <= limit {
            taken += group.len();
            for at in group {
                chosen[at as usize] = true;
            }
        }
    }
    chosen
}
