//! Calls that are not repeated without a look.

use aws_sdk_ecs::config::retry::{ClassifyRetry, RetryAction};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;

/// Lets the SDK repeat a call only where AWS has refused it, because it was throttled, say. Where no answer came, or a 500,
/// it may have been carried out, and somebody else may have deployed since, whose place the same call would take: whoever
/// sent it has to look first.
#[derive(Debug)]
pub(super) struct Once;

impl ClassifyRetry for Once {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let is_answered = context.output_or_error().is_some_and(|outcome| outcome.is_ok());
        let is_refused = context.response().is_some_and(|response| response.status().is_client_error());
        if is_answered || is_refused { RetryAction::NoActionIndicated } else { RetryAction::RetryForbidden }
    }

    fn name(&self) -> &'static str {
        "once, unless refused"
    }
}
