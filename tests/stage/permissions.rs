//! What the workers of the stories may do: what Terraform grants them, and nothing else.

use std::sync::LazyLock;

use coalmine_door::store::Location;
use simulator::World;
use simulator::permissions::Policy;

/// The policy of the workers' role, as terraform/modules/worker renders it for the stories' account.
const DOCUMENT: &str = include_str!("../../terraform/policies/worker.json");

/// The ledger's bucket, prefix and key, under the names that the module gives them.
const BUCKET: &str = "coalmine-worker-ledger-123456789012-eu-central-1";
const PREFIX: &str = "worker";
const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000";

static POLICY: LazyLock<Policy> = LazyLock::new(|| Policy::parse(DOCUMENT).expect("a policy"));

/// The policy of the workers' role.
pub(crate) fn of_workers() -> Policy {
    POLICY.clone()
}

/// The ledger that all workers of a story share.
pub(crate) fn ledger() -> Location {
    Location::S3 { bucket: BUCKET.into(), prefix: PREFIX.into() }
}

/// Puts the ledger's bucket into a world.
pub(crate) fn create_ledger(world: &mut World) {
    world.s3.create_bucket(BUCKET, world.now);
    world.s3.encrypt(BUCKET, KEY);
}
