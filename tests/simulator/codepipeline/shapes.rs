//! The limits of AWS's model: required members, lengths, ranges, patterns, enumerations.
//!
//! [`check`] holds a request against the table in `inputs.rs` before a handler sees it, and answers as AWS does: all
//! violations in one `ValidationException`, each with the path of its member.

use serde_json::Value;

use crate::{Answer, ErrorReply};

/// What a member may be.
pub(super) enum Shape {
    /// Least and greatest length, and the pattern.
    Text(usize, usize, &'static Pattern),
    /// Least and greatest value.
    Number(i64, i64),
    Flag,
    /// Anything.
    Opaque,
    /// Epoch seconds.
    Date,
    OneOf(&'static [&'static str]),
    Structure(&'static [Member]),
    /// Least and greatest number of items.
    List(usize, usize, &'static Shape),
    /// Greatest number of entries, keys, values.
    Map(usize, &'static Shape, &'static Shape),
}

/// A member of a structure.
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) shape: &'static Shape,
}

/// A regular expression of the model, and the function that stands for it here.
pub(super) struct Pattern {
    pub(super) text: &'static str,
    pub(super) holds: fn(&str) -> bool,
}

/// Holds a request's JSON against a structure.
pub(super) fn check(raw: &Value, shape: &Shape) -> Answer<()> {
    let mut findings = Vec::new();
    let empty = Value::Object(Default::default());
    visit(if raw.is_null() { &empty } else { raw }, shape, "", &mut findings)?;
    if findings.is_empty() {
        return Ok(());
    }
    let errors = if findings.len() == 1 { "error" } else { "errors" };
    let message = format!("{} validation {errors} detected: {}", findings.len(), findings.join("; "));
    Err(ErrorReply::validation(message))
}

fn visit(value: &Value, shape: &Shape, path: &str, findings: &mut Vec<String>) -> Answer<()> {
    match (shape, value) {
        (Shape::Text(least, most, pattern), Value::String(text)) => {
            let length = text.chars().count();
            if length < *least {
                findings.push(finding(text, path, &format!("have length greater than or equal to {least}")));
            }
            if length > *most {
                findings.push(finding(text, path, &format!("have length less than or equal to {most}")));
            }
            if !(pattern.holds)(text) {
                findings.push(finding(text, path, &format!("satisfy regular expression pattern: {}", pattern.text)));
            }
        }
        (Shape::OneOf(names), Value::String(text)) => {
            if !names.contains(&text.as_str()) {
                findings.push(finding(text, path, &format!("satisfy enum value set: [{}]", names.join(", "))));
            }
        }
        (Shape::Number(least, most), Value::Number(number)) => {
            let Some(number) = number.as_i64() else { return Err(mismatch(value, path)) };
            if number < *least {
                let constraint = format!("have value greater than or equal to {least}");
                findings.push(finding(&number.to_string(), path, &constraint));
            }
            if number > *most {
                let constraint = format!("have value less than or equal to {most}");
                findings.push(finding(&number.to_string(), path, &constraint));
            }
        }
        (Shape::Opaque, _) | (Shape::Flag, Value::Bool(_)) | (Shape::Date, Value::Number(_)) => {}
        (Shape::List(least, most, item), Value::Array(items)) => {
            length(items.len(), *least, *most, path, findings);
            for (index, value) in items.iter().enumerate() {
                visit(value, item, &joined(path, &format!("{}.member", index + 1)), findings)?;
            }
        }
        (Shape::Map(most, key, item), Value::Object(entries)) => {
            length(entries.len(), 0, *most, path, findings);
            for (name, value) in entries {
                visit(&Value::String(name.clone()), key, path, findings)?;
                visit(value, item, &joined(path, &format!("{name}.member")), findings)?;
            }
        }
        (Shape::Structure(members), Value::Object(given)) => structure(given, members, path, findings)?,
        _ => return Err(mismatch(value, path)),
    }
    Ok(())
}

fn structure(
    given: &serde_json::Map<String, Value>,
    members: &[Member],
    path: &str,
    findings: &mut Vec<String>,
) -> Answer<()> {
    if let Some(stranger) = given.keys().find(|name| members.iter().all(|member| member.name != name.as_str())) {
        let message = format!("there is no member {}", joined(path, stranger));
        return Err(ErrorReply::new("SerializationException", message));
    }
    for member in members {
        let path = joined(path, member.name);
        match given.get(member.name) {
            Some(value) if !value.is_null() => visit(value, member.shape, &path, findings)?,
            _ if member.required => {
                findings.push(format!("Value null at '{path}' failed to satisfy constraint: Member must not be null"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn length(length: usize, least: usize, most: usize, path: &str, findings: &mut Vec<String>) {
    if length < least {
        findings.push(format!(
            "Value at '{path}' failed to satisfy constraint: Member must have length greater than or equal to {least}"
        ));
    }
    if length > most {
        findings.push(format!(
            "Value at '{path}' failed to satisfy constraint: Member must have length less than or equal to {most}"
        ));
    }
}

fn finding(value: &str, path: &str, constraint: &str) -> String {
    format!("Value '{value}' at '{path}' failed to satisfy constraint: Member must {constraint}")
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn mismatch(value: &Value, path: &str) -> ErrorReply {
    let kind = match value {
        Value::Null => "NULL_VALUE",
        Value::Bool(_) => "TRUE_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    };
    ErrorReply::new("SerializationException", format!("{kind} can not be converted to the type of '{path}'"))
}
