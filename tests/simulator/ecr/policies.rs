//! What stands beside the images: replication rules, registry, repository and lifecycle policies, tags of repositories.
//!
//! Policies are kept and shown, not carried out: nothing is replicated, and nothing expires by itself.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::registry::Repository;
use super::repositories::Tag;
use super::{State, invalid, one_of, required};
use crate::{Answer, Call, ErrorReply, Timestamp, World};

/// Rules of one replication configuration.
const REPLICATION_RULES_MAX: usize = 25;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoInput {}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RegistryOutput {
    registry_id: String,
    replication_configuration: Replication,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Replication {
    rules: Vec<ReplicationRule>,
}

/// A rule; newer than some SDKs is `deleteReplication`, which carries deletions to the destinations, too.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReplicationRule {
    destinations: Vec<Destination>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository_filters: Option<Vec<RepositoryFilter>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delete_replication: Option<DeleteReplication>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Destination {
    region: String,
    registry_id: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RepositoryFilter {
    filter: String,
    filter_type: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeleteReplication {
    enabled: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ReplicationInput {
    replication_configuration: Option<Replication>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplicationOutput {
    replication_configuration: Replication,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RegistryPolicyInput {
    policy_text: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RegistryPolicyOutput {
    registry_id: String,
    policy_text: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NameInput {
    registry_id: Option<String>,
    repository_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PolicyInput {
    registry_id: Option<String>,
    repository_name: Option<String>,
    policy_text: Option<String>,
    force: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PolicyOutput {
    registry_id: String,
    repository_name: String,
    policy_text: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct LifecycleInput {
    registry_id: Option<String>,
    repository_name: Option<String>,
    lifecycle_policy_text: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LifecycleOutput {
    registry_id: String,
    repository_name: String,
    lifecycle_policy_text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_evaluated_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TagsInput {
    resource_arn: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TagsOutput {
    tags: Vec<Tag>,
}

pub(super) fn describe_registry(world: &mut World, _call: &Call, _input: NoInput) -> Answer<RegistryOutput> {
    let replication_configuration = world.ecr.replication.clone();
    Ok(RegistryOutput { registry_id: world.account.clone(), replication_configuration })
}

pub(super) fn put_replication(world: &mut World, _call: &Call, input: ReplicationInput) -> Answer<ReplicationOutput> {
    let asked = input
        .replication_configuration
        .ok_or_else(|| invalid("replicationConfiguration", "Member must not be null"))?;
    asked.check()?;
    world.ecr.replication = asked.clone();
    Ok(ReplicationOutput { replication_configuration: asked })
}

pub(super) fn get_registry_policy(world: &mut World, _call: &Call, _input: NoInput) -> Answer<RegistryPolicyOutput> {
    let account = &world.account;
    let missing = || {
        let message = format!("Registry policy does not exist in the registry with id '{account}'");
        ErrorReply::new("RegistryPolicyNotFoundException", message)
    };
    let policy_text = world.ecr.policy.clone().ok_or_else(missing)?;
    Ok(RegistryPolicyOutput { registry_id: account.clone(), policy_text })
}

pub(super) fn put_registry_policy(
    world: &mut World,
    _call: &Call,
    input: RegistryPolicyInput,
) -> Answer<RegistryPolicyOutput> {
    let policy_text = required("policyText", input.policy_text)?;
    world.ecr.set_registry_policy(&policy_text)?;
    Ok(RegistryPolicyOutput { registry_id: world.account.clone(), policy_text })
}

pub(super) fn get_policy(world: &mut World, _call: &Call, input: NameInput) -> Answer<PolicyOutput> {
    let (name, repository) = world.ecr.named(input.registry_id, input.repository_name)?;
    let text = repository.policy.clone();
    let missing = || world.ecr.no_policy("RepositoryPolicyNotFoundException", "Repository policy", &name);
    world.ecr.policy_output(&name, text.ok_or_else(missing)?)
}

/// `force` is for policies that would lock their own setter out, which nobody is from here.
pub(super) fn set_policy(world: &mut World, _call: &Call, input: PolicyInput) -> Answer<PolicyOutput> {
    let _ = input.force;
    let name = required("repositoryName", input.repository_name)?;
    world.ecr.check_registry(input.registry_id.as_deref(), &name)?;
    let text = required("policyText", input.policy_text)?;
    world.ecr.set_repository_policy(&name, &text)?;
    world.ecr.policy_output(&name, text)
}

pub(super) fn get_lifecycle(world: &mut World, _call: &Call, input: NameInput) -> Answer<LifecycleOutput> {
    let (name, repository) = world.ecr.named(input.registry_id, input.repository_name)?;
    let text = repository.lifecycle.clone();
    let missing = || world.ecr.no_policy("LifecyclePolicyNotFoundException", "Lifecycle policy", &name);
    let text = text.ok_or_else(missing)?;
    // Assumed: evaluated within the last day, at the hour at which the repository was made.
    let last_evaluated_at = Some(Timestamp(world.ecr.last_tick(world.now, super::DAY)));
    let registry_id = world.account.clone();
    Ok(LifecycleOutput { registry_id, repository_name: name, lifecycle_policy_text: text, last_evaluated_at })
}

pub(super) fn put_lifecycle(world: &mut World, _call: &Call, input: LifecycleInput) -> Answer<LifecycleOutput> {
    let name = required("repositoryName", input.repository_name)?;
    world.ecr.check_registry(input.registry_id.as_deref(), &name)?;
    let text = required("lifecyclePolicyText", input.lifecycle_policy_text)?;
    world.ecr.set_lifecycle_policy(&name, &text)?;
    let registry_id = world.account.clone();
    Ok(LifecycleOutput { registry_id, repository_name: name, lifecycle_policy_text: text, last_evaluated_at: None })
}

pub(super) fn list_tags(world: &mut World, _call: &Call, input: TagsInput) -> Answer<TagsOutput> {
    let arn = required("resourceArn", input.resource_arn)?;
    let prefix = world.arn("ecr", "repository/");
    let name = arn.strip_prefix(&prefix).ok_or_else(|| invalid("resourceArn", "Invalid resource ARN"))?;
    Ok(TagsOutput { tags: world.ecr.repository(name)?.repository_tags.clone() })
}

impl Replication {
    fn check(&self) -> Answer<()> {
        if self.rules.len() > REPLICATION_RULES_MAX {
            return Err(invalid("replicationConfiguration.rules", "Member must have length between 0 and 25"));
        }
        for filter in self.rules.iter().flat_map(|rule| rule.repository_filters.iter().flatten()) {
            one_of("repositoryFilters.filterType", &filter.filter_type, &["PREFIX_MATCH"])?;
            if !(2..=256).contains(&filter.filter.len()) {
                return Err(invalid("repositoryFilters.filter", "Member must have length between 2 and 256"));
            }
        }
        Ok(())
    }
}

impl State {
    /// Sets the replication rules, as the JSON of `replicationConfiguration.rules`.
    ///
    /// # Errors
    /// What `PutReplicationConfiguration` refuses.
    pub fn set_replication(&mut self, rules: Value) -> Answer<()> {
        let replication: Replication = crate::wire::from_json(&json!({ "rules": rules }))?;
        replication.check()?;
        self.replication = replication;
        Ok(())
    }

    /// Sets the registry's policy. It is shown, not carried out.
    ///
    /// # Errors
    /// When the text is no JSON or too long.
    pub fn set_registry_policy(&mut self, text: &str) -> Answer<()> {
        if text.len() > 10_240 || serde_json::from_str::<Value>(text).is_err() {
            return Err(invalid("PolicyText", "Invalid registry policy provided"));
        }
        self.policy = Some(text.to_owned());
        Ok(())
    }

    /// Sets a repository's policy.
    ///
    /// # Errors
    /// When there is no such repository, or the text is no JSON or too long.
    pub fn set_repository_policy(&mut self, repository: &str, text: &str) -> Answer<()> {
        if text.len() > 10_240 || serde_json::from_str::<Value>(text).is_err() {
            return Err(invalid("PolicyText", "Invalid repository policy provided"));
        }
        self.repository_mut(repository)?.policy = Some(text.to_owned());
        Ok(())
    }

    /// Sets a repository's lifecycle policy. It is shown, not carried out.
    ///
    /// # Errors
    /// When there is no such repository, or the text is no JSON or of a length that AWS refuses.
    pub fn set_lifecycle_policy(&mut self, repository: &str, text: &str) -> Answer<()> {
        if !(100..=30_720).contains(&text.len()) || serde_json::from_str::<Value>(text).is_err() {
            return Err(invalid("LifecyclePolicyText", "Lifecycle policy validation failure"));
        }
        self.repository_mut(repository)?.lifecycle = Some(text.to_owned());
        Ok(())
    }

    fn named(&self, registry: Option<String>, name: Option<String>) -> Answer<(String, &Repository)> {
        let name = required("repositoryName", name)?;
        self.check_registry(registry.as_deref(), &name)?;
        let repository = self.repository(&name)?;
        Ok((name, repository))
    }

    fn policy_output(&self, name: &str, policy_text: String) -> Answer<PolicyOutput> {
        Ok(PolicyOutput { registry_id: self.account.clone(), repository_name: name.to_owned(), policy_text })
    }

    fn no_policy(&self, code: &str, what: &str, name: &str) -> ErrorReply {
        let registry = &self.account;
        let message =
            format!("{what} does not exist for the repository with name '{name}' in the registry with id '{registry}'");
        ErrorReply::new(code, message)
    }

    /// Tags a repository, for permissions that ask for a tag.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn tag_repository(&mut self, repository: &str, key: &str, value: &str) -> Answer<()> {
        let tags = &mut self.repository_mut(repository)?.repository_tags;
        tags.retain(|tag| tag.key != key);
        tags.push(Tag { key: key.to_owned(), value: value.to_owned() });
        Ok(())
    }

    /// The tags of a repository, key and value; none where there is no such repository.
    pub(crate) fn tags_of_repository(&self, repository: &str) -> Vec<(String, String)> {
        let tags = self.repositories.get(repository).map(|found| found.repository_tags.as_slice()).unwrap_or_default();
        tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect()
    }
}
