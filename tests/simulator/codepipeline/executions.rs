//! Executions: how they start, and how they end before their time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_codepipeline::operation::start_pipeline_execution::{
    StartPipelineExecutionInput, StartPipelineExecutionOutput,
};
use aws_sdk_codepipeline::types::{
    ActionDeclaration, ActionExecutionStatus, ExecutionMode, PipelineDeclaration, PipelineExecutionStatus,
    SourceRevisionOverride, SourceRevisionType, TriggerType,
};

use super::action_types::S3_SOURCE;
use super::errors::{self, internal};
use super::state::{ActionTypeKey, Execution, Pipeline};
use super::{Event, stages};
use crate::{Answer, Call, ErrorReply, World};

/// Concurrent executions of a pipeline in QUEUED or PARALLEL mode.
const CONCURRENT_MAX: usize = 50;

/// The bounds of the time until CodePipeline's own polling finds a new source object.
const POLLING: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What started an execution.
#[derive(Clone, Debug)]
pub(super) struct Trigger {
    kind: TriggerType,
    detail: String,
}

impl Trigger {
    pub(super) fn new(kind: TriggerType, detail: String) -> Self {
        Self { kind, detail }
    }
}

/// The ARN of a caller: its access key is its name.
pub(super) fn caller(world: &World, call: &Call) -> String {
    format!("arn:aws:iam::{}:user/{}", world.account, call.access_key)
}

pub(super) fn start_pipeline_execution(
    world: &mut World,
    call: &Call,
    input: StartPipelineExecutionInput,
) -> Answer<StartPipelineExecutionOutput> {
    let name = input.name.unwrap_or_default();
    let pipeline = errors::pipeline(world, &name)?;
    let known = input.client_request_token.as_ref().and_then(|token| pipeline.tokens.get(token)).cloned();
    let id = match known {
        Some(id) => id,
        None => {
            let variables = input.variables.unwrap_or_default();
            let given = variables.into_iter().map(|variable| (variable.name, variable.value)).collect();
            let trigger = Trigger::new(TriggerType::StartPipelineExecution, caller(world, call));
            start(world, &name, trigger, &given, input.source_revisions.unwrap_or_default())?
        }
    };
    if let (Some(token), Some(pipeline)) = (input.client_request_token, world.codepipeline.pipelines.get_mut(&name)) {
        pipeline.tokens.insert(token, id.clone());
    }
    Ok(StartPipelineExecutionOutput::builder().pipeline_execution_id(id).build())
}

/// Starts an execution of the newest version; gives its id.
pub(super) fn start(
    world: &mut World,
    name: &str,
    trigger: Trigger,
    given: &BTreeMap<String, String>,
    overrides: Vec<SourceRevisionOverride>,
) -> Answer<String> {
    let pipeline = errors::pipeline(world, name)?;
    let (version, declaration) = pipeline.newest().ok_or_else(|| internal("version"))?;
    let declaration = Arc::clone(declaration);
    let mode = pipeline.mode();
    check_concurrency(pipeline, &mode)?;
    let variables = variables(&declaration, given)?;
    check_overrides(&declaration, &overrides)?;
    let id = world.uuid();
    let execution = Execution {
        id: id.clone(),
        pipeline: name.to_owned(),
        version,
        mode,
        rollback_target: None,
        stop: None,
        status: PipelineExecutionStatus::InProgress,
        started: world.now,
        updated: world.now,
        trigger: trigger.kind,
        trigger_detail: trigger.detail,
        variables,
        stages: Execution::fresh_stages(&declaration),
        actions: Vec::new(),
        artifacts: BTreeMap::new(),
        namespaces: BTreeMap::new(),
        position: 0,
        end: declaration.stages.len(),
        declaration,
        overrides,
        cancelling: false,
    };
    if let Some(pipeline) = world.codepipeline.pipelines.get_mut(name) {
        pipeline.executions.push(execution);
    }
    stages::arrive(world, name, &id);
    Ok(id)
}

/// One more execution must be within the limit.
pub(super) fn check_concurrency(pipeline: &Pipeline, mode: &ExecutionMode) -> Answer<()> {
    let active = || pipeline.executions.iter().filter(|execution| execution.is_active()).count();
    if *mode == ExecutionMode::Superseded || active() < CONCURRENT_MAX {
        return Ok(());
    }
    let message =
        format!("The pipeline {} has reached the limit of {CONCURRENT_MAX} concurrent executions", pipeline.name);
    Err(ErrorReply::new("ConcurrentPipelineExecutionsLimitExceededException", message))
}

/// The pipeline's variables: the given values, else their defaults.
fn variables(declaration: &PipelineDeclaration, given: &BTreeMap<String, String>) -> Answer<BTreeMap<String, String>> {
    let declared: BTreeSet<&String> = declaration.variables().iter().map(|variable| &variable.name).collect();
    if let Some(stranger) = given.keys().find(|name| !declared.contains(name)) {
        let message = format!("Pipeline variable '{stranger}' is not declared in the pipeline");
        return Err(ErrorReply::validation(message));
    }
    let value = |variable: &aws_sdk_codepipeline::types::PipelineVariableDeclaration| {
        let value = given.get(&variable.name).cloned().or_else(|| variable.default_value.clone());
        value.map(|value| (variable.name.clone(), value)).ok_or_else(|| {
            let message = format!("Pipeline variable '{}' has no default value and none was given", variable.name);
            ErrorReply::validation(message)
        })
    };
    declaration.variables().iter().map(value).collect()
}

