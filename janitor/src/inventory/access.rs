//! Who may pull from a repository, by its policy.

use std::collections::BTreeSet;
use std::fmt;

/// Who a repository policy lets pull, beside the account that owns the repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// Everybody that a statement allows to read manifests. Conditions are not weighed: they could only make it fewer.
    pub principals: BTreeSet<Principal>,
}

/// Somebody in a repository policy.
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

impl Access {
    /// Reads the text of a repository policy (GetRepositoryPolicy, `policyText`). Whatever is not understood becomes
    /// [`Principal::Other`], which freezes the repository.
    pub fn read(policy: &str) -> Self {
        let _ = policy;
        todo!()
    }
}
