//! The resource tags that the worker writes on the task definitions it registers, and those it reads.
//!
//! ECS has no client token for `RegisterTaskDefinition` and cannot search by tag. A repeated turn therefore looks at the
//! newest revisions of the family and takes the one whose [`EXECUTION`] (or [`RETURNED_BY`]) and [`CONTENT`] both match,
//! instead of registering a second one.

/// What every tag key of Coalmine begins with. AWS keeps `aws:` to itself; this is ours.
pub const PREFIX: &str = "coalmine:";

/// The pipeline execution for which the revision was registered.
pub const EXECUTION: &str = "coalmine:execution";

/// In its place on a copy that brings a canary back to its full service's images: the execution that returned it. Such a
/// copy is nobody's release, so that a turnover is never judged by it.
pub const RETURNED_BY: &str = "coalmine:returned-by";

/// A hash of the registration request, so that a revision with other content is never taken for ours.
pub const CONTENT: &str = "coalmine:content";

/// On a service: the name of the canary service that stands beside it. A rollback goes by it where the ledger does not
/// tell the pair.
pub const CANARY: &str = "coalmine:canary";

/// The task definition that the revision was copied from. Full copies the same one as its canary did, whatever
/// Terraform registered during the hold.
pub const BASE: &str = "coalmine:base";
