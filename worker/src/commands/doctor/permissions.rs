//! What the worker's role needs, and trying it: reads alone are tried, on what was found. What would change something
//! cannot be tried without changing it, and is named.

use std::collections::BTreeSet;

use coalmine_door::{AwsError, Kind};
use coalmine_pipeline::ImageReference;
use coalmine_pipeline::action_type;

use super::judge::{Finding, Patient, Seen};
use crate::aws::codepipeline::Context;
use crate::commands::desk::Desk;
use crate::deploy::outlook::Portrait;

/// Every IAM action that the worker's calls need: those that a read tries first, then those that nothing tries.
pub const ACTIONS: [(&str, Tried); 33] = [
    ("cloudwatch:DescribeAlarms", Tried::ByReading),
    ("codepipeline:GetPipeline", Tried::ByReading),
    ("codepipeline:GetPipelineExecution", Tried::ByReading),
    ("codepipeline:GetJobDetails", Tried::ByReading),
    ("codepipeline:ListActionExecutions", Tried::ByReading),
    ("codepipeline:PollForJobs", Tried::ByReading),
    ("ecr:BatchGetImage", Tried::ByReading),
    ("ecr:DescribeImages", Tried::ByReading),
    ("ecr:DescribeRepositories", Tried::ByReading),
    ("ecs:DescribeServiceDeployments", Tried::ByReading),
    ("ecs:DescribeServiceRevisions", Tried::ByReading),
    ("ecs:DescribeServices", Tried::ByReading),
    ("ecs:DescribeTaskDefinition", Tried::ByReading),
    ("ecs:DescribeTasks", Tried::ByReading),
    ("ecs:ListServiceDeployments", Tried::ByReading),
    ("ecs:ListTaskDefinitions", Tried::ByReading),
    ("ecs:ListTasks", Tried::ByReading),
    ("kms:Decrypt", Tried::ByReading),
    ("logs:GetLogEvents", Tried::ByReading),
    ("s3:GetObject", Tried::ByReading),
    ("s3:ListBucket", Tried::ByReading),
    ("codepipeline:AcknowledgeJob", Tried::Never),
    ("codepipeline:PutJobFailureResult", Tried::Never),
    ("codepipeline:PutJobSuccessResult", Tried::Never),
    ("ecs:RegisterTaskDefinition", Tried::Never),
    ("ecs:StopServiceDeployment", Tried::Never),
    ("ecs:TagResource", Tried::Never),
    ("ecs:UpdateService", Tried::Never),
    ("events:PutEvents", Tried::Never),
    ("iam:PassRole", Tried::Never),
    ("kms:GenerateDataKey", Tried::Never),
    ("s3:DeleteObject", Tried::Never),
    ("s3:PutObject", Tried::Never),
];

/// Whether a permission can be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// A read shows it, where there is something to read.
    ByReading,
    /// It would change something.
    Never,
}

/// A job, and an execution, that CodePipeline cannot know: asking for it changes nothing.
const NO_JOB: &str = "00000000-0000-0000-0000-000000000000";
/// A task that ECS cannot know: it has no log.
const NO_TASK: &str = "00000000000000000000000000000000";
/// A pool that no pipeline should use: polling it takes nobody's job.
const NO_POOL: &str = "coalmine-doctor";

/// What was tried, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Trial {
    /// What was refused, and what else went wrong.
    pub(super) findings: Vec<Finding>,
    made: BTreeSet<String>,
}

impl Trial {
    /// Notes what a call was answered, which needed the permission for `action`; its answer.
    pub(super) fn note<T>(&mut self, action: &str, sent: Result<T, AwsError>) -> Option<T> {
        self.made.insert(action.to_owned());
        sent.map_err(|problem| self.find(finding(&problem))).ok()
    }

    /// Notes that reads were made, whatever they were answered.
    pub(super) fn sent(&mut self, actions: &[&str]) {
        self.made.extend(actions.iter().map(|&action| action.to_owned()));
    }

    /// Notes something that is to be mended.
    pub(super) fn find(&mut self, finding: Finding) {
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Looks at an image; `None` where that was refused, or there is none.
    pub(super) async fn portrait(&mut self, desk: &Desk, image: &ImageReference) -> Option<Portrait> {
        match desk.tools.registries.portrait(image).await {
            Ok(portrait) => {
                let portrait = portrait?;
                self.sent(&["ecr:DescribeImages"]);
                // By digest it is certain which image it is: whether tags can be moved is not asked.
                if image.digest().is_none() {
                    self.sent(&["ecr:DescribeRepositories"]);
                }
                // What an index has in it is read from its manifest alone.
                if !portrait.architectures.is_empty() {
                    self.sent(&["ecr:BatchGetImage"]);
                }
                Some(portrait)
            }
            Err(problem) => self.note::<Portrait>(&iam_action(problem.operation), Err(problem)),
        }
    }

    /// The permissions that a read shows, of which none was made: there was nothing to read.
    pub(super) fn missed(&self) -> Vec<&'static str> {
        let reads = ACTIONS.iter().filter(|(_, tried)| *tried == Tried::ByReading).map(|(action, _)| *action);
        reads.filter(|action| !self.made.contains(*action)).collect()
    }
}

