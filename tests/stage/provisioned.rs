//! An account as Terraform makes it: `terraform/examples/complete`, as `tests/terraform/complete.json` has it.
//!
//! `.ci/run` holds that file against what the real `terraform` plans and (imaginarily) applies. Here its resources become
//! the simulated account's: action types, repositories, buckets, alarms, services on their first day, pipelines.

use std::collections::BTreeMap;

use coalmine_worker::run::Settings;
use serde_json::{Map, Value, json};
use simulator::World;
use simulator::cloudwatch::{AlarmSpec, add_alarm};
use simulator::ecr::Mutability;
use simulator::ecs::ServiceSpec;
use simulator::permissions::Policy;

/// What Terraform made, by address.
#[derive(Clone, Debug)]
pub(crate) struct Provisioned {
    resources: BTreeMap<String, Value>,
}

impl Provisioned {
    /// The example of a team with three classes of services.
    pub(crate) fn complete() -> Self {
        let resources = serde_json::from_str(include_str!("../terraform/complete.json")).expect("JSON");
        Self { resources }
    }

    /// All of them as `terraform show -json` lists resources: address, type and values.
    pub(crate) fn resources(&self) -> Vec<Value> {
        let one = |(address, values): (&String, &Value)| {
            let kind = address.split('.').find(|part| part.starts_with("aws_")).expect("a type");
            json!({"address": address, "mode": "managed", "type": kind, "values": values})
        };
        self.resources.iter().map(one).collect()
    }

    /// All resources of a type, in the order of their addresses.
    pub(crate) fn all(&self, kind: &str) -> Vec<&Value> {
        let infix = format!(".{kind}.");
        self.resources.iter().filter(|(address, _)| address.contains(&infix)).map(|(_, resource)| resource).collect()
    }

    /// The pipelines that release something; the one that builds Coalmine's and the shop's images does not, nor does the
    /// button.
    pub(crate) fn pipelines(&self) -> Vec<&Value> {
        self.pipelines_with("Coalmine-Full")
    }

    /// The pipeline with the one button that returns services.
    pub(crate) fn button(&self) -> &Value {
        self.pipelines_with("Coalmine-Rollback").into_iter().next().expect("a pipeline with a button")
    }

    fn pipelines_with(&self, provider: &str) -> Vec<&Value> {
        let has = |pipeline: &&Value| actions(pipeline).any(|action| action["provider"] == provider);
        self.all("aws_codepipeline").into_iter().filter(has).collect()
    }

    /// The pipelines that an upload of an object starts: those that the rules about it have as targets.
    pub(crate) fn started_by(&self, bucket: &Value, key: &Value) -> Vec<&str> {
        let detail = json!({"bucket": {"name": [bucket]}, "object": {"key": [key]}});
        let about = |rule: &&Value| rule["event_pattern"]["detail"] == detail;
        let rules = self.all("aws_cloudwatch_event_rule").into_iter().filter(about);
        let rules: Vec<&str> = rules.map(|rule| text(&rule["name"])).collect();
        let targets = self.all("aws_cloudwatch_event_target").into_iter();
        let targets = targets.filter(|target| rules.contains(&text(&target["rule"])));
        targets.filter_map(|target| text(&target["arn"]).rsplit(':').next()).collect()
    }

    /// The configurations of all actions of a provider, by their pipelines.
    pub(crate) fn configurations(&self, provider: &str) -> BTreeMap<&str, &Value> {
        let of = |pipeline| actions(pipeline).find(|action| action["provider"] == provider);
        let pipelines = self.pipelines().into_iter();
        pipelines.filter_map(|pipeline| Some((text(&pipeline["name"]), &of(pipeline)?["configuration"]))).collect()
    }

    /// A service by its name.
    pub(crate) fn service(&self, name: &str) -> &Value {
        self.all("aws_ecs_service").into_iter().find(|service| service["name"] == name).expect("a service")
    }

    /// How Terraform starts the workers: the environment of their container.
    pub(crate) fn worker(&self) -> Settings {
        let definition = self.definition(&self.service("coalmine-worker")["task_definition"]);
        let environment = definition["container_definitions"][0]["environment"].as_array().expect("an environment");
        let variable = |name: &str| text(&environment.iter().find(|set| set["name"] == name).expect(name)["value"]);
        Settings {
            pool: variable("COALMINE_POOL").to_owned(),
            slots: variable("COALMINE_JOBS").parse().expect("a number"),
            linger: coalmine_pipeline::duration::parse(variable("COALMINE_LINGER")).expect("a duration"),
            ledger: variable("COALMINE_LEDGER").parse().expect("a location"),
            telling: Default::default(),
        }
    }

