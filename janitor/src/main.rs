//! `coalmine-janitor`: see the library for the map.

use std::process::ExitCode;

fn main() -> ExitCode {
    coalmine_janitor::cli::Cli::parse_and_run()
}
