//! Whether a pipeline's structure may be run.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_codepipeline::types::{
    ActionCategory, ActionDeclaration, ActionType, ExecutionMode, PipelineDeclaration, PipelineType, StageDeclaration,
};

use super::action_types::MANUAL_APPROVAL;
use super::state::ActionTypeKey;
use super::variables;
use crate::{Answer, ErrorReply, World};

const STAGES: std::ops::RangeInclusive<usize> = 2..=50;
const ACTIONS_IN_STAGE_MAX: usize = 50;
const ACTIONS_MAX: usize = 1000;
const PARALLEL_ACTIONS_MAX: usize = 5;
/// The longest value of a queryable property in a pipeline; its letters are those of [`queryable_value`].
const QUERYABLE_LENGTH_MAX: usize = 20;

fn invalid_structure(message: impl Into<String>) -> ErrorReply {
    ErrorReply::new("InvalidStructureException", message)
}

fn invalid_stage(message: impl Into<String>) -> ErrorReply {
    ErrorReply::new("InvalidStageDeclarationException", message)
}

fn invalid_action(message: impl Into<String>) -> ErrorReply {
    ErrorReply::new("InvalidActionDeclarationException", message)
}

/// Strictness: what AWS has and the simulator has not must be noticed, by name.
fn not_simulated(what: &str) -> ErrorReply {
    ErrorReply::validation(format!("The simulator has no {what}"))
}

/// Checks a whole structure, finding by finding in the order in which it is read.
pub(super) fn check(world: &World, pipeline: &PipelineDeclaration) -> Answer<()> {
    check_pipeline(world, pipeline)?;
    check_stages(pipeline)?;
    let mut read = Read::default();
    for (index, stage) in pipeline.stages.iter().enumerate() {
        let orders: BTreeSet<i32> = stage.actions.iter().map(run_order).collect();
        for order in orders {
            // Actions of one run order start together: they see what those before them made, not each other.
            let group = || stage.actions.iter().filter(|action| run_order(action) == order);
            for action in group() {
                let kind = check_type(world, stage, action, index == 0)?;
                check_configuration(action, &kind)?;
                check_artifacts(action, &kind, &read)?;
                check_references(pipeline, action, &read, index == 0)?;
            }
            for action in group() {
                read.add(action)?;
            }
        }
    }
    Ok(())
}

/// What the actions that were read make.
#[derive(Default)]
struct Read {
    artifacts: BTreeSet<String>,
    namespaces: BTreeSet<String>,
}

impl Read {
    fn add(&mut self, action: &ActionDeclaration) -> Answer<()> {
        for artifact in action.output_artifacts() {
            if !self.artifacts.insert(artifact.name.clone()) {
                return Err(invalid_structure(format!(
                    "UniqueOutputArtifactName: Output Artifact Bundle name must be unique within the pipeline. {} has \
                     been used more than once.",
                    artifact.name
                )));
            }
        }
        let Some(namespace) = &action.namespace else { return Ok(()) };
        if [variables::RESERVED, variables::PIPELINE].contains(&namespace.as_str()) {
            return Err(invalid_action(format!("The namespace {namespace} of action {} is reserved", action.name)));
        }
        if self.artifacts.contains(namespace) || !self.namespaces.insert(namespace.clone()) {
            return Err(invalid_action(format!(
                "The namespace {namespace} of action {} must be unique among the pipeline's namespaces and artifacts",
                action.name
            )));
        }
        Ok(())
    }
}

/// Actions without a run order run first.
pub(super) fn run_order(action: &ActionDeclaration) -> i32 {
    action.run_order.unwrap_or(1)
}

fn check_pipeline(world: &World, pipeline: &PipelineDeclaration) -> Answer<()> {
    let v2 = pipeline.pipeline_type == Some(PipelineType::V2);
    match pipeline.execution_mode.as_ref().unwrap_or(&ExecutionMode::Superseded) {
        ExecutionMode::Superseded => {}
        ExecutionMode::Queued if v2 => {}
        ExecutionMode::Parallel if v2 => check_parallel(pipeline)?,
        mode => return Err(ErrorReply::validation(format!("Execution mode {mode} requires pipeline type V2"))),
    }
    let variables = pipeline.variables();
    let plain = variables.is_empty() && pipeline.triggers().is_empty();
    if !v2 && !plain {
        return Err(ErrorReply::validation("Pipeline variables and triggers require pipeline type V2"));
    }
    if !pipeline.triggers().is_empty() {
        return Err(not_simulated("triggers"));
    }
    let names: BTreeSet<_> = variables.iter().map(|variable| &variable.name).collect();
    if names.len() < variables.len() {
        return Err(ErrorReply::validation("Pipeline variable names must be unique"));
    }
    match (&pipeline.artifact_store, &pipeline.artifact_stores) {
        (Some(_), None) => Ok(()),
        (None, Some(stores)) if stores.contains_key(&world.region) => Ok(()),
        (None, Some(_)) => {
            Err(invalid_structure(format!("artifactStores must have a store for the Region {}", world.region)))
        }
        _ => Err(invalid_structure("You must specify either artifactStore or artifactStores, but not both")),
    }
}

