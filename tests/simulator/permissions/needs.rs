//! What IAM asks of a call: from the service authorization reference, as far as that is clear.
//!
//! Where AWS's pages do not agree on whether an action knows a resource, the need is the harder one, so that a policy
//! which passes here holds under both readings.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::call::{Call, Service};
use crate::incoming::Incoming;
use crate::s3;
use crate::world::World;

/// One thing that has to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The action, `ecs:UpdateService`.
    pub action: String,
    /// The resource's ARN; `*` where the action knows none.
    pub resource: String,
    /// The condition keys that the request carries, each with its value.
    pub context: BTreeMap<String, String>,
}

impl Need {
    /// An action on a resource.
    #[must_use]
    pub fn new(action: &str, resource: impl Into<String>) -> Self {
        Self { action: action.to_owned(), resource: resource.into(), context: BTreeMap::new() }
    }

    /// The same with a condition key that the request carries.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.context.insert(key.to_owned(), value.into());
        self
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.action, self.resource)?;
        self.context.iter().try_for_each(|(key, value)| write!(f, ", {key}={value}"))
    }
}

/// Everything that a call needs; all of it has to be allowed. `None`: nobody wrote it down.
pub(super) fn of(world: &World, incoming: &Incoming) -> Option<Vec<Need>> {
    let call = &incoming.call;
    match call.service {
        Service::CodePipeline => codepipeline(world, call),
        Service::Ecs => ecs(world, call),
        Service::Ecr => ecr(world, call),
        Service::CloudWatch if call.operation == "DescribeAlarms" => {
            // Composite alarms are shown only to those who may see every alarm.
            Some(vec![Need::new("cloudwatch:DescribeAlarms", "*")])
        }
        Service::Logs if call.operation == "GetLogEvents" => {
            let (group, stream) = (text(&call.raw, "logGroupName"), text(&call.raw, "logStreamName"));
            let resource = world.arn("logs", &format!("log-group:{group}:log-stream:{stream}"));
            Some(vec![Need::new("logs:GetLogEvents", resource)])
        }
        Service::EventBridge if call.operation == "PutEvents" => {
            let buses = call.raw["Entries"].as_array().into_iter().flatten();
            let arn = |entry: &Value| match entry["EventBusName"].as_str().unwrap_or("default") {
                arn if arn.starts_with("arn:") => arn.to_owned(),
                name => world.arn("events", &format!("event-bus/{name}")),
            };
            Some(buses.map(|entry| Need::new("events:PutEvents", arn(entry))).collect())
        }
        Service::S3 => s3(world, incoming),
        Service::Lambda | Service::CodeBuild | Service::EventBridge | Service::Scheduler => others(world, call),
        // Everybody may ask who he is.
        Service::Sts if call.operation == "GetCallerIdentity" => Some(Vec::new()),
        Service::Sts if call.operation == "AssumeRole" => {
            Some(vec![Need::new("sts:AssumeRole", text(&call.raw, "RoleArn"))])
        }
        _ => None,
    }
}

fn codepipeline(world: &World, call: &Call) -> Option<Vec<Need>> {
    let action = format!("codepipeline:{}", call.operation);
    let resource = match call.operation.as_str() {
        "PollForJobs" => {
            let id = &call.raw["actionTypeId"];
            let [owner, category, provider, version] =
                ["owner", "category", "provider", "version"].map(|member| text(id, member));
            world.arn("codepipeline", &format!("actiontype:{owner}/{category}/{provider}/{version}"))
        }
        // A job is no resource.
        "AcknowledgeJob" | "GetJobDetails" | "PutJobSuccessResult" | "PutJobFailureResult" => "*".to_owned(),
        "ListPipelines" => world.arn("codepipeline", "*"),
        "GetPipeline" | "GetPipelineState" => world.arn("codepipeline", text(&call.raw, "name")),
        "GetPipelineExecution" | "ListActionExecutions" | "ListPipelineExecutions" => {
            world.arn("codepipeline", text(&call.raw, "pipelineName"))
        }
        _ => return None,
    };
    Some(vec![Need::new(&action, resource)])
}

