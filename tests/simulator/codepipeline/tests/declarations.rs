use super::*;
use crate::ErrorReply;

fn create(change: impl FnOnce(&mut Value)) -> Result<String, ErrorReply> {
    let (simulator, _) = account(&short("SUPERSEDED"));
    let mut pipeline = standard("SUPERSEDED");
    pipeline["name"] = "other".into();
    change(&mut pipeline);
    simulator.with_world(|world| world.create_pipeline_from_json(&pipeline.to_string()))
}

#[tokio::test]
async fn an_unsound_structure_is_refused_by_name() {
    type Change = Box<dyn FnOnce(&mut Value)>;
    let cases: Vec<(&str, &str, Change)> = vec![
        ("PipelineNameInUseException", "already exists", Box::new(|p| p["name"] = PIPELINE.into())),
        (
            "ValidationException",
            "more than 5 actions at once",
            Box::new(|p| {
                p["executionMode"] = "PARALLEL".into();
                p["stages"][2]["actions"] = (0..6).map(|n| approval(&format!("A{n}"), 1)).collect();
            }),
        ),
        ("ValidationException", "require pipeline type V2", Box::new(|p| p["pipelineType"] = "V1".into())),
        ("ValidationException", "'pipeline.name'", Box::new(|p| p["name"] = "a b".into())),
        ("SerializationException", "pipeline.colour", Box::new(|p| p["colour"] = "red".into())),
        (
            "InvalidStructureException",
            "only contains source actions",
            Box::new(|p| p["stages"][0]["actions"][0] = approval("A", 1)),
        ),
        ("InvalidStructureException", "Only the first stage", Box::new(|p| p["stages"][1]["actions"][0] = source())),
        ("InvalidStructureException", "between 2 and 50 stages", Box::new(|p| p["stages"] = json!([p["stages"][0]]))),
        ("InvalidStageDeclarationException", "Stage names", Box::new(|p| p["stages"][2]["name"] = "Approve".into())),
        (
            "InvalidStageDeclarationException",
            "Action names",
            Box::new(|p| p["stages"][2]["actions"][1]["name"] = "Full".into()),
        ),
        (
            "InvalidStructureException",
            "is not declared as Output",
            Box::new(|p| p["stages"][2]["actions"][0]["inputArtifacts"][0]["name"] = "None".into()),
        ),
        (
            "InvalidActionDeclarationException",
            "missing required configuration 'Pool'",
            Box::new(|p| {
                p["stages"][2]["actions"][0]["configuration"].as_object_mut().unwrap().remove("Pool");
            }),
        ),
        (
            "InvalidActionDeclarationException",
            "unknown configuration 'Colour'",
            Box::new(|p| p["stages"][2]["actions"][0]["configuration"]["Colour"] = "red".into()),
        ),
        (
            "InvalidActionDeclarationException",
            "queryable",
            Box::new(|p| p["stages"][2]["actions"][0]["configuration"]["Pool"] = "x".repeat(21).into()),
        ),
        (
            "ValidationException",
            "less than or equal to 1000",
            Box::new(|p| p["stages"][2]["actions"][0]["configuration"]["Options"] = "x".repeat(1001).into()),
        ),
        (
            "InvalidActionDeclarationException",
            "must be unique",
            Box::new(|p| p["stages"][2]["actions"][2]["namespace"] = "canary".into()),
        ),
        (
            "InvalidActionDeclarationException",
            "is reserved",
            Box::new(|p| p["stages"][2]["actions"][2]["namespace"] = "variables".into()),
        ),
        (
            "InvalidActionDeclarationException",
            "namespace that does not exist. full",
            Box::new(|p| p["stages"][2]["actions"][0]["configuration"]["Options"] = "#{full.X}".into()),
        ),
        (
            "InvalidActionDeclarationException",
            "does not exist. variables",
            Box::new(|p| p["stages"][2]["actions"][0]["configuration"]["Options"] = "#{variables.X}".into()),
        ),
        (
            "InvalidActionDeclarationException",
            "is not available in region EU_CENTRAL_1",
            Box::new(|p| p["stages"][2]["actions"][0]["actionTypeId"]["version"] = "2".into()),
        ),
        (
            "InvalidActionDeclarationException",
            "timeoutInMinutes",
            Box::new(|p| p["stages"][2]["actions"][0]["timeoutInMinutes"] = 60.into()),
        ),
        (
            "InvalidActionDeclarationException",
            "cross-Region",
            Box::new(|p| p["stages"][2]["actions"][0]["region"] = "us-east-1".into()),
        ),
        ("ValidationException", "onFailure", Box::new(|p| p["stages"][2]["onFailure"] = json!({"result": "ROLLBACK"}))),
    ];
    for (code, part, change) in cases {
        let error = create(change).unwrap_err();
        assert!(error.code == code && error.message.contains(part), "expected {code} {part}: {error}");
    }
    create(|_| {}).unwrap();
}

