//! Repositories of private ECR registries, and the families of their host names.

use std::fmt;

use super::grammar;
use crate::mismatch::Mismatch;

/// The form of a registry's host name. All forms of one account and Region lead to the same repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostFamily {
    /// `<account>.dkr.ecr.<region>.amazonaws.com`
    Standard,
    /// `<account>.dkr.ecr-fips.<region>.amazonaws.com`
    Fips,
    /// `<account>.dkr-ecr.<region>.on.aws`: IPv4 and IPv6.
    DualStack,
    /// `<account>.dkr-ecr-fips.<region>.on.aws`
    DualStackFips,
    /// `<account>.dkr.ecr.<region>.amazonaws.com.cn`
    China,
    /// `<account>.dkr-ecr.<region>.on.amazonwebservices.com.cn`
    ChinaDualStack,
    /// `<account>.dkr.ecr.<region>.amazonaws.eu`: the European Sovereign Cloud.
    EuropeanSovereign,
    /// `<account>.dkr.ecr.<region>.c2s.ic.gov`. This and the following: partitions that are cut off from the others,
    /// with the domains of the SDK's table of partitions. FIPS and dual-stack forms of them are not documented; they
    /// are refused like any other unknown form.
    Iso,
    /// `<account>.dkr.ecr.<region>.sc2s.sgov.gov`
    IsoB,
    /// `<account>.dkr.ecr.<region>.cloud.adc-e.uk`
    IsoE,
    /// `<account>.dkr.ecr.<region>.csp.hci.ic.gov`
    IsoF,
}

/// A repository in a private ECR registry. The fields come from [`ImageReference::parse`](super::ImageReference::parse),
/// in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EcrRepository {
    /// The registry's account, twelve digits.
    pub account: String,
    /// The Region, such as `eu-west-1`.
    pub region: String,
    /// The form in which the host was written.
    pub family: HostFamily,
    /// The repository's name, 2–256 characters, such as `shop/app` (ECR: `repositoryName`).
    pub repository: String,
}

impl EcrRepository {
    /// The registry's host name.
    pub fn host(&self) -> String {
        let Self { account, region, family, .. } = self;
        let (middle, suffix) = family.parts();
        format!("{account}.{middle}.{region}.{suffix}")
    }

    /// Whether both are the same repository, by whichever family of host names.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.account, &self.region, &self.repository) == (&other.account, &other.region, &other.repository)
    }
}

impl fmt::Display for EcrRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host(), self.repository)
    }
}

impl HostFamily {
    /// Every family, in the order of the documentation.
    pub const ALL: [Self; 11] = [
        Self::Standard,
        Self::Fips,
        Self::DualStack,
        Self::DualStackFips,
        Self::China,
        Self::ChinaDualStack,
        Self::EuropeanSovereign,
        Self::Iso,
        Self::IsoB,
        Self::IsoE,
        Self::IsoF,
    ];

    /// What stands between account and Region, and after the Region.
    const fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Standard => ("dkr.ecr", "amazonaws.com"),
            Self::Fips => ("dkr.ecr-fips", "amazonaws.com"),
            Self::DualStack => ("dkr-ecr", "on.aws"),
            Self::DualStackFips => ("dkr-ecr-fips", "on.aws"),
            Self::China => ("dkr.ecr", "amazonaws.com.cn"),
            Self::ChinaDualStack => ("dkr-ecr", "on.amazonwebservices.com.cn"),
            Self::EuropeanSovereign => ("dkr.ecr", "amazonaws.eu"),
            Self::Iso => ("dkr.ecr", "c2s.ic.gov"),
            Self::IsoB => ("dkr.ecr", "sc2s.sgov.gov"),
            Self::IsoE => ("dkr.ecr", "cloud.adc-e.uk"),
            Self::IsoF => ("dkr.ecr", "csp.hci.ic.gov"),
        }
    }
}

/// Reads `host` as an ECR host in any case, as DNS does; `None` if it is clearly another registry's.
///
/// A host that has ECR's labels but none of the known forms is an error: to take it for another registry would hide a
/// reference to our images from the janitor.
pub(super) fn parse_host(host: &str, repository: &str) -> Result<Option<EcrRepository>, Mismatch> {
    let host = host.to_ascii_lowercase();
    if !looks_like_ecr(&host) {
        return Ok(None);
    }
    let Some((account, family, region)) = split_host(&host) else {
        let expected = "an ECR registry such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com, without a port";
        return Err(Mismatch::value(&host, expected));
    };
    if !is_repository(repository) {
        let expected = "an ECR repository: 2 to 256 lower-case letters and digits, with . _ - / between them";
        return Err(Mismatch::value(repository, expected));
    }
    Ok(Some(EcrRepository {
        account: account.to_owned(),
        region: region.to_owned(),
        family,
        repository: repository.to_owned(),
    }))
}

/// Account, family and Region of a host in lower case.
pub(super) fn split_host(host: &str) -> Option<(&str, HostFamily, &str)> {
    let (account, rest) = host.split_once('.').filter(|(account, _)| is_account(account))?;
    HostFamily::ALL.into_iter().find_map(|family| {
        let (middle, suffix) = family.parts();
        let region = rest.strip_prefix(middle)?.strip_prefix('.')?.strip_suffix(suffix)?.strip_suffix('.')?;
        is_region(region).then_some((account, family, region))
    })
}

/// ECR's `repositoryName`.
pub(super) fn is_repository(repository: &str) -> bool {
    (2..=256).contains(&repository.len()) && grammar::is_repository(repository)
}

/// Whether ECR's labels follow the first one, in any case.
pub(super) fn looks_like_ecr(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let rest = host.split_once('.').map_or("", |(_, rest)| rest);
    let rest = rest.strip_prefix("dkr.ecr").or_else(|| rest.strip_prefix("dkr-ecr"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', ':']))
}

pub(super) fn is_account(account: &str) -> bool {
    account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit())
}

/// A Region is one label with a letter first: `eu-west-1`, `us-gov-west-1`.
fn is_region(region: &str) -> bool {
    region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && region.starts_with(|c: char| c.is_ascii_lowercase())
        && !region.ends_with('-')
}