fn check_overrides(declaration: &PipelineDeclaration, overrides: &[SourceRevisionOverride]) -> Answer<()> {
    for revision in overrides {
        let action = sources(declaration).find(|action| action.name == revision.action_name);
        let Some(action) = action else {
            let message = format!("The pipeline has no source action {}", revision.action_name);
            return Err(ErrorReply::validation(message));
        };
        let allows_key = configured(action, "AllowOverrideForS3ObjectKey").is_some_and(|value| value == "true");
        match revision.revision_type {
            SourceRevisionType::S3ObjectVersionId => {}
            SourceRevisionType::S3ObjectKey if allows_key => {}
            SourceRevisionType::S3ObjectKey => {
                let message = format!("AllowOverrideForS3ObjectKey is not enabled for action {}", action.name);
                return Err(ErrorReply::validation(message));
            }
            ref other => {
                let message = format!("Revision type {other} is not supported for action {}", action.name);
                return Err(ErrorReply::validation(message));
            }
        }
    }
    Ok(())
}

/// The S3 source actions of a pipeline.
fn sources(declaration: &PipelineDeclaration) -> impl Iterator<Item = &ActionDeclaration> {
    let actions = declaration.stages.iter().take(1).flat_map(|stage| &stage.actions);
    actions.filter(|action| {
        action.action_type_id.as_ref().is_some_and(|id| ActionTypeKey::from(id).to_string() == S3_SOURCE)
    })
}

fn configured<'a>(action: &'a ActionDeclaration, name: &str) -> Option<&'a str> {
    action.configuration.as_ref()?.get(name).map(String::as_str)
}

/// The pipelines with this object as a source, and whether CodePipeline polls for it (which it does where the
/// configuration does not say no).
fn followers(world: &World, bucket: &str, key: &str) -> Vec<(String, bool)> {
    let follows = |action: &&ActionDeclaration| {
        configured(action, "S3Bucket") == Some(bucket) && configured(action, "S3ObjectKey") == Some(key)
    };
    let pipelines = world.codepipeline.pipelines.values();
    pipelines
        .filter_map(|pipeline| {
            let (_, declaration) = pipeline.newest()?;
            let action = sources(declaration).find(follows)?;
            let polled = configured(action, "PollForSourceChanges").is_none_or(|value| value != "false");
            Some((pipeline.name.clone(), polled))
        })
        .collect()
}

/// An object was put through the API: the pipelines that poll for it will see it within a minute.
pub(crate) fn object_put(world: &mut World, bucket: &str, key: &str) {
    for (pipeline, polled) in followers(world, bucket, key) {
        if polled {
            let after = world.between(POLLING.0, POLLING.1);
            let event = Event::SourcePolled { pipeline, bucket: bucket.to_owned(), key: key.to_owned() };
            world.schedule(after, Event::world(event));
        }
    }
}

/// CodePipeline polls a source: where it has a version that no execution was started with, one is.
pub(super) fn source_polled(world: &mut World, pipeline: &str, bucket: &str, key: &str) {
    let Some(version) = world.s3.get(bucket, key).map(|object| object.version.clone()) else { return };
    let place = (bucket.to_owned(), key.to_owned());
    let Some(known) = world.codepipeline.pipelines.get_mut(pipeline) else { return };
    if known.seen.insert(place, version.clone()).is_some_and(|seen| seen == version) {
        return;
    }
    let trigger = Trigger::new(TriggerType::PollForSourceChanges, format!("arn:aws:s3:::{bucket}/{key}"));
    // A pipeline whose variables have no default cannot be started by a source.
    let _not_started = start(world, pipeline, trigger, &BTreeMap::new(), Vec::new());
}

/// An EventBridge rule, or CodePipeline's polling, tells of a new version: starts the pipelines that follow it.
pub(super) fn source_changed(world: &mut World, bucket: &str, key: &str) -> Vec<String> {
    let version = world.s3.get(bucket, key).map(|object| object.version.clone()).unwrap_or_default();
    let mut started = Vec::new();
    for (name, polled) in followers(world, bucket, key) {
        if let Some(pipeline) = world.codepipeline.pipelines.get_mut(&name) {
            pipeline.seen.insert((bucket.to_owned(), key.to_owned()), version.clone());
        }
        let kind = if polled { TriggerType::PollForSourceChanges } else { TriggerType::CloudWatchEvent };
        let trigger = Trigger::new(kind, format!("arn:aws:s3:::{bucket}/{key}"));
        started.extend(start(world, &name, trigger, &BTreeMap::new(), Vec::new()));
    }
    started
}

/// The structure changed: executions that wait are cancelled now, those inside a stage when its actions in progress
/// have ended. Executions in PARALLEL mode go on with the structure that they started with, and who is being stopped
/// stops.
pub(super) fn cancel_all(world: &mut World, name: &str) {
    let Some(pipeline) = world.codepipeline.pipelines.get_mut(name) else { return };
    let waiting: Vec<String> = pipeline.locks.values_mut().flat_map(|lock| lock.waiting.drain(..)).collect();
    let mut inside = Vec::new();
    for execution in &mut pipeline.executions {
        if execution.status != PipelineExecutionStatus::InProgress || execution.mode == ExecutionMode::Parallel {
            continue;
        }
        if waiting.contains(&execution.id) {
            execution.status = PipelineExecutionStatus::Cancelled;
            execution.updated = world.now;
        } else {
            execution.cancelling = true;
            let busy = execution.actions.iter().any(|action| action.status == ActionExecutionStatus::InProgress);
            inside.extend((!busy).then(|| execution.id.clone()));
        }
    }
    for id in inside {
        stages::settle(world, name, &id);
    }
}
