use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::*;

const COMMITTED: &str = include_str!("../../contract.json");
const PUBLISHED: &str = include_str!("../../contract.lock");

/// Action type → SHA-256 of its definition, as it was published.
fn published() -> BTreeMap<&'static str, &'static str> {
    let lines = PUBLISHED.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut published = BTreeMap::new();
    for line in lines {
        let (action, hash) = line.split_once(' ').unwrap();
        assert!(published.insert(action, hash).is_none(), "pipeline/contract.lock names {action} twice");
    }
    published
}

/// Whatever the order of a definition's members is.
fn hash(action: &ActionType) -> String {
    let mut definition = definition(action);
    definition.sort_all_objects();
    Sha256::digest(definition.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// contract.json is written anew with every change. This file is not: a line of it stands for what an account may have.
#[test]
fn what_was_published_stays_as_it_is() {
    for (name, before) in published() {
        let Some(action) = action_type::implemented().find(|action| action.to_string() == name) else {
            panic!("{name} is gone: pipelines still use it; keep it beside its successor");
        };
        assert_eq!(
            hash(action),
            before,
            "the definition of {name} changed, but CodePipeline cannot change a custom action type: put the change into \
             a new ActionType with a higher version, and leave this line of pipeline/contract.lock as it is"
        );
    }
}

/// Until it is implemented, an action type changes freely.
#[test]
fn every_implemented_action_type_is_published() {
    let published = published();
    for action in action_type::implemented() {
        let name = action.to_string();
        assert!(
            published.contains_key(name.as_str()),
            "{name} is implemented and not published: once its definition is final, add this line to \
             pipeline/contract.lock, and never change it:\n{name} {}",
            hash(action)
        );
    }
}

#[test]
fn the_committed_contract_is_current() {
    assert!(
        COMMITTED == contract_json(),
        "pipeline/contract.json is not what the definitions say: `cargo contract > pipeline/contract.json`"
    );
}

#[test]
fn every_implemented_action_type_is_in_it_and_no_other() {
    let value = contract();
    let providers: Vec<_> =
        value["actionTypes"].as_array().unwrap().iter().map(|e| &e["definition"]["provider"]).collect();
    assert_eq!(providers, ["Coalmine-Canary", "Coalmine-Full", "Coalmine-Rollback"]);
}

#[test]
fn a_definition_has_the_shape_of_the_call() {
    let definition = definition(&action_type::CANARY);
    assert_eq!(
        definition["configurationProperties"][0],
        json!({
            "name": "Pool", "required": true, "key": true, "secret": false, "queryable": true, "type": "String",
            "description": "The pool of workers that takes this action, 1 to 20 letters, digits, _ or -. A worker sees the \
                            jobs of its own pool only.",
        })
    );
    assert_eq!(definition["inputArtifactDetails"], json!({ "minimumCount": 0, "maximumCount": 1 }));
    let entry = &contract()["actionTypes"][0]["coalmine"];
    assert_eq!(entry["defaults"], json!({ "Capacity": "1", "BakeTime": "5m" }));
    assert_eq!(entry["reserved"], json!(["Verify"]));
}

#[test]
fn the_table_names_everything() {
    let table = table();
    for action in action_type::implemented() {
        assert!(table.contains(&format!("### `{}`, version {}", action.provider, action.version)));
        for name in action.properties.iter().map(|p| p.name).chain(action.options.iter().map(|o| o.name)) {
            assert!(table.contains(&format!("| `{name}` | ")), "{name}");
        }
    }
    assert!(table.contains("| `Capacity` | `1` | Size of the canary"));
}
