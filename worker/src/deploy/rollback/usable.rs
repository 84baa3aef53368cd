//! Whether what a service is to go back to can still be deployed.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::deploy::release::{Image, Resolved};
use crate::deploy::revision::Revision;
use crate::deploy::task_definition::TaskDefinition;
use coalmine_pipeline::ImageReference;

/// One image of a task definition, and what its registry says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Looked {
    /// The container.
    pub container: String,
    /// The image as the task definition names it.
    pub written: String,
    /// The registry's answer, or why there is none.
    pub answer: Result<(ImageReference, Resolved), String>,
}

/// The images that count as the release, or everything that keeps the revision from being deployed. `ran`: container →
/// digest that it ran with, as far as that is on record.
///
/// # Errors
/// Each problem as a sentence.
pub fn images(
    revision: &Revision,
    definition: Option<&TaskDefinition>,
    looked: &[Looked],
    ran: &BTreeMap<String, String>,
) -> Result<Vec<Image>, Vec<String>> {
    let Some(definition) = definition else {
        return Err(vec![format!("task definition {revision} is gone")]);
    };
    let mut problems = Vec::new();
    if let Some(status) = definition.body.get("status").and_then(Value::as_str).filter(|status| *status != "ACTIVE") {
        problems.push(format!("task definition {revision} is {status}, expected ACTIVE"));
    }
    let mut images = Vec::new();
    for Looked { container, written, answer } in looked {
        match answer {
            Err(problem) => problems.push(format!("container {container}: image {written} {problem}")),
            Ok((_, resolved)) if resolved.archived => problems
                .push(format!("container {container}: image {written} is archived and cannot be pulled: restore it")),
            Ok((reference, resolved)) => {
                let image = Image::new(container, reference, resolved);
                match ran.get(container).filter(|ran| !image.digests.contains(*ran)) {
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
    if problems.is_empty() { Ok(images) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
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
        let answer = Ok((ImageReference::parse(IMAGE).unwrap(), resolved));
        Looked { container: "app".into(), written: IMAGE.into(), answer }
    }

    fn definition(status: &str) -> TaskDefinition {
        TaskDefinition { revision: "app:1".parse().unwrap(), body: json!({"status": status}), tags: BTreeMap::new() }
    }

    fn ran(digest: Option<String>) -> BTreeMap<String, String> {
        digest.map(|digest| ("app".to_owned(), digest)).into_iter().collect()
    }

    fn said(definition: Option<&TaskDefinition>, looked: &Looked, ran: &BTreeMap<String, String>) -> String {
        let found = images(&"app:1".parse().unwrap(), definition, std::slice::from_ref(looked), ran);
        found.map_or_else(|problems| problems.join("\n"), |images| images[0].digest.to_string())
    }

    #[test]
    fn what_can_be_deployed_is_told_from_what_cannot() {
        let (active, gone) =
            (definition("ACTIVE"), Looked { answer: Err("is not in the repository".into()), ..looked(false) });
        assert_eq!(said(Some(&active), &looked(false), &ran(None)), digest("a"));
        assert_eq!(said(Some(&active), &looked(false), &ran(Some(digest("a")))), digest("a"));
        assert_eq!(said(Some(&active), &looked(false), &ran(Some(digest("b")))), digest("a"), "a child of the index");
        assert_eq!(said(None, &looked(false), &ran(None)), "task definition app:1 is gone");
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
}
