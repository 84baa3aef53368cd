//! The query protocol: a form comes in, XML goes out.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use http::{Request, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::wire;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The operation and the members of a form. `None`: the request is no form. Numbers become numbers, as in JSON.
pub(crate) fn read(request: &Request<Bytes>) -> Option<(String, Value)> {
    let kind = request.headers().get("content-type")?.to_str().ok()?;
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return None;
    }
    let mut members: Map<String, Value> = parameters(std::str::from_utf8(request.body()).ok()?).collect();
    members.shift_remove("Version");
    let operation = members.shift_remove("Action")?.as_str()?.to_owned();
    if let Some(Value::String(text)) = members.get("DurationSeconds")
        && let Ok(seconds) = text.parse::<u64>()
    {
        members.insert("DurationSeconds".into(), seconds.into());
    }
    Some((operation, Value::Object(members)))
}

/// The pairs of a form or of a query string, decoded.
pub(crate) fn parameters(text: &str) -> impl Iterator<Item = (String, Value)> {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    text.split('&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value).into())
    })
}

/// A reply's document: the operation's result, or the refusal.
pub(crate) fn render(operation: &str, status: u16, value: &Value, request_id: &str) -> Vec<u8> {
    let mut xml = String::new();
    if status == StatusCode::OK {
        let _ = write!(xml, "<{operation}Response xmlns=\"{NAMESPACE}\"><{operation}Result>");
        write_members(&mut xml, value);
        let _ = write!(xml, "</{operation}Result><ResponseMetadata><RequestId>{request_id}</RequestId>");
        let _ = write!(xml, "</ResponseMetadata></{operation}Response>");
    } else {
        let text = |name: &str| escaped(value.get(name).and_then(Value::as_str).unwrap_or_default());
        let (code, message) = (text("__type"), text("message"));
        let kind = if status >= 500 { "Receiver" } else { "Sender" };
        let _ = write!(xml, "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{kind}</Type><Code>{code}</Code>");
        let _ = write!(xml, "<Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>");
    }
    xml.into_bytes()
}

fn write_members(xml: &mut String, value: &Value) {
    for (name, member) in value.as_object().into_iter().flatten() {
        let _ = write!(xml, "<{name}>");
        match (wire::date_of(member), member) {
            (Some(seconds), _) => xml.push_str(&date(seconds)),
            (None, Value::Object(_)) => write_members(xml, member),
            (None, Value::String(text)) => xml.push_str(&escaped(text)),
            (None, other) => xml.push_str(&other.to_string()),
        }
        let _ = write!(xml, "</{name}>");
    }
}

fn date(seconds: f64) -> String {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds.max(0.0));
    DateTime::<Utc>::from(at).to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn escaped(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}
