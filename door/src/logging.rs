//! Log lines: to stderr, because stdout is for data.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people
    Text,
    /// A JSON object a line, for machines
    Json,
}

/// Checks a filter as it stands on the command line: `info`, or per module: `coalmine_worker=debug,warn`.
///
/// # Errors
/// What is wrong with it.
pub fn filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|problem| problem.to_string())
}

/// Sends log lines to stderr from now on, coloured on a terminal. Once in a program's life.
pub fn to_stderr(filter: &str, format: LogFormat) {
    let subscriber = subscriber(filter, format, io::stderr().is_terminal(), io::stderr);
    // The first one stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// What writes log lines to `writer`. Whatever an event quotes from outside, it stays one line, and steers no terminal.
pub fn subscriber<W: Write + 'static>(
    filter: &str,
    format: LogFormat,
    colours: bool,
    writer: impl Fn() -> W + Send + Sync + 'static,
) -> Box<dyn Subscriber + Send + Sync> {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let writer = move || OneLine { writer: writer(), colours };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        LogFormat::Text => Box::new(builder.with_ansi(colours).with_target(false).finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).with_ansi(false).finish()),
    }
}

/// Writes each event, which comes in one piece, as one line; what cannot be seen in it is written as `\n`, `\u{202e}`.
struct OneLine<W> {
    writer: W,
    /// Whether escape sequences are the formatter's own colours: those of an event's text it has escaped itself.
    colours: bool,
}

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let mut shown = String::with_capacity(text.len());
        for c in line.chars() {
            let escaped = c.escape_debug();
            let is_colour = self.colours && c == '\u{1b}';
            // Two characters are an escaped quote or backslash, or a control character's short form.
            if (c.is_control() || escaped.len() > 2) && !is_colour {
                shown.extend(escaped);
            } else {
                shown.push(c);
            }
        }
        shown.push('\n');
        self.writer.write_all(shown.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_it_quotes() {
        for (colours, event, shown) in [
            (false, "INFO a \"b\" c:\\d Grüße\n", "INFO a \"b\" c:\\d Grüße\n"),
            (false, "INFO one\nERROR two\r\n", "INFO one\\nERROR two\\r\n"),
            (false, "\u{1b}[31m \u{202e}x", "\\u{1b}[31m \\u{202e}x\n"),
            (true, "\u{1b}[32mINFO\u{1b}[0m \u{7}\n", "\u{1b}[32mINFO\u{1b}[0m \\u{7}\n"),
        ] {
            let mut kept = Vec::new();
            OneLine { writer: &mut kept, colours }.write_all(event.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(kept).unwrap(), shown);
        }
    }
}
