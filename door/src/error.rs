//! What can go wrong with a call, in the few kinds that make a difference.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// Codes that mean "slower" (the SDK's own list), without `LimitExceededException`: that is a quota
/// at ECS, ECR and CodePipeline.
const THROTTLING: [&str; 8] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "SlowDown",
    "EC2ThrottledException",
];

/// How AWS says that a signature is right but for its date; anything else that is wrong with one stays wrong.
const SKEWED: [&str; 2] = ["Signature expired", "Signature not yet current"];

/// A call that did not bring an answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation} failed: {}{message}", if code.is_empty() { String::new() } else { format!("{code}: ") })]
pub struct AwsError {
    /// The operation, `ecs UpdateService`.
    pub operation: &'static str,
    /// What follows from it.
    pub kind: Kind,
    /// AWS's error code; empty where no answer came.
    pub code: String,
    /// AWS's message, or the transport's.
    pub message: String,
}

/// What follows from a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// AWS wants fewer calls. Never a verdict: try again later.
    Throttled,
    /// No answer, or one of the service's own failures. It may have been carried out: look before trying again.
    Unavailable,
    /// The worker's role may not.
    Denied,
    /// AWS says no.
    Refused,
}

impl AwsError {
    /// Classifies the SDK's error.
    pub fn of<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let (code, message, status) = match error {
            SdkError::ServiceError(service) => (
                service.err().code().unwrap_or_default().to_owned(),
                service.err().message().unwrap_or_default().to_owned(),
                service.raw().status().as_u16(),
            ),
            other => (String::new(), chain(other), 0),
        };
        let kind = kind(&code, &message, status);
        Self { operation, kind, code, message }
    }

    /// An answer that could not be used.
    #[must_use]
    pub fn unusable(operation: &'static str, message: impl Into<String>) -> Self {
        Self { operation, kind: Kind::Unavailable, code: String::new(), message: message.into() }
    }

    /// The operation and AWS's error code, or what kind of failure it was: nothing that AWS says in its own words.
    #[must_use]
    pub fn brief(&self) -> String {
        match (self.code.as_str(), self.kind) {
            ("", Kind::Throttled) => format!("{}: throttled", self.operation),
            ("", Kind::Unavailable) => format!("{}: no answer", self.operation),
            ("", Kind::Denied) => format!("{}: denied", self.operation),
            ("", Kind::Refused) => format!("{}: refused", self.operation),
            (code, _) => format!("{}: {code}", self.operation),
        }
    }

    /// Whether trying again later may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self.kind, Kind::Throttled | Kind::Unavailable)
    }

    /// Whether AWS answered with this code.
    #[must_use]
    pub fn is(&self, code: &str) -> bool {
        self.code == code
    }
}

fn kind(code: &str, message: &str, status: u16) -> Kind {
    // ECS answers a burst of registrations with a plain ClientException, which the SDK does not retry.
    let crowded = code == "ClientException" && message.contains("Too many concurrent attempts");
    match code {
        _ if crowded || THROTTLING.contains(&code) || status == 429 => Kind::Throttled,
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" => Kind::Denied,
        "ExpiredToken" | "ExpiredTokenException" | "RequestTimeout" | "RequestTimeoutException" => Kind::Unavailable,
        // The machine's clock was set while the call was under way: the next one goes by the date of AWS's replies.
        "RequestTimeTooSkewed" => Kind::Unavailable,
        "InvalidSignatureException" if SKEWED.iter().any(|words| message.starts_with(words)) => Kind::Unavailable,
        _ if status == 0 || status >= 500 => Kind::Unavailable,
        _ => Kind::Refused,
    }
}

/// An error and its sources, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_into_the_four_kinds() {
        let crowded = "Too many concurrent attempts to create a new revision of the specified family.";
        for (code, message, status, expected) in [
            ("ThrottlingException", "Rate exceeded", 400, Kind::Throttled),
            ("ClientException", crowded, 400, Kind::Throttled),
            ("ClientException", "Tags can not be empty.", 400, Kind::Refused),
            ("LimitExceededException", "quota", 400, Kind::Refused),
            ("AccessDeniedException", "", 400, Kind::Denied),
            ("ServerException", "", 500, Kind::Unavailable),
            (
                "InvalidSignatureException",
                "Signature expired: 20261129T120000Z is now earlier than …",
                403,
                Kind::Unavailable,
            ),
            ("InvalidSignatureException", "The request signature we calculated does not match", 403, Kind::Refused),
            ("RequestTimeTooSkewed", "", 403, Kind::Unavailable),
            ("", "connection reset", 0, Kind::Unavailable),
        ] {
            assert_eq!(kind(code, message, status), expected, "{code} {status}");
        }
    }
}
