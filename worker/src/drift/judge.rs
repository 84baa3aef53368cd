//! What a difference means: the rest of a release, a change that is on its way, or somebody's hand.

use serde::Serialize;

use crate::deploy::revision::Revision;
use crate::deploy::task_definition::TaskDefinition;
use crate::drift::compare::{self, Difference};

/// What was read of a service that is there.
#[derive(Clone, Debug)]
pub struct Running {
    /// The task definition that the service is told to run.
    pub runs: TaskDefinition,
    /// The template.
    pub template: Template,
}

/// What was read of a service's template.
#[derive(Clone, Debug)]
pub enum Template {
    /// Nobody named a family: the next release copies what runs.
    None,
    /// The family has no ACTIVE revision.
    Empty(String),
    /// The family's newest revision.
    Newest(TaskDefinition),
}

/// The answers, from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Nothing differs.
    Same,
    /// Images alone differ: that is what a release leaves behind.
    Images,
    /// There is no template to compare with.
    NoTemplate,
    /// The service is not there yet: the plan would make it.
    Planned,
    /// Something else differs.
    Configuration,
    /// The service is not there.
    Absent,
}

/// An answer with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The answer.
    pub kind: Kind,
    /// Why, and what follows.
    pub reason: String,
    /// Whether what runs was registered by a worker; `None` where nothing runs.
    pub by_worker: Option<bool>,
    /// What the service is told to run.
    pub runs: Option<Revision>,
    /// What a worker made that of.
    pub base: Option<Revision>,
    /// The template's newest revision.
    pub template: Option<Revision>,
    /// All differences, images too.
    pub differences: Vec<Difference>,
}

/// Compares what a service runs with its template.
#[must_use]
pub fn service(Running { runs, template }: &Running) -> Finding {
    let base = runs.base();
    let (kind, reason, newest, differences) = match template {
        Template::None => (Kind::NoTemplate, "it has no template: a release copies what runs".to_owned(), None, vec![]),
        Template::Empty(family) => {
            let reason = format!("the template {family} has no active revision: the next release would fail");
            (Kind::Configuration, reason, None, vec![])
        }
        Template::Newest(newest) => {
            let differences = compare::definitions(runs, newest);
            let kind = kind_of(&differences);
            (kind, reason(kind, base.as_ref(), &newest.revision), Some(newest.revision.clone()), differences)
        }
    };
    Finding {
        kind,
        reason,
        by_worker: Some(runs.by_worker()),
        runs: Some(runs.revision.clone()),
        base,
        template: newest,
        differences,
    }
}

/// There is no such service, or it is not ACTIVE; and whether a plan would make it.
#[must_use]
pub fn absent(planned: bool) -> Finding {
    let (kind, reason) = if planned {
        (Kind::Planned, "it is not there yet: the plan would make it")
    } else {
        (Kind::Absent, "there is no such service")
    };
    Finding {
        kind,
        reason: reason.to_owned(),
        by_worker: None,
        runs: None,
        base: None,
        template: None,
        differences: Vec::new(),
    }
}

/// What kind of difference some differences are together.
#[must_use]
pub fn kind_of(differences: &[Difference]) -> Kind {
    match differences {
        [] => Kind::Same,
        all if all.iter().all(Difference::is_image) => Kind::Images,
        _ => Kind::Configuration,
    }
}

