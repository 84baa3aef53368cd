//! Writes what was asked and answered down for judges outside of this program.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use simulator::Simulator;

/// The folder to which every story adds a file of its own.
const FOLDER: &str = "COALMINE_EXCHANGES";
/// The tests whose exchanges are written.
const SCENARIOS: &str = "scenarios";

/// Writes every exchange of an account of the scenarios (the matrices and the soak say the same over and over) as one line of JSON, where the environment names a folder for it:
/// `{"service", "operation", "status", "request", "reply"}`.
pub(crate) fn record(simulator: &Simulator) {
    let Some(mut file) = folder().map(|folder| create(folder, simulator.settings().seed)) else { return };
    simulator.listen(move |exchange| {
        let line = json!({
            "service": exchange.service,
            "operation": exchange.operation,
            "status": exchange.status,
            "request": exchange.request,
            "reply": exchange.reply,
        });
        writeln!(file, "{line}").expect("the exchanges can be written");
    });
}

#[expect(clippy::disallowed_methods, reason = "tests have no command line of their own to take a folder from")]
fn folder() -> Option<PathBuf> {
    let named = std::env::var_os(FOLDER).filter(|folder| !folder.is_empty() && env!("CARGO_CRATE_NAME") == SCENARIOS);
    named.map(PathBuf::from)
}

/// A file that no other story writes: named by the test, its seed and a number.
fn create(folder: PathBuf, seed: u64) -> File {
    static STORIES: AtomicUsize = AtomicUsize::new(0);
    let story = STORIES.fetch_add(1, Ordering::Relaxed);
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("story").replace("::", ".");
    std::fs::create_dir_all(&folder).expect("the folder for exchanges can be made");
    File::create(folder.join(format!("{test}-{seed}-{story}.jsonl"))).expect("a file for exchanges")
}
