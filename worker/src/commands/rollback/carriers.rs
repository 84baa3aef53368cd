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
    let digests: BTreeSet<&String> = leaving().flat_map(|course| course.left_digests.values()).collect();
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
