//! The act between: a release that looked well turns out to be wrong, and one command takes three services back.

use std::io::{self, Write};

use aws_types::SdkConfig;
use coalmine_worker::cli::EXIT_OK;
use coalmine_worker::commands::common::Screen;
use coalmine_worker::commands::rollback::roll_back;

use crate::stage::{Application, order};
use crate::view::View;

/// Rolls the applications back, as `coalmine-worker rollback` does it.
pub(crate) async fn back(door: &SdkConfig, applications: &[Application], view: &View) -> Result<(), String> {
    view.title("Later v2 turns out to be wrong: one command takes all three services back, and counts every task");
    let names: Vec<&str> = applications.iter().map(|app| app.name.as_str()).collect();
    let order = order(&names);
    let services = names.join(",");
    view.note(&format!(
        "$ coalmine-worker rollback --services {services} --by {} --reason '{}' --yes",
        order.by, order.why
    ));
    let (mut out, mut words) = (Lines::new(|line| view.text(line)), Lines::new(|line| view.note(line)));
    let mut nobody = |_: &str| false;
    let mut screen = Screen { out: &mut out, words: &mut words, is_terminal: false, ask: &mut nobody };
    match Box::pin(roll_back(door, order, &mut screen, std::future::pending())).await {
        EXIT_OK => Ok(()),
        code => Err(format!("the rollback ended with {code}, expected {EXIT_OK}")),
    }
}

/// Shows what is written, line by line.
struct Lines<F> {
    show: F,
    begun: Vec<u8>,
}

impl<F: FnMut(&str)> Lines<F> {
    fn new(show: F) -> Self {
        Self { show, begun: Vec::new() }
    }
}

impl<F: FnMut(&str)> Write for Lines<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            (self.show)(String::from_utf8_lossy(&line).trim_end());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