/// An execution in PARALLEL mode has at most five actions in progress. How others wait for one of them is not
/// documented, and not simulated.
fn check_parallel(pipeline: &PipelineDeclaration) -> Answer<()> {
    for stage in &pipeline.stages {
        let at_once = |order| stage.actions.iter().filter(|action| run_order(action) == order).count();
        if stage.actions.iter().any(|action| at_once(run_order(action)) > PARALLEL_ACTIONS_MAX) {
            let what = format!("PARALLEL mode with more than {PARALLEL_ACTIONS_MAX} actions at once");
            return Err(not_simulated(&what));
        }
    }
    Ok(())
}

fn check_stages(pipeline: &PipelineDeclaration) -> Answer<()> {
    if !STAGES.contains(&pipeline.stages.len()) {
        let (least, most) = (STAGES.start(), STAGES.end());
        return Err(invalid_structure(format!("Pipeline must have between {least} and {most} stages")));
    }
    if pipeline.stages.iter().map(|stage| stage.actions.len()).sum::<usize>() > ACTIONS_MAX {
        return Err(ErrorReply::new("LimitExceededException", format!("Pipeline has more than {ACTIONS_MAX} actions")));
    }
    let mut names = BTreeSet::new();
    for stage in &pipeline.stages {
        if !names.insert(&stage.name) {
            return Err(invalid_stage(format!("Stage names must be unique; {} is used more than once", stage.name)));
        }
        check_stage(stage)?;
    }
    Ok(())
}

fn check_stage(stage: &StageDeclaration) -> Answer<()> {
    if stage.blockers.as_ref().is_some_and(|blockers| !blockers.is_empty()) {
        let message = "The simulator has no stage blockers";
        return Err(ErrorReply::new("InvalidBlockerDeclarationException", message));
    }
    let conditions = [
        (stage.on_failure.is_some(), "stage condition onFailure"),
        (stage.on_success.is_some(), "stage condition onSuccess"),
        (stage.before_entry.is_some(), "stage condition beforeEntry"),
    ];
    if let Some((_, name)) = conditions.into_iter().find(|(declared, _)| *declared) {
        return Err(not_simulated(name));
    }
    if !(1..=ACTIONS_IN_STAGE_MAX).contains(&stage.actions.len()) {
        let message = format!("Stage {} must have between 1 and {ACTIONS_IN_STAGE_MAX} actions", stage.name);
        return Err(invalid_stage(message));
    }
    let mut names = BTreeSet::new();
    match stage.actions.iter().find(|action| !names.insert(&action.name)) {
        Some(action) => Err(invalid_stage(format!(
            "Action names must be unique within a stage; {} is used more than once in {}",
            action.name, stage.name
        ))),
        None => Ok(()),
    }
}

