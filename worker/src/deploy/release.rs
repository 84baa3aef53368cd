//! A release: one set of images, each with the digests that count as running it.

use std::collections::{BTreeMap, BTreeSet};

use coalmine_pipeline::{Digest, ImageReference};
use serde::{Deserialize, Serialize};

use crate::deploy::view::{ServiceRevision, Task};

/// One image of a release, resolved once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The container that runs it.
    pub container: String,
    /// The reference as it is written into the task definition.
    pub reference: String,
    /// The digest that the reference named when it was resolved: an index's, where the image is one.
    pub digest: Digest,
    /// The digest and, for an index, its children: a task that runs any of them runs the image.
    pub digests: BTreeSet<String>,
}

/// A registry's answer for one reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The digest that the reference names.
    pub digest: Digest,
    /// Children of an index; empty for a single manifest.
    pub children: BTreeSet<String>,
    /// The architectures of an index (`amd64`, `arm64`); `None` for a single manifest, whose configuration ECR's API
    /// does not show.
    pub architectures: Option<BTreeSet<String>>,
    /// Whether the tag can never point elsewhere.
    pub immutable: bool,
    /// Whether it is in the archive, from which nothing can be pulled.
    pub archived: bool,
}

impl Image {
    /// Writes the reference as given where its tag cannot move, else pinned by digest.
    #[must_use]
    pub fn new(container: &str, reference: &ImageReference, resolved: &Resolved) -> Self {
        let fixed = reference.digest().is_some() || resolved.immutable;
        let written = if fixed {
            reference.to_string()
        } else {
            reference.clone().without_tag().with_digest(resolved.digest).to_string()
        };
        let mut digests = resolved.children.clone();
        digests.insert(resolved.digest.to_string());
        Self { container: container.to_owned(), reference: written, digest: resolved.digest, digests }
    }
}

/// How many tasks run the release, and which do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Tasks that run every image of the release.
    pub new: u32,
    /// Tasks that run something else, with what.
    pub others: Vec<String>,
    /// Tasks that do not say what they run, and whose service revision does not either.
    pub unknown: u32,
}

impl Count {
    /// Whether every task of `desired` was seen to run the release.
    #[must_use]
    pub fn is_complete(&self, desired: u32) -> bool {
        self.others.is_empty() && self.unknown == 0 && self.new >= desired
    }
}

/// Counts the running tasks of a service by the digests they run. A task without digest is judged by the service
/// revision of our deployment, if it runs that revision.
#[must_use]
pub fn count(tasks: &[Task], images: &[Image], ours: Option<&ServiceRevision>) -> Count {
    let mut count = Count::default();
    for task in tasks.iter().filter(|task| task.last_status == "RUNNING") {
        match runs(task, images, ours) {
            Some(true) => count.new += 1,
            Some(false) => count.others.push(format!("{} runs {}", task.id, task.revision)),
            None => count.unknown += 1,
        }
    }
    count
}

fn runs(task: &Task, images: &[Image], ours: Option<&ServiceRevision>) -> Option<bool> {
    let mut known = true;
    for image in images {
        let container = task.containers.iter().find(|container| container.name == image.container);
        let pinned =
            ours.filter(|ours| ours.revision == task.revision).and_then(|ours| ours.digests.get(&image.container));
        match container.and_then(|container| container.digest.as_ref()).or(pinned) {
            Some(digest) if image.digests.contains(digest) => {}
            Some(_) => return Some(false),
            None => known = false,
        }
    }
    known.then_some(true)
}

/// `app@sha256:0123456789ab, …`: what a release is, for people.
#[must_use]
pub fn describe(images: &[Image]) -> String {
    images.iter().map(|image| format!("{}={}", image.container, image.digest.short())).collect::<Vec<_>>().join(", ")
}

/// Container → digest, for the output variable `ImageDigests`.
#[must_use]
pub fn digests(images: &[Image]) -> BTreeMap<&str, Digest> {
    images.iter().map(|image| (image.container.as_str(), image.digest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::view::Container;

    const INDEX: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const CHILD: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    const OTHER: &str = "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";

    fn image(immutable: bool) -> Image {
        let reference = ImageReference::parse("123456789012.dkr.ecr.eu-central-1.amazonaws.com/app:v2").unwrap();
        let resolved = Resolved {
            digest: Digest::parse(INDEX).unwrap(),
            children: [CHILD.to_owned()].into(),
            architectures: None,
            immutable,
            archived: false,
        };
        Image::new("app", &reference, &resolved)
    }

    fn task(revision: &str, digest: Option<&str>) -> Task {
        Task {
            id: "t".into(),
            started_by: "ecs-svc/1".into(),
            created: None,
            revision: revision.parse().unwrap(),
            last_status: "RUNNING".into(),
            health: "HEALTHY".into(),
            stop_code: String::new(),
            stopped_reason: String::new(),
            containers: vec![Container {
                name: "app".into(),
                digest: digest.map(str::to_owned),
                exit_code: None,
                reason: String::new(),
            }],
        }
    }

    #[test]
    fn a_tag_that_can_move_is_pinned_and_one_that_cannot_is_kept() {
        assert_eq!(image(true).reference, "123456789012.dkr.ecr.eu-central-1.amazonaws.com/app:v2");
        assert_eq!(image(false).reference, format!("123456789012.dkr.ecr.eu-central-1.amazonaws.com/app@{INDEX}"));
    }

    #[test]
    fn a_task_counts_by_the_index_by_a_child_or_by_its_service_revision() {
        let ours = ServiceRevision {
            arn: "arn".into(),
            revision: "app:2".parse().unwrap(),
            digests: [("app".to_owned(), INDEX.to_owned())].into(),
        };
        let tasks =
            [task("app:2", Some(INDEX)), task("app:2", Some(CHILD)), task("app:2", None), task("app:1", Some(OTHER))];
        let counted = count(&tasks, &[image(true)], Some(&ours));
        assert_eq!((counted.new, counted.others.len(), counted.unknown), (3, 1, 0));
        assert!(!counted.is_complete(3));
        assert!(count(&tasks[..3], &[image(true)], Some(&ours)).is_complete(3));
        assert_eq!(count(&[task("app:1", None)], &[image(true)], Some(&ours)).unknown, 1);
    }
}
