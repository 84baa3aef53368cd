//! Which canary goes with a service, and where it goes back to.

use std::fmt;

use crate::deploy::rollback::way::Good;
use crate::deploy::task_definition::TaskDefinition;

/// Who says that two services are a pair, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Whoever asked for the rollback.
    Asked,
    /// The history of the full service: the action that deployed to it knew its canary.
    History,
    /// The tag `coalmine:canary` of the full service.
    Tag,
    /// The name, `<service>-canary`, and the same image repositories.
    Name,
}

impl fmt::Display for Says {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "as asked",
            Self::History => "by the history",
            Self::Tag => "by its tag",
            Self::Name => "by its name",
        })
    }
}

/// What is known of a service's canary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// What was asked for: a canary, or none.
    pub asked: Option<Option<String>>,
    /// What the history says.
    pub history: Option<String>,
    /// What the service's tag says.
    pub tag: Option<String>,
}

impl Hints {
    /// The canary, if anything but its name tells it. `Some(None)`: there is none.
    #[must_use]
    pub fn canary(&self) -> Option<Option<(String, Says)>> {
        let said = |name: &Option<String>, says| name.clone().map(|name| Some((name, says)));
        match &self.asked {
            Some(asked) => Some(asked.clone().map(|name| (name, Says::Asked))),
            None => said(&self.history, Says::History).or_else(|| said(&self.tag, Says::Tag)),
        }
    }
}

/// The name that a canary has where nothing else tells it.
#[must_use]
pub fn usual_name(service: &str) -> String {
    format!("{service}-canary")
}

/// The full service whose canary has this name, where nothing else tells it.
#[must_use]
pub fn usual_full(canary: &str) -> Option<&str> {
    canary.strip_suffix("-canary").filter(|full| !full.is_empty())
}

/// Whether a service of the usual name really is the canary: each of its containers that the full service has, too, runs an
/// image of the same repository, and there is one at least.
#[must_use]
pub fn is_alike(full: &TaskDefinition, canary: &TaskDefinition) -> bool {
    let repository = |image: &str| coalmine_pipeline::ImageReference::parse(image).map(|image| image.name().to_owned());
    let full: Vec<(String, String)> = full.images();
    let mut shared = 0;
    for (container, image) in canary.images() {
        let Some((_, other)) = full.iter().find(|(name, _)| *name == container) else { continue };
        match (repository(&image), repository(other)) {
            (Ok(one), Ok(other)) if one == other => shared += 1,
            _ => return false,
        }
    }
    shared > 0
}

/// What the canary ran when its full service ran `target`: the entry of the same release, else one with the same images.
/// `None`: there is none, and a copy with the target's images is needed.
#[must_use]
pub fn companion<'a>(target: &Good, canary: &'a [Good]) -> Option<&'a Good> {
    let of_release = |good: &&Good| good.release.is_some() && good.release == target.release;
    canary.iter().find(of_release).or_else(|| canary.iter().find(|good| runs_alike(good, target)))
}

/// Whether each container that both know ran the same digest, and they share one.
fn runs_alike(one: &Good, other: &Good) -> bool {
    let mut shared = one.digests.iter().filter_map(|(container, digest)| Some((digest, other.digests.get(container)?)));
    let mut any = false;
    shared.all(|(one, other)| {
        any = true;
        one == other
    }) && any
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn good(release: Option<&str>, revision: &str, digests: &[(&str, &str)]) -> Good {
        Good {
            returned: None,
            unfinished: false,
            over: None,
            release: release.map(str::to_owned),
            pipeline: String::new(),
            at: 0,
            revision: revision.parse().unwrap(),
            digests: digests.iter().map(|(name, digest)| ((*name).into(), (*digest).into())).collect(),
        }
    }

    fn definition(images: &[(&str, &str)]) -> TaskDefinition {
        let containers: Vec<_> = images.iter().map(|(name, image)| json!({"name": name, "image": image})).collect();
        TaskDefinition {
            revision: "app:1".parse().unwrap(),
            body: json!({"containerDefinitions": containers}),
            tags: BTreeMap::new(),
        }
    }

    #[test]
    fn the_strongest_word_on_a_pair_counts() {
        let all = Hints { asked: Some(Some("a".into())), history: Some("h".into()), tag: Some("t".into()) };
        assert_eq!(all.canary(), Some(Some(("a".into(), Says::Asked))));
        let none = Hints { asked: Some(None), ..all.clone() };
        assert_eq!(none.canary(), Some(None), "none was asked for");
        let history = Hints { asked: None, ..all.clone() };
        assert_eq!(history.canary(), Some(Some(("h".into(), Says::History))));
        let tag = Hints { asked: None, history: None, ..all };
        assert_eq!(tag.canary(), Some(Some(("t".into(), Says::Tag))));
        assert_eq!(Hints::default().canary(), None);
    }

    #[test]
    fn the_usual_names_lead_to_each_other() {
        assert_eq!(usual_full(&usual_name("shop")), Some("shop"));
        assert_eq!((usual_full("shop"), usual_full("-canary"), usual_full("shop-canary-2")), (None, None, None));
    }

    #[test]
    fn a_name_alone_makes_no_pair() {
        let full = definition(&[("app", "r/app:v2"), ("log", "fluent/bit:3")]);
        for (canary, expected) in [
            (&[("app", "r/app@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")][..], true),
            (&[("app", "r/app:v1"), ("debug", "busybox:1")], true),
            (&[("app", "r/other:v1")], false),
            (&[("app", "r/app:v1"), ("log", "other/bit:3")], false),
            (&[("web", "r/app:v1")], false),
        ] {
            assert_eq!(is_alike(&full, &definition(canary)), expected, "{canary:?}");
        }
    }

    #[test]
    fn a_canary_goes_where_it_was_with_that_release_else_to_the_same_images() {
        let target = good(Some("e-2"), "app:2", &[("app", "sha256:b")]);
        let past = [
            good(Some("e-3"), "canary:3", &[("app", "sha256:c")]),
            good(None, "canary:9", &[("app", "sha256:b"), ("log", "sha256:x")]),
            good(Some("e-2"), "canary:2", &[]),
        ];
        assert_eq!(companion(&target, &past).unwrap().revision.number, 2);
        assert_eq!(companion(&target, &past[..2]).unwrap().revision.number, 9);
        assert_eq!(companion(&target, &past[..1]), None);
        let unknown = good(None, "app:2", &[]);
        assert_eq!(companion(&unknown, &[good(None, "canary:2", &[])]), None, "nothing says that they are alike");
    }
}
