//! Simulated AWS Lambda: functions from images, their versions and aliases. They are read, not invoked.
//!
//! ```text
//!   world.add_function("resize", "123456789012.dkr.ecr.eu-central-1.amazonaws.com/resize:v1")?;
//!   let version = world.publish_version("resize");
//!   world.lambda.set_alias("resize", "live", &[version]);
//! ```

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ecs::with_digest;
use crate::paging::keyed;
use crate::{Answer, Call, ErrorReply, World};

/// `ListFunctions` and its kin give at most so many, whatever is asked for.
const PAGE_MAX: usize = 50;

/// What `MaxItems` may say all the same.
const ITEMS_MAX: i64 = 10_000;

/// The version that can still be changed.
const LATEST: &str = "$LATEST";

/// All functions of the account in its region.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Whether functions are shown without their package type.
    pub hides_package_type: bool,
    functions: BTreeMap<String, Function>,
}

#[derive(Clone, Debug)]
struct Function {
    latest: Version,
    /// By number; numbers only ever rise.
    published: BTreeMap<u64, Version>,
    last: u64,
    /// The versions that an alias sends its callers to.
    aliases: BTreeMap<String, Vec<u64>>,
}

#[derive(Clone, Debug)]
struct Version {
    /// The image as it was given, and by digest. `None`: a zip file.
    image: Option<(String, String)>,
    modified_at: SystemTime,
}

impl World {
    /// Makes a function from an image, or changes the image of one that is there; published versions keep theirs.
    ///
    /// # Errors
    /// When the image cannot be pulled.
    pub fn add_function(&mut self, name: &str, image: &str) -> Answer<()> {
        let pulled = self.ecr.pull(image, "amd64");
        let pulled = pulled.map_err(|reason| ErrorReply::new("InvalidParameterValueException", reason))?;
        let image = Some((image.to_owned(), with_digest(image, &pulled.digest)));
        self.put_function(name, Version { image, modified_at: self.now });
        Ok(())
    }

    /// Makes a function from a zip file.
    pub fn add_zip_function(&mut self, name: &str) {
        self.put_function(name, Version { image: None, modified_at: self.now });
    }

    fn put_function(&mut self, name: &str, latest: Version) {
        let functions = &mut self.lambda.functions;
        match functions.get_mut(name) {
            Some(function) => function.latest = latest,
            None => {
                let function = Function { latest, published: BTreeMap::new(), last: 0, aliases: BTreeMap::new() };
                functions.insert(name.to_owned(), function);
            }
        }
    }

    /// Publishes what a function is now; its number, 0 where there is no such function.
    pub fn publish_version(&mut self, name: &str) -> u64 {
        let Some(function) = self.lambda.functions.get_mut(name) else { return 0 };
        function.last += 1;
        function.published.insert(function.last, function.latest.clone());
        function.last
    }
}

impl State {
    /// Points an alias at one version, or at two that share its calls.
    pub fn set_alias(&mut self, function: &str, alias: &str, versions: &[u64]) {
        if let Some(function) = self.functions.get_mut(function) {
            function.aliases.insert(alias.to_owned(), versions.to_vec());
        }
    }

    /// Deletes a published version, or without a number the function.
    pub fn delete(&mut self, function: &str, version: Option<u64>) {
        match version {
            None => drop(self.functions.remove(function)),
            Some(number) => {
                let function = self.functions.get_mut(function);
                function.and_then(|function| function.published.remove(&number));
            }
        }
    }

    /// Every reference to an image that a version needs, by which one.
    pub(crate) fn needed(&self) -> Vec<(String, String)> {
        let versions = self.functions.iter().flat_map(|(name, function)| {
            let published = function.published.iter().map(|(number, version)| (number.to_string(), version));
            let all = published.chain([(LATEST.to_owned(), &function.latest)]);
            all.map(move |(number, version)| (format!("function {name}:{number}"), version))
        });
        versions.filter_map(|(by, version)| Some((by, version.image.as_ref()?.1.clone()))).collect()
    }

    /// A function by name, ARN or `name:qualifier`, and the qualifier.
    fn find(&self, given: &str) -> Answer<(&str, &Function, Option<String>)> {
        let path = given.split_once(":function:").map_or(given, |(_, path)| path);
        let (name, qualifier) = path.split_once(':').map_or((path, None), |(name, rest)| (name, Some(rest.to_owned())));
        match self.functions.get_key_value(name) {
            Some((name, function)) => Ok((name, function, qualifier)),
            None => Err(not_found(given)),
        }
    }
}

impl Function {
    fn version(&self, qualifier: &str) -> Option<(String, &Version)> {
        if qualifier == LATEST {
            return Some((LATEST.to_owned(), &self.latest));
        }
        let aliased = || self.aliases.get(qualifier)?.first().copied();
        let number = qualifier.parse().ok().or_else(aliased)?;
        Some((number.to_string(), self.published.get(&number)?))
    }

