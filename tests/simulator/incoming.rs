//! A request as it came, read once.

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Request};
use serde_json::Value;

use crate::call::{Call, Service};
use crate::calls;
use crate::error::ErrorReply;
use crate::s3;
use crate::wire::{self, Format};

/// A request and what it asks for.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    /// The call; its date is the date of sending until it arrives.
    pub(crate) call: Call,
    /// What it is about, for the log.
    pub(crate) subject: String,
    /// The request itself.
    pub(crate) request: Request<Bytes>,
    /// The body's format; `None` for S3.
    pub(crate) format: Option<Format>,
    /// Why it is refused before it is looked at: its body could not be read, or the caller may not do it.
    pub(crate) refused: Option<ErrorReply>,
}

impl Incoming {
    /// Reads a request that is sent at `at`.
    pub(crate) fn read(request: Request<Bytes>, at: SystemTime) -> Self {
        let access_key = access_key(request.headers());
        let Some((service, operation, format)) = target(&request) else {
            let (operation, subject) = s3::about(&request);
            let call = Call { at, service: Service::S3, operation, access_key, raw: Value::Null };
            return Self { call, subject, request, format: None, refused: None };
        };
        let (raw, refused) = match wire::parse(format, request.body()) {
            Ok(raw) => (raw, None),
            Err(error) => (Value::Null, Some(error)),
        };
        let subject = calls::subject(&raw);
        let call = Call { at, service, operation, access_key, raw };
        Self { call, subject, request, format: Some(format), refused }
    }
}

/// Which operation a request names, and in which format. `None`: it is S3's.
fn target(request: &Request<Bytes>) -> Option<(Service, String, Format)> {
    if let Some(target) = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()) {
        let (prefix, operation) = target.split_once('.')?;
        let version = request.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let content_type =
            if version.ends_with("1.0") { "application/x-amz-json-1.0" } else { "application/x-amz-json-1.1" };
        return Some((Service::of_target(prefix)?, operation.to_owned(), Format::Json(content_type)));
    }
    let (service, operation) = request.uri().path().strip_prefix("/service/")?.split_once("/operation/")?;
    Some((Service::of_target(service)?, operation.to_owned(), Format::Cbor))
}

/// The access key of an `Authorization` header (Signature Version 4).
fn access_key(headers: &HeaderMap) -> String {
    headers
        .get("authorization")
        .and_then(|header| header.to_str().ok())
        .and_then(|header| header.split_once("Credential="))
        .and_then(|(_, credential)| credential.split('/').next())
        .unwrap_or_default()
        .to_owned()
}
