//! Digests that a service was rolled back from: Canary and Full refuse them until somebody allows them.

use std::collections::BTreeSet;

use coalmine_pipeline::Digest;
use serde::{Deserialize, Serialize};

use crate::deploy::preflight::Asked;
use crate::deploy::view::Time;

/// A digest that a service was rolled back from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The digest.
    pub digest: String,
    /// The release that had it; empty where that is not known.
    #[serde(default)]
    pub release: String,
    /// When it was rolled back, in epoch seconds.
    pub at: i64,
    /// Who did it.
    pub by: String,
    /// Why, for people; may be empty.
    pub why: String,
}

/// What is asked for and was rolled back, each as a sentence that says how to allow it. ECS may have recorded the digest of
/// an index or that of the platform's image.
#[must_use]
pub fn problems(asked: &[Asked], refused: &[Refused], allowed: &BTreeSet<Digest>, service: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for asked in asked {
        let Ok(resolved) = &asked.answer else { continue };
        let digest = resolved.digest.to_string();
        let found =
            refused.iter().find(|refused| refused.digest == digest || resolved.children.contains(&refused.digest));
        let Some(found) = found else { continue };
        let is_allowed =
            allowed.iter().any(|allowed| *allowed == resolved.digest || allowed.to_string() == found.digest);
        if is_allowed {
            continue;
        }
        let when = Time::from_timestamp(found.at, 0).unwrap_or_default().format("%F %R UTC");
        let release = if found.release.is_empty() { String::new() } else { format!(", release {}", found.release) };
        let why = if found.why.is_empty() { String::new() } else { format!(" ({})", found.why) };
        problems.push(format!(
            "container {}: image {} is {digest}, from which {service} was rolled back on {when} by {}{why}{release}: to deploy it all the same, set allow={digest} in Options",
            asked.container, asked.reference, found.by
        ));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::release::Resolved;
    use coalmine_pipeline::ImageReference;

    fn digest(letter: &str) -> String {
        format!("sha256:{}", letter.repeat(64))
    }

    fn asked() -> [Asked; 1] {
        let resolved = Resolved {
            digest: Digest::parse(&digest("a")).unwrap(),
            children: [digest("b")].into(),
            architectures: None,
            immutable: true,
            archived: false,
        };
        let reference = ImageReference::parse("123456789012.dkr.ecr.eu-central-1.amazonaws.com/app:v2").unwrap();
        [Asked { container: "app".into(), reference, answer: Ok(resolved) }]
    }

    fn refused(letter: &str) -> [Refused; 1] {
        let (by, why) = ("ann".to_owned(), "errors doubled".to_owned());
        [Refused { digest: digest(letter), release: "e-2".into(), at: 1_796_000_000, by, why }]
    }

    #[test]
    fn a_digest_that_was_rolled_back_is_refused_until_it_is_allowed() {
        let allow = |letter: &str| BTreeSet::from([Digest::parse(&digest(letter)).unwrap()]);
        for (letter, allowed, expected) in [
            ("a", BTreeSet::new(), 1),
            ("b", BTreeSet::new(), 1),
            ("c", BTreeSet::new(), 0),
            ("a", allow("a"), 0),
            ("b", allow("a"), 0),
            ("b", allow("b"), 0),
            ("a", allow("c"), 1),
        ] {
            assert_eq!(
                problems(&asked(), &refused(letter), &allowed, "main/app").len(),
                expected,
                "{letter} {allowed:?}"
            );
        }
        assert_eq!(
            problems(&asked(), &refused("a"), &BTreeSet::new(), "main/app"),
            [format!(
                "container app: image 123456789012.dkr.ecr.eu-central-1.amazonaws.com/app:v2 is {0}, from which main/app was rolled back on 2026-11-30 00:53 UTC by ann (errors doubled), release e-2: to deploy it all the same, set allow={0} in Options",
                digest("a")
            )]
        );
    }
}