    /// What Terraform lets the workers do.
    pub(crate) fn permissions(&self) -> Policy {
        let policy =
            self.all("aws_iam_role_policy").into_iter().find(|policy| policy["role"] == "coalmine-worker-task");
        Policy::parse(&policy.expect("the workers' policy")["policy"].to_string()).expect("a policy")
    }

    /// Makes all of it.
    pub(crate) fn build(&self, world: &mut World) {
        let now = world.now;
        for bucket in self.all("aws_s3_bucket") {
            world.s3.create_bucket(text(&bucket["bucket"]), now);
        }
        for encryption in self.all("aws_s3_bucket_server_side_encryption_configuration") {
            let rule = &encryption["rule"][0]["apply_server_side_encryption_by_default"][0];
            world.s3.encrypt(text(&encryption["bucket"]), text(&rule["kms_master_key_id"]));
        }
        for repository in self.all("aws_ecr_repository") {
            assert_eq!(repository["image_tag_mutability"], "IMMUTABLE", "{repository}");
            world.ecr.create_repository(text(&repository["name"]), Mutability::Immutable);
        }
        for action_type in self.all("aws_codepipeline_custom_action_type") {
            world.create_action_type_from_json(&type_json(action_type).to_string()).expect("an action type");
        }
        for alarm in self.all("aws_cloudwatch_metric_alarm") {
            add_alarm(world, self.alarm(alarm));
        }
        for definition in self.all("aws_ecs_task_definition") {
            // The others come with the services that run them.
            if text(&definition["family"]).ends_with("-template") {
                world.add_task_definition(&definition_json(definition)).expect("a task definition");
            }
        }
        for service in self.released_services() {
            world.add_service(self.service_spec(service)).expect("a service");
        }
        for pipeline in self.pipelines().into_iter().chain([self.button()]) {
            world.create_pipeline_from_json(&pipeline_json(pipeline).to_string()).expect("a pipeline");
        }
    }

    /// What `aws ecs register-task-definition --cli-input-json` takes for the newest revision of a family.
    pub(crate) fn task_definition(&self, family: &str) -> Value {
        let mut definitions = self.all("aws_ecs_task_definition").into_iter();
        definition_json(definitions.find(|definition| definition["family"] == family).expect("a task definition"))
    }

    fn released_services(&self) -> Vec<&Value> {
        let canary = self.configurations("Coalmine-Canary");
        let named: Vec<&Value> =
            canary.values().flat_map(|action| [&action["Service"], &action["FullService"]]).collect();
        self.all("aws_ecs_service").into_iter().filter(|service| named.contains(&&service["name"])).collect()
    }

    fn definition(&self, arn: &Value) -> &Value {
        let mut definitions = self.all("aws_ecs_task_definition").into_iter();
        definitions.find(|definition| definition["arn"] == *arn).expect("a task definition")
    }

    /// As on the first day: nobody ever pushed the image that Terraform names.
    fn service_spec(&self, service: &Value) -> ServiceSpec {
        let definition = definition_json(self.definition(&service["task_definition"]));
        let tasks = i32::try_from(service["desired_count"].as_i64().expect("a number")).expect("a number");
        let network = &service["network_configuration"][0];
        let public = if network["assign_public_ip"] == true { "ENABLED" } else { "DISABLED" };
        let mut further = json!({
            "launchType": service["launch_type"],
            "availabilityZoneRebalancing": service["availability_zone_rebalancing"],
            "enableECSManagedTags": service["enable_ecs_managed_tags"],
            "propagateTags": service["propagate_tags"],
            "deploymentConfiguration": {
                "minimumHealthyPercent": service["deployment_minimum_healthy_percent"],
                "maximumPercent": service["deployment_maximum_percent"],
                "deploymentCircuitBreaker": service["deployment_circuit_breaker"][0],
            },
            "networkConfiguration": {"awsvpcConfiguration": {
                "subnets": network["subnets"], "securityGroups": network["security_groups"], "assignPublicIp": public,
            }},
        });
        if let Some(balancers) = service.get("load_balancer") {
            further["loadBalancers"] = camel(balancers);
            further["healthCheckGracePeriodSeconds"] = service["health_check_grace_period_seconds"].clone();
        }
        ServiceSpec::new(text(&service["cluster"]), text(&service["name"]), definition, tasks).with(further).just_made()
    }

