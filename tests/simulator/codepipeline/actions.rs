//! Actions: how one starts, and how one ends.

use std::collections::BTreeMap;

use aws_sdk_codepipeline::types::{ActionDeclaration, ActionExecutionStatus};

use super::action_types::{MANUAL_APPROVAL, S3_SOURCE};
use super::state::{ActionError, ActionRun, ActionTypeKey, Execution, Place};
use super::{approvals, artifacts, jobs, stages, variables};
use crate::World;

/// The most bytes of an action's configuration after its variables were resolved.
const RESOLVED_BYTES_MAX: usize = 100 * 1024;

/// Opens an action execution: from now on it is in progress.
pub(super) fn open(
    world: &mut World,
    pipeline: &str,
    execution: &str,
    stage: &str,
    action: &ActionDeclaration,
) -> Option<Place> {
    let action_type = ActionTypeKey::from(action.action_type_id.as_ref()?);
    let id = world.uuid();
    let output_artifacts = artifacts::outputs(world, pipeline, execution, action);
    let now = world.now;
    let found = world.codepipeline.execution_mut(pipeline, execution)?;
    let inputs = action.input_artifacts().iter();
    let run = ActionRun {
        id: id.clone(),
        stage: stage.to_owned(),
        name: action.name.clone(),
        action_type,
        status: ActionExecutionStatus::InProgress,
        started: now,
        updated: now,
        summary: None,
        percent: None,
        external_execution_id: None,
        error: None,
        token: None,
        updated_by: None,
        configuration: action.configuration.clone().into_iter().flatten().collect(),
        resolved: BTreeMap::new(),
        input_artifacts: inputs.filter_map(|input| found.artifacts.get(&input.name).cloned()).collect(),
        output_artifacts,
        output_variables: BTreeMap::new(),
        namespace: action.namespace.clone(),
        revision: None,
        retried: false,
    };
    found.actions.push(run);
    found.updated = now;
    Some(Place { pipeline: pipeline.to_owned(), execution: execution.to_owned(), action: id })
}

/// Resolves the configuration of an open action and does what its type does.
pub(super) fn start(world: &mut World, place: &Place) {
    let Some(execution) = world.codepipeline.execution_mut(&place.pipeline, &place.execution) else { return };
    let Some(run) = execution.action(&place.action) else { return };
    let action_type = run.action_type.to_string();
    let resolved = run
        .configuration
        .iter()
        .map(|(name, value)| {
            let value = variables::resolve(value, |namespace, key| look_up(execution, namespace, key))?;
            Ok((name.clone(), value))
        })
        .collect::<Result<BTreeMap<_, _>, String>>();
    let resolved = match resolved {
        Ok(resolved) => resolved,
        // AWS documents that the action fails, not with which words.
        Err(reference) => {
            let message = format!("The variable reference #{{{reference}}} could not be resolved");
            return fail(world, place, ActionError::new("ConfigurationError", message));
        }
    };
    if resolved.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > RESOLVED_BYTES_MAX {
        let message = "The resolved action configuration exceeds the limit of 100 KB";
        return fail(world, place, ActionError::new("ConfigurationError", message));
    }
    if let Some(run) = world.codepipeline.action_mut(place) {
        run.resolved = resolved;
    }
    match action_type.as_str() {
        S3_SOURCE => artifacts::fetch_later(world, place),
        MANUAL_APPROVAL => approvals::ask(world, place),
        _ => jobs::first(world, place),
    }
}

fn look_up(execution: &Execution, namespace: &str, key: &str) -> Option<String> {
    match (namespace, key) {
        (variables::RESERVED, "PipelineExecutionId") => Some(execution.id.clone()),
        (variables::PIPELINE, name) => execution.variables.get(name).cloned(),
        _ => execution.namespaces.get(namespace)?.get(key).cloned(),
    }
}

/// Changes an action execution that is in progress; gives whether it was.
pub(super) fn change(world: &mut World, place: &Place, change: impl FnOnce(&mut ActionRun)) -> bool {
    let now = world.now;
    let Some(run) = world.codepipeline.action_mut(place) else { return false };
    if run.status != ActionExecutionStatus::InProgress {
        return false;
    }
    run.updated = now;
    change(run);
    if let Some(execution) = world.codepipeline.execution_mut(&place.pipeline, &place.execution) {
        execution.updated = now;
    }
    true
}

/// Ends an action well: its artifacts and variables can be used.
pub(super) fn succeed(world: &mut World, place: &Place, output_variables: BTreeMap<String, String>) {
    let ended = change(world, place, |run| {
        run.status = ActionExecutionStatus::Succeeded;
        run.output_variables = output_variables;
    });
    if !ended {
        return;
    }
    if let Some(execution) = world.codepipeline.execution_mut(&place.pipeline, &place.execution)
        && let Some(run) = execution.action(&place.action).cloned()
    {
        execution.artifacts.extend(run.output_artifacts.into_iter().map(|copy| (copy.name.clone(), copy)));
        if let Some(namespace) = run.namespace {
            execution.namespaces.insert(namespace, run.output_variables);
        }
    }
    stages::settle(world, &place.pipeline, &place.execution);
}

/// Leaves an action in progress to itself: its provider is not told, and what comes of it is not heard any more.
pub(super) fn abandon(world: &mut World, place: &Place) {
    if change(world, place, |run| run.status = ActionExecutionStatus::Abandoned) {
        jobs::abandoned(world, place);
    }
}

/// Ends an action ill.
pub(super) fn fail(world: &mut World, place: &Place, error: ActionError) {
    let ended = change(world, place, |run| {
        run.status = ActionExecutionStatus::Failed;
        run.error = Some(error);
    });
    if ended {
        stages::settle(world, &place.pipeline, &place.execution);
    }
}
