//! Reporting: tables for people, JSON for machines.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::num::NonZeroU64;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use serde_json::{Value, json};

use crate::in_use::Reach;
use crate::plan::{Freed, Judged, Outcome, Plan, Verdict};
use crate::sweep::Swept;

/// A repository's longest list of outcomes that is shown to people.
const SHOWN_MAX: usize = 20;

/// What there is to tell of a plan.
#[derive(Debug)]
pub struct Report<'p, 'a> {
    plan: &'p Plan<'a>,
    calls: BTreeMap<&'static str, u64>,
    /// Repositories from which ECR deletes by itself, too.
    lifecycles: Vec<String>,
    /// Of what is to be deleted, how many images a person's plan names, where there is one.
    agreed: Option<usize>,
}

impl<'p, 'a> Report<'p, 'a> {
    /// A report on a plan, and on the calls that it took.
    #[must_use]
    pub fn of(plan: &'p Plan<'a>, calls: BTreeMap<&'static str, u64>) -> Self {
        Self { plan, calls, lifecycles: Vec::new(), agreed: None }
    }

    /// The same, with the repositories that have a lifecycle policy.
    #[must_use]
    pub fn with_lifecycles(self, lifecycles: Vec<String>) -> Self {
        Self { lifecycles, ..self }
    }

    /// The same, with how many of the deletions a person has agreed to by a plan.
    #[must_use]
    pub fn with_agreed(self, agreed: usize) -> Self {
        Self { agreed: Some(agreed), ..self }
    }

    /// What is there, and what refers to it.
    ///
    /// # Errors
    /// What writing fails with.
    pub fn scan(&self, out: &mut impl Write, json: bool) -> io::Result<()> {
        if json {
            let mut head = self.head();
            head["roots"] = self.plan.roots.roots.iter().map(|root| Value::from(root.to_string())).collect();
            return writeln!(out, "{head}");
        }
        let mut table = table(&["Repository", "Images", "Size", "Referred to", "Rule"]);
        for judged in &self.plan.repositories {
            let images = judged.images();
            let size: u64 = images.filter_map(|(image, _)| image.size_bytes).map(NonZeroU64::get).sum();
            let referred = judged.kept_by_reason().get("in_use").copied().unwrap_or_default();
            let listed = judged.images().count();
            table.add_row(match judged.rule {
                Some(rule) => [
                    judged.repository.name.clone(),
                    listed.to_string(),
                    bytes(size),
                    referred.to_string(),
                    rule.name.clone(),
                ],
                None => [
                    judged.repository.name.clone(),
                    String::new(),
                    String::new(),
                    String::new(),
                    "none: not touched".into(),
                ],
            });
        }
        writeln!(out, "{table}")?;
        let recent = self.plan.roots.roots.iter().filter(|root| root.recency().is_some()).count();
        let running = self.plan.roots.roots.len() - recent;
        writeln!(out, "{running} references by what runs or may run, {recent} by recent task definitions.")?;
        self.notices(out)
    }

