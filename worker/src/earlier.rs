//! What a preflight looks up of a service's earlier deployments, where a plain release need not know: whose deployment
//! is in progress, what ran before an earlier try of this execution, which releases were successful.

use crate::aws::ecs::{Listed, REVISIONS_PER_CALL};
use crate::deploy::earlier::{InProgress, Lender, ran};
use crate::deploy::preflight::Asked;
use crate::deploy::revision::Revision;
use crate::deploy::task_definition::TaskDefinition;
use crate::deploy::view::{Service, ServiceRevision};
use crate::ledger::percents::Lent;
use crate::tools::Tools;
use coalmine_door::error::AwsError;
use coalmine_pipeline::tags;

/// How many successful deployments are looked through, newest first.
const LOOKED_THROUGH: usize = 100;

/// The service revision that a service's newest deployment brings; `None` where AWS does not say.
///
/// # Errors
/// When a call fails.
pub(crate) async fn newest(tools: &Tools, service: &Service) -> Result<Option<ServiceRevision>, AwsError> {
    let Some(arn) = &service.current_deployment else { return Ok(None) };
    let described = tools.ecs.deployments(std::slice::from_ref(arn)).await?;
    let Some(deployment) = described.first() else { return Ok(None) };
    Ok(tools.ecs.service_revisions(std::slice::from_ref(&deployment.target)).await?.pop())
}

/// The deployment that a service is in the middle of, and whose it is.
///
/// # Errors
/// When a call fails.
pub(crate) async fn in_progress(tools: &Tools, service: &Service) -> Result<Option<InProgress>, AwsError> {
    let (Some(arn), Some(brings)) = (&service.current_deployment, newest(tools, service).await?) else {
        return Ok(None);
    };
    let definition = tools.ecs.task_definition(&brings.revision.to_string()).await?;
    let execution = definition.and_then(|definition| {
        definition.tags.get(tags::EXECUTION).or_else(|| definition.tags.get(tags::RETURNED_BY)).cloned()
    });
    Ok(Some(InProgress { deployment: arn.clone(), revision: brings.revision, execution }))
}

/// Who gave a service percents for a time and is still at work, other than this execution; `None`: they were left behind.
///
/// # Errors
/// When a call fails.
pub(crate) async fn at_work(tools: &Tools, lent: Lent, execution: &str) -> Result<Option<Lender>, AwsError> {
    if lent.is_left_behind(tools.clock.now().timestamp()) {
        return Ok(None);
    }
    let Some(by) = lent.by else { return Ok(Some(Lender::Command)) };
    // An earlier try of this execution is over, and acts no more.
    if by.execution == execution {
        return Ok(None);
    }
    let goes_on = tools.codepipeline.goes_on(&by).await?;
    Ok(goes_on.then_some(Lender::Execution { pipeline: by.pipeline, execution: by.execution }))
}

/// What a service ran before `running`, which this very execution brought to it in an earlier try: in its last
/// successful deployment of another revision, or, where there is none any more (they are kept for 90 days), what
/// `running` was copied from.
///
/// # Errors
/// When a call fails.
pub(crate) async fn before(
    tools: &Tools,
    service: &Service,
    running: &TaskDefinition,
) -> Result<Option<Revision>, AwsError> {
    let listed = successful(tools, service).await?;
    for chunk in listed.chunks(REVISIONS_PER_CALL) {
        let found = described(tools, chunk).await?;
        if let Some(other) = found.into_iter().find(|found| found.revision != running.revision) {
            return Ok(Some(other.revision));
        }
    }
    Ok(running.base().filter(|base| base.family == running.revision.family && *base != running.revision))
}

/// The newest successful deployment of a service that ran what is asked for.
///
/// # Errors
/// When a call fails.
pub(crate) async fn that_ran(
    tools: &Tools,
    service: &Service,
    asked: &[Asked],
) -> Result<Option<ServiceRevision>, AwsError> {
    for chunk in successful(tools, service).await?.chunks(REVISIONS_PER_CALL) {
        if let Some(found) = described(tools, chunk).await?.into_iter().find(|earlier| ran(earlier, asked)) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

async fn successful(tools: &Tools, service: &Service) -> Result<Vec<Listed>, AwsError> {
    let mut listed = tools.ecs.list_deployments(&service.cluster, &service.name, None, true).await?;
    listed.truncate(LOOKED_THROUGH);
    Ok(listed)
}

/// The service revisions of listed deployments, in their order.
async fn described(tools: &Tools, listed: &[Listed]) -> Result<Vec<ServiceRevision>, AwsError> {
    let arns: Vec<String> = listed.iter().map(|listed| listed.target.clone()).collect();
    let mut found = tools.ecs.service_revisions(&arns).await?;
    found.sort_by_key(|revision| arns.iter().position(|arn| *arn == revision.arn));
    Ok(found)
}
