//! Where a reference leads, seen from the registry that is cleaned.

use coalmine_pipeline::{BrokenReference, Digest, EcrRepository, Home, ImageReference};

use crate::inventory::Replication;

/// What a reference means that names neither tag nor digest.
const DEFAULT_TAG: &str = "latest";

/// The registry that is cleaned, and those that its deletions are replicated to.
#[derive(Debug, Clone, Copy)]
pub struct Registries<'a> {
    /// The registry that is cleaned.
    pub home: &'a Home,
    /// Its replication rules. A reference to a copy that a deletion would spread to counts as one to the original.
    pub replication: &'a [Replication],
}

/// Where a reference leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Referred {
    /// To an image of this registry.
    Image {
        /// The repository.
        repository: String,
        /// The tag: the one that was written, or `latest` where neither tag nor digest was.
        tag: Option<String>,
        /// The digest that was written.
        digest: Option<Digest>,
        /// Whether a copy of the repository is named, to which deletions are replicated.
        is_copy: bool,
    },
    /// Perhaps to this registry, in a form that is not understood.
    Unclear {
        /// The repository that it seems to name; `None` if that cannot be read either.
        repository: Option<String>,
        /// What is wrong with it.
        why: String,
    },
    /// To another registry of ECR. Its tags are not these images', but a digest counts all the same: the other one may be a
    /// pull-through cache of this one.
    OtherRegistry {
        /// The digest that was written.
        digest: Option<Digest>,
    },
    /// To somewhere else. A digest counts all the same: behind a foreign name may be a proxy of this registry.
    Elsewhere {
        /// The digest that was written.
        digest: Option<Digest>,
    },
}

impl Registries<'_> {
    /// Reads a reference as it was written in a task definition, a function, a project.
    pub fn read(&self, text: &str) -> Referred {
        match ImageReference::parse(text) {
            Ok(reference) => self.place(&reference),
            Err(why) => self.suspect(text, why.to_string()),
        }
    }

    fn place(&self, reference: &ImageReference) -> Referred {
        let digest = reference.digest().copied();
        let Some(ecr) = reference.ecr() else { return Referred::Elsewhere { digest } };
        let is_copy = !self.is_home(ecr);
        if is_copy && !self.is_replica(ecr) {
            return Referred::OtherRegistry { digest };
        }
        let tag = match (reference.tag(), digest) {
            (Some(tag), _) => Some(tag),
            (None, Some(_)) => None,
            (None, None) => Some(DEFAULT_TAG),
        };
        Referred::Image { repository: ecr.repository.clone(), tag: tag.map(str::to_owned), digest, is_copy }
    }

    fn is_home(&self, ecr: &EcrRepository) -> bool {
        is_at(self.home, ecr)
    }

    /// Whether a deletion in the cleaned registry would reach this repository of another one.
    fn is_replica(&self, ecr: &EcrRepository) -> bool {
        let copied = |rule: &Replication| {
            rule.deletes && rule.names(&ecr.repository) && rule.destinations.iter().any(|home| is_at(home, ecr))
        };
        self.replication.iter().any(copied)
    }

    /// What to do about a text that is no reference.
    fn suspect(&self, text: &str, why: String) -> Referred {
        let copies = || self.replication.iter().filter(|rule| rule.deletes).flat_map(|rule| &rule.destinations);
        let homes = || std::iter::once(self.home).chain(copies());
        let accounts: Vec<&str> = homes().map(|home| home.account.as_str()).collect();
        let Some(broken) = BrokenReference::find(text, &accounts) else {
            return Referred::Elsewhere { digest: written_digest(text) };
        };
        let may_be = |home: &Home| {
            broken.account.as_ref().is_none_or(|account| *account == home.account)
                && broken.region.as_ref().is_none_or(|region| *region == home.region)
        };
        if homes().any(may_be) {
            Referred::Unclear { repository: broken.repository, why }
        } else {
            Referred::OtherRegistry { digest: written_digest(text) }
        }
    }
}

fn is_at(home: &Home, ecr: &EcrRepository) -> bool {
    home.account == ecr.account && home.region == ecr.region
}

