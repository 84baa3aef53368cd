//! A webhook: a POST of what happened, through the door's own HTTP client.

use std::convert::Infallible;

use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use coalmine_door::AwsError;

use crate::deploy::happening::Event;

/// One address that is told.
#[derive(Clone, Debug)]
pub struct Webhook {
    call: Operation<String, u16, Infallible>,
}

impl Webhook {
    /// A webhook by its address; `None` where the door has no HTTP client.
    #[must_use]
    pub fn new(door: &SdkConfig, address: &str) -> Option<Self> {
        let (scheme, rest) = address.split_once("://")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let mut call = Operation::builder()
            .service_name("webhook")
            .operation_name("POST")
            .http_client(door.http_client()?)
            .endpoint_url(&format!("{scheme}://{authority}"))
            .no_auth()
            .no_retry();
        if let Some(time) = door.time_source() {
            call = call.time_source(time);
        }
        if let Some(sleep) = door.sleep_impl() {
            call = call.sleep_impl(sleep);
        }
        let call = call.serializer(move |body: String| {
            let mut request = HttpRequest::new(SdkBody::from(body));
            request.set_method("POST")?;
            request.set_uri(path.as_str())?;
            request.headers_mut().insert("content-type", "application/json");
            Ok(request)
        });
        let call = call.deserializer(|response: &HttpResponse| Ok::<u16, _>(response.status().as_u16()));
        Some(Self { call: call.build() })
    }

    /// Calls it.
    ///
    /// # Errors
    /// When nobody answers, or the answer is no success. The address may hold a secret: it is not told.
    pub async fn call(&self, event: &Event) -> Result<(), AwsError> {
        match self.call.invoke(event.json()).await {
            Ok(200..=299) => Ok(()),
            Ok(status) => Err(AwsError::unusable("calling the webhook", format!("it answered {status}"))),
            Err(_) => Err(AwsError::unusable("calling the webhook", "nobody answered")),
        }
    }
}