    /// What is to be done.
    ///
    /// # Errors
    /// What writing fails with.
    pub fn plan(&self, out: &mut impl Write, json: bool) -> io::Result<()> {
        if json {
            // One object a line: the head, then every image.
            writeln!(out, "{}", self.head())?;
            for judged in self.ruled() {
                for (at, (image, verdict)) in judged.images().enumerate() {
                    let line = json!({
                        "repository": judged.repository.name,
                        "digest": image.digest.to_string(),
                        "tags": image.tags,
                        "verdict": if matches!(verdict, Verdict::Delete(_)) { "delete" } else { "keep" },
                        "why": self.plan.why(judged, at),
                    });
                    writeln!(out, "{line}")?;
                }
            }
            return Ok(());
        }
        let mut table =
            table(&["Repository", "Images", "In use", "Newest", "Young", "Waiting", "Other", "To delete", "Frees"]);
        for judged in self.ruled() {
            let kept = judged.kept_by_reason();
            let by = |reasons: &[&str]| reasons.iter().filter_map(|reason| kept.get(reason)).sum::<usize>();
            let (used, newest, young) = (by(&["in_use"]), by(&["newest"]), by(&["young"]));
            let waiting = by(&["waiting", "guarded", "incomplete"]);
            let (all, gone) = (judged.images().count(), deletions(judged));
            let other = all - used - newest - young - waiting - gone;
            let numbers = [all, used, newest, young, waiting, other, gone].map(|number| number.to_string());
            let cells = [judged.repository.name.clone()].into_iter().chain(numbers).chain([freed(judged.freed)]);
            table.add_row(cells);
        }
        writeln!(out, "{table}")?;
        let gone: usize = self.plan.repositories.iter().map(deletions).sum();
        let waiting = self.waiting();
        match (gone, waiting) {
            (0, 0) => writeln!(out, "Nothing is to be deleted.")?,
            (0, waiting) => writeln!(out, "Nothing is to be deleted yet; {waiting} images wait for a later scan.")?,
            (gone, _) => writeln!(out, "{gone} images are to be deleted, which frees {}.", freed(self.plan.freed()))?,
        }
        match self.agreed {
            Some(0) if gone > 0 => writeln!(
                out,
                "The plan that was given names none of them with the tags that it has now, so nothing is deleted: make a new one."
            )?,
            Some(agreed) if agreed < gone => {
                writeln!(out, "The plan that was given names {agreed} of them: no other goes.")?;
            }
            _ => {}
        }
        self.notices(out)
    }

    /// What became of it.
    ///
    /// # Errors
    /// What writing fails with.
    pub fn swept(&self, out: &mut impl Write, json: bool, swept: &Swept) -> io::Result<()> {
        let (mut deleted, mut gone) = (0, 0);
        let mut told: Vec<String> = Vec::new();
        for (repository, outcomes) in &swept.outcomes {
            for (digest, outcome) in outcomes {
                let (word, why) = match outcome {
                    Outcome::Deleted => ("deleted", ""),
                    Outcome::Gone => ("gone", ""),
                    Outcome::Kept { why } => ("kept", why.as_str()),
                    Outcome::Later { why } => ("failed", why.as_str()),
                };
                deleted += usize::from(word == "deleted");
                gone += usize::from(word == "gone");
                if json {
                    let line =
                        json!({"repository": repository, "digest": digest.to_string(), "outcome": word, "why": why});
                    writeln!(out, "{line}")?;
                } else if !why.is_empty() {
                    told.push(format!("{repository}@{digest}: {word}: {why}"));
                }
            }
        }
        if json {
            let mut last = self.head();
            last["deleted"] = deleted.into();
            last["gone_before"] = gone.into();
            last["stopped"] = swept.stopped.clone().into();
            return writeln!(out, "{last}");
        }
        writeln!(out, "{deleted} images were deleted, {gone} were gone already, {} stay.", told.len())?;
        for line in told.iter().take(SHOWN_MAX) {
            writeln!(out, "  {line}")?;
        }
        if told.len() > SHOWN_MAX {
            writeln!(out, "  … and {} more: see --json", told.len() - SHOWN_MAX)?;
        }
        if let Some(why) = &swept.stopped {
            writeln!(out, "The sweep stopped before its end: {why}")?;
        }
        Ok(())
    }

