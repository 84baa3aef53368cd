//! Wire formats: JSON and CBOR bodies to and from values and the SDK's own shapes.

use aws_smithy_json::codec::{JsonCodec, JsonCodecSettings};
use aws_smithy_schema::Schema;
use aws_smithy_schema::codec::Codec;
use aws_smithy_schema::serde::{SerdeError, SerializableStruct, ShapeDeserializer, ShapeSerializer};
use bytes::Bytes;
use ciborium::Value as Cbor;
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::{Map, Number, Value};
use std::time::SystemTime;

use crate::error::{Answer, ErrorReply};

/// The body formats that AWS's clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// awsJson 1.0 or 1.1.
    Json(&'static str),
    /// Smithy RPC v2 CBOR.
    Cbor,
    /// REST JSON: what is asked for stands in path and query.
    Rest,
    /// A form, answered in XML.
    Query,
}

/// The key that marks a date between a handler and the encoder: JSON writes a number, CBOR tag 1.
const DATE: &str = "$date";

/// A date in a reply whose codec is hand-written: epoch seconds, as JSON and CBOR each want it.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Timestamp(pub SystemTime);

impl Timestamp {
    fn seconds(self) -> f64 {
        self.0.duration_since(SystemTime::UNIX_EPOCH).map(|age| age.as_millis() as f64 / 1000.0).unwrap_or_default()
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(DATE, self.seconds())])
    }
}

/// The epoch seconds of a date between a handler and the encoder. `None`: it is none.
pub(crate) fn date_of(value: &Value) -> Option<f64> {
    value.as_object().filter(|members| members.len() == 1)?.get(DATE)?.as_f64()
}

fn codec() -> JsonCodec {
    JsonCodec::new(JsonCodecSettings::builder().use_json_name(false).build())
}

/// Reads a request body into a JSON value. An empty body is an empty object.
pub(crate) fn parse(format: Format, body: &Bytes) -> Answer<Value> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    match format {
        Format::Json(_) | Format::Rest | Format::Query => serde_json::from_slice(body)
            .map_err(|problem| ErrorReply::new("SerializationException", problem.to_string())),
        Format::Cbor => ciborium::from_reader::<Cbor, _>(body.as_ref())
            .map_err(|problem| ErrorReply::new("SerializationException", problem.to_string()))
            .map(json_of_cbor),
    }
}

/// Writes a reply's JSON value as a body.
pub(crate) fn render(format: Format, value: Value) -> Vec<u8> {
    match format {
        Format::Json(_) | Format::Rest | Format::Query => json_dates(value).to_string().into_bytes(),
        Format::Cbor => {
            let mut body = Vec::new();
            // Writing to memory cannot fail.
            ciborium::into_writer(&cbor_of_json(value), &mut body).unwrap_or_default();
            body
        }
    }
}

/// Reads a value into one of the SDK's input shapes, refusing members that the shape does not have.
pub(crate) fn from_value<T>(
    raw: &Value,
    schema: &Schema<'_>,
    read: impl FnOnce(&mut dyn ShapeDeserializer) -> Result<T, SerdeError>,
) -> Answer<T> {
    if let Some(stranger) =
        raw.as_object().and_then(|members| members.keys().find(|name| schema.member_schema(name).is_none()))
    {
        let shape = schema.shape_id().shape_name();
        return Err(ErrorReply::new("SerializationException", format!("{shape} has no member {stranger}")));
    }
    lenient_from_value(raw, read)
}

/// The same, passing over members that the SDK's version of the shape does not know.
pub(crate) fn lenient_from_value<T>(
    raw: &Value,
    read: impl FnOnce(&mut dyn ShapeDeserializer) -> Result<T, SerdeError>,
) -> Answer<T> {
    let text = raw.to_string();
    let codec = codec();
    let mut deserializer = codec.create_deserializer(text.as_bytes());
    read(&mut deserializer).map_err(|problem| ErrorReply::new("SerializationException", problem.to_string()))
}

/// Writes one of the SDK's shapes as a JSON value.
pub(crate) fn to_value(shape: &impl SerializableStruct) -> Value {
    let codec = codec();
    let mut serializer = codec.create_serializer();
    match serializer.write_struct(shape.schema(), shape) {
        Ok(()) => serde_json::from_slice(&serializer.finish()).unwrap_or(Value::Null),
        Err(_) => Value::Null,
    }
}

