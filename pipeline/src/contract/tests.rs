use super::*;

const COMMITTED: &str = include_str!("../../contract.json");

fn committed() -> Value {
    serde_json::from_str(COMMITTED).unwrap()
}

/// Before the comparison of the whole file, because its remedy is another one: nobody can provision this change.
#[test]
fn a_changed_definition_has_a_new_version() {
    for entry in committed()["actionTypes"].as_array().unwrap() {
        let before = &entry["definition"];
        let (provider, version) = (before["provider"].as_str().unwrap(), before["version"].as_str().unwrap());
        let Some(action) = action_type::find(provider, version) else {
            panic!("{provider} {version} is gone: pipelines still use it; keep it beside its successor");
        };
        assert_eq!(
            &definition(action),
            before,
            "the definition of {provider} changed, but CodePipeline cannot change a custom action type: put the change \
             into a new ActionType with a higher version than {version}, then `cargo contract > pipeline/contract.json`"
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
    assert_eq!(providers, ["Coalmine-Canary", "Coalmine-Full"]);
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
