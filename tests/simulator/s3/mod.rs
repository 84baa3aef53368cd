//! Simulated S3: buckets, versioned objects, conditional writes, over REST XML.
//!
//! ```text
//!   request.rs  which bucket, key and operation a request means (path style and virtual host)
//!   body.rs     the content that a PUT carries, out of aws-chunked framing
//!   objects.rs  GetObject, HeadObject, PutObject, DeleteObject
//!   buckets.rs  the bucket's own operations        list.rs  ListObjectsV2
//!   xml.rs      replies and errors as XML          store.rs the state
//! ```

mod body;
mod buckets;
mod list;
mod objects;
mod request;
mod store;
mod xml;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::{Method, Request, Response};

pub use store::{Bucket, Object, State};

use crate::{Answer, Call, ErrorReply, World};
use request::{Operation, Target};

/// A reply with what the call log wants to know.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) operation: String,
    pub(crate) subject: String,
    pub(crate) response: Response<Bytes>,
    pub(crate) error: Option<ErrorReply>,
}

/// The operation that a request means and what it is about, without carrying it out.
pub(crate) fn about(request: &Request<Bytes>) -> (String, String) {
    let target = request::target(request);
    let name = request::operation(request, &target).map_or("Unknown", Operation::name);
    (name.to_owned(), target.subject())
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) bucket: String,
    /// Empty for the bucket itself.
    pub(crate) key: String,
    /// The prefix of a list.
    pub(crate) prefix: Option<String>,
}

/// Where a request goes, for whoever decides whether it may.
pub(crate) fn place(request: &Request<Bytes>) -> Place {
    let target = request::target(request);
    let prefix = target.parameter("prefix").map(str::to_owned);
    Place { bucket: target.bucket, key: target.key, prefix }
}

/// Answers one request with an error, without carrying it out.
pub(crate) fn refuse(world: &mut World, request: &Request<Bytes>, error: ErrorReply) -> Reply {
    let target = request::target(request);
    let request_id = world.hex(16).to_uppercase();
    let (operation, subject) = about(request);
    let response = xml::refusal(&error, &target, &request_id, request.method() == Method::HEAD);
    Reply { operation, subject, response: xml::stamped(response, &request_id), error: Some(error) }
}

/// Answers one request.
pub(crate) fn handle(world: &mut World, call: &Call, request: &Request<Bytes>) -> Reply {
    let target = request::target(request);
    let operation = request::operation(request, &target);
    let request_id = world.hex(16).to_uppercase();
    let name = operation.as_ref().map_or("Unknown", |operation| operation.name());
    let answer = operation.and_then(|operation| {
        allowed(world, call, &target, operation)?;
        carry_out(world, operation, &target, request)
    });
    let (response, error) = match answer {
        Ok(response) => (response, None),
        Err(error) => (xml::refusal(&error, &target, &request_id, request.method() == Method::HEAD), Some(error)),
    };
    let response = xml::stamped(response, &request_id);
    Reply { operation: name.to_owned(), subject: target.subject(), response, error }
}

fn carry_out(
    world: &mut World,
    operation: Operation,
    target: &Target,
    request: &Request<Bytes>,
) -> Answer<Response<Bytes>> {
    match operation {
        Operation::ListBuckets => buckets::list(world),
        Operation::CreateBucket => buckets::create(world, target),
        Operation::HeadBucket => buckets::head(world, target),
        Operation::DeleteBucket => buckets::delete(world, target),
        Operation::GetBucketLocation => buckets::location(world, target),
        Operation::GetBucketVersioning => buckets::versioning(world, target),
        Operation::PutBucketVersioning => buckets::put_versioning(world, target, request.body()),
        Operation::ListObjectsV2 => list::list_objects(world, target),
        Operation::GetObject => objects::get(world, target, request, true),
        Operation::HeadObject => objects::get(world, target, request, false),
        Operation::PutObject => objects::put(world, target, request),
        Operation::DeleteObject => objects::delete(world, target, request),
    }
}

/// Who may do it: everybody who signs, but a job's artifact credentials are valid for fifteen minutes and reach
/// objects of the pipeline's artifact store alone.
fn allowed(world: &World, call: &Call, target: &Target, operation: Operation) -> Answer<()> {
    if call.access_key.is_empty() {
        return Err(ErrorReply::new("AccessDenied", "Access Denied").with_status(403));
    }
    match world.codepipeline.artifact_credentials(&call.access_key, world.now) {
        None => Ok(()),
        Some(false) => Err(ErrorReply::new("ExpiredToken", "The provided token has expired.")),
        Some(true) => {
            let inside = world.codepipeline.artifact_credentials_reach(&call.access_key, &target.bucket);
            if inside && matches!(operation, Operation::GetObject | Operation::HeadObject | Operation::PutObject) {
                return Ok(());
            }
            let action = operation.name();
            let resource = format!("arn:aws:s3:::{}", target.subject());
            Err(ErrorReply::new(
                "AccessDenied",
                format!("The job's session is not authorized to perform: s3:{action} on resource: \"{resource}\""),
            )
            .with_status(403))
        }
    }
}
