//! Whether what a service is to go back to can still be deployed.

use coalmine_pipeline::ImageReference;

use crate::deploy::release::{Image, Resolved};
use crate::deploy::rollback::way::Good;
use crate::deploy::task_definition::TaskDefinition;

/// One image of a task definition, and what its registry says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Looked {
    /// The container.
    pub container: String,
    /// The image as the task definition names it.
    pub written: String,
    /// The registry's answer.
    pub answer: Answer,
}

/// What a registry says of an image.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It is there.
    Found(Box<(ImageReference, Resolved)>),
    /// It cannot be pulled, because of this.
    Wrong(String),
    /// Nobody here can look: it is in no registry of ECR, or in one that does not let us.
    Unknown(String),
}

/// Whether a container's image is part of what is gone back to. A release names containers; what runs beside them is the
/// task definition's, as it was when it was deployed. Where only ECS remembers a deployment, all containers may be meant.
#[must_use]
pub fn is_meant(target: &Good, container: &str) -> bool {
    !target.names_its_containers() || target.digests.contains_key(container)
}

/// The images that count as the release, or everything that keeps the target's revision from being deployed.
///
/// `looked`: the images that are meant. One that nobody here can look at was pulled before: it keeps nothing back unless the
/// release named it, or no other image is left by which tasks could be counted.
///
/// # Errors
/// Each problem as a sentence.
pub fn images(
    target: &Good,
    definition: Option<&TaskDefinition>,
    looked: &[Looked],
) -> Result<Vec<Image>, Vec<String>> {
    let revision = &target.revision;
    let Some(definition) = definition else {
        return Err(vec![format!("task definition {revision} is gone")]);
    };
    let mut problems = Vec::new();
    if let Some(status) = definition.status().filter(|_| !definition.is_active()) {
        problems.push(format!("task definition {revision} is {status}, expected ACTIVE"));
    }
    let (mut images, mut unknown) = (Vec::new(), Vec::new());
    for Looked { container, written, answer } in looked {
        match answer {
            Answer::Wrong(problem) => problems.push(format!("container {container}: image {written} {problem}")),
            Answer::Unknown(problem) => unknown.push(format!("container {container}: image {written} {problem}")),
            Answer::Found(found) if found.1.archived => problems
                .push(format!("container {container}: image {written} is archived and cannot be pulled: restore it")),
            Answer::Found(found) => {
                let (reference, resolved) = &**found;
                let image = Image::new(container, reference, resolved);
                match target.digests.get(container).filter(|ran| !image.digests.contains(*ran)) {
                    // What a task would pull is not what was good.
                    Some(ran) => problems.push(format!(
                        "container {container}: image {written} names {} now, but it ran {ran}",
                        resolved.digest
                    )),
                    None => images.push(image),
                }
            }
        }
    }
    if images.is_empty() || target.names_its_containers() {
        problems.extend(unknown);
    }
    if problems.is_empty() { Ok(images) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use coalmine_pipeline::Digest;
    use serde_json::json;

    const IMAGE: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/app:v1";

    fn digest(letter: &str) -> String {
        format!("sha256:{}", letter.repeat(64))
    }

    fn looked(archived: bool) -> Looked {
        let resolved = Resolved {
            digest: Digest::parse(&digest("a")).unwrap(),
            children: [digest("b")].into(),
            architectures: None,
            immutable: true,
            archived,
        };
        let answer = Answer::Found(Box::new((ImageReference::parse(IMAGE).unwrap(), resolved)));
        Looked { container: "app".into(), written: IMAGE.into(), answer }
    }

    fn definition(status: &str) -> TaskDefinition {
        TaskDefinition { revision: "app:1".parse().unwrap(), body: json!({"status": status}), tags: BTreeMap::new() }
    }

    /// A release on record, with the digest that container `app` ran.
    fn ran(digest: Option<String>) -> Good {
        Good {
            release: Some("e-1".into()),
            pipeline: "app".into(),
            at: 0,
            revision: "app:1".parse().unwrap(),
            digests: digest.map(|digest| ("app".to_owned(), digest)).into_iter().collect(),
            returned: None,
            unfinished: false,
            over: None,
        }
    }

    fn said(definition: Option<&TaskDefinition>, looked: &Looked, target: &Good) -> String {
        let found = images(target, definition, std::slice::from_ref(looked));
        found.map_or_else(|problems| problems.join("\n"), |images| images[0].digest.to_string())
    }

    #[test]
    fn what_can_be_deployed_is_told_from_what_cannot() {
        let (active, gone) = (
            definition("ACTIVE"),
            Looked { answer: Answer::Wrong("is not in the repository".into()), ..looked(false) },
        );
        assert_eq!(said(Some(&active), &looked(false), &ran(None)), digest("a"));
        assert_eq!(said(Some(&active), &looked(false), &ran(Some(digest("a")))), digest("a"));
        assert_eq!(said(Some(&active), &looked(false), &ran(Some(digest("b")))), digest("a"), "a child of the index");
        assert_eq!(said(None, &looked(false), &ran(None)), "task definition app:1 is gone");
        assert_eq!(said(Some(&definition("NEWER_THAN_THIS")), &looked(false), &ran(None)), digest("a"), "no verdict");
        assert_eq!(
            said(Some(&definition("INACTIVE")), &gone, &ran(None)),
            format!(
                "task definition app:1 is INACTIVE, expected ACTIVE\ncontainer app: image {IMAGE} is not in the repository"
            )
        );
        assert_eq!(
            said(Some(&active), &looked(true), &ran(None)),
            format!("container app: image {IMAGE} is archived and cannot be pulled: restore it")
        );
        assert_eq!(
            said(Some(&active), &looked(false), &ran(Some(digest("c")))),
            format!("container app: image {IMAGE} names {} now, but it ran {}", digest("a"), digest("c"))
        );
    }

    #[test]
    fn what_a_release_did_not_name_keeps_nothing_back() {
        let on_record = ran(Some(digest("a")));
        assert!(is_meant(&on_record, "app") && !is_meant(&on_record, "logs"));
        assert!(is_meant(&ran(None), "logs"), "nothing is on record of it");
        let remembered = Good { release: None, ..on_record.clone() };
        assert!(is_meant(&remembered, "logs"), "ECS knows containers, not releases");
        let blind = Looked {
            container: "logs".into(),
            written: "public/logs:1".into(),
            answer: Answer::Unknown("is elsewhere".into()),
        };
        let (active, both) = (definition("ACTIVE"), [looked(false), blind]);
        let found = images(&remembered, Some(&active), &both).expect("it can be deployed");
        assert_eq!(found.iter().map(|image| image.container.as_str()).collect::<Vec<_>>(), ["app"]);
        for (target, looked) in [(&remembered, &both[1..]), (&on_record, &both[..])] {
            let problems = images(target, Some(&active), looked).expect_err("nobody can tell");
            assert_eq!(problems, ["container logs: image public/logs:1 is elsewhere"]);
        }
    }
}
