//! What several commands share: flags with one meaning, and where words go.

use std::io::{self, BufRead, IsTerminal, Write};

use coalmine_door::store::Location;

use crate::cli::default_ledger;
use crate::deploy::message::printable_lines;
use crate::tell::Telling;

/// Where the workers' ledger is.
#[derive(Clone, Debug, clap::Args)]
pub struct LedgerArgument {
    /// The workers' ledger: `s3://bucket/prefix` or `dir:PATH`; without it, what ECS remembers of 90 days has to do
    #[arg(long, env = "COALMINE_LEDGER", value_name = "LOCATION", default_value_t = default_ledger(), value_parser = clap::value_parser!(Location))]
    pub ledger: Location,
}

/// Who is told what happens to releases: the same flags for the worker and for who acts in its place.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TellingArguments {
    /// Put an event on this EventBridge bus (a name or an ARN) whenever the state of a release changes; by default none
    #[arg(long, env = "COALMINE_EVENTS", value_name = "BUS", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    events: Option<String>,
    /// POST the same JSON to this address (`https://…`); what cannot be delivered holds nothing up
    #[arg(long, env = "COALMINE_WEBHOOK", value_name = "URL", value_parser = webhook, hide_env_values = true)]
    webhook: Option<String>,
}

impl TellingArguments {
    /// Who is told.
    #[must_use]
    pub fn telling(&self) -> Telling {
        Telling { bus: self.events.clone(), webhook: self.webhook.clone() }
    }
}

fn webhook(text: &str) -> Result<String, String> {
    let legal = |rest: &str| !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c.is_control());
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    // The address may hold a secret: it is not repeated.
    if rest.is_some_and(legal) { Ok(text.to_owned()) } else { Err("expected https://… or http://…".to_owned()) }
}

/// Where a command's data and words go.
pub struct Screen<'a> {
    /// Data, for people or machines.
    pub out: &'a mut dyn Write,
    /// Words, for people.
    pub words: &'a mut dyn Write,
    /// Whether somebody can be asked, and sees bars.
    pub is_terminal: bool,
    /// Asks; whether the answer was yes.
    pub ask: &'a mut dyn FnMut(&str) -> bool,
}

impl Screen<'_> {
    /// Says something to people; what comes from outside steers no terminal. A reader that is gone does not change what is
    /// done.
    pub fn say(&mut self, text: &str) {
        let _ = writeln!(self.words, "{}", printable_lines(text));
    }

    /// Shows data.
    pub fn show(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}");
    }
}

/// Whether people sit at both ends.
#[must_use]
pub fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks on the terminal; anything but yes is no.
pub fn ask(question: &str) -> bool {
    eprint!("{question} [y/N] ");
    let _ = io::stderr().flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_keeps_its_lines_and_steers_no_terminal() {
        let (mut out, mut words) = (Vec::<u8>::new(), Vec::<u8>::new());
        let mut ask = |_: &str| false;
        let mut screen = Screen { out: &mut out, words: &mut words, is_terminal: true, ask: &mut ask };
        screen.say("ecs UpdateService: no\r\n- app: \u{1b}[31mred\u{7}");
        assert_eq!(String::from_utf8(words).unwrap(), "ecs UpdateService: no \n- app:  [31mred \n");
        assert!(out.is_empty());
    }
}
