//! The commands that ask and change nothing.

use std::io::Write;

use crate::cli::EXIT_OK;
use crate::commands::common::LedgerArgument;
use crate::commands::desk::Desk;
use crate::commands::trouble::Trouble;
use crate::commands::{doctor, explain, history, status, whatif};

/// A command that only looks.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Question {
    /// Show what every service runs: release, age, canary against full service, health, what waits for people
    Status(status::Args),
    /// Show the releases that a service ran, newest first
    History(history::Args),
    /// Show the releases on record, newest first, and where each one stands
    Releases(history::ReleasesArgs),
    /// Tell what happened to a release, in order, and why; what a token says; where a job is
    Explain(explain::Args),
    /// Show what a release would change, before it is approved, and whether it can be deployed
    Diff(Box<whatif::Args>),
    /// Check whether a release can be deployed, and name everything that stands against it
    Verify(Box<whatif::Args>),
    /// Look for what is to be mended before it hurts: permissions, mutable tags, breakers, alarms, stop-timeouts
    Doctor(doctor::Args),
}

impl Question {
    /// The ledger that is asked.
    #[must_use]
    pub fn ledger(&self) -> &LedgerArgument {
        match self {
            Self::Status(args) => &args.ledger,
            Self::History(args) => &args.ledger,
            Self::Releases(args) => &args.ledger,
            Self::Explain(args) => &args.ledger,
            Self::Diff(args) | Self::Verify(args) => &args.ledger,
            Self::Doctor(args) => &args.ledger,
        }
    }

    /// Answers at a desk; the exit code.
    ///
    /// # Errors
    /// When AWS or the ledger cannot be read, or what is named is not there.
    pub async fn answer(&self, desk: &Desk, out: &mut impl Write) -> Result<u8, Trouble> {
        match self {
            Self::Status(args) => status::run(desk, args, out).await.map(|()| EXIT_OK),
            Self::History(args) => history::run(desk, args, out).await.map(|()| EXIT_OK),
            Self::Releases(args) => history::releases(desk, args, out).await.map(|()| EXIT_OK),
            Self::Explain(args) => explain::run(desk, args, out).await.map(|()| EXIT_OK),
            Self::Diff(args) => whatif::run(desk, args, true, out).await,
            Self::Verify(args) => whatif::run(desk, args, false, out).await,
            Self::Doctor(args) => doctor::run(desk, args, out).await,
        }
    }
}
