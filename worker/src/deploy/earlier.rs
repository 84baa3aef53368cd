//! What a service's other deployments mean for a release: one that is in progress, one that was successful before.

use std::collections::BTreeMap;

use crate::deploy::batch::Percents;
use crate::deploy::preflight::Asked;
use crate::deploy::revision::Revision;
use crate::deploy::view::{Service, ServiceRevision};

/// A deployment that a service is in the middle of.
#[derive(Clone, Debug, PartialEq)]
pub struct InProgress {
    /// Its ARN.
    pub deployment: String,
    /// What it brings.
    pub revision: Revision,
    /// The execution that registered that, where a worker did.
    pub execution: Option<String>,
}

/// Who gave a service percents that are not its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lender {
    /// An action that goes on.
    Execution {
        /// The pipeline's name.
        pipeline: String,
        /// The pipeline execution's id.
        execution: String,
    },
    /// An operator's command, a short time ago.
    Command,
}

impl Lender {
    /// What is waited for, for people; `own` are the service's percents.
    #[must_use]
    pub fn told(&self, service: &Service, own: Percents) -> String {
        let who = match self {
            Self::Execution { pipeline, execution } => format!("execution {execution} of pipeline {pipeline}"),
            Self::Command => "a rollback".to_owned(),
        };
        format!("{who} has yet to give {} its percents {own} back", service.label())
    }
}

/// Whose deployment a service is in the middle of, for people; `execution` is this one.
#[must_use]
pub fn under_way(in_progress: Option<&InProgress>, service: &Service, execution: &str) -> String {
    // What was looked up may be over by now.
    let current = |found: &&InProgress| service.current_deployment.as_ref() == Some(&found.deployment);
    let Some(found) = in_progress.filter(current) else {
        return format!("a deployment of {} to {} is in progress", service.revision, service.label());
    };
    let whose = match found.execution.as_deref() {
        Some(own) if own == execution => "an earlier try of this execution".to_owned(),
        Some(other) => format!("execution {other}"),
        None => "somebody else".to_owned(),
    };
    let id = found.deployment.rsplit('/').next().unwrap_or(&found.deployment);
    format!("deployment {id} by {whose} is in progress ({} to {})", found.revision, service.label())
}

/// Whether a service revision ran all that is asked for, by the digests that ECS recorded.
#[must_use]
pub fn ran(earlier: &ServiceRevision, asked: &[Asked]) -> bool {
    let is_among = |asked: &Asked| {
        let (ran, wanted) = (earlier.digests.get(&asked.container), asked.answer.as_ref().ok());
        ran.zip(wanted).is_some_and(|(ran, wanted)| *ran == wanted.digest.to_string() || wanted.children.contains(ran))
    };
    !asked.is_empty() && asked.iter().all(is_among)
}

/// Container → the digest that is asked for.
#[must_use]
pub fn digests(asked: &[Asked]) -> BTreeMap<String, String> {
    let digest = |asked: &Asked| Some((asked.container.clone(), asked.answer.as_ref().ok()?.digest.to_string()));
    asked.iter().filter_map(digest).collect()
}

/// ` with app=sha256:…`, or nothing.
#[must_use]
pub fn shown(digests: &BTreeMap<String, String>) -> String {
    let list: Vec<String> = digests.iter().map(|(container, digest)| format!("{container}={digest}")).collect();
    if list.is_empty() { String::new() } else { format!(" with {}", list.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::fixtures::service;
    use crate::deploy::release::Resolved;
    use coalmine_pipeline::{Digest, ImageReference};

    const INDEX: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const CHILD: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn asked(container: &str) -> Asked {
        let resolved = Resolved {
            digest: Digest::parse(INDEX).unwrap(),
            children: [CHILD.to_owned()].into(),
            architectures: None,
            immutable: true,
            archived: false,
        };
        let reference = ImageReference::parse("123456789012.dkr.ecr.eu-central-1.amazonaws.com/app:v2").unwrap();
        Asked { container: container.into(), reference, answer: Ok(resolved) }
    }

    fn earlier(digests: &[(&str, &str)]) -> ServiceRevision {
        let digests = digests.iter().map(|(container, digest)| ((*container).into(), (*digest).into())).collect();
        ServiceRevision { arn: "arn".into(), revision: "app:1".parse().unwrap(), digests }
    }

    #[test]
    fn a_deployment_ran_a_release_if_it_ran_every_image_of_it() {
        let (one, two) = ([asked("app")], [asked("app"), asked("proxy")]);
        assert!(ran(&earlier(&[("app", INDEX)]), &one));
        assert!(ran(&earlier(&[("app", CHILD), ("log", "sha256:0")]), &one), "ECS may record the platform's image");
        assert!(!ran(&earlier(&[("app", INDEX)]), &two));
        assert!(!ran(&earlier(&[]), &one), "nothing was recorded");
        assert!(!ran(&earlier(&[("app", INDEX)]), &[]), "nothing is asked for");
        let unknown = [Asked { answer: Err("not found".into()), ..asked("app") }];
        assert!(!ran(&earlier(&[("app", INDEX)]), &unknown));
    }

    #[test]
    fn a_deployment_in_progress_is_told_with_its_owner_and_only_while_it_is_the_services() {
        let mut app = service("app", 4, "app:2");
        app.current_deployment = Some("arn:aws:ecs:…:service-deployment/main/app/d1".into());
        let found = |execution: Option<&str>| InProgress {
            deployment: "arn:aws:ecs:…:service-deployment/main/app/d1".into(),
            revision: "app:2".parse().unwrap(),
            execution: execution.map(str::to_owned),
        };
        for (execution, whose) in
            [(Some("e-2"), "execution e-2"), (Some("e-1"), "an earlier try of this execution"), (None, "somebody else")]
        {
            let told = under_way(Some(&found(execution)), &app, "e-1");
            assert_eq!(told, format!("deployment d1 by {whose} is in progress (app:2 to main/app)"));
        }
        app.current_deployment = Some("arn:aws:ecs:…:service-deployment/main/app/d2".into());
        let told = under_way(Some(&found(Some("e-2"))), &app, "e-1");
        assert_eq!(told, "a deployment of app:2 to main/app is in progress");
    }
}
