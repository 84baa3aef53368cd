//! Raw JSON beside the SDK's types: what they do not know must survive.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use serde_json::Value;

/// Keeps the JSON of one call's reply.
#[derive(Clone, Debug, Default)]
pub struct Reply(Arc<Mutex<Option<Value>>>);

impl Reply {
    /// The reply's JSON, once the call has returned.
    pub fn take(&self) -> Option<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[dyn_dispatch_hint]
impl Intercept for Reply {
    fn name(&self) -> &'static str {
        "KeepRawReply"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(bytes) = context.response().body().bytes() {
            let value = serde_json::from_slice(bytes).ok();
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
        }
        Ok(())
    }
}

/// Sends other JSON in the place of what the SDK serialized; before signing.
pub fn send(request: &mut HttpRequest, body: &Value) {
    let bytes = body.to_string().into_bytes();
    request.headers_mut().insert("content-length", bytes.len().to_string());
    *request.body_mut() = SdkBody::from(bytes);
}

/// Edits the JSON that the SDK serialized; before signing.
pub fn edit(request: &mut HttpRequest, change: impl FnOnce(&mut Value)) {
    if let Some(mut body) = request.body().bytes().and_then(|bytes| serde_json::from_slice(bytes).ok()) {
        change(&mut body);
        send(request, &body);
    }
}
