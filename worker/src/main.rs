//! `coalmine-worker`: see the library for the map.

use std::process::ExitCode;

fn main() -> ExitCode {
    coalmine_worker::cli::Cli::parse_and_run()
}
