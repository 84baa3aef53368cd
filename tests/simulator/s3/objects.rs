//! The operations of objects.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use http::{Request, Response};

use super::buckets::{existing, header};
use super::request::Target;
use super::store::{Object, Version};
use super::{body, xml};
use crate::{Answer, ErrorReply, World};

/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 1024;

fn sent<'a>(request: &'a Request<Bytes>, name: &str) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

fn no_such_key() -> ErrorReply {
    ErrorReply::new("NoSuchKey", "The specified key does not exist.").with_status(404)
}

fn precondition_failed(condition: &str) -> ErrorReply {
    let message = "At least one of the pre-conditions you specified did not hold";
    let mut error = ErrorReply::new("PreconditionFailed", message).with_status(412);
    error.members.insert("Condition".to_owned(), condition.into());
    error
}

/// Whether a header of tags (`*`, or quoted or bare tags with commas between) names this object.
fn names(tags: &str, object: &Object) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_matches('"') == object.etag.trim_matches('"'))
}

/// `GetObject`, and `HeadObject`, which is the same without the content.
pub(super) fn get(world: &World, target: &Target, request: &Request<Bytes>, content: bool) -> Answer<Response<Bytes>> {
    let bucket = existing(world, target)?;
    let versions = bucket.objects.get(&target.key).map(Vec::as_slice).unwrap_or_default();
    let object = match target.parameter("versionId") {
        None => versions.last().and_then(Version::object).ok_or_else(no_such_key)?,
        Some(id) => match versions.iter().find(|version| version.id() == id) {
            Some(Version::Object(object)) => object,
            Some(Version::DeleteMarker { .. }) => {
                let message = "The specified method is not allowed against this resource.";
                return Err(ErrorReply::new("MethodNotAllowed", message).with_status(405));
            }
            None => {
                return Err(ErrorReply::new("NoSuchVersion", "The specified version does not exist.").with_status(404));
            }
        },
    };
    if sent(request, "if-match").is_some_and(|tags| !names(tags, object)) {
        return Err(precondition_failed("If-Match"));
    }
    if sent(request, "if-none-match").is_some_and(|tags| names(tags, object)) {
        return Err(ErrorReply::new("NotModified", "Not Modified").with_status(304));
    }
    let whole = object.body.len();
    let range = sent(request, "range").and_then(|range| parsed_range(range, whole)).transpose()?;
    let mut reply = xml::empty(if range.is_some() { 206 } else { 200 });
    if let Some(range) = &range {
        let value = format!("bytes {}-{}/{whole}", range.start, range.end.saturating_sub(1));
        header(&mut reply, "content-range", &value);
    }
    let range = range.unwrap_or(0..whole);
    header(&mut reply, "content-length", &range.len().to_string());
    header(&mut reply, "content-type", &object.content_type);
    header(&mut reply, "accept-ranges", "bytes");
    header(&mut reply, "etag", &object.etag);
    header(&mut reply, "last-modified", &xml::http_date(object.modified));
    header(&mut reply, "x-amz-server-side-encryption", "AES256");
    if bucket.versioned {
        header(&mut reply, "x-amz-version-id", &object.version);
    }
    for (name, value) in &object.metadata {
        let name = http::HeaderName::try_from(format!("x-amz-meta-{name}"));
        if let (Ok(name), Ok(value)) = (name, http::HeaderValue::from_str(value)) {
            reply.headers_mut().insert(name, value);
        }
    }
    if content {
        *reply.body_mut() = object.body.slice(range);
    }
    Ok(reply)
}

/// `bytes=a-b`, `bytes=a-`, `bytes=-n`; other forms are passed over, as HTTP wants it.
fn parsed_range(range: &str, whole: usize) -> Option<Answer<Range<usize>>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(whole),
        (Ok(first), Err(_)) if last.is_empty() => first..whole,
        (Err(_), Ok(count)) if first.is_empty() => whole.saturating_sub(count)..whole,
        _ => return None,
    };
    if range.start >= whole {
        let message = "The requested range is not satisfiable";
        return Some(Err(ErrorReply::new("InvalidRange", message).with_status(416)));
    }
    Some(Ok(range))
}

pub(super) fn put(world: &mut World, target: &Target, request: &Request<Bytes>) -> Answer<Response<Bytes>> {
    let bucket = existing(world, target)?;
    if target.key.len() > KEY_BYTES_MAX {
        return Err(ErrorReply::new("KeyTooLongError", "Your key is too long"));
    }
    let present = bucket.object(&target.key);
    // One request after the other: what AWS answers to a write that raced another one, ConditionalRequestConflict
    // (409), cannot come up here. A test that wants it injects it as a fault.
    match (sent(request, "if-none-match"), sent(request, "if-match")) {
        (Some("*"), None) if present.is_some() => return Err(precondition_failed("If-None-Match")),
        (Some("*"), None) | (None, None) => {}
        (None, Some(tags)) => {
            if !names(tags, present.ok_or_else(no_such_key)?) {
                return Err(precondition_failed("If-Match"));
            }
        }
        _ => {
            let message = "A header you provided implies functionality that is not implemented";
            return Err(ErrorReply::new("NotImplemented", message).with_status(501));
        }
    }
    let content = body::content(request)?;
    let content_type = sent(request, "content-type").unwrap_or("binary/octet-stream").to_owned();
    let metadata: BTreeMap<String, String> = request
        .headers()
        .iter()
        .filter_map(|(name, value)| {
            Some((name.as_str().strip_prefix("x-amz-meta-")?.to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect();
    let now = world.now;
    let object = world.s3.put_with(&target.bucket, &target.key, content, now, content_type, metadata);
    crate::codepipeline::object_put(world, &target.bucket, &target.key);
    let mut reply = xml::empty(200);
    header(&mut reply, "etag", &object.etag);
    header(&mut reply, "x-amz-server-side-encryption", "AES256");
    if let Some(checksum) = sent(request, "x-amz-checksum-crc32") {
        header(&mut reply, "x-amz-checksum-crc32", checksum);
        header(&mut reply, "x-amz-checksum-type", "FULL_OBJECT");
    }
    if existing(world, target)?.versioned {
        header(&mut reply, "x-amz-version-id", &object.version);
    }
    Ok(reply)
}

pub(super) fn delete(world: &mut World, target: &Target, request: &Request<Bytes>) -> Answer<Response<Bytes>> {
    let bucket = existing(world, target)?;
    if let Some(tags) = sent(request, "if-match") {
        // Conditions look at the current version only.
        let present = bucket.object(&target.key).ok_or_else(|| precondition_failed("If-Match"))?;
        if !names(tags, present) {
            return Err(precondition_failed("If-Match"));
        }
    }
    let mut reply = xml::empty(204);
    match target.parameter("versionId") {
        Some(version) => {
            let marker = world.s3.delete_version(&target.bucket, &target.key, version);
            header(&mut reply, "x-amz-version-id", version);
            if marker {
                header(&mut reply, "x-amz-delete-marker", "true");
            }
        }
        None => {
            if let Some(marker) = world.s3.delete(&target.bucket, &target.key) {
                header(&mut reply, "x-amz-version-id", &marker);
                header(&mut reply, "x-amz-delete-marker", "true");
            }
        }
    }
    Ok(reply)
}
