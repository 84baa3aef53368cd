//! Why an operator's command did not do what it was asked for, and the exit code that says so.

use std::io;

use coalmine_door::AwsError;
use coalmine_door::store::StoreError;

use crate::cli::{EXIT_NOT_POSSIBLE, EXIT_NOTHING_WAITS, EXIT_SURROUNDINGS, EXIT_USAGE};

/// Why a command has no answer, or did nothing.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// What was named is not there, or cannot be meant: for people, with the nearest names.
    #[error("{0}")]
    Unknown(String),
    /// What is asked for cannot be done.
    #[error("{0}")]
    NotPossible(String),
    /// No approval waits, or none any more.
    #[error("{0}")]
    NothingWaits(String),
    /// AWS gave no answer, or no.
    #[error("{what}: {problem}")]
    Aws {
        /// What was being done.
        what: String,
        /// What AWS said.
        problem: AwsError,
    },
    /// The ledger cannot be read.
    #[error("reading the ledger: {0}; is --ledger (COALMINE_LEDGER) the workers'?")]
    Ledger(#[from] StoreError),
    /// The answer cannot be written.
    #[error("writing the answer: {0}")]
    Io(#[from] io::Error),
}

impl Trouble {
    /// Says what was being done when AWS failed.
    pub fn while_(what: impl Into<String>) -> impl FnOnce(AwsError) -> Self {
        |problem| Self::Aws { what: what.into(), problem }
    }

    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Unknown(_) => EXIT_USAGE,
            Self::NotPossible(_) => EXIT_NOT_POSSIBLE,
            Self::NothingWaits(_) => EXIT_NOTHING_WAITS,
            Self::Aws { .. } | Self::Ledger(_) | Self::Io(_) => EXIT_SURROUNDINGS,
        }
    }
}