fn reason(kind: Kind, base: Option<&Revision>, newest: &Revision) -> String {
    match (kind, base) {
        (Kind::Same, _) => "what runs is what the template says".to_owned(),
        (Kind::Images, Some(_)) => "only images differ, as a release leaves it".to_owned(),
        (Kind::Images, None) => "only images differ; it was not deployed by a worker".to_owned(),
        (_, Some(base)) if base.family == newest.family && base.number < newest.number => {
            format!("the template was changed after this release, {base} → {newest}: the next release brings it")
        }
        (_, Some(base)) if base == newest => {
            format!("it was made of {base} and yet differs: the next release brings the template")
        }
        (_, Some(base)) => format!("it was made of {base}, not of {newest}: the next release brings the template"),
        (_, None) => "it was not deployed by a worker: the next release brings the template instead".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use coalmine_pipeline::tags;
    use serde_json::json;

    use super::*;

    fn definition(revision: &str, image: &str, memory: &str, base: Option<&str>) -> TaskDefinition {
        let revision: Revision = revision.parse().unwrap();
        let mut own: BTreeMap<String, String> = [("team".to_owned(), "shop".to_owned())].into();
        if let Some(base) = base {
            own.insert(tags::EXECUTION.to_owned(), "e-1".to_owned());
            own.insert(tags::BASE.to_owned(), base.to_owned());
        }
        let body = json!({
            "taskDefinitionArn": format!("arn:aws:ecs:eu-central-1:123456789012:task-definition/{revision}"),
            "family": revision.family, "revision": revision.number, "registeredAt": f64::from(revision.number),
            "memory": memory, "containerDefinitions": [{"name": "app", "image": image}],
        });
        TaskDefinition { revision, body, tags: own }
    }

    #[test]
    fn a_service_is_judged_by_what_differs_and_by_what_it_was_made_of() {
        let template =
            |revision: &str, memory: &str| Template::Newest(definition(revision, "shop:unreleased", memory, None));
        let made = |base: Option<&str>| definition("app:7", "shop:v2", "512", base);
        let cases = [
            // What runs, the template, the answer, and words of the reason.
            (
                definition("app:1", "shop:unreleased", "512", None),
                template("app-template:1", "512"),
                Kind::Same,
                "what the template says",
            ),
            (made(Some("app-template:1")), template("app-template:1", "512"), Kind::Images, "as a release leaves it"),
            // A template that was registered anew, and says the same.
            (made(Some("app-template:1")), template("app-template:3", "512"), Kind::Images, "as a release leaves it"),
            (
                made(Some("app-template:1")),
                template("app-template:2", "1024"),
                Kind::Configuration,
                "app-template:1 → app-template:2: the next release brings it",
            ),
            (
                made(Some("app-template:2")),
                template("app-template:2", "1024"),
                Kind::Configuration,
                "made of app-template:2 and yet differs",
            ),
            // A newest revision older than the base: later ones were deregistered.
            (
                made(Some("app-template:4")),
                template("app-template:2", "1024"),
                Kind::Configuration,
                "made of app-template:4, not of app-template:2",
            ),
            (
                made(Some("app:6")),
                template("app-template:1", "1024"),
                Kind::Configuration,
                "made of app:6, not of app-template:1",
            ),
            (made(None), template("app-template:1", "1024"), Kind::Configuration, "not deployed by a worker"),
            (
                made(None),
                template("app-template:1", "512"),
                Kind::Images,
                "only images differ; it was not deployed by a worker",
            ),
            (made(None), Template::None, Kind::NoTemplate, "no template"),
            (
                made(None),
                Template::Empty("app-template".into()),
                Kind::Configuration,
                "app-template has no active revision",
            ),
        ];
        for (runs, template, kind, words) in cases {
            let by_worker = runs.by_worker();
            let found = service(&Running { runs, template });
            assert_eq!((found.kind, found.by_worker), (kind, Some(by_worker)), "{found:?}");
            assert!(found.reason.contains(words), "expected `{words}` in {found:?}");
        }
        assert_eq!(absent(false).kind, Kind::Absent);
        assert_eq!(absent(true).kind, Kind::Planned);
    }

    #[test]
    fn a_tag_is_configuration_and_a_workers_own_tags_are_not() {
        let mut runs = definition("app:7", "shop:v2", "512", Some("app-template:1"));
        let template = definition("app-template:1", "shop:unreleased", "512", None);
        let judged = |runs: &TaskDefinition| {
            service(&Running { runs: runs.clone(), template: Template::Newest(template.clone()) })
        };
        assert_eq!(judged(&runs).kind, Kind::Images);
        runs.tags.insert("team".to_owned(), "search".to_owned());
        let found = judged(&runs);
        assert_eq!(found.kind, Kind::Configuration);
        assert!(found.differences.iter().any(|difference| difference.place() == "tags/team"), "{found:?}");
    }
}