    /// Why images stay or go; whether there is any that `text` means.
    ///
    /// # Errors
    /// What writing fails with.
    pub fn why(&self, out: &mut impl Write, json: bool, text: &str) -> io::Result<bool> {
        let found = self.find(text);
        for (judged, at) in &found {
            let Some((image, verdict)) = judged.images().nth(*at) else { continue };
            let (name, why) = (&judged.repository.name, self.plan.why(judged, *at));
            let goes = matches!(verdict, Verdict::Delete(_));
            if json {
                let verdict = if goes { "delete" } else { "keep" };
                let line = json!({"repository": name, "digest": image.digest.to_string(), "tags": image.tags, "verdict": verdict, "why": why});
                writeln!(out, "{line}")?;
            } else {
                let tags = if image.tags.is_empty() { String::from("untagged") } else { image.tags.join(", ") };
                writeln!(out, "{name}@{} ({tags})\n  {}: {why}", image.digest, if goes { "goes" } else { "stays" })?;
            }
        }
        Ok(!found.is_empty())
    }

    /// The images that a text means: `repository:tag`, `repository@digest`, with or without a host, a tag or the
    /// beginning of a digest alone.
    fn find(&self, text: &str) -> Vec<(&Judged<'a>, usize)> {
        let mut found = Vec::new();
        for judged in self.ruled() {
            let rest = text.rsplit_once(judged.repository.name.as_str()).filter(|(before, after)| {
                let starts = before.is_empty() || before.ends_with('/');
                starts && (after.is_empty() || after.starts_with([':', '@']))
            });
            let wanted = match rest {
                Some((_, after)) => {
                    after.split_once('@').map_or_else(|| after.trim_start_matches(':'), |(_, digest)| digest)
                }
                None if !text.contains('/') && text.split('@').count() == 1 => text,
                None => continue,
            };
            for (at, (image, _)) in judged.images().enumerate() {
                let digest = image.digest.to_string();
                let by_digest = wanted.len() > "sha256:".len() + 5 && digest.starts_with(wanted);
                let is_meant = (rest.is_some() && wanted.is_empty()) || by_digest;
                if is_meant || image.tags.iter().any(|tag| **tag == *wanted) {
                    found.push((judged, at));
                }
            }
        }
        found
    }

