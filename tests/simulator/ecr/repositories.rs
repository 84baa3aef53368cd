//! `DescribeRepositories` and `CreateRepository`.

use serde::{Deserialize, Serialize};

use super::registry::{Mutability, Repository};
use super::{State, invalid, one_of, page_size, required};
use crate::paging::page;
use crate::{Answer, Call, ErrorReply, Timestamp, World};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DescribeInput {
    registry_id: Option<String>,
    repository_names: Option<Vec<String>>,
    next_token: Option<String>,
    max_results: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeOutput {
    repositories: Vec<Description>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Description {
    repository_arn: String,
    registry_id: String,
    repository_name: String,
    repository_uri: String,
    created_at: Timestamp,
    image_tag_mutability: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    image_tag_mutability_exclusion_filters: Vec<Filter>,
    image_scanning_configuration: Scanning,
    encryption_configuration: Encryption,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Filter {
    filter_type: String,
    filter: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Scanning {
    #[serde(default)]
    scan_on_push: bool,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Encryption {
    encryption_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key: Option<String>,
}

/// A repository's tag.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Tag {
    pub(super) key: String,
    pub(super) value: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateInput {
    registry_id: Option<String>,
    repository_name: Option<String>,
    tags: Option<Vec<Tag>>,
    image_tag_mutability: Option<String>,
    image_tag_mutability_exclusion_filters: Option<Vec<Filter>>,
    image_scanning_configuration: Option<Scanning>,
    encryption_configuration: Option<Encryption>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateOutput {
    repository: Description,
}

pub(super) fn describe(world: &mut World, _call: &Call, input: DescribeInput) -> Answer<DescribeOutput> {
    let ecr = &world.ecr;
    let size = page_size(input.max_results)?;
    if let Some(names) = input.repository_names {
        if names.is_empty() || names.len() > 100 {
            return Err(invalid("repositoryNames", "Member must have length between 1 and 100"));
        }
        if input.next_token.is_some() || input.max_results.is_some() {
            return Err(invalid("maxResults", "nextToken and maxResults cannot be used with repositoryNames"));
        }
        let mut repositories = Vec::new();
        for name in names {
            ecr.check_registry(input.registry_id.as_deref(), &name)?;
            repositories.push(ecr.description(&name, ecr.repository(&name)?));
        }
        return Ok(DescribeOutput { repositories, next_token: None });
    }
    ecr.check_registry(input.registry_id.as_deref(), "*")?;
    let (repositories, next_token) =
        page(&ecr.repositories, |(name, _)| (*name).clone(), input.next_token.as_deref(), size)
            .ok_or_else(|| invalid("nextToken", "Member must be a token of an earlier reply"))?;
    let repositories = repositories.into_iter().map(|(name, repository)| ecr.description(name, repository)).collect();
    Ok(DescribeOutput { repositories, next_token })
}

pub(super) fn create(world: &mut World, call: &Call, input: CreateInput) -> Answer<CreateOutput> {
    let name = required("repositoryName", input.repository_name)?;
    check_name(&name)?;
    world.ecr.check_registry(input.registry_id.as_deref(), &name)?;
    let tags = input.tags.unwrap_or_default();
    if tags.len() > 50 {
        return Err(ErrorReply::new("TooManyTagsException", "A repository can have at most 50 tags"));
    }
    let filters = input.image_tag_mutability_exclusion_filters.unwrap_or_default();
    let mutability = mutability(input.image_tag_mutability.as_deref().unwrap_or("MUTABLE"), filters)?;
    if world.ecr.repositories.contains_key(&name) {
        let registry = &world.account;
        return Err(ErrorReply::new(
            "RepositoryAlreadyExistsException",
            format!("The repository with name '{name}' already exists in the registry with id '{registry}'"),
        ));
    }
    let mut repository = Repository::new(mutability, call.at);
    repository.repository_tags = tags;
    repository.scan_on_push = input.image_scanning_configuration.is_some_and(|scanning| scanning.scan_on_push);
    if let Some(Encryption { encryption_type, kms_key }) = input.encryption_configuration {
        one_of("encryptionConfiguration.encryptionType", &encryption_type, &["AES256", "KMS", "KMS_DSSE"])?;
        repository.encryption = (encryption_type, kms_key);
    }
    let description = world.ecr.description(&name, &repository);
    world.ecr.repositories.insert(name, repository);
    Ok(CreateOutput { repository: description })
}

impl State {
    fn description(&self, name: &str, repository: &Repository) -> Description {
        let filter = |filter: &String| Filter { filter_type: "WILDCARD".to_owned(), filter: filter.clone() };
        Description {
            repository_arn: format!("arn:aws:ecr:{}:{}:repository/{name}", self.region, self.account),
            registry_id: self.account.clone(),
            repository_name: name.to_owned(),
            repository_uri: self.uri(name),
            created_at: Timestamp(repository.created_at),
            image_tag_mutability: repository.mutability.name(),
            image_tag_mutability_exclusion_filters: repository.mutability.filters().iter().map(filter).collect(),
            image_scanning_configuration: Scanning { scan_on_push: repository.scan_on_push },
            encryption_configuration: Encryption {
                encryption_type: repository.encryption.0.clone(),
                kms_key: repository.encryption.1.clone(),
            },
        }
    }
}

fn mutability(name: &str, filters: Vec<Filter>) -> Answer<Mutability> {
    const FILTERS: &str = "imageTagMutabilityExclusionFilters";
    one_of(
        "imageTagMutability",
        name,
        &["MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION"],
    )?;
    for Filter { filter_type, filter } in &filters {
        one_of("imageTagMutabilityExclusionFilters.filterType", filter_type, &["WILDCARD"])?;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._*-".contains(&byte);
        if filter.is_empty() || filter.len() > 128 || !filter.bytes().all(legal) {
            return Err(invalid(FILTERS, "must satisfy regular expression '^[0-9a-zA-Z._*-]{1,128}$'"));
        }
    }
    let with_exclusion = name.ends_with("_WITH_EXCLUSION");
    if with_exclusion != (1..=5).contains(&filters.len()) {
        let constraint = if with_exclusion { "Member must have length between 1 and 5" } else { "Member must be null" };
        return Err(invalid(FILTERS, constraint));
    }
    let filters = filters.into_iter().map(|filter| filter.filter).collect();
    Ok(match name {
        "IMMUTABLE" => Mutability::Immutable,
        "IMMUTABLE_WITH_EXCLUSION" => Mutability::ImmutableWithExclusion(filters),
        "MUTABLE_WITH_EXCLUSION" => Mutability::MutableWithExclusion(filters),
        _ => Mutability::Mutable,
    })
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` in every part between slashes, 2 to 256 characters.
fn check_name(name: &str) -> Answer<()> {
    let legal_part = |part: &str| {
        let word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = part.as_bytes();
        let separators = bytes.split(word).filter(|between| !between.is_empty());
        bytes.first().is_some_and(word)
            && bytes.last().is_some_and(word)
            && separators
                .into_iter()
                .all(|between| matches!(between, b"." | b"_" | b"__") || between.iter().all(|byte| *byte == b'-'))
    };
    if (2..=256).contains(&name.len()) && name.split('/').all(legal_part) {
        return Ok(());
    }
    Err(invalid(
        "repositoryName",
        r"must satisfy regular expression '[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*'",
    ))
}

#[cfg(test)]
mod tests {
    use super::check_name;

    #[test]
    fn repository_names_follow_the_pattern_of_2026() {
        for good in ["app", "team/app", "a-b.c_d", "a__b", "a--b"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["a", "App", "-app", "app-", "a..b", "a___b", "team//app", "a._b"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
