//! Pipeline executions that still carry what was rolled back.

use std::collections::BTreeSet;

use coalmine_door::AwsError;
use tracing::warn;

use crate::commands::desk::Desk;
use crate::deploy::rollback::course::Course;
use crate::ledger::releases;

/// An execution that has not ended and carries a digest that was rolled back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Carrier {
    /// Its pipeline.
    pub(super) pipeline: String,
    /// Its id.
    pub(super) execution: String,
    /// Whether it is being stopped.
    pub(super) stopping: bool,
}

/// The executions of the pipelines that brought what is left, which have not ended: those that brought it themselves, and
/// those whose release has a digest of it on record. One that has not reached its canary is on no record; its checks refuse
/// the digest.
///
/// # Errors
/// When CodePipeline cannot be asked.
pub(super) async fn find(desk: &Desk, courses: &[Course]) -> Result<Vec<Carrier>, AwsError> {
    let leaving = || courses.iter().filter(|course| course.leaves());
    let digests = left_digests(courses);
    let left: BTreeSet<&String> = leaving().filter_map(|course| course.left.as_ref()).map(|(id, _)| id).collect();
    let pipelines: BTreeSet<&String> =
        leaving().filter_map(|course| course.left.as_ref()).map(|(_, name)| name).collect();
    let mut found = Vec::new();
    for pipeline in pipelines.into_iter().filter(|name| !name.is_empty()) {
        for running in desk.calls.running(pipeline).await? {
            let record = releases::read(desk.store(), &running.id).await.unwrap_or_else(|problem| {
                warn!(error = %problem, execution = running.id, "what the execution carries cannot be read");
                None
            });
            let carries = record.is_some_and(|record| record.digests.values().any(|digest| digests.contains(digest)));
            if carries || left.contains(&running.id) {
                found.push(Carrier { pipeline: pipeline.clone(), execution: running.id, stopping: running.stopping });
            }
        }
    }
    Ok(found)
}

/// The digests that are left: not those of a container that the target runs as it was, such as a sidecar of both.
fn left_digests(courses: &[Course]) -> BTreeSet<&String> {
    let mut left = BTreeSet::new();
    for course in courses.iter().filter(|course| course.leaves()) {
        let stays = |digest: &String| course.images.iter().any(|image| image.digests.contains(digest));
        left.extend(course.left_digests.values().filter(|digest| !stays(digest)));
    }
    left
}

/// Stops them, as far as they are not being stopped; what could not be stopped, with the reason.
pub(super) async fn stop(desk: &Desk, carriers: &mut [Carrier], why: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for carrier in carriers.iter_mut().filter(|carrier| !carrier.stopping) {
        match desk.calls.stop(&carrier.pipeline, &carrier.execution, why).await {
            Ok(()) => carrier.stopping = true,
            Err(problem) => problems.push(format!("{} of {}: {problem}", carrier.execution, carrier.pipeline)),
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    use coalmine_pipeline::{Digest, ImageReference};

    use crate::deploy::fixtures::course;
    use crate::deploy::release::{Image, Resolved};

    fn digest(letter: &str) -> String {
        format!("sha256:{}", letter.repeat(64))
    }

    fn image(container: &str, letter: &str, child: &str) -> Image {
        let reference = ImageReference::parse("123456789012.dkr.ecr.eu-central-1.amazonaws.com/app:v2").unwrap();
        let resolved = Resolved {
            digest: Digest::parse(&digest(letter)).unwrap(),
            children: [digest(child)].into(),
            architectures: None,
            immutable: true,
            archived: false,
        };
        Image::new(container, &reference, &resolved)
    }

    fn leaving(from: &str, left: &[(&str, &str)]) -> Course {
        Course {
            from: from.parse().unwrap(),
            left_digests: left.iter().map(|(container, letter)| ((*container).into(), digest(letter))).collect(),
            images: vec![image("app", "a", "b"), image("logs", "c", "d")],
            ..course("app")
        }
    }

    #[test]
    fn what_the_target_runs_too_is_not_left() {
        for (from, left, expected) in [
            ("app:3", &[("app", "e"), ("logs", "c")][..], &["e"][..]),
            // ECS may have recorded the image of a platform.
            ("app:3", &[("app", "e"), ("logs", "d")], &["e"]),
            ("app:3", &[("app", "e"), ("logs", "f")], &["e", "f"]),
            ("app:2", &[("app", "e")], &[]),
        ] {
            let courses = [leaving(from, left)];
            let found: Vec<String> = left_digests(&courses).into_iter().cloned().collect();
            let expected: Vec<String> = expected.iter().map(|letter| digest(letter)).collect();
            assert_eq!(found, expected, "{from} {left:?}");
        }
    }
}
