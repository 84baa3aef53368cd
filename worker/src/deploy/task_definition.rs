//! Copying a task definition without loss, but for the images.
//!
//! AWS's JSON is copied, not the SDK's types: those drop every member that is newer than they are.

use std::collections::BTreeMap;

use coalmine_pipeline::tags;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::deploy::revision::Revision;

/// What `DescribeTaskDefinition` returns and `RegisterTaskDefinition` does not take.
pub(super) const ONLY_DESCRIBED: [&str; 9] = [
    "compatibilities",
    "deleteRequestedAt",
    "deregisteredAt",
    "registeredAt",
    "registeredBy",
    "requiresAttributes",
    "revision",
    "status",
    "taskDefinitionArn",
];

/// A resource can carry 50 tags ("Tag restrictions", Amazon ECS), three of which a copy needs for itself.
pub const TAGS_MAX: usize = 50 - 3;

/// A task definition as AWS described it.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskDefinition {
    /// Its family and revision.
    pub revision: Revision,
    /// The reply's `taskDefinition`, every member.
    pub body: Value,
    /// The reply's `tags`.
    pub tags: BTreeMap<String, String>,
}

impl TaskDefinition {
    /// Container name → image, in the order of the definition.
    #[must_use]
    pub fn images(&self) -> Vec<(String, String)> {
        let text = |container: &Value, member: &str| container.get(member).and_then(Value::as_str).map(str::to_owned);
        self.body
            .get("containerDefinitions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|container| Some((text(container, "name")?, text(container, "image")?)))
            .collect()
    }

    /// The architecture of its tasks in registry terms: `arm64` or `amd64`. ECS's default is `X86_64`.
    #[must_use]
    pub fn architecture(&self) -> &'static str {
        match self.body.pointer("/runtimePlatform/cpuArchitecture").and_then(Value::as_str) {
            Some("ARM64") => "arm64",
            _ => "amd64",
        }
    }

    /// How many tags a copy takes over.
    #[must_use]
    pub fn tags_kept(&self) -> usize {
        self.tags.keys().filter(|key| is_kept(key)).count()
    }

    /// The tags that a copy takes over.
    #[must_use]
    pub fn tags_copied(&self) -> BTreeMap<String, Value> {
        let kept = self.tags.iter().filter(|(key, _)| is_kept(key));
        kept.map(|(key, value)| (key.clone(), json!(value))).collect()
    }

    /// What of it a registration can say: the description without what ECS alone writes.
    #[must_use]
    pub fn registrable(&self) -> Map<String, Value> {
        let mut members = match &self.body {
            Value::Object(members) => members.clone(),
            _ => Map::new(),
        };
        members.retain(|member, _| !ONLY_DESCRIBED.contains(&member.as_str()));
        members
    }

    /// Whether a worker registered it.
    #[must_use]
    pub fn by_worker(&self) -> bool {
        self.tags.contains_key(tags::EXECUTION) || self.tags.contains_key(tags::RETURNED_BY)
    }

    /// The log group and stream prefix of a container that logs through `awslogs`.
    #[must_use]
    pub fn log_of(&self, container: &str) -> Option<(String, String)> {
        let containers = self.body.get("containerDefinitions")?.as_array()?;
        let found = containers.iter().find(|each| each.get("name").and_then(Value::as_str) == Some(container))?;
        let option = |name: &str| {
            found.pointer(&format!("/logConfiguration/options/{name}")).and_then(Value::as_str).map(str::to_owned)
        };
        Some((option("awslogs-group")?, option("awslogs-stream-prefix")?))
    }

    /// `ACTIVE`, `INACTIVE` or `DELETE_IN_PROGRESS`, where that was described.
    #[must_use]
    pub fn status(&self) -> Option<&str> {
        self.body.get("status").and_then(Value::as_str)
    }

    /// Whether a service can be told to run it. One that is being deleted or was deregistered goes on running only where it
    /// ran before; a status that is newer than this program is no verdict: ECS will tell.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !matches!(self.status(), Some("INACTIVE" | "DELETE_IN_PROGRESS"))
    }

    /// The revision whose images a release was put upon, where this one was registered by a worker.
    #[must_use]
    pub fn base(&self) -> Option<Revision> {
        self.tags.get(tags::BASE)?.parse().ok()
    }
}

/// What a copy is registered for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// This execution's release.
    Release(String),
    /// This execution returns a canary with it.
    Return(String),
}

impl Purpose {
    /// The tag that says so.
    #[must_use]
    pub fn tag(&self) -> (&'static str, &str) {
        match self {
            Self::Release(execution) => (tags::EXECUTION, execution),
            Self::Return(execution) => (tags::RETURNED_BY, execution),
        }
    }
}

/// A request for `RegisterTaskDefinition`, and how to know its result again.
#[derive(Clone, Debug, PartialEq)]
pub struct Copy {
    /// The family that it is registered into.
    pub family: String,
    /// The request's JSON with all tags.
    pub request: Value,
    /// Whose it is.
    pub purpose: Purpose,
    /// SHA-256 of the request without our own tags, in hex.
    pub content: String,
}

