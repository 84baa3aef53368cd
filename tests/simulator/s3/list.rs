//! `ListObjectsV2`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Response;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::request::Target;
use super::{buckets, xml};
use crate::{Answer, ErrorReply, World};

/// The most keys and common prefixes in one page.
const PAGE: usize = 1000;

/// What `encoding-type=url` leaves as it is.
const URL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');

#[derive(Serialize)]
struct ListBucketResult {
    #[serde(rename = "@xmlns")]
    xmlns: &'static str,
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Prefix")]
    prefix: String,
    #[serde(rename = "Delimiter", skip_serializing_if = "Option::is_none")]
    delimiter: Option<String>,
    #[serde(rename = "MaxKeys")]
    max_keys: usize,
    #[serde(rename = "KeyCount")]
    key_count: usize,
    #[serde(rename = "IsTruncated")]
    is_truncated: bool,
    #[serde(rename = "EncodingType", skip_serializing_if = "Option::is_none")]
    encoding_type: Option<&'static str>,
    #[serde(rename = "ContinuationToken", skip_serializing_if = "Option::is_none")]
    continuation_token: Option<String>,
    #[serde(rename = "NextContinuationToken", skip_serializing_if = "Option::is_none")]
    next_continuation_token: Option<String>,
    #[serde(rename = "StartAfter", skip_serializing_if = "Option::is_none")]
    start_after: Option<String>,
    #[serde(rename = "Contents")]
    contents: Vec<Contents>,
    #[serde(rename = "CommonPrefixes")]
    common_prefixes: Vec<CommonPrefix>,
}

#[derive(Serialize)]
struct Contents {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "LastModified")]
    last_modified: String,
    #[serde(rename = "ETag")]
    etag: String,
    #[serde(rename = "Size")]
    size: usize,
    #[serde(rename = "StorageClass")]
    storage_class: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CommonPrefix {
    prefix: String,
}

pub(super) fn list_objects(world: &World, target: &Target) -> Answer<Response<Bytes>> {
    let bucket = buckets::existing(world, target)?;
    let prefix = target.parameter("prefix").unwrap_or_default();
    let delimiter = target.parameter("delimiter").filter(|delimiter| !delimiter.is_empty());
    let max_keys = match target.parameter("max-keys") {
        None => PAGE,
        Some(text) => text.parse::<usize>().map_err(|_| {
            ErrorReply::new("InvalidArgument", "Provided max-keys not an integer or within integer range")
        })?,
    };
    let encoding_type = match target.parameter("encoding-type") {
        None => None,
        Some("url") => Some("url"),
        Some(_) => return Err(ErrorReply::new("InvalidArgument", "Invalid Encoding Method specified in Request")),
    };
    let after = match target.parameter("continuation-token") {
        Some(token) => decoded_token(token)?,
        None => target.parameter("start-after").unwrap_or_default().to_owned(),
    };
    let encoded = |text: &str| match encoding_type {
        Some(_) => utf8_percent_encode(text, URL).to_string(),
        None => text.to_owned(),
    };

    let mut page = Vec::new();
    let mut prefixes: Vec<String> = Vec::new();
    let mut last = String::new();
    let mut is_truncated = false;
    for key in bucket.keys().filter(|key| key.starts_with(prefix) && *key > after.as_str()) {
        let common = delimiter.and_then(|delimiter| {
            let end = key[prefix.len()..].find(delimiter)? + prefix.len() + delimiter.len();
            Some(&key[..end])
        });
        // A prefix is one entry however many keys it has, also across pages.
        if common.is_some_and(|common| prefixes.iter().any(|known| known == common) || after == common) {
            continue;
        }
        // A token that names a prefix stands for all of its keys.
        if !after.is_empty() && delimiter.is_some_and(|delimiter| after.ends_with(delimiter)) && key.starts_with(&after)
        {
            continue;
        }
        if page.len() + prefixes.len() >= max_keys.min(PAGE) {
            is_truncated = max_keys > 0;
            break;
        }
        last = common.unwrap_or(key).to_owned();
        match (common, bucket.object(key)) {
            (Some(common), _) => prefixes.push(common.to_owned()),
            (None, Some(object)) => page.push(Contents {
                key: encoded(key),
                last_modified: xml::date(object.modified),
                etag: object.etag.clone(),
                size: object.body.len(),
                storage_class: "STANDARD",
            }),
            (None, None) => {}
        }
    }
    let result = ListBucketResult {
        xmlns: xml::NAMESPACE,
        name: target.bucket.clone(),
        prefix: encoded(prefix),
        delimiter: delimiter.map(encoded),
        max_keys: max_keys.min(PAGE),
        key_count: page.len() + prefixes.len(),
        is_truncated,
        encoding_type,
        continuation_token: target.parameter("continuation-token").map(str::to_owned),
        next_continuation_token: is_truncated.then(|| URL_SAFE_NO_PAD.encode(&last)),
        start_after: target.parameter("start-after").map(encoded),
        contents: page,
        common_prefixes: prefixes.iter().map(|prefix| CommonPrefix { prefix: encoded(prefix) }).collect(),
    };
    xml::document("ListBucketResult", &result)
}

fn decoded_token(token: &str) -> Answer<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| ErrorReply::new("InvalidArgument", "The continuation token provided is incorrect"))
}
