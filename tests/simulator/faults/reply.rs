//! Requests and replies changed on their way: short, repeated and half-failed answers.

use http::Request;
use serde_json::{Map, Value, json};

use crate::call::{Call, Service};
use crate::error::Answer;

/// What an unknown value is.
const SOMETHING_NEW: &str = "SOMETHING_NEW";

/// The members of requests that name a page.
const TOKENS: [&str; 3] = ["nextToken", "NextToken", "Marker"];

/// How the token after an empty page begins.
const AGAIN: &str = "again-";

/// The member of a request that says how many items a page may have; `None`: the operation has no pages.
pub(super) fn size_member(call: &Call) -> Option<&'static str> {
    match (call.service, call.operation.as_str()) {
        (
            Service::Ecs,
            "ListClusters"
            | "ListServices"
            | "ListTasks"
            | "ListTaskDefinitions"
            | "ListTaskDefinitionFamilies"
            | "ListServiceDeployments"
            | "ListDaemons"
            | "ListDaemonTaskDefinitions",
        )
        | (Service::CodePipeline, "ListPipelines" | "ListPipelineExecutions" | "ListActionExecutions")
        | (Service::Ecr, "ListImages" | "ListImageReferrers") => Some("maxResults"),
        // Where names or ids are given they have no pages.
        (Service::Ecr, "DescribeRepositories") if call.raw.get("repositoryNames").is_none() => Some("maxResults"),
        (Service::Ecr, "DescribeImages") if call.raw.get("imageIds").is_none() => Some("maxResults"),
        (Service::Lambda, "ListFunctions" | "ListVersionsByFunction" | "ListAliases") => Some("MaxItems"),
        // Callers cannot choose.
        (Service::CodeBuild, "ListProjects") => Some("$pageSize"),
        (Service::EventBridge, "ListEventBuses" | "ListRules" | "ListTargetsByRule") => Some("Limit"),
        (Service::Scheduler, "ListSchedules" | "ListScheduleGroups") => Some("MaxResults"),
        (Service::CloudWatch, "DescribeAlarms") => Some("MaxRecords"),
        (Service::Logs, "DescribeLogGroups" | "DescribeLogStreams" | "FilterLogEvents") => Some("limit"),
        (Service::S3, "ListObjectsV2") => Some("max-keys"),
        _ => None,
    }
}

/// A list's page.
#[derive(Debug)]
pub(crate) struct Page {
    /// The list that it is of: the request without its token.
    pub(crate) key: String,
    /// Whether it is the second or a later one.
    pub(crate) follows: bool,
}

/// Which page a call of a JSON service asks for, if any.
pub(crate) fn page_of(call: &Call) -> Option<Page> {
    if call.service == Service::S3 || size_member(call).is_none() {
        return None;
    }
    let mut request = call.raw.clone();
    let members = request.as_object_mut()?;
    let token = TOKENS.iter().find_map(|name| members.shift_remove(*name));
    let Call { access_key, account, region, operation, .. } = call;
    let key = format!("{access_key} {account} {region} {} {operation} {request}", call.service.name());
    Some(Page { key, follows: token.is_some_and(|token| !token.is_null()) })
}

/// A list's reply without its items, and with a token that asks for the same page again.
pub(crate) fn emptied(call: &Call, mut page: Value) -> Value {
    let asked = TOKENS.iter().find_map(|name| call.raw.get(*name)?.as_str()).unwrap_or_default();
    if let Some(members) = page.as_object_mut() {
        for member in members.values_mut() {
            if let Value::Array(items) = member {
                items.clear();
            }
        }
        members.insert(token_of_replies(call).to_owned(), format!("{AGAIN}{asked}").into());
    }
    page
}

/// The request with the token that it had before its page came empty.
pub(crate) fn without_mark(call: &Call) -> Call {
    let mut call = call.clone();
    let marked = |members: &Map<String, Value>, name: &str| {
        members.get(name).and_then(Value::as_str).and_then(|token| token.strip_prefix(AGAIN)).map(str::to_owned)
    };
    if let Some(members) = call.raw.as_object_mut() {
        for name in TOKENS {
            match marked(members, name) {
                Some(token) if token.is_empty() => drop(members.shift_remove(name)),
                Some(token) => drop(members.insert(name.to_owned(), token.into())),
                None => {}
            }
        }
    }
    call
}

fn token_of_replies(call: &Call) -> &'static str {
    match call.service {
        Service::Lambda => "NextMarker",
        Service::EventBridge | Service::Scheduler | Service::CloudWatch => "NextToken",
        _ => "nextToken",
    }
}

/// The request with at most so many items a page.
pub(crate) fn short(call: &Call, items: u32) -> Call {
    let mut call = call.clone();
    if let Some(member) = size_member(&call)
        && let Some(members) = call.raw.as_object_mut()
    {
        let asked = members.get(member).and_then(Value::as_u64).unwrap_or(u64::MAX);
        members.insert(member.to_owned(), asked.min(items.max(1).into()).into());
    }
    call
}

/// The same for S3, whose requests are no JSON.
pub(crate) fn short_s3<T: Clone>(request: &Request<T>, items: u32) -> Request<T> {
    let mut request = request.clone();
    let uri = request.uri().to_string();
    let (path, query) = uri.split_once('?').unwrap_or((&uri, ""));
    let mut parameters: Vec<String> =
        query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("max-keys=")).map(str::to_owned).collect();
    parameters.push(format!("max-keys={}", items.max(1)));
    if let Ok(uri) = format!("{path}?{}", parameters.join("&")).parse() {
        *request.uri_mut() = uri;
    }
    request
}

