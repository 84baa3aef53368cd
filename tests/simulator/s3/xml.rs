//! Replies as XML.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderValue, Response};
use serde::Serialize;
use std::time::SystemTime;

use super::request::Target;
use crate::{Answer, ErrorReply};

/// The namespace of all S3 replies.
pub(super) const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// `2026-01-05T09:00:00.000Z`.
pub(super) fn date(at: SystemTime) -> String {
    DateTime::<Utc>::from(at).format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// `Mon, 05 Jan 2026 09:00:00 GMT`.
pub(super) fn http_date(at: SystemTime) -> String {
    DateTime::<Utc>::from(at).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A reply of 200 with an XML document.
pub(super) fn document(root: &str, content: &impl Serialize) -> Answer<Response<Bytes>> {
    let xml = quick_xml::se::to_string_with_root(root, content)
        .map_err(|problem| ErrorReply::new("InternalError", problem.to_string()).with_status(500))?;
    Ok(body(200, xml))
}

/// A reply without content.
pub(super) fn empty(status: u16) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::new()).unwrap_or_default()
}

fn body(status: u16, xml: String) -> Response<Bytes> {
    let reply = Response::builder().status(status).header("content-type", "application/xml");
    reply.body(Bytes::from(format!("{DECLARATION}{xml}"))).unwrap_or_default()
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Refusal<'a> {
    code: &'a str,
    message: &'a str,
    resource: String,
    request_id: &'a str,
    host_id: String,
}

/// An error. The answer to HEAD has no body, so its code does not reach the client.
pub(super) fn refusal(error: &ErrorReply, target: &Target, request_id: &str, head: bool) -> Response<Bytes> {
    if head || error.status == 304 {
        return empty(error.status);
    }
    let resource = format!("/{}", target.subject());
    let refusal =
        Refusal { code: &error.code, message: &error.message, resource, request_id, host_id: host_id(request_id) };
    body(error.status, quick_xml::se::to_string_with_root("Error", &refusal).unwrap_or_default())
}

fn host_id(request_id: &str) -> String {
    super::body::hex(request_id.as_bytes())
}

/// Adds the two ids that every reply carries.
pub(super) fn stamped(mut reply: Response<Bytes>, request_id: &str) -> Response<Bytes> {
    for (name, value) in [("x-amz-request-id", request_id.to_owned()), ("x-amz-id-2", host_id(request_id))] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            reply.headers_mut().insert(name, value);
        }
    }
    reply
}
