//! Filter patterns for unstructured text: `ERROR`, `"exit code"`, `?ERROR ?WARN`, `ERROR -timeout`.

use super::invalid;
use crate::Answer;

/// A pattern's terms; each is looked for, case and all, anywhere in the message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl Pattern {
    /// Reads a pattern. The other two languages, `{ $.json }` and `[space, delimited]`, are not simulated.
    pub(super) fn read(text: &str) -> Answer<Self> {
        let mut pattern = Self::default();
        let mut rest = text.trim_start();
        if rest.starts_with(['{', '[', '%']) {
            return Err(invalid("filterPattern", "the simulator knows only patterns of terms"));
        }
        while !rest.is_empty() {
            let (kind, term) = match rest.as_bytes().first() {
                Some(b'?') => (&mut pattern.any, &rest[1..]),
                Some(b'-') => (&mut pattern.none, &rest[1..]),
                _ => (&mut pattern.all, rest),
            };
            let (term, after) = match term.strip_prefix('"') {
                Some(quoted) => {
                    quoted.split_once('"').ok_or_else(|| invalid("filterPattern", "Invalid filter pattern"))?
                }
                None => term.split_once(char::is_whitespace).unwrap_or((term, "")),
            };
            kind.push(term.to_owned());
            rest = after.trim_start();
        }
        Ok(pattern)
    }

    /// Whether a message has all plain terms, one of the optional ones if there are any, and none of the excluded.
    /// (AWS ignores optional terms beside plain ones.)
    pub(super) fn admits(&self, message: &str) -> bool {
        let has = |term: &String| message.contains(term.as_str());
        self.all.iter().all(has)
            && (!self.all.is_empty() || self.any.is_empty() || self.any.iter().any(has))
            && !self.none.iter().any(has)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn terms_are_required_optional_or_excluded() {
        let admits = |pattern: &str, message: &str| Pattern::read(pattern).unwrap().admits(message);
        assert!(admits("", "anything"));
        assert!(
            admits("ERROR \"exit code\"", "ERROR: exit code 3") && !admits("ERROR \"exit code\"", "ERROR: code exit")
        );
        assert!(admits("?ERROR ?WARN", "WARN: hot") && !admits("?ERROR ?WARN", "fine"));
        assert!(!admits("ERROR -timeout", "ERROR timeout"));
        assert!(Pattern::read("{ $.level = 1 }").is_err() && Pattern::read("\"open").is_err());
    }
}