fn ecs(world: &World, call: &Call) -> Option<Vec<Need>> {
    let action = format!("ecs:{}", call.operation);
    let raw = &call.raw;
    // A name, an ARN, or nothing, which is the cluster `default`.
    let cluster = Some(text(raw, "cluster")).filter(|cluster| !cluster.is_empty()).unwrap_or("default");
    let cluster = cluster.rsplit('/').next().unwrap_or_default();
    let cluster_arn = world.arn("ecs", &format!("cluster/{cluster}"));
    // Names become ARNs in the call's cluster.
    let one = |kind: &str, name: &str| match name {
        arn if arn.starts_with("arn:") => arn.to_owned(),
        name => world.arn("ecs", &format!("{kind}/{cluster}/{name}")),
    };
    let resources: Vec<String> = match call.operation.as_str() {
        "DescribeServices" => texts(raw, "services").map(|name| one("service", name)).collect(),
        "UpdateService" | "ListServiceDeployments" => vec![one("service", text(raw, "service"))],
        "DescribeServiceDeployments" => texts(raw, "serviceDeploymentArns").map(str::to_owned).collect(),
        "StopServiceDeployment" => vec![text(raw, "serviceDeploymentArn").to_owned()],
        "DescribeServiceRevisions" => texts(raw, "serviceRevisionArns").map(str::to_owned).collect(),
        "DescribeTasks" => texts(raw, "tasks").map(|name| one("task", name)).collect(),
        "ListClusters" | "ListServices" | "ListTasks" | "DescribeTaskDefinition" | "ListTaskDefinitions" => {
            vec!["*".to_owned()]
        }
        // Newer than the reference: nobody knows whether they know a resource.
        "ListDaemons"
        | "ListDaemonTaskDefinitions"
        | "DescribeDaemon"
        | "DescribeDaemonDeployments"
        | "DescribeDaemonRevisions"
        | "DescribeDaemonTaskDefinition" => vec!["*".to_owned()],
        // The reference names a task definition, AWS's own example policies name `*`.
        "RegisterTaskDefinition" => vec!["*".to_owned()],
        _ => return None,
    };
    let mut needs: Vec<Need> =
        resources.into_iter().map(|resource| Need::new(&action, resource).with("ecs:cluster", &cluster_arn)).collect();
    if call.operation == "RegisterTaskDefinition" {
        needs.extend(implied_by_registration(world, raw));
    }
    Some(needs)
}

/// Registering passes the roles on to the tasks, and tags what it registers.
fn implied_by_registration(world: &World, raw: &Value) -> Vec<Need> {
    let roles = ["taskRoleArn", "executionRoleArn"].map(|member| text(raw, member));
    let mut needs: Vec<Need> = roles
        .into_iter()
        .filter(|role| !role.is_empty())
        .map(|role| match role {
            arn if arn.starts_with("arn:") => arn.to_owned(),
            name => format!("arn:aws:iam::{}:role/{name}", world.account),
        })
        .map(|role| Need::new("iam:PassRole", role).with("iam:PassedToService", "ecs-tasks.amazonaws.com"))
        .collect();
    if raw["tags"].as_array().is_some_and(|tags| !tags.is_empty()) {
        // Whatever the revision's number will be.
        let revision = world.arn("ecs", &format!("task-definition/{}:1", text(raw, "family")));
        needs.push(Need::new("ecs:TagResource", revision).with("ecs:CreateAction", "RegisterTaskDefinition"));
    }
    needs
}

fn ecr(world: &World, call: &Call) -> Option<Vec<Need>> {
    let raw = &call.raw;
    let registry = Some(text(raw, "registryId")).filter(|id| !id.is_empty()).unwrap_or(&world.account);
    let repository = |name: &str| format!("arn:aws:ecr:{}:{registry}:repository/{name}", world.region);
    let resources: Vec<String> = match call.operation.as_str() {
        // All of a registry's, where none is named.
        "DescribeRepositories" if raw.get("repositoryNames").is_none() => vec![repository("*")],
        "DescribeRepositories" => texts(raw, "repositoryNames").map(repository).collect(),
        "DescribeImages"
        | "BatchGetImage"
        | "BatchDeleteImage"
        | "ListImages"
        | "GetRepositoryPolicy"
        | "GetLifecyclePolicy" => vec![repository(text(raw, "repositoryName"))],
        "DescribeRegistry" | "GetRegistryPolicy" => vec!["*".to_owned()],
        _ => return None,
    };
    let action = format!("ecr:{}", call.operation);
    let tags = world.ecr.tags_of_repository(text(raw, "repositoryName"));
    let need = |resource| {
        let need = Need::new(&action, resource);
        tags.iter().fold(need, |need, (key, value)| need.with(&format!("aws:ResourceTag/{key}"), value))
    };
    Some(resources.into_iter().map(need).collect())
}

