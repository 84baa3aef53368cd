//! A task definition's name: family and revision.

use std::fmt;
use std::str::FromStr;

use coalmine_pipeline::names::is_ecs_name;
use serde::{Deserialize, Serialize};

/// `family:revision`, the short form that the continuation token and all messages carry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Revision {
    /// The family, 1–255 characters.
    pub family: String,
    /// The revision, from 1.
    pub number: u32,
}

/// A text that names no revision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no task definition revision: expected family:revision or its ARN")]
pub struct NotARevision(String);

impl Revision {
    /// The ARN in the account, region and partition of another ECS resource's ARN.
    #[must_use]
    pub fn arn_beside(&self, arn: &str) -> String {
        let home: Vec<&str> = arn.splitn(6, ':').take(5).collect();
        format!("{}:task-definition/{self}", home.join(":"))
    }
}

impl FromStr for Revision {
    type Err = NotARevision;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Of an ARN its last part; a slash without one is no part of a family.
        let arn = text.starts_with("arn:").then(|| text.rsplit('/').next()).flatten();
        let short = arn.unwrap_or(text);
        let parsed = short.rsplit_once(':').and_then(|(family, number)| {
            let revision = Self { family: family.to_owned(), number: number.parse().ok()? };
            // Anything else that reads as a number, a sign or leading zeros, ECS has not written.
            (is_ecs_name(family) && revision.number > 0 && revision.to_string() == short).then_some(revision)
        });
        parsed.ok_or_else(|| NotARevision(text.to_owned()))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.family, self.number)
    }
}

impl TryFrom<String> for Revision {
    type Error = NotARevision;

    /// Reads what [`From`] wrote: the short form alone.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let revision: Self = text.parse()?;
        if revision.to_string() == text { Ok(revision) } else { Err(NotARevision(text)) }
    }
}

impl From<Revision> for String {
    fn from(revision: Revision) -> Self {
        revision.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_and_its_short_form_are_one_revision() {
        let arn = "arn:aws-cn:ecs:cn-north-1:123456789012:task-definition/shop-app:42";
        let revision: Revision = arn.parse().unwrap();
        assert_eq!(revision.to_string(), "shop-app:42");
        assert_eq!(revision, "shop-app:42".parse().unwrap());
        assert_eq!(revision.arn_beside("arn:aws-cn:ecs:cn-north-1:123456789012:service/main/app"), arn);
        for wrong in [
            "",
            "shop-app",
            ":3",
            "shop-app:x",
            "shop-app:-1",
            "shop-app:+1",
            "shop-app:01",
            "shop-app:0",
            "my app:1",
            "shop/app:1",
        ] {
            assert!(wrong.parse::<Revision>().is_err(), "{wrong}");
        }
        let written = |text: &str| Revision::try_from(text.to_owned());
        assert_eq!(written("shop-app:42"), Ok(revision));
        assert!(written(arn).is_err(), "a token or a record has the short form alone");
    }
}