    /// `$LATEST` and all published versions.
    fn versions(&self) -> impl Iterator<Item = (String, &Version)> {
        let published = self.published.iter().map(|(number, version)| (number.to_string(), version));
        std::iter::once((LATEST.to_owned(), &self.latest)).chain(published)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ListInput {
    function_version: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListOutput {
    functions: Vec<Configuration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct VersionsOutput {
    versions: Vec<Configuration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct OfFunctionInput {
    function_name: String,
    function_version: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AliasesOutput {
    aliases: Vec<Alias>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Alias {
    alias_arn: String,
    name: String,
    function_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    routing_config: Option<Routing>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Routing {
    additional_version_weights: BTreeMap<String, f64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct GetInput {
    function_name: String,
    qualifier: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetOutput {
    configuration: Configuration,
    code: Code,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Code {
    repository_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_image_uri: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Configuration {
    function_name: String,
    function_arn: String,
    role: String,
    last_modified: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    package_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime: Option<&'static str>,
    state: &'static str,
    last_update_status: &'static str,
}

/// Without `FunctionVersion` only `$LATEST` is listed, with `ALL` published versions, too.
fn list(world: &mut World, _call: &Call, input: ListInput) -> Answer<ListOutput> {
    let all = match input.function_version.as_deref() {
        None => false,
        Some("ALL") => true,
        Some(other) => return Err(invalid(format!("FunctionVersion {other} is not ALL"))),
    };
    let world = &*world;
    let versions = world.lambda.functions.iter().flat_map(|(name, function)| {
        let wanted = function.versions().filter(move |(number, _)| all || number == LATEST);
        wanted.map(move |(number, version)| (key(name, &number), configuration(world, name, &number, version)))
    });
    let (functions, next_marker) = paged(versions, input.marker.as_deref(), input.max_items)?;
    Ok(ListOutput { functions, next_marker })
}

fn list_versions(world: &mut World, _call: &Call, input: OfFunctionInput) -> Answer<VersionsOutput> {
    let (name, function, _) = world.lambda.find(&input.function_name)?;
    let versions = function.versions();
    let versions = versions.map(|(number, version)| (key(name, &number), configuration(world, name, &number, version)));
    let (versions, next_marker) = paged(versions, input.marker.as_deref(), input.max_items)?;
    Ok(VersionsOutput { versions, next_marker })
}

fn list_aliases(world: &mut World, _call: &Call, input: OfFunctionInput) -> Answer<AliasesOutput> {
    let (name, function, _) = world.lambda.find(&input.function_name)?;
    let wanted = |versions: &[u64]| {
        input.function_version.as_ref().is_none_or(|asked| versions.iter().any(|version| version.to_string() == *asked))
    };
    let aliases = function.aliases.iter().filter(|(_, versions)| wanted(versions)).map(|(alias, versions)| {
        let further: BTreeMap<String, f64> =
            versions.iter().skip(1).map(|version| (version.to_string(), 0.1)).collect();
        let shape = Alias {
            alias_arn: world.arn("lambda", &format!("function:{name}:{alias}")),
            name: alias.clone(),
            function_version: versions.first().map(u64::to_string).unwrap_or_default(),
            routing_config: (!further.is_empty()).then_some(Routing { additional_version_weights: further }),
        };
        (alias.clone(), shape)
    });
    let (aliases, next_marker) = paged(aliases, input.marker.as_deref(), input.max_items)?;
    Ok(AliasesOutput { aliases, next_marker })
}

fn get(world: &mut World, _call: &Call, input: GetInput) -> Answer<GetOutput> {
    let (name, function, qualifier) = world.lambda.find(&input.function_name)?;
    let qualifier = input.qualifier.or(qualifier).unwrap_or_else(|| LATEST.to_owned());
    let (number, version) = function.version(&qualifier).ok_or_else(|| not_found(&format!("{name}:{qualifier}")))?;
    let (image_uri, resolved_image_uri) = version.image.clone().unzip();
    let repository_type = if image_uri.is_some() { "ECR" } else { "S3" };
    Ok(GetOutput {
        configuration: configuration(world, name, &number, version),
        code: Code { repository_type, image_uri, resolved_image_uri },
    })
}

/// The place of a version among all: `$LATEST` first, then by number.
fn key(name: &str, number: &str) -> String {
    format!("{name} {:010}", number.parse::<u64>().unwrap_or_default())
}

fn configuration(world: &World, name: &str, number: &str, version: &Version) -> Configuration {
    let zip = version.image.is_none();
    let qualifier = if number == LATEST { String::new() } else { format!(":{number}") };
    Configuration {
        function_name: name.to_owned(),
        function_arn: world.arn("lambda", &format!("function:{name}{qualifier}")),
        role: format!("arn:aws:iam::{}:role/lambda", world.account),
        last_modified: DateTime::<Utc>::from(version.modified_at).format("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string(),
        version: number.to_owned(),
        package_type: (!world.lambda.hides_package_type).then_some(if zip { "Zip" } else { "Image" }),
        runtime: zip.then_some("python3.13"),
        state: "Active",
        last_update_status: "Successful",
    }
}

fn paged<T>(
    items: impl Iterator<Item = (String, T)>,
    marker: Option<&str>,
    asked: Option<i64>,
) -> Answer<(Vec<T>, Option<String>)> {
    let size = asked.filter(|asked| *asked < 50);
    if asked.is_some_and(|asked| asked > ITEMS_MAX) {
        return Err(invalid("MaxItems is not between 1 and 10000"));
    }
    keyed(items, marker, size, PAGE_MAX).ok_or_else(|| invalid("Marker or MaxItems is out of order"))
}

fn invalid(message: impl Into<String>) -> ErrorReply {
    ErrorReply::new("InvalidParameterValueException", message)
}

fn not_found(what: &str) -> ErrorReply {
    ErrorReply::new("ResourceNotFoundException", format!("Function not found: {what}")).with_status(404)
}

crate::wire::json_operations! { dispatch:
    "ListFunctions" => list,
    "ListVersionsByFunction" => list_versions,
    "ListAliases" => list_aliases,
    "GetFunction" => get,
}
