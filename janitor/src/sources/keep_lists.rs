//! Keep-lists: files in which people, or other programs, name what must stay.

use std::fs;
use std::io::Read;
use std::sync::Arc;

use coalmine_door::clock::Time;
use coalmine_pipeline::Home;

use crate::in_use::{Reach, Source, SourceReport, Use, read_keep_list};
use crate::policy::{KeepList, Policy};

/// The largest file that is read: 100,000 lines.
const BYTES_MAX: u64 = 16 << 20;

/// Reads every keep-list; `None` where the policy names none.
#[must_use]
pub fn read(policy: &Policy, registry: &Home, now: Time) -> Option<(SourceReport, Vec<Use>)> {
    if policy.keep_lists.is_empty() {
        return None;
    }
    let report = |reach| SourceReport { source: Source::KeepLists, home: None, reach };
    if !policy.reads(Source::KeepLists) {
        return Some((report(Reach::Off), Vec::new()));
    }
    let (mut uses, mut problems) = (Vec::new(), Vec::new());
    for list in &policy.keep_lists {
        match one(list, registry, now) {
            Ok(found) => uses.extend(found),
            Err(why) => problems.push(why),
        }
    }
    let reach = if problems.is_empty() { Reach::Complete } else { Reach::Incomplete { why: problems.join("; ") } };
    Some((report(reach), uses))
}

fn one(list: &KeepList, registry: &Home, now: Time) -> Result<Vec<Use>, String> {
    let told = |problem: &dyn std::fmt::Display| format!("the keep-list {}: {problem}", list.file);
    let file = fs::File::open(&list.file).map_err(|problem| told(&problem))?;
    let facts = file.metadata().map_err(|problem| told(&problem))?;
    if facts.len() > BYTES_MAX {
        return Err(told(&format!("has more than {BYTES_MAX} bytes")));
    }
    if let Some(most) = list.max_age {
        let written = facts.modified().map_err(|problem| told(&problem))?;
        let age = now - Time::from(written);
        if age > most {
            return Err(told(&format!("was written {} hours ago: whoever writes it has stopped", age.num_hours())));
        }
    }
    let mut text = String::new();
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(|problem| told(&problem))?;
    read_keep_list(&text, &Arc::from(list.file.as_str()), registry, now).map_err(|lines| {
        let lines = lines.into_iter().map(|(line, problem)| format!("line {line}: {problem}"));
        told(&lines.collect::<Vec<_>>().join("; "))
    })
}
