//! The contract as others read it: JSON for Terraform and the simulator, tables for the README.
//!
//! ```text
//! { "actionTypes": [ { "definition": …   the input of CreateCustomActionType, as AWS spells it
//!                      "coalmine":   … } ] }  what AWS has no place for: defaults, options, output variables
//! ```
//!
//! Only implemented action types are in it. The committed file is `pipeline/contract.json`.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use crate::action_type::{self, ActionType, ArtifactCount, Property};

/// The contract as a JSON value.
pub fn contract() -> Value {
    json!({ "actionTypes": action_type::implemented().map(entry).collect::<Vec<_>>() })
}

/// The contract as it is committed: indented, in a stable order, with a newline at the end.
///
/// The order is that of this file, as long as `serde_json` has its feature `preserve_order`, which the workspace sets.
pub fn contract_json() -> String {
    format!("{:#}\n", contract())
}

/// The input of `CreateCustomActionType` for one action type, for `--cli-input-json` or an SDK.
pub fn definition(action: &ActionType) -> Value {
    let urls =
        [("entityUrlTemplate", action.entity_url_template), ("executionUrlTemplate", action.execution_url_template)];
    let settings: Map<String, Value> =
        urls.into_iter().filter_map(|(name, url)| Some((name.to_owned(), Value::from(url?)))).collect();
    json!({
        "category": action.category,
        "provider": action.provider,
        "version": action.version,
        "settings": settings,
        "configurationProperties": action.properties.iter().map(property).collect::<Vec<_>>(),
        "inputArtifactDetails": artifacts(action.input_artifacts),
        "outputArtifactDetails": artifacts(action.output_artifacts),
    })
}

fn property(property: &Property) -> Value {
    json!({
        "name": property.name,
        "required": property.required,
        "key": property.key,
        "secret": property.secret,
        "queryable": property.queryable,
        "description": property.description,
        "type": property.kind.as_str(),
    })
}

fn artifacts(count: ArtifactCount) -> Value {
    json!({ "minimumCount": count.minimum, "maximumCount": count.maximum })
}

fn entry(action: &ActionType) -> Value {
    let properties = action.properties.iter();
    let defaults: Map<String, Value> =
        properties.filter_map(|property| Some((property.name.to_owned(), Value::from(property.default?)))).collect();
    let options = action
        .options
        .iter()
        .map(|option| json!({ "name": option.name, "default": option.default, "description": option.description }));
    let variables = action
        .output_variables
        .iter()
        .map(|variable| json!({ "name": variable.name, "description": variable.description }));
    json!({
        "definition": definition(action),
        "coalmine": {
            "description": action.description,
            "defaults": defaults,
            "reserved": reserved(action),
            "options": options.collect::<Vec<_>>(),
            "outputVariables": variables.collect::<Vec<_>>(),
        },
    })
}

/// The properties that this version refuses.
fn reserved(action: &ActionType) -> Vec<&'static str> {
    action.properties.iter().filter(|property| !property.available).map(|property| property.name).collect()
}

/// The implemented action types as Markdown: a heading of level 3 each, a table of its properties, one of the keys of
/// `Options`, one of its output variables.
pub fn table() -> String {
    let sections: Vec<_> = action_type::implemented().map(section).collect();
    sections.join("\n")
}

fn section(action: &ActionType) -> String {
    let properties = action.properties.iter().map(|property| {
        let default = match property.default {
            Some(default) => format!("`{default}`"),
            None if property.required => "required".to_owned(),
            None if !property.available => "not available in this version".to_owned(),
            None => String::new(),
        };
        [format!("`{}`", property.name), default, property.description.to_owned()]
    });
    let options = action.options.iter().map(|option| {
        let default = option.default.map(|default| format!("`{default}`")).unwrap_or_default();
        [format!("`{}`", option.name), default, option.description.to_owned()]
    });
    let variables = action
        .output_variables
        .iter()
        .map(|variable| [format!("`{}`", variable.name), variable.description.to_owned()]);
    format!(
        "### `{}`, version {}: {}\n\n{}\n{}\n{}",
        action.provider,
        action.version,
        action.description,
        rows(["Property", "Default", "Meaning"], properties),
        rows(["Key of `Options`", "Default", "Meaning"], options),
        rows(["Output variable", "Meaning"], variables),
    )
}

fn rows<const N: usize>(heading: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&heading.map(str::to_owned));
    text.push_str(&format!("|{}\n", "---|".repeat(N)));
    text.extend(rows.map(|row| line(&row.map(|cell| cell.replace('|', "\\|")))));
    text
}
