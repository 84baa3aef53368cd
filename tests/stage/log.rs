//! What a program logs during a story.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use coalmine_door::logging::{self, LogFormat};
use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;

/// The log of this thread, from its beginning until it is dropped.
#[derive(Debug)]
pub(crate) struct Log {
    lines: Lines,
    _own: DefaultGuard,
    /// While there is one subscriber in the process, `tracing` asks the thread that logs a line first which subscriber it
    /// has: that may be another story's, and has none, which switches the line off for all.
    _second: Dispatch,
}

#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Keeps everything that the worker says, and what the SDK says where nobody asked it for more, as the program would
    /// write it.
    pub(crate) fn keep() -> Self {
        let (lines, second) = (Lines::default(), Dispatch::new(tracing_subscriber::registry()));
        let writer = lines.clone();
        let own = logging::subscriber("info,coalmine_worker=trace", LogFormat::Text, false, move || writer.clone());
        Self { lines, _own: tracing::subscriber::set_default(own), _second: second }
    }

    /// What was logged so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.lines.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}
