//! The operations of buckets themselves.

use bytes::Bytes;
use http::Response;
use serde::{Deserialize, Serialize};

use super::request::Target;
use super::store::Bucket;
use super::xml;
use crate::{Answer, ErrorReply, World};

/// The bucket of a request, or `NoSuchBucket`.
pub(super) fn existing<'a>(world: &'a World, target: &Target) -> Answer<&'a Bucket> {
    world
        .s3
        .buckets
        .get(&target.bucket)
        .ok_or_else(|| ErrorReply::new("NoSuchBucket", "The specified bucket does not exist").with_status(404))
}

#[derive(Serialize)]
struct ListAllMyBucketsResult {
    #[serde(rename = "@xmlns")]
    xmlns: &'static str,
    #[serde(rename = "Owner")]
    owner: Owner,
    #[serde(rename = "Buckets")]
    buckets: Buckets,
}

#[derive(Serialize)]
struct Owner {
    #[serde(rename = "ID")]
    id: String,
}

#[derive(Serialize)]
struct Buckets {
    #[serde(rename = "Bucket")]
    bucket: Vec<Entry>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    name: String,
    creation_date: String,
}

pub(super) fn list(world: &World) -> Answer<Response<Bytes>> {
    let entry =
        |(name, bucket): (&String, &Bucket)| Entry { name: name.clone(), creation_date: xml::date(bucket.created) };
    let result = ListAllMyBucketsResult {
        xmlns: xml::NAMESPACE,
        owner: Owner { id: world.account.clone() },
        buckets: Buckets { bucket: world.s3.buckets.iter().map(entry).collect() },
    };
    xml::document("ListAllMyBucketsResult", &result)
}

pub(super) fn create(world: &mut World, target: &Target) -> Answer<Response<Bytes>> {
    if !legal_name(&target.bucket) {
        return Err(ErrorReply::new("InvalidBucketName", "The specified bucket is not valid."));
    }
    if world.s3.buckets.contains_key(&target.bucket) {
        let message = "Your previous request to create the named bucket succeeded and you already own it.";
        return Err(ErrorReply::new("BucketAlreadyOwnedByYou", message).with_status(409));
    }
    let now = world.now;
    world.s3.create_bucket(&target.bucket, now);
    if let Some(bucket) = world.s3.buckets.get_mut(&target.bucket) {
        bucket.versioned = false;
    }
    let mut reply = xml::empty(200);
    header(&mut reply, "location", &format!("/{}", target.bucket));
    Ok(reply)
}

/// 3 to 63 of lower-case letters, digits, dots and hyphens, letters or digits at both ends.
fn legal_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.bytes().all(|byte| plain(byte) || byte == b'.' || byte == b'-')
        && name.bytes().next().is_some_and(plain)
        && name.bytes().last().is_some_and(plain)
}

pub(super) fn head(world: &World, target: &Target) -> Answer<Response<Bytes>> {
    existing(world, target)?;
    let mut reply = xml::empty(200);
    header(&mut reply, "x-amz-bucket-region", &world.region);
    Ok(reply)
}

pub(super) fn delete(world: &mut World, target: &Target) -> Answer<Response<Bytes>> {
    if !existing(world, target)?.objects.is_empty() {
        return Err(ErrorReply::new("BucketNotEmpty", "The bucket you tried to delete is not empty").with_status(409));
    }
    world.s3.buckets.remove(&target.bucket);
    Ok(xml::empty(204))
}

#[derive(Serialize)]
struct LocationConstraint {
    #[serde(rename = "@xmlns")]
    xmlns: &'static str,
    #[serde(rename = "$text")]
    region: String,
}

pub(super) fn location(world: &World, target: &Target) -> Answer<Response<Bytes>> {
    existing(world, target)?;
    xml::document("LocationConstraint", &LocationConstraint { xmlns: xml::NAMESPACE, region: world.region.clone() })
}

#[derive(Serialize, Deserialize)]
struct VersioningConfiguration {
    #[serde(rename = "@xmlns", default)]
    xmlns: String,
    #[serde(rename = "Status", skip_serializing_if = "Option::is_none")]
    status: Option<String>,
}

pub(super) fn versioning(world: &World, target: &Target) -> Answer<Response<Bytes>> {
    let status = existing(world, target)?.versioned.then(|| "Enabled".to_owned());
    let configuration = VersioningConfiguration { xmlns: xml::NAMESPACE.to_owned(), status };
    xml::document("VersioningConfiguration", &configuration)
}

pub(super) fn put_versioning(world: &mut World, target: &Target, body: &Bytes) -> Answer<Response<Bytes>> {
    existing(world, target)?;
    let malformed = || {
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        ErrorReply::new("MalformedXML", message)
    };
    let text = std::str::from_utf8(body).map_err(|_| malformed())?;
    let configuration: VersioningConfiguration = quick_xml::de::from_str(text).map_err(|_| malformed())?;
    match configuration.status.as_deref() {
        Some("Enabled") => {
            if let Some(bucket) = world.s3.buckets.get_mut(&target.bucket) {
                bucket.versioned = true;
            }
            Ok(xml::empty(200))
        }
        Some("Suspended") => {
            Err(ErrorReply::new("NotImplemented", "The simulator has no suspended versioning").with_status(501))
        }
        _ => Err(malformed()),
    }
}

/// Sets a header, passing over a value that no header can have.
pub(super) fn header(reply: &mut Response<Bytes>, name: &'static str, value: &str) {
    if let Ok(value) = http::HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
}
