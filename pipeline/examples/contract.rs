//! Prints the contract between pipelines and Coalmine.
//!
//! - `cargo contract`: the JSON that is committed as `pipeline/contract.json`
//! - `cargo contract --table`: the README's tables in Markdown

use std::io::{self, Write};
use std::process::ExitCode;

use coalmine_pipeline::contract;

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => contract::contract_json(),
        ["--table"] => contract::table(),
        _ => {
            writeln!(io::stderr(), "expected no argument, for the JSON, or --table, for the README's tables")?;
            return Ok(ExitCode::from(2));
        }
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
