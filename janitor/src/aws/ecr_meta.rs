//! Amazon ECR: the registry, its repositories, and who else uses them.

use aws_sdk_ecr::types::Repository as Described;
use coalmine_door::AwsError;
use coalmine_door::raw::Reply;
use coalmine_pipeline::Home;
use serde_json::Value;

use super::buckets::Bucket;
use super::{Place, time};
use crate::inventory::{Access, Reading, RegistryAccess, Replication, Repository};

impl Place {
    /// Every repository, without its images, policies and tags.
    ///
    /// # Errors
    /// When not every page can be read.
    pub async fn repositories(&self) -> Result<Vec<Repository>, AwsError> {
        const OPERATION: &str = "ecr DescribeRepositories";
        let pages = self.calls.pages(Bucket::RegistryRead, OPERATION, |token| async {
            let request = self.ecr.describe_repositories().registry_id(&self.home.account);
            let request = request.max_results(1000).set_next_token(token);
            let output = request.send().await.map_err(|error| AwsError::of(OPERATION, &error))?;
            Ok((output.repositories.unwrap_or_default(), output.next_token))
        });
        let mut found: Vec<Repository> = pages.await?.iter().filter_map(repository).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found.dedup_by(|a, b| a.name == b.name);
        Ok(found)
    }

    /// The registry's replication rules, `deleteReplication` included.
    ///
    /// # Errors
    /// When ECR cannot be asked, or a rule is not understood.
    pub async fn replication(&self) -> Result<Vec<Replication>, AwsError> {
        const OPERATION: &str = "ecr DescribeRegistry";
        let reply = self.calls.one(Bucket::RegistryRead, OPERATION, || async {
            // The SDK does not know deleteReplication yet, so the reply is read as it came.
            let reply = Reply::default();
            let sent = self.ecr.describe_registry().customize().interceptor(reply.clone()).send().await;
            sent.map_err(|error| AwsError::of(OPERATION, &error))?;
            reply.take().ok_or_else(|| AwsError::unusable(OPERATION, "a reply without JSON"))
        });
        let reply = reply.await?;
        let rules = reply["replicationConfiguration"]["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
        rules
            .iter()
            .map(rule)
            .collect::<Option<_>>()
            .ok_or_else(|| AwsError::unusable(OPERATION, "a replication rule is not understood"))
    }

    /// Who else may pull by the registry's policy.
    ///
    /// # Errors
    /// When ECR cannot be asked.
    pub async fn registry_access(&self) -> Result<RegistryAccess, AwsError> {
        const OPERATION: &str = "ecr GetRegistryPolicy";
        let asked = self.calls.one(Bucket::RegistryRead, OPERATION, || async {
            self.ecr.get_registry_policy().send().await.map_err(|error| AwsError::of(OPERATION, &error))
        });
        match asked.await {
            Ok(output) => Ok(RegistryAccess::read(output.policy_text().unwrap_or_default())),
            Err(error) if error.is("RegistryPolicyNotFoundException") => Ok(RegistryAccess::default()),
            Err(error) => Err(error),
        }
    }

    /// Who else may pull from a repository by its own policy.
    ///
    /// # Errors
    /// When ECR cannot be asked.
    pub async fn access(&self, repository: &str) -> Result<Reading<Access>, AwsError> {
        const OPERATION: &str = "ecr GetRepositoryPolicy";
        let asked = self.calls.one(Bucket::RegistryRead, OPERATION, || async {
            let request = self.ecr.get_repository_policy().registry_id(&self.home.account).repository_name(repository);
            request.send().await.map_err(|error| AwsError::of(OPERATION, &error))
        });
        match asked.await {
            Ok(output) => Ok(Reading::Some(Access::read(output.policy_text().unwrap_or_default()))),
            Err(error) if error.is("RepositoryPolicyNotFoundException") => Ok(Reading::None),
            Err(error) => Err(error),
        }
    }

    /// Whether ECR itself also deletes from a repository.
    ///
    /// # Errors
    /// When ECR cannot be asked.
    pub async fn has_lifecycle_policy(&self, repository: &str) -> Result<bool, AwsError> {
        const OPERATION: &str = "ecr GetLifecyclePolicy";
        let asked = self.calls.one(Bucket::RegistryRead, OPERATION, || async {
            let request = self.ecr.get_lifecycle_policy().registry_id(&self.home.account).repository_name(repository);
            request.send().await.map_err(|error| AwsError::of(OPERATION, &error))
        });
        match asked.await {
            Ok(_) => Ok(true),
            Err(error) if error.is("LifecyclePolicyNotFoundException") => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn repository(described: &Described) -> Option<Repository> {
    Some(Repository {
        name: described.repository_name()?.to_owned(),
        created: described.created_at().and_then(time),
        tag_mutability: described.image_tag_mutability().map(|word| word.as_str().to_owned()).unwrap_or_default(),
        access: Reading::NotRead,
        images: None,
    })
}

fn rule(rule: &Value) -> Option<Replication> {
    let list = |name: &str| rule[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let destination = |destination: &Value| {
        let text = |name: &str| Some(destination[name].as_str()?.to_owned());
        Some(Home { account: text("registryId")?, region: text("region")? })
    };
    let prefix = |filter: &Value| match filter["filterType"].as_str() {
        Some("PREFIX_MATCH") => Some(filter["filter"].as_str()?.to_owned()),
        _ => Some(String::new()),
    };
    Some(Replication {
        destinations: list("destinations").iter().map(destination).collect::<Option<_>>()?,
        prefixes: list("repositoryFilters").iter().map(prefix).collect::<Option<_>>()?,
        // Newer than the SDK: what is there in another shape may mean that deletions spread.
        deletes: match &rule["deleteReplication"] {
            Value::Null => false,
            switch => switch["enabled"].as_bool()?,
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_whose_spread_of_deletions_is_not_understood_is_none() {
        let read = |switch: Value| {
            let destination = json!({"region": "eu-west-1", "registryId": "123456789012"});
            let text = json!({"destinations": [destination], "deleteReplication": switch});
            rule(&text).map(|rule| rule.deletes)
        };
        assert_eq!(read(Value::Null), Some(false));
        assert_eq!(read(json!({"enabled": false})), Some(false));
        assert_eq!(read(json!({"enabled": true})), Some(true));
        for strange in [json!(true), json!("ENABLED"), json!({}), json!({"enabled": "true"}), json!({"status": "ON"})] {
            assert_eq!(read(strange.clone()), None, "{strange}");
        }
    }
}