/// Reads a value into a hand-written input (use `deny_unknown_fields`: strictness is the point).
pub(crate) fn from_json<T: DeserializeOwned>(raw: &Value) -> Answer<T> {
    T::deserialize(raw).map_err(|problem| ErrorReply::new("SerializationException", problem.to_string()))
}

/// Writes a hand-written output.
pub(crate) fn to_json(output: &impl Serialize) -> Answer<Value> {
    serde_json::to_value(output).map_err(|problem| ErrorReply::new("SerializationException", problem.to_string()))
}

fn json_dates(value: Value) -> Value {
    match value {
        Value::Object(mut members) if members.len() == 1 && members.contains_key(DATE) => {
            members.remove(DATE).unwrap_or(Value::Null)
        }
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, value)| (name, json_dates(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(json_dates).collect()),
        other => other,
    }
}

fn cbor_of_json(value: Value) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(yes) => Cbor::Bool(yes),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Cbor::Integer(integer.into()),
            (None, Some(float)) => Cbor::Float(float),
            (None, None) => Cbor::Null,
        },
        Value::String(text) => Cbor::Text(text),
        Value::Array(items) => Cbor::Array(items.into_iter().map(cbor_of_json).collect()),
        Value::Object(members) => match (members.len(), members.get(DATE).and_then(Value::as_f64)) {
            (1, Some(seconds)) => Cbor::Tag(1, Box::new(Cbor::Float(seconds))),
            _ => Cbor::Map(members.into_iter().map(|(name, value)| (Cbor::Text(name), cbor_of_json(value))).collect()),
        },
    }
}

fn json_of_cbor(value: Cbor) -> Value {
    match value {
        Cbor::Bool(yes) => Value::Bool(yes),
        Cbor::Integer(integer) => i64::try_from(integer).map(Value::from).unwrap_or(Value::Null),
        Cbor::Float(float) => Number::from_f64(float).map(Value::Number).unwrap_or(Value::Null),
        Cbor::Text(text) => Value::String(text),
        Cbor::Tag(_, inner) => json_of_cbor(*inner),
        Cbor::Array(items) => Value::Array(items.into_iter().map(json_of_cbor).collect()),
        Cbor::Map(members) => Value::Object(
            members
                .into_iter()
                .filter_map(|(name, value)| name.into_text().ok().map(|name| (name, json_of_cbor(value))))
                .collect(),
        ),
        _ => Value::Null,
    }
}

/// The operations of a service whose SDK crate is schema-based: handlers take and return the SDK's own shapes.
///
/// `"PollForJobs" => poll_for_jobs::{PollForJobsInput, jobs::poll_for_jobs}` makes one arm of `dispatch`; the handler
/// is `fn(&mut World, &Call, PollForJobsInput) -> Answer<PollForJobsOutput>`.
macro_rules! typed_operations {
    ($sdk:ident: $($name:literal => $module:ident::{$input:ident, $handler:path}),* $(,)?) => {
        pub(crate) fn dispatch(
            world: &mut $crate::World,
            call: &$crate::Call,
        ) -> $crate::Answer<serde_json::Value> {
            match call.operation.as_str() {
                $($name => {
                    use $sdk::operation::$module::$input;
                    let input = $crate::wire::from_value(&call.raw, $input::SCHEMA, |d| $input::deserialize(d))?;
                    Ok($crate::wire::to_value(&$handler(world, call, input)?))
                })*
                _ => dispatch_other(world, call),
            }
        }
    };
}

/// The operations of a service whose codec is hand-written: handlers take and return serde types.
macro_rules! json_operations {
    ($function:ident: $($name:literal => $handler:path),* $(,)?) => {
        pub(crate) fn $function(
            world: &mut $crate::World,
            call: &$crate::Call,
        ) -> $crate::Answer<serde_json::Value> {
            match call.operation.as_str() {
                $($name => $crate::wire::to_json(&$handler(world, call, $crate::wire::from_json(&call.raw)?)?),)*
                other => Err($crate::ErrorReply::unknown_operation(call.service.name(), other)),
            }
        }
    };
}

pub(crate) use {json_operations, typed_operations};
