//! The one error of every small value parser: what was found, what was expected.

use crate::limits::cut;

/// Characters of a bad value that a message repeats. Enough to recognise it in a pipeline definition; a value may be
/// 1,000 characters and a failure message has 5,000 for all problems together.
const QUOTED_CHARS: usize = 80;

/// A value that is not what it should be. Reads as a fragment: `found "ten", expected a whole number`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found {found}, expected {expected}")]
pub struct Mismatch {
    /// What stood there: the value in quotes, or words such as `nothing`.
    pub found: String,
    /// What would be right, and what to do where that is not plain.
    pub expected: String,
}

impl Mismatch {
    /// A mismatch in words: `found` is printed as it is.
    pub fn new(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { found: found.into(), expected: expected.into() }
    }

    /// A mismatch that quotes the bad `value`, shortened and with control characters made visible.
    pub fn value(value: &str, expected: impl Into<String>) -> Self {
        Self::new(quoted(value), expected)
    }
}

/// `value` in quotes, at most 80 characters of it, with control characters escaped.
pub(crate) fn quoted(value: &str) -> String {
    format!("{:?}", cut(value, QUOTED_CHARS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_a_fragment() {
        assert_eq!(Mismatch::value("a\nb", "one line").to_string(), r#"found "a\nb", expected one line"#);
        assert!(Mismatch::value(&"x".repeat(1_000), "less").found.chars().count() <= 82);
    }
}
