//! CodePipeline's pipelines: what their definitions say.

use std::collections::BTreeMap;

use aws_sdk_codepipeline::Client;
use aws_sdk_codepipeline::types::{ActionDeclaration, PipelineDeclaration};

use coalmine_door::AwsError;

/// A pipeline's definition, as far as releases go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definition {
    /// The pipeline's name.
    pub name: String,
    /// `SUPERSEDED`, `QUEUED`, `PARALLEL`; empty where AWS does not say.
    pub mode: String,
    /// The pipeline's variables that have a default value.
    pub variables: BTreeMap<String, String>,
    /// Its actions, in the order of stages and run orders.
    pub actions: Vec<Declared>,
}

/// An action as its pipeline defines it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// The stage.
    pub stage: String,
    /// The action's name.
    pub name: String,
    /// The provider of its action type.
    pub provider: String,
    /// Its configuration, variables not resolved. It may hold secrets: never shown.
    pub configuration: BTreeMap<String, String>,
    /// The names of its input artifacts.
    pub inputs: Vec<String>,
    /// The names of its output artifacts.
    pub outputs: Vec<String>,
}

impl Definition {
    /// A configuration with the pipeline's variables at their default values. What other variables would be resolved to
    /// only an execution knows: they stay as they are written.
    #[must_use]
    pub fn resolved(&self, configuration: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let resolve = |value: &String| {
            self.variables
                .iter()
                .fold(value.clone(), |text, (name, default)| text.replace(&format!("#{{variables.{name}}}"), default))
        };
        configuration.iter().map(|(property, value)| (property.clone(), resolve(value))).collect()
    }
}

/// Reads a pipeline's definition; `None` where there is no such pipeline.
///
/// # Errors
/// When the call fails.
pub async fn read(client: &Client, name: &str) -> Result<Option<Definition>, AwsError> {
    const OPERATION: &str = "codepipeline GetPipeline";
    match client.get_pipeline().name(name).send().await.map_err(|error| AwsError::of(OPERATION, &error)) {
        Ok(output) => Ok(output.pipeline.map(definition)),
        Err(error) if error.is("PipelineNotFoundException") => Ok(None),
        Err(error) => Err(error),
    }
}

fn definition(pipeline: PipelineDeclaration) -> Definition {
    let variables = pipeline.variables.unwrap_or_default();
    let default = |variable: aws_sdk_codepipeline::types::PipelineVariableDeclaration| {
        Some((variable.name, variable.default_value?))
    };
    let mut actions = Vec::new();
    for stage in pipeline.stages {
        let mut declared = stage.actions;
        declared.sort_by_key(|action| action.run_order.unwrap_or(1));
        actions.extend(declared.into_iter().map(|action| of_action(&stage.name, action)));
    }
    Definition {
        mode: pipeline.execution_mode.map(|mode| mode.as_str().to_owned()).unwrap_or_default(),
        variables: variables.into_iter().filter_map(default).collect(),
        name: pipeline.name,
        actions,
    }
}

fn of_action(stage: &str, action: ActionDeclaration) -> Declared {
    Declared {
        stage: stage.to_owned(),
        name: action.name,
        provider: action.action_type_id.map(|id| id.provider).unwrap_or_default(),
        configuration: action.configuration.unwrap_or_default().into_iter().collect(),
        inputs: action.input_artifacts.unwrap_or_default().into_iter().map(|artifact| artifact.name).collect(),
        outputs: action.output_artifacts.unwrap_or_default().into_iter().map(|artifact| artifact.name).collect(),
    }
}
