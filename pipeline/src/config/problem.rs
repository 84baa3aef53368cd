//! What is wrong with a configuration.

use std::fmt;

use crate::limits::{self, cut};
use crate::mismatch::Mismatch;

/// Characters that the problems may take together. CodePipeline shows 5,000; the rest is for what the worker says before
/// and after.
const ALL_CHARS: usize = limits::FAILURE_MESSAGE_CHARS - 500;

/// Characters of one problem's line, so that no single one crowds out the others.
const LINE_CHARS: usize = 600;

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The property: `BakeTime`, or `Options.deadline` for a key of `Options`.
    pub property: String,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
}

impl Problem {
    /// A mismatch at `property`.
    pub fn new(property: impl Into<String>, mismatch: Mismatch) -> Self {
        let Mismatch { found, expected } = mismatch;
        Self { property: property.into(), found, expected }
    }
}

/// `BakeTime: found "5", expected a duration such as 90s, 10m, 2h or 1h30m`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { property, found, expected } = self;
        write!(f, "{property}: found {found}, expected {expected}")
    }
}

/// Everything that is wrong with a configuration, in the order of the properties, unknown ones last; never empty
/// when it is an error.
///
/// Its text has one line for each problem and fits, with room for a heading, into the message of a
/// `ConfigurationError` (CodePipeline: 5,000 characters); problems that find no room are counted in the last line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut room = ALL_CHARS;
        for (index, problem) in self.0.iter().enumerate() {
            let line = problem.to_string();
            let line = cut(&line, LINE_CHARS);
            let length = line.chars().count() + 1;
            if length > room {
                return write!(f, "\n… and {} more", self.0.len() - index);
            }
            room -= length;
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{line}")?;
        }
        Ok(())
    }
}

impl Extend<Problem> for Problems {
    fn extend<T: IntoIterator<Item = Problem>>(&mut self, problems: T) {
        self.0.extend(problems);
    }
}

impl FromIterator<Problem> for Problems {
    fn from_iter<T: IntoIterator<Item = Problem>>(problems: T) -> Self {
        Self(problems.into_iter().collect())
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
