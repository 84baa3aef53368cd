//! What was found: a table for people, JSON for machines.

use std::io::{self, Write};

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use serde_json::{Value, json};

use crate::deploy::message::printable;
use crate::drift::change::{Change, ChangeKind};
use crate::drift::compare::Difference;
use crate::drift::imports::{self, Import};
use crate::drift::judge::{Finding, Kind};

/// Everything that was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Each service, `cluster/name`, with what is said of it.
    pub services: Vec<(String, Finding)>,
    /// What a plan would change.
    pub changes: Vec<Change>,
    /// What is to be imported.
    pub imports: Vec<Import>,
    /// What could not be read, and why.
    pub unread: Vec<(String, String)>,
    /// Actions of pipelines whose services are not known before an apply.
    pub unknown: usize,
}

impl Report {
    /// Whether something differs that a release does not explain.
    #[must_use]
    pub fn differs(&self) -> bool {
        let worrying = |kind| matches!(kind, Kind::Configuration | Kind::Absent);
        self.services.iter().any(|(_, finding)| worrying(finding.kind)) || !self.changes.is_empty()
    }

    /// Everything as one JSON object.
    #[must_use]
    pub fn json(&self) -> Value {
        let services = self.services.iter().map(|(name, finding)| {
            json!({
                "service": name,
                "kind": finding.kind,
                "reason": finding.reason,
                "byWorker": finding.by_worker,
                "runs": finding.runs,
                "base": finding.base,
                "template": finding.template,
                "differences": differences(&finding.differences, "runs", "template"),
            })
        });
        let changes = self.changes.iter().map(|change| {
            json!({
                "address": change.address,
                "actions": change.actions,
                "kind": change.kind,
                "differences": differences(&change.differences, "before", "after"),
            })
        });
        let unread = self.unread.iter().map(|(what, why)| json!({"what": what, "why": why}));
        json!({
            "services": Value::from_iter(services),
            "changes": Value::from_iter(changes),
            "imports": self.imports,
            "unread": Value::from_iter(unread),
            "unknownBeforeApply": self.unknown,
        })
    }

    /// Tables, and what differs line by line.
    ///
    /// # Errors
    /// What writing fails with.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut table = Table::new();
        table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(["Service", "Runs", "Made of", "Template", "Differs", ""]);
        for (name, finding) in &self.services {
            let revision = |revision: &Option<_>| revision.as_ref().map(ToString::to_string).unwrap_or_default();
            let made_of =
                if finding.by_worker == Some(false) { "by other means".to_owned() } else { revision(&finding.base) };
            let kind = match finding.kind {
                Kind::Same => "no",
                Kind::Images => "images",
                Kind::NoTemplate => "unknown",
                Kind::Configuration => "yes",
                Kind::Planned => "not there yet",
                Kind::Absent => "absent",
            };
            let row = [
                name.clone(),
                revision(&finding.runs),
                made_of,
                revision(&finding.template),
                kind.to_owned(),
                finding.reason.clone(),
            ];
            table.add_row(row.map(|cell| printable(&cell)));
        }
        if !self.services.is_empty() {
            writeln!(out, "{table}")?;
        }
        for (name, finding) in self.services.iter().filter(|(_, finding)| finding.kind == Kind::Configuration) {
            lines(out, &format!("{name}, what runs → template"), &finding.differences)?;
        }
        for change in &self.changes {
            let what = match change.kind {
                ChangeKind::Images => "the plan would put another image into the task definition; releases do that",
                ChangeKind::Written => {
                    "the worker and autoscaling write this: have Terraform ignore it (lifecycle, ignore_changes)"
                }
                ChangeKind::Configuration => "the plan changes the configuration",
            };
            lines(out, &format!("{} ({}): {what}", change.address, change.actions.join(", ")), &change.differences)?;
        }
        if self.services.is_empty() && self.changes.is_empty() && self.unread.is_empty() {
            writeln!(out, "There is no service to look at.")?;
        }
        if !self.imports.is_empty() {
            writeln!(out, "\nExists already, and is to be imported:\n\n{}", imports::file(&self.imports))?;
        }
        Ok(())
    }

    /// What could not be read, for people.
    ///
    /// # Errors
    /// What writing fails with.
    pub fn write_unread(&self, err: &mut impl Write) -> io::Result<()> {
        for (what, why) in &self.unread {
            writeln!(err, "{} could not be read: {}", printable(what), printable(why))?;
        }
        if self.unknown > 0 {
            writeln!(err, "{} actions of pipelines name services that are not known before an apply", self.unknown)?;
        }
        Ok(())
    }
}

fn differences(all: &[Difference], is: &str, described: &str) -> Value {
    all.iter().map(|each| json!({"path": each.place(), is: each.is, described: each.described})).collect()
}

fn lines(out: &mut impl Write, head: &str, differences: &[Difference]) -> io::Result<()> {
    writeln!(out, "\n{}", printable(head))?;
    for difference in differences {
        let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        let (is, described) = (show(&difference.is), show(&difference.described));
        let image = if difference.is_image() { "   (a release's image)" } else { "" };
        writeln!(out, "  {}: {is} → {described}{image}", difference.place())?;
    }
    Ok(())
}
