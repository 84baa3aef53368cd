//! How stories fill the registry, and act in it as builds, owners and agents do.

use std::time::{Duration, SystemTime};

use super::manifest::{self, Built};
use super::pull::Reference;
use super::registry::{Image, Kind, Mutability, Repository};
use super::{Behaviour, ImageSpec, State};
use crate::{Answer, ErrorReply};

impl State {
    /// Creates a repository, or changes the mutability of one that exists.
    pub fn create_repository(&mut self, name: &str, mutability: Mutability) {
        let start = self.start;
        let repository =
            self.repositories.entry(name.to_owned()).or_insert_with(|| Repository::new(mutability.clone(), start));
        repository.mutability = mutability;
    }

    /// Pushes an image as a build would, moving its tags (whatever the mutability says); gives the digest that its
    /// tags name: the index, or the manifest where there is no index.
    pub fn push(&mut self, spec: ImageSpec) -> String {
        let start = self.start;
        let repository = self
            .repositories
            .entry(spec.repository.clone())
            .or_insert_with(|| Repository::new(Mutability::Mutable, start));
        let images: Vec<(String, Built)> = spec
            .architectures
            .iter()
            .map(|architecture| {
                let (tags, behaviour) = (&spec.tags, &spec.behaviour);
                let built = manifest::image(&spec.repository, tags, architecture, behaviour, spec.pushed_at, spec.size);
                (architecture.clone(), built)
            })
            .collect();
        let attestations: Vec<(String, Built)> = images
            .iter()
            .filter(|_| spec.attestations)
            .map(|(_, built)| (built.digest.clone(), manifest::attestation(&built.digest)))
            .collect();
        let mut texts: Vec<String> = Vec::new();
        for (_, built) in images.iter().chain(&attestations) {
            repository.configs.insert(built.config.0.clone(), built.config.1.clone());
            texts.push(built.manifest.clone());
        }
        if texts.len() != 1 {
            texts.push(manifest::index(&images, &attestations));
        }
        let mut digest = String::new();
        for text in &texts {
            // What was built a few lines above is readable, and children come before their index.
            let Ok(read) = repository.read(text, None) else { continue };
            repository.store(text, read, spec.pushed_at).behaviour = spec.behaviour.clone();
            digest = manifest::digest(text.as_bytes());
        }
        for tag in spec.tags {
            repository.tags.insert(tag, digest.clone());
        }
        digest
    }

    /// Points a tag at an image (tag or digest), as an owner would who may move every tag.
    ///
    /// # Errors
    /// When there is no such repository or image.
    pub fn tag(&mut self, repository: &str, image: &str, tag: &str) -> Answer<()> {
        let digest = self.digest(repository, image)?;
        self.repository_mut(repository)?.tags.insert(tag.to_owned(), digest);
        Ok(())
    }

    /// Changes how an image, with the children of an index, behaves from its next start on.
    ///
    /// # Errors
    /// When there is no such repository or image.
    pub fn behave(&mut self, repository: &str, image: &str, behaviour: Behaviour) -> Answer<()> {
        self.each(repository, image, |image| image.behaviour = behaviour.clone())
    }

    /// Pushes an index over images of the repository (tags or digests), which may be indexes themselves, and points
    /// tags at it; its digest.
    ///
    /// # Errors
    /// When there is no such repository or image.
    pub fn push_index(&mut self, repository: &str, tags: &[&str], children: &[&str], at: SystemTime) -> Answer<String> {
        let entries = children.iter().map(|child| {
            let digest = self.digest(repository, child)?;
            let image = self.repository(repository)?.images.get(&digest);
            let image = image.ok_or_else(|| self.image_not_found(repository, Some(&digest), None))?;
            let architecture = match &image.kind {
                Kind::Image { architecture } => architecture.clone(),
                Kind::Index { .. } => None,
            };
            Ok((image.media_type.clone(), digest, image.manifest.len(), architecture))
        });
        let entries: Vec<_> = entries.collect::<Answer<_>>()?;
        self.put(repository, &manifest::index_of(&entries), tags, at)
    }

    /// Pushes an untagged referrer of an image (tag or digest), as OCI 1.1 has it: a signature, an SBOM. Its digest.
    ///
    /// # Errors
    /// When there is no such repository or image.
    pub fn push_referrer(&mut self, repository: &str, subject: &str, kind: &str, at: SystemTime) -> Answer<String> {
        let digest = self.digest(repository, subject)?;
        let image = self.repository(repository)?.images.get(&digest);
        let image = image.ok_or_else(|| self.image_not_found(repository, Some(&digest), None))?;
        let built = manifest::artifact(kind, &digest, Some((&digest, &image.media_type, image.manifest.len())));
        self.put_built(repository, &built, &[], at)
    }

