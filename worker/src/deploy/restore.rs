//! What a canary goes back to: the images of the full service's last successful deployment.

use std::collections::{BTreeMap, BTreeSet};

use coalmine_pipeline::tags;

use crate::deploy::task_definition::{Copy, Purpose, TaskDefinition, copy};
use crate::deploy::view::ServiceRevision;

/// How a canary gets there.
#[derive(Clone, Debug, PartialEq)]
pub enum Restore {
    /// Its former revision already has these images, and can still be deployed.
    Former,
    /// Its former revision, with the full service's images, is registered.
    Register(Box<Copy>),
}

/// Whether a canary runs this execution's release. A copy with which it was returned is not it.
#[must_use]
pub fn is_ours(canary: &TaskDefinition, execution: &str) -> bool {
    canary.tags.get(tags::EXECUTION).is_some_and(|registered_for| registered_for == execution)
}

/// Whether a canary still runs what this execution brought to it, be it to return it. Full undoes its own release only: meanwhile another
/// pipeline may have brought another one, which people may be judging.
#[must_use]
pub fn is_by(canary: &TaskDefinition, execution: &str) -> bool {
    let returned = canary.tags.get(tags::RETURNED_BY).is_some_and(|returned_by| returned_by == execution);
    returned || is_ours(canary, execution)
}

/// Decides how. `former` is what the canary ran before (or runs now, where that is all that is known), `full` what the
/// full service's last successful deployment ran, with the digests that ECS pinned for it.
///
/// A tag may have moved since, so an image of the full service is taken by digest where ECS recorded one, unless it is
/// among `fixed`, the references whose tags cannot move. The canary's former revision serves only where it names the same
/// images in a form that cannot move.
#[must_use]
pub fn plan(
    former: &TaskDefinition,
    full: &TaskDefinition,
    pinned: &ServiceRevision,
    fixed: &BTreeSet<String>,
    purpose: Purpose,
) -> Restore {
    let full_images: BTreeMap<String, String> = full.images().into_iter().collect();
    let wanted: BTreeMap<String, String> = former
        .images()
        .into_iter()
        .filter_map(|(container, _)| {
            let image = full_images.get(&container)?;
            let certain = match pinned.digests.get(&container) {
                Some(digest) if !image.contains('@') && !fixed.contains(image) => by_digest(image, digest),
                _ => image.clone(),
            };
            Some((container, certain))
        })
        .collect();
    let same =
        former.images().iter().all(|(container, image)| wanted.get(container).is_none_or(|wanted| wanted == image));
    if same && former.is_active() {
        Restore::Former
    } else {
        Restore::Register(Box::new(copy(former, &former.revision.family, &wanted, purpose)))
    }
}

/// `repository:tag` → `repository@digest`. A colon before the last slash is a port.
fn by_digest(image: &str, digest: &str) -> String {
    let name_at = image.rfind('/').map_or(0, |slash| slash + 1);
    let end = image[name_at..].find(':').map_or(image.len(), |colon| name_at + colon);
    format!("{}@{digest}", &image[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn definition(revision: &str, image: &str) -> TaskDefinition {
        TaskDefinition {
            revision: revision.parse().unwrap(),
            body: json!({"containerDefinitions": [{"name": "app", "image": image}]}),
            tags: BTreeMap::new(),
        }
    }

    fn pinned(digest: Option<&str>) -> ServiceRevision {
        let digests = digest.map(|digest| ("app".to_owned(), digest.to_owned())).into_iter().collect();
        ServiceRevision { arn: "arn".into(), revision: "app:1".parse().unwrap(), digests }
    }

    fn by() -> Purpose {
        Purpose::Return("e".to_owned())
    }

    #[test]
    fn a_copy_that_returned_a_canary_is_by_its_execution_and_not_its_release() {
        let mut canary = definition("app-canary:5", "host/app:1");
        canary.tags.insert(tags::RETURNED_BY.to_owned(), "e-1".to_owned());
        assert!(is_by(&canary, "e-1") && !is_ours(&canary, "e-1"));
        assert!(!is_by(&canary, "e-2"));
    }

    #[test]
    fn a_canary_that_was_deployed_by_another_execution_is_not_ours() {
        let mut canary = definition("app-canary:4", "host/app:1");
        assert!(!is_ours(&canary, "e-1"), "somebody deployed it by hand");
        canary.tags.insert(tags::EXECUTION.to_owned(), "e-1".to_owned());
        assert!(is_ours(&canary, "e-1"));
        assert!(!is_ours(&canary, "e-2"));
    }

    #[test]
    fn a_former_revision_with_the_same_fixed_image_serves() {
        let image = format!("host/app@{DIGEST}");
        let restore = plan(
            &definition("app-canary:4", &image),
            &definition("app:9", &image),
            &pinned(Some(DIGEST)),
            &BTreeSet::new(),
            by(),
        );
        assert_eq!(restore, Restore::Former);
    }

    #[test]
    fn a_former_revision_that_was_deregistered_is_registered_anew() {
        let image = format!("host/app@{DIGEST}");
        let mut former = definition("app-canary:4", &image);
        former.body["status"] = json!("INACTIVE");
        let restore = plan(&former, &definition("app:9", &image), &pinned(Some(DIGEST)), &BTreeSet::new(), by());
        let Restore::Register(copy) = restore else { panic!("expected a registration") };
        assert_eq!(copy.request.pointer("/containerDefinitions/0/image").unwrap(), &json!(image));
    }

    #[test]
    fn a_tag_is_replaced_by_the_digest_that_ran() {
        let restore = plan(
            &definition("app-canary:4", "host:5000/app:latest"),
            &definition("app:9", "host:5000/app:latest"),
            &pinned(Some(DIGEST)),
            &BTreeSet::new(),
            by(),
        );
        let Restore::Register(copy) = restore else { panic!("expected a registration") };
        assert_eq!(copy.family, "app-canary");
        assert_eq!(
            copy.request.pointer("/containerDefinitions/0/image").unwrap(),
            &json!(format!("host:5000/app@{DIGEST}"))
        );
    }

    #[test]
    fn without_a_recorded_digest_the_tag_is_all_there_is() {
        let (former, full) = (definition("app-canary:4", "host/app:1"), definition("app:9", "host/app:1"));
        assert_eq!(plan(&former, &full, &pinned(None), &BTreeSet::new(), by()), Restore::Former);
    }

    #[test]
    fn a_tag_that_cannot_move_is_kept() {
        let (former, full) = (definition("app-canary:4", "host/app:1"), definition("app:9", "host/app:1"));
        let fixed = ["host/app:1".to_owned()].into();
        assert_eq!(plan(&former, &full, &pinned(Some(DIGEST)), &fixed, by()), Restore::Former);
    }
}
