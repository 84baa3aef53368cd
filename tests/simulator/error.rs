//! How the simulated AWS says no.

use aws_smithy_schema::serde::SerializableStruct;
use serde_json::{Map, Value};

use crate::wire;

/// A handler's result.
pub type Answer<T> = Result<T, ErrorReply>;

/// An error as it goes over the wire: HTTP status, code (`__type`), message and further members.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code} ({status}): {message}")]
pub struct ErrorReply {
    /// HTTP status: 400 for the caller's mistakes and throttling, 500 for the service's.
    pub status: u16,
    /// The shape's name, `InvalidNonceException`.
    pub code: String,
    /// What went wrong, in the service's words.
    pub message: String,
    /// The error shape's other members.
    pub members: Map<String, Value>,
}

impl ErrorReply {
    /// An error by name; for codes that no model lists (`ThrottlingException`, `AccessDeniedException`).
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.into(), message: message.into(), members: Map::new() }
    }

    /// The same with another HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// One of the SDK's own modelled errors, so that its name and members exist.
    pub fn of(error: &impl SerializableStruct) -> Self {
        let mut members = match wire::to_value(error) {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        let message = match members.remove("message") {
            Some(Value::String(message)) => message,
            _ => String::new(),
        };
        let code = error.schema().shape_id().shape_name().to_owned();
        Self { status: 400, code, message, members }
    }

    /// `ValidationException`, with AWS's usual opening.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    /// Strictness: an operation that is not simulated must be noticed, by name.
    pub fn unknown_operation(service: &str, operation: &str) -> Self {
        Self::new("UnknownOperationException", format!("the simulator has no {service} {operation}"))
    }
}