    /// Pushes a signature in cosign's older form, which belongs to an image (tag or digest) by its tag
    /// `sha256-<hex>.sig` alone. Its digest.
    ///
    /// # Errors
    /// When there is no such repository or image.
    pub fn push_cosign(&mut self, repository: &str, subject: &str, at: SystemTime) -> Answer<String> {
        let digest = self.digest(repository, subject)?;
        let tag = format!("{}.sig", digest.replace(':', "-"));
        self.put_built(repository, &manifest::artifact(manifest::COSIGN, &digest, None), &[&tag], at)
    }

    fn put_built(&mut self, repository: &str, built: &Built, tags: &[&str], at: SystemTime) -> Answer<String> {
        let (digest, text) = built.config.clone();
        self.repository_mut(repository)?.configs.insert(digest, text);
        self.put(repository, &built.manifest, tags, at)
    }

    fn put(&mut self, repository: &str, text: &str, tags: &[&str], at: SystemTime) -> Answer<String> {
        let repository = self.repository_mut(repository)?;
        let read = repository.read(text, None);
        let read = read.map_err(|problem| ErrorReply::validation(format!("{problem:?}")))?;
        repository.store(text, read, at);
        let digest = manifest::digest(text.as_bytes());
        repository.tags.extend(tags.iter().map(|tag| ((*tag).to_owned(), digest.clone())));
        Ok(digest)
    }

    /// Lets agents of this account pull from another account's or region's registry, as it is now.
    pub fn reach(&mut self, other: &Self) {
        self.others.retain(|known| (&known.account, &known.region) != (&other.account, &other.region));
        self.others.push(other.clone());
    }

    /// Takes a tag away and leaves its image; an owner can, by pushing something else under that tag and deleting it.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn untag(&mut self, repository: &str, tag: &str) -> Answer<()> {
        self.repository_mut(repository)?.tags.remove(tag);
        Ok(())
    }

    /// The names of all repositories.
    #[must_use]
    pub fn repository_names(&self) -> Vec<String> {
        self.repositories.keys().cloned().collect()
    }

    /// All digests of a repository, whatever their status; none where there is no such repository.
    #[must_use]
    pub fn digests(&self, repository: &str) -> Vec<String> {
        self.repositories.get(repository).map(|found| found.images.keys().cloned().collect()).unwrap_or_default()
    }

    /// The tags of a repository and the digests that they name.
    #[must_use]
    pub fn tags(&self, repository: &str) -> Vec<(String, String)> {
        let pairs = self.repositories.get(repository).map(|found| &found.tags);
        pairs.into_iter().flatten().map(|(tag, digest)| (tag.clone(), digest.clone())).collect()
    }

    /// Records that an image (tag or digest), with the children of an index, was pulled.
    ///
    /// # Errors
    /// When there is no such repository or image.
    pub fn pulled(&mut self, repository: &str, image: &str, at: SystemTime) -> Answer<()> {
        let digest = self.digest(repository, image)?;
        let children = self.children(repository, &digest)?;
        for digest in children.iter().map(|(_, child)| child).chain([&digest]) {
            self.record_pull(repository, digest, at);
        }
        Ok(())
    }

    /// Records what an agent pulled by a reference; of another registry's nothing is.
    pub(crate) fn record_reference(&mut self, reference: &str, digests: [&str; 2], at: SystemTime) {
        let Some(read) = Reference::read(reference) else { return };
        if read.account == self.account && read.region == self.region {
            digests.iter().for_each(|digest| self.record_pull(read.repository, digest, at));
        }
    }

    pub(super) fn record_pull(&mut self, repository: &str, digest: &str, at: SystemTime) {
        let tick = self.last_tick(at, self.pull_time_lag);
        let image = self.repositories.get_mut(repository).and_then(|found| found.images.get_mut(digest));
        let Some(image) = image else { return };
        if image.pulled_at.is_some_and(|last| last <= tick) {
            image.recorded_pull = image.pulled_at;
        }
        image.pulled_at = image.pulled_at.max(Some(at));
    }

    /// What `lastRecordedPullTime` says of an image: the last pull that was there when the pull times were brought up to
    /// date.
    pub(super) fn recorded_pull(&self, image: &Image, now: SystemTime) -> Option<SystemTime> {
        let tick = self.last_tick(now, self.pull_time_lag);
        image.pulled_at.filter(|at| *at <= tick).or(image.recorded_pull)
    }

    /// The last of the dates that come round every `period`.
    pub(super) fn last_tick(&self, now: SystemTime, period: Duration) -> SystemTime {
        let age = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let over = if period.is_zero() { 0 } else { age % period.as_secs().max(1) };
        now - Duration::from_secs(over)
    }
}
