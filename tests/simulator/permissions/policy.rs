//! A policy document, and what it allows. Strict: an element or a condition that is not evaluated here is refused, so that
//! nothing is allowed by being ignored.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::needs::Need;

/// Why a policy document cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the policy cannot be evaluated: {0}")]
pub struct PolicyError(#[from] serde_json::Error);

/// An identity's policy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Policy {
    #[serde(rename = "Version")]
    _version: Option<String>,
    #[serde(default)]
    statement: Vec<Statement>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    effect: Effect,
    #[serde(deserialize_with = "one_or_many")]
    action: Vec<String>,
    #[serde(deserialize_with = "one_or_many")]
    resource: Vec<String>,
    #[serde(default)]
    condition: BTreeMap<Operator, BTreeMap<String, Values>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

/// The operators that policies of ours use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
enum Operator {
    StringEquals,
    StringLike,
    StringLikeIfExists,
    /// The same as `ArnLike`: both take wildcards.
    ArnEquals,
    ArnLike,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
struct Values(#[serde(deserialize_with = "one_or_many")] Vec<String>);

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(text) => Ok(vec![text]),
        OneOrMany::Many(texts) if texts.is_empty() => Err(D::Error::custom("an empty list")),
        OneOrMany::Many(texts) => Ok(texts),
    }
}

impl Policy {
    /// Reads a policy document.
    ///
    /// # Errors
    /// When it is no policy, or has an element that is not evaluated here.
    pub fn parse(document: &str) -> Result<Self, PolicyError> {
        Ok(serde_json::from_str(document)?)
    }

    /// Every action that it allows, as it is written.
    pub fn actions(&self) -> impl Iterator<Item = &str> {
        let allowing = self.statement.iter().filter(|statement| statement.effect == Effect::Allow);
        allowing.flat_map(|statement| &statement.action).map(String::as_str)
    }

    /// Whether something is allowed: by one statement, and denied by none.
    #[must_use]
    pub fn allows(&self, need: &Need) -> bool {
        let mut speaking = self.statement.iter().filter(|statement| statement.speaks_of(need)).peekable();
        speaking.peek().is_some() && speaking.all(|statement| statement.effect == Effect::Allow)
    }
}

impl Statement {
    fn speaks_of(&self, need: &Need) -> bool {
        let action = need.action.to_ascii_lowercase();
        self.action.iter().any(|pattern| is_like(&pattern.to_ascii_lowercase(), &action))
            && self.resource.iter().any(|pattern| is_like(pattern, &need.resource))
            && self.condition.iter().all(|(operator, keys)| {
                keys.iter().all(|(key, Values(values))| operator.holds(values, need.context.get(key)))
            })
    }
}

impl Operator {
    /// Whether a condition key's value is one of those wanted. A key that the request does not carry matches nothing.
    fn holds(self, wanted: &[String], found: Option<&String>) -> bool {
        let Some(found) = found else { return self == Self::StringLikeIfExists };
        wanted.iter().any(|wanted| match self {
            Self::StringEquals => wanted == found,
            Self::StringLike | Self::StringLikeIfExists | Self::ArnEquals | Self::ArnLike => is_like(wanted, found),
        })
    }
}

/// Whether a text matches a pattern, in which `*` stands for any characters and `?` for one.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return text.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    match (first, text.chars().next()) {
        ('*', _) => text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| is_like(rest, &text[at..])),
        ('?', Some(letter)) => is_like(rest, &text[letter.len_utf8()..]),
        (_, Some(letter)) if letter == first => is_like(rest, &text[letter.len_utf8()..]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(statements: &str) -> Policy {
        Policy::parse(&format!(r#"{{"Version": "2012-10-17", "Statement": [{statements}]}}"#)).unwrap()
    }

    #[test]
    fn what_no_statement_allows_is_denied() {
        let policy = policy(r#"{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::a/*"}"#);
        assert!(policy.allows(&Need::new("s3:GetObject", "arn:aws:s3:::a/b/c")));
        assert!(!policy.allows(&Need::new("s3:PutObject", "arn:aws:s3:::a/b/c")));
        assert!(!policy.allows(&Need::new("s3:GetObject", "arn:aws:s3:::b/a/c")));
        assert!(!policy.allows(&Need::new("s3:GetObject", "*")));
        assert!(!Policy::default().allows(&Need::new("s3:GetObject", "arn:aws:s3:::a/b")));
    }

    #[test]
    fn one_denial_outweighs_every_permission() {
        let policy = policy(
            r#"{"Effect": "Allow", "Action": "ecs:*", "Resource": "*"},
               {"Effect": "Deny", "Action": ["ecs:DeleteService"], "Resource": ["*"]}"#,
        );
        assert!(policy.allows(&Need::new("ecs:UpdateService", "*")));
        assert!(!policy.allows(&Need::new("ecs:DeleteService", "*")));
    }

    #[test]
    fn every_condition_has_to_hold_and_an_absent_key_does_not() {
        let policy = policy(
            r#"{"Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:iam::1:role/a",
                "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}},
               {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*",
                "Condition": {"StringLikeIfExists": {"s3:prefix": ["a/*", "b/?"]}}}"#,
        );
        let pass = Need::new("iam:PassRole", "arn:aws:iam::1:role/a");
        assert!(!policy.allows(&pass));
        assert!(!policy.allows(&pass.clone().with("iam:PassedToService", "ec2.amazonaws.com")));
        assert!(policy.allows(&pass.with("iam:PassedToService", "ecs-tasks.amazonaws.com")));
        let list = Need::new("s3:ListBucket", "arn:aws:s3:::x");
        assert!(policy.allows(&list));
        assert!(policy.allows(&list.clone().with("s3:prefix", "a/b/c")));
        assert!(policy.allows(&list.clone().with("s3:prefix", "b/c")));
        assert!(!policy.allows(&list.with("s3:prefix", "b/cd")));
    }

    #[test]
    fn what_is_not_evaluated_is_not_accepted() {
        for wrong in [
            r#"{"Statement": [{"Effect": "Allow", "NotAction": "a:b", "Resource": "*"}]}"#,
            r#"{"Statement": [{"Effect": "Allow", "Action": "a:b", "Resource": "*", "Condition": {"Bool": {"a": "b"}}}]}"#,
            r#"{"Statement": [{"Effect": "Allow", "Action": [], "Resource": "*"}]}"#,
            r#"{"Statement": [{"Effect": "allow", "Action": "a:b", "Resource": "*"}]}"#,
        ] {
            assert!(Policy::parse(wrong).is_err(), "{wrong}");
        }
    }
}