/// Puts the items of the page before in front of this one's; whether there were any.
pub(crate) fn repeated(reply: &mut Value, before: &Value) -> bool {
    let (Some(reply), Some(before)) = (reply.as_object_mut(), before.as_object()) else { return false };
    let mut any = false;
    for (name, items) in before {
        if let (Value::Array(items), Some(Value::Array(here))) = (items, reply.get_mut(name)) {
            any |= !items.is_empty();
            here.splice(0..0, items.iter().cloned());
        }
    }
    any
}

/// The list in an operation's reply whose items can fail one by one, and the member that names an item.
fn list(call: &Call) -> Option<(&'static str, &'static str)> {
    Some(match (call.service, call.operation.as_str()) {
        (Service::Ecs, "DescribeServices") => ("services", "serviceArn"),
        (Service::Ecs, "DescribeTasks") => ("tasks", "taskArn"),
        (Service::Ecs, "DescribeClusters") => ("clusters", "clusterArn"),
        (Service::Ecs, "DescribeServiceDeployments") => ("serviceDeployments", "serviceDeploymentArn"),
        (Service::Ecs, "DescribeServiceRevisions") => ("serviceRevisions", "serviceRevisionArn"),
        (Service::Ecs, "DescribeDaemonDeployments") => ("daemonDeployments", "daemonDeploymentArn"),
        (Service::Ecs, "DescribeDaemonRevisions") => ("daemonRevisions", "daemonRevisionArn"),
        (Service::Ecr, "BatchGetImage") => ("images", "imageId"),
        (Service::CodeBuild, "BatchGetProjects") => ("projects", "name"),
        _ => return None,
    })
}

/// Whether an operation answers with failures at HTTP 200.
pub(super) fn can_fail(call: &Call) -> bool {
    list(call).is_some() || is_run_task(call) || is_deletion(call)
}

/// Whether failures stand in the reply of an act that is carried out all the same: it only reads.
pub(crate) fn fails_afterwards(call: &Call) -> bool {
    !is_run_task(call) && !is_deletion(call)
}

fn is_deletion(call: &Call) -> bool {
    call.service == Service::Ecr && call.operation == "BatchDeleteImage"
}

/// A deletion without its last image (`None`: it had one only), and the failure of that image. `None`: it is no deletion.
pub(crate) fn not_deleted(call: &Call, reason: &str) -> Option<(Option<Call>, Value)> {
    let mut rest = call.clone();
    let ids = rest.raw.get_mut("imageIds").filter(|_| is_deletion(call))?.as_array_mut()?;
    let failure =
        json!({ "imageId": ids.pop()?, "failureCode": reason, "failureReason": "Requested image not deleted" });
    let any = !ids.is_empty();
    Some((any.then_some(rest), failure))
}

/// What is answered of the rest, with one more failure.
pub(crate) fn failed_with(rest: Option<Answer<Value>>, failure: Value) -> Answer<Value> {
    let mut reply = rest.unwrap_or_else(|| Ok(json!({ "imageIds": [], "failures": [] })))?;
    if let Some(failures) = reply.get_mut("failures").and_then(Value::as_array_mut) {
        failures.push(failure);
    }
    Ok(reply)
}

fn is_run_task(call: &Call) -> bool {
    call.service == Service::Ecs && call.operation == "RunTask"
}

/// What `RunTask` answers when it starts nothing.
pub(crate) fn nothing_run(call: &Call, reason: &str) -> Option<Value> {
    is_run_task(call).then(|| json!({ "tasks": [], "failures": [{ "reason": reason }] }))
}

/// Lets the last item of an answer fail; whether there was one.
pub(crate) fn failing(call: &Call, reply: &mut Value, reason: &str) -> bool {
    let Some((list, name)) = list(call) else { return false };
    let Some(item) = reply.get_mut(list).and_then(Value::as_array_mut).and_then(Vec::pop) else { return false };
    let name = item.get(name).cloned().unwrap_or_default();
    if call.service == Service::CodeBuild {
        let missing = reply.get_mut("projectsNotFound").and_then(Value::as_array_mut);
        missing.into_iter().for_each(|missing| missing.push(name.clone()));
        return true;
    }
    let failure = if call.service == Service::Ecr {
        json!({ "imageId": name, "failureCode": reason, "failureReason": "Requested image not found" })
    } else {
        json!({ "arn": name, "reason": reason })
    };
    match reply.get_mut("failures") {
        Some(Value::Array(failures)) => failures.push(failure),
        _ => {
            if let Some(members) = reply.as_object_mut() {
                members.insert("failures".into(), Value::Array(vec![failure]));
            }
        }
    }
    true
}

/// Gives a member, `service.status` or `serviceDeployments[].status`, a value that nobody knows; whether it was there.
pub(crate) fn unknown_value(reply: &mut Value, member: &str) -> bool {
    let (name, rest) = match member.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (member, None),
    };
    let (name, each) = match name.strip_suffix("[]") {
        Some(name) => (name, true),
        None => (name, false),
    };
    let Some(found) = reply.get_mut(name) else { return false };
    let change = |value: &mut Value| match rest {
        Some(rest) => unknown_value(value, rest),
        None if value.is_string() => {
            *value = SOMETHING_NEW.into();
            true
        }
        None => false,
    };
    match found {
        // Not `any`: every item changes.
        Value::Array(items) if each => items.iter_mut().fold(false, |changed, item| change(item) | changed),
        other => change(other),
    }
}
