//! Verdicts in words: the path that keeps an image, or the rule that condemns it.

use coalmine_pipeline::{Digest, duration};

use super::make::{Judged, Plan};
use super::verdict::{Condemned, Kept, Verdict};
use crate::inventory::{Image, Life, Manifest};

impl Plan<'_> {
    /// The images that a text means in a repository: a digest or a tag, and all of them for an empty text. Each by its
    /// repository and its place there.
    pub fn find(&self, repository: &str, text: &str) -> Vec<(&Judged<'_>, usize)> {
        let digest = Digest::parse(text).ok();
        let means = |image: &Image| {
            text.is_empty() || digest == Some(image.digest) || image.tags.iter().any(|tag| **tag == *text)
        };
        let judged = self.repositories.iter().filter(|judged| judged.repository.name == repository);
        judged
            .flat_map(|judged| {
                (0..).zip(judged.listed()).filter(|(_, image)| means(image)).map(move |(at, _)| (judged, at))
            })
            .collect()
    }

    /// Why an image stays or goes, in one line. `at` is its place in the repository.
    pub fn why(&self, judged: &Judged<'_>, at: usize) -> String {
        match judged.verdicts.get(at) {
            None => String::new(),
            Some(Verdict::Delete(condemned)) => self.condemned(judged, condemned),
            Some(Verdict::Keep(_)) => self.kept(judged, at),
        }
    }

    fn kept(&self, judged: &Judged<'_>, at: usize) -> String {
        let mut hops: Vec<String> = Vec::new();
        let mut at = at;
        // A path is not longer than there are images: whatever keeps was kept before.
        for _ in 0..=judged.verdicts.len() {
            let Some(Verdict::Keep(kept)) = judged.verdicts.get(at) else { break };
            let (keeper, hop) = match kept {
                Kept::Child(keeper) => (*keeper as usize, self.child(judged, *keeper as usize, at)),
                Kept::Referrer(keeper) => (*keeper as usize, format!("referrer {}", name(judged, at))),
                reason => {
                    let subject = if hops.is_empty() { String::new() } else { format!("{}: ", name(judged, at)) };
                    hops.push(format!("{subject}{}", self.reason(judged, at, *reason)));
                    break;
                }
            };
            hops.push(hop);
            at = keeper;
        }
        hops.reverse();
        hops.join(" → ")
    }

    /// A child's name with its platform.
    fn child(&self, judged: &Judged<'_>, keeper: usize, at: usize) -> String {
        let (index, child) = (judged.listed().get(keeper), judged.listed().get(at));
        let platform = index.zip(child).and_then(|(index, child)| {
            let Manifest::Read(children) = self.snapshot.manifests.get(&index.digest)? else { return None };
            children.iter().find(|listed| listed.digest == child.digest)?.platform.clone()
        });
        let platform = platform.map(|platform| format!(" ({platform})")).unwrap_or_default();
        format!("child {}{platform}", name(judged, at))
    }

    fn reason(&self, judged: &Judged<'_>, at: usize, kept: Kept) -> String {
        let rule = judged.rule;
        match kept {
            Kept::Root(root) => {
                self.roots.roots.get(root as usize).map_or_else(|| "a root".to_owned(), ToString::to_string)
            }
            Kept::Child(_) | Kept::Referrer(_) => String::new(),
            Kept::Untouched => "no rule names its repository".to_owned(),
            Kept::Frozen => {
                let reasons: Vec<String> = judged.frozen.iter().map(ToString::to_string).collect();
                format!("its repository is frozen: {}", reasons.join("; "))
            }
            Kept::Archived => "it is in the archive, or being restored from it".to_owned(),
            Kept::Unknown => unknown(judged.listed().get(at)),
            Kept::ProtectedTag => {
                let tags = judged.listed().get(at).map_or(&[][..], |image| &image.tags);
                let tag = tags.iter().find(|tag| rule.is_some_and(|rule| rule.protects(tag)));
                format!("its tag {} is protected", tag.map_or("", |tag| tag))
            }
            Kept::Newest => {
                let keep = rule.map_or(1, |rule| rule.keep_newest);
                format!("one of the {keep} newest of its repository")
            }
            Kept::Young(life, when) => {
                let days = rule.and_then(|rule| rule.min_age.to_std().ok()).map(duration::show_long);
                format!("{} {}, not longer than {} ago", words(life), when.format("%Y-%m-%d"), days.unwrap_or_default())
            }
            Kept::Quarantined(since) => {
                let guards = &self.policy.guards;
                let time = guards.quarantine.to_std().map(duration::show_long).unwrap_or_default();
                format!("old and unreferenced since {}, waits for {time}", since.format("%Y-%m-%d %H:%M"))
            }
            Kept::Guarded => {
                let limit = judged.guard.map_or(0, |guard| guard.limit);
                format!("old and unreferenced, but a guard lets no more than {limit} images go in one run")
            }
            Kept::Incomplete => {
                let first = self.gaps.first().map(ToString::to_string).unwrap_or_default();
                format!("old and unreferenced, but the scan was incomplete: {first}")
            }
        }
    }

    fn condemned(&self, judged: &Judged<'_>, condemned: &Condemned) -> String {
        let rule = judged.rule;
        let age = rule.and_then(|rule| rule.min_age.to_std().ok()).map(duration::show_long).unwrap_or_default();
        format!(
            "rule {:?}: {} {}, longer than {age} ago; unreferenced since {} or longer",
            rule.map_or("", |rule| &rule.name),
            words(condemned.life.0),
            condemned.life.1.format("%Y-%m-%d"),
            condemned.since.format("%Y-%m-%d %H:%M"),
        )
    }
}

fn words(life: Life) -> &'static str {
    match life {
        Life::Pushed => "pushed",
        Life::Pulled => "last pulled",
        Life::Activated => "restored from the archive",
    }
}

fn unknown(image: Option<&Image>) -> String {
    match image {
        Some(image) if image.media_type.is_unknown() => {
            format!("it is not known what it is: its media type is {}", image.media_type)
        }
        Some(image) if image.pushed.is_none() => "its age is not known: it has no push date".to_owned(),
        _ => "its status is not known".to_owned(),
    }
}

/// An image for people: a tag where it has one, and the digest.
fn name(judged: &Judged<'_>, at: usize) -> String {
    let Some(image) = judged.listed().get(at) else { return String::new() };
    let tag = image.tags.first().map(|tag| format!("{tag} ")).unwrap_or_default();
    format!("{tag}{}", image.digest)
}
