//! What a request means: bucket, key, operation.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request};
use percent_encoding::percent_decode_str;

use crate::{Answer, ErrorReply};

/// The simulated operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    ListBuckets,
    CreateBucket,
    HeadBucket,
    DeleteBucket,
    GetBucketLocation,
    GetBucketVersioning,
    PutBucketVersioning,
    ListObjectsV2,
    GetObject,
    HeadObject,
    PutObject,
    DeleteObject,
}

impl Operation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ListBuckets => "ListBuckets",
            Self::CreateBucket => "CreateBucket",
            Self::HeadBucket => "HeadBucket",
            Self::DeleteBucket => "DeleteBucket",
            Self::GetBucketLocation => "GetBucketLocation",
            Self::GetBucketVersioning => "GetBucketVersioning",
            Self::PutBucketVersioning => "PutBucketVersioning",
            Self::ListObjectsV2 => "ListObjectsV2",
            Self::GetObject => "GetObject",
            Self::HeadObject => "HeadObject",
            Self::PutObject => "PutObject",
            Self::DeleteObject => "DeleteObject",
        }
    }
}

/// Where a request goes.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    /// Empty for the service itself.
    pub(super) bucket: String,
    /// Decoded; empty for the bucket itself.
    pub(super) key: String,
    /// Decoded parameters; one without `=` has an empty value.
    pub(super) query: BTreeMap<String, String>,
}

impl Target {
    /// `bucket/key`, for the log and for resources in messages.
    pub(super) fn subject(&self) -> String {
        if self.key.is_empty() { self.bucket.clone() } else { format!("{}/{}", self.bucket, self.key) }
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }
}

/// Reads host, path and query.
pub(super) fn target(request: &Request<Bytes>) -> Target {
    let header = || request.headers().get("host").and_then(|host| host.to_str().ok());
    let host = request.uri().host().or_else(header).unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    let path = request.uri().path().trim_start_matches('/');
    let (bucket, key) = match bucket_of_host(host) {
        Some(bucket) => (bucket.to_owned(), decoded(path)),
        None => match path.split_once('/') {
            Some((bucket, key)) => (decoded(bucket), decoded(key)),
            None => (decoded(path), String::new()),
        },
    };
    let query = request.uri().query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let query = query
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => (decoded(name), decoded(&value.replace('+', " "))),
            None => (decoded(pair), String::new()),
        })
        .collect();
    Target { bucket, key, query }
}

/// `bucket.s3.eu-central-1.amazonaws.com`, `bucket.s3.amazonaws.com` and, for the loopback mount, `bucket.localhost`.
fn bucket_of_host(host: &str) -> Option<&str> {
    if let Some(name) = host.strip_suffix(".localhost") {
        return Some(name.strip_suffix(".s3").unwrap_or(name));
    }
    let name = host.strip_suffix(".amazonaws.com")?;
    let (bucket, _) = name.split_once(".s3.").or_else(|| name.rsplit_once(".s3"))?;
    Some(bucket)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The operation, or `NotImplemented` for what is not simulated.
pub(super) fn operation(request: &Request<Bytes>, target: &Target) -> Answer<Operation> {
    // Sub-resources that change which operation is meant.
    const SUBRESOURCES: [&str; 24] = [
        "accelerate",
        "acl",
        "attributes",
        "cors",
        "delete",
        "encryption",
        "legal-hold",
        "lifecycle",
        "location",
        "logging",
        "notification",
        "object-lock",
        "policy",
        "publicAccessBlock",
        "replication",
        "restore",
        "retention",
        "select",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versioning",
        "versions",
    ];
    let sub = SUBRESOURCES.into_iter().find(|name| target.query.contains_key(*name));
    let method = request.method();
    let copy = request.headers().contains_key("x-amz-copy-source");
    let list = target.parameter("list-type") == Some("2");
    let (bucket, key) = (!target.bucket.is_empty(), !target.key.is_empty());
    Ok(match (method, bucket, key, sub) {
        (&Method::GET, false, false, None) => Operation::ListBuckets,
        (&Method::GET, true, false, Some("location")) => Operation::GetBucketLocation,
        (&Method::GET, true, false, Some("versioning")) => Operation::GetBucketVersioning,
        (&Method::PUT, true, false, Some("versioning")) => Operation::PutBucketVersioning,
        (&Method::GET, true, false, None) if list => Operation::ListObjectsV2,
        (&Method::PUT, true, false, None) => Operation::CreateBucket,
        (&Method::HEAD, true, false, None) => Operation::HeadBucket,
        (&Method::DELETE, true, false, None) => Operation::DeleteBucket,
        (&Method::GET, true, true, None) => Operation::GetObject,
        (&Method::HEAD, true, true, None) => Operation::HeadObject,
        (&Method::PUT, true, true, None) if !copy => Operation::PutObject,
        (&Method::DELETE, true, true, None) => Operation::DeleteObject,
        _ => {
            let what = format!("{method} {}?{}", target.subject(), request.uri().query().unwrap_or_default());
            let message = format!("A header or query you provided implies functionality the simulator has not: {what}");
            return Err(ErrorReply::new("NotImplemented", message).with_status(501));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(uri: &str, host: Option<&str>) -> (String, String) {
        let mut request = Request::builder().uri(uri);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let target = target(&request.body(Bytes::new()).unwrap());
        (target.bucket, target.key)
    }

    #[test]
    fn the_bucket_stands_in_the_path_or_in_the_host() {
        let same = ("my.bucket".to_owned(), "a/b c".to_owned());
        assert_eq!(seen("https://my.bucket.s3.eu-central-1.amazonaws.com/a/b%20c", None), same);
        assert_eq!(seen("https://my.bucket.s3.amazonaws.com/a/b%20c", None), same);
        assert_eq!(seen("https://my.bucket.s3.dualstack.eu-central-1.amazonaws.com/a/b%20c", None), same);
        assert_eq!(seen("https://s3.eu-central-1.amazonaws.com/my.bucket/a/b%20c", None), same);
        assert_eq!(seen("/a/b%20c", Some("my.bucket.localhost:4000")), same);
        assert_eq!(seen("/a/b%20c", Some("my.bucket.s3.localhost:4000")), same);
        assert_eq!(seen("/my.bucket/a/b%20c", Some("localhost:4000")), same);
        assert_eq!(seen("/my.bucket/a/b%20c", Some("127.0.0.1:4000")), same);
        assert_eq!(seen("/", Some("s3.amazonaws.com")), (String::new(), String::new()));
    }
}
