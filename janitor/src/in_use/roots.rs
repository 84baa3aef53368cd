//! The roots: every image reference that counts, with the path that leads to it.

use std::fmt;

use chrono::{DateTime, Utc};

use super::recent::Recency;
use super::{Arn, Content, Definition, InUse, Step, Used};
use crate::memory::Memory;
use crate::policy::Recent;

/// All roots of a scan.
#[derive(Debug, Default)]
pub struct Roots<'a> {
    /// In an order that does not depend on the order of the input. Of several roots of an image the first one is shown:
    /// what runs comes before what could run.
    pub roots: Vec<Root<'a>>,
    /// What had to be known and is not. Any of it makes the scan incomplete.
    pub unread: Vec<Missing>,
    /// Task definitions that something refers to and that do not exist any more. Nothing can start from these. One that is
    /// listed as ACTIVE, or that a service or task has, is unread instead.
    pub gone: Vec<Missing>,
}

/// Something that keeps an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root<'a> {
    /// Whether the revision alone is the root, because it is recent; such roots come last.
    recency: Option<Recency>,
    by: &'a [Step],
    definition: Option<(&'a Arn, &'a str, u32)>,
    container: Option<&'a str>,
    /// What it keeps.
    pub wanted: Wanted<'a>,
}

/// What a root keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted<'a> {
    /// An image by a text, and by the digest that runs.
    Image(&'a str, Option<&'a str>),
    /// A digest in whatever repository.
    Digest(&'a str),
    /// A whole repository.
    Repository(&'a str),
}

/// A task definition that is missing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// Its ARN.
    pub arn: Arn,
    /// Who needs it.
    pub by: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.arn, self.by)
    }
}

impl InUse {
    /// Every root, at `now`.
    pub fn roots<'a>(&'a self, recent: &Recent, memory: &'a Memory, now: DateTime<Utc>) -> Roots<'a> {
        let mut found = Roots::default();
        for one in &self.uses {
            match &one.of {
                Used::Definition(arn) => found.add(&one.by, arn, self.definitions.get(arn), None),
                Used::Image { text, digest } => found.push(&one.by, Wanted::Image(text, digest.as_deref())),
                Used::Digest(digest) => found.push(&one.by, Wanted::Digest(digest)),
                Used::Repository(name) => found.push(&one.by, Wanted::Repository(name)),
            }
        }
        self.recent(recent, memory, now, |arn, definition, recency| {
            found.add(&[], arn, definition, Some(recency));
        });
        found.roots.sort_unstable();
        found.roots.dedup();
        found.roots.shrink_to_fit();
        for missing in [&mut found.unread, &mut found.gone] {
            missing.sort_unstable();
            missing.dedup();
        }
        found
    }

    /// The ARNs whose content has to be read before [`InUse::roots`] lacks nothing: recent revisions, and those that
    /// something refers to. Reading them may show that further ones are recent: ask again until the answer is empty.
    pub fn unread(&self, recent: &Recent, memory: &Memory, now: DateTime<Utc>) -> Vec<Arn> {
        let mut arns: Vec<Arn> =
            self.roots(recent, memory, now).unread.into_iter().map(|missing| missing.arn).collect();
        arns.dedup();
        arns
    }
}

impl<'a> Roots<'a> {
    fn push(&mut self, by: &'a [Step], wanted: Wanted<'a>) {
        self.roots.push(Root { recency: None, by, definition: None, container: None, wanted });
    }

    /// Adds the containers of a task definition.
    fn add(&mut self, by: &'a [Step], arn: &'a Arn, known: Option<&'a Definition>, recency: Option<Recency>) {
        let missing = || Missing {
            arn: Arn::clone(arn),
            by: recency.map_or_else(|| shown(by.iter()), |recency| recency.to_string()),
        };
        match known.map(|definition| (definition, &definition.content)) {
            None | Some((_, Content::NotRead)) => self.unread.push(missing()),
            // ECS deletes no revision that is ACTIVE, or that a service or a task has. Who says so has not heard of it yet.
            Some((definition, Content::Gone)) if definition.is_active || is_live(by) => self.unread.push(missing()),
            Some((_, Content::Gone)) => self.gone.push(missing()),
            Some((definition, Content::Read { containers, .. })) => {
                self.roots.extend(containers.iter().map(|(container, image)| Root {
                    recency,
                    by,
                    definition: Some((arn, &definition.family, definition.revision)),
                    container: Some(container),
                    wanted: Wanted::Image(image, None),
                }));
            }
        }
    }
}

impl<'a> Root<'a> {
    /// Why the revision is a root by itself; `None` if something else refers to it.
    pub fn recency(&self) -> Option<Recency> {
        self.recency
    }

    /// The task definition on the path.
    pub fn arn(&self) -> Option<&'a Arn> {
        self.definition.map(|(arn, ..)| arn)
    }
}

impl fmt::Display for Root<'_> {
    /// The path for people: `service prod/app → deployment ecs-svc/123 → task definition app:41 → container web → …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in self.by {
            write!(f, "{step} → ")?;
        }
        if let Some((_, family, revision)) = self.definition {
            write!(f, "task definition {family}:{revision}")?;
            if let Some(recency) = self.recency {
                write!(f, " ({recency})")?;
            }
            f.write_str(" → ")?;
        }
        if let Some(container) = self.container {
            write!(f, "container {container} → ")?;
        }
        match self.wanted {
            Wanted::Image(text, None) | Wanted::Digest(text) => f.write_str(text),
            Wanted::Image(text, Some(digest)) => write!(f, "{text} → {digest}"),
            Wanted::Repository(name) => write!(f, "all of {name}"),
        }
    }
}

/// Whether a path begins at what has its task definition now, and not at what only names it.
fn is_live(by: &[Step]) -> bool {
    let is_history = by.iter().any(|step| matches!(step, Step::ServiceDeployment(..)));
    matches!(by.first(), Some(Step::Service(..) | Step::ExpressService(_) | Step::Task(..))) && !is_history
}

fn shown<'a>(steps: impl Iterator<Item = &'a Step>) -> String {
    steps.map(ToString::to_string).collect::<Vec<_>>().join(" → ")
}
