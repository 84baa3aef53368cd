//! Reads a map of values against an action type and collects what is wrong.

use std::collections::BTreeMap;

use super::problem::{Problem, Problems};
use crate::action_type::{ActionType, Property};
use crate::limits::{ALARM_NAME_CHARS, ALARMS, QUERYABLE_VALUE_CHARS};
use crate::mismatch::{Mismatch, quoted};
use crate::names::{is_ecs_name, is_word};
use crate::options::Options;

/// The values of one job, read property by property. The definition of the action type says which may be there, which
/// must be, and what holds instead of an absent one.
pub(super) struct Reader<'a> {
    action: &'a ActionType,
    values: &'a BTreeMap<String, String>,
    problems: Problems,
}

impl<'a> Reader<'a> {
    /// Begins to read, and notes what can be said without understanding values: unknown, missing, empty and reserved
    /// properties.
    pub(super) fn new(action: &'a ActionType, values: &'a BTreeMap<String, String>) -> Self {
        let mut problems = Problems::default();
        for property in action.properties {
            let found = match values.get(property.name) {
                None if property.required => Mismatch::new("nothing", property.expected),
                Some(value) if value.trim().is_empty() => Mismatch::new("an empty value", property.expected),
                Some(value) if !property.available => {
                    Mismatch::value(value, "nothing: this property is not available in this version")
                }
                _ => continue,
            };
            problems.push(Problem::new(property.name, found));
        }
        for name in values.keys().filter(|name| action.property(name).is_none()) {
            let names: Vec<_> = action.properties.iter().map(|property| property.name).collect();
            let expected = format!("one of {}", names.join(", "));
            problems.push(Problem::new(name, Mismatch::new(format!("the property {}", quoted(name)), expected)));
        }
        Self { action, values, problems }
    }

    /// The trimmed value of `property`, else its default; `None` where there is neither, or an empty value.
    pub(super) fn text(&self, property: &Property) -> Option<&'a str> {
        match self.values.get(property.name) {
            Some(value) => Some(value.trim()).filter(|value| !value.is_empty()),
            None => property.default,
        }
    }

    /// The value of `property` as `parse` understands it; what it does not understand is noted.
    pub(super) fn read<T>(
        &mut self,
        property: &Property,
        parse: impl FnOnce(&str) -> Result<T, Mismatch>,
    ) -> Option<T> {
        let text = self.text(property)?;
        self.note(property.name, parse(text))
    }

    /// The good part of a result; the bad one is noted at `property`.
    pub(super) fn note<T>(&mut self, property: &str, result: Result<T, Mismatch>) -> Option<T> {
        result.map_err(|mismatch| self.problems.push(Problem::new(property, mismatch))).ok()
    }

    /// The name of a pool, as `PollForJobs` can ask for it.
    pub(super) fn pool(&mut self, property: &Property) -> Option<String> {
        self.read(property, |text| {
            let legal = text.len() <= QUERYABLE_VALUE_CHARS && is_word(text);
            if legal { Ok(text.to_owned()) } else { Err(Mismatch::value(text, property.expected)) }
        })
    }

    /// The family of a task definition.
    pub(super) fn family(&mut self, property: &Property) -> Option<String> {
        self.read(property, |text| {
            if is_ecs_name(text) { Ok(text.to_owned()) } else { Err(Mismatch::value(text, property.expected)) }
        })
    }

    /// Names of alarms; none where the property is absent.
    pub(super) fn alarms(&mut self, property: &Property) -> Vec<String> {
        self.read(property, |text| alarms(text, property.expected)).unwrap_or_default()
    }

    /// The settings in `Options`; the defaults where the property is absent.
    pub(super) fn options(&mut self) -> Options {
        let text = self.action.property("Options").and_then(|property| self.text(property));
        match text.map(|text| Options::parse(text, self.action.options)) {
            Some(Ok(options)) => options,
            Some(Err(problems)) => {
                self.problems.extend(problems);
                Options::default()
            }
            None => Options::default(),
        }
    }

    /// Ends: the configuration if nothing was wrong. It is `None` only where something was noted.
    ///
    /// The problems come in the order of the properties, the unknown ones last.
    pub(super) fn finish<T>(self, config: Option<T>) -> Result<T, Problems> {
        let Self { action, problems, .. } = self;
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => {
                let place = |problem: &Problem| {
                    let name = problem.property.split_once('.').map_or(problem.property.as_str(), |(name, _)| name);
                    let known = action.properties.iter().position(|property| property.name == name);
                    known.unwrap_or(action.properties.len())
                };
                let mut problems: Vec<_> = problems.into_iter().collect();
                problems.sort_by_key(place);
                Err(problems.into_iter().collect())
            }
        }
    }
}

/// Names of alarms between commas. A name with a comma, which CloudWatch would allow, cannot be written.
fn alarms(text: &str, expected: &str) -> Result<Vec<String>, Mismatch> {
    let mut names: Vec<String> = Vec::new();
    for name in text.split(',').map(str::trim) {
        if name.is_empty() {
            return Err(Mismatch::new("a name that is empty, between or after commas", expected));
        }
        if name.chars().count() > ALARM_NAME_CHARS || name.chars().any(char::is_control) {
            return Err(Mismatch::value(name, format!("names of at most {ALARM_NAME_CHARS} characters on one line")));
        }
        if name.starts_with("arn:") {
            return Err(Mismatch::value(name, "the alarm's name instead of its ARN"));
        }
        if names.iter().any(|other| other == name) {
            return Err(Mismatch::new(format!("{} twice", quoted(name)), expected));
        }
        names.push(name.to_owned());
    }
    if names.len() > ALARMS {
        return Err(Mismatch::new(format!("{} names", names.len()), expected));
    }
    Ok(names)
}