fn check_type(world: &World, stage: &StageDeclaration, action: &ActionDeclaration, first: bool) -> Answer<ActionType> {
    let name = &action.name;
    let id = action.action_type_id.as_ref().ok_or_else(|| invalid_action("actionTypeId is missing"))?;
    match (first, id.category == ActionCategory::Source) {
        (true, false) => {
            return Err(invalid_structure("Pipeline should start with a stage that only contains source actions"));
        }
        (false, true) => {
            let message = format!("Only the first stage can contain source actions; {} has {name}", stage.name);
            return Err(invalid_structure(message));
        }
        _ => {}
    }
    let key = ActionTypeKey::from(id);
    let Some(kind) = world.codepipeline.action_type(&key) else {
        let region = world.region.to_uppercase().replace('-', "_");
        return Err(invalid_action(format!(
            "ActionType (Category: '{}', Provider: '{}', Owner: '{}', Version: '{}') in action '{name}' is not \
             available in region {region}",
            key.category, key.provider, key.owner, key.version
        )));
    };
    if action.region.as_ref().is_some_and(|region| *region != world.region) {
        let why = if key.owner == "Custom" { "Custom actions cannot be" } else { "The simulator has no" };
        return Err(invalid_action(format!("{why} cross-Region actions; action '{name}' names another Region")));
    }
    if action.timeout_in_minutes.is_some() && key.to_string() != MANUAL_APPROVAL {
        return Err(invalid_action(format!(
            "timeoutInMinutes is available only to the manual approval action type; action '{name}' has it"
        )));
    }
    let compute = [
        (action.commands.is_some(), "commands"),
        (action.output_variables.is_some(), "outputVariables"),
        (action.environment_variables.is_some(), "environmentVariables"),
        (action.output_artifacts().iter().any(|artifact| artifact.files.is_some()), "output artifact files"),
    ];
    match compute.into_iter().find(|(declared, _)| *declared) {
        Some((_, what)) => Err(invalid_action(format!("Action '{name}' of type {key} does not support {what}"))),
        None => Ok(kind),
    }
}

fn check_configuration(action: &ActionDeclaration, kind: &ActionType) -> Answer<()> {
    let name = &action.name;
    let configuration: BTreeMap<_, _> = action.configuration.iter().flatten().collect();
    let properties = kind.action_configuration_properties();
    for property in properties {
        let value = configuration.get(&property.name);
        if property.required && value.is_none() {
            return Err(invalid_action(format!(
                "Action configuration for action '{name}' is missing required configuration '{}'",
                property.name
            )));
        }
        if property.queryable && value.is_some_and(|value| !queryable_value(value)) {
            return Err(invalid_action(format!(
                "Value of queryable configuration '{}' of action '{name}' must have 1 to {QUERYABLE_LENGTH_MAX} \
                 alphanumeric characters, underscores or hyphens",
                property.name
            )));
        }
    }
    match configuration.keys().find(|key| properties.iter().all(|property| property.name != ***key)) {
        Some(key) => Err(invalid_action(format!(
            "Action configuration for action '{name}' contains unknown configuration '{key}'"
        ))),
        None => Ok(()),
    }
}

fn queryable_value(value: &str) -> bool {
    (1..=QUERYABLE_LENGTH_MAX).contains(&value.len())
        && value.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter))
}

fn check_artifacts(action: &ActionDeclaration, kind: &ActionType, read: &Read) -> Answer<()> {
    let name = &action.name;
    let counts = [
        ("input", action.input_artifacts().len(), &kind.input_artifact_details),
        ("output", action.output_artifacts().len(), &kind.output_artifact_details),
    ];
    for (direction, count, details) in counts {
        let Some(details) = details else { continue };
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        if !(details.minimum_count..=details.maximum_count).contains(&count) {
            return Err(invalid_action(format!(
                "Action '{name}' has {count} {direction} artifacts; its type admits {} to {}",
                details.minimum_count, details.maximum_count
            )));
        }
    }
    match action.input_artifacts().iter().find(|artifact| !read.artifacts.contains(&artifact.name)) {
        Some(artifact) => Err(invalid_structure(format!(
            "Input Artifact Bundle {} in action {name} is not declared as Output Artifact Bundle in any of the \
             preceding actions in the pipeline.",
            artifact.name
        ))),
        None => Ok(()),
    }
}

fn check_references(
    pipeline: &PipelineDeclaration,
    action: &ActionDeclaration,
    read: &Read,
    source: bool,
) -> Answer<()> {
    const FORM: &str = "Valid format for a pipeline execution variable reference is a namespace and a key separated by a \
                        period (.).";
    let configuration: BTreeMap<_, _> = action.configuration.iter().flatten().collect();
    for value in configuration.values() {
        let references = variables::references(value).map_err(|text| {
            invalid_action(format!("{FORM} The following pipeline execution variables are not valid. {text}"))
        })?;
        for (namespace, key) in references {
            if source {
                return Err(invalid_action(format!("Source action '{}' cannot use variables", action.name)));
            }
            let exists = match namespace.as_str() {
                variables::RESERVED => key == "PipelineExecutionId",
                variables::PIPELINE => pipeline.variables().iter().any(|variable| variable.name == key),
                _ => read.namespaces.contains(&namespace),
            };
            if !exists {
                return Err(invalid_action(format!(
                    "{FORM} The following pipeline execution variables are referencing a namespace that does not exist. \
                     {namespace}"
                )));
            }
        }
    }
    Ok(())
}
