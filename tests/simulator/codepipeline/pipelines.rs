//! Pipelines themselves: create, read, change, delete.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_codepipeline::operation::create_pipeline::{CreatePipelineInput, CreatePipelineOutput};
use aws_sdk_codepipeline::operation::delete_pipeline::{DeletePipelineInput, DeletePipelineOutput};
use aws_sdk_codepipeline::operation::get_pipeline::{GetPipelineInput, GetPipelineOutput};
use aws_sdk_codepipeline::operation::list_pipelines::{ListPipelinesInput, ListPipelinesOutput};
use aws_sdk_codepipeline::operation::update_pipeline::{UpdatePipelineInput, UpdatePipelineOutput};
use aws_sdk_codepipeline::types::{
    ExecutionMode, PipelineDeclaration, PipelineMetadata, PipelineSummary, PipelineType, TriggerType,
};

use super::date;
use super::errors::{self, checked_tags, internal};
use super::page::{most, page};
use super::state::{ActionTypeKey, Lock, Pipeline};
use super::{executions, structure};
use crate::{Answer, Call, ErrorReply, World};

/// Pipelines in a Region.
const PIPELINES_MAX: usize = 1000;

/// What stands for the value of a secret.
const HIDDEN: &str = "****";

pub(super) fn create(world: &mut World, call: &Call, input: CreatePipelineInput) -> Answer<CreatePipelineOutput> {
    let declaration = input.pipeline.ok_or_else(|| internal("pipeline"))?;
    let tags = checked_tags(input.tags)?;
    let name = add(world, declaration)?;
    // A pipeline starts to run as soon as it is created. One whose variables have no default cannot.
    let trigger = executions::Trigger::new(TriggerType::CreatePipeline, executions::caller(world, call));
    let _not_started = executions::start(world, &name, trigger, &BTreeMap::new(), Vec::new());
    let shown = shown(world, &name, None)?;
    Ok(CreatePipelineOutput::builder().pipeline(shown).set_tags(Some(tags)).build())
}

/// Adds a pipeline without starting it; gives its name.
pub(super) fn add(world: &mut World, declaration: PipelineDeclaration) -> Answer<String> {
    let name = declaration.name.clone();
    if world.codepipeline.pipelines.contains_key(&name) {
        let message = format!("A pipeline with the name '{name}' already exists in account '{}'", world.account);
        return Err(ErrorReply::new("PipelineNameInUseException", message));
    }
    if world.codepipeline.pipelines.len() >= PIPELINES_MAX {
        let message = format!("The limit of {PIPELINES_MAX} pipelines in this Region has been reached");
        return Err(ErrorReply::new("LimitExceededException", message));
    }
    structure::check(world, &declaration)?;
    let declaration = filled(declaration, 1);
    let pipeline = Pipeline {
        name: name.clone(),
        locks: declaration.stages.iter().map(|stage| (stage.name.clone(), Lock::default())).collect(),
        versions: BTreeMap::from([(1, Arc::new(declaration))]),
        created: world.now,
        updated: world.now,
        executions: Vec::new(),
        tokens: BTreeMap::new(),
        seen: BTreeMap::new(),
    };
    world.codepipeline.pipelines.insert(name.clone(), pipeline);
    Ok(name)
}

/// The structure with what AWS fills in.
fn filled(mut declaration: PipelineDeclaration, version: i32) -> PipelineDeclaration {
    declaration.version = Some(version);
    declaration.pipeline_type.get_or_insert(PipelineType::V1);
    declaration.execution_mode.get_or_insert(ExecutionMode::Superseded);
    for action in declaration.stages.iter_mut().flat_map(|stage| &mut stage.actions) {
        action.run_order = Some(structure::run_order(action));
        action.configuration.get_or_insert_default();
        action.input_artifacts.get_or_insert_default();
        action.output_artifacts.get_or_insert_default();
    }
    declaration
}

/// A version of a structure as it is shown, without secrets.
fn shown(world: &World, name: &str, version: Option<i32>) -> Answer<PipelineDeclaration> {
    let pipeline = errors::pipeline(world, name)?;
    let declaration = match version {
        None => pipeline.newest().map(|(_, declaration)| declaration),
        Some(version) => pipeline.versions.get(&version),
    };
    let mut declaration = declaration.map(|declaration| declaration.as_ref().clone()).ok_or_else(|| {
        let message = format!("Pipeline {name} does not have a version {}", version.unwrap_or_default());
        ErrorReply::new("PipelineVersionNotFoundException", message)
    })?;
    for action in declaration.stages.iter_mut().flat_map(|stage| &mut stage.actions) {
        let Some(key) = action.action_type_id.as_ref().map(ActionTypeKey::from) else { continue };
        for (_, value) in action.configuration.iter_mut().flatten().filter(|(name, _)| secret(world, &key, name)) {
            HIDDEN.clone_into(value);
        }
    }
    Ok(declaration)
}

