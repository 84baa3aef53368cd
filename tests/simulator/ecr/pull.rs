//! Pulling: what an ECS agent gets for an image reference.

use super::registry::{Image, Kind, Repository, Status};
use super::{Behaviour, Pulled, State, manifest};

/// An image reference of a private ECR registry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reference<'a> {
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    pub(crate) repository: &'a str,
    pub(crate) tag: Option<&'a str>,
    pub(crate) digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    /// Reads `ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY[:TAG][@DIGEST]`, also in its FIPS, China and dual-stack
    /// (`ACCOUNT.dkr-ecr.REGION.on.aws`) forms. `None`: another registry's reference.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let (host, path) = text.split_once('/')?;
        let (account, service) = host.split_once('.')?;
        let region = service
            .strip_prefix("dkr.ecr.")
            .or_else(|| service.strip_prefix("dkr.ecr-fips."))
            .and_then(|rest| rest.strip_suffix(".amazonaws.com").or_else(|| rest.strip_suffix(".amazonaws.com.cn")))
            .or_else(|| {
                let rest = service.strip_prefix("dkr-ecr.").or_else(|| service.strip_prefix("dkr-ecr-fips."))?;
                rest.strip_suffix(".on.aws").or_else(|| rest.strip_suffix(".on.amazonwebservices.com.cn"))
            })?;
        if account.len() != 12 || !account.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let (path, digest) = split(path, '@');
        let (repository, tag) = split(path, ':');
        Some(Self { account, region, repository, tag, digest })
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(left, right)| (left, Some(right)))
}

impl State {
    /// The image of this registry that a reference names, and all that it lists, by repository and digest.
    pub(crate) fn with_children(&self, reference: &str) -> Vec<(String, String)> {
        let Some(read) = Reference::read(reference) else { return Vec::new() };
        let Some(repository) = self.repositories.get(read.repository) else { return Vec::new() };
        if read.account != self.account || read.region != self.region {
            return Vec::new();
        }
        let first = repository.resolve(read.digest, Some(read.tag.unwrap_or("latest"))).map(str::to_owned);
        let mut found: Vec<String> = first.into_iter().collect();
        let mut at = 0;
        while let Some(digest) = found.get(at) {
            let children = repository.images.get(digest).map(|image| image.kind.children()).unwrap_or_default();
            found.extend(children.iter().map(|(_, child)| child.clone()));
            at += 1;
        }
        found.into_iter().map(|digest| (read.repository.to_owned(), digest)).collect()
    }

    /// Resolves a reference as an agent of `architecture` (`arm64`, `amd64`) would.
    ///
    /// A reference of another registry (a public sidecar image) always resolves, to a digest made from its text, and
    /// behaves well. An image for another architecture that is not behind an index is pulled, as agents do, and fails
    /// at its first instruction.
    ///
    /// # Errors
    /// The reason text ECS shows: `CannotPullContainerError: …`.
    pub fn pull(&self, reference: &str, architecture: &str) -> Result<Pulled, String> {
        let Some(read) = Reference::read(reference) else {
            let digest = match reference.split_once('@') {
                Some((_, digest)) => digest.to_owned(),
                None => manifest::digest(reference.as_bytes()),
            };
            return Ok(Pulled { platform_digest: digest.clone(), digest, behaviour: Behaviour::Good });
        };
        let refused = |why: &str| {
            let retried = "pull image manifest has been retried 1 time(s): failed to resolve ref";
            format!("CannotPullContainerError: {retried} {reference}: {why}")
        };
        if read.account != self.account || read.region != self.region {
            let other = self.others.iter().find(|other| other.account == read.account && other.region == read.region);
            if let Some(other) = other {
                return other.pull(reference, architecture);
            }
            return Err(refused("unexpected status from HEAD request: 403 Forbidden"));
        }
        let repository = self.repositories.get(read.repository).ok_or_else(|| {
            refused("pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed")
        })?;
        let tag = read.tag.unwrap_or("latest");
        let digest =
            repository.resolve(read.digest, Some(tag)).ok_or_else(|| refused(&format!("{reference}: not found")))?;
        let image = repository.images.get(digest).ok_or_else(|| refused("not found"))?;
        // Archived images cannot be pulled. The words are an assumption.
        if image.status != Status::Active {
            return Err(refused("unexpected status from HEAD request: 404 Not Found: the image is archived"));
        }
        let platform_digest = platform(repository, digest, image, architecture).ok_or_else(|| {
            let list = "in the manifest list entries";
            format!("CannotPullContainerError: no matching manifest for linux/{architecture} {list}: {reference}")
        })?;
        let (platform_digest, image) = match repository.images.get_key_value(&platform_digest) {
            Some(found) => found,
            None => return Err(refused("a manifest of the index was not found")),
        };
        let behaviour = match (&image.kind, &image.behaviour) {
            (_, Behaviour::CannotBePulled) => {
                let why = "ref pull has been retried 5 time(s): failed to copy: httpReadSeeker: failed open: unexpected status code 404 Not Found";
                return Err(format!("CannotPullContainerError: {why}: {reference}"));
            }
            (Kind::Image { architecture: Some(own) }, _) if own != architecture => Behaviour::WrongArchitecture,
            (_, behaviour) => behaviour.clone(),
        };
        Ok(Pulled { digest: digest.to_owned(), platform_digest: platform_digest.clone(), behaviour })
    }
}

/// The manifest that an agent of an architecture takes. `None`: the index has none for it.
fn platform(repository: &Repository, digest: &str, image: &Image, architecture: &str) -> Option<String> {
    let Kind::Index { children } = &image.kind else { return Some(digest.to_owned()) };
    let (_, child) = children.iter().find(|(own, _)| own.as_deref() == Some(architecture))?;
    // An index may hold indexes.
    platform(repository, child, repository.images.get(child)?, architecture)
}