/// A digest at the end of a text that is no reference otherwise.
fn written_digest(text: &str) -> Option<Digest> {
    text.rsplit_once('@').and_then(|(_, digest)| Digest::parse(digest.trim()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

    fn home(account: &str, region: &str) -> Home {
        Home { account: account.into(), region: region.into() }
    }

    fn read(text: &str) -> Referred {
        let replication = [
            Replication { destinations: vec![home("123456789012", "us-east-1")], prefixes: vec![], deletes: false },
            Replication {
                destinations: vec![home("123456789012", "eu-west-2")],
                prefixes: vec!["shop/".into()],
                deletes: true,
            },
        ];
        Registries { home: &home("123456789012", "eu-west-1"), replication: &replication }.read(text)
    }

    fn image(repository: &str, tag: Option<&str>, digest: bool) -> Referred {
        let digest = digest.then(|| Digest::from_hex(HEX).unwrap());
        Referred::Image { repository: repository.into(), tag: tag.map(Into::into), digest, is_copy: false }
    }

    #[test]
    fn every_host_of_this_registry_leads_to_its_repositories() {
        for host in [
            HOST,
            "123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com",
            "123456789012.dkr-ecr.eu-west-1.on.aws",
            "123456789012.DKR.ECR.eu-west-1.amazonaws.com",
        ] {
            assert_eq!(read(&format!("{host}/shop/app:v7")), image("shop/app", Some("v7"), false), "{host}");
        }
    }

    #[test]
    fn a_registry_in_china_is_read_by_its_own_hosts() {
        let registries = Registries { home: &home("123456789012", "cn-north-1"), replication: &[] };
        for host in [
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
            "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
        ] {
            assert_eq!(registries.read(&format!("{host}/app:v1")), image("app", Some("v1"), false), "{host}");
            let Referred::Unclear { .. } = registries.read(&format!("{host}/app:")) else { panic!("{host}") };
        }
        let elsewhere = "123456789012.dkr.ecr.cn-northwest-1.amazonaws.com.cn/app:v1";
        assert_eq!(registries.read(elsewhere), Referred::OtherRegistry { digest: None });
    }

    #[test]
    fn tag_and_digest_both_count_and_neither_means_latest() {
        let upper = HEX.to_uppercase();
        assert_eq!(read(&format!("{HOST}/app:v1@sha256:{upper}")), image("app", Some("v1"), true));
        assert_eq!(read(&format!("{HOST}/app@sha256:{upper}")), image("app", None, true));
        assert_eq!(read(&format!("{HOST}/app")), image("app", Some("latest"), false));
    }

    #[test]
    fn the_same_name_in_another_account_or_region_is_another_image() {
        for text in [
            format!("210987654321.dkr.ecr.eu-west-1.amazonaws.com/app@sha256:{HEX}"),
            format!("123456789012.dkr.ecr.eu-central-1.amazonaws.com/app@sha256:{HEX}"),
        ] {
            // Only a digest means the same image everywhere.
            assert_eq!(read(&text), Referred::OtherRegistry { digest: Some(Digest::from_hex(HEX).unwrap()) }, "{text}");
        }
        assert_eq!(read("nginx:1"), Referred::Elsewhere { digest: None });
    }

    #[test]
    fn a_copy_that_deletions_are_replicated_to_counts_as_the_original() {
        let copy = "123456789012.dkr.ecr.eu-west-2.amazonaws.com";
        let Referred::Image { is_copy, tag, .. } = read(&format!("{copy}/shop/app:v1")) else { panic!("a copy") };
        assert_eq!((is_copy, tag.as_deref()), (true, Some("v1")));
        assert_eq!(read(&format!("{copy}/base:v1")), Referred::OtherRegistry { digest: None });
        let unspread = "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop/app:v1";
        assert_eq!(read(unspread), Referred::OtherRegistry { digest: None });
    }

    #[test]
    fn a_digest_behind_a_foreign_name_still_counts() {
        let digest = Some(Digest::from_hex(HEX).unwrap());
        assert_eq!(read(&format!("registry.example.com/app@sha256:{HEX}")), Referred::Elsewhere { digest });
        assert_eq!(read(&format!("Bad Name@sha256:{HEX}")), Referred::Elsewhere { digest });
    }

    #[test]
    fn what_names_this_registry_without_being_a_reference_is_unclear() {
        for (text, repository) in [
            (format!("{HOST}/shop/app:"), Some("shop/app")),
            (format!("{HOST}/shop/app@sha256:12"), Some("shop/app")),
            (format!("{HOST}:443/shop/app"), Some("shop/app")),
            (format!("{HOST}/Shop"), None),
            (HOST.to_owned(), None),
            ("123456789012.dkr.ecr.eu-west-2.amazonaws.com/shop/app:-".to_owned(), Some("shop/app")),
        ] {
            let found = read(&text);
            let Referred::Unclear { repository: named, .. } = &found else { panic!("{text}: {found:?}") };
            assert_eq!(named.as_deref(), repository, "{text}");
        }
        for text in
            ["210987654321.dkr.ecr.eu-west-1.amazonaws.com/Shop", "123456789012.dkr.ecr.ap-south-1.amazonaws.com/Shop"]
        {
            assert_eq!(read(text), Referred::OtherRegistry { digest: None }, "{text}");
        }
        assert_eq!(read("Nginx"), Referred::Elsewhere { digest: None });
    }
}
