//! An outlook as tables.

use std::io::{self, Write};

use coalmine_pipeline::ImageReference;

use super::whatif::Answer;
use crate::commands::table::{age, print, row, table};
use crate::deploy::message::printable;
use crate::deploy::outlook::{Side, brief, bytes};

/// Writes an outlook for people; `whole`, with all that would change.
///
/// # Errors
/// What writing fails with.
pub fn answer(out: &mut impl Write, answer: &Answer, whole: bool, now: i64) -> io::Result<()> {
    let outlook = &answer.outlook;
    writeln!(out, "{}", printable(&answer.about))?;
    if whole && !outlook.images.is_empty() {
        let mut shown = table(&["Container", "", "Image", "Digest", "Age", "Size", "For"]);
        for image in &outlook.images {
            if let Some(runs) = &image.now {
                row(&mut shown, cells(&image.container, "now", runs, now));
            }
            let container = if image.now.is_some() { "" } else { &image.container };
            row(&mut shown, cells(container, "then", &image.then, now));
        }
        print(out, &shown)?;
    }
    if whole {
        for (service, differences) in &outlook.differences {
            if differences.is_empty() {
                writeln!(out, "Task definition of {service}: the images alone change.")?;
                continue;
            }
            writeln!(out, "Task definition of {service}:")?;
            for difference in differences {
                writeln!(out, "  {}", printable(&difference.to_string()))?;
            }
        }
        for batch in &outlook.batches {
            writeln!(out, "{}.", printable(batch))?;
        }
    }
    for (kind, lines) in [("Problem", &outlook.problems), ("Not now", &outlook.not_now), ("Note", &outlook.warnings)] {
        for line in lines {
            writeln!(out, "{kind}: {}", printable(line))?;
        }
    }
    let verdict = match (outlook.deployable, outlook.problems.is_empty()) {
        (true, _) => "It can be deployed.",
        (false, true) => "It cannot be deployed now.",
        (false, false) => "It cannot be deployed.",
    };
    writeln!(out, "{verdict}")
}

fn cells(container: &str, when: &str, side: &Side, now: i64) -> [String; 7] {
    let parsed = ImageReference::parse(&side.image).ok();
    // The registry and the digest stand elsewhere, or say nothing.
    let name = parsed.map(|parsed| {
        let repository = parsed.ecr().map_or_else(|| parsed.repository().to_owned(), |ecr| ecr.repository.clone());
        parsed.tag().map_or_else(|| repository.clone(), |tag| format!("{repository}:{tag}"))
    });
    let portrait = side.portrait.clone().unwrap_or_default();
    [
        container.to_owned(),
        when.to_owned(),
        name.unwrap_or_else(|| side.image.clone()),
        brief(&portrait.digest),
        portrait.pushed.map_or_else(String::new, |pushed| age(now - pushed)),
        portrait.bytes.map_or_else(String::new, bytes),
        portrait.architectures.join(", "),
    ]
}