/// Tries the reads that were not made on the way to `seen`.
pub(super) async fn rest(desk: &Desk, seen: &Seen, trial: &mut Trial) {
    let calls = &desk.calls;
    trial.note("codepipeline:GetJobDetails", calls.job(NO_JOB).await);
    for action_type in action_type::implemented() {
        match desk.tools.codepipeline.poll(action_type, NO_POOL, 1).await {
            Err(problem) if problem.is("ActionTypeNotFoundException") => trial.find(Finding::new(
                action_type.to_string(),
                "CodePipeline does not know this action type",
                "create it: README, \"Set it up\", or the Terraform module worker",
            )),
            other => drop(trial.note("codepipeline:PollForJobs", other)),
        }
    }
    if let Some(line) = seen.lines.first() {
        let pipeline = &line.definition.name;
        trial.note("codepipeline:ListActionExecutions", calls.actions(pipeline, None).await);
        // Whether there is an execution of that id does not matter.
        let none = Context { pipeline: pipeline.clone(), execution: NO_JOB.to_owned(), ..Context::default() };
        trial.note("codepipeline:GetPipelineExecution", desk.tools.codepipeline.status(&none).await);
    }
    // One that runs shows most.
    let running = seen.patients.iter().find(|patient| patient.service.running > 0);
    if let Some(patient) = running.or(seen.patients.first()) {
        of_service(desk, patient, trial).await;
    }
}

async fn of_service(desk: &Desk, Patient { service, runs, .. }: &Patient, trial: &mut Trial) {
    let ecs = &desk.tools.ecs;
    let (cluster, name) = (service.cluster.as_str(), service.name.as_str());
    trial.note("ecs:ListServiceDeployments", ecs.list_deployments(cluster, name, None, true).await);
    trial.note("ecs:ListTaskDefinitions", ecs.newest_revisions(&service.revision.family).await);
    if let Some(current) = &service.current_deployment {
        let deployments = ecs.deployments(std::slice::from_ref(current)).await;
        let deployments = trial.note("ecs:DescribeServiceDeployments", deployments).unwrap_or_default();
        let targets: Vec<String> = deployments.into_iter().map(|deployment| deployment.target).collect();
        if !targets.is_empty() {
            trial.note("ecs:DescribeServiceRevisions", ecs.service_revisions(&targets).await);
        }
    }
    let tasks = trial.note("ecs:ListTasks", ecs.task_arns(cluster, name, false).await).unwrap_or_default();
    if let [task, ..] = &tasks[..] {
        trial.note("ecs:DescribeTasks", ecs.tasks(cluster, std::slice::from_ref(task)).await);
    }
    let Some(runs) = runs else { return };
    for (container, image) in runs.images() {
        if let Some((group, prefix)) = runs.log_of(&container) {
            let read = desk.tools.logs.tail(&group, &prefix, &container, NO_TASK).await;
            trial.note("logs:GetLogEvents", read.map(drop).or_else(not_found));
        }
        if let Ok(image) = ImageReference::parse(&image) {
            trial.portrait(desk, &image).await;
        }
    }
}

/// That there is no such log is an answer, too.
fn not_found(problem: AwsError) -> Result<(), AwsError> {
    if problem.is("ResourceNotFoundException") { Ok(()) } else { Err(problem) }
}

fn finding(problem: &AwsError) -> Finding {
    let action = iam_action(problem.operation);
    if problem.kind == Kind::Denied {
        let remedy = "allow it; README, \"Permissions\", lists what each program needs";
        return Finding::new(action, "these credentials may not call it", remedy);
    }
    Finding::new(action, format!("could not be tried: {}", problem.brief()), "try again, or look at what AWS says")
}

/// `ecs UpdateService` → `ecs:UpdateService`.
fn iam_action(operation: &str) -> String {
    match operation {
        "s3 ListObjectsV2" => "s3:ListBucket".to_owned(),
        other => other.replacen(' ', ":", 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_iam_action() {
        for (operation, action) in [
            ("ecs ListTasks", "ecs:ListTasks"),
            ("s3 ListObjectsV2", "s3:ListBucket"),
            ("ecr DescribeImages", "ecr:DescribeImages"),
        ] {
            assert_eq!(iam_action(operation), action);
        }
    }
}
