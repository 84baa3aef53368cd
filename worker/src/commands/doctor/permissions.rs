//! What the worker's role needs, and trying it: reads alone are tried, on what was found. What would change something
//! cannot be tried without changing it, and is named.

use coalmine_door::{AwsError, Kind};
use coalmine_pipeline::ImageReference;
use coalmine_pipeline::action_type;

use super::judge::{Finding, Seen};
use crate::aws::codepipeline::Context;
use crate::commands::desk::Desk;

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

/// Tries the reads that were not made on the way to `seen`; what they were refused.
pub(super) async fn tried(desk: &Desk, seen: &Seen) -> Vec<Finding> {
    let mut found = Vec::new();
    let (ecs, calls) = (&desk.tools.ecs, &desk.calls);
    refused(&mut found, calls.job(NO_JOB).await.err());
    for action_type in action_type::implemented() {
        match desk.tools.codepipeline.poll(action_type, NO_POOL, 1).await {
            Err(problem) if problem.is("ActionTypeNotFoundException") => found.push(Finding::new(
                action_type.to_string(),
                "CodePipeline does not know this action type",
                "create it: README, \"Set it up\", or the Terraform module worker",
            )),
            other => refused(&mut found, other.err()),
        }
    }
    if let Some(line) = seen.lines.first() {
        let pipeline = &line.definition.name;
        refused(&mut found, calls.actions(pipeline, None).await.err());
        // Whether there is an execution of that id does not matter.
        let none = Context { pipeline: pipeline.clone(), execution: NO_JOB.to_owned(), ..Context::default() };
        refused(&mut found, desk.tools.codepipeline.status(&none).await.err());
    }
    if let Some(patient) = seen.patients.first() {
        let service = &patient.service;
        let (cluster, name) = (service.cluster.as_str(), service.name.as_str());
        refused(&mut found, ecs.list_deployments(cluster, name, None, true).await.err());
        refused(&mut found, ecs.newest_revisions(&service.revision.family).await.err());
        if let Some(current) = &service.current_deployment {
            match ecs.deployments(std::slice::from_ref(current)).await {
                Ok(deployments) => {
                    let targets: Vec<String> = deployments.into_iter().map(|deployment| deployment.target).collect();
                    if !targets.is_empty() {
                        refused(&mut found, ecs.service_revisions(&targets).await.err());
                    }
                }
                Err(problem) => refused(&mut found, Some(problem)),
            }
        }
        match ecs.task_arns(cluster, name, false).await {
            Ok(arns) if !arns.is_empty() => refused(&mut found, ecs.tasks(cluster, &arns[..1]).await.err()),
            Ok(_) => {}
            Err(problem) => refused(&mut found, Some(problem)),
        }
        for (container, _) in patient.runs.iter().flat_map(|runs| runs.images()) {
            let Some((group, prefix)) = patient.runs.as_ref().and_then(|runs| runs.log_of(&container)) else {
                continue;
            };
            let read = desk.tools.logs.tail(&group, &prefix, &container, NO_TASK).await;
            refused(&mut found, read.err().filter(|problem| !problem.is("ResourceNotFoundException")));
        }
        let images = patient.runs.iter().flat_map(|runs| runs.images());
        for reference in images.filter_map(|(_, image)| ImageReference::parse(&image).ok()) {
            refused(&mut found, desk.tools.registries.portrait(&reference).await.err());
        }
    }
    found
}

/// Notes a call that was refused for a permission that is missing; what else went wrong is noted as that.
pub(super) fn refused(found: &mut Vec<Finding>, problem: Option<AwsError>) {
    let Some(problem) = problem else { return };
    let finding = finding(&problem);
    if !found.contains(&finding) {
        found.push(finding);
    }
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
