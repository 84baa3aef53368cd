//! The desk at which questions are answered: the adapters, flags that several have, and how an answer fails.

use std::io::{self, Write};

use aws_types::SdkConfig;
use coalmine_door::AwsError;
use coalmine_door::clock::Time;
use coalmine_door::store::{Location, Store, StoreError};

use crate::aws::calls::Calls;
use crate::cli::{EXIT_SURROUNDINGS, EXIT_USAGE, default_ledger};
use crate::commands::common::LedgerArgument;
use crate::tools::Tools;

impl Default for LedgerArgument {
    fn default() -> Self {
        Self { ledger: default_ledger() }
    }
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct OutputArgument {
    /// Write JSON for machines instead of tables for people
    #[arg(long, env = "COALMINE_JSON")]
    pub json: bool,
}

/// The cluster that a service is in.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ClusterArgument {
    /// The ECS cluster; without it every cluster of the account in this region
    #[arg(long, env = "COALMINE_CLUSTER", value_name = "NAME")]
    pub cluster: Option<String>,
}

/// What every command works with: the adapters, made from the one door to the world.
#[derive(Debug)]
pub struct Desk {
    /// The worker's adapters. No command holds a job.
    pub tools: Tools,
    /// The calls that operators alone make.
    pub calls: Calls,
}

impl Desk {
    /// A desk on a door and a ledger.
    #[must_use]
    pub fn new(door: &SdkConfig, ledger: &Location) -> Self {
        let tools = Tools::new(door, std::time::Duration::ZERO, ledger);
        Self { calls: Calls::new(&tools.door), tools }
    }

    /// The ledger.
    #[must_use]
    pub fn store(&self) -> &Store {
        self.tools.held.store()
    }

    /// The date.
    #[must_use]
    pub fn now(&self) -> Time {
        self.tools.clock.now()
    }
}

/// Why a command has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// What was named is not there, or cannot be meant: for people, with the nearest names.
    #[error("{0}")]
    Unknown(String),
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
            Self::Aws { .. } | Self::Ledger(_) | Self::Io(_) => EXIT_SURROUNDINGS,
        }
    }
}

/// Writes JSON, pretty on no terminal either: it is read by people, too.
///
/// # Errors
/// What writing fails with.
pub fn write_json(out: &mut impl Write, value: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}
