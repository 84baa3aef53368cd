//! A store in S3, by conditional writes (`If-None-Match: *`, `If-Match: <etag>`).

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_types::SdkConfig;

use super::{Condition, Listed, StoreError, Stored};
use crate::clock::Time;
use crate::error::AwsError;

/// Pages of keys read before a list is called endless: 100,000 workers.
const PAGES_MAX: usize = 100;

/// A prefix in a bucket.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    client: Client,
    bucket: String,
    prefix: String,
}

impl Bucket {
    pub(super) fn new(door: &SdkConfig, bucket: &str, prefix: &str) -> Self {
        let config = aws_sdk_s3::config::Builder::from(door).force_path_style(door.endpoint_url().is_some()).build();
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { client: Client::from_conf(config), bucket: bucket.to_owned(), prefix }
    }

    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    pub(super) async fn get(&self, key: &str, most: usize) -> Result<Option<Stored>, StoreError> {
        const OPERATION: &str = "s3 GetObject";
        let sent = self.client.get_object().bucket(&self.bucket).key(self.full(key)).send().await;
        let output = match sent.map_err(|error| AwsError::of(OPERATION, &error)) {
            Ok(output) => output,
            Err(error) if error.is("NoSuchKey") => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let version = output.e_tag().unwrap_or_default().to_owned();
        let written = output.last_modified().and_then(time);
        let mut stream = output.body;
        let mut body = Vec::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|problem| AwsError::unusable(OPERATION, problem.to_string()))?;
            body.extend_from_slice(&chunk);
            if body.len() > most {
                return Err(StoreError::TooLarge { key: key.to_owned(), most });
            }
        }
        Ok(Some(Stored { body, version, written }))
    }

    pub(super) async fn put(&self, key: &str, body: Vec<u8>, condition: &Condition) -> Result<String, StoreError> {
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(self.full(key))
            .content_type("application/json")
            .body(ByteStream::from(body));
        let request = match condition {
            Condition::New => request.if_none_match("*"),
            Condition::Unchanged(version) => request.if_match(version),
        };
        match request.send().await.map_err(|error| AwsError::of("s3 PutObject", &error)) {
            Ok(output) => Ok(output.e_tag().unwrap_or_default().to_owned()),
            Err(error) => Err(condition_failed(key, error)),
        }
    }

    pub(super) async fn delete(&self, key: &str, version: &str) -> Result<(), StoreError> {
        let request = self.client.delete_object().bucket(&self.bucket).key(self.full(key)).if_match(version);
        match request.send().await.map_err(|error| AwsError::of("s3 DeleteObject", &error)) {
            Ok(_) => Ok(()),
            Err(error) => Err(condition_failed(key, error)),
        }
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        const OPERATION: &str = "s3 ListObjectsV2";
        let mut objects = Vec::new();
        let mut token = None;
        for _ in 0..PAGES_MAX {
            let page = self
                .client
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(self.full(prefix))
                .set_continuation_token(token)
                .send()
                .await
                .map_err(|error| AwsError::of(OPERATION, &error))?;
            objects.extend(page.contents().iter().filter_map(|object| {
                let key = object.key()?.strip_prefix(&self.prefix)?.to_owned();
                Some(Listed {
                    key,
                    version: object.e_tag().map(str::to_owned),
                    written: object.last_modified().and_then(time),
                })
            }));
            token = page.next_continuation_token().map(str::to_owned);
            if token.is_none() {
                return Ok(objects);
            }
        }
        Err(AwsError::unusable(OPERATION, format!("the list did not end after {PAGES_MAX} pages")).into())
    }
}

fn time(at: &DateTime) -> Option<Time> {
    Time::from_timestamp(at.secs(), at.subsec_nanos())
}

/// 412 says that the condition does not hold, 409 that another conditional write is under way, 404 that the object
/// which was to be unchanged is gone.
fn condition_failed(key: &str, error: AwsError) -> StoreError {
    match error.code.as_str() {
        "PreconditionFailed" | "ConditionalRequestConflict" | "NoSuchKey" => {
            StoreError::Changed { key: key.to_owned() }
        }
        _ => StoreError::Aws(error),
    }
}
