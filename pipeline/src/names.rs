//! Names of ECS things: clusters, services, families, containers; plain or in an ARN.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::ECS_NAME_CHARS;
use crate::mismatch::Mismatch;

/// An account in a Region: where an ARN leads, where a registry is, where references are read.
///
/// Configurations may name clusters and services by ARN, of which only the names remain. Whoever acts has to make sure
/// that this is where it acts: the same names may exist elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Home {
    /// The account, twelve digits.
    pub account: String,
    /// The Region, such as `eu-west-1`.
    pub region: String,
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.region)
    }
}

/// A cluster or service by its name, with what else an ARN said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) name: String,
    /// The cluster in a service's ARN; ARNs of the old form have none.
    pub(crate) cluster: Option<String>,
    pub(crate) home: Option<Home>,
}

/// 1–255 letters, digits, `_` and `-`: ECS's rule for clusters, services, families and containers.
#[must_use]
pub fn is_ecs_name(text: &str) -> bool {
    (1..=ECS_NAME_CHARS).contains(&text.len()) && is_word(text)
}

/// Letters, digits, `_` and `-` only.
pub(crate) fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// A cluster's name, or `arn:<partition>:ecs:<region>:<account>:cluster/<name>`.
pub(crate) fn cluster(text: &str, expected: &str) -> Result<Named, Mismatch> {
    let wrong = || Mismatch::value(text, expected);
    match ecs_arn(text) {
        Some((home, resource)) => match resource.strip_prefix("cluster/") {
            Some(name) if is_ecs_name(name) => Ok(Named { name: name.to_owned(), cluster: None, home: Some(home) }),
            _ => Err(wrong()),
        },
        None => plain(text).ok_or_else(wrong),
    }
}

/// A service's name, or its ARN: `…:service/<cluster>/<name>`, in the old form `…:service/<name>`.
pub(crate) fn service(text: &str, expected: &str) -> Result<Named, Mismatch> {
    let wrong = || Mismatch::value(text, expected);
    let Some((home, resource)) = ecs_arn(text) else {
        return plain(text).ok_or_else(wrong);
    };
    let path = resource.strip_prefix("service/").ok_or_else(wrong)?;
    let (cluster, name) = path.split_once('/').map_or((None, path), |(cluster, name)| (Some(cluster), name));
    if !is_ecs_name(name) || !cluster.is_none_or(is_ecs_name) {
        return Err(wrong());
    }
    Ok(Named { name: name.to_owned(), cluster: cluster.map(str::to_owned), home: Some(home) })
}

fn plain(text: &str) -> Option<Named> {
    is_ecs_name(text).then(|| Named { name: text.to_owned(), cluster: None, home: None })
}

/// The home and the resource of an ECS ARN.
fn ecs_arn(text: &str) -> Option<(Home, &str)> {
    let mut parts = text.splitn(6, ':');
    let ("arn", partition, "ecs") = (parts.next()?, parts.next()?, parts.next()?) else {
        return None;
    };
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let legal =
        partition.starts_with("aws") && is_word(partition) && !region.is_empty() && is_word(region) && is_account;
    legal.then(|| (Home { account: account.to_owned(), region: region.to_owned() }, resource))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_arns() {
        let home = Some(Home { account: "123456789012".to_owned(), region: "eu-west-1".to_owned() });
        let named = |name: &str, cluster: Option<&str>, home: &Option<Home>| {
            Ok(Named { name: name.to_owned(), cluster: cluster.map(str::to_owned), home: home.clone() })
        };
        let arn = |resource: &str| format!("arn:aws:ecs:eu-west-1:123456789012:{resource}");
        assert_eq!(cluster("prod_1", ""), named("prod_1", None, &None));
        assert_eq!(cluster(&arn("cluster/prod"), ""), named("prod", None, &home));
        assert_eq!(service("app-canary", ""), named("app-canary", None, &None));
        assert_eq!(service(&arn("service/prod/app"), ""), named("app", Some("prod"), &home));
        assert_eq!(service(&arn("service/app"), ""), named("app", None, &home));
        assert!(cluster("arn:aws-cn:ecs:cn-north-1:123456789012:cluster/prod", "").is_ok());
    }

    #[test]
    fn refuses_the_rest() {
        let long = "a".repeat(256);
        for text in [
            "",
            "my cluster",
            "prod/app",
            "grün",
            &long,
            "arn:aws:ecs:eu-west-1:123456789012:",
            "arn:aws:ecs:eu-west-1:123456789012:cluster/",
            "arn:aws:ecs:eu-west-1:123456789012:service/a/b/c",
            "arn:aws:ecs:eu-west-1:123456789012:service//b",
            "arn:aws:ecs:eu-west-1:12:service/prod/app",
            "arn:aws:ecs::123456789012:service/prod/app",
            "arn:aws:s3:eu-west-1:123456789012:service/prod/app",
            "arn:aws:ecs",
        ] {
            assert!(cluster(text, "").is_err(), "{text}");
            assert!(service(text, "").is_err(), "{text}");
        }
    }
}