/// What runs beside ECS, or starts it. The lists know no resource.
fn others(world: &World, call: &Call) -> Option<Vec<Need>> {
    let raw = &call.raw;
    let (service, resources) = match (call.service, call.operation.as_str()) {
        (Service::Lambda, "ListFunctions") => ("lambda", vec!["*".to_owned()]),
        (Service::Lambda, "GetFunction") => {
            let qualifier = Some(text(raw, "Qualifier")).filter(|qualifier| !qualifier.is_empty());
            let qualifier = qualifier.map(|qualifier| format!(":{qualifier}")).unwrap_or_default();
            let name = text(raw, "FunctionName");
            ("lambda", vec![world.arn("lambda", &format!("function:{name}{qualifier}"))])
        }
        (Service::CodeBuild, "ListProjects") => ("codebuild", vec!["*".to_owned()]),
        (Service::CodeBuild, "BatchGetProjects") => {
            let projects = texts(raw, "names").map(|name| world.arn("codebuild", &format!("project/{name}")));
            ("codebuild", projects.collect())
        }
        (Service::EventBridge, "ListEventBuses" | "ListRules") => ("events", vec!["*".to_owned()]),
        (Service::EventBridge, "ListTargetsByRule") => {
            let bus = Some(text(raw, "EventBusName")).filter(|bus| !["", "default"].contains(bus));
            let bus = bus.map(|bus| format!("{bus}/")).unwrap_or_default();
            ("events", vec![world.arn("events", &format!("rule/{bus}{}", text(raw, "Rule")))])
        }
        (Service::Scheduler, "ListSchedules") => ("scheduler", vec!["*".to_owned()]),
        (Service::Scheduler, "GetSchedule") => {
            let group = Some(text(raw, "GroupName")).filter(|group| !group.is_empty()).unwrap_or("default");
            ("scheduler", vec![world.arn("scheduler", &format!("schedule/{group}/{}", text(raw, "Name")))])
        }
        _ => return None,
    };
    let action = format!("{service}:{}", call.operation);
    Some(resources.into_iter().map(|resource| Need::new(&action, resource)).collect())
}

/// S3's operations, which IAM calls otherwise, and what their encryption asks of KMS.
fn s3(world: &World, incoming: &Incoming) -> Option<Vec<Need>> {
    let place = s3::place(&incoming.request);
    let bucket_arn = format!("arn:aws:s3:::{}", place.bucket);
    let object_arn = format!("{bucket_arn}/{}", place.key);
    let bucket = world.s3.bucket(&place.bucket);
    let list = || Need::new("s3:ListBucket", &bucket_arn);
    let mut needs = match incoming.call.operation.as_str() {
        "ListObjectsV2" => vec![match place.prefix {
            Some(prefix) => list().with("s3:prefix", prefix),
            None => list(),
        }],
        "GetObject" => vec![Need::new("s3:GetObject", object_arn)],
        "PutObject" => vec![Need::new("s3:PutObject", object_arn)],
        "DeleteObject" => vec![Need::new("s3:DeleteObject", object_arn)],
        _ => return None,
    };
    let kms = match incoming.call.operation.as_str() {
        "GetObject" => Some("kms:Decrypt"),
        "PutObject" => Some("kms:GenerateDataKey"),
        _ => None,
    };
    if let (Some(action), Some(key)) = (kms, bucket.and_then(|bucket| bucket.kms_key.as_deref())) {
        let service = format!("s3.{}.amazonaws.com", world.region);
        needs.push(Need::new(action, key).with("kms:ViaService", service));
    }
    // Only who may list is told that an object is not there.
    if incoming.call.operation == "GetObject" && bucket.is_some_and(|bucket| bucket.object(&place.key).is_none()) {
        needs.push(list());
    }
    Some(needs)
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn texts<'a>(value: &'a Value, member: &str) -> impl Iterator<Item = &'a str> {
    value.get(member).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}