    /// An alarm on 5xx or errors watches whose they are: of a target group that both services share, the canary's.
    fn alarm(&self, alarm: &Value) -> AlarmSpec {
        let dimensions = alarm["dimensions"].as_object().expect("dimensions");
        let named = |service: &&Value| {
            let group = text(&service["load_balancer"][0]["target_group_arn"]);
            dimensions
                .values()
                .any(|value| *value == service["name"] || group.ends_with(text(value)) && !group.is_empty())
        };
        let mut named: Vec<&Value> = self.released_services().into_iter().filter(named).collect();
        named.sort_by_key(|service| !text(&service["name"]).ends_with("-canary"));
        let errors = ["HTTPCode_Target_5XX_Count", "LogErrors"].contains(&text(&alarm["metric_name"]));
        let watched = named.first().filter(|_| errors);
        AlarmSpec {
            namespace: text(&alarm["namespace"]).to_owned(),
            metric: text(&alarm["metric_name"]).to_owned(),
            dimensions: dimensions.iter().map(|(name, value)| (name.clone(), text(value).to_owned())).collect(),
            watches: watched.map(|service| (text(&service["cluster"]).to_owned(), text(&service["name"]).to_owned())),
            ..AlarmSpec::new(text(&alarm["alarm_name"]))
        }
    }
}

fn actions(pipeline: &Value) -> impl Iterator<Item = &Value> {
    let stages = pipeline["stage"].as_array().into_iter().flatten();
    stages.flat_map(|stage| stage["action"].as_array().into_iter().flatten())
}

/// A string; empty where there is none.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Terraform's names as AWS's API has them: `container_port`, `containerPort`.
fn camel(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(name, value)| (camel_name(name), camel(value))).collect(),
        Value::Array(items) => items.iter().map(camel).collect(),
        other => other.clone(),
    }
}

fn camel_name(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |so_far, word| so_far + &word[..1].to_uppercase() + &word[1..])
}

/// What `aws codepipeline create-custom-action-type --cli-input-json` takes.
fn type_json(action_type: &Value) -> Value {
    json!({
        "category": action_type["category"],
        "provider": action_type["provider_name"],
        "version": action_type["version"],
        "settings": camel(&action_type["settings"][0]),
        "configurationProperties": camel(&action_type["configuration_property"]),
        "inputArtifactDetails": camel(&action_type["input_artifact_details"][0]),
        "outputArtifactDetails": camel(&action_type["output_artifact_details"][0]),
    })
}

fn definition_json(definition: &Value) -> Value {
    json!({
        "family": definition["family"],
        "cpu": definition["cpu"],
        "memory": definition["memory"],
        "networkMode": definition["network_mode"],
        "requiresCompatibilities": definition["requires_compatibilities"],
        "runtimePlatform": camel(&definition["runtime_platform"][0]),
        "taskRoleArn": definition["task_role_arn"],
        "executionRoleArn": definition["execution_role_arn"],
        "containerDefinitions": definition["container_definitions"],
    })
}

/// What `aws codepipeline create-pipeline --cli-input-json` takes.
fn pipeline_json(pipeline: &Value) -> Value {
    let store = &pipeline["artifact_store"][0];
    let stages = pipeline["stage"].as_array().into_iter().flatten().map(|stage| {
        let actions: Vec<Value> = stage["action"].as_array().into_iter().flatten().map(action_json).collect();
        json!({"name": stage["name"], "actions": actions})
    });
    let mut declared = json!({
        "name": pipeline["name"],
        "roleArn": pipeline["role_arn"],
        "pipelineType": pipeline["pipeline_type"],
        "executionMode": pipeline["execution_mode"],
        "artifactStore": {
            "type": store["type"], "location": store["location"], "encryptionKey": camel(&store["encryption_key"][0]),
        },
        "stages": Value::from_iter(stages),
    });
    if let Some(variables) = pipeline.get("variable") {
        declared["variables"] = camel(variables);
    }
    declared
}

fn action_json(action: &Value) -> Value {
    let artifacts = |names: &Value| -> Value {
        names.as_array().into_iter().flatten().map(|name| json!({ "name": name })).collect()
    };
    let mut declared = json!({
        "name": action["name"],
        "runOrder": action["run_order"],
        "actionTypeId": {
            "category": action["category"],
            "owner": action["owner"],
            "provider": action["provider"],
            "version": action["version"],
        },
        "configuration": action["configuration"],
        "inputArtifacts": artifacts(&action["input_artifacts"]),
        "outputArtifacts": artifacts(&action["output_artifacts"]),
    });
    let optional = ["namespace", "timeout_in_minutes"].into_iter();
    let optional = optional.filter_map(|name| Some((camel_name(name), action.get(name)?.clone())));
    declared.as_object_mut().expect("an object").extend(Map::from_iter(optional));
    declared
}
