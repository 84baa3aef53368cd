//! The errors that several operations share.

use std::collections::BTreeSet;

use aws_sdk_codepipeline::error::BuildError;
use aws_sdk_codepipeline::types::{StageDeclaration, Tag};

use super::state::{Execution, Job, Pipeline};
use crate::{Answer, ErrorReply, World};

/// A member that the table of inputs requires was not there: cannot happen.
pub(super) fn internal(what: &str) -> ErrorReply {
    ErrorReply::new("InternalFailure", format!("the simulator misses {what}")).with_status(500)
}

/// What a builder of the SDK made.
pub(super) fn built<T>(result: Result<T, BuildError>) -> Answer<T> {
    result.map_err(|problem| internal(&problem.to_string()))
}

/// A pipeline by name, or `PipelineNotFoundException`.
pub(super) fn pipeline<'a>(world: &'a World, name: &str) -> Answer<&'a Pipeline> {
    world.codepipeline.pipelines.get(name).ok_or_else(|| {
        let message = format!("Account '{}' does not have a pipeline with name '{name}'", world.account);
        ErrorReply::new("PipelineNotFoundException", message)
    })
}

/// A stage of the newest structure, or of that of an execution with one of its own; else `StageNotFoundException`.
pub(super) fn stage<'a>(
    pipeline: &'a Pipeline,
    own: Option<&'a Execution>,
    name: &str,
) -> Answer<&'a StageDeclaration> {
    let newest = pipeline.newest().and_then(|(_, newest)| newest.stages.iter().find(|stage| stage.name == name));
    own.and_then(|execution| execution.declared_stage(name)).or(newest).ok_or_else(|| {
        let message = format!("The stage '{name}' was not found in pipeline '{}'", pipeline.name);
        ErrorReply::new("StageNotFoundException", message)
    })
}

/// `PipelineExecutionNotFoundException`.
pub(super) fn no_such_execution(id: &str) -> ErrorReply {
    let message = format!("The pipeline execution {id} was specified in an invalid format, or cannot be found.");
    ErrorReply::new("PipelineExecutionNotFoundException", message)
}

/// A job by id, or `JobNotFoundException`.
pub(super) fn job<'a>(world: &'a mut World, id: &str) -> Answer<&'a mut Job> {
    world.codepipeline.job_mut(id).ok_or_else(|| {
        let message = format!("The job with id {id} was specified in an invalid format or cannot be found.");
        ErrorReply::new("JobNotFoundException", message)
    })
}

/// Tags as they were given: at most 50, each key once. They are echoed and not kept, for nothing lists them.
pub(super) fn checked_tags(tags: Option<Vec<Tag>>) -> Answer<Vec<Tag>> {
    let tags = tags.unwrap_or_default();
    if tags.len() > 50 {
        let message = "The tags limit for a resource has been exceeded.";
        return Err(ErrorReply::new("TooManyTagsException", message));
    }
    let keys: BTreeSet<&String> = tags.iter().map(|tag| &tag.key).collect();
    if keys.len() < tags.len() || keys.iter().any(|key| key.to_lowercase().starts_with("aws:")) {
        return Err(ErrorReply::new("InvalidTagsException", "The specified resource tags are invalid."));
    }
    Ok(tags)
}