    fn ruled(&self) -> impl Iterator<Item = &Judged<'a>> {
        self.plan.repositories.iter().filter(|judged| judged.rule.is_some())
    }

    fn waiting(&self) -> usize {
        let kept = self.plan.kept_by_reason();
        ["waiting", "incomplete"].iter().filter_map(|reason| kept.get(reason)).sum()
    }

    fn head(&self) -> Value {
        let plan = self.plan;
        let reports = plan.snapshot.in_use.sources.iter().map(ToString::to_string);
        let frozen = self.ruled().filter(|judged| !judged.frozen.is_empty());
        let frozen = frozen.map(|judged| {
            let why: Vec<String> = judged.frozen.iter().map(ToString::to_string).collect();
            (judged.repository.name.clone(), Value::from(why))
        });
        let in_part = self.ruled().filter_map(|judged| {
            let accounts = self.plan.read_in_part(judged);
            (!accounts.is_empty()).then(|| (judged.repository.name.clone(), Value::from_iter(accounts)))
        });
        let unasked =
            self.ruled().filter_map(|judged| Some((judged.repository.name.clone(), json!(judged.access_asked?))));
        let guards = self.ruled().filter_map(|judged| Some((judged, judged.guard?)));
        let guards = guards.map(|(judged, guard)| (judged.repository.name.clone(), Value::from(guard.held_back)));
        json!({
            "registry": plan.snapshot.inventory.home,
            "at": plan.now,
            "policy": plan.policy.hash(),
            "complete": plan.is_complete(),
            "missing": plan.gaps.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "sources": reports.collect::<Vec<_>>(),
            "to_delete": plan.repositories.iter().map(deletions).sum::<usize>(),
            "agreed": self.agreed,
            "waiting": self.waiting(),
            "kept": plan.kept_by_reason(),
            "frees": plan.freed(),
            "frozen": frozen.collect::<serde_json::Map<_, _>>(),
            "policy_read_before": unasked.collect::<serde_json::Map<_, _>>(),
            "read_in_part": in_part.collect::<serde_json::Map<_, _>>(),
            "held_back_by_guards": guards.collect::<serde_json::Map<_, _>>(),
            "dangling": plan.dangling.iter().filter_map(|at| plan.roots.roots.get(*at as usize)).map(ToString::to_string).collect::<Vec<_>>(),
            "archived_in_use": self.archived(),
            "lifecycle_policies": self.lifecycles,
            "calls": self.calls,
        })
    }

    fn archived(&self) -> Vec<String> {
        let archived = self.plan.archived_in_use();
        archived.map(|(judged, image, _)| format!("{}@{}", judged.repository.name, image.digest)).collect()
    }

    /// What a careful reader has to know beside the numbers.
    fn notices(&self, out: &mut impl Write) -> io::Result<()> {
        let plan = self.plan;
        for gap in &plan.gaps {
            writeln!(out, "INCOMPLETE, so nothing is deleted: {gap}")?;
        }
        for report in plan.snapshot.in_use.sources.iter().filter(|report| report.reach == Reach::Off) {
            writeln!(out, "Not read: {report}")?;
        }
        for report in plan.snapshot.in_use.sources.iter().filter(|report| report.reach == Reach::Releases(0)) {
            writeln!(out, "Nothing is kept by {report}: is it the workers' --ledger?")?;
        }
        for image in self.archived() {
            writeln!(out, "ALARM: {image} is in the archive, but something needs it: restore it")?;
        }
        for judged in self.ruled() {
            let name = &judged.repository.name;
            for freeze in &judged.frozen {
                writeln!(out, "{name} is frozen: {freeze}")?;
            }
            if let Some(guard) = judged.guard {
                let (held, limit) = (guard.held_back, guard.limit);
                writeln!(out, "{name}: a guard holds {held} images back: at most {limit} may go in one run")?;
            }
            for (account, regions) in self.plan.read_in_part(judged) {
                writeln!(
                    out,
                    "{name} may be pulled from by account {account}, which is read in {regions} alone: what its other \
                     Regions use keeps nothing"
                )?;
            }
            if self.lifecycles.contains(name) {
                writeln!(out, "{name} has a lifecycle policy, too: ECR deletes by that whatever is in use")?;
            }
        }
        // By name they would be most of the report of a large registry, each day others: --json has them.
        let asked = || self.ruled().filter_map(|judged| judged.access_asked);
        if let Some(first) = asked().min() {
            let (count, day) = (asked().count(), first.format("%Y-%m-%d"));
            let policies =
                if count == 1 { "policy of 1 repository".into() } else { format!("policies of {count} repositories") };
            writeln!(
                out,
                "Not read: the {policies}, where all that is condemned has to wait; last read on {day} or later, and read \
                 again before anything goes"
            )?;
        }
        let running = plan.dangling.iter().filter_map(|at| plan.roots.roots.get(*at as usize));
        for root in running.filter(|root| root.recency().is_none()).take(SHOWN_MAX) {
            writeln!(out, "Leads to no image: {root}")?;
        }
        Ok(())
    }
}

fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(head);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

pub(crate) fn deletions(judged: &Judged<'_>) -> usize {
    judged.images().filter(|(_, verdict)| matches!(verdict, Verdict::Delete(_))).count()
}

fn freed(freed: Freed) -> String {
    let range = match (freed.low, freed.high) {
        (_, 0) => String::from("nothing"),
        (0, high) => format!("up to {}", bytes(high)),
        (low, high) => format!("{} to {}", bytes(low), bytes(high)),
    };
    match freed.unknown {
        0 => range,
        1 => format!("{range}, and 1 image of unknown size"),
        unknown => format!("{range}, and {unknown} images of unknown size"),
    }
}

/// Bytes for people, in powers of ten as AWS bills them.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut scaled, mut unit) = (count, 0);
    while scaled >= 10_000 && unit + 1 < UNITS.len() {
        scaled /= 1000;
        unit += 1;
    }
    format!("{scaled} {}", UNITS[unit])
}