impl Copy {
    /// Whether a registered revision is this very copy. Registering is not idempotent at AWS: a repeated turn looks
    /// before it registers again.
    #[must_use]
    pub fn is(&self, registered: &TaskDefinition) -> bool {
        let (key, execution) = self.purpose.tag();
        registered.tags.get(key).is_some_and(|registered_for| registered_for == execution)
            && registered.tags.get(tags::CONTENT) == Some(&self.content)
    }
}

/// Copies `base` into `family` with other images.
///
/// Everything else survives, tags included; `aws:` tags, which nobody may set, and those of an earlier copy do not.
#[must_use]
pub fn copy(base: &TaskDefinition, family: &str, images: &BTreeMap<String, String>, purpose: Purpose) -> Copy {
    let mut request = base.registrable();
    request.insert("family".to_owned(), json!(family));
    if let Some(Value::Array(containers)) = request.get_mut("containerDefinitions") {
        for container in containers {
            let image = container.get("name").and_then(Value::as_str).and_then(|name| images.get(name)).cloned();
            if let (Some(image), Value::Object(members)) = (image, container) {
                members.insert("image".to_owned(), json!(image));
            }
        }
    }
    let kept = base.tags.iter().filter(|(key, _)| is_kept(key));
    let mut all: Vec<Value> = kept.map(|(key, value)| json!({"key": key, "value": value})).collect();
    let content = fingerprint(&request, &all);
    let own = [purpose.tag(), (tags::CONTENT, &content), (tags::BASE, &base.revision.to_string())];
    all.extend(own.iter().map(|(key, value)| json!({"key": key, "value": value})));
    request.insert("tags".to_owned(), Value::Array(all));
    Copy { family: family.to_owned(), request: Value::Object(request), purpose, content }
}

/// Whether a copy takes a tag over: not AWS's, which nobody may set, and not an earlier copy's.
pub(super) fn is_kept(key: &str) -> bool {
    !key.starts_with("aws:") && !key.starts_with(tags::PREFIX)
}

fn fingerprint(request: &Map<String, Value>, tags: &[Value]) -> String {
    // Sorted, so that the order in which AWS happens to list members does not matter.
    let sorted = canonical(&json!({"request": request, "tags": tags}));
    Sha256::digest(sorted.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        use std::fmt::Write;
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, String> =
                members.iter().map(|(name, value)| (name, canonical(value))).collect();
            let inner: Vec<String> =
                sorted.into_iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
            format!("{{{}}}", inner.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(execution: &str) -> Purpose {
        Purpose::Release(execution.to_owned())
    }

    fn base() -> TaskDefinition {
        TaskDefinition {
            revision: "shop:7".parse().unwrap(),
            body: json!({
                "taskDefinitionArn": "arn", "family": "shop", "revision": 7, "status": "ACTIVE",
                "registeredAt": 1.5, "registeredBy": "me", "requiresAttributes": [], "compatibilities": ["FARGATE"],
                "containerDefinitions": [
                    {"name": "app", "image": "old", "neverHeardOf": {"a": [1, 2.5, null]}},
                    {"name": "proxy", "image": "envoy:1"}
                ],
                "trustedExecutionConfiguration": {"mode": "strict"},
                "volumes": []
            }),
            tags: [("team", "web"), ("aws:cloudformation:stack-name", "x"), ("coalmine:base", "shop:1")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        }
    }

    #[test]
    fn a_copy_differs_in_images_and_revision_metadata_alone() {
        let images = [("app".to_owned(), "new".to_owned())].into();
        let copy = copy(&base(), "shop-canary", &images, release("e-1"));
        let mut expected = base().body;
        let members = expected.as_object_mut().unwrap();
        for gone in ONLY_DESCRIBED {
            members.shift_remove(gone);
        }
        members.insert("family".into(), json!("shop-canary"));
        *expected.pointer_mut("/containerDefinitions/0/image").unwrap() = json!("new");
        let mut request = copy.request.clone();
        let tags = request.as_object_mut().unwrap().shift_remove("tags").unwrap();
        assert_eq!(request, expected);
        assert_eq!(
            tags,
            json!([
                {"key": "team", "value": "web"},
                {"key": "coalmine:execution", "value": "e-1"},
                {"key": "coalmine:content", "value": copy.content},
                {"key": "coalmine:base", "value": "shop:7"}
            ])
        );
    }

    #[test]
    fn a_copy_is_known_again_by_execution_and_content() {
        let images: BTreeMap<_, _> = [("app".to_owned(), "new".to_owned())].into();
        let one = copy(&base(), "shop", &images, release("e-1"));
        let mut registered = base();
        assert!(!one.is(&registered));
        registered.tags = [(tags::EXECUTION, "e-1"), (tags::CONTENT, one.content.as_str())]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        assert!(one.is(&registered));
        assert!(!copy(&base(), "shop", &images, release("e-2")).is(&registered));
        assert!(!copy(&base(), "shop", &BTreeMap::new(), release("e-1")).is(&registered));
        assert!(!copy(&base(), "shop", &images, Purpose::Return("e-1".into())).is(&registered), "nobody's release");
    }

    #[test]
    fn the_order_of_members_does_not_change_the_content() {
        assert_eq!(canonical(&json!({"b": 1, "a": [true]})), canonical(&json!({"a": [true], "b": 1})));
    }
}
