//! Who may pull from a repository, by its policy and by the registry's.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::Reading;

/// Who is let pull from a repository, beside the account that owns it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// Everybody that a statement of its policy allows to read manifests. Conditions are not weighed: they could only make
    /// it fewer.
    pub principals: BTreeSet<Principal>,
    /// Everybody that a statement of the registry's policy allows the same.
    pub by_registry: BTreeSet<Principal>,
}

/// Whom the registry's policy lets pull, and from which repositories.
///
/// Assumed: it grants pulls beside repository policies, as these do, once an account has switched its registry policies to
/// scope V2, which admits all of ECR's actions. In scope V1 it grants but replication, pull-through caches and the making
/// of repositories, so a statement for pulls means nothing there. Which scope holds is not asked: the worst of it is a
/// repository that is frozen for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegistryAccess {
    grants: Vec<Grant>,
}

/// What one statement of the registry's policy grants.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    principals: Vec<Principal>,
    /// Patterns of `repository/NAME`; none where it is not clear which repositories are meant.
    resources: Option<Vec<String>>,
}

/// Somebody in a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Principal {
    /// An account, by its id or by anything in it.
    Account(String),
    /// An AWS service that no condition binds to an account, such as `codebuild.amazonaws.com`.
    Service(String),
    /// `*`, or a statement with `NotPrincipal`.
    Everyone,
    /// Anything else, as it stands there.
    Other(String),
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => write!(f, "account {id}"),
            Self::Service(name) => write!(f, "the service {name} of any account"),
            Self::Everyone => f.write_str("everyone"),
            Self::Other(text) => write!(f, "{text:?}"),
        }
    }
}

/// The call without which no image can be pulled.
const PULL: &str = "ecr:batchgetimage";

/// Condition keys whose values name the account that an AWS service acts for.
const SOURCES: [&str; 2] = ["aws:sourceaccount", "aws:sourcearn"];

impl Access {
    /// Reads the text of a repository policy (`GetRepositoryPolicy`, `policyText`). Whatever is not understood becomes
    /// [`Principal::Other`], which freezes the repository.
    pub fn read(policy: &str) -> Self {
        let principals = match serde_json::from_str::<Value>(policy) {
            Ok(policy) => one_or_many(&policy["Statement"]).iter().flat_map(who).collect(),
            Err(error) => [not_understood(&error)].into(),
        };
        Self { principals, by_registry: BTreeSet::new() }
    }
}

impl RegistryAccess {
    /// Reads the text of a registry policy (`GetRegistryPolicy`, `policyText`). Whatever is not understood freezes every
    /// repository.
    pub fn read(policy: &str) -> Self {
        let grants = match serde_json::from_str::<Value>(policy) {
            Ok(policy) => one_or_many(&policy["Statement"]).iter().map(Grant::of).collect(),
            Err(error) => vec![Grant { principals: vec![not_understood(&error)], resources: None }],
        };
        Self { grants }
    }

    /// A repository's access with what the registry's policy adds to it.
    pub fn added_to(&self, access: Reading<Access>, repository: &str) -> Reading<Access> {
        let grants = self.grants.iter().filter(|grant| grant.covers(repository));
        let by_registry: BTreeSet<Principal> = grants.flat_map(|grant| grant.principals.clone()).collect();
        match access {
            Reading::Some(access) => Reading::Some(Access { by_registry, ..access }),
            Reading::None if !by_registry.is_empty() => Reading::Some(Access { by_registry, ..Access::default() }),
            other => other,
        }
    }
}

impl Grant {
    fn of(statement: &Value) -> Self {
        let resources = one_or_many(&statement["Resource"]);
        let resources: Option<Vec<String>> = resources.iter().map(|one| resource(one.as_str()?)).collect();
        Self { principals: who(statement), resources: resources.filter(|resources| !resources.is_empty()) }
    }

    fn covers(&self, repository: &str) -> bool {
        let name = format!("repository/{repository}");
        self.resources.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| is_like(pattern, &name)))
    }
}

/// The part of an ARN's pattern that names repositories, such as `repository/shop/*`. An ARN of a repository has five
/// colons, so where a pattern has five as well none of its wildcards stands for one. `None` where it has another number or
/// a policy variable.
fn resource(pattern: &str) -> Option<String> {
    let parts: Vec<&str> = pattern.split(':').collect();
    match *parts.as_slice() {
        [_, _, _, _, _, name] if !name.contains('$') => Some(name.to_owned()),
        _ => None,
    }
}

