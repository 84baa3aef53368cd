//! Why a repository is left alone as a whole.

use std::fmt;

use coalmine_pipeline::Home;

use super::Snapshot;
use crate::in_use::Root;
use crate::inventory::{Principal, Reading, Replication, Repository};
use crate::policy::Policy;

/// A reason to leave a repository alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freeze {
    /// A reference that may name it is not understood.
    Unclear {
        /// Who refers.
        path: String,
        /// What is wrong with the reference.
        why: String,
    },
    /// A keep-list keeps all of it.
    Kept {
        /// The keep-list.
        path: String,
    },
    /// Its policy lets somebody pull whose uses are not read.
    SharedWith(Principal),
    /// The registry's policy does.
    SharedByRegistry(Principal),
    /// Its policy was not read.
    PolicyNotRead,
    /// Deletions are replicated to a registry around which no references are read.
    DeletesIn(Home),
    /// Deletions are replicated to a registry whose own repository policy nobody reads.
    CopyMayBeShared(Home),
    /// The manifest of an index cannot be read: any image may be its child.
    ManifestUnreadable {
        /// The index.
        digest: coalmine_pipeline::Digest,
        /// Why not.
        why: String,
    },
}

impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unclear { path, why } => write!(f, "{path}: {why}. Correct the reference or deregister what has it"),
            Self::Kept { path } => f.write_str(path),
            Self::SharedWith(principal) => write!(
                f,
                "its policy lets {principal} pull, whose uses are not read: add [[readers]] for it, or [[shared]]"
            ),
            Self::SharedByRegistry(principal) => write!(
                f,
                "the registry's policy lets {principal} pull, whose uses are not read: add [[readers]] for it, or [[shared]]"
            ),
            Self::PolicyNotRead => f.write_str("its repository policy was not read"),
            Self::DeletesIn(home) => {
                write!(f, "deletions are replicated to {home}, where no references are read: add [[readers]] for it")
            }
            Self::CopyMayBeShared(home) => write!(
                f,
                "deletions are replicated to {home}, where the copy's own policy is not read and may let others pull: \
                 answer for them with [[shared]] for account {}",
                home.account
            ),
            Self::ManifestUnreadable { digest, why } => {
                write!(f, "the manifest of {digest} cannot be read, so any image may be its child: {why}")
            }
        }
    }
}

/// Reasons that lie in the repository and the policy.
pub(super) fn of_repository(snapshot: &Snapshot, repository: &Repository, policy: &Policy) -> Vec<Freeze> {
    let home = &snapshot.inventory.home;
    let homes = policy.homes(home);
    let mut found = Vec::new();
    match &repository.access {
        Reading::NotRead => found.push(Freeze::PolicyNotRead),
        Reading::None => {}
        Reading::Some(access) => {
            let is_stranger = |principal: &&Principal| match principal {
                Principal::Account(id) => {
                    !homes.iter().any(|home| home.account == *id) && !policy.shares(&repository.name, id)
                }
                Principal::Service(name) => !policy.shares(&repository.name, name),
                Principal::Everyone | Principal::Other(_) => !policy.shares(&repository.name, "*"),
            };
            found.extend(access.principals.iter().filter(is_stranger).cloned().map(Freeze::SharedWith));
            found.extend(access.by_registry.iter().filter(is_stranger).cloned().map(Freeze::SharedByRegistry));
        }
    }
    found.extend(of_replication(&snapshot.inventory.replication, home, &repository.name, policy));
    found
}

/// Reasons that lie in the registry's replication rules.
pub(super) fn of_replication<'f>(
    rules: &'f [Replication],
    registry: &Home,
    repository: &'f str,
    policy: &'f Policy,
) -> impl Iterator<Item = Freeze> + use<'f> {
    let homes = policy.homes(registry);
    let spreading = rules.iter().filter(move |rule| rule.deletes && rule.names(repository));
    let destinations = spreading.flat_map(|rule| &rule.destinations).cloned();
    destinations.filter_map(move |home| match home {
        home if !homes.contains(&home) => Some(Freeze::DeletesIn(home)),
        home if !policy.shares(repository, &home.account) => Some(Freeze::CopyMayBeShared(home)),
        _ => None,
    })
}

/// A reason that lies in a root.
pub(super) fn unclear(root: &Root<'_>, why: &str) -> Freeze {
    Freeze::Unclear { path: root.to_string(), why: why.to_owned() }
}
