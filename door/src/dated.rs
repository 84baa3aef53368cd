//! AWS's own date, which every reply bears in its header `Date`.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;

use crate::clock::Time;

/// Keeps the date of one call's reply.
#[derive(Clone, Debug, Default)]
pub struct Dated(Arc<Mutex<Option<Time>>>);

impl Dated {
    /// The reply's date, once the call has returned; `None` where it bears none that can be read.
    #[must_use]
    pub fn date(&self) -> Option<Time> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[dyn_dispatch_hint]
impl Intercept for Dated {
    fn name(&self) -> &'static str {
        "KeepDate"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            context.response().headers().get("date").and_then(read);
        Ok(())
    }
}

fn read(header: &str) -> Option<Time> {
    let date = DateTime::from_str(header, Format::HttpDate).ok()?;
    Time::from_timestamp(date.secs(), date.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_as_http_writes_it() {
        let date = "2026-11-20T12:00:05Z".parse().ok();
        assert_eq!(read("Fri, 20 Nov 2026 12:00:05 GMT"), date);
        for other in ["", "yesterday", "2026-11-20T12:00:05Z", "0"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