fn not_understood(error: &serde_json::Error) -> Principal {
    Principal::Other(format!("a policy that is not understood: {error}"))
}

/// Whom a statement lets pull.
fn who(statement: &Value) -> Vec<Principal> {
    let denies = statement["Effect"].as_str() == Some("Deny");
    if denies || !may_pull(statement) {
        return Vec::new();
    }
    let Some(principal) = statement.get("Principal") else { return vec![Principal::Everyone] };
    if let Some(text) = principal.as_str() {
        return vec![account(text)];
    }
    let Some(kinds) = principal.as_object().filter(|kinds| !kinds.is_empty()) else {
        return vec![Principal::Other(principal.to_string())];
    };
    let mut found = Vec::new();
    for (kind, values) in kinds {
        for value in one_or_many(values) {
            match (kind.as_str(), value.as_str()) {
                ("AWS", Some(text)) => found.push(account(text)),
                ("Service", Some(name)) => found.extend(service(name, statement)),
                _ => found.push(Principal::Other(format!("{kind}: {value}"))),
            }
        }
    }
    found
}

/// Whether a statement is about pulling, or about what is not understood.
fn may_pull(statement: &Value) -> bool {
    let actions = one_or_many(&statement["Action"]);
    let matches = |action: &Value| action.as_str().is_none_or(|pattern| is_like(&pattern.to_ascii_lowercase(), PULL));
    statement.get("Action").is_none() || actions.iter().any(matches)
}

/// An account by its id, or by the ARN of anything in it.
fn account(text: &str) -> Principal {
    let id = if text.starts_with("arn:") { text.split(':').nth(4).unwrap_or_default() } else { text };
    match text {
        "*" => Principal::Everyone,
        _ if id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit()) => Principal::Account(id.to_owned()),
        // The unique id of a role or user that was deleted, or a form that is new.
        _ => Principal::Other(text.to_owned()),
    }
}

/// A service, for the accounts that the conditions bind it to. A condition on something else binds it to none.
fn service(name: &str, statement: &Value) -> Vec<Principal> {
    let mut accounts = Vec::new();
    let operators = statement["Condition"].as_object().into_iter().flatten();
    for (operator, keys) in operators.filter(|(operator, _)| is_equality(operator)) {
        for (_, values) in keys.as_object().into_iter().flatten().filter(|(key, _)| is_source(key)) {
            accounts.extend(one_or_many(values).iter().map(|value| account(value.as_str().unwrap_or(operator))));
        }
    }
    let bound = !accounts.is_empty() && accounts.iter().all(|account| matches!(account, Principal::Account(_)));
    if bound { accounts } else { vec![Principal::Service(name.to_owned())] }
}

fn is_source(key: &str) -> bool {
    SOURCES.contains(&key.to_ascii_lowercase().as_str())
}

/// `StringEquals`, `StringLike`, `ArnLike` and their like; neither their negations nor the forms that hold for absent
/// keys.
fn is_equality(operator: &str) -> bool {
    matches!(operator, "StringEquals" | "StringEqualsIgnoreCase" | "StringLike" | "ArnEquals" | "ArnLike")
}