#[tokio::test]
async fn an_action_type_beyond_the_limits_is_refused() {
    let (simulator, _) = account(&short("SUPERSEDED"));
    let create = |change: &dyn Fn(&mut Value)| {
        let mut definition = action_type("Task");
        change(&mut definition);
        let created = simulator.with_world(|world| world.create_action_type_from_json(&definition.to_string()));
        created.map_err(|error| error.message)
    };
    let eleven: Vec<Value> =
        (0..11).map(|n| json!({"name": format!("P{n}"), "required": false, "key": false, "secret": false})).collect();
    let message = create(&|d| d["configurationProperties"] = eleven.clone().into()).unwrap_err();
    assert!(message.contains("less than or equal to 10"), "{message}");
    let message = create(&|d| d["configurationProperties"][1]["queryable"] = true.into()).unwrap_err();
    assert!(message.contains("at most one queryable"), "{message}");
    let message = create(&|d| d["configurationProperties"][0]["required"] = false.into()).unwrap_err();
    assert!(message.contains("both required and not secret"), "{message}");
    let message = create(&|d| d["settings"]["executionUrlTemplate"] = "{Config:Password}".into()).unwrap_err();
    assert!(message.contains("Password"), "{message}");
    let message = create(&|d| d["inputArtifactDetails"]["maximumCount"] = 6.into()).unwrap_err();
    assert!(message.contains("less than or equal to 5"), "{message}");
    create(&|_| {}).unwrap();
    assert!(create(&|_| {}).unwrap_err().contains("already exists"));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_action_type_comes_back_only_unchanged() {
    let (simulator, client) = account(&short("SUPERSEDED"));
    let delete = client.delete_custom_action_type().category(ActionCategory::Deploy).provider("Full").version("1");
    delete.send().await.unwrap();
    let poll = client.poll_for_jobs().action_type_id(type_id("Full")).query_param("Pool", "main").send().await;
    assert_eq!(poll.unwrap_err().code(), Some("ActionTypeNotFoundException"));
    let mut changed = action_type("Full");
    changed["inputArtifactDetails"]["maximumCount"] = 3.into();
    simulator.with_world(|world| {
        assert!(world.create_action_type_from_json(&changed.to_string()).is_err());
        world.create_action_type_from_json(&action_type("Full").to_string()).unwrap();
    });
    let listed = client.list_action_types().action_owner_filter(ActionOwner::Custom).send().await.unwrap();
    assert_eq!(listed.action_types().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn creating_a_pipeline_starts_it_and_a_client_token_starts_it_once() {
    let (simulator, client) = account(&short("SUPERSEDED"));
    let mut declaration = client.get_pipeline().name(PIPELINE).send().await.unwrap().pipeline.unwrap();
    declaration.name = "copy".into();
    client.create_pipeline().pipeline(declaration).send().await.unwrap();
    let listed = client.list_pipeline_executions().pipeline_name("copy").send().await.unwrap();
    let trigger = listed.pipeline_execution_summaries()[0].trigger().unwrap();
    assert_eq!(trigger.trigger_type().unwrap().as_str(), "CreatePipeline");

    let start = || client.start_pipeline_execution().name(PIPELINE).client_request_token("once");
    let first = start().send().await.unwrap().pipeline_execution_id;
    assert_eq!(start().send().await.unwrap().pipeline_execution_id, first);
    assert_eq!(simulator.with_world(|world| world.codepipeline.pipeline(PIPELINE).unwrap().executions.len()), 1);
    let unknown = client.start_pipeline_execution().name("none").send().await.unwrap_err();
    assert_eq!(unknown.code(), Some("PipelineNotFoundException"));
    let names: Vec<_> = client.list_pipelines().max_results(1).into_paginator().items().send().collect().await;
    assert_eq!(names.len(), 2);
}
