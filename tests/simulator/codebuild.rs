//! Simulated AWS CodeBuild: projects and the images that they build in. They are read, not built.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::paging::page;
use crate::{Answer, Call, ErrorReply, Timestamp, World};

/// Names in one reply, and in one request.
const PROJECTS_MAX: usize = 100;

/// All projects of the account in its region.
#[derive(Clone, Debug, Default)]
pub struct State {
    projects: BTreeMap<String, (String, SystemTime)>,
}

impl State {
    /// Makes a project that builds in an image, or changes the image of one that is there.
    pub fn add_project(&mut self, name: &str, image: &str, at: SystemTime) {
        self.projects.insert(name.to_owned(), (image.to_owned(), at));
    }

    /// Deletes a project.
    pub fn delete_project(&mut self, name: &str) {
        self.projects.remove(name);
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListInput {
    sort_by: Option<String>,
    sort_order: Option<String>,
    next_token: Option<String>,
    /// Not of AWS's: how a fault asks for a short page, whose size callers cannot choose.
    #[serde(rename = "$pageSize")]
    page_size: Option<usize>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListOutput {
    projects: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GetInput {
    names: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GetOutput {
    projects: Vec<Project>,
    projects_not_found: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Project {
    name: String,
    arn: String,
    source: Kind,
    artifacts: Kind,
    environment: Environment,
    service_role: String,
    created: Timestamp,
    last_modified: Timestamp,
}

#[derive(Debug, Serialize)]
struct Kind {
    r#type: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Environment {
    r#type: &'static str,
    image: String,
    compute_type: &'static str,
}

fn list(world: &mut World, _call: &Call, input: ListInput) -> Answer<ListOutput> {
    if input.sort_by.as_ref().is_some_and(|by| by != "NAME")
        || input.sort_order.is_some_and(|order| order != "ASCENDING")
    {
        return Err(invalid("The simulator sorts projects by name alone"));
    }
    let size = input.page_size.unwrap_or(PROJECTS_MAX).min(PROJECTS_MAX);
    let names = world.codebuild.projects.keys().cloned();
    let (projects, next_token) =
        page(names, String::clone, input.next_token.as_deref(), size).ok_or_else(|| invalid("Invalid token"))?;
    Ok(ListOutput { projects, next_token })
}

fn batch_get(world: &mut World, _call: &Call, input: GetInput) -> Answer<GetOutput> {
    if input.names.is_empty() || input.names.len() > PROJECTS_MAX {
        return Err(invalid("Invalid names: between 1 and 100 are needed"));
    }
    let mut output = GetOutput { projects: Vec::new(), projects_not_found: Vec::new() };
    for given in input.names {
        let name = given.rsplit(":project/").next().unwrap_or(&given);
        match world.codebuild.projects.get(name) {
            Some((image, at)) => output.projects.push(Project {
                name: name.to_owned(),
                arn: world.arn("codebuild", &format!("project/{name}")),
                source: Kind { r#type: "CODEPIPELINE" },
                artifacts: Kind { r#type: "CODEPIPELINE" },
                environment: Environment {
                    r#type: "LINUX_CONTAINER",
                    image: image.clone(),
                    compute_type: "BUILD_GENERAL1_SMALL",
                },
                service_role: format!("arn:aws:iam::{}:role/codebuild", world.account),
                created: Timestamp(*at),
                last_modified: Timestamp(*at),
            }),
            None => output.projects_not_found.push(given),
        }
    }
    Ok(output)
}

fn invalid(message: &str) -> ErrorReply {
    ErrorReply::new("InvalidInputException", message)
}

crate::wire::json_operations! { dispatch:
    "ListProjects" => list,
    "BatchGetProjects" => batch_get,
}