/// Whether a property's value is a secret.
fn secret(world: &World, key: &ActionTypeKey, property: &str) -> bool {
    let definition = world.codepipeline.action_types.get(key).map(|custom| &custom.definition);
    definition.is_some_and(|definition| {
        definition.action_configuration_properties().iter().any(|known| known.name == property && known.secret)
    })
}

/// A configuration with its secrets hidden.
pub(super) fn hidden(
    world: &World,
    key: &ActionTypeKey,
    configuration: &BTreeMap<String, String>,
) -> std::collections::HashMap<String, String> {
    let shown = |(name, value): (&String, &String)| {
        let value = if secret(world, key, name) { HIDDEN } else { value };
        (name.clone(), value.to_owned())
    };
    configuration.iter().map(shown).collect()
}

pub(super) fn get(world: &mut World, _call: &Call, input: GetPipelineInput) -> Answer<GetPipelineOutput> {
    let name = input.name.as_deref().unwrap_or_default();
    let declaration = shown(world, name, input.version)?;
    let pipeline = errors::pipeline(world, name)?;
    let metadata = PipelineMetadata::builder()
        .pipeline_arn(world.arn("codepipeline", name))
        .created(date(pipeline.created))
        .updated(date(pipeline.updated));
    Ok(GetPipelineOutput::builder().pipeline(declaration).metadata(metadata.build()).build())
}

pub(super) fn list(world: &mut World, _call: &Call, input: ListPipelinesInput) -> Answer<ListPipelinesOutput> {
    let pipelines: Vec<&Pipeline> = world.codepipeline.pipelines.values().collect();
    let most = most(input.max_results, PIPELINES_MAX);
    let (page, next) = page(pipelines, |pipeline| pipeline.name.clone(), most, input.next_token.as_deref())?;
    let summary = |pipeline: &Pipeline| {
        let newest = pipeline.newest();
        PipelineSummary::builder()
            .name(&pipeline.name)
            .set_version(newest.map(|(version, _)| version))
            .set_pipeline_type(newest.and_then(|(_, declaration)| declaration.pipeline_type.clone()))
            .execution_mode(pipeline.mode())
            .created(date(pipeline.created))
            .updated(date(pipeline.updated))
            .build()
    };
    let pipelines = page.into_iter().map(summary).collect();
    Ok(ListPipelinesOutput::builder().set_pipelines(Some(pipelines)).set_next_token(next).build())
}

pub(super) fn update(world: &mut World, _call: &Call, input: UpdatePipelineInput) -> Answer<UpdatePipelineOutput> {
    let mut declaration = input.pipeline.ok_or_else(|| internal("pipeline"))?;
    let name = declaration.name.clone();
    let present = errors::pipeline(world, &name)?;
    let newest = present.newest().map(|(version, newest)| (version, Arc::clone(newest)));
    let (version, newest) = newest.ok_or_else(|| internal("version"))?;
    keep_secrets(&mut declaration, &newest);
    structure::check(world, &declaration)?;
    let declaration = Arc::new(filled(declaration, version + 1));
    let now = world.now;
    if let Some(pipeline) = world.codepipeline.pipelines.get_mut(&name) {
        pipeline.updated = now;
        for stage in &declaration.stages {
            pipeline.locks.entry(stage.name.clone()).or_default();
        }
        pipeline.versions.insert(version + 1, declaration);
    }
    executions::cancel_all(world, &name);
    Ok(UpdatePipelineOutput::builder().pipeline(shown(world, &name, None)?).build())
}

/// Who reads a structure, edits it and sends it back sends hidden secrets: they stay what they were.
fn keep_secrets(declaration: &mut PipelineDeclaration, newest: &PipelineDeclaration) {
    for stage in &mut declaration.stages {
        for action in &mut stage.actions {
            let former =
                newest.stages.iter().filter(|former| former.name == stage.name).flat_map(|former| &former.actions);
            let former =
                former.filter(|former| former.name == action.name).find_map(|former| former.configuration.as_ref());
            for (name, value) in action.configuration.iter_mut().flatten().filter(|(_, value)| *value == HIDDEN) {
                if let Some(kept) = former.and_then(|former| former.get(name)) {
                    kept.clone_into(value);
                }
            }
        }
    }
}

pub(super) fn delete(world: &mut World, _call: &Call, input: DeletePipelineInput) -> Answer<DeletePipelineOutput> {
    // Deleting what is not there is no error: the operation has none for it. Jobs in progress end unheard.
    let name = input.name.unwrap_or_default();
    if world.codepipeline.pipelines.remove(&name).is_some() {
        world.codepipeline.jobs.retain(|job| job.pipeline != name);
    }
    Ok(DeletePipelineOutput::builder().build())
}
