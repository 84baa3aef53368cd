//! A request as it came, read once.

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Request};
use serde_json::Value;

use crate::call::{Call, Service};
use crate::calls;
use crate::error::{Answer, ErrorReply};
use crate::wire::{self, Format};
use crate::{query, rest, s3};

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
    /// The region that the request was signed for; empty where it is unsigned.
    pub(crate) region: String,
    /// Why it is refused before it is looked at: its body could not be read, or the caller may not do it.
    pub(crate) refused: Option<ErrorReply>,
}

impl Incoming {
    /// Reads a request that is sent at `at`.
    pub(crate) fn read(request: Request<Bytes>, at: SystemTime) -> Self {
        let signature = Signature::of(request.headers());
        let Asked { service, operation, format, raw } = asked(&request, &signature.service);
        let (raw, refused) = match raw {
            Ok(raw) => (raw, None),
            Err(error) => (Value::Null, Some(error)),
        };
        let subject = match format {
            Some(_) => calls::subject(&raw),
            None => s3::about(&request).1,
        };
        let call = Call {
            at,
            service,
            operation,
            access_key: signature.access_key,
            account: String::new(),
            region: String::new(),
            principal: String::new(),
            raw,
        };
        Self { call, subject, request, format, region: signature.region, refused }
    }
}

/// What a request asks for.
struct Asked {
    service: Service,
    operation: String,
    /// `None`: it is S3's.
    format: Option<Format>,
    raw: Answer<Value>,
}

/// Which operation a request names, in which format. `signed_for`: the service of its signature.
fn asked(request: &Request<Bytes>, signed_for: &str) -> Asked {
    if let Some((service, operation, format)) = target(request) {
        let raw = wire::parse(format, request.body());
        return Asked { service, operation, format: Some(format), raw };
    }
    if let Some((operation, raw)) = query::read(request) {
        return Asked { service: Service::Sts, operation, format: Some(Format::Query), raw: Ok(raw) };
    }
    if let Some((service, operation, raw)) = rest::read(request, signed_for) {
        return Asked { service, operation, format: Some(Format::Rest), raw: Ok(raw) };
    }
    Asked { service: Service::S3, operation: s3::about(request).0, format: None, raw: Ok(Value::Null) }
}

/// Which operation a request names by header or, in CBOR, by path.
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

/// What an `Authorization` header (Signature Version 4) says; empty where there is none.
#[derive(Default)]
struct Signature {
    access_key: String,
    region: String,
    service: String,
}

impl Signature {
    fn of(headers: &HeaderMap) -> Self {
        let header = headers.get("authorization").and_then(|header| header.to_str().ok());
        let Some((_, credential)) = header.and_then(|header| header.split_once("Credential=")) else {
            return Self::default();
        };
        // Key, date, region, service, `aws4_request`.
        let mut parts = credential.split(['/', ',']).map(str::to_owned);
        let access_key = parts.next().unwrap_or_default();
        let region = parts.nth(1).unwrap_or_default();
        Self { access_key, region, service: parts.next().unwrap_or_default() }
    }
}
