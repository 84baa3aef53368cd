//! Which fault can happen to which call, and the errors that come instead of an act.

use super::reply;
use super::rule::{Fault, Moment};
use crate::call::{Call, Service};
use crate::error::ErrorReply;
use crate::permissions::access_denied;

/// Whether a fault can happen to a call at all.
pub(super) fn can_happen(fault: &Fault, call: &Call) -> bool {
    match fault {
        Fault::Crowded => call.operation == "RegisterTaskDefinition",
        // S3 is strongly consistent.
        Fault::StaleRead(..) => call.service != Service::S3 && reads(&call.operation),
        Fault::ShortPage(_) => reply::size_member(call).is_some(),
        Fault::EmptyPage => call.service != Service::S3 && reply::size_member(call).is_some(),
        Fault::RepeatedPage | Fault::RepeatedItems => reply::page_of(call).is_some_and(|page| page.follows),
        Fault::Failures(_) => reply::can_fail(call),
        Fault::UnknownValue(_) => call.service != Service::S3,
        _ => true,
    }
}

/// Whether an operation only reads. `PollForJobs` does not: it hands jobs out.
pub(crate) fn reads(operation: &str) -> bool {
    ["Describe", "List", "Get", "BatchGet", "FilterLogEvents"].iter().any(|prefix| operation.starts_with(prefix))
}

/// The error that a fault answers instead of the act's outcome: before the act it does not happen, after it the outcome
/// is lost.
pub(crate) fn instead_of_the_act(fault: &Fault, call: &Call) -> Option<(Moment, ErrorReply)> {
    let before = |error| Some((Moment::BeforeTheAct, error));
    match fault {
        Fault::Throttle => before(throttled(call.service)),
        Fault::ServerError(moment) => Some((*moment, server_error(call.service))),
        Fault::AccessDenied => {
            let action = format!("{}:{}", call.service.name(), call.operation);
            before(access_denied(call, "*", &action))
        }
        Fault::Crowded => before(ErrorReply::new(
            "ClientException",
            "Too many concurrent attempts to create a new revision of the specified family.",
        )),
        Fault::Refuse(error) => before(error.clone()),
        _ => None,
    }
}

/// The service's own failure. ECS and ECR model it; CodePipeline does not, so the common name of JSON services is
/// assumed.
fn server_error(service: Service) -> ErrorReply {
    let (code, message, status) = match service {
        Service::Ecs | Service::Ecr => ("ServerException", "Service Unavailable. Please try again later.", 500),
        Service::CodePipeline => ("InternalFailure", "An internal error has occurred.", 500),
        Service::CloudWatch => ("InternalServiceFault", "The request processing has failed.", 500),
        Service::Logs => ("ServiceUnavailableException", "The service cannot complete the request.", 503),
        Service::S3 => ("InternalError", "We encountered an internal error. Please try again.", 500),
        Service::Lambda => ("ServiceException", "The service encountered an internal error.", 500),
        Service::EventBridge => ("InternalException", "The service encountered an internal error.", 500),
        Service::Scheduler => ("InternalServerException", "The service encountered an internal error.", 500),
        // Not modelled: assumed as of CodePipeline.
        Service::CodeBuild | Service::Sts => ("InternalFailure", "An internal error has occurred.", 500),
    };
    ErrorReply::new(code, message).with_status(status)
}

/// Too many calls, by the name that each service gives it.
fn throttled(service: Service) -> ErrorReply {
    let (code, message, status) = match service {
        Service::S3 => ("SlowDown", "Please reduce your request rate.", 503),
        Service::Lambda => ("TooManyRequestsException", "Rate exceeded", 429),
        Service::Scheduler => ("ThrottlingException", "Rate exceeded", 429),
        Service::Sts => ("Throttling", "Rate exceeded", 400),
        _ => ("ThrottlingException", "Rate exceeded", 400),
    };
    ErrorReply::new(code, message).with_status(status)
}