/// A member that policies write as one value or as a list of them.
fn one_or_many(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

/// Whether `text` matches a pattern of `*` and `?`, as IAM matches actions.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for sign in pattern.bytes() {
        let before = reached.clone();
        for at in 0..=text.len() {
            reached[at] = match sign {
                b'*' => before[..=at].contains(&true),
                _ => at > 0 && before[at - 1] && (sign == b'?' || text.as_bytes()[at - 1] == sign),
            };
        }
    }
    reached[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principals(statement: &str) -> Vec<String> {
        let policy = format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#);
        Access::read(&policy).principals.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn reads_whom_a_policy_lets_pull() {
        let pull = r#""Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]"#;
        for (principal, expected) in [
            (r#""Principal": "*""#, "everyone"),
            (r#""NotPrincipal": {"AWS": "210987654321"}"#, "everyone"),
            (r#""Principal": {"AWS": "*"}"#, "everyone"),
            (r#""Principal": {"AWS": "210987654321"}"#, "account 210987654321"),
            (r#""Principal": {"AWS": ["arn:aws:iam::210987654321:role/app"]}"#, "account 210987654321"),
            (r#""Principal": {"AWS": "AIDACKCEVSQ6C2EXAMPLE"}"#, r#""AIDACKCEVSQ6C2EXAMPLE""#),
            (r#""Principal": {"Federated": "x"}"#, r#""Federated: \"x\"""#),
            (
                r#""Principal": {"Service": "lambda.amazonaws.com"}, "Condition": {"StringLike": {
                    "aws:sourceArn": "arn:aws:lambda:eu-west-1:210987654321:function:*"}}"#,
                "account 210987654321",
            ),
            (
                r#""Principal": {"Service": "codebuild.amazonaws.com"}, "Condition": {"StringNotEquals": {
                    "aws:SourceAccount": "210987654321"}}"#,
                "the service codebuild.amazonaws.com of any account",
            ),
        ] {
            assert_eq!(principals(&format!("{{{pull}, {principal}}}")), [expected], "{principal}");
        }
    }

    #[test]
    fn only_statements_that_let_pull_count() {
        let who = r#""Principal": {"AWS": "210987654321"}"#;
        for (statement, counts) in [
            (r#""Effect": "Allow", "Action": "ecr:*""#, true),
            (r#""Effect": "Allow", "Action": "*""#, true),
            (r#""Effect": "Allow", "Action": "ECR:batchget*""#, true),
            (r#""Effect": "Allow", "NotAction": "ecr:PutImage""#, true),
            (r#""Effect": "Allow", "Action": ["ecr:PutImage", "ecr:InitiateLayerUpload"]"#, false),
            (r#""Effect": "Deny", "Action": "ecr:*""#, false),
        ] {
            assert_eq!(!principals(&format!("{{{statement}, {who}}}")).is_empty(), counts, "{statement}");
        }
    }

    /// Whom a registry policy of one statement lets pull from `shop/app`.
    fn of_registry(statement: &str) -> Vec<String> {
        let policy = format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#);
        match RegistryAccess::read(&policy).added_to(Reading::None, "shop/app") {
            Reading::Some(access) => access.by_registry.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_registry_policy_lets_pull_from_the_repositories_of_its_resources() {
        let pull = r#""Effect": "Allow", "Principal": {"AWS": "210987654321"}, "Action": "ecr:BatchGetImage""#;
        let arn = "arn:aws:ecr:eu-west-1:123456789012:";
        for (resource, counts) in [
            (format!(r#""Resource": "{arn}repository/*""#), true),
            (format!(r#""Resource": ["{arn}repository/base", "{arn}repository/shop/a?p"]"#), true),
            (format!(r#""Resource": "{arn}*""#), true),
            (format!(r#""Resource": "{arn}repository/base/*""#), false),
            (format!(r#""Resource": "{arn}repository/shop""#), false),
            // What is not clear means all.
            (r#""Resource": "*""#.to_owned(), true),
            (r#""Resource": "arn:aws:ecr:*:repository/base""#.to_owned(), true),
            (format!(r#""Resource": "{arn}repository/${{aws:PrincipalTag/team}}""#), true),
            (format!(r#""Resource": ["{arn}repository/base", 5]"#), true),
            (format!(r#""NotResource": "{arn}repository/shop/app""#), true),
            (r#""Sid": "no resource""#.to_owned(), true),
        ] {
            let expected: &[&str] = if counts { &["account 210987654321"] } else { &[] };
            assert_eq!(of_registry(&format!("{{{pull}, {resource}}}")), expected, "{resource}");
        }
    }

    #[test]
    fn replication_into_a_registry_is_no_pull() {
        let into = r#"{"Effect": "Allow", "Principal": {"AWS": "210987654321"}, "Resource": "*",
            "Action": ["ecr:ReplicateImage", "ecr:CreateRepository"]}"#;
        assert_eq!(of_registry(into), Vec::<String>::new());
        assert!(!of_registry("5").is_empty() && !of_registry("{").is_empty());
    }

    #[test]
    fn what_the_registry_adds_changes_nothing_else() {
        let everyone = r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}"#;
        let (registry, own) = (RegistryAccess::read(everyone), Access::read(everyone));
        let Reading::Some(both) = registry.added_to(Reading::Some(own.clone()), "app") else { panic!("a policy") };
        assert_eq!((both.principals, both.by_registry), (own.principals, [Principal::Everyone].into()));
        assert_eq!(registry.added_to(Reading::NotRead, "app"), Reading::NotRead);
        assert_eq!(RegistryAccess::default().added_to(Reading::None, "app"), Reading::None);
    }

    #[test]
    fn a_policy_that_is_not_understood_lets_in_somebody() {
        for policy in ["", "{", r#"{"Statement": [{"Effect": "Allow", "Principal": 5, "Action": "*"}]}"#] {
            assert!(!Access::read(policy).principals.is_empty(), "{policy}");
        }
    }
}
