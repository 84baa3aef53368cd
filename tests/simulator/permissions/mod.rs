//! Permissions: what an access key may do, as IAM decides it from an identity's policy.
//!
//! ```text
//!   needs.rs    what a call asks for: actions on resources, with what it implies (iam:PassRole, ecs:TagResource, kms:…)
//!   policy.rs   a policy document, and whether it allows one such need
//! ```
//!
//! A key without a policy may do everything; one with a policy may do what that allows, and a call of which nobody wrote
//! down what it needs is refused, too.

mod needs;
mod policy;

use std::collections::{BTreeMap, BTreeSet};

use crate::call::{Call, Service};
use crate::error::ErrorReply;
use crate::incoming::Incoming;
use crate::simulator::Simulator;
use crate::world::World;

pub use needs::Need;
pub use policy::{Policy, PolicyError};

/// What the access keys may do, and what they have done with it.
#[derive(Debug, Default)]
pub(crate) struct Permissions {
    keys: BTreeMap<String, Permitted>,
}

#[derive(Debug, Default)]
struct Permitted {
    policy: Policy,
    used: BTreeSet<String>,
    refused: Vec<String>,
}

impl Permissions {
    /// Why a call may not be made, if so; notes what it needs.
    pub(crate) fn refuse(&mut self, world: &World, incoming: &Incoming) -> Option<ErrorReply> {
        let call = &incoming.call;
        let permitted = self.keys.get_mut(&call.access_key)?;
        let Some(needs) = needs::of(world, incoming) else {
            let what = format!("{} {}: nobody wrote down what it needs", call.service.name(), call.operation);
            permitted.refused.push(what);
            return Some(access_denied(call, "*", "an unknown action"));
        };
        for need in needs {
            if !permitted.policy.allows(&need) {
                permitted.refused.push(format!("{} {}: {need}", call.service.name(), call.operation));
                return Some(access_denied(call, &need.resource, &need.action));
            }
            permitted.used.insert(need.action);
        }
        None
    }
}

impl Simulator {
    /// From now on an access key may do what a policy allows, and nothing else.
    pub fn permit(&self, access_key: &str, policy: Policy) {
        self.lock().permissions.keys.insert(access_key.to_owned(), Permitted { policy, ..Permitted::default() });
    }

    /// The IAM actions that an access key has used since it was permitted, `ecs:UpdateService`.
    #[must_use]
    pub fn actions_used(&self, access_key: &str) -> BTreeSet<String> {
        self.lock().permissions.keys.get(access_key).map(|permitted| permitted.used.clone()).unwrap_or_default()
    }

    /// Takes what was refused to any access key for want of a permission, each as a line: call, action, resource, context.
    #[must_use]
    pub fn take_refusals(&self) -> Vec<String> {
        self.lock().permissions.keys.values_mut().flat_map(|permitted| std::mem::take(&mut permitted.refused)).collect()
    }
}

/// AWS's answer to a call that no policy allows.
pub(crate) fn access_denied(call: &Call, resource: &str, action: &str) -> ErrorReply {
    if call.service == Service::S3 {
        return ErrorReply::new("AccessDenied", "Access Denied").with_status(403);
    }
    let (account, key) = (&call.account, &call.access_key);
    let message = format!(
        "User: arn:aws:sts::{account}:assumed-role/{key}/session is not authorized to perform: {action} on resource: \
         {resource} because no identity-based policy allows the {action} action"
    );
    match call.service {
        Service::Sts => ErrorReply::new("AccessDenied", message).with_status(403),
        Service::Lambda | Service::Scheduler => ErrorReply::new("AccessDeniedException", message).with_status(403),
        _ => ErrorReply::new("AccessDeniedException", message),
    }
}
