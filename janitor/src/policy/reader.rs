//! Reading TOML tables so that every problem is found, each with its place.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use coalmine_pipeline::duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Problems};

/// The text that is read, and what was found wrong in it so far.
pub(super) struct Reader<'i> {
    text: &'i str,
    problems: RefCell<Vec<Problem>>,
}

/// A table whose keys are asked for one by one; what nobody asked for is unknown.
pub(super) struct Table<'r, 'i> {
    reader: &'r Reader<'i>,
    name: String,
    table: Option<&'r DeTable<'i>>,
    span: Range<usize>,
    known: RefCell<Vec<&'static str>>,
}

/// A text of the policy with its place.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) span: Range<usize>,
}

impl<'i> Reader<'i> {
    pub(super) fn new(text: &'i str) -> Self {
        Self { text, problems: RefCell::default() }
    }

    pub(super) fn problem(&self, span: &Range<usize>, message: impl Display) {
        self.problems.borrow_mut().push(Problem::at(self.text, span.start, message.to_string()));
    }

    /// The document's outermost table.
    pub(super) fn root<'r>(&'r self, table: &'r DeTable<'i>) -> Table<'r, 'i> {
        Table { reader: self, name: String::new(), table: Some(table), span: 0..0, known: RefCell::default() }
    }

    pub(super) fn finish(self) -> Result<(), Problems> {
        let mut problems = self.problems.into_inner();
        problems.sort();
        if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
    }
}

impl<'r, 'i> Table<'r, 'i> {
    /// Where the table begins, for problems of the whole.
    pub(super) fn span(&self) -> &Range<usize> {
        &self.span
    }

    fn value(&self, key: &'static str) -> Option<&'r Spanned<DeValue<'i>>> {
        self.known.borrow_mut().push(key);
        self.table?.get(key)
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn wrong(&self, key: &str, value: &Spanned<DeValue<'i>>, expected: impl Display) {
        let found = self.reader.text.get(value.span()).unwrap_or_default();
        let found: String = found.chars().take(80).collect();
        self.reader.problem(&value.span(), format!("{}: found {found}, expected {expected}", self.path(key)));
    }

    /// A table below this one; an empty one where there is none.
    pub(super) fn table(&self, key: &'static str) -> Table<'r, 'i> {
        let value = self.value(key);
        let table = value.and_then(|value| {
            let table = value.get_ref().as_table();
            if table.is_none() {
                self.wrong(key, value, format!("a table, [{key}]"));
            }
            table
        });
        let span = value.map_or(0..0, Spanned::span);
        Table { reader: self.reader, name: self.path(key), table, span, known: RefCell::default() }
    }

    /// An array of tables, `[[key]]`.
    pub(super) fn tables(&self, key: &'static str) -> Vec<Table<'r, 'i>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong(key, value, format!("tables that each begin with [[{key}]]"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_table() {
                Some(table) => tables.push(Table {
                    reader: self.reader,
                    name: self.path(key),
                    table: Some(table),
                    span: item.span(),
                    known: RefCell::default(),
                }),
                None => self.wrong(key, item, format!("tables that each begin with [[{key}]]")),
            }
        }
        tables
    }

    pub(super) fn boolean(&self, key: &'static str, default: bool) -> bool {
        let Some(value) = self.value(key) else { return default };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong(key, value, "true or false");
            default
        })
    }

    pub(super) fn number(&self, key: &'static str, default: u32, range: RangeInclusive<u32>) -> u32 {
        let Some(value) = self.value(key) else { return default };
        let number = value.get_ref().as_integer();
        let number = number.and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        number.filter(|number| range.contains(number)).unwrap_or_else(|| {
            self.wrong(key, value, format!("a whole number from {} to {}", range.start(), range.end()));
            default
        })
    }

    /// A duration, or `None` where there is none, or no legal one.
    pub(super) fn duration(&self, key: &'static str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let text = self.text(key)?;
        let read = duration::parse_long(&text.text, *range.start(), *range.end());
        read.map_err(|wrong| self.reader.problem(&text.span, format!("{}: {wrong}", self.path(key)))).ok()
    }

    /// A text, or `None`.
    pub(super) fn text(&self, key: &'static str) -> Option<Text> {
        let value = self.value(key)?;
        match value.get_ref().as_str() {
            Some(text) => Some(Text { text: text.to_owned(), span: value.span() }),
            None => {
                self.wrong(key, value, "a text in quotes");
                None
            }
        }
    }

    /// A text that has to be there.
    pub(super) fn required(&self, key: &'static str) -> Option<Text> {
        let text = self.text(key);
        if text.is_none() && self.table.is_some_and(|table| !table.contains_key(key)) {
            self.reader.problem(&self.span, format!("{} is missing", self.path(key)));
        }
        text
    }

    /// A list of texts; `None` where there is none.
    pub(super) fn texts(&self, key: &'static str) -> Option<Vec<Text>> {
        let value = self.value(key)?;
        let Some(array) = value.get_ref().as_array() else {
            self.wrong(key, value, r#"a list of texts, ["…", "…"]"#);
            return None;
        };
        let mut texts = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_str() {
                Some(text) => texts.push(Text { text: text.to_owned(), span: item.span() }),
                None => self.wrong(key, item, "a text in quotes"),
            }
        }
        Some(texts)
    }

    /// A list of texts that has to be there, with at least one.
    pub(super) fn some_texts(&self, key: &'static str) -> Vec<Text> {
        match self.texts(key) {
            Some(texts) if texts.is_empty() => {
                self.reader.problem(&self.span, format!("{} is empty", self.path(key)));
                texts
            }
            Some(texts) => texts,
            None => {
                if self.table.is_some_and(|table| !table.contains_key(key)) {
                    self.reader.problem(&self.span, format!("{} is missing", self.path(key)));
                }
                Vec::new()
            }
        }
    }

    /// Complains of the keys that nobody asked for.
    pub(super) fn finish(self) {
        let known = self.known.borrow();
        for (key, _) in self.table.into_iter().flat_map(DeTable::iter) {
            if !known.contains(&key.get_ref().as_ref()) {
                let message = format!("{} is unknown, known here: {}", self.path(key.get_ref()), known.join(", "));
                self.reader.problem(&key.span(), message);
            }
        }
    }
}
