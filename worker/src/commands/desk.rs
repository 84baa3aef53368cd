//! The desk at which operators' commands work: the adapters, and flags that several have.

use std::io::{self, Write};

use aws_types::SdkConfig;
use coalmine_door::clock::Time;
use coalmine_door::store::{Location, Store};

use crate::aws::calls::Calls;
use crate::cli::default_ledger;
use crate::commands::common::LedgerArgument;
use crate::tell::{Errands, Telling};
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

    /// The same, telling others what it does to releases; what carries that out is to be run.
    #[must_use]
    pub fn telling(self, whom: &Telling) -> (Self, Option<Errands>) {
        let (tools, errands) = self.tools.telling(whom);
        (Self { tools, ..self }, errands)
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

/// Writes JSON, pretty on no terminal either: it is read by people, too.
///
/// # Errors
/// What writing fails with.
pub fn write_json(out: &mut impl Write, value: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}
